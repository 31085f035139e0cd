//! Connection strings: text to keyword and value pairs, by the rules of the
//! driver that the text was written for.
//!
//! There are four [dialects](Dialect). Each has its own grammar, keywords,
//! defaults and errors, those of Microsoft's driver: a string that works there
//! means the same here. What that driver drops in silence is a [`Warning`],
//! and strict parsing turns warnings into errors.
//!
//! ```
//! use entrada::conn_string::{ConnectionString, Dialect, Key};
//!
//! let text = "Server=app.database.windows.net;Database=shop;Authentication=Active Directory MSI";
//! let string = ConnectionString::parse(text)?;
//! assert_eq!(string.dialect(), Dialect::AdoNet);
//! assert_eq!(string.text(Key::Authentication), Some("ActiveDirectoryManagedIdentity"));
//!
//! let error = ConnectionString::parse("Server=app;Databse=shop").unwrap_err();
//! assert_eq!(error.to_string(), "column 11: unknown keyword 'Databse'; did you mean 'Database'?");
//! # Ok::<(), entrada::conn_string::ParseError>(())
//! ```
//!
//! Passwords and other secrets are [`Secret`]s from the start, and no error or
//! warning repeats a value. Keywords are repeated as written, cut to 64
//! characters, provided that they look like keywords (letters, digits,
//! blanks and `_-.=;`): what a broken text makes a keyword may be the other half
//! of a password. After a secret that is neither quoted nor braced nothing
//! before a `;` is repeated.

mod ado;
mod auth_method;
mod builder;
mod checks;
mod detect;
mod dialect;
mod error;
mod jdbc;
mod keywords;
mod lookup;
mod odbc;
mod own;
mod raw;
mod reference;
mod server;
mod settle;
mod url;
mod values;
mod write;

pub use auth_method::AuthMethod;
pub use dialect::{Dialect, UnknownDialect};
pub use error::{ParseError, Warning, WarningKind, WriteError};
pub use keywords::{KEYWORDS, Key, Keyword};
pub use lookup::keyword_table;
pub use reference::ReferencePlace;

pub(crate) use reference::{Draft, is_reference};
pub(crate) use settle::split_tenant;

use crate::secret::Secret;

/// The longest text that is read, in bytes.
pub const MAX_LEN: usize = 64 * 1024;

/// A connection string, read: typed settings under canonical keywords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionString {
    dialect: Dialect,
    settings: Vec<Setting>,
    warnings: Vec<Warning>,
    references: Vec<ReferencePlace>,
}

/// One setting of a connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The keyword.
    pub key: Key,
    /// The value that is in force.
    pub value: Value,
}

/// A typed value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// Something that must not be seen.
    Secret(Secret),
    /// A text; for a word of a fixed set, in its canonical spelling.
    Text(String),
}

impl Value {
    /// The text, if it is one and no secret.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// How to read a connection string.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct ParseOptions {
    dialect: Option<Dialect>,
    strict: bool,
    keep_references: bool,
}

impl ParseOptions {
    /// Tells the dialect from the text, and lets warnings pass.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads by the rules of this dialect, whatever the text looks like.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Whether a warning is an error. Defaults to `false`.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Whether a Key Vault reference may stand where a text is expected. It is
    /// then the value, and listed in [`ConnectionString::references`]; no
    /// [`Target`](crate::target::Target) is made of such a string.
    ///
    /// Defaults to `false`: a reference that nobody has resolved is
    /// [`ParseError::UnresolvedReference`].
    pub fn keep_references(mut self, keep: bool) -> Self {
        self.keep_references = keep;
        self
    }

    /// The dialect, if it is not to be told from the text.
    pub(crate) fn chosen_dialect(self) -> Option<Dialect> {
        self.dialect
    }

