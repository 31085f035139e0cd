//! A connection string whose references are followed.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep_until};

use super::identity::{cloud_of, reader};
use super::store::Entry;
use super::{KeyVault, KeyVaultError, Place, Reference, SecretValue, SecretWarning, failed};
use crate::conn_string::{ConnectionString, Draft, Key, ParseOptions, is_reference};
use crate::secret::Secret;
use crate::target::{AssertionFrom, Auth, Cloud, Target, names_program};

/// What a connection string means with its secrets filled in, now and later.
///
/// Clones are one.
#[derive(Clone, Debug)]
pub struct Resolved(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    vaults: KeyVault,
    text: Secret,
    options: ParseOptions,
    current: Mutex<Arc<Reading>>,
}

/// What the string said when it was last put together.
#[derive(Debug)]
struct Reading {
    string: ConnectionString,
    target: Arc<Target>,
    secrets: Vec<Held>,
}

/// A secret that stands in the string.
#[derive(Clone, Debug)]
pub(super) struct Held {
    entry: Arc<Entry>,
    value: SecretValue,
    place: Place,
}

impl Resolved {
    pub(super) async fn new(
        vaults: KeyVault,
        text: &str,
        options: ParseOptions,
    ) -> Result<Self, KeyVaultError> {
        let reading = read(&vaults, text, options).await?;
        Ok(Self(Arc::new(Inner {
            vaults,
            text: Secret::new(text),
            options,
            current: Mutex::new(Arc::new(reading)),
        })))
    }

    /// What the string means, as it was last put together.
    #[must_use]
    pub fn target(&self) -> Arc<Target> {
        Arc::clone(&self.reading().target)
    }

    /// The string with its secrets, as it was last put together.
    #[must_use]
    pub fn connection_string(&self) -> ConnectionString {
        self.reading().string.clone()
    }

    /// Whether there is anything to follow.
    #[must_use]
    pub fn has_references(&self) -> bool {
        !self.reading().secrets.is_empty()
    }

    /// What is odd about the secrets, and where each of them stands.
    #[must_use]
    pub fn warnings(&self) -> Vec<(Place, SecretWarning)> {
        let now = SystemTime::now();
        let reading = self.reading();
        let of = |held: &Held| {
            let place = held.place;
            let odd: Vec<_> = held.value.warnings(now).map(|odd| (place, odd)).collect();
            odd
        };
        reading.secrets.iter().flat_map(of).collect()
    }

