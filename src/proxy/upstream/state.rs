//! Who has which session of a pool, and who waits for one: bookkeeping that
//! never waits itself, kept under one lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::kept::Kept;
use super::key::Key;
use super::tend::{Ahead, REMEMBERED};
use super::view::Reason;
use crate::dial::DialError;
use crate::session::LoginInfo;

/// How long a failed login is the answer to all who ask for the same. A server
/// that refuses a crowd is asked once a second, not by each of them.
pub(super) const FAILURE_HOLDS: Duration = Duration::from_secs(1);

/// How many may be served before somebody whose turn it is, because the session
/// that comes free has their login properties and not those of the other.
const OVERTAKING: u32 = 16;

/// The sessions of one target under one identity.
///
/// All of them count towards `max`, from the moment that a login begins until
/// the session is closed. Whoever waits is served in the order of coming, but
/// for a few who can go on with a session as it is, where the first in the queue
/// would have it closed and another opened: by the order alone a crowd of
/// several programs would log in anew for each client. While somebody waits,
/// nothing is idle and nothing more may be opened.
#[derive(Debug)]
pub(super) struct State {
    max: usize,
    queue_max: usize,
    pub(super) groups: HashMap<Key, Group>,
    queue: VecDeque<Waiter>,
    next_waiter: u64,
    pub(super) total: Census,
    pub(super) opened: u64,
    pub(super) reused: u64,
    pub(super) closed: BTreeMap<Reason, u64>,
    pub(super) paused: bool,
    pub(super) stage: Stage,
    /// Sessions of an earlier epoch are not kept.
    pub(super) epoch: u64,
    /// Whether login properties are remembered when no session has them.
    remember: bool,
    pub(super) ahead: Ahead,
    /// When idle sessions are looked after next.
    pub(super) planned: Option<Instant>,
    /// Sessions to be closed once the lock is free.
    pub(super) doomed: Vec<Kept>,
}

/// The sessions with one set of login properties.
#[derive(Debug)]
pub(super) struct Group {
    /// The one used last is at the back, and is the first to be used again.
    pub(super) idle: VecDeque<Kept>,
    pub(super) census: Census,
    pub(super) waiting: usize,
    /// When a client last asked for one.
    pub(super) asked: Instant,
    failure: Option<(Instant, Arc<DialError>)>,
    /// What the latest login said.
    told: Option<Arc<LoginInfo>>,
}

/// How many sessions are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) opening: usize,
    pub(super) in_use: usize,
    pub(super) resetting: usize,
    pub(super) idle: usize,
}

/// How far a pool's life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// Nothing is kept any more.
    Retired,
    /// Nothing is given out any more.
    Ended,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Opening,
    InUse,
    Resetting,
    Idle,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    key: Key,
    turn: oneshot::Sender<Grant>,
    /// How many have been served before it since it is the first.
    overtaken: u32,
}

/// What somebody gets who asked for a session.
#[derive(Debug)]
pub(super) enum Grant {
    /// This one, counted as in use. It has not been looked at yet.
    Warm(Box<Kept>),
    /// Leave to open one, counted as opening.
    Cold,
    /// A login for the same has just failed.
    Refused(Arc<DialError>),
    /// Nothing, for good.
    Ended,
}

/// The answer to a question for a session.
#[derive(Debug)]
pub(super) enum Asked {
    Now(Grant),
    /// The number in the queue, and where the grant will come.
    Wait(u64, oneshot::Receiver<Grant>),
    /// The queue is full.
    Full,
}

impl State {
    pub(super) fn new(max: usize, queue_max: usize, remember: bool) -> Self {
        Self {
            max: max.max(1),
            queue_max,
            groups: HashMap::new(),
            queue: VecDeque::new(),
            next_waiter: 0,
            total: Census::default(),
            opened: 0,
            reused: 0,
            closed: BTreeMap::new(),
            paused: false,
            stage: Stage::Open,
            epoch: 0,
            remember,
            ahead: Ahead::default(),
            planned: None,
            doomed: Vec::new(),
        }
    }

    /// Takes a session, or leave to open one, or a place in the queue.
    pub(super) fn ask(&mut self, key: &Key, now: Instant) -> Asked {
        if self.stage == Stage::Ended {
            return Asked::Now(Grant::Ended);
        }
        self.group(key, now).asked = now;
        if !self.paused && self.queue.is_empty() {
            if let Some(grant) = self.grant(key, now) {
                return Asked::Now(grant);
            }
        } else if let Some(error) = self.group(key, now).failure(now) {
            return Asked::Now(Grant::Refused(error));
        }
        if self.queue.len() >= self.queue_max {
            return Asked::Full;
        }
        let (turn, wait) = oneshot::channel();
        self.next_waiter += 1;
        self.queue.push_back(Waiter {
            number: self.next_waiter,
            key: key.clone(),
            turn,
            overtaken: 0,
        });
        self.group(key, now).waiting += 1;
        Asked::Wait(self.next_waiter, wait)
    }

