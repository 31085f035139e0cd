//! One T-SQL statement, from parts that cannot be mistaken for each other.

use std::fmt::{self, Display, Write};

use serde::{Serialize, Serializer};

use super::{Name, Sid};

/// A T-SQL statement without its closing semicolon.
///
/// Words of the language are `&'static str`, so that no text from outside can be
/// one; everything else comes in by the method of its kind, which quotes it.
///
/// ```
/// use entrada::tsql::{Name, Statement};
///
/// let role = Name::new("db_datareader")?;
/// let member = Name::new("o]brien")?;
/// let statement = Statement::new("ALTER ROLE ").name(&role).words(" ADD MEMBER ").name(&member);
/// assert_eq!(statement.to_string(), "ALTER ROLE [db_datareader] ADD MEMBER [o]]brien]");
/// # Ok::<(), entrada::tsql::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statement(String);

impl Statement {
    /// Begins with words of the language.
    #[must_use]
    pub fn new(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// Adds words of the language.
    #[must_use]
    pub fn words(mut self, words: &'static str) -> Self {
        self.0.push_str(words);
        self
    }

    /// Adds a name in brackets.
    #[must_use]
    pub fn name(self, name: &Name) -> Self {
        self.shown(name)
    }

    /// Adds several names with commas between them.
    #[must_use]
    pub fn names<'n>(mut self, names: impl IntoIterator<Item = &'n Name>) -> Self {
        let mut comma = "";
        for name in names {
            self = self.words(comma).name(name);
            comma = ", ";
        }
        self
    }

    /// Adds a text as an `N'…'` literal.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.push_str("N'");
        self.0.push_str(&text.replace('\'', "''"));
        self.0.push('\'');
        self
    }

    /// Adds a security identifier as a hexadecimal literal.
    #[must_use]
    pub fn sid(self, sid: Sid) -> Self {
        self.shown(&sid)
    }

    /// Adds a whole number.
    #[must_use]
    pub fn number(self, number: i32) -> Self {
        self.shown(&number)
    }

    /// The text as it is sent to a server.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn shown(mut self, part: &dyn Display) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{part}");
        self
    }
}

/// Its text.
impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_literals() {
        let statement = Statement::new("SELECT ").text("o'brien's; --");
        assert_eq!(statement.as_str(), "SELECT N'o''brien''s; --'");
    }
}
