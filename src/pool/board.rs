//! Tells those who wait for a session that a login has failed.
//!
//! bb8 opens sessions in tasks of its own, and leaves its waiters asleep when
//! one fails. Here each login gets a number when it begins. A waiter is woken by
//! every failure; if the login began after its wait did, the failure is the
//! waiter's own, else it asks bb8 anew, which begins another login.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::error::PoolError;

/// Where failures are posted.
#[derive(Debug)]
pub(super) struct Board {
    begun: AtomicU64,
    failure: watch::Sender<Option<Failure>>,
}

/// A login that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// The login's number.
    pub(super) login: u64,
    pub(super) error: PoolError,
}

/// A waiter's view of the board.
#[derive(Debug)]
pub(super) struct Watcher {
    since: u64,
    failures: watch::Receiver<Option<Failure>>,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            failure: watch::Sender::new(None),
        }
    }

    /// A number for a login that begins now.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Posts a failure. Of several the one of the youngest login is shown: it
    /// concerns the most waiters.
    pub(super) fn post(&self, failure: Failure) {
        self.failure.send_modify(|shown| {
            if shown
                .as_ref()
                .is_none_or(|shown| shown.login < failure.login)
            {
                *shown = Some(failure);
            }
        });
    }

    /// The view of a wait that begins now.
    pub(super) fn watch(&self) -> Watcher {
        // In this order: a login that begins in between is then the waiter's.
        let failures = self.failure.subscribe();
        Watcher {
            since: self.begun.load(Ordering::Acquire),
            failures,
        }
    }
}

impl Watcher {
    /// Waits for the next failure; the waiter's own if the login began after
    /// the wait did, else `None`.
    pub(super) async fn failure(&mut self) -> Option<PoolError> {
        if self.failures.changed().await.is_err() {
            // The pool, and with it the board, is gone.
            std::future::pending::<()>().await;
        }
        let shown = self.failures.borrow_and_update();
        shown
            .as_ref()
            .filter(|failure| failure.login > self.since)
            .map(|failure| failure.error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> PoolError {
        PoolError::Closed {
            server: "s".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_failure_concerns_those_who_waited_before_the_login_began() {
        let board = Board::new();
        let mut early = board.watch();
        let login = board.begin();
        let mut late = board.watch();
        board.post(Failure {
            login,
            error: closed(),
        });
        assert!(early.failure().await.is_some());
        assert!(late.failure().await.is_none(), "it asks anew");
    }

    #[tokio::test]
    async fn an_old_logins_failure_does_not_hide_a_young_ones() {
        let board = Board::new();
        let mut waiter = {
            board.begin();
            board.watch()
        };
        let young = board.begin();
        for login in [young, 1] {
            board.post(Failure {
                login,
                error: closed(),
            });
        }
        assert!(waiter.failure().await.is_some());
    }

    #[tokio::test]
    async fn what_failed_before_the_wait_is_no_news() {
        let board = Board::new();
        let login = board.begin();
        board.post(Failure {
            login,
            error: closed(),
        });
        let mut waiter = board.watch();
        tokio::select! {
            biased;
            _ = waiter.failure() => panic!("nothing has failed since"),
            () = std::future::ready(()) => {}
        }
    }
}
