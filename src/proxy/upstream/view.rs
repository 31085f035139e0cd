//! A pool at one moment, for people and metrics.

use std::collections::BTreeMap;

/// The sessions of one target under one identity.
///
/// `opened` equals `idle + in_use + resetting` and all of `closed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct PoolView {
    pub(in crate::proxy) target: String,
    pub(in crate::proxy) identity: String,
    pub(in crate::proxy) paused: bool,
    /// Replaced by a reload: nothing is kept any more.
    pub(in crate::proxy) retired: bool,
    pub(in crate::proxy) max: usize,
    pub(in crate::proxy) idle: usize,
    pub(in crate::proxy) in_use: usize,
    /// Given back, and not yet ready for the next client.
    pub(in crate::proxy) resetting: usize,
    pub(in crate::proxy) opening: usize,
    /// Clients that wait for a session.
    pub(in crate::proxy) waiting: usize,
    /// Sessions opened since the start.
    pub(in crate::proxy) opened: u64,
    /// How often a client got a session that was open already.
    pub(in crate::proxy) reused: u64,
    /// Sessions closed since the start, by the reason's word; every reason is
    /// there.
    pub(in crate::proxy) closed: BTreeMap<&'static str, u64>,
    /// The same numbers by login properties.
    pub(in crate::proxy) keys: Vec<KeyView>,
}

impl PoolView {
    /// Whether it holds nothing that is alive.
    pub(super) fn is_empty(&self) -> bool {
        self.idle + self.in_use + self.resetting + self.opening + self.waiting == 0
    }

    /// Adds what another pool of the same name has counted in its time.
    pub(super) fn add(&mut self, gone: Self) {
        self.target = gone.target;
        self.identity = gone.identity;
        self.retired = true;
        self.opened += gone.opened;
        self.reused += gone.reused;
        for (reason, count) in gone.closed {
            *self.closed.entry(reason).or_default() += count;
        }
    }
}

/// The sessions with the same login properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct KeyView {
    /// The properties that people tell apart, printable and bounded.
    pub(in crate::proxy) key: String,
    pub(in crate::proxy) database: String,
    pub(in crate::proxy) application: String,
    pub(in crate::proxy) idle: usize,
    pub(in crate::proxy) in_use: usize,
    pub(in crate::proxy) resetting: usize,
    pub(in crate::proxy) opening: usize,
    pub(in crate::proxy) waiting: usize,
}

/// Why a session was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::proxy) enum Reason {
    /// It has lived as long as sessions may.
    Aged,
    /// The server closed it, or sent something, while it was idle.
    Dead,
    /// Its client left in the middle of something, or it broke.
    InDoubt,
    /// Nobody wanted it for long enough.
    Idle,
    /// Something was in force that no reset ends.
    Lasting,
    /// It was for one client alone.
    NotKept,
    /// Somebody asked for new ones.
    Reconnect,
    /// It could not be reset.
    Reset,
    /// The proxy's configuration does without it.
    Retired,
    /// A client with other login properties needed its place.
    Room,
    /// The proxy ended.
    Shutdown,
    /// The token that it was opened with expires.
    TokenExpiry,
}

impl Reason {
    /// Every reason.
    pub(super) const ALL: [Self; 12] = [
        Self::Aged,
        Self::Dead,
        Self::InDoubt,
        Self::Idle,
        Self::Lasting,
        Self::NotKept,
        Self::Reconnect,
        Self::Reset,
        Self::Retired,
        Self::Room,
        Self::Shutdown,
        Self::TokenExpiry,
    ];

    /// The word for logs and metrics.
    pub(in crate::proxy) fn word(self) -> &'static str {
        match self {
            Self::Aged => "aged",
            Self::Dead => "dead",
            Self::InDoubt => "in-doubt",
            Self::Idle => "idle",
            Self::Lasting => "lasting",
            Self::NotKept => "not-kept",
            Self::Reconnect => "reconnect",
            Self::Reset => "reset",
            Self::Retired => "retired",
            Self::Room => "room",
            Self::Shutdown => "shutdown",
            Self::TokenExpiry => "token-expiry",
        }
    }
}
