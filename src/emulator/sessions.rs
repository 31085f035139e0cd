//! The SQL sessions that are open, and an end for each of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// A SQL session that is open, as its login described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The session's number, `@@SPID`.
    pub spid: u16,
    /// The login's name: for a token, the principal's name in the directory.
    pub login: String,
    /// The database that it logged in to.
    pub database: String,
    /// The application's name, as the client gave it.
    pub application: String,
    /// The client's host name, as the client gave it.
    pub host: String,
    /// When it logged in, in seconds since 1970 by the emulator's clock.
    pub since: i64,
    /// How many requests it has sent.
    pub requests: u64,
}

/// All open sessions. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    open: Arc<Mutex<BTreeMap<u64, Entry>>>,
    next: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Entry {
    record: SessionRecord,
    requests: Arc<AtomicU64>,
    killed: CancellationToken,
}

/// A session's place among the open ones; gives it up when dropped.
#[derive(Debug)]
pub(super) struct OpenSession {
    id: u64,
    all: Sessions,
    requests: Arc<AtomicU64>,
    killed: CancellationToken,
}

impl Sessions {
    pub(super) fn register(&self, record: SessionRecord) -> OpenSession {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (requests, killed) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        let entry = Entry {
            record,
            requests: requests.clone(),
            killed: killed.clone(),
        };
        self.open().insert(id, entry);
        OpenSession {
            id,
            all: self.clone(),
            requests,
            killed,
        }
    }

    /// The open sessions, oldest first.
    pub(super) fn list(&self) -> Vec<SessionRecord> {
        self.open()
            .values()
            .map(|entry| SessionRecord {
                requests: entry.requests.load(Ordering::Relaxed),
                ..entry.record.clone()
            })
            .collect()
    }

    /// Ends the sessions that fit, and says how many there were.
    pub(super) fn kill(&self, fits: impl Fn(&SessionRecord) -> bool) -> usize {
        let open = self.open();
        let ended = open
            .values()
            .filter(|entry| fits(&entry.record) && !entry.killed.is_cancelled());
        ended.map(|entry| entry.killed.cancel()).count()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenSession {
    /// Resolves when the session is to end, whatever it is doing.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn killed(&self) {
        self.killed.cancelled().await;
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.all.open().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(spid: u16, database: &str) -> SessionRecord {
        SessionRecord {
            spid,
            login: "l".into(),
            database: database.into(),
            application: String::new(),
            host: String::new(),
            since: 0,
            requests: 0,
        }
    }

    #[tokio::test]
    async fn those_that_fit_are_ended_and_leave() {
        let sessions = Sessions::default();
        let (a, b) = (
            sessions.register(record(51, "a")),
            sessions.register(record(52, "b")),
        );
        b.count_request();
        assert_eq!(sessions.kill(|s| s.database == "b"), 1);
        assert_eq!(sessions.kill(|s| s.database == "b"), 0, "it was ended");
        b.killed().await;
        let listed: Vec<_> = sessions
            .list()
            .iter()
            .map(|s| (s.spid, s.requests))
            .collect();
        assert_eq!(listed, [(51, 0), (52, 1)]);
        drop((a, b));
        assert!(sessions.list().is_empty());
    }
}
