//! Why the pool has no session to give.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::PoolStatus;
use crate::dial::DialError;
use crate::key_vault::KeyVaultError;
use crate::target::TargetError;
use crate::tds::ServerMessage;
use crate::token::TokenError;

/// Why a [`Pool`](super::Pool) could not be made, or gave no session.
///
/// `Display` tells this level only; [`source`](std::error::Error::source) has
/// the cause. Neither holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// A certificate handed to
    /// [`trust_root_pem`](super::PoolBuilder::trust_root_pem) is none.
    #[error("the root certificate given to the pool cannot be read: {problem}")]
    Certificate {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// [`close`](super::Pool::close) has been called.
    #[error("the pool for {server} is closed")]
    Closed {
        /// The server and database that the pool is for.
        server: String,
    },
    /// A login failed while this caller waited for a session.
    #[error("no session to {server} could be opened")]
    Dial {
        /// The server and database that the pool is for.
        server: String,
        /// Why.
        #[source]
        source: Arc<DialError>,
    },
    /// The driver did not accept the login that was made for it.
    #[error("the session to {server} could not be handed to the driver")]
    Driver {
        /// The server and database that the pool is for.
        server: String,
        /// What the driver said.
        #[source]
        source: Arc<tiberius::error::Error>,
    },
    /// No session became free, and none could be opened, in time.
    #[error(transparent)]
    Exhausted(Box<Exhausted>),
    /// A Key Vault reference in the connection string gave no secret.
    #[error("the connection string cannot be completed from its vaults")]
    KeyVault(#[source] Arc<KeyVaultError>),
    /// A pool was built where no tokio runtime is.
    #[error("a pool must be built inside of a tokio runtime, which its sessions live in")]
    NoRuntime,
    /// A setting of the builder contradicts another.
    #[error("{setting} cannot be {value}: {problem}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// The value that was given.
        value: String,
        /// What it must be.
        problem: &'static str,
    },
    /// The connection string has no usable meaning.
    #[error("the connection string cannot be used")]
    Target(#[source] Arc<TargetError>),
    /// No token source can be made for the target's authentication.
    #[error("no token can be had for {server}")]
    Token {
        /// The server and database that the pool is for.
        server: String,
        /// Why.
        #[source]
        source: Arc<TokenError>,
    },
}

/// A wait for a session that ended in vain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exhausted {
    /// The server and database that the pool is for.
    pub server: String,
    /// The application name that the pool's sessions carry.
    pub application: String,
    /// How long this caller waited.
    pub waited: Duration,
    /// The pool when the wait ended; this caller is among the waiting.
    pub status: PoolStatus,
    /// The last failed login, if one failed since the last that succeeded.
    pub last_error: Option<DialError>,
}

impl PoolError {
    /// Whether trying again later may help: the pool was exhausted, or the
    /// login met a fault that passes.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial { source, .. } => source.is_transient(),
            Self::Exhausted(_) => true,
            Self::KeyVault(source) => source.is_transient(),
            Self::Token { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// Whether the server, or who issues tokens, refused who we are.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        match self {
            Self::Dial { source, .. } => source.is_auth(),
            Self::Exhausted(exhausted) => exhausted
                .last_error
                .as_ref()
                .is_some_and(DialError::is_auth),
            Self::KeyVault(source) => source.is_auth(),
            Self::Token { .. } => true,
            _ => false,
        }
    }

    /// Whether the server could not be reached.
    #[must_use]
    pub fn is_network(&self) -> bool {
        match self {
            Self::Dial { source, .. } => source.is_network(),
            Self::Exhausted(exhausted) => exhausted
                .last_error
                .as_ref()
                .is_some_and(DialError::is_network),
            Self::KeyVault(source) => source.is_network(),
            _ => false,
        }
    }

    /// Whether the wait for a session ran out of time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Exhausted(_))
    }

    /// The login's failure, if there was one.
    #[must_use]
    pub fn dial_error(&self) -> Option<&DialError> {
        match self {
            Self::Dial { source, .. } => Some(source),
            Self::Exhausted(exhausted) => exhausted.last_error.as_ref(),
            _ => None,
        }
    }

    /// What the server said, if it said something.
    #[must_use]
    pub fn server_error(&self) -> Option<&ServerMessage> {
        self.dial_error().and_then(DialError::server_error)
    }
}

impl From<KeyVaultError> for PoolError {
    fn from(error: KeyVaultError) -> Self {
        match error {
            KeyVaultError::Target(error) => Self::Target(Arc::new(error)),
            KeyVaultError::ConnectionString(error) => Self::Target(Arc::new(error.into())),
            error => Self::KeyVault(Arc::new(error)),
        }
    }
}

impl std::error::Error for Exhausted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.last_error
            .as_ref()
            .map(|error| error as &(dyn std::error::Error + 'static))
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolStatus {
            max_size,
            in_use,
            idle,
            dialing,
            waiting,
            ..
        } = self.status;
        write!(
            f,
            "{} waited {:?} for a session to {} and got none: {in_use} of {max_size} in use, \
             {idle} idle, {dialing} being opened, {waiting} waiting",
            self.application,
            Duration::from_millis(u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX)),
            self.server,
        )?;
        if in_use >= max_size {
            f.write_str("; give sessions back sooner or raise Max Pool Size")?;
        }
        if self.last_error.is_some() {
            f.write_str("; the last login failed")?;
        }
        Ok(())
    }
}
