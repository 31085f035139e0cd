//! Application locks: who holds which, who waits, and who waits for whom.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::interrupt::Interrupt;

/// All application locks of a server.
#[derive(Debug, Default)]
pub(crate) struct AppLocks {
    table: Mutex<Table>,
}

/// A session's part of them, which ends with the session.
#[derive(Debug)]
pub(crate) struct SessionLocks {
    session: u64,
    all: Arc<AppLocks>,
}

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resource {
    pub(crate) database: i64,
    pub(crate) principal: i64,
    pub(crate) name: String,
}

/// How long a session keeps a lock at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Transaction,
    Session,
}

/// How asking for a lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    AtOnce,
    AfterWait,
    TimedOut,
    Deadlock,
    Interrupted,
    /// The session itself holds it, under its other owner.
    OwnConflict,
}

/// A lock's mode: the elementary modes that it joins, so that a conversion is their union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(u8);

const IS: u8 = 1;
const S: u8 = 2;
const U: u8 = 4;
const IX: u8 = 8;
const X: u8 = 16;

impl Mode {
    /// A mode that may be asked for, its name without regard to case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let bits = match name.to_lowercase().as_str() {
            "intentshared" => IS,
            "shared" => S,
            "update" => U,
            "intentexclusive" => IX,
            "exclusive" => X,
            _ => return None,
        };
        Some(Self(bits))
    }

    /// As `APPLOCK_MODE` names it.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            bits if bits & X != 0 => "Exclusive",
            bits if bits & U != 0 && bits & IX != 0 => "UpdateIntentExclusive",
            bits if bits & S != 0 && bits & IX != 0 => "SharedIntentExclusive",
            bits if bits & U != 0 => "Update",
            bits if bits & IX != 0 => "IntentExclusive",
            bits if bits & S != 0 => "Shared",
            _ => "IntentShared",
        }
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// SQL Server's compatibility of locks.
    fn agrees_with(self, other: Self) -> bool {
        let beside = |bit: u8| match bit {
            IS => IS | S | U | IX,
            S => IS | S | U,
            U => IS | S,
            IX => IS | IX,
            _ => 0,
        };
        [IS, S, U, IX, X]
            .iter()
            .filter(|bit| self.0 & **bit != 0)
            .all(|bit| other.0 & !beside(*bit) == 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    session: u64,
    span: Span,
}

#[derive(Debug)]
struct Held {
    owner: Owner,
    mode: Mode,
    /// How often it is to be released.
    count: u32,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    owner: Owner,
    mode: Mode,
    /// The owner holds the lock in another mode already.
    converts: bool,
    wake: Arc<Interrupt>,
}

#[derive(Debug, Default)]
struct Queue {
    held: Vec<Held>,
    /// Conversions first, else in order of arrival.
    waiting: Vec<Waiting>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    queues: HashMap<Resource, Queue>,
}

impl AppLocks {
    /// For a session that begins.
    pub(crate) fn session(self: &Arc<Self>) -> SessionLocks {
        SessionLocks {
            session: self.table().fresh(),
            all: Arc::clone(self),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release_where(&self, gone: impl Fn(Owner) -> bool) {
        let woken = {
            let mut table = self.table();
            for queue in table.queues.values_mut() {
                queue.held.retain(|held| !gone(held.owner));
            }
            table.grant_all()
        };
        wake(woken);
    }
}

impl SessionLocks {
    /// Takes the lock, waiting this long; `None` waits without end.
    pub(crate) fn take(
        &self,
        resource: &Resource,
        span: Span,
        mode: Mode,
        patience: Option<Duration>,
        interrupt: &Arc<Interrupt>,
    ) -> Outcome {
        let owner = self.owner(span);
        let ticket = {
            let mut table = self.all.table();
            match table.ask(resource, owner, mode, patience, interrupt) {
                Ok(ticket) => ticket,
                Err(outcome) => return outcome,
            }
        };
        interrupt.wait_until(patience, || !self.all.table().waits(resource, ticket));
        let woken = {
            let mut table = self.all.table();
            if !table.waits(resource, ticket) {
                return Outcome::AfterWait;
            }
            if let Some(queue) = table.queues.get_mut(resource) {
                queue.waiting.retain(|waiting| waiting.ticket != ticket);
            }
            table.grant_all()
        };
        wake(woken);
        if interrupt.is_set() {
            Outcome::Interrupted
        } else {
            Outcome::TimedOut
        }
    }

    /// Whether the lock could be had at once; `None` where only the session itself is in the way.
    pub(crate) fn is_free(&self, resource: &Resource, span: Span, mode: Mode) -> Option<bool> {
        let table = self.all.table();
        let Some(queue) = table.queues.get(resource) else {
            return Some(true);
        };
        let owner = self.owner(span);
        if queue.own_conflict(owner, mode) {
            return None;
        }
        Some(queue.admits(owner, mode))
    }

    /// The mode in which this owner holds the lock.
    pub(crate) fn mode(&self, resource: &Resource, span: Span) -> Option<Mode> {
        let owner = self.owner(span);
        let table = self.all.table();
        table.queues.get(resource)?.mode(owner)
    }

    /// Releases once what was taken; `false` if the owner does not hold it.
    pub(crate) fn release(&self, resource: &Resource, span: Span) -> bool {
        let owner = self.owner(span);
        let woken = {
            let mut table = self.all.table();
            let Some(queue) = table.queues.get_mut(resource) else {
                return false;
            };
            let Some(at) = queue.held.iter().position(|held| held.owner == owner) else {
                return false;
            };
            match queue.held.get_mut(at) {
                Some(held) if held.count > 1 => held.count -= 1,
                _ => drop(queue.held.remove(at)),
            }
            table.grant_all()
        };
        wake(woken);
        true
    }

    /// The transaction, or the session, is at its end.
    pub(crate) fn end(&self, span: Span) {
        let owner = self.owner(span);
        self.all.release_where(|held| held == owner);
    }

    fn owner(&self, span: Span) -> Owner {
        Owner {
            session: self.session,
            span,
        }
    }
}

impl Drop for SessionLocks {
    fn drop(&mut self) {
        self.all
            .release_where(|owner| owner.session == self.session);
    }
}

impl Table {
    fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Grants the lock, or puts the request into the queue and returns its ticket.
    fn ask(
        &mut self,
        resource: &Resource,
        owner: Owner,
        mode: Mode,
        patience: Option<Duration>,
        wake: &Arc<Interrupt>,
    ) -> Result<u64, Outcome> {
        let ticket = self.fresh();
        let queue = self.queues.entry(resource.clone()).or_default();
        if queue.own_conflict(owner, mode) {
            return Err(Outcome::OwnConflict);
        }
        if queue.admits(owner, mode) {
            queue.grant(owner, mode);
            return Err(Outcome::AtOnce);
        }
        if patience.is_some_and(|time| time.is_zero()) {
            return Err(Outcome::TimedOut);
        }
        let held = queue.mode(owner);
        let request = Waiting {
            ticket,
            owner,
            mode: held.map_or(mode, |held| held.with(mode)),
            converts: held.is_some(),
            wake: Arc::clone(wake),
        };
        let at = match request.converts {
            true => queue.waiting.iter().filter(|w| w.converts).count(),
            false => queue.waiting.len(),
        };
        queue.waiting.insert(at, request);
        if self.closes_circle(owner.session) {
            if let Some(queue) = self.queues.get_mut(resource) {
                queue.waiting.retain(|waiting| waiting.ticket != ticket);
            }
            return Err(Outcome::Deadlock);
        }
        Ok(ticket)
    }

    fn waits(&self, resource: &Resource, ticket: u64) -> bool {
        let queue = self.queues.get(resource);
        queue.is_some_and(|queue| queue.waiting.iter().any(|w| w.ticket == ticket))
    }

    /// Whether the session waits, through others, for itself.
    fn closes_circle(&self, session: u64) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![session];
        while let Some(next) = open.pop() {
            for queue in self.queues.values() {
                for other in queue.obstacles(next) {
                    if other == session {
                        return true;
                    }
                    if seen.insert(other) {
                        open.push(other);
                    }
                }
            }
        }
        false
    }

    /// Grants what can be granted now, and tells whom to wake.
    fn grant_all(&mut self) -> Vec<Arc<Interrupt>> {
        let mut woken = Vec::new();
        for queue in self.queues.values_mut() {
            let mut at = 0;
            while let Some(next) = queue.waiting.get(at) {
                if queue.blockers(at).next().is_some() {
                    at += 1;
                    continue;
                }
                let (owner, mode) = (next.owner, next.mode);
                woken.push(queue.waiting.remove(at).wake);
                queue.grant(owner, mode);
            }
        }
        self.queues
            .retain(|_, queue| !queue.held.is_empty() || !queue.waiting.is_empty());
        woken
    }
}

impl Queue {
    fn mode(&self, owner: Owner) -> Option<Mode> {
        let held = self.held.iter().find(|held| held.owner == owner)?;
        Some(held.mode)
    }

    fn own_conflict(&self, owner: Owner, mode: Mode) -> bool {
        self.held.iter().any(|held| {
            held.owner.session == owner.session
                && held.owner != owner
                && !held.mode.agrees_with(mode)
        })
    }

    /// Whether a new request can be granted; who comes first is not overtaken.
    fn admits(&self, owner: Owner, mode: Mode) -> bool {
        let held = self.mode(owner);
        let mode = held.map_or(mode, |held| held.with(mode));
        let agrees =
            |other: Owner, theirs: Mode| other.session == owner.session || theirs.agrees_with(mode);
        self.held
            .iter()
            .all(|other| agrees(other.owner, other.mode))
            && (held.is_some() || self.waiting.iter().all(|w| agrees(w.owner, w.mode)))
    }

    fn grant(&mut self, owner: Owner, mode: Mode) {
        match self.held.iter_mut().find(|held| held.owner == owner) {
            Some(held) => {
                held.mode = held.mode.with(mode);
                held.count += 1;
            }
            None => self.held.push(Held {
                owner,
                mode,
                count: 1,
            }),
        }
    }

    /// The sessions that the request at this place waits for.
    fn blockers(&self, at: usize) -> impl Iterator<Item = u64> + '_ {
        let request = self.waiting.get(at);
        let ahead = match request {
            Some(request) if !request.converts => at,
            _ => 0,
        };
        let held = self.held.iter().map(|held| (held.owner, held.mode));
        let waiting = self.waiting.iter().take(ahead).map(|w| (w.owner, w.mode));
        held.chain(waiting).filter_map(move |(owner, mode)| {
            let request = request?;
            let blocks = owner.session != request.owner.session && !mode.agrees_with(request.mode);
            blocks.then_some(owner.session)
        })
    }

    /// The sessions that this one waits for here.
    fn obstacles(&self, session: u64) -> impl Iterator<Item = u64> + '_ {
        self.waiting
            .iter()
            .enumerate()
            .filter(move |(_, waiting)| waiting.owner.session == session)
            .flat_map(|(at, _)| self.blockers(at))
    }
}

