//! Targets, ready to be dialled.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::ProxyError;
use super::config::{PoolConfig, TargetConfig};
use crate::conn_string::{Draft, is_reference};
use crate::dial::{DialError, Dialer, LoginProfile, token_source};
use crate::key_vault::{KeyVault, KeyVaultError, READ_LIMIT, Resolved};
use crate::session::Session;
use crate::target::{Auth, Identity, Target, TargetError};
use crate::token::{Sources, TokenCache, TokenSlot};

/// What targets are opened with.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) sources: Sources,
    pub(super) vaults: KeyVault,
    pub(super) tokens: TokenCache,
}

impl Means {
    pub(super) fn new(sources: Sources) -> Self {
        Self {
            vaults: KeyVault::new(sources.clone()),
            tokens: TokenCache::new(),
            sources,
        }
    }
}

/// A target, ready to be dialled. One per target and identity.
#[derive(Debug)]
pub(super) struct TargetEntry {
    pub(super) name: String,
    /// With what the connection string said of it when this was opened.
    pub(super) pool: PoolConfig,
    config: TargetConfig,
    /// The client id of an identity in place of the target's own.
    other: Option<String>,
    resolved: Resolved,
    means: Arc<Means>,
    current: ArcSwap<Ready>,
    /// Held while that is replaced, so that what is older never follows.
    replacing: Mutex<()>,
    moves: watch::Sender<()>,
    /// Reads secrets again in time, so that no client has to wait for a vault,
    /// and no idle session outlives its target.
    _reader: Option<AbortOnDropHandle<()>>,
}

/// What a connection string means at a time: secrets in vaults change.
#[derive(Debug)]
struct Ready {
    /// As the connection string says, by which it is recognised.
    said: Arc<Target>,
    dialer: Dialer,
    token: Option<TokenSlot>,
}

impl TargetEntry {
    /// Reads the connection string, and the secrets that it names in vaults.
    /// Nothing else is requested or dialled.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn open(
        config: &TargetConfig,
        other: Option<&str>,
        means: &Arc<Means>,
    ) -> Result<Arc<Self>, ProxyError> {
        let resolved = means.vaults.resolve(config.connection.expose()).await;
        let resolved = resolved.map_err(|source| in_vault(&config.name, source))?;
        let ready = Ready::new(config, other, resolved.target(), means)?;
        Ok(Arc::new_cyclic(|this| Self {
            name: config.name.clone(),
            pool: config.pool.with_defaults(&ready.said.pool),
            config: config.clone(),
            other: other.map(str::to_owned),
            means: Arc::clone(means),
            current: ArcSwap::from_pointee(ready),
            replacing: Mutex::default(),
            moves: watch::Sender::default(),
            _reader: reader(this, &resolved),
            resolved,
        }))
    }

    /// Whether opening anew would make the same again.
    pub(super) fn is_of(&self, config: &TargetConfig, other: Option<&str>) -> bool {
        self.config.name == config.name
            && self.config.connection == config.connection
            && self.config.pool == config.pool
            && self.other.as_deref() == other
    }

    /// Where sessions are opened to.
    pub(super) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.current.load().said)
    }

    /// The token that sessions are opened with; none for a SQL login.
    pub(super) fn token(&self) -> Option<TokenSlot> {
        self.current.load().token.clone()
    }

    /// Who logs in, for logs.
    pub(super) fn identity(&self) -> String {
        match &self.current.load().token {
            Some(slot) => slot.key().to_string(),
            None => "SQL login".to_owned(),
        }
    }

    /// Changes whenever a secret has come to lead to another server, or to log in
    /// as somebody else or on other terms: sessions opened before are not for new
    /// clients any more. A new password is none of that: the server lets sessions
    /// live that logged in with the old one, and they are whose they were.
    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.moves.subscribe()
    }

    /// Reads secrets in vaults again, as far as they can have changed. What
    /// cannot be read stays as it was.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn reread(&self) {
        if self.resolved.has_references() {
            // Too late is as good as not at all: the log has said why.
            let _ = timeout(READ_LIMIT, self.resolved.reread()).await;
            self.follow_quietly();
        }
    }

    /// Opens a session, with the secrets as they are now. A login that is
    /// refused is tried once more if a secret in a vault has changed.
    ///
    /// # Cancel safety
    /// As [`Dialer::dial`].
    pub(super) async fn dial(&self, profile: &LoginProfile) -> Result<Session, DialError> {
        self.resolved.current().await;
        let ready = self.follow()?;
        let error = match ready.dialer.dial_with(profile).await {
            Err(error) if error.is_auth() && self.resolved.has_references() => error,
            outcome => return outcome,
        };
        // Whoever waits is to hear of the refusal, even if the vault says nothing.
        let renewed = timeout(READ_LIMIT, self.resolved.renew(&ready.said)).await;
        if renewed.unwrap_or_default().is_none() {
            return Err(error);
        }
        tracing::info!(
            target = self.name,
            "a login was refused and a secret has changed; trying the new one"
        );
        self.follow()?.dialer.dial_with(profile).await
    }

    /// What the connection string means by what is known of its secrets.
    fn follow(&self) -> Result<Arc<Ready>, DialError> {
        let now = || (self.current.load_full(), self.resolved.target());
        let (ready, target) = now();
        if Arc::ptr_eq(&ready.said, &target) {
            return Ok(ready);
        }
        let replacing = self.replacing.lock();
        let _one_at_a_time = replacing.unwrap_or_else(PoisonError::into_inner);
        let (ready, target) = now();
        if Arc::ptr_eq(&ready.said, &target) {
            return Ok(ready);
        }
        let other = self.other.as_deref();
        let made = Ready::new(&self.config, other, Arc::clone(&target), &self.means);
        let made = made.map(Arc::new);
        if let Ok(made) = &made {
            self.current.store(Arc::clone(made));
        }
        // After that: who has heard of it dials the new target.
        if ready.said.leads_elsewhere(&target) {
            tracing::info!(
                target = self.name,
                server = %target.server,
                "a secret leads elsewhere now: sessions opened before serve no new client"
            );
            self.moves.send_replace(());
        }
        made.map_err(|error| in_dial(error, &target))
    }

    /// As [`follow`](Self::follow); who dials hears of what is wrong.
    fn follow_quietly(&self) {
        if let Err(error) = self.follow() {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                target = self.name,
                error,
                "cannot use what a secret says now"
            );
        }
    }
}

