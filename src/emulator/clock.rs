//! The emulator's clock, which can be turned and stopped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall-clock time as the emulator sees it: the machine's, moved by an offset, or standing still.
///
/// Tokens are issued and judged by this clock, faults and database states that last for a time end
/// by it, and so does the credentials' recheck: turning it makes hours pass without waiting. Clones
/// turn together. Defaults to the machine's time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    hands: Arc<Mutex<Hands>>,
}

/// All in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Hands {
    offset: i64,
    /// What the clock shows while it stands still.
    frozen: Option<i64>,
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
        self.now_millis().div_euclid(1000)
    }

    /// Milliseconds since 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        self.hands().show()
    }

    /// Turns the clock forward, to the millisecond, whether it runs or stands still.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let mut hands = self.hands();
        match &mut hands.frozen {
            Some(shown) => *shown = shown.saturating_add(by),
            None => hands.offset = hands.offset.saturating_add(by),
        }
    }

    /// Sets the clock to this time, in seconds since 1970; it goes on running or standing still.
    pub fn set(&self, seconds: i64) {
        let wanted = seconds.saturating_mul(1000);
        let mut hands = self.hands();
        match &mut hands.frozen {
            Some(shown) => *shown = wanted,
            None => hands.offset = wanted.saturating_sub(machine_millis()),
        }
    }

    /// Shows the machine's time moved by `seconds` (negative: back), whatever was set before, and
    /// runs.
    pub fn set_offset(&self, seconds: i64) {
        *self.hands() = Hands {
            offset: seconds.saturating_mul(1000),
            frozen: None,
        };
    }

    /// Stops the clock where it is. [`advance`](Self::advance) and [`set`](Self::set) still turn it.
    pub fn freeze(&self) {
        let mut hands = self.hands();
        hands.frozen = Some(hands.show());
    }

    /// Lets a stopped clock run on from what it shows.
    pub fn run(&self) {
        let mut hands = self.hands();
        if let Some(shown) = hands.frozen.take() {
            hands.offset = shown.saturating_sub(machine_millis());
        }
    }

    /// Whether the clock stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.hands().frozen.is_some()
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hands {
    fn show(&self) -> i64 {
        self.frozen
            .unwrap_or_else(|| machine_millis().saturating_add(self.offset))
    }
}

fn machine_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
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

    #[test]
    fn a_stopped_clock_shows_what_it_is_told() {
        let clock = Clock::new();
        clock.freeze();
        clock.set(1_000);
        assert_eq!((clock.now(), clock.is_frozen()), (1_000, true));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!((clock.now(), clock.now_millis()), (1_001, 1_001_500));
        clock.run();
        // Nobody waits a day for this.
        assert!((1_001..87_401).contains(&clock.now()) && !clock.is_frozen());
        clock.set(-1);
        assert!(clock.now() < 86_400, "a time before 1970 is one, too");
    }
}