/// Only without the table's lock: who wakes up looks into the table.
fn wake(sessions: Vec<Arc<Interrupt>>) {
    for session in sessions {
        session.poke();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes() -> Vec<Mode> {
        [
            "IntentShared",
            "Shared",
            "Update",
            "IntentExclusive",
            "Exclusive",
        ]
        .iter()
        .filter_map(|name| Mode::parse(name))
        .collect()
    }

    #[test]
    fn modes_agree_as_documented() {
        let table: Vec<String> = modes()
            .iter()
            .map(|a| {
                let cell = |b: &Mode| if a.agrees_with(*b) { '+' } else { '-' };
                modes().iter().map(cell).collect()
            })
            .collect();
        assert_eq!(table, ["++++-", "+++--", "++---", "+--+-", "-----"]);
    }

    #[test]
    fn joined_modes_have_names_of_their_own() {
        let named = |a: &str, b: &str| {
            let (a, b) = (Mode::parse(a).unwrap(), Mode::parse(b).unwrap());
            assert_eq!(a.with(b), b.with(a));
            a.with(b).name()
        };
        assert_eq!(named("Shared", "IntentExclusive"), "SharedIntentExclusive");
        assert_eq!(named("Update", "IntentExclusive"), "UpdateIntentExclusive");
        assert_eq!(named("Shared", "Update"), "Update");
        assert_eq!(named("IntentShared", "Shared"), "Shared");
        assert_eq!(named("Exclusive", "Shared"), "Exclusive");
    }

    #[test]
    fn what_is_released_leaves_nothing_behind() {
        let all = Arc::new(AppLocks::default());
        let resource = Resource {
            database: 5,
            principal: 0,
            name: "r".into(),
        };
        let mode = Mode::parse("Exclusive").unwrap();
        let interrupt = Arc::default();
        let one = all.session();
        let take = |who: &SessionLocks| {
            who.take(
                &resource,
                Span::Session,
                mode,
                Some(Duration::ZERO),
                &interrupt,
            )
        };
        assert_eq!(take(&one), Outcome::AtOnce);
        let other = all.session();
        assert_eq!(take(&other), Outcome::TimedOut);
        drop(one);
        assert!(all.table().queues.is_empty());
        assert_eq!(take(&other), Outcome::AtOnce);
        assert!(other.release(&resource, Span::Session));
        assert!(!other.release(&resource, Span::Session));
        assert!(all.table().queues.is_empty());
    }
}
