//! How many token requests IMDS takes: 20 in a second and 5 at a time, by Microsoft's FAQ on managed
//! identities.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::emulator::Clock;

const PER_SECOND: u32 = 20;
const AT_A_TIME: usize = 5;

/// Lets as many requests through as IMDS does.
#[derive(Debug)]
pub(super) struct Limits {
    /// The second that counts, and the requests in it.
    window: Mutex<(i64, u32)>,
    places: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

impl Limits {
    /// A place for a request as long as it lasts; `None` if there are too many, or too many a second
    /// by the emulator's clock.
    pub(super) fn admit(&self, clock: &Clock) -> Option<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.now();
        if window.0 != now {
            *window = (now, 0);
        }
        window.1 = window.1.saturating_add(1);
        (window.1 <= PER_SECOND).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn twenty_in_a_second_and_five_at_a_time() {
        let (limits, clock) = (Limits::default(), Clock::new());
        clock.freeze();
        let served = (0..30).filter(|_| limits.admit(&clock).is_some()).count();
        assert_eq!(served, 20);
        clock.advance(Duration::from_secs(1));
        let held: Vec<_> = (0..7).filter_map(|_| limits.admit(&clock)).collect();
        assert_eq!(held.len(), 5);
        drop(held);
        assert!(limits.admit(&clock).is_some());
    }
}
