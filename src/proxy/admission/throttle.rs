//! Keeps a flood of events from becoming a flood of log lines.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets so many events per window through, and counts the rest.
#[derive(Debug)]
pub(in crate::proxy) struct Throttle {
    burst: u32,
    window: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    passed: u32,
    left_out: u64,
}

impl Throttle {
    pub(in crate::proxy) fn new(burst: u32, window: Duration) -> Self {
        Self {
            burst,
            window,
            state: Mutex::default(),
        }
    }

    /// Whether to log this event; if so, how many were left out before it.
    pub(in crate::proxy) fn pass(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_over = |since: Instant| now.duration_since(since) >= self.window;
        if state.since.is_none_or(is_over) {
            state.since = Some(now);
            state.passed = 0;
        }
        if state.passed < self.burst {
            state.passed += 1;
            Some(std::mem::take(&mut state.left_out))
        } else {
            state.left_out += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_out_is_counted() {
        let throttle = Throttle::new(2, Duration::from_secs(10));
        let passes: Vec<_> = (0..5).map(|_| throttle.pass()).collect();
        assert_eq!(passes, [Some(0), Some(0), None, None, None]);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(throttle.pass(), Some(3));
        assert_eq!(throttle.pass(), Some(0));
        assert_eq!(throttle.pass(), None);
    }
}