    /// Leaves the queue; `false` if the grant has been sent already.
    pub(super) fn withdraw(&mut self, number: u64, now: Instant) -> bool {
        let Some(at) = self.queue.iter().position(|w| w.number == number) else {
            return false;
        };
        if let Some(waiter) = self.queue.remove(at) {
            self.group(&waiter.key, now).waiting -= 1;
            self.forget_if_empty(&waiter.key, now);
        }
        true
    }

    /// Serves those who wait, as far as there is something for them.
    pub(super) fn serve_queue(&mut self, now: Instant) {
        while !self.paused
            && let Some(key) = self.queue.front().map(|waiter| waiter.key.clone())
            && let Some(grant) = self.grant(&key, now)
        {
            self.send(0, grant, now);
        }
    }

    /// Serves somebody for whom the idle session of this key is, before the one
    /// whose turn it is.
    fn serve_alike(&mut self, key: &Key, now: Instant) {
        if let Some(at) = self.overtaker(key)
            && let Some(grant) = self.grant(key, now)
        {
            if let Some(first) = self.queue.front_mut() {
                first.overtaken += 1;
            }
            self.send(at, grant, now);
        }
    }

    /// Who in the queue may be served with a session of this key although it is
    /// another's turn, who has no use for it.
    fn overtaker(&self, key: &Key) -> Option<usize> {
        let first = self.queue.front()?;
        if self.paused || first.key == *key || first.overtaken >= OVERTAKING {
            return None;
        }
        self.queue.iter().position(|waiter| waiter.key == *key)
    }

    /// Something for this key, if there is: an idle session, leave to open one
    /// (for which the oldest idle session of another key may have to go), or a
    /// fresh failure.
    pub(super) fn grant(&mut self, key: &Key, now: Instant) -> Option<Grant> {
        while let Some(kept) = self.group(key, now).idle.pop_back() {
            self.shift(key, Some(Place::Idle), Some(Place::InUse), now);
            if let Some(reason) = kept.is_due(now) {
                self.shift(key, Some(Place::InUse), None, now);
                self.doom(kept, reason);
                continue;
            }
            self.reused += 1;
            return Some(Grant::Warm(Box::new(kept)));
        }
        if let Some(error) = self.group(key, now).failure(now) {
            return Some(Grant::Refused(error));
        }
        if self.total.all() >= self.max && !self.make_room(now) {
            return None;
        }
        self.shift(key, None, Some(Place::Opening), now);
        Some(Grant::Cold)
    }

    /// Takes back a grant that nobody came for.
    pub(super) fn undo(&mut self, key: &Key, grant: Grant, now: Instant) {
        match grant {
            Grant::Warm(kept) => {
                self.reused -= 1;
                self.rest(key, *kept, Place::InUse, now);
            }
            Grant::Cold => self.shift(key, Some(Place::Opening), None, now),
            Grant::Refused(_) | Grant::Ended => {}
        }
        self.serve_queue(now);
        self.forget_if_empty(key, now);
    }

