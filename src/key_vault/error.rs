//! Why a reference could not be turned into its secret.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::reference::ReferenceError;
use crate::conn_string::ParseError;
use crate::target::TargetError;
use crate::token::{FetchError, Reply, SourceKey, TokenError};

/// Why a connection string with Key Vault references could not be read.
///
/// `Display` tells this level only; [`source`](std::error::Error::source) has the cause. No
/// variant holds a secret. Clones are cheap.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyVaultError {
    /// The text is no connection string, or is none with its secrets filled in.
    #[error(transparent)]
    ConnectionString(#[from] ParseError),
    /// A secret is itself a reference.
    #[error(
        "{place}: the secret in the vault is itself a Key Vault reference; name the secret that is meant"
    )]
    Nested {
        /// Whose reference.
        place: Place,
    },
    /// A secret names a program to run on this machine (`Entrada Federated Token=command:…`).
    #[error(
        "{place}: the secret in the vault names a program to run, which only the connection string \
         itself may do: write Entrada Federated Token there, outside of the vault"
    )]
    Program {
        /// Whose reference.
        place: Place,
    },
    /// A reference cannot be used.
    #[error("{place}: the Key Vault reference cannot be used")]
    Reference {
        /// Whose reference.
        place: Place,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// A secret could not be read.
    #[error("{place}: cannot read the secret `{secret}` of `{vault}`")]
    Secret {
        /// Whose secret.
        place: Place,
        /// The vault's host.
        vault: String,
        /// The secret's name.
        secret: String,
        /// Why.
        source: Arc<VaultError>,
    },
    /// The connection string asks for what this crate does not do.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl KeyVaultError {
    /// Whether the same call may succeed soon with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Secret { source, .. } if source.is_transient())
    }

    /// Whether it is about who we are: no token, or a vault that refuses it.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        let Self::Secret { source, .. } = self else {
            return false;
        };
        matches!(
            **source,
            VaultError::Forbidden { .. }
                | VaultError::Source(_)
                | VaultError::Token { .. }
                | VaultError::Unauthorized { .. }
        )
    }

    /// Whether the vault could not be reached, or fell silent.
    #[must_use]
    pub fn is_network(&self) -> bool {
        let Self::Secret { source, .. } = self else {
            return false;
        };
        matches!(
            **source,
            VaultError::NoVault { .. } | VaultError::Silent { .. } | VaultError::Unreachable(_)
        )
    }
}

/// Where a reference stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// It was given by itself.
    Alone,
    /// It is the value of a keyword.
    Value {
        /// The keyword, in its canonical spelling.
        keyword: &'static str,
        /// Where the pair starts, in characters from zero.
        column: usize,
    },
    /// It is the whole connection string.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("the reference"),
            Self::Value { keyword, column } => write!(f, "column {column}, {keyword}"),
            Self::Whole => f.write_str("column 0, the whole string"),
        }
    }
}

/// Why a vault gave no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The vault does not say whose tokens it takes.
    #[error(
        "{endpoint} asks for no token as a vault would (WWW-Authenticate); check that it is a vault"
    )]
    Challenge {
        /// Its address.
        endpoint: String,
    },
    /// The secret is disabled.
    #[error("the secret is disabled; enable it, or name another version")]
    Disabled,
    /// The vault refuses the identity.
    #[error("the vault refuses {identity}: {reply}; {}", denial.advice())]
    Forbidden {
        /// Who asked.
        identity: SourceKey,
        /// What kind of refusal it is.
        denial: Denial,
        /// What the vault answered.
        reply: Reply,
    },
    /// A vault asks for tokens that are not for it.
    #[error(
        "the vault asks for a token for `{resource}`, which is not its own resource; no token was sent"
    )]
    ForeignChallenge {
        /// What it asks for, cut to 100 characters.
        resource: String,
    },
    /// The reply is JSON but no secret.
    #[error("the reply of {endpoint} has no usable value; check that it is a vault")]
    Malformed {
        /// Its address.
        endpoint: String,
    },
    /// Something answered that is no vault.
    #[error(
        "{endpoint} answered with status {status} and not as a vault does; check for a proxy or a captive portal"
    )]
    NoVault {
        /// Its address.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
    /// There is no such secret.
    #[error(
        "there is no such secret or version: {reply}; check the names, and whether it was deleted"
    )]
    NotFound {
        /// What the vault answered.
        reply: Reply,
    },
    /// Another refusal.
    #[error("the vault refused: {reply}; check the reference, and the vault in the portal")]
    Refused {
        /// What the vault answered.
        reply: Reply,
    },
    /// Everything together took too long.
    #[error("no secret within {} s", after.as_secs())]
    Silent {
        /// The time that a secret may take in all.
        after: Duration,
    },
    /// No token source fits the identity.
    #[error("no token can be had for the vault")]
    Source(#[source] TokenError),
    /// There is no token to show the vault.
    #[error("cannot get a token for the vault")]
    Token {
        /// Why.
        #[source]
        source: TokenError,
    },
    /// The secret is longer than any.
    #[error(
        "the reply of {endpoint} is larger than {max} bytes, which no secret is; check that it is a vault"
    )]
    TooLarge {
        /// Its address.
        endpoint: String,
        /// The limit.
        max: usize,
    },
    /// The vault takes no token of this identity.
    #[error(
        "the vault does not accept the token of {identity}: {reply}; the vault belongs to {}, which must be the \
         identity's, too",
        tenant.as_ref().map_or("a tenant that it does not name".to_owned(), |tenant| format!("tenant {tenant}"))
    )]
    Unauthorized {
        /// Who asked.
        identity: SourceKey,
        /// The tenant that the vault belongs to.
        tenant: Option<String>,
        /// What the vault answered.
        reply: Reply,
    },
    /// The vault could not be reached, is overloaded or out of order.
    #[error("the vault gave no answer")]
    Unreachable(#[source] FetchError),
}

impl VaultError {
    /// Whether the same request may succeed soon with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Silent { .. } => true,
            Self::Source(error) | Self::Token { source: error } => error.is_transient(),
            Self::Unreachable(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// The kinds of a vault's 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Denial {
    /// The vault works by access policies, and none fits.
    AccessPolicy,
    /// The vault's firewall.
    Firewall,
    /// The vault works by Azure roles, and none fits.
    Role,
    /// The vault does not say.
    Unknown,
}

impl Denial {
    /// What to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::AccessPolicy => "give it an access policy with Get on secrets",
            Self::Firewall => {
                "permit this network in the vault's firewall, or reach the vault by a private endpoint"
            }
            Self::Role => {
                "give it the role Key Vault Secrets User on the vault or the secret; a new role may take \
                 10 minutes to be in force"
            }
            Self::Unknown => {
                "give it the role Key Vault Secrets User (or an access policy with Get), and check the \
                 vault's firewall; a new role may take 10 minutes to be in force"
            }
        }
    }
}
