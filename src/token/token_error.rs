//! Why there is no token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::FetchError;
use super::{Resource, SourceKey};
use crate::causes::below;

/// Why no token could be had.
///
/// `Display` tells this level only; the rest is in
/// [`source`](std::error::Error::source). The wording is not part of the API.
/// Clones are cheap, since one failed fetch is told to every caller waiting.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A source was asked and gave none.
    #[error("{origin} gave no token for {resource}")]
    Fetch {
        /// Which source.
        origin: SourceKey,
        /// What the token was for.
        resource: Resource,
        /// What went wrong.
        #[source]
        reason: Arc<FetchError>,
    },
    /// Several sources could have given one, and none did.
    ///
    /// `Display` has a line for each of them, as a list has no single cause to
    /// chain to.
    #[error("no source gave a token for {resource}:{}", Lines(tried, notes))]
    Exhausted {
        /// What the token was for.
        resource: Resource,
        /// Every source in the order tried.
        tried: Vec<Attempt>,
        /// Who was not asked, and why not.
        notes: Vec<String>,
    },
    /// The connection asks for a way to authenticate that there is no source for.
    #[error("{method} is not supported; {instead}")]
    Unsupported {
        /// As the connection string or environment calls it.
        method: &'static str,
        /// What to use now.
        instead: &'static str,
    },
    /// The source panicked. Later calls try again.
    #[error("the token source {origin} panicked, which is a fault in that source")]
    Panicked {
        /// Which source.
        origin: SourceKey,
    },
    /// A source could not be made from its settings.
    #[error("cannot use {origin} as a source of tokens")]
    Setup {
        /// Which source.
        origin: SourceKey,
        /// What is wrong.
        #[source]
        reason: Arc<FetchError>,
    },
    /// There is no tokio runtime to fetch on.
    #[error("no tokio runtime is running here to fetch a token on")]
    NoRuntime,
    /// The runtimes that fetched a token went away again and again.
    #[error("fetching a token was given up because its tokio runtime shut down")]
    Abandoned,
}

impl TokenError {
    /// An error of a source, for implementers of
    /// [`TokenSource`](super::TokenSource).
    #[must_use]
    pub fn fetch(origin: SourceKey, resource: &Resource, reason: FetchError) -> Self {
        Self::Fetch {
            origin,
            resource: resource.clone(),
            reason: Arc::new(reason),
        }
    }

    /// Whether the same request may succeed soon with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fetch { reason, .. } | Self::Setup { reason, .. } => reason.is_transient(),
            Self::Exhausted { tried, .. } => {
                tried.iter().any(|attempt| attempt.error.is_transient())
            }
            Self::Abandoned | Self::Panicked { .. } => true,
            Self::NoRuntime | Self::Unsupported { .. } => false,
        }
    }

    /// How long the endpoint asked to be left alone, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch { reason, .. } => reason.retry_after(),
            Self::Exhausted { tried, .. } => {
                let asked = tried
                    .iter()
                    .filter_map(|attempt| attempt.error.retry_after());
                asked.max()
            }
            _ => None,
        }
    }

    /// The reason, if a single source was asked.
    #[must_use]
    pub fn reason(&self) -> Option<&FetchError> {
        match self {
            Self::Fetch { reason, .. } | Self::Setup { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// One source that was tried in vain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// Which one.
    pub origin: SourceKey,
    /// Why it gave no token.
    pub error: TokenError,
    /// What follows for the others, if this ended the search.
    pub hint: Option<&'static str>,
}

/// A line for each attempt, and one for each note.
struct Lines<'a>(&'a [Attempt], &'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for attempt in self.0 {
            // The outermost level repeats the source and the resource.
            write!(f, "\n  - {}: {}", attempt.origin, below(&attempt.error))?;
            if let Some(hint) = attempt.hint {
                write!(f, "; {hint}")?;
            }
        }
        self.1.iter().try_for_each(|note| write!(f, "\n  ({note})"))
    }
}