    /// A login failed: whoever waits for the same is told so.
    pub(super) fn login_failed(&mut self, key: &Key, error: &Arc<DialError>, now: Instant) {
        self.group(key, now).failure = Some((now + FAILURE_HOLDS, Arc::clone(error)));
        let (same, others) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|waiter| waiter.key == *key);
        self.queue = others;
        let same: VecDeque<Waiter> = same;
        self.group(key, now).waiting -= same.len();
        for waiter in same {
            // Whoever has gone meanwhile needs no answer.
            let _ = waiter.turn.send(Grant::Refused(Arc::clone(error)));
        }
    }

    /// Moves one session of the key from one place to another; from nowhere
    /// when its login begins, to nowhere when it is closed.
    pub(super) fn shift(
        &mut self,
        key: &Key,
        from: Option<Place>,
        to: Option<Place>,
        now: Instant,
    ) {
        let group = self.group(key, now);
        if let Some(place) = from {
            *group.census.at(place) -= 1;
        }
        if let Some(place) = to {
            *group.census.at(place) += 1;
        }
        if let Some(place) = from {
            *self.total.at(place) -= 1;
        }
        if let Some(place) = to {
            *self.total.at(place) += 1;
        }
        if from == Some(Place::Opening) && to.is_some() {
            self.opened += 1;
        }
    }

    /// Counts a session as closed.
    pub(super) fn count_closed(&mut self, reason: Reason) {
        *self.closed.entry(reason).or_default() += 1;
    }

    /// Puts a session that is fit into the hands of whoever waits for it, or
    /// among the idle ones.
    pub(super) fn settle(&mut self, key: &Key, kept: Kept, from: Place, now: Instant) {
        if self.rest(key, kept, from, now) {
            self.serve_alike(key, now);
        }
        self.serve_queue(now);
        self.forget_if_empty(key, now);
    }

    /// Why a session is not to be kept, whatever it is like itself.
    pub(super) fn unwanted(&self, kept: &Kept) -> Option<Reason> {
        match self.stage {
            Stage::Open if kept.epoch == self.epoch => None,
            Stage::Open => Some(Reason::Reconnect),
            Stage::Retired => Some(Reason::Retired),
            Stage::Ended => Some(Reason::Shutdown),
        }
    }

    /// Closes every idle session that the predicate names a reason for.
    pub(super) fn close_idle(
        &mut self,
        now: Instant,
        mut why: impl FnMut(&mut Kept) -> Option<Reason>,
    ) {
        let mut closed = Vec::new();
        for (key, group) in &mut self.groups {
            for mut kept in std::mem::take(&mut group.idle) {
                match why(&mut kept) {
                    None => group.idle.push_back(kept),
                    Some(reason) => closed.push((key.clone(), kept, reason)),
                }
            }
        }
        for (key, kept, reason) in closed {
            self.shift(&key, Some(Place::Idle), None, now);
            self.doom(kept, reason);
            self.forget_if_empty(&key, now);
        }
    }

    /// Whether the next in the queue wants something else than this, so that a
    /// session of this key had better make room.
    pub(super) fn must_yield(&self, key: &Key) -> bool {
        let next = self.queue.front();
        !self.paused
            && next.is_some_and(|waiter| waiter.key != *key)
            && self.overtaker(key).is_none()
    }

    /// Gives out nothing any more.
    pub(super) fn end(&mut self, now: Instant) {
        self.stage = Stage::Ended;
        while !self.queue.is_empty() {
            self.send(0, Grant::Ended, now);
        }
        self.close_idle(now, |_| Some(Reason::Shutdown));
    }

    /// Forgets a key that nobody has, waits for or should remember.
    pub(super) fn forget_if_empty(&mut self, key: &Key, now: Instant) {
        let empty =
            |group: &Group| group.is_empty(now) && !(self.remember && group.is_remembered(now));
        if self.groups.get(key).is_some_and(empty) {
            self.groups.remove(key);
        }
    }

    /// Forgets what need not be remembered, down to `most` empty keys.
    pub(super) fn forget(&mut self, now: Instant, most: usize) {
        let remember = self.remember;
        self.groups
            .retain(|_, group| !group.is_empty(now) || (remember && group.is_remembered(now)));
        let empty = self.groups.iter().filter(|(_, group)| group.is_empty(now));
        let mut empty: Vec<_> = empty.map(|(key, g)| (g.asked, key.clone())).collect();
        empty.sort_by_key(|(asked, _)| std::cmp::Reverse(*asked));
        for (_, key) in empty.into_iter().skip(most) {
            self.groups.remove(&key);
        }
    }

    /// Closes what has been idle for too long, the oldest first, down to the
    /// number that is to stay.
    pub(super) fn close_stale(
        &mut self,
        now: Instant,
        idle_timeout: Duration,
        floor: impl Fn(&Group) -> usize,
    ) {
        let stale: Vec<(Key, usize)> = self
            .groups
            .iter()
            .map(|(key, group)| {
                let spare = group.idle.len().saturating_sub(floor(group));
                let is_stale =
                    |kept: &&Kept| now.saturating_duration_since(kept.idle_since) >= idle_timeout;
                let stale = group.idle.iter().take(spare).take_while(is_stale);
                (key.clone(), stale.count())
            })
            .collect();
        for (key, count) in stale {
            for _ in 0..count {
                if let Some(kept) = self.group(&key, now).idle.pop_front() {
                    self.shift(&key, Some(Place::Idle), None, now);
                    self.doom(kept, Reason::Idle);
                }
            }
            self.forget_if_empty(&key, now);
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.total.all() < self.max
    }

    /// That all numbers agree.
    pub(super) fn assert_sound(&self) {
        let mut sum = Census::default();
        let mut waiting = 0;
        for group in self.groups.values() {
            assert_eq!(group.idle.len(), group.census.idle);
            sum.opening += group.census.opening;
            sum.in_use += group.census.in_use;
            sum.resetting += group.census.resetting;
            sum.idle += group.census.idle;
            waiting += group.waiting;
        }
        assert_eq!(sum, self.total);
        assert_eq!(waiting, self.queue.len());
        assert!(sum.all() <= self.max);
        let live = sum.idle + sum.in_use + sum.resetting;
        assert_eq!(
            self.opened,
            live as u64 + self.closed.values().sum::<u64>(),
            "a session has been lost"
        );
        if !self.queue.is_empty() && !self.paused {
            assert_eq!(sum.idle, 0, "clients wait while sessions are idle");
            assert!(!self.has_room(), "clients wait while there is room");
        }
    }

    pub(super) fn group(&mut self, key: &Key, now: Instant) -> &mut Group {
        self.groups
            .entry(key.clone())
            .or_insert_with(|| Group::new(now))
    }

    /// The pool's own copy of a key.
    pub(super) fn own_key(&self, key: &Key) -> Key {
        let own = self.groups.get_key_value(key).map(|(own, _)| own);
        own.unwrap_or(key).clone()
    }

    /// Puts a session among the idle ones. It is looked at under the same lock:
    /// whoever closes the idle ones must not be followed by one of the same kind.
    /// `false`: it is closed.
    fn rest(&mut self, key: &Key, kept: Kept, from: Place, now: Instant) -> bool {
        if let Some(reason) = self.unwanted(&kept) {
            self.shift(key, Some(from), None, now);
            self.doom(kept, reason);
            return false;
        }
        self.shift(key, Some(from), Some(Place::Idle), now);
        self.group(key, now).idle.push_back(kept);
        true
    }

    /// Ends the waiting of the one at that place in the queue.
    fn send(&mut self, at: usize, grant: Grant, now: Instant) {
        let Some(waiter) = self.queue.remove(at) else {
            return;
        };
        self.group(&waiter.key, now).waiting -= 1;
        // Nobody leaves without `withdraw`, so somebody is there; but what is
        // not taken must not be lost.
        if let Err(grant) = waiter.turn.send(grant) {
            self.undo(&waiter.key, grant, now);
        }
    }

    /// Closes the session that has been idle for the longest time.
    fn make_room(&mut self, now: Instant) -> bool {
        let oldest = self
            .groups
            .iter()
            .filter_map(|(key, group)| Some((group.idle.front()?.idle_since, key)))
            .min_by_key(|(since, _)| *since)
            .map(|(_, key)| key.clone());
        let Some(key) = oldest else {
            return false;
        };
        let Some(kept) = self.group(&key, now).idle.pop_front() else {
            return false;
        };
        self.shift(&key, Some(Place::Idle), None, now);
        self.doom(kept, Reason::Room);
        self.forget_if_empty(&key, now);
        true
    }

    fn doom(&mut self, kept: Kept, reason: Reason) {
        kept.log_closed(reason);
        self.count_closed(reason);
        self.doomed.push(kept);
    }
}

