//! Opening sessions with secrets that change.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use super::manager::Open;
use super::{PoolBuilder, PoolError};
use crate::dial::{DialError, Dialer};
use crate::key_vault::{READ_LIMIT, Resolved};
use crate::session::Session;
use crate::target::Target;

/// Dials what a connection string means at the time; a login that is refused is
/// tried once more if a secret in a vault has changed.
#[derive(Debug)]
pub(super) struct Following {
    resolved: Resolved,
    /// What is set beside the connection string.
    settings: PoolBuilder,
    current: Mutex<(Arc<Target>, Dialer)>,
}

impl Following {
    pub(super) fn new(resolved: Resolved, settings: PoolBuilder) -> Result<Self, PoolError> {
        let target = resolved.target();
        let dialer = settings.with_target(&target).dialer()?;
        Ok(Self {
            resolved,
            settings,
            current: Mutex::new((target, dialer)),
        })
    }

    fn dialer(&self, target: &Arc<Target>) -> Result<Dialer, DialError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current.0, target) {
            let made = self.settings.with_target(target).dialer();
            let dialer = made.map_err(|error| in_dial(error, target))?;
            *current = (Arc::clone(target), dialer);
        }
        Ok(current.1.clone())
    }
}

#[async_trait]
impl Open for Following {
    async fn open(&self) -> Result<Session, DialError> {
        let start = Instant::now();
        let target = self.resolved.current().await;
        let error = match self.dialer(&target)?.dial().await {
            Err(error) if error.is_auth() => error,
            outcome => return outcome,
        };
        // Whoever waits is to hear of the refusal, even if the vault says nothing.
        let limit = self.settings.dial_timeout().unwrap_or(READ_LIMIT);
        let renewed = timeout_at(start + limit, self.resolved.renew(&target)).await;
        match renewed.unwrap_or_default() {
            Some(renewed) => {
                tracing::info!("a login was refused and a secret has changed; trying the new one");
                self.dialer(&renewed)?.dial().await
            }
            None => Err(error),
        }
    }
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
