//! Values of variables: what they may be, and how they stand in a script.

use std::fmt::{self, Write as _};

use uuid::Uuid;

use crate::tsql::{Name, NameError};

/// The longest value: a longer `N'…'` literal is of another type, and pieces put
/// together would lose their end.
const MAX_UNITS: usize = 4000;

/// What values a variable takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The name of something in a database, without brackets.
    Name,
    /// Names with commas between them.
    Names,
    /// Permissions as GRANT has them, with commas between them.
    Permissions,
    /// An id of the directory: 36 characters.
    Guid,
    /// One of these words.
    Choice(Vec<String>),
}

/// Why a value is not of its variable's [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// No database can have such a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is not the text of an id.
    #[error("an id looks like 00112233-4455-6677-8899-aabbccddeeff")]
    Guid,
    /// It is none of the words.
    #[error("it is one of {}", words.join(", "))]
    Choice {
        /// Those that are.
        words: Vec<String>,
    },
    /// One between commas is no permission.
    #[error("a permission has letters and spaces only, such as SELECT or VIEW DEFINITION")]
    Permission,
    /// It is too long for a literal.
    #[error("a list has at most {MAX_UNITS} UTF-16 code units, this one has {units}")]
    TooLong {
        /// How long it is, in UTF-16 code units.
        units: usize,
    },
}

impl Kind {
    /// Reads what stands in parentheses in a header.
    pub(super) fn read(text: &str) -> Self {
        match text {
            "name" => Self::Name,
            "names" => Self::Names,
            "permissions" => Self::Permissions,
            "guid" => Self::Guid,
            _ => Self::Choice(text.split('|').map(str::to_owned).collect()),
        }
    }

    /// Checks a value.
    pub(super) fn check(&self, value: &str) -> Result<(), ValueError> {
        match self {
            Self::Name => Name::new(value).map(|_| ())?,
            Self::Names | Self::Permissions => {
                let units = value.encode_utf16().count();
                if units > MAX_UNITS {
                    return Err(ValueError::TooLong { units });
                }
                for item in value.split(',').map(str::trim) {
                    Name::new(item)?;
                    let plain = item.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ');
                    if *self == Self::Permissions && !plain {
                        return Err(ValueError::Permission);
                    }
                }
            }
            Self::Guid => {
                if value.len() != 36 || Uuid::try_parse(value).is_err() {
                    return Err(ValueError::Guid);
                }
            }
            Self::Choice(words) => {
                if !words.iter().any(|word| word == value) {
                    let words = words.clone();
                    return Err(ValueError::Choice { words });
                }
            }
        }
        Ok(())
    }
}

/// As a header has it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Names => f.write_str("names"),
            Self::Permissions => f.write_str("permissions"),
            Self::Guid => f.write_str("guid"),
            Self::Choice(words) => f.write_str(&words.join("|")),
        }
    }
}

/// Writes a value for the place between the quotes of an `N'…'` literal.
///
/// Quotes are doubled. What would begin a line, where sqlcmd and others look for
/// `GO` and for commands, or would make the script look like another one to
/// whoever reads it, is made by NCHAR. `$(` is taken apart, so that sqlcmd finds
/// no variable.
pub(super) fn write_literal(value: &str, out: &mut String) {
    let mut before = '\0';
    for c in value.chars() {
        match c {
            '\'' => out.push_str("''"),
            '(' if before == '$' => out.push_str("' + N'("),
            c if is_hidden(c) => {
                let _ = write!(out, "' + NCHAR({}) + N'", u32::from(c));
            }
            c => out.push(c),
        }
        before = c;
    }
}

/// An expression of T-SQL whose value is the text.
#[cfg(feature = "grants")]
pub(crate) fn literal(text: &str) -> String {
    let mut out = String::from("N'");
    write_literal(text, &mut out);
    out.push('\'');
    out
}

/// Control characters, ends of lines, and marks that turn the direction of text.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(value: &str) -> String {
        let mut out = String::new();
        write_literal(value, &mut out);
        format!("N'{out}'")
    }

    #[test]
    fn a_value_stays_inside_of_its_literal() {
        for (value, expected) in [
            ("orders", "N'orders'"),
            ("o'brien", "N'o''brien'"),
            ("'; DROP TABLE t --", "N'''; DROP TABLE t --'"),
            ("$(x)", "N'$' + N'(x)'"),
            ("a$$(x)$", "N'a$$' + N'(x)$'"),
            ("a\nGO\n", "N'a' + NCHAR(10) + N'GO' + NCHAR(10) + N''"),
            ("\r\n", "N'' + NCHAR(13) + N'' + NCHAR(10) + N''"),
            ("\u{2028}GO", "N'' + NCHAR(8232) + N'GO'"),
            ("\u{202e}txt", "N'' + NCHAR(8238) + N'txt'"),
            ("مرحبا 😀", "N'مرحبا 😀'"),
            ("a]b--/*", "N'a]b--/*'"),
        ] {
            assert_eq!(literal(value), expected);
        }
    }

    #[test]
    fn values_are_checked_by_kind() {
        let long = "x".repeat(129);
        assert_eq!(Kind::Name.check(" ]'$(x)\n"), Ok(()));
        assert_eq!(Kind::Name.check(""), Err(NameError::Empty.into()));
        let units = 129;
        assert_eq!(
            Kind::Name.check(&long),
            Err(NameError::TooLong { units }.into())
        );
        assert_eq!(Kind::Names.check("a, b"), Ok(()));
        assert_eq!(Kind::Names.check("a,,b"), Err(NameError::Empty.into()));
        let units = 8 * 501 - 1;
        let list = vec!["abcdefg"; 501].join(",");
        assert_eq!(Kind::Names.check(&list), Err(ValueError::TooLong { units }));
        assert_eq!(Kind::Permissions.check("SELECT, VIEW DEFINITION"), Ok(()));
        let wrong = Kind::Permissions.check("SELECT TO [x]; --");
        assert_eq!(wrong, Err(ValueError::Permission));
        assert_eq!(
            Kind::Guid.check("00112233-4455-6677-8899-aAbBccddeeff"),
            Ok(())
        );
        for wrong in [
            "",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "0011223344556677",
        ] {
            assert_eq!(Kind::Guid.check(wrong), Err(ValueError::Guid));
        }
        let choice = Kind::read("E|X");
        assert_eq!(choice.check("X"), Ok(()));
        assert_eq!(
            choice.check("e").unwrap_err().to_string(),
            "it is one of E, X"
        );
    }
}
