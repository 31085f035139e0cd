//! Why there is no session for a client.

use std::sync::Arc;
use std::time::Duration;

use crate::dial::DialError;

/// Why there is no session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::proxy) enum LeaseError {
    /// The proxy ends.
    #[error("target `{target}` gives out no session any more: the proxy is shutting down")]
    Closed { target: String },
    /// None could be opened.
    #[error("no session of target `{target}` could be opened")]
    Dial {
        target: String,
        source: Arc<DialError>,
    },
    /// As many wait as may.
    #[error("no session of target `{}` is free, and too many clients wait for one: {}", .0.target, .0)]
    QueueFull(Box<Crowd>),
    /// None came free in time.
    #[error("no session of target `{}` came free within {:?}: {}", .0.target, .0.waited, .0)]
    QueueTimeout(Box<Crowd>),
    /// Somebody has paused the target.
    #[error(
        "target `{target}` has been paused, and was not resumed within {waited:?}; \
         RESUME in the admin database ends the pause"
    )]
    Paused { target: String, waited: Duration },
}

/// A pool in which nothing is free.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Crowd {
    pub(in crate::proxy) target: String,
    /// Whoever got nothing.
    pub(in crate::proxy) application: String,
    pub(in crate::proxy) waited: Duration,
    pub(in crate::proxy) in_use: usize,
    pub(in crate::proxy) opening: usize,
    pub(in crate::proxy) resetting: usize,
    pub(in crate::proxy) waiting: usize,
    pub(in crate::proxy) max: usize,
}

impl std::fmt::Display for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            in_use,
            opening,
            resetting,
            waiting,
            max,
            application,
            ..
        } = self;
        write!(
            f,
            "of at most {max} sessions {in_use} are in use, {opening} are being opened and \
             {resetting} are being reset; clients that wait: {waiting}, with `{application}`; \
             raise `max` of the target's pool, or let clients close what they do not use"
        )
    }
}
