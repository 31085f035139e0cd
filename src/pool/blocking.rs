//! The pool blocking period: after a failed login others fail with it, without
//! being tried, for a while.
//!
//! It always holds for sessions that are opened in advance (`Min Pool Size`):
//! each checkout asks for one anew, which would turn a server that refuses into
//! a server under fire. Those that somebody waits for it holds if the connection
//! string says so (`Pool Blocking Period`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::dial::DialError;

/// The first period, and the longest; each is twice the one before, as in
/// ADO.NET.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// Remembers a failed login for its period.
#[derive(Debug, Default)]
pub(super) struct Blocking(Mutex<Option<Block>>);

#[derive(Debug)]
struct Block {
    until: Instant,
    period: Duration,
    error: Arc<DialError>,
}

impl Blocking {
    /// The failure to report instead of trying again.
    pub(super) fn in_force(&self) -> Option<Arc<DialError>> {
        self.lock()
            .as_ref()
            .filter(|block| Instant::now() < block.until)
            .map(|block| Arc::clone(&block.error))
    }

    pub(super) fn on_failure(&self, error: &Arc<DialError>) {
        let mut block = self.lock();
        let now = Instant::now();
        // Logins that fail together are one failure.
        if block.as_ref().is_some_and(|block| now < block.until) {
            return;
        }
        let period = block
            .as_ref()
            .map_or(FIRST, |block| (block.period * 2).min(LONGEST));
        *block = Some(Block {
            until: now + period,
            period,
            error: Arc::clone(error),
        });
    }

    pub(super) fn on_success(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn periods_double_up_to_a_minute_and_end_with_a_success() {
        let error = Arc::new(DialError::NoTokenSource {
            server: "s".to_owned(),
        });
        let blocking = Blocking::default();
        for seconds in [5, 10, 20, 40, 60, 60] {
            assert!(blocking.in_force().is_none());
            // Two logins that were under way together.
            blocking.on_failure(&error);
            blocking.on_failure(&error);
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(blocking.in_force().is_some(), "before {seconds} seconds");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        blocking.on_failure(&error);
        blocking.on_success();
        assert!(blocking.in_force().is_none());
        blocking.on_failure(&error);
        tokio::time::advance(FIRST).await;
        assert!(blocking.in_force().is_none(), "it begins anew");
    }
}
