//! The emulator's clock, which can be turned.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall-clock time as the emulator sees it: the machine's, moved by an offset.
///
/// Tokens are issued and judged by this clock, so turning it forward expires them without waiting.
/// Clones share the offset. Defaults to the machine's time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_seconds: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that shows the machine's time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        let machine = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
            });
        machine.saturating_add(self.offset_seconds.load(Ordering::Relaxed))
    }

    /// Turns the clock forward by whole seconds; parts of a second are dropped.
    pub fn advance(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        self.offset_seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Shows the machine's time moved by `seconds` (negative: back), whatever was set before.
    pub fn set_offset(&self, seconds: i64) {
        self.offset_seconds.store(seconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_turn_together() {
        let clock = Clock::new();
        let other = clock.clone();
        let before = other.now();
        clock.advance(Duration::from_secs(86_400));
        assert!(other.now() >= before + 86_400);
        other.set_offset(0);
        assert!(clock.now() < before + 86_400);
    }
}
