//! What a slot's lock guards: the fetch under way, and how the last one failed.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{AccessToken, TokenError};

/// The part of a slot that changes together.
#[derive(Default)]
pub(super) struct State {
    pub(super) flight: Option<Flight>,
    pub(super) refresher: Option<AbortHandle>,
    pub(super) failure: Option<Failure>,
    pub(super) refused_at: Option<Instant>,
}

impl State {
    pub(super) fn in_flight(&self) -> bool {
        self.live_flight().is_some()
    }

    /// The fetch under way; one whose runtime was shut down does not count.
    pub(super) fn live_flight(&self) -> Option<Landing> {
        let landing = &self.flight.as_ref()?.landing;
        landing.has_changed().is_ok().then(|| landing.clone())
    }

    pub(super) fn recent_failure(&self) -> Option<TokenError> {
        let failure = self.failure.as_ref()?;
        (Instant::now() < failure.until).then(|| failure.error.clone())
    }
}

/// A fetch under way.
pub(super) struct Flight {
    pub(super) landing: Landing,
    pub(super) task: AbortHandle,
}

/// Where a fetch tells its outcome.
pub(super) type Landing = watch::Receiver<Option<Result<AccessToken, TokenError>>>;

/// An error that is given out again for a moment instead of asking anew.
pub(super) struct Failure {
    pub(super) error: TokenError,
    until: Instant,
}

impl Failure {
    pub(super) fn new(error: &TokenError) -> Self {
        let hold = if error.is_transient() {
            HOLD_TRANSIENT
        } else {
            HOLD_HARD
        };
        Self {
            error: error.clone(),
            until: Instant::now() + hold,
        }
    }
}

/// How long a transient error is given out again.
const HOLD_TRANSIENT: Duration = Duration::from_secs(1);

/// How long any other error is given out again.
const HOLD_HARD: Duration = Duration::from_secs(5);
