//! Why a federated credential has nothing to sign in with.

use std::io;
use std::time::Duration;

use super::super::ProgramError;
use super::super::error::{Coarse, FetchError, TokenError};

/// Why there is no assertion to exchange for a token.
///
/// Nothing here holds the assertion or a part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// There was nothing where the assertion should have been.
    #[error("it is empty; {advice}")]
    Empty {
        /// What to check.
        advice: &'static str,
    },
    /// Entra would not take it any more.
    #[error("it ended {} ago; {advice}", Coarse(*by))]
    Expired {
        /// How long before, by this machine's clock.
        by: Duration,
        /// How to come by a fresh one.
        advice: &'static str,
    },
    /// A managed identity's token was to be the assertion.
    #[error("the managed identity gave no token for {audience}")]
    Identity {
        /// What the token was to be for.
        audience: &'static str,
        /// What its endpoint failed with.
        #[source]
        reason: Box<TokenError>,
    },
    /// The issuer's endpoint gave none.
    #[error("its issuer gave none")]
    Issuer(#[source] Box<FetchError>),
    /// Variables by which the platform tells where to ask are absent.
    #[error("{variables} not set; {advice}")]
    MissingVariables {
        /// Their names, and a verb: `A and B are`.
        variables: String,
        /// What would set them.
        advice: &'static str,
    },
    /// It is something else than a signed JWT.
    #[error("its {length} bytes are no signed JWT; {advice}")]
    NotAJwt {
        /// How long it is.
        length: usize,
        /// What to check.
        advice: &'static str,
    },
    /// The path leads to something that is no file.
    #[error("it is no regular file; give the path of the file itself")]
    NotAFile,
    /// The program that should have printed it did not.
    #[error("its program gave none")]
    Program(#[source] ProgramError),
    /// The file cannot be read.
    #[error("it cannot be read; {advice}")]
    Read {
        /// What to check.
        advice: &'static str,
        /// What reading failed with.
        #[source]
        cause: io::Error,
    },
    /// A setting cannot be used as it stands.
    #[error("{setting} cannot be used: {problem}")]
    Setting {
        /// Which setting or variable.
        setting: &'static str,
        /// What is wrong with it, and what it should be.
        problem: &'static str,
    },
    /// Reading took longer than a file on a working disk takes.
    #[error("it could not be read within {} s; check the file system", after.as_secs())]
    Slow {
        /// How long was waited.
        after: Duration,
    },
    /// It exceeds what a token can be.
    #[error("it is larger than {max} bytes, so it is not a token")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}

impl AssertionError {
    /// Whether another try may succeed soon with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            // A file is empty for a moment while it is written anew.
            Self::Empty { .. } | Self::Slow { .. } => true,
            Self::Identity { reason, .. } => reason.is_transient(),
            Self::Issuer(reason) => reason.is_transient(),
            Self::Program(reason) => reason.is_transient(),
            _ => false,
        }
    }

    /// How long the endpoint asked to be left alone, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Identity { reason, .. } => reason.retry_after(),
            Self::Issuer(reason) => reason.retry_after(),
            _ => None,
        }
    }
}
