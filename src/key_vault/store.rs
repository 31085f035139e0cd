//! One secret, kept and refreshed.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::client::Client;
use super::error::VaultError;
use super::reference::Address;
use super::secret_value::SecretValue;
use crate::token::{TokenCache, TokenSource};

/// How long one reading may take, retries and token included.
pub const READ_LIMIT: Duration = Duration::from_secs(60);
/// A secret that servers go on refusing is read anew at most this often.
pub const REREAD_FLOOR: Duration = Duration::from_secs(10);
/// After a refresh that failed, the next one waits this long at first, and
/// twice as long each time.
const RETRY_FLOOR: Duration = Duration::from_secs(30);
/// The longest wait between two refreshes that fail.
const RETRY_CEILING: Duration = Duration::from_secs(10 * 60);

/// How a secret is read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) client: Arc<Client>,
    pub(super) address: Address,
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) tokens: TokenCache,
}

/// A secret in memory.
#[derive(Debug)]
pub(super) struct Entry {
    reading: Reading,
    /// `None` if the secret cannot change.
    refresh: Option<Duration>,
    state: Mutex<State>,
    /// Held by whoever reads.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    value: Option<SecretValue>,
    /// When a refresh is due.
    due: Option<Instant>,
    failures: u32,
    /// The last reading, if it failed: the answer for all who waited for it.
    failed: Option<Arc<VaultError>>,
    /// How many readings have ended.
    readings: u64,
    /// When a server's refusal last led to a reading.
    reread: Option<Instant>,
}

impl Entry {
    pub(super) fn new(reading: Reading, refresh: Duration) -> Self {
        Self {
            refresh: (!reading.address.is_pinned()).then_some(refresh),
            reading,
            state: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// The secret in hand, which is refreshed in the background if it is old;
    /// without one, it is read.
    pub(super) async fn get(self: &Arc<Self>) -> Result<SecretValue, Arc<VaultError>> {
        if let Some(value) = self.hit() {
            return Ok(value);
        }
        let seen = self.lock().readings;
        let _flight = self.flight.lock().await;
        let meanwhile = {
            let state = self.lock();
            let failed = state.failed.as_ref().filter(|_| state.readings > seen);
            let failed = failed.map(|error| Err(Arc::clone(error)));
            state.value.clone().map(Ok).or(failed)
        };
        match meanwhile {
            Some(outcome) => outcome,
            None => self.read().await,
        }
    }

    /// The secret as it is in the vault now, because a server refused the one
    /// in hand; the latter if it cannot change, was read anew just now, or the
    /// vault does not answer.
    pub(super) async fn again(
        self: &Arc<Self>,
        refused: &SecretValue,
    ) -> Result<SecretValue, Arc<VaultError>> {
        let _flight = self.flight.lock().await;
        let in_hand = {
            let state = self.lock();
            let just_now = |at: Instant| at.elapsed() < REREAD_FLOOR;
            let settled = self.refresh.is_none() || state.reread.is_some_and(just_now);
            match &state.value {
                Some(value) if settled || value.value != refused.value => return Ok(value.clone()),
                value => value.clone(),
            }
        };
        let read = self.read().await;
        self.lock().reread = Some(Instant::now());
        match (read, in_hand) {
            (Err(_), Some(value)) => Ok(value),
            (read, _) => read,
        }
    }

    /// Reads the secret if it is time to, and waits for that.
    pub(super) async fn freshen(&self) {
        let _flight = self.flight.lock().await;
        if self.due().is_some_and(|due| due <= Instant::now()) {
            // What went wrong has been reported; the old value stays.
            let _ = self.read().await;
        }
    }

    /// Reads the secret if it can have changed, and waits for that.
    #[cfg(feature = "proxy")]
    pub(super) async fn reread(&self) {
        let _flight = self.flight.lock().await;
        if self.refresh.is_some() {
            let _ = self.read().await;
        }
    }

    /// When the secret is to be read again; never if it cannot change.
    pub(super) fn due(&self) -> Option<Instant> {
        self.lock().due
    }

    fn hit(self: &Arc<Self>) -> Option<SecretValue> {
        let mut state = self.lock();
        let value = state.value.clone()?;
        let now = Instant::now();
        if state.due.is_some_and(|due| due <= now) {
            // Moved now, so that one caller only starts a refresh.
            state.due = Some(now + backoff(state.failures));
            let entry = Arc::clone(self);
            tokio::spawn(async move {
                let _flight = entry.flight.lock().await;
                // What went wrong has been reported; the old value stays.
                let _ = entry.read().await;
            });
        }
        Some(value)
    }

    async fn read(&self) -> Result<SecretValue, Arc<VaultError>> {
        let Reading {
            client,
            address,
            source,
            tokens,
        } = &self.reading;
        let span =
            tracing::info_span!("key_vault.read", vault = %address.host, secret = %address.secret);
        let start = Instant::now();
        let outcome = within(READ_LIMIT, client.read(address, source, tokens))
            .instrument(span.clone())
            .await;
        span.in_scope(|| self.report(&outcome, start));
        let mut state = self.lock();
        state.readings += 1;
        match outcome {
            Ok(value) => {
                state.failures = 0;
                state.failed = None;
                // Earlier by up to a tenth, so that a fleet does not ask at once.
                let refresh = self.refresh.map(|r| r.mul_f64(1.0 - 0.1 * fastrand::f64()));
                state.due = refresh.and_then(|refresh| Instant::now().checked_add(refresh));
                state.value = Some(value.clone());
                Ok(value)
            }
            Err(error) => {
                if self.refresh.is_some() {
                    state.due = Some(Instant::now() + backoff(state.failures));
                }
                state.failures = state.failures.saturating_add(1);
                let error = Arc::new(error);
                state.failed = Some(Arc::clone(&error));
                Err(error)
            }
        }
    }

    fn report(&self, outcome: &Result<SecretValue, VaultError>, start: Instant) {
        let vault = self.reading.address.host.clone();
        let word = if outcome.is_ok() { "ok" } else { "error" };
        metrics::counter!("entrada_key_vault_reads_total", "vault" => vault.clone(), "outcome" => word)
            .increment(1);
        metrics::histogram!("entrada_key_vault_read_seconds", "vault" => vault, "outcome" => word)
            .record(start.elapsed().as_secs_f64());
        match outcome {
            Ok(value) => {
                tracing::debug!(version = value.version.as_deref(), "read a secret");
                for warning in value.warnings(SystemTime::now()) {
                    tracing::warn!(problem = warning.text(), "the secret is odd");
                }
            }
            Err(error) => {
                let stays = self.lock().value.is_some();
                let error: &(dyn std::error::Error + 'static) = error;
                if stays {
                    tracing::warn!(error, "cannot refresh a secret; the old value stays in use");
                } else {
                    tracing::debug!(error, "cannot read a secret");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(
    after: Duration,
    call: impl Future<Output = Result<T, VaultError>>,
) -> Result<T, VaultError> {
    timeout(after, call)
        .await
        .unwrap_or(Err(VaultError::Silent { after }))
}

fn backoff(failures: u32) -> Duration {
    RETRY_FLOOR
        .saturating_mul(1 << failures.min(8))
        .min(RETRY_CEILING)
}
