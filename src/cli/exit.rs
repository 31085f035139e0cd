//! What the program's exit code means.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use crate::Error;
use crate::causes::chain;
use crate::key_vault::KeyVaultError;
use crate::pool::PoolError;
#[cfg(feature = "proxy")]
use crate::proxy::ProxyError;

/// Exit codes; scripts rely on them, so a number never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was done.
    Ok = 0,
    /// A check or verification failed.
    #[cfg(any(feature = "check", feature = "emulator", feature = "grants"))]
    Failed = 1,
    /// The arguments, the connection string or a configuration file are wrong.
    Usage = 2,
    /// No token could be obtained, or the server refused the login.
    Auth = 3,
    /// The server or an endpoint could not be reached.
    Network = 4,
    /// The server answered with an error.
    Server = 5,
    /// A fault in this program.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends without success: an error and the exit code that it means.
pub(super) struct Failure {
    exit: Exit,
    source: Box<dyn StdError + Send + Sync>,
}

impl Failure {
    /// Ends the command with `exit` and prints `source` with all its causes.
    pub(super) fn new(exit: Exit, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            exit,
            source: source.into(),
        }
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether the reader of our output has gone, which is no error of ours (`entrada … | head`).
    pub(super) fn is_broken_pipe(&self) -> bool {
        self.source
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// The whole chain of causes in one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(&*self.source))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::ConnectionString(_) | Error::Target(_) => Exit::Usage,
            Error::KeyVault(
                KeyVaultError::Nested { .. }
                | KeyVaultError::Program { .. }
                | KeyVaultError::Reference { .. },
            ) => Exit::Usage,
            Error::Pool(
                PoolError::Setting { .. } | PoolError::Certificate { .. } | PoolError::Target(_),
            ) => Exit::Usage,
            #[cfg(feature = "proxy")]
            Error::Proxy(ProxyError::Listen { .. }) => Exit::Network,
            #[cfg(feature = "proxy")]
            Error::Proxy(ProxyError::KeyVault { source, .. }) => {
                Self::from(Error::from(source.as_ref().clone())).exit
            }
            #[cfg(feature = "proxy")]
            Error::Proxy(_) => Exit::Usage,
            error if error.is_auth() => Exit::Auth,
            error if error.is_network() => Exit::Network,
            // The vault answered: there is nothing to log in with.
            Error::KeyVault(_) => Exit::Auth,
            Error::Query(_) => Exit::Server,
            Error::Dial(error) if error.server_error().is_some() => Exit::Server,
            Error::Pool(error) if error.server_error().is_some() => Exit::Server,
            // No SQL Server spoke: a wrong certificate, another protocol, a broken connection.
            Error::Dial(_) | Error::Pool(_) => Exit::Network,
            _ => Exit::Internal,
        };
        Self::new(exit, error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Internal, error)
    }
}
