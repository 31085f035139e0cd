//! Who is connected: one entry per client, for the status page, the admin
//! database, the log and whoever waits for all to be gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Every client that is connected.
#[derive(Debug, Default)]
pub(super) struct Registry {
    next: AtomicU64,
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
    left: Notify,
}

/// One client.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) listener: String,
    /// The peer, such as `127.0.0.1:51000` or `uid 1000`.
    pub(super) peer: String,
    pub(super) since: SystemTime,
    pub(super) started: Instant,
    /// Ends the client, for KILL and for a stuck drain.
    pub(super) kill: CancellationToken,
    pub(super) traffic: Traffic,
    known: Mutex<Known>,
}

/// What is known of a client after its login.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The login name that the client gave.
    pub(super) login: String,
    pub(super) application: String,
    pub(super) host: String,
    pub(super) database: String,
    pub(super) tds_version: String,
    pub(super) encrypted: bool,
    pub(super) target: String,
    pub(super) identity: String,
    /// The session's number at the server.
    pub(super) spid: u16,
    pub(super) state: Phase,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Greeting,
    /// Waits for a session.
    Waiting,
    Relaying,
    /// Uses the admin database.
    Admin,
}

/// What has passed between a client and its session.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Bytes from the client.
    pub(super) sent: AtomicU64,
    /// Bytes to the client.
    pub(super) received: AtomicU64,
    pub(super) requests: AtomicU64,
}

impl Registry {
    /// Notes a client; it is forgotten when what this returns is dropped.
    pub(super) fn enter(self: &Self, listener: &str, peer: String) -> Arc<Entry> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(Entry {
            id,
            listener: listener.to_owned(),
            peer,
            since: SystemTime::now(),
            started: Instant::now(),
            kill: CancellationToken::new(),
            traffic: Traffic::default(),
            known: Mutex::default(),
        });
        self.lock().insert(id, Arc::clone(&entry));
        entry
    }

    /// Forgets a client.
    pub(super) fn leave(&self, entry: &Entry) {
        self.lock().remove(&entry.id);
        self.left.notify_waiters();
    }

    /// Everybody, in the order of arrival.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits until all are gone, then ends those that are left. Returns how many
    /// that were.
    pub(super) async fn drained(&self, within: Duration) -> usize {
        let _ = timeout(within, self.empty()).await;
        let left = self.entries();
        left.iter().for_each(|entry| entry.kill.cancel());
        left.len()
    }

    async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.len() == 0 {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What is known by now.
    pub(super) fn known(&self) -> Known {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes something more.
    pub(super) fn learn(&self, what: impl FnOnce(&mut Known)) {
        what(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
