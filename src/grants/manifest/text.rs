//! Texts of a manifest: variables in them, and names of two parts.

use crate::token::Environment;

/// The longest value, and the longest text with values in it: more than any
/// connection string has.
const MAX_VALUE: usize = 64 * 1024;

/// Puts the values of variables in the places of `${NAME}` and
/// `${NAME:-default}`; `$$` is a dollar sign.
///
/// What a variable holds is never read as anything but text.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    fill(text, environment, |_| Ok(()))
}

/// As [`expand`], for a connection string, in which some characters part one value
/// from the next: a variable inside of it may hold none of them.
pub(super) fn expand_connection(text: &str, environment: &Environment) -> Result<String, String> {
    let inside = text.strip_prefix("${").and_then(|it| it.split_once('}'));
    let is_whole = inside.is_some_and(|(_, rest)| rest.is_empty());
    let is_url = text.contains("://") && !text.starts_with("jdbc:");
    fill(text, environment, |value| {
        if is_whole || is_one_value(value, is_url) {
            return Ok(());
        }
        Err(
            "holds a character that means something in a connection string; \
             put the whole string into a variable, and write \"env:NAME\"",
        )
    })
}

/// Whether a text within a connection string can be nothing but a value.
fn is_one_value(text: &str, is_url: bool) -> bool {
    if is_url {
        return text
            .chars()
            .all(|c| c.is_alphanumeric() || "-._~".contains(c));
    }
    let parts = |c: char| c.is_control() || ";'\"{}".contains(c);
    let is_reference = text.to_ascii_lowercase().contains("@microsoft.keyvault");
    !text.contains(parts) && !text.starts_with('=') && !is_reference
}

fn fill(
    text: &str,
    environment: &Environment,
    fits: impl Fn(&str) -> Result<(), &'static str>,
) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let inside = after.strip_prefix('{').and_then(|it| it.split_once('}'));
        let Some((inside, after)) = inside else {
            return Err("write ${NAME} for a variable and $$ for a dollar sign".to_owned());
        };
        expanded.push_str(&value(inside, environment, &fits)?);
        if expanded.len() > MAX_VALUE {
            return Err(format!(
                "with the values of its variables it has more than {MAX_VALUE} bytes"
            ));
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A text that [`expand`] turns into this one.
pub(super) fn protect(text: &str) -> String {
    text.replace('$', "$$")
}

fn value(
    inside: &str,
    environment: &Environment,
    fits: impl Fn(&str) -> Result<(), &'static str>,
) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_word)
    {
        return Err(
            "the name of a variable has letters, digits and _ only: write ${NAME} or ${NAME:-default}"
                .to_owned(),
        );
    }
    match (environment.var(name), default) {
        (Some(value), _) if value.len() > MAX_VALUE => Err(format!(
            "the variable {name} holds more than {MAX_VALUE} bytes"
        )),
        (Some(value), _) => match fits(&value) {
            Ok(()) => Ok(value),
            Err(why) => Err(format!("the variable {name} {why}")),
        },
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "the variable {name} is not set, is empty or is not text; set it, or write ${{{name}:-default}}"
        )),
    }
}

/// Splits `schema.name`, whose parts may stand in brackets as in T-SQL
/// (`[a.b].[c]]d]`). Points and brackets inside of `${…}` are not looked at, so
/// that a variable is a part or a piece of one, whatever it holds.
pub(super) fn two_parts(text: &str) -> Option<(String, String)> {
    let (first, rest) = part(text)?;
    let (second, rest) = part(rest.strip_prefix('.')?)?;
    rest.is_empty().then_some((first, second))
}

