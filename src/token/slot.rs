//! One cached token: served without a lock, fetched once for all who wait.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::access_token::Inner;
use super::fetch::{Reason, fetch};
use super::flight::{Failure, Flight, Landing, State};
use super::refresh;
use super::retry::Trouble;
use super::schedule::{MIN_REMAINING, RETRY_FLOOR};
use super::{AccessToken, Resource, SourceKey, TokenError, TokenSource};

/// Gives the current token for one identity and one resource.
///
/// - A token in hand is given without waiting, locking or allocating.
/// - Without one, the first caller starts a fetch and all callers wait for it.
///   The fetch belongs to nobody: a caller that stops waiting disturbs no other.
/// - A token is refreshed in the background ahead of its end, with jitter, on
///   the runtime that fetched it. While that fails, the token in hand is served,
///   and the refresh is tried again after at least [`RETRY_FLOOR`], then less
///   and less often up to [`RETRY_CEILING`](super::RETRY_CEILING).
/// - A token with less than [`MIN_REMAINING`] left is given only if a fetch has
///   just failed to bring a better one.
/// - After a failed fetch, callers get the same error at once for a short time
///   (five seconds, or one if the error may pass by itself), so that a crowd of
///   callers does not hammer the endpoint.
/// - A fetch that has no answer after [`FETCH_LIMIT`](super::FETCH_LIMIT) is given up.
/// - A token that nobody asks for is not refreshed; if it stays unused until its
///   end, it is wiped and the background task ends. The next `get` starts anew.
///
/// Clones are the same slot. When the last clone is gone (the cache holds one),
/// the background task and any fetch are aborted.
#[derive(Clone)]
pub struct TokenSlot(Arc<Owner>);

impl TokenSlot {
    /// A slot outside of any cache.
    #[must_use]
    pub fn new(source: Arc<dyn TokenSource>, resource: impl Into<Resource>) -> Self {
        Self(Arc::new(Owner(Arc::new(Shared {
            key: source.key(),
            source,
            resource: resource.into(),
            current: ArcSwapOption::const_empty(),
            used: AtomicBool::new(false),
            used_again: Notify::new(),
            trouble: Trouble::default(),
            state: Mutex::default(),
        }))))
    }

    /// The current token, fetched if there is none.
    ///
    /// # Errors
    /// Why the source gave none. Every caller that waited gets the same error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the fetch that it waited for goes on
    /// and fills the slot.
    pub async fn get(&self) -> Result<AccessToken, TokenError> {
        match self.shared().hit() {
            Some(token) => Ok(token),
            None => self.shared().miss().await,
        }
    }

    /// The current token if there is one that can be handed out; never fetches.
    #[must_use]
    pub fn peek(&self) -> Option<AccessToken> {
        self.shared().hit()
    }

    /// The token in hand while it lasts, for those who only look: unlike
    /// [`peek`](Self::peek) this does not count as a use, which would keep the
    /// token refreshed.
    #[must_use]
    pub fn in_hand(&self) -> Option<AccessToken> {
        self.shared().valid_for(Duration::ZERO)
    }

    /// Reports that a server refused this token, and fetches another in its
    /// place, or joins a fetch that is under way.
    ///
    /// `None` if there is no other to be had: the fetch failed or brought the
    /// same token again, or this has been done less than [`RETRY_FLOOR`] ago.
    /// Identity endpoints give the same token for hours, and logins that are
    /// refused for reasons of their own must not become requests to the
    /// endpoint. Nor may they take a good token from others: until another has
    /// come, [`get`](Self::get) goes on giving this one.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub async fn replace(&self, refused: &AccessToken) -> Option<AccessToken> {
        self.shared().replace(refused).await
    }

    /// What the fetch under way last failed with, or the last fetch if it failed.
    ///
    /// A caller whose deadline passes before [`get`](Self::get) returns tells
    /// its user this, instead of just having waited. `None` if nothing is known
    /// to have gone wrong.
    #[must_use]
    pub fn trouble(&self) -> Option<TokenError> {
        self.shared().trouble()
    }

    /// Which source and identity the slot is for.
    #[must_use]
    pub fn key(&self) -> &SourceKey {
        &self.shared().key
    }

    /// Which source gives the tokens: of a chain the member that it settled on.
    #[must_use]
    pub fn answered_by(&self) -> SourceKey {
        self.shared().source.answered_by()
    }

    /// What the tokens are for.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.shared().resource
    }

    /// Whether nobody but the asker holds the slot and there is nothing in it.
    pub(super) fn is_forgotten(&self) -> bool {
        let shared = self.shared();
        Arc::strong_count(&self.0) == 1
            && shared.valid_for(Duration::ZERO).is_none()
            && !shared.lock().in_flight()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl fmt::Debug for TokenSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSlot")
            .field("source", &self.key().to_string())
            .field("resource", &self.resource().as_str())
            .field("token", &self.shared().valid_for(Duration::ZERO))
            .finish()
    }
}

