//! Who is connected: one entry per client, for the status page, the admin
//! database, the log and whoever waits for all to be gone.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::alike::Alike;
use super::kill::Kill;

/// Every client that is connected.
#[derive(Debug, Default)]
pub(super) struct Registry {
    next: AtomicU64,
    present: Mutex<Present>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Present {
    entries: BTreeMap<u64, Arc<Entry>>,
    /// The traffic of those who are gone. Changed in one step with their
    /// leaving, so that a sum over all never misses or doubles anyone.
    departed: Totals,
    alike: Alike<Known>,
}

/// A client's place in the [`Registry`]. Dropping it gives the place up, also
/// when the client's task panics or is cancelled.
#[derive(Debug)]
pub(super) struct Guest {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
}

/// One client.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) listener: Arc<str>,
    /// The peer, such as `127.0.0.1:51000` or `uid 1000`.
    pub(super) peer: Box<str>,
    pub(super) since: SystemTime,
    pub(super) started: Instant,
    /// Ends the client, for KILL and for a stuck drain.
    pub(super) kill: Kill,
    pub(super) traffic: Traffic,
    /// The session's number at the server.
    spid: AtomicU16,
    known: Mutex<Arc<Known>>,
}

/// What is known of a client after its login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
    pub(super) state: Phase,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

/// [`Traffic`] at one moment, of one client or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) requests: u64,
}

impl Registry {
    /// Notes a client; it is forgotten when what this returns is dropped.
    pub(super) fn enter(self: &Arc<Self>, listener: &Arc<str>, peer: String) -> Guest {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(Entry {
            id,
            listener: Arc::clone(listener),
            peer: peer.into(),
            since: SystemTime::now(),
            started: Instant::now(),
            kill: Kill::default(),
            traffic: Traffic::default(),
            spid: AtomicU16::new(0),
            known: Mutex::default(),
        });
        self.lock().entries.insert(id, Arc::clone(&entry));
        Guest {
            registry: Arc::clone(self),
            entry,
        }
    }

    /// Takes note that a client is in. From now on it shares what is known of it
    /// with those of whom the same is known; most clients of a proxy are alike.
    pub(super) fn is_in(&self, entry: &Entry, spid: u16) {
        entry.spid.store(spid, Ordering::Relaxed);
        entry.learn(|known| known.state = Phase::Relaying);
        let mut present = self.lock();
        let mut known = entry.lock();
        *known = present.alike.share(Arc::clone(&known));
    }

    /// Everybody, in the order of arrival.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.lock().entries.values().cloned().collect()
    }

    /// The first of them, and how many there are.
    pub(super) fn first(&self, limit: usize) -> (Vec<Arc<Entry>>, usize) {
        let present = self.lock();
        let first = present.entries.values().take(limit).cloned().collect();
        (first, present.entries.len())
    }

    /// How many are in each state, in the order of [`Phase::ALL`].
    pub(super) fn count_by_phase(&self) -> [usize; Phase::ALL.len()] {
        let present = self.lock();
        let mut counts = [0; Phase::ALL.len()];
        for entry in present.entries.values() {
            let phase = entry.look(|known| known.state);
            for (count, which) in counts.iter_mut().zip(Phase::ALL) {
                *count += usize::from(which == phase);
            }
        }
        counts
    }

    /// The client with that number.
    pub(super) fn entry(&self, id: u64) -> Option<Arc<Entry>> {
        self.lock().entries.get(&id).cloned()
    }

    /// What has been relayed for clients present and past. Never falls.
    pub(super) fn totals(&self) -> Totals {
        let present = self.lock();
        let mut totals = present.departed;
        for entry in present.entries.values() {
            totals.add(entry.traffic.totals());
        }
        totals
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Waits until all are gone.
    pub(super) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.len() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Waits until the client with that number is gone.
    pub(super) async fn gone(&self, id: u64) {
        loop {
            let left = self.left.notified();
            if self.entry(id).is_none() {
                return;
            }
            left.await;
        }
    }

    fn leave(&self, entry: &Entry) {
        let mut present = self.lock();
        present.entries.remove(&entry.id);
        present.departed.add(entry.traffic.totals());
        drop(present);
        self.left.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Guest {
    type Target = Arc<Entry>;

    fn deref(&self) -> &Self::Target {
        &self.entry
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.registry.leave(&self.entry);
    }
}

impl Entry {
    /// What is known by now.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.lock())
    }

    /// The session's number at the server; 0 while there is none.
    pub(super) fn spid(&self) -> u16 {
        self.spid.load(Ordering::Relaxed)
    }

    /// Reads something of what is known.
    pub(super) fn look<T>(&self, what: impl FnOnce(&Known) -> T) -> T {
        what(&self.lock())
    }

    /// Notes something more.
    pub(super) fn learn(&self, what: impl FnOnce(&mut Known)) {
        what(Arc::make_mut(&mut self.lock()));
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    /// All of them, in the order in which they come.
    pub(super) const ALL: [Self; 4] = [Self::Greeting, Self::Waiting, Self::Relaying, Self::Admin];

    /// The word for metrics and people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Waiting => "waiting",
            Self::Relaying => "relaying",
            Self::Admin => "admin",
        }
    }
}

impl Traffic {
    /// What has passed by now.
    pub(super) fn totals(&self) -> Totals {
        Totals {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }
}

impl Totals {
    fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.received += more.received;
        self.requests += more.requests;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_clients_that_are_alike_is_held_once() {
        let registry = Arc::new(Registry::default());
        let listener = Arc::from("a");
        let enter = |spid, application: &str| {
            let guest = registry.enter(&listener, "uid 1".to_owned());
            guest.learn(|known| known.application = application.to_owned());
            registry.is_in(&guest, spid);
            guest
        };
        let (first, second, other) = (enter(51, "till"), enter(52, "till"), enter(53, "desk"));
        assert!(Arc::ptr_eq(&first.known(), &second.known()));
        assert_eq!((first.spid(), second.spid()), (51, 52));
        assert_eq!(other.known().application, "desk");
        second.learn(|known| known.database = "app".to_owned());
        assert_eq!(
            (&*first.known().database, &*second.known().database),
            ("", "app")
        );
    }

    #[test]
    fn a_client_is_forgotten_though_its_task_panics_and_its_traffic_stays() {
        let registry = Arc::new(Registry::default());
        let listener = Arc::from("a");
        let stays = registry.enter(&listener, "uid 1".to_owned());
        stays.traffic.sent.fetch_add(1, Ordering::Relaxed);
        let panics = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let guest = registry.enter(&listener, "uid 2".to_owned());
                guest.traffic.sent.fetch_add(41, Ordering::Relaxed);
                guest.traffic.requests.fetch_add(1, Ordering::Relaxed);
                panic!("as planned");
            });
            client.join()
        });
        assert!(panics.is_err());
        let left: Vec<u64> = registry.entries().iter().map(|entry| entry.id).collect();
        assert_eq!(left, [stays.id]);
        let expected = Totals {
            sent: 42,
            received: 0,
            requests: 1,
        };
        assert_eq!(registry.totals(), expected);
        drop(stays);
        assert_eq!((registry.len(), registry.totals()), (0, expected));
    }
}
