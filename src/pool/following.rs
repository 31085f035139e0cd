//! Opening sessions with secrets that change.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::manager::{Era, Manager, Open, Opened};
use super::{Keeper, PoolBuilder, PoolError, look_through};
use crate::dial::{DialError, Dialer};
use crate::key_vault::{READ_LIMIT, Resolved};
use crate::target::Target;

/// Dials what a connection string means at the time; a login that is refused is
/// tried once more if a secret in a vault has changed.
#[derive(Debug)]
pub(super) struct Following {
    resolved: Resolved,
    /// What is set beside the connection string.
    settings: PoolBuilder,
    current: Mutex<Ready>,
    /// Rings when an era has ended.
    moved: Notify,
}

/// What a connection string means at a time.
#[derive(Debug, Clone)]
struct Ready {
    /// As the connection string says, by which it is recognised.
    said: Arc<Target>,
    dialer: Dialer,
    era: Era,
}

impl Following {
    pub(super) fn new(resolved: Resolved, settings: PoolBuilder) -> Result<Self, PoolError> {
        let said = resolved.target();
        let dialer = settings.with_target(&said).dialer()?;
        Ok(Self {
            resolved,
            settings,
            current: Mutex::new(Ready {
                said,
                dialer,
                era: Era::default(),
            }),
            moved: Notify::new(),
        })
    }

    /// Reads the secrets in time, and closes idle sessions of an era that has
    /// ended, until the handle is dropped or the pool closed.
    pub(super) fn follow(
        self: Arc<Self>,
        kept: Option<Keeper>,
        manager: &Manager,
    ) -> AbortOnDropHandle<()> {
        let closed = manager.closed.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let read = self.resolved.keep_fresh(|| {
                self.follow_quietly();
                ControlFlow::Continue(())
            });
            let sweep = async {
                while let Some(kept) = &kept {
                    self.moved.notified().await;
                    look_through(kept);
                }
            };
            let both = async { tokio::join!(read, sweep) };
            closed.run_until_cancelled(both).await;
        }))
    }

    /// What the connection string means by what is known of its secrets.
    fn ready(&self) -> Result<Ready, DialError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that what is older never follows.
        let target = self.resolved.target();
        if Arc::ptr_eq(&current.said, &target) {
            return Ok(current.clone());
        }
        if differs(&current.said, &target) && !current.era.has_ended() {
            tracing::info!(
                server = %target.server,
                "a secret leads elsewhere now: sessions opened before are handed out no more"
            );
            current.era.end();
            self.moved.notify_one();
        }
        let made = self.settings.with_target(&target).dialer();
        let dialer = made.map_err(|error| in_dial(error, &target))?;
        // An era that has ended stays so, even if the secret is what it was.
        let era = Some(&current.era).filter(|era| !era.has_ended());
        *current = Ready {
            era: era.cloned().unwrap_or_default(),
            said: target,
            dialer,
        };
        Ok(current.clone())
    }

    /// As [`ready`](Self::ready); who dials hears of what is wrong.
    fn follow_quietly(&self) {
        if let Err(error) = self.ready() {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot use what a secret says now");
        }
    }
}

#[async_trait]
impl Open for Following {
    async fn open(&self) -> Result<Opened, DialError> {
        let start = Instant::now();
        self.resolved.current().await;
        let ready = self.ready()?;
        let said = Arc::clone(&ready.said);
        let error = match ready.open().await {
            Err(error) if error.is_auth() => error,
            outcome => return outcome,
        };
        // Whoever waits is to hear of the refusal, even if the vault says nothing.
        let limit = self.settings.dial_timeout().unwrap_or(READ_LIMIT);
        let renewed = timeout_at(start + limit, self.resolved.renew(&said)).await;
        if renewed.unwrap_or_default().is_none() {
            return Err(error);
        }
        tracing::info!("a login was refused and a secret has changed; trying the new one");
        self.ready()?.open().await
    }
}

impl Ready {
    async fn open(self) -> Result<Opened, DialError> {
        let session = self.dialer.dial().await?;
        let era = self.era;
        Ok(Opened { session, era })
    }
}

/// Whether sessions of the one are not what the other asks for. All of a pool's
/// are in one database.
fn differs(before: &Target, after: &Target) -> bool {
    before.database != after.database || before.leads_elsewhere(after)
}

/// The builder's error as one of the login, which it keeps from beginning.
fn in_dial(error: PoolError, target: &Target) -> DialError {
    match error {
        PoolError::Token { server, source } => DialError::Token {
            server,
            source: (*source).clone(),
        },
        PoolError::Dial { source, .. } => (*source).clone(),
        _ => DialError::NoTokenSource {
            server: target.server.to_string(),
        },
    }
}