/// The first part, unquoted, and what follows it.
fn part(text: &str) -> Option<(String, &str)> {
    let is_quoted = text.starts_with('[');
    let mut rest = text.strip_prefix('[').unwrap_or(text);
    let mut found = String::new();
    loop {
        if let Some(inside) = rest.strip_prefix("${") {
            let end = rest.len() - inside.len() + inside.find('}')? + 1;
            let (variable, after) = rest.split_at_checked(end)?;
            found.push_str(variable);
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("$$") {
            found.push_str("$$");
            rest = after;
            continue;
        }
        let Some(next) = rest.chars().next() else {
            return (!is_quoted).then_some((found, rest));
        };
        let after = rest.strip_prefix(next)?;
        match (is_quoted, next) {
            (true, ']') => match after.strip_prefix(']') {
                Some(after) => {
                    found.push(']');
                    rest = after;
                }
                None => return Some((found, after)),
            },
            (false, '.') => return Some((found, rest)),
            (false, '[' | ']' | '"') => return None,
            _ => {
                found.push(next);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::from_pairs([("A", "one"), ("B", "$A ${A} ]."), ("EMPTY", "")])
    }

    #[test]
    fn variables_are_text_and_nothing_else() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("${A}-${A}", "one-one"),
            ("$$A $${A}", "$A ${A}"),
            ("${B}", "$A ${A} ]."),
            ("${NONE:-x:-y}", "x:-y"),
            ("${EMPTY:-}", ""),
            ("${A:-x}", "one"),
        ] {
            assert_eq!(
                expand(text, &environment()).as_deref(),
                Ok(wanted),
                "{text}"
            );
        }
        for (text, wanted) in [
            ("${NONE}", "the variable NONE is not set"),
            ("$A", "write ${NAME}"),
            ("${A", "write ${NAME}"),
            ("a$", "write ${NAME}"),
            ("${}", "the name of a variable"),
            ("${1A}", "the name of a variable"),
            ("${A B}", "the name of a variable"),
        ] {
            let told = expand(text, &environment()).unwrap_err();
            assert!(told.starts_with(wanted), "{text}: {told}");
        }
    }

    #[test]
    fn a_variable_within_a_connection_string_is_one_value() {
        let with = |value: &str, text: &str| {
            let environment = Environment::from_pairs([("V", value)]);
            expand_connection(text, &environment)
        };
        let ado = "Server=a;Password=${V};Encrypt=yes";
        let url = "sqlserver://u:${V}@a";
        for (value, text, fits) in [
            ("Pa55=", ado, true),
            ("Pa55;Encrypt=no", ado, false),
            ("'Pa55", ado, false),
            ("\"Pa55", ado, false),
            ("{Pa55", ado, false),
            ("a\nb", ado, false),
            ("=x", ado, false),
            ("@Microsoft.KeyVault(SecretUri=https://a/b)", ado, false),
            ("Pa-55", url, true),
            ("x@evil.example/?y", url, false),
            ("Server=a;Encrypt=no", "${V}", true),
            ("Server=a;Encrypt=no", "${V:-x}", true),
            ("Server=a;Encrypt=no", "${V};Database=b", false),
            ("a;b", "${V}${V}", false),
        ] {
            let told = with(value, text);
            assert_eq!(told.is_ok(), fits, "{value} {text}");
            assert!(!told.is_err_and(|told| told.contains(value)));
        }
        // What the file says itself is not looked at.
        let told = expand_connection("${NONE:-Server=a;Encrypt=no}", &environment());
        assert!(told.is_ok());
    }

    #[test]
    fn a_text_has_a_bound_with_its_variables() {
        let environment = Environment::from_pairs([("V", "x".repeat(MAX_VALUE / 4))]);
        assert!(expand(&"${V}".repeat(4), &environment).is_ok());
        let told = expand(&"${V}".repeat(5), &environment).unwrap_err();
        assert!(told.starts_with("with the values"), "{told}");
    }

    #[test]
    fn whatever_is_protected_comes_back() {
        for text in ["", "$", "$$", "${A}", "a$b$$c"] {
            assert_eq!(expand(&protect(text), &environment()).unwrap(), text);
        }
    }

    #[test]
    fn names_have_two_parts() {
        for (text, first, second) in [
            ("sales.Orders", "sales", "Orders"),
            ("[a.b].[c]]d]", "a.b", "c]d"),
            ("${A.]}.x y", "${A.]}", "x y"),
            ("[${A}x].b", "${A}x", "b"),
            ("a.", "a", ""),
            ("[$${.].$$${A.}", "$${.", "$$${A.}"),
        ] {
            let parts = two_parts(text);
            assert_eq!(parts, Some((first.to_owned(), second.to_owned())), "{text}");
        }
        for text in [
            "", "a", "a.b.c", "[a.b", "[a]b.c", "a]b.c", "a.\"b\"", "${a.b",
        ] {
            assert_eq!(two_parts(text), None, "{text}");
        }
    }
}