impl Group {
    fn new(now: Instant) -> Self {
        Self {
            idle: VecDeque::new(),
            census: Census::default(),
            waiting: 0,
            asked: now,
            failure: None,
            told: None,
        }
    }

    /// Whether it holds nothing that counts.
    fn is_empty(&self, now: Instant) -> bool {
        self.census.all() == 0 && self.waiting == 0 && self.failure(now).is_none()
    }

    /// Whether somebody asked not long ago.
    pub(super) fn is_remembered(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.asked) < REMEMBERED
    }

    /// The failure that stands in for another try.
    pub(super) fn failure(&self, now: Instant) -> Option<Arc<DialError>> {
        let (until, error) = self.failure.as_ref()?;
        (now < *until).then(|| Arc::clone(error))
    }

    /// When the failure is forgotten.
    pub(super) fn failure_ends(&self) -> Option<Instant> {
        self.failure.as_ref().map(|(until, _)| *until)
    }

    pub(super) fn login_succeeded(&mut self, kept: &mut Kept) {
        self.failure = None;
        if let Some(told) = &self.told {
            kept.liken(told);
        }
        self.told = Some(Arc::clone(&kept.told));
    }
}

impl Census {
    pub(super) fn all(&self) -> usize {
        self.opening + self.in_use + self.resetting + self.idle
    }

    fn at(&mut self, place: Place) -> &mut usize {
        match place {
            Place::Opening => &mut self.opening,
            Place::InUse => &mut self.in_use,
            Place::Resetting => &mut self.resetting,
            Place::Idle => &mut self.idle,
        }
    }
}
