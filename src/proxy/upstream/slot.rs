//! A place in a pool: held from the beginning of a login until the session is
//! idle or closed, on whatever path that comes about.

use std::sync::Arc;

use tokio::time::Instant;

use super::kept::Kept;
use super::key::Key;
use super::pool::Pool;
use super::state::Place;
use super::view::Reason;
use crate::dial::DialError;

/// One of a pool's places, counted already when this is made. Dropping it gives
/// the place to the next in the queue.
#[derive(Debug)]
pub(super) struct Slot {
    pool: Arc<Pool>,
    key: Key,
    /// `None` once the place has been passed on.
    place: Option<Place>,
    /// Why the session was closed, when this is dropped.
    why: Reason,
}

impl Slot {
    pub(super) fn new(pool: &Arc<Pool>, key: &Key, place: Place) -> Self {
        Self {
            pool: Arc::clone(pool),
            // One copy for all sessions of the key, not one for each client.
            key: pool.with(|state| state.own_key(key)),
            place: Some(place),
            why: Reason::InDoubt,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The login went well.
    pub(super) fn opened(&mut self, kept: &mut Kept) {
        self.go_to(Place::InUse);
        let now = Instant::now();
        self.pool
            .with(|state| state.group(&self.key, now).login_succeeded(kept));
        self.pool.wants_spares();
    }

    /// The login failed: those who wait for the same are told, the place is
    /// given up.
    pub(super) fn failed(self, error: &Arc<DialError>) {
        let now = Instant::now();
        self.pool
            .with(|state| state.login_failed(&self.key, error, now));
        // To have the failure forgotten in time.
        self.pool.bell.0.notify_one();
    }

    pub(super) fn resetting(&mut self) {
        self.go_to(Place::Resetting);
    }

    /// The session is idle from now on, and looked after by the pool.
    pub(super) fn settle(mut self, kept: Kept) {
        let Some(place) = self.place.take() else {
            return;
        };
        let (now, due) = (Instant::now(), kept.due());
        self.pool
            .with(|state| state.settle(&self.key, kept, place, now));
        self.pool.has_settled(due);
    }

    /// Closes the session.
    pub(super) fn close(mut self, kept: Kept, reason: Reason) {
        kept.log_closed(reason);
        self.why = reason;
        drop(kept);
    }

    /// Gives up the guard, not the place.
    pub(super) fn dissolve(mut self) -> Key {
        self.place = None;
        self.key.clone()
    }

    fn go_to(&mut self, place: Place) {
        let now = Instant::now();
        self.pool
            .with(|state| state.shift(&self.key, self.place, Some(place), now));
        self.place = Some(place);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        let now = Instant::now();
        self.pool.with(|state| {
            state.shift(&self.key, Some(place), None, now);
            if place != Place::Opening {
                state.count_closed(self.why);
            }
            state.serve_queue(now);
            state.forget_if_empty(&self.key, now);
        });
    }
}
