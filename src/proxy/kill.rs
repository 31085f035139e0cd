//! Ends a client from outside of its task.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// Whether one client is to be ended. One task may wait for it at a time, the
/// client's own; in return it has nothing on the heap, as ten thousand of them
/// should not.
#[derive(Default)]
pub(super) struct Kill {
    asked: AtomicBool,
    waiting: AtomicWaker,
}

impl Kill {
    /// Asks for the end.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Ends when the end is asked for.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) fn asked(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            self.waiting.register(cx.waker());
            // After registering: what is asked for from here on wakes the task.
            match self.asked.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }
}

impl fmt::Debug for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kill({})", self.asked.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_and_whoever_comes_later_too() {
        let kill = Arc::new(Kill::default());
        let waits = tokio::spawn({
            let kill = Arc::clone(&kill);
            async move { kill.asked().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        kill.ask();
        waits.await.unwrap();
        kill.asked().await;
    }
}
