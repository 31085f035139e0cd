//! The crate's one error type: it composes what each module reports.

use std::fmt;

use crate::conn_string::ParseError;
use crate::dial::DialError;
#[cfg(feature = "emulator")]
use crate::emulator::EmulatorError;
use crate::key_vault::KeyVaultError;
use crate::pool::{PoolError, tiberius};
#[cfg(feature = "proxy")]
use crate::proxy::ProxyError;
use crate::target::TargetError;
use crate::token::TokenError;

/// Why Entrada could not do what was asked.
///
/// Each variant is a module's own error, and adds nothing to its text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a connection string.
    #[error(transparent)]
    ConnectionString(#[from] ParseError),
    /// The login failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The emulator could not do what it was asked to.
    #[cfg(feature = "emulator")]
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    /// A Key Vault reference gave no secret.
    #[error(transparent)]
    KeyVault(KeyVaultError),
    /// The pool has no session to give.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The proxy cannot run.
    #[cfg(feature = "proxy")]
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A statement failed, or the session broke under it.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The connection string asks for what this crate does not do.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No token could be obtained.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Error {
    /// Whether the same call may succeed later, with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_transient(),
            Self::KeyVault(error) => error.is_transient(),
            Self::Pool(error) => error.is_transient(),
            Self::Query(QueryError(error)) => error.code().is_some_and(is_transient_number),
            Self::Token(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether a token was not to be had, or the server refused the login.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_auth(),
            Self::KeyVault(error) => error.is_auth(),
            Self::Pool(error) => error.is_auth(),
            Self::Token(_) => true,
            _ => false,
        }
    }

    /// Whether the server or an endpoint could not be reached, or fell silent.
    #[must_use]
    pub fn is_network(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_network() || error.is_timeout(),
            Self::KeyVault(error) => error.is_network(),
            // A pool whose sessions are all in use is no network's fault.
            Self::Pool(error) => {
                error.is_network() || error.dial_error().is_some_and(DialError::is_timeout)
            }
            Self::Query(QueryError(tiberius::error::Error::Io { .. })) => true,
            _ => false,
        }
    }
}

fn is_transient_number(number: u32) -> bool {
    i32::try_from(number).is_ok_and(crate::tds::is_transient)
}

impl From<KeyVaultError> for Error {
    fn from(error: KeyVaultError) -> Self {
        match error {
            KeyVaultError::ConnectionString(error) => Self::Target(error.into()),
            KeyVaultError::Target(error) => Self::Target(error),
            other => Self::KeyVault(other),
        }
    }
}

impl From<tiberius::error::Error> for Error {
    fn from(error: tiberius::error::Error) -> Self {
        Self::Query(QueryError(error))
    }
}

/// What the driver reports of a statement, printed as the server's own tools print it.
#[derive(Debug)]
pub struct QueryError(pub tiberius::error::Error);

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tiberius::error::Error::Server(error) = &self.0 else {
            return self.0.fmt(f);
        };
        let (number, level, state) = (error.code(), error.class(), error.state());
        write!(f, "error {number}, level {level}, state {state}")?;
        if !error.procedure().is_empty() {
            write!(f, ", procedure {}", error.procedure().escape_debug())?;
        }
        // The text may quote what somebody stored: it must not steer a terminal.
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let message: String = error.message().chars().map(printable).collect();
        write!(f, ", line {}: {message}", error.line())
    }
}

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
