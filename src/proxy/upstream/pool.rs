//! The sessions of one target under one identity.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::PoolConfig;
use super::error::{Crowd, LeaseError};
use super::kept::{Kept, Pulse};
use super::key::{Ask, Key};
use super::lease::{Lease, Origin};
use super::reset::reset;
use super::slot::Slot;
use super::state::{Asked, Grant, Place, Stage, State};

use super::tend;
use super::view::{KeyView, PoolView, Reason};
use crate::dial::{DialError, LoginProfile};
use crate::proxy::targets::TargetEntry;
use crate::session::Session;

/// A session that is not reset within this time is closed.
const RESET_LIMIT: Duration = Duration::from_secs(5);

/// Opens sessions. The one real implementation is a target's.
#[async_trait]
pub(super) trait Open: fmt::Debug + Send + Sync + 'static {
    async fn open(&self, profile: &LoginProfile) -> Result<Session, DialError>;

    /// Changes when sessions opened before are not what is asked for now.
    fn moves(&self) -> Option<watch::Receiver<()>> {
        None
    }
}

#[async_trait]
impl Open for TargetEntry {
    async fn open(&self, profile: &LoginProfile) -> Result<Session, DialError> {
        self.dial(profile).await
    }

    fn moves(&self) -> Option<watch::Receiver<()>> {
        Some(self.moves())
    }
}

/// The sessions of one target under one identity.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: Arc<str>,
    identity: String,
    pub(super) config: PoolConfig,
    opener: Arc<dyn Open>,
    pub(super) moves: Option<watch::Receiver<()>>,
    state: Mutex<State>,
    /// Wakes the task that looks after idle sessions.
    pub(super) bell: Arc<Bell>,
    /// The same for sockets.
    waker: Waker,
    pub(super) ended: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// Rings when something happens on the socket of an idle session, or when there
