//! The wish that a session stops what it is doing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Set by another thread than the one that runs the session's requests.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    set: AtomicBool,
    /// Guards nothing but the moment between looking at `set` and waiting.
    waiting: Mutex<()>,
    changed: Condvar,
}

impl Interrupt {
    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Release);
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    pub(crate) fn clear(&self) {
        self.set.store(false, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Has a waiting thread look whether what it waits for has come.
    pub(crate) fn poke(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Blocks the thread until something is so, for this time at most, or until the interrupt. Who
    /// makes it so has to [`poke`](Self::poke).
    pub(crate) fn wait_until(&self, time: Option<Duration>, so: impl Fn() -> bool) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |(): &mut ()| !self.is_set() && !so();
        match time {
            Some(time) => drop(self.changed.wait_timeout_while(waiting, time, goes_on)),
            None => drop(self.changed.wait_while(waiting, goes_on)),
        }
    }

    /// Blocks the thread for this time, or until the interrupt.
    pub(crate) fn wait(&self, time: Duration) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended = self
            .changed
            .wait_timeout_while(waiting, time, |()| !self.is_set());
    }
}
