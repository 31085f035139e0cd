//! The T-SQL scripts of `sql/`: what each is for, and each with its variables
//! filled in.
//!
//! The files can be run with sqlcmd as they stand. There, a variable is text
//! that is put into the script as it is, so whoever gives it must double its
//! quotes. [`Script::fill`] does that, and more: what it returns is the same
//! statement whatever the values hold.
//!
//! ```
//! use entrada::scripts;
//!
//! let script = scripts::find("create-user-by-sid").unwrap();
//! let text = script.fill(&[
//!     ("PrincipalName", "o'brien"),
//!     ("PrincipalId", "00112233-4455-6677-8899-aabbccddeeff"),
//! ])?;
//! assert!(text.contains("= N'o''brien';"));
//! # Ok::<(), entrada::scripts::FillError>(())
//! ```

mod fill;
mod header;
mod value;

use std::sync::LazyLock;

pub use fill::FillError;
pub use value::{Kind, ValueError};
#[cfg(feature = "grants")]
pub(crate) use value::{is_hidden, literal};

/// A script of `sql/`, with what its header says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// The file's name without `.sql`.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub purpose: String,
    /// What it wants to be told, in the order of the header.
    pub variables: Vec<Variable>,
    /// The right that whoever runs it needs.
    pub needs: String,
    /// What it changes.
    pub changes: String,
    /// What else to know, a paragraph each.
    pub notes: Vec<String>,
    /// Where its facts come from: addresses.
    pub sources: Vec<String>,
    /// The script as it stands in the file, with `$(Variable)`.
    pub text: &'static str,
}

/// A variable of a [`Script`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name, as in `$(Name)`.
    pub name: String,
    /// What values it takes.
    pub kind: Kind,
    /// What it is.
    pub meaning: String,
    /// What [`Script::fill`] takes if it is not given. sqlcmd knows no defaults.
    pub default: Option<String>,
    /// A value that it might have.
    pub example: Option<String>,
}

impl Script {
    /// The script with its variables filled in. Names of variables are not
    /// case-sensitive, as with sqlcmd; one that has a default may be left out.
    ///
    /// Whatever a value holds, it stays inside of the literal that it is put
    /// into, on one line, and sqlcmd finds no variable in it.
    ///
    /// # Errors
    /// [`FillError`] if a variable is missing, unknown or given twice, or a
    /// value is not of its kind.
    pub fn fill(&self, values: &[(&str, &str)]) -> Result<String, FillError> {
        fill::fill(self, values)
    }
}

/// Every script, by name.
#[must_use]
pub fn all() -> &'static [Script] {
    static ALL: LazyLock<Vec<Script>> = LazyLock::new(|| {
        let texts = TEXTS.iter();
        texts.map(|(name, text)| header::read(name, text)).collect()
    });
    &ALL
}

/// The script of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Script> {
    all().iter().find(|script| script.name == name)
}

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../sql/", $name, ".sql")))),*]
    };
}

/// Names and texts, sorted by name.
const TEXTS: &[(&str, &str)] = texts![
    "add-to-fixed-roles",
    "add-to-role",
    "audit",
    "create-user",
    "create-user-by-object-id",
    "create-user-by-sid",
    "db-owner",
    "drop-user",
    "execute-procedures",
    "grant-on-object",
    "migrations-owner",
    "read-only",
    "read-write",
    "remove-from-role",
    "replace-identity",
    "revoke",
    "service-role",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_embedded_and_every_header_complete() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|file| file.strip_suffix(".sql").map(str::to_owned))
            .collect();
        let embedded: Vec<&str> = all().iter().map(|script| script.name).collect();
        assert_eq!(embedded, files.iter().collect::<Vec<_>>());
        for script in all() {
            let Script { name, purpose, .. } = script;
            assert!(purpose.ends_with('.') && !purpose.contains(". "), "{name}");
            assert!(script.needs.ends_with('.'), "{name}: needs");
            assert!(script.changes.ends_with('.'), "{name}: changes");
            assert!(!script.sources.is_empty(), "{name}: sources");
            for Variable {
                name: variable,
                meaning,
                default,
                example,
                ..
            } in &script.variables
            {
                assert!(meaning.ends_with('.'), "{name}: {variable}");
                assert!(default.is_some() || example.is_some(), "{name}: {variable}");
            }
        }
    }

    #[test]
    fn a_variable_stands_inside_of_a_literal_and_once() {
        for Script {
            name,
            text,
            variables,
            ..
        } in all()
        {
            let mut found = Vec::new();
            for (at, _) in text.match_indices("$(") {
                let (variable, after) = text[at + 2..].split_once(')').unwrap();
                let inside = text[..at].ends_with(" = N'") && after.starts_with("';\n");
                assert!(inside, "{name}: {variable} is not all of a literal");
                found.push(variable);
            }
            let declared: Vec<&str> = variables.iter().map(|v| v.name.as_str()).collect();
            assert_eq!(found, declared, "{name}: as the header, in its order");
        }
    }

    #[test]
    fn examples_and_defaults_fill_every_script() {
        for script in all() {
            let values: Vec<(&str, &str)> = script
                .variables
                .iter()
                .filter_map(|v| Some((v.name.as_str(), v.example.as_deref()?)))
                .collect();
            let text = script.fill(&values).unwrap();
            assert!(!text.contains("$("), "{}", script.name);
        }
    }

    #[test]
    fn a_script_is_one_batch_that_leaves_nothing_half_done() {
        for Script { name, text, .. } in all() {
            assert!(text.contains("\nSET NOCOUNT ON;\n"), "{name}");
            assert!(text.contains("\nSET XACT_ABORT ON;\n"), "{name}");
            assert!(text.is_ascii() && !text.contains(['\t', '\r']), "{name}");
            for line in text.lines() {
                // An address is not cut.
                let address = line.starts_with("--   https://");
                assert!(address || line.len() <= 120, "{name}: {line}");
                assert!(!line.trim().eq_ignore_ascii_case("go"), "{name}");
            }
        }
    }
}