    /// What the string means now: with secrets that were read in the background since the last time.
    /// This waits for a vault only if the string has come to name a secret that it did not name
    /// before. What cannot be followed now stays as it was.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn current(&self) -> Arc<Target> {
        if self.has_references() {
            self.follow().await;
        }
        self.target()
    }

    /// Reports that a server refused the login that `refused` describes, and reads the secrets anew:
    /// see [`REREAD_FLOOR`](super::REREAD_FLOOR). `None` if nothing has changed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn renew(&self, refused: &Arc<Target>) -> Option<Arc<Target>> {
        let reading = self.reading();
        if !Arc::ptr_eq(&reading.target, refused) {
            // Somebody else has been told no, too, and has brought another.
            return Some(Arc::clone(&reading.target));
        }
        let again = reading
            .secrets
            .iter()
            .map(|held| held.entry.again(&held.value));
        // What cannot be read stays as it was.
        let _ = join_all(again).await;
        let renewed = self.current().await;
        (!Arc::ptr_eq(&renewed, refused)).then_some(renewed)
    }

    /// Reads the secrets whenever they are due, and calls `then` each time, until it has enough or
    /// no secret can change. Whoever keeps sessions for hours runs this in the background: else
    /// only a login would look.
    pub(crate) async fn keep_fresh(&self, mut then: impl FnMut() -> ControlFlow<()>) {
        while let Some(due) = self.due() {
            sleep_until(due).await;
            let reading = self.reading();
            join_all(reading.secrets.iter().map(|held| held.entry.freshen())).await;
            self.current().await;
            if then().is_break() {
                return;
            }
        }
    }

    /// When a secret is to be read again; never if none can change.
    fn due(&self) -> Option<Instant> {
        let reading = self.reading();
        reading.secrets.iter().filter_map(|h| h.entry.due()).min()
    }

    /// As [`current`](Self::current), after all secrets that can have changed have been read.
    #[cfg(feature = "proxy")]
    pub(crate) async fn reread(&self) -> Arc<Target> {
        let reading = self.reading();
        join_all(reading.secrets.iter().map(|held| held.entry.reread())).await;
        self.current().await
    }

    async fn follow(&self) {
        let inner = &self.0;
        match read(&inner.vaults, inner.text.expose(), inner.options).await {
            Ok(fresh) => {
                let mut current = inner.lock();
                if fresh.string != current.string {
                    tracing::info!("a secret has changed; new sessions use the new one");
                    *current = Arc::new(fresh);
                }
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(
                    error,
                    "cannot follow the references; what they gave before stays"
                );
            }
        }
    }

    fn reading(&self) -> Arc<Reading> {
        Arc::clone(&self.0.lock())
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Reading>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(
    vaults: &KeyVault,
    text: &str,
    options: ParseOptions,
) -> Result<Reading, KeyVaultError> {
    let (string, secrets) = put_together(vaults, text, options).await?;
    let target = Arc::new(Target::try_from(&string)?);
    Ok(Reading {
        string,
        target,
        secrets,
    })
}

/// Puts a string together out of the secrets in hand, or in the vaults.
pub(super) async fn put_together(
    vaults: &KeyVault,
    text: &str,
    options: ParseOptions,
) -> Result<(ConnectionString, Vec<Held>), KeyVaultError> {
    let settings = &vaults.0.settings;
    let mut secrets = Vec::new();
    let in_vault;
    let text = if is_reference(text) {
        let cloud = cloud_of(settings.sources.environment());
        let whole = fetch(vaults, Place::Whole, text, &settings.identity, cloud).await?;
        in_vault = whole.value.value.clone();
        secrets.push(whole);
        // What editors and shells add.
        let text = in_vault.expose().trim_start_matches('\u{feff}');
        text.trim_end_matches(['\r', '\n'])
    } else {
        text
    };
    let draft = Draft::read(text, options.chosen_dialect())?;
    let string = if draft.places().is_empty() {
        options.parse(text)?
    } else {
        let env = settings.sources.environment();
        let (auth, cloud) = reader(&draft, &settings.identity, env)?;
        if let Some(whole) = secrets.first().filter(|_| runs_program(&auth)) {
            return Err(KeyVaultError::Program { place: whole.place });
        }
        let fetches = draft.places().iter().map(|place| {
            let at = Place::Value {
                keyword: place.key.name(),
                column: place.column,
            };
            fetch(vaults, at, &place.text, &auth, cloud)
        });
        let found = try_join_all(fetches).await?;
        let values: Vec<Secret> = found.iter().map(|held| held.value.value.clone()).collect();
        secrets.extend(found);
        draft.parse(&values, options)?
    };
    refuse_program(&string, &secrets)?;
    Ok((string, secrets))
}

fn runs_program(auth: &Auth) -> bool {
    let Auth::Federated { from, .. } = auth else {
        return false;
    };
    matches!(from, AssertionFrom::Command { .. })
}

/// A secret may say where to log in and as whom, but not what to run on this
/// machine: who may write to a vault need not be one who may do that.
fn refuse_program(string: &ConnectionString, secrets: &[Held]) -> Result<(), KeyVaultError> {
    let decides = |held: &&Held| match held.place {
        Place::Alone => false,
        Place::Value { keyword, .. } => keyword == Key::FederatedToken.name(),
        Place::Whole => true,
    };
    match secrets.iter().find(decides) {
        Some(held) if names_program(string) => Err(KeyVaultError::Program { place: held.place }),
        _ => Ok(()),
    }
}

async fn fetch(
    vaults: &KeyVault,
    place: Place,
    text: &str,
    auth: &Auth,
    cloud: Cloud,
) -> Result<Held, KeyVaultError> {
    let reference: Reference = text
        .parse()
        .map_err(|source| KeyVaultError::Reference { place, source })?;
    let entry = vaults.entry(place, &reference, auth, cloud)?;
    let got = entry.get().await;
    let value = got.map_err(|source| failed(place, &reference, cloud, source))?;
    if is_reference(value.value.expose()) {
        return Err(KeyVaultError::Nested { place });
    }
    Ok(Held {
        entry,
        value,
        place,
    })
}
