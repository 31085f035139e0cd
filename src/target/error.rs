//! What a connection string may say and this crate does not do.

use crate::conn_string::ParseError;

/// Why a connection string cannot become a [`Target`](super::Target).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The text is no connection string.
    #[error("cannot read the connection string")]
    ConnectionString(#[from] ParseError),
    /// A named instance of Azure SQL, which has none.
    #[error("Azure SQL has no named instances; write the host only")]
    InstanceOnAzure,
    /// Windows or Kerberos login.
    #[error(
        "Windows and Kerberos logins are not supported; write an Authentication such as ActiveDirectoryMSI \
         instead of Integrated Security (Trusted_Connection)"
    )]
    IntegratedSecurity,
    /// The driver would drop a setting that decides about security.
    #[error(
        "column {column}: the driver would lose {keyword} here and go on without; mend the text around it"
    )]
    LostSetting {
        /// Where the text is broken, in characters from zero.
        column: usize,
        /// The canonical name of the setting.
        keyword: &'static str,
    },
    /// A method that needs a person, or a user's password.
    #[error("{method} is not supported; {instead}")]
    Method {
        /// The value of `Authentication`.
        method: &'static str,
        /// What to use in its place.
        instead: &'static str,
    },
    /// No identity at all.
    #[error(
        "the connection string names no identity; add Authentication=ActiveDirectoryMSI for a managed identity, \
         or User ID and Password for a SQL login"
    )]
    NoIdentity,
    /// A setting that says something, but nothing that can be done.
    #[error("the value of {keyword} is not valid; it takes {expected}")]
    Setting {
        /// The canonical name of the setting.
        keyword: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A way to the server other than TCP.
    #[error("{protocol} is not supported; {instead}")]
    Protocol {
        /// What the string asks for.
        protocol: &'static str,
        /// What to write in its place.
        instead: &'static str,
    },
    /// A token is given by the caller, and the string names an identity.
    #[error(
        "the token comes from the caller, so {keyword} must not stand in the connection string"
    )]
    TwoIdentities {
        /// The canonical name of the setting.
        keyword: &'static str,
    },
}