/// Reads the secrets of a connection string whenever they are due.
fn reader(entry: &Weak<TargetEntry>, resolved: &Resolved) -> Option<AbortOnDropHandle<()>> {
    if !resolved.has_references() {
        return None;
    }
    let (entry, resolved) = (Weak::clone(entry), resolved.clone());
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        let follow = || match entry.upgrade() {
            Some(entry) => {
                entry.follow_quietly();
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        };
        resolved.keep_fresh(follow).await;
    })))
}

impl Ready {
    fn new(
        config: &TargetConfig,
        other: Option<&str>,
        said: Arc<Target>,
        means: &Means,
    ) -> Result<Self, ProxyError> {
        let name = || config.name.clone();
        let mut target = Target::clone(&said);
        if let Some(client_id) = other {
            target.auth =
                with_identity(&target.auth, client_id).ok_or_else(|| ProxyError::Identity {
                    target: name(),
                    method: target.auth.name(),
                })?;
        }
        let token = slot(&target, means).map_err(|source| ProxyError::Token {
            target: name(),
            source,
        })?;
        let dialer = Dialer::new(target, token.clone()).map_err(|source| ProxyError::Dial {
            target: name(),
            source: Box::new(source),
        })?;
        Ok(Self {
            said,
            dialer,
            token,
        })
    }
}

/// What is wrong with a target, as far as can be said without asking a vault.
pub(super) fn check(
    config: &TargetConfig,
    other: Option<&str>,
    sources: &Sources,
) -> Result<(), ProxyError> {
    let text = config.connection.expose();
    // An empty one has been told of where it was read.
    if text.is_empty() || is_reference(text) {
        return Ok(());
    }
    let wrong = |source: TargetError| ProxyError::Target {
        target: config.name.clone(),
        source: Box::new(source),
    };
    let draft = Draft::read(text, None).map_err(|error| wrong(error.into()))?;
    if !draft.places().is_empty() {
        return Ok(());
    }
    let target = Arc::new(Target::parse(text).map_err(wrong)?);
    Ready::new(config, other, target, &Means::new(sources.clone())).map(|_| ())
}

fn slot(target: &Target, means: &Means) -> Result<Option<TokenSlot>, crate::token::TokenError> {
    if !target.auth.uses_token() {
        return Ok(None);
    }
    let source = token_source(target, &means.sources)?;
    Ok(Some(means.tokens.slot(source, target.cloud)))
}

/// The same method for another identity, where it has several.
fn with_identity(auth: &Auth, client_id: &str) -> Option<Auth> {
    let id = client_id.to_owned();
    Some(match auth {
        Auth::Default { .. } => Auth::Default {
            client_id: Some(id),
        },
        Auth::ManagedIdentity(_) => Auth::ManagedIdentity(Identity::ClientId(id)),
        Auth::ManagedIdentityOn { platform, .. } => Auth::ManagedIdentityOn {
            platform: *platform,
            identity: Identity::ClientId(id),
        },
        Auth::WorkloadIdentity {
            tenant, token_file, ..
        } => Auth::WorkloadIdentity {
            client_id: Some(id),
            tenant: tenant.clone(),
            token_file: token_file.clone(),
        },
        _ => return None,
    })
}

fn in_vault(target: &str, error: KeyVaultError) -> ProxyError {
    let target = target.to_owned();
    match error {
        KeyVaultError::ConnectionString(error) => ProxyError::Target {
            target,
            source: Box::new(TargetError::from(error)),
        },
        KeyVaultError::Target(source) => ProxyError::Target {
            target,
            source: Box::new(source),
        },
        source => ProxyError::KeyVault {
            target,
            source: Box::new(source),
        },
    }
}

/// The error as one of the login, which it keeps from beginning.
fn in_dial(error: ProxyError, target: &Target) -> DialError {
    let server = target.server.to_string();
    match error {
        ProxyError::Token { source, .. } => DialError::Token { server, source },
        ProxyError::Dial { source, .. } => *source,
        _ => DialError::NoTokenSource { server },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_method_with_several_identities_takes_another() {
        let other = |auth: Auth| with_identity(&auth, "c1").map(|auth| format!("{auth:?}"));
        for auth in [
            Auth::Default { client_id: None },
            Auth::ManagedIdentity(Identity::SystemAssigned),
            Auth::WorkloadIdentity {
                client_id: None,
                tenant: None,
                token_file: None,
            },
        ] {
            assert!(other(auth.clone()).unwrap().contains("c1"), "{auth:?}");
        }
        assert_eq!(other(Auth::Environment), None);
    }
}
