//! Sessions at the server: opened, kept warm, handed to one client at a time.
//!
//! ```text
//!  LOGIN7 ──► key ──► pool ──► an idle session that lives ──► lease ──► client
//!                      ▲  └──► dial ───────────────────────────┘  │
//!                      └──────── reset, acknowledged ◄────────────┘
//! ```
//!
//! One pool per target and identity; within it a session serves only clients
//! with the same [`key`], which is everything that its login told the server. A
//! session that comes back is reset at once, and idle only when the server has
//! acknowledged that: handing it out then costs no round trip. Whatever is odd
//! about a session ends it.

mod error;
mod kept;
mod key;
mod lease;
mod pool;
mod reset;
mod slot;
mod state;
mod tend;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

pub(super) use error::LeaseError;
pub(super) use lease::{Condition, Lease};
pub(super) use view::PoolView;

use super::config;
use super::targets::TargetEntry;
use crate::tds::Login7;
use key::Ask;
use pool::{Open, Pool};

/// The sessions of all targets. Dropping it closes the idle ones.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    members: Mutex<Members>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Members {
    /// By the address of the entry, which is held and so stays its own.
    pools: HashMap<usize, Member>,
    /// Those whose target leads elsewhere now: others are in their places.
    replaced: Vec<Member>,
    pauses: Pauses,
    ended: bool,
    /// What the pools that are gone have counted, by target and identity, so
    /// that no count ever falls.
    gone: BTreeMap<(String, String), PoolView>,
}

#[derive(Debug)]
struct Member {
    entry: Arc<TargetEntry>,
    pool: Arc<Pool>,
    /// A reload does without the entry.
    retired: bool,
}

/// Which targets are paused, those that nobody has asked for yet included.
#[derive(Debug, Default)]
struct Pauses {
    all: bool,
    otherwise: HashMap<String, bool>,
}

impl Upstreams {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A session with the login properties that the client asks for, in the
    /// database given here, else the client's, else the target's.
    ///
    /// # Cancel safety
    /// A place in the queue is given up, a login under way is broken off; no
    /// session is lost.
    pub(super) async fn lease(
        &self,
        target: &Arc<TargetEntry>,
        login: &Login7,
        database: Option<&str>,
    ) -> Result<Lease, LeaseError> {
        let ask = Ask::new(login, database, &target.target(), target.pool.keep);
        self.pool(target).lease(&ask).await
    }

    /// Every pool at this moment, by target and identity. Those that a reload has
    /// ended stay with what they counted.
    pub(super) fn pools(&self) -> Vec<PoolView> {
        let mut members = self.lock();
        members.forget_retired();
        let gone = members.gone.values().cloned();
        let mut views: Vec<_> = members.all().map(|m| m.pool.view()).collect();
        views.extend(gone);
        views.sort_by(|a, b| (&a.target, &a.identity).cmp(&(&b.target, &b.identity)));
        views
    }

    /// Hands out no session of the target (of all for `None`) until
    /// [`resume`](Self::resume); clients that have one go on, others wait as
    /// long as they would for a free one.
    pub(super) fn pause(&self, target: Option<&str>) {
        self.set_paused(target, true);
    }

    /// Ends a pause.
    pub(super) fn resume(&self, target: Option<&str>) {
        self.set_paused(target, false);
    }

    /// Closes the sessions of the target (of all for `None`): idle ones now,
    /// those in use when they are given back.
    pub(super) fn reconnect(&self, target: Option<&str>) {
        for member in self.lock().named(target) {
            member.pool.reconnect();
        }
    }

    /// Keeps no session for this target any more, since a reload has replaced
    /// it. Clients that log in under it still get one.
    pub(super) fn retire(&self, target: &Arc<TargetEntry>) {
        let mut members = self.lock();
        if let Some(member) = members.pools.get_mut(&address(target)) {
            member.retired = true;
            member.pool.retire();
        }
        members.forget_retired();
    }

    /// Closes all that is idle, refuses whoever waits, and waits for the work
    /// in the background to end. Sessions in use end with their clients.
    ///
    /// # Cancel safety
    /// Everything is closed as soon as the future is polled.
    pub(super) async fn close(&self) {
        self.end();
        self.tasks.wait().await;
    }

    fn end(&self) {
        let mut members = self.lock();
        members.ended = true;
        for member in members.all() {
            member.pool.end();
        }
        self.tasks.close();
    }

    fn set_paused(&self, target: Option<&str>, paused: bool) {
        let mut members = self.lock();
        members.pauses.set(target, paused);
        for member in members.named(target) {
            member.pool.set_paused(paused);
        }
    }

    /// The pool whose sessions are what the target means now.
    fn pool(&self, target: &Arc<TargetEntry>) -> Arc<Pool> {
        let mut members = self.lock();
        let retired = match members.pools.get(&address(target)) {
            Some(member) if !member.pool.is_outdated() => return Arc::clone(&member.pool),
            Some(member) => member.retired,
            None => false,
        };
        let pool = Pool::start(
            &target.name,
            &target.identity(),
            target.pool.clone(),
            Arc::clone(target) as Arc<dyn Open>,
            self.tasks.clone(),
        );
        pool.set_paused(members.pauses.is_paused(&target.name));
        if retired {
            pool.retire();
        }
        if members.ended {
            pool.end();
        }
        let member = Member {
            entry: Arc::clone(target),
            pool: Arc::clone(&pool),
            retired,
        };
        if let Some(outdated) = members.pools.insert(address(target), member) {
            outdated.pool.retire();
            members.replaced.push(outdated);
            members.forget_retired();
        }
        pool
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.end();
    }
}

impl Members {
    fn all(&self) -> impl Iterator<Item = &Member> {
        self.pools.values().chain(&self.replaced)
    }

    fn named(&self, target: Option<&str>) -> impl Iterator<Item = &Member> {
        self.all()
            .filter(move |member| target.is_none_or(|name| member.entry.name == name))
    }

    /// Drops pools that are empty and that nobody can ask any more.
    fn forget_retired(&mut self) {
        let gone = &mut self.gone;
        let mut forget = |member: &Member, is_known: bool| {
            let view = member.pool.view();
            if !view.retired || !view.is_empty() || is_known {
                return false;
            }
            member.pool.end();
            let name = (view.target.clone(), view.identity.clone());
            gone.entry(name).or_default().add(view);
            true
        };
        // Whoever is about to ask a pool that was replaced holds it already.
        self.replaced
            .retain(|member| !forget(member, Arc::strong_count(&member.pool) > 1));
        // Only this and the pool itself know the entry.
        self.pools
            .retain(|_, member| !forget(member, Arc::strong_count(&member.entry) > 2));
    }
}

impl Pauses {
    fn set(&mut self, target: Option<&str>, paused: bool) {
        match target {
            Some(name) => {
                self.otherwise.insert(name.to_owned(), paused);
            }
            None => {
                self.all = paused;
                self.otherwise.clear();
            }
        }
    }

    fn is_paused(&self, name: &str) -> bool {
        self.otherwise.get(name).copied().unwrap_or(self.all)
    }
}

fn address(target: &Arc<TargetEntry>) -> usize {
    Arc::as_ptr(target).addr()
}