    /// Reads a connection string.
    ///
    /// # Errors
    ///
    /// See [`ParseError`]; with strict parsing also what is a warning otherwise.
    pub fn parse(self, text: &str) -> Result<ConnectionString, ParseError> {
        if text.len() > MAX_LEN {
            return Err(ParseError::Syntax {
                column: 0,
                problem: "the string is longer than 64 KiB",
            });
        }
        if is_reference(text) {
            return Err(ParseError::UnresolvedReference {
                column: 0,
                keyword: None,
            });
        }
        let read = match self.dialect {
            Some(dialect) => settle::parse_as(text, dialect),
            None => detect::parse(text),
        };
        let mut string = match read {
            Ok(string) if string.warnings.is_empty() => string,
            Ok(string) => reference::cut_off(text).map_or(Ok(string), Err)?,
            Err(error) => return Err(reference::cut_off(text).unwrap_or(error)),
        };
        if let Some(place) = string.references.first().filter(|_| !self.keep_references) {
            return Err(ParseError::UnresolvedReference {
                column: place.column,
                keyword: Some(place.key.name()),
            });
        }
        if self.strict && !string.warnings.is_empty() {
            return Err(ParseError::Strict {
                warning: string.warnings.swap_remove(0),
            });
        }
        Ok(string)
    }
}

impl ConnectionString {
    /// Reads a text in the dialect that it looks like.
    ///
    /// # Errors
    ///
    /// [`ParseError::Ambiguous`] if ADO.NET and ODBC would read different
    /// things out of it; otherwise what the dialect's driver refuses.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        ParseOptions::new().parse(text)
    }

    /// Reads a text by the rules of one dialect.
    ///
    /// # Errors
    ///
    /// What the dialect's driver refuses.
    pub fn parse_as(text: &str, dialect: Dialect) -> Result<Self, ParseError> {
        ParseOptions::new().dialect(dialect).parse(text)
    }

    /// A connection string without settings, to be filled by [`set`](Self::set).
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            settings: Vec::new(),
            warnings: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Puts a setting in, or in place of an earlier one. It is checked when
    /// the string is [written](Self::write).
    pub fn set(&mut self, key: Key, value: Value) -> &mut Self {
        match self.settings.iter_mut().find(|setting| setting.key == key) {
            Some(setting) => setting.value = value,
            None => self.settings.push(Setting { key, value }),
        }
        self
    }

    /// The dialect by whose rules the text was read.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The settings that the text makes, in its order.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// What the dialect's driver drops in silence.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The values that are Key Vault references, if the string was read with
    /// [`keep_references`](ParseOptions::keep_references).
    #[must_use]
    pub fn references(&self) -> &[ReferencePlace] {
        &self.references
    }

    /// The value of a keyword; `None` is its default.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Value> {
        self.settings
            .iter()
            .find(|setting| setting.key == key)
            .map(|setting| &setting.value)
    }

    /// The value of a keyword that takes a text.
    #[must_use]
    pub fn text(&self, key: Key) -> Option<&str> {
        self.get(key).and_then(Value::as_text)
    }

    /// The value of a keyword that takes a number.
    #[must_use]
    pub fn number(&self, key: Key) -> Option<i64> {
        self.get(key).and_then(Value::as_number)
    }

    /// The value of a keyword that takes yes or no.
    #[must_use]
    pub fn flag(&self, key: Key) -> Option<bool> {
        match self.get(key) {
            Some(Value::Bool(on)) => Some(*on),
            _ => None,
        }
    }

    /// The value of a keyword that takes a secret.
    #[must_use]
    pub fn secret(&self, key: Key) -> Option<&Secret> {
        match self.get(key) {
            Some(Value::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// The value of `Authentication`.
    #[must_use]
    pub fn authentication(&self) -> Option<AuthMethod> {
        self.text(Key::Authentication).and_then(AuthMethod::of_name)
    }

    /// The default in force for a keyword that the text does not set, as text.
    #[must_use]
    pub fn default_of(&self, key: Key) -> Option<&'static str> {
        lookup::default_of(self.dialect, key)
    }

    /// Writes the settings in a dialect, quoted so that its driver reads the
    /// same out of them. The result is a secret, for it may hold some.
    ///
    /// # Errors
    ///
    /// If the dialect has no keyword for a setting or cannot express its value.
    pub fn write(&self, dialect: Dialect) -> Result<Secret, WriteError> {
        write::write(self, dialect)
    }
}

impl std::str::FromStr for ConnectionString {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}
