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
    /// Clients that got a session which was open already.
    pub(in crate::proxy) reused: u64,
    /// Sessions closed since the start, by the reason's word.
    pub(in crate::proxy) closed: BTreeMap<&'static str, u64>,
    /// The same numbers by login properties.
    pub(in crate::proxy) keys: Vec<KeyView>,
}

/// The sessions with the same login properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct KeyView {
    /// The properties that clients tell apart, printable and bounded.
    pub(in crate::proxy) key: String,
    pub(in crate::proxy) database: String,
    pub(in crate::proxy) application: String,
    pub(in crate::proxy) idle: usize,
    pub(in crate::proxy) in_use: usize,
    pub(in crate::proxy) waiting: usize,
}
