//! Looks after the sessions that nobody has: closes what is too old, idle for
//! too long or dead, and opens ahead what will be asked for.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

use super::key::Key;
use super::pool::Pool;
use super::slot::Slot;
use super::state::{Group, Place, Stage, State};

/// Sessions are opened ahead for login properties that somebody asked for within
/// this time.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// So many properties without a session are remembered: clients choose them.
const MAX_REMEMBERED: usize = 64;
/// After a failure nothing is opened ahead for a while, each time for twice as
/// long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// With nothing else to do.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60 * 60);

/// Whether and when sessions may be opened ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    failures: u32,
    blocked: Option<Instant>,
}

/// The background task of a pool. It does not keep the pool alive.
pub(super) fn tend(pool: &Arc<Pool>) -> impl Future<Output = ()> + Send + use<> {
    let (bell, ended) = (Arc::clone(&pool.bell), pool.ended.clone());
    let mut moves = pool.moves.clone();
    let pool = Arc::downgrade(pool);
    // It looks at any number of sockets in one go.
    unconstrained(async move {
        loop {
            let Some(next) = pool.upgrade().map(|pool| pool.look_after()) else {
                return;
            };
            tokio::select! {
                () = ended.cancelled() => return,
                () = bell.0.notified() => {}
                () = moved(&mut moves) => {}
                () = sleep_until(next) => {}
            }
        }
    })
}

impl Pool {
    /// Some session may be missing that is to be open ahead.
    pub(super) fn wants_spares(&self) {
        if self.min_idle() > 0 {
            self.bell.0.notify_one();
        }
    }

    /// A session has become idle: if its end comes before what is planned, that
    /// is planned anew.
    pub(super) fn has_settled(&self, due: Option<Instant>) {
        let idle_end = Instant::now().checked_add(self.config.idle_timeout);
        let first = due.into_iter().chain(idle_end).min();
        let planned = self.with(|state| state.planned);
        if first.is_some_and(|first| planned.is_none_or(|planned| first < planned)) {
            self.bell.0.notify_one();
        }
    }

    fn min_idle(&self) -> usize {
        if self.config.keep {
            self.config.min_idle
        } else {
            0
        }
    }

    /// One round; returns when the next is due.
    fn look_after(self: &Arc<Self>) -> Instant {
        if self.is_outdated() {
            self.retire();
        }
        let now = Instant::now();
        let (next, missing) = self.with(|state| {
            self.listen_to_idle(state, now);
            state.close_idle(now, |kept| kept.is_due(now));
            state.close_stale(now, self.config.idle_timeout, |group| {
                self.floor(group, now)
            });
            state.forget(now, MAX_REMEMBERED);
            let missing = self.missing(state, now);
            let next = self.next_round(state, now);
            state.planned = Some(next);
            (next, missing)
        });
        for key in missing {
            let slot = Slot::new(self, &key, Place::Opening);
            self.tasks.spawn(open_ahead(Arc::clone(self), key, slot));
        }
        next
    }

    /// How many idle sessions stay, however long nobody asks.
    fn floor(&self, group: &Group, now: Instant) -> usize {
        if group.is_remembered(now) {
            self.min_idle()
        } else {
            0
        }
    }

    /// What is to be opened ahead, counted as opening already. Never at the cost
    /// of somebody else's session, and never while clients wait.
    fn missing(&self, state: &mut State, now: Instant) -> Vec<Key> {
        let mut missing = Vec::new();
        let at_rest = state.paused || state.stage != Stage::Open || state.waiting() > 0;
        if at_rest || self.min_idle() == 0 || state.ahead.blocked(now).is_some() {
            return missing;
        }
        let mut groups: Vec<_> = state
            .groups
            .iter()
            .filter(|(_, group)| group.is_remembered(now))
            .map(|(key, group)| {
                let census = &group.census;
                let there = census.idle + census.opening + census.resetting;
                (
                    key.clone(),
                    self.min_idle().saturating_sub(there),
                    group.asked,
                )
            })
            .collect();
        groups.sort_by_key(|(_, _, asked)| std::cmp::Reverse(*asked));
        for (key, count, _) in groups {
            for _ in 0..count {
                if state.has_room() {
                    state.shift(&key, None, Some(Place::Opening), now);
                    missing.push(key.clone());
                }
            }
        }
        missing
    }

    fn next_round(&self, state: &State, now: Instant) -> Instant {
        let mut next = now + AT_LEAST_EVERY;
        let mut by = |at: Option<Instant>| {
            if let Some(at) = at.filter(|at| *at > now) {
                next = next.min(at);
            }
        };
        by(state.ahead.blocked(now));
        for group in state.groups.values() {
            by(group.failure_ends());
            by(group.asked.checked_add(REMEMBERED));
            for kept in &group.idle {
                by(kept.due());
                by(kept.idle_since.checked_add(self.config.idle_timeout));
            }
        }
        next
    }
}

/// Waits until the opener leads elsewhere.
async fn moved(moves: &mut Option<watch::Receiver<()>>) {
    let heard = match moves {
        Some(moves) => moves.changed().await.is_ok(),
        None => false,
    };
    if !heard {
        pending().await
    }
}

async fn open_ahead(pool: Arc<Pool>, key: Key, slot: Slot) {
    let opened = tokio::select! {
        () = pool.ended.cancelled() => return,
        opened = pool.open(key.profile(), slot) => opened,
    };
    match opened {
        Ok((kept, slot)) => {
            let now = Instant::now();
            pool.with(|state| match kept.is_due(now) {
                // A token that short gives no session that could be kept.
                Some(_) => state.ahead.failed(now),
                None => state.ahead = Ahead::default(),
            });
            pool.keep(kept, slot);
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(target_name = %pool.name, error, "cannot open a session ahead");
            pool.with(|state| state.ahead.failed(Instant::now()));
            pool.bell.0.notify_one();
        }
    }
}

impl Ahead {
    /// Until when nothing is opened ahead.
    pub(super) fn blocked(&self, now: Instant) -> Option<Instant> {
        self.blocked.filter(|until| now < *until)
    }

    fn failed(&mut self, now: Instant) {
        // Logins that fail together are one failure.
        if self.blocked(now).is_some() {
            return;
        }
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.min(8));
        self.failures += 1;
        self.blocked = Some(now + pause.min(LONGEST_PAUSE));
    }
}
