//! Identifiers of a database.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The longest identifier, `sysname`: 128 UTF-16 code units.
const MAX_UNITS: usize = 128;

/// The name of something in a database: a user, a role, a schema, an object, a
/// column. It may hold any character that SQL Server allows in a delimited
/// identifier.
///
/// `Display` quotes it with brackets, as T-SQL wants it: `[a]]b]`.
///
/// Equality is exact. Whether a database takes `Orders` for `orders` is a matter
/// of its collation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It has no characters.
    #[error("a name has at least one character")]
    Empty,
    /// It is longer than `sysname`.
    #[error("a name has at most {MAX_UNITS} UTF-16 code units, this one has {units}")]
    TooLong {
        /// How long it is, in UTF-16 code units.
        units: usize,
    },
    /// It holds U+0000, which no tool carries to a server unharmed.
    #[error("a name cannot hold the character U+0000")]
    Nul,
}

impl Name {
    /// # Errors
    /// [`NameError`] if no database can have it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.contains('\0') {
            return Err(NameError::Nul);
        }
        let units = text.encode_utf16().count();
        if units > MAX_UNITS {
            return Err(NameError::TooLong { units });
        }
        Ok(Self(text.into()))
    }

    /// The name without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name without quotes.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.replace(']', "]]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_whatever_it_holds() {
        for (text, quoted) in [
            ("orders", "[orders]"),
            ("a]b", "[a]]b]"),
            ("]", "[]]]"),
            ("[x]; DROP TABLE t --", "[[x]]; DROP TABLE t --]"),
            ("o'brien", "[o'brien]"),
            (" lead", "[ lead]"),
        ] {
            assert_eq!(Name::new(text).unwrap().to_string(), quoted);
        }
    }

    #[test]
    fn what_no_database_can_have_is_refused() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("a\0b"), Err(NameError::Nul));
        assert!(Name::new(&"x".repeat(128)).is_ok());
        assert!(Name::new(&"😀".repeat(64)).is_ok());
        assert_eq!(
            Name::new(&"😀".repeat(65)),
            Err(NameError::TooLong { units: 130 })
        );
    }
}