/// is something to be looked after earlier than was planned.
#[derive(Debug, Default)]
pub(super) struct Bell(pub(super) Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

impl Pool {
    /// Starts an empty pool; its background work is one of the `tasks`.
    pub(super) fn start(
        name: &str,
        identity: &str,
        config: PoolConfig,
        opener: Arc<dyn Open>,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let bell = Arc::new(Bell::default());
        let pool = Arc::new(Self {
            moves: opener.moves(),
            name: name.into(),
            identity: identity.to_owned(),
            state: Mutex::new(State::new(
                config.max,
                config.queue,
                config.keep && config.min_idle > 0,
            )),
            config,
            opener,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            ended: CancellationToken::new(),
            tasks,
        });
        pool.tasks.spawn(tend::tend(&pool));
        pool
    }

    /// A session for a client.
    ///
    /// # Cancel safety
    /// A place in the queue is given up, a login under way is broken off, and a
    /// session that was meant for the caller goes to the next.
    pub(super) async fn lease(self: &Arc<Self>, ask: &Ask) -> Result<Lease, LeaseError> {
        let (mut grant, queued) = self.turn(ask).await?;
        loop {
            let mut kept = match grant {
                Grant::Warm(kept) => *kept,
                Grant::Cold => {
                    let slot = Slot::new(self, &ask.key, Place::Opening);
                    let origin = if queued { Origin::Queued } else { Origin::Cold };
                    let (kept, slot) = self.open(ask.profile(), slot).await?;
                    return Ok(Lease::new(kept, slot, origin, ask.is_shared()));
                }
                Grant::Refused(source) => return Err(self.refused(source)),
                Grant::Ended => return Err(self.closed()),
            };
            let slot = Slot::new(self, &ask.key, Place::InUse);
            let pulse = kept.current_pulse().await;
            if pulse.is_alive() {
                self.wants_spares();
                let origin = if queued { Origin::Queued } else { Origin::Warm };
                return Ok(Lease::new(kept, slot, origin, ask.is_shared()));
            }
            self.note_death(&kept, &pulse);
            grant = self.instead_of(slot);
        }
    }

    /// Opens a session in a slot that was given for it.
    pub(super) async fn open(
        &self,
        profile: &LoginProfile,
        mut slot: Slot,
    ) -> Result<(Kept, Slot), LeaseError> {
        let epoch = self.with(|state| state.epoch);
        match self.opener.open(profile).await {
            Ok(session) => {
                let (name, lifetime) = (Arc::clone(&self.name), self.config.lifetime);
                let mut kept = Kept::new(session, name, lifetime, epoch);
                slot.opened(&mut kept);
                Ok((kept, slot))
            }
            Err(error) => {
                let error = Arc::new(error);
                slot.failed(&error);
                Err(self.refused(error))
            }
        }
    }

    /// Resets a session that was given back, in the background, and keeps it.
    pub(super) fn take_back(self: &Arc<Self>, mut kept: Kept, mut slot: Slot) {
        if let Some(reason) = self.why_not(&kept, slot.key()) {
            return slot.close(kept, reason);
        }
        slot.resetting();
        let pool = Arc::clone(self);
        self.tasks.spawn(async move {
            let acknowledged = !pool.config.unacknowledged_reset;
            let work = timeout(RESET_LIMIT, reset(&mut kept.stream, &kept.told, acknowledged));
            let outcome = tokio::select! {
                () = pool.ended.cancelled() => return slot.close(kept, Reason::Shutdown),
                outcome = work => outcome,
            };
            match outcome {
                Ok(Ok(())) => pool.keep(kept, slot),
                Ok(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(target_name = %pool.name, error, "cannot reset a session");
                    slot.close(kept, Reason::Reset);
                }
                Err(_) => {
                    tracing::warn!(target_name = %pool.name, limit = ?RESET_LIMIT, "a session was not reset in time");
                    slot.close(kept, Reason::Reset);
                }
            }
        });
    }

    /// Puts a session that is like a new one among the idle ones.
    pub(super) fn keep(&self, mut kept: Kept, slot: Slot) {
        let pulse = kept.pulse(&self.waker);
        if !pulse.is_alive() {
            self.note_death(&kept, &pulse);
            return slot.close(kept, Reason::Dead);
        }
        kept.idle_since = Instant::now();
        match self.why_not(&kept, slot.key()) {
            Some(reason) => slot.close(kept, reason),
            None => slot.settle(kept),
        }
    }

    /// Closes idle sessions whose server has gone, and listens to the others.
    pub(super) fn listen_to_idle(&self, state: &mut State, now: Instant) {
        state.close_idle(now, |kept| {
            let pulse = kept.pulse(&self.waker);
            if pulse.is_alive() {
                return None;
            }
            self.note_death(kept, &pulse);
            Some(Reason::Dead)
        });
    }

    /// Works on the state under its lock. What it closes is closed afterwards.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        if cfg!(debug_assertions) {
            state.assert_sound();
        }
        let doomed = std::mem::take(&mut state.doomed);
        drop(state);
        drop(doomed);
        result
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.with(|state| {
            state.paused = paused;
            state.serve_queue(Instant::now());
        });
    }

    /// Closes all sessions: idle ones now, the others when they come back.
    pub(super) fn reconnect(&self) {
        self.with(|state| {
            state.epoch += 1;
            state.close_idle(Instant::now(), |_| Some(Reason::Reconnect));
        });
        self.bell.0.notify_one();
    }

    /// Whether its sessions lead to where nobody wants to go any more.
    pub(super) fn is_outdated(&self) -> bool {
        let moves = self.moves.as_ref();
        moves.is_some_and(|moves| moves.has_changed().unwrap_or_default())
    }

    /// Keeps nothing any more.
    pub(super) fn retire(&self) {
        self.with(|state| {
            if state.stage == Stage::Open {
                state.stage = Stage::Retired;
            }
            state.close_idle(Instant::now(), |_| Some(Reason::Retired));
        });
    }

    /// Gives out nothing any more; background work ends.
    pub(super) fn end(&self) {
        self.with(|state| state.end(Instant::now()));
        self.ended.cancel();
    }

    pub(super) fn view(&self) -> PoolView {
        self.with(|state| PoolView {
            target: self.name.to_string(),
            identity: self.identity.clone(),
            paused: state.paused,
            retired: state.stage != Stage::Open,
            max: self.config.max.max(1),
            idle: state.total.idle,
            in_use: state.total.in_use,
            resetting: state.total.resetting,
            opening: state.total.opening,
            waiting: state.waiting(),
            opened: state.opened,
            reused: state.reused,
            closed: Reason::ALL
                .map(|reason| {
                    let count = state.closed.get(&reason).copied().unwrap_or_default();
                    (reason.word(), count)
                })
                .into(),
            keys: key_views(state),
        })
    }

    /// What comes instead of a session that was found dead: its place is the
    /// caller's, who need not wait again.
    fn instead_of(&self, slot: Slot) -> Grant {
        let key = slot.dissolve();
        self.with(|state| {
            let now = Instant::now();
            state.shift(&key, Some(Place::InUse), None, now);
            state.count_closed(Reason::Dead);
            state.reused -= 1;
            let grant = state.grant(&key, now).unwrap_or(Grant::Ended);
            state.serve_queue(now);
            state.forget_if_empty(&key, now);
            grant
        })
    }

    async fn turn(self: &Arc<Self>, ask: &Ask) -> Result<(Grant, bool), LeaseError> {
        let begun = Instant::now();
        let (number, turn) = match self.with(|state| state.ask(&ask.key, begun)) {
            Asked::Now(grant) => return Ok((grant, false)),
            Asked::Full => {
                return Err(LeaseError::QueueFull(Box::new(self.crowd(ask, begun))));
            }
            Asked::Wait(number, turn) => (number, turn),
        };
        let mut waiting = Waiting {
            pool: self,
            key: &ask.key,
            number,
            turn,
        };
        match timeout(self.config.queue_timeout, &mut waiting.turn).await {
            Ok(grant) => Ok((grant.unwrap_or(Grant::Ended), true)),
            Err(_) if self.with(|state| state.paused) => Err(LeaseError::Paused {
                target: self.name.to_string(),
                waited: begun.elapsed(),
            }),
            Err(_) => Err(LeaseError::QueueTimeout(Box::new(self.crowd(ask, begun)))),
        }
    }

    /// Why a session is not to be kept, if it is not.
    fn why_not(&self, kept: &Kept, key: &Key) -> Option<Reason> {
        if self.is_outdated() {
            return Some(Reason::Retired);
        }
        self.with(|state| {
            let unwanted = state.unwanted(kept);
            unwanted
                .or_else(|| kept.is_due(Instant::now()))
                .or_else(|| state.must_yield(key).then_some(Reason::Room))
        })
    }

    fn note_death(&self, kept: &Kept, pulse: &Pulse) {
        let spid = kept.spid;
        let error = match pulse {
            Pulse::Broken(error) => Some(error as &dyn std::error::Error),
            _ => None,
        };
        tracing::debug!(target_name = %self.name, spid, error, "{}", pulse.in_words());
    }

    fn refused(&self, source: Arc<DialError>) -> LeaseError {
        LeaseError::Dial {
            target: self.name.to_string(),
            source,
        }
    }

    fn closed(&self) -> LeaseError {
        LeaseError::Closed {
            target: self.name.to_string(),
        }
    }

    fn crowd(&self, ask: &Ask, since: Instant) -> Crowd {
        self.with(|state| Crowd {
            target: self.name.to_string(),
            application: ask.application(),
            waited: since.elapsed(),
            in_use: state.total.in_use,
            opening: state.total.opening,
            resetting: state.total.resetting,
            waiting: state.waiting(),
            max: self.config.max.max(1),
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// A place in the queue. Leaving it loses nothing.
struct Waiting<'a> {
    pool: &'a Pool,
    key: &'a Key,
    number: u64,
    turn: oneshot::Receiver<Grant>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        if self.pool.with(|state| state.withdraw(self.number, now)) {
            return;
        }
        // It was sent, and nobody has taken it.
        if let Ok(grant) = self.turn.try_recv() {
            self.pool.with(|state| state.undo(self.key, grant, now));
        }
    }
}

fn key_views(state: &State) -> Vec<KeyView> {
    let mut keys: Vec<KeyView> = state
        .groups
        .iter()
        .map(|(key, group)| KeyView {
            key: key.to_string(),
            database: key.database(),
            application: key.application(),
            idle: group.census.idle,
            in_use: group.census.in_use,
            resetting: group.census.resetting,
            opening: group.census.opening,
            waiting: group.waiting,
        })
        .collect();
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    keys
}
