//! Scripts with their variables filled in.

use super::value::{ValueError, write_literal};
use super::{Script, Variable};

/// How near a name must be to be offered instead of a wrong one: 1 is the same.
const NEAR: f64 = 0.7;

/// Why a script cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// Variables without a default are not given.
    #[error("script {script} also needs {}", variables.join(", "))]
    Missing {
        /// The script.
        script: &'static str,
        /// What is missing.
        variables: Vec<String>,
    },
    /// The script has no such variable.
    #[error("script {script} has no variable {name}{}", did_you_mean(.nearest.as_deref(), .known))]
    Unknown {
        /// The script.
        script: &'static str,
        /// What was given.
        name: String,
        /// The variable that was perhaps meant.
        nearest: Option<String>,
        /// What the script has.
        known: Vec<String>,
    },
    /// The same variable is given more than once.
    #[error("variable {name} of script {script} is given twice")]
    Twice {
        /// The script.
        script: &'static str,
        /// The variable.
        name: String,
    },
    /// A value is not of its variable's kind.
    #[error("variable {name} of script {script} cannot have this value")]
    Value {
        /// The script.
        script: &'static str,
        /// The variable.
        name: String,
        /// What is wrong with it.
        source: ValueError,
    },
}

fn did_you_mean(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None if known.is_empty() => "; it has none".to_owned(),
        None => format!("; it has {}", known.join(", ")),
    }
}

pub(super) fn fill(script: &Script, values: &[(&str, &str)]) -> Result<String, FillError> {
    let mut given: Vec<Option<&str>> = vec![None; script.variables.len()];
    for (name, value) in values {
        let at = position(script, name)?;
        if given[at].replace(value).is_some() {
            let (script, name) = (script.name, script.variables[at].name.clone());
            return Err(FillError::Twice { script, name });
        }
    }
    let mut missing = Vec::new();
    let mut filled = Vec::new();
    for (variable, value) in script.variables.iter().zip(given) {
        match value.or(variable.default.as_deref()) {
            Some(value) => filled.push((variable, value)),
            None => missing.push(variable.name.clone()),
        }
    }
    if !missing.is_empty() {
        let (script, variables) = (script.name, missing);
        return Err(FillError::Missing { script, variables });
    }
    for (variable, value) in &filled {
        variable
            .kind
            .check(value)
            .map_err(|source| FillError::Value {
                script: script.name,
                name: variable.name.clone(),
                source,
            })?;
    }
    Ok(put_in(script.text, &filled))
}

fn position(script: &Script, name: &str) -> Result<usize, FillError> {
    let known = || {
        script
            .variables
            .iter()
            .map(|variable| variable.name.as_str())
    };
    known()
        .position(|variable| variable.eq_ignore_ascii_case(name))
        .ok_or_else(|| FillError::Unknown {
            script: script.name,
            name: name.to_owned(),
            nearest: nearest(name, known()).map(str::to_owned),
            known: known().map(str::to_owned).collect(),
        })
}

/// The name most like this one, if any is like it.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    known
        .map(|known| {
            (
                strsim::normalized_damerau_levenshtein(&name, &known.to_lowercase()),
                known,
            )
        })
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Puts the values where `N'$(Name)'` stands. What was put in is not looked at again.
fn put_in(text: &str, values: &[(&Variable, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("$(") {
        out.push_str(before);
        let (name, after) = from.split_once(')').unwrap_or((from, ""));
        if let Some((_, value)) = values.iter().find(|(variable, _)| variable.name == name) {
            write_literal(value, &mut out);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::find;

    const ID: (&str, &str) = ("PrincipalId", "00112233-4455-6677-8899-aabbccddeeff");

    fn refused(values: &[(&str, &str)]) -> String {
        let script = find("create-user-by-sid").unwrap();
        let error = script.fill(values).unwrap_err();
        match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let name = ("PrincipalName", "orders");
        assert_eq!(
            refused(&[]),
            "script create-user-by-sid also needs PrincipalName, PrincipalId"
        );
        assert_eq!(
            refused(&[name, ("PrincipalID", "x"), ("principalid", "x")]),
            "variable PrincipalId of script create-user-by-sid is given twice"
        );
        assert_eq!(
            refused(&[("PrincpalName", "x")]),
            "script create-user-by-sid has no variable PrincpalName; did you mean PrincipalName?"
        );
        assert_eq!(
            refused(&[("Colour", "x")]),
            "script create-user-by-sid has no variable Colour; it has PrincipalName, PrincipalId, \
             PrincipalType, DefaultSchema"
        );
        assert_eq!(
            refused(&[name, ("PrincipalId", "orders")]),
            "variable PrincipalId of script create-user-by-sid cannot have this value: an id looks \
             like 00112233-4455-6677-8899-aabbccddeeff"
        );
        assert_eq!(
            refused(&[name, ID, ("PrincipalType", "G")]),
            "variable PrincipalType of script create-user-by-sid cannot have this value: it is one \
             of E, X"
        );
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        let script = find("create-user-by-sid").unwrap();
        let text = script
            .fill(&[("principalname", "N'$(PrincipalId)'\nGO\n"), ID])
            .unwrap();
        let line = "= N'N''$' + N'(PrincipalId)''' + NCHAR(10) + N'GO' + NCHAR(10) + N'';\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(text.lines().count(), script.text.lines().count());
    }
}