/// What all clones of a slot own together; tasks hold only what is inside.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(flight) = state.flight.take() {
            flight.task.abort();
        }
        if let Some(refresher) = state.refresher.take() {
            refresher.abort();
        }
    }
}

/// The slot as its background tasks see it.
pub(super) struct Shared {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) key: SourceKey,
    pub(super) resource: Resource,
    /// Read without the lock, written only under it.
    current: ArcSwapOption<Inner>,
    /// Whether the current token was asked for since the last refresh.
    used: AtomicBool,
    /// Wakes a refresher that found the token unused.
    used_again: Notify,
    /// What the latest try of a fetch failed with.
    pub(super) trouble: Trouble,
    /// Never held across an await, nor by a hit.
    state: Mutex<State>,
}

impl Shared {
    /// The token in hand, if it is good enough to be given without a fetch.
    fn hit(&self) -> Option<AccessToken> {
        let token = self.valid_for(MIN_REMAINING)?;
        // The load keeps the cache line shared among cores while it is true.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
            self.used_again.notify_one();
        }
        Some(token)
    }

    async fn miss(self: &Arc<Self>) -> Result<AccessToken, TokenError> {
        for _ in 0..MAX_ABANDONED {
            let mut landing = match self.board(Reason::Miss) {
                Boarded::Answer(answer) => return answer,
                Boarded::Flight(landing) => landing,
            };
            if let Ok(outcome) = landing.wait_for(Option::is_some).await {
                let outcome = outcome.clone().unwrap_or(Err(TokenError::Abandoned));
                return outcome.or_else(|error| self.last_resort(error));
            }
            // The runtime that fetched was shut down: fetch on this one.
        }
        Err(TokenError::Abandoned)
    }

    /// Fetches a successor of the token in hand, for the background task.
    pub(super) async fn refresh(self: &Arc<Self>) -> Result<AccessToken, TokenError> {
        match self.board(Reason::Refresh) {
            Boarded::Answer(answer) => answer,
            Boarded::Flight(mut landing) => match landing.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(Err(TokenError::Abandoned)),
                Err(_) => Err(TokenError::Abandoned),
            },
        }
    }

    /// Joins the fetch under way or starts one, unless the answer is known.
    fn board(self: &Arc<Self>, reason: Reason) -> Boarded {
        let mut state = self.lock();
        if reason == Reason::Miss {
            if let Some(token) = self.hit() {
                return Boarded::Answer(Ok(token));
            }
            if let Some(error) = state.recent_failure() {
                drop(state);
                return Boarded::Answer(self.last_resort(error));
            }
        }
        if let Some(landing) = state.live_flight() {
            return Boarded::Flight(landing);
        }
        self.take_off(&mut state, reason)
    }

    /// Starts a fetch.
    fn take_off(self: &Arc<Self>, state: &mut State, reason: Reason) -> Boarded {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Boarded::Answer(Err(TokenError::NoRuntime));
        };
        let (outcome, landing) = watch::channel(None);
        let shared = Arc::clone(self);
        let task = runtime.spawn(async move {
            let fetched = fetch(&shared, reason).await;
            shared.land(&fetched, reason);
            outcome.send_replace(Some(fetched));
        });
        state.flight = Some(Flight {
            landing: landing.clone(),
            task: task.abort_handle(),
        });
        Boarded::Flight(landing)
    }

    /// Stores what a fetch brought, before those who wait are told.
    fn land(self: &Arc<Self>, fetched: &Result<AccessToken, TokenError>, reason: Reason) {
        let mut state = self.lock();
        state.flight = None;
        self.clear_trouble();
        match fetched {
            Ok(token) => {
                state.failure = None;
                self.current.store(Some(Arc::clone(token.inner())));
                self.used
                    .store(reason != Reason::Refresh, Ordering::Relaxed);
                // The refresher that asked for this token lives on by itself.
                if reason != Reason::Refresh {
                    let task = tokio::spawn(refresh::keep_fresh(Arc::clone(self), token.clone()));
                    if let Some(old) = state.refresher.replace(task.abort_handle()) {
                        old.abort();
                    }
                }
            }
            Err(error) => state.failure = Some(Failure::new(error)),
        }
    }

    fn trouble(&self) -> Option<TokenError> {
        let reason = self
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(reason) = reason {
            let (origin, resource) = (self.key.clone(), self.resource.clone());
            return Some(TokenError::Fetch {
                origin,
                resource,
                reason,
            });
        }
        self.lock()
            .failure
            .as_ref()
            .map(|failure| failure.error.clone())
    }

    pub(super) fn clear_trouble(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A token in its last minute is better than none.
    fn last_resort(&self, error: TokenError) -> Result<AccessToken, TokenError> {
        self.valid_for(Duration::ZERO).ok_or(error)
    }

    async fn replace(self: &Arc<Self>, refused: &AccessToken) -> Option<AccessToken> {
        let outcome = match self.board_instead_of(refused)? {
            Boarded::Answer(answer) => answer,
            Boarded::Flight(mut landing) => {
                landing.wait_for(Option::is_some).await.ok()?.clone()?
            }
        };
        outcome.ok().filter(|token| !token.same(refused))
    }

    /// Joins or starts a fetch for a token that was refused, unless there is
    /// another already; `None` if it has been tried just now.
    fn board_instead_of(self: &Arc<Self>, refused: &AccessToken) -> Option<Boarded> {
        let mut state = self.lock();
        if let Some(other) = self.hit().filter(|token| !token.same(refused)) {
            return Some(Boarded::Answer(Ok(other)));
        }
        if let Some(landing) = state.live_flight() {
            return Some(Boarded::Flight(landing));
        }
        if state
            .refused_at
            .is_some_and(|at| at.elapsed() < RETRY_FLOOR)
        {
            return None;
        }
        state.refused_at = Some(Instant::now());
        metrics::counter!("entrada_token_refused_total", "source" => self.key.source().to_owned())
            .increment(1);
        tracing::warn!(source = %self.key, resource = %self.resource, "the server refused the token; fetching another");
        Some(self.take_off(&mut state, Reason::Refused))
    }

    /// Forgets a token that has ended, unless another has come since.
    pub(super) fn retire(&self, token: &AccessToken) {
        let _state = self.lock();
        let current = self.current.load_full();
        if current.is_some_and(|current| Arc::ptr_eq(&current, token.inner())) {
            self.current.store(None);
        }
    }

    /// Waits until the current token is asked for, if it was not so far.
    pub(super) async fn used(&self) {
        while !self.used.load(Ordering::Relaxed) {
            self.used_again.notified().await;
        }
    }

    /// Whether this is the token in hand.
    pub(super) fn is_current(&self, token: &AccessToken) -> bool {
        let current = self.current.load();
        current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, token.inner()))
    }

    fn valid_for(&self, time: Duration) -> Option<AccessToken> {
        let current = self.current.load();
        let inner = current.as_ref().filter(|inner| inner.is_valid_for(time))?;
        Some(AccessToken::from_inner(Arc::clone(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Boarded {
    Answer(Result<AccessToken, TokenError>),
    Flight(Landing),
}

/// How many runtimes may be shut down under one caller.
const MAX_ABANDONED: u32 = 3;
