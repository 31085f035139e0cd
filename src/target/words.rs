//! What settings are called in the dialect that a target was written in.

use crate::conn_string::Dialect;

/// What the settings of encryption are called, for errors that name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncryptWords {
    /// Why a target that must encrypt does, and what would lift that.
    pub(crate) must: &'static str,
    /// Why a password is not sent in clear, and what would allow it.
    pub(crate) in_clear: &'static str,
}

impl EncryptWords {
    /// The words of a dialect; `None` are those of a target made by hand.
    pub(super) fn of(dialect: Option<Dialect>) -> Self {
        let (must, in_clear) = match dialect {
            Some(Dialect::AdoNet) => (
                "the connection must have it; Encrypt=Optional would do without",
                "the password would be sent in clear, which no keyword of ADO.NET allows; a \
                 sqlserver:// URL with encrypt=disable would",
            ),
            Some(Dialect::Odbc) => (
                "the connection must have it; Encrypt=no would do without",
                "the password would be sent in clear, which no keyword of ODBC allows; a \
                 sqlserver:// URL with encrypt=disable would",
            ),
            Some(Dialect::Jdbc) => (
                "the connection must have it; encrypt=false would do without",
                "the password would be sent in clear, which no property of JDBC allows; a \
                 sqlserver:// URL with encrypt=disable would",
            ),
            Some(Dialect::SqlServerUrl) => (
                "the connection must have it; encrypt=false would do without",
                "the password would be sent in clear; encrypt=disable would allow that",
            ),
            None => (
                "the connection must have it; Encrypt::Optional would do without",
                "the password would be sent in clear; Encrypt::Disable would allow that",
            ),
        };
        Self { must, in_clear }
    }
}
