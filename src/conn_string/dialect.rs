//! The four dialects.

use std::fmt;
use std::str::FromStr;

/// The rules by which a connection string is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `Microsoft.Data.SqlClient`: `key=value;…`, quotes.
    AdoNet,
    /// mssql-jdbc: `jdbc:sqlserver://host;key=value;…`, braces. Also Prisma's
    /// form, which lacks the `jdbc:`.
    Jdbc,
    /// Microsoft's ODBC driver: `key=value;…`, braces.
    Odbc,
    /// go-mssqldb: `sqlserver://user:password@host?key=value`, and its
    /// `odbc:key=value;…`.
    SqlServerUrl,
}

impl Dialect {
    /// All dialects, in the order of the keyword table.
    pub const ALL: [Self; 4] = [Self::AdoNet, Self::Odbc, Self::Jdbc, Self::SqlServerUrl];

    /// The name that [`FromStr`] reads: `adonet`, `odbc`, `jdbc`, `sqlserver-url`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AdoNet => "adonet",
            Self::Jdbc => "jdbc",
            Self::Odbc => "odbc",
            Self::SqlServerUrl => "sqlserver-url",
        }
    }

    /// The name for a sentence.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::AdoNet => "ADO.NET",
            Self::Jdbc => "JDBC",
            Self::Odbc => "ODBC",
            Self::SqlServerUrl => "sqlserver:// URL",
        }
    }

    /// The dialect that a text looks like; `None` if it may be ADO.NET as well
    /// as ODBC.
    #[must_use]
    pub fn detect(text: &str) -> Option<Self> {
        super::detect::dialect(text).ok()
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::AdoNet => 0,
            Self::Odbc => 1,
            Self::Jdbc => 2,
            Self::SqlServerUrl => 3,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such dialect; there are adonet, odbc, jdbc and sqlserver-url")]
pub struct UnknownDialect;

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownDialect)
    }
}
