//! Targets, ready to be dialled.

use std::sync::Arc;

use super::ProxyError;
use super::config::{PoolConfig, TargetConfig};
use crate::dial::{Dialer, token_source};
use crate::target::Target;
use crate::token::{Sources, TokenCache, TokenSlot};

/// A target, ready to be dialled. One per target and identity.
#[derive(Debug)]
pub(super) struct TargetEntry {
    pub(super) name: String,
    pub(super) dialer: Dialer,
    /// None for a login by SQL password.
    pub(super) token: Option<TokenSlot>,
    /// Who logs in, for logs.
    pub(super) identity: String,
    pub(super) pool: PoolConfig,
}

impl TargetEntry {
    /// Reads the connection string; nothing is requested or dialled.
    pub(super) fn open(
        config: &TargetConfig,
        sources: &Sources,
        cache: &TokenCache,
    ) -> Result<Arc<Self>, ProxyError> {
        let name = &config.name;
        let target =
            Target::parse(config.connection.expose()).map_err(|source| ProxyError::Target {
                target: name.clone(),
                source,
            })?;
        let token = if target.auth.uses_token() {
            let source = token_source(&target, sources).map_err(|source| ProxyError::Token {
                target: name.clone(),
                source,
            })?;
            Some(cache.slot(source, target.cloud))
        } else {
            None
        };
        let identity = token
            .as_ref()
            .map_or_else(|| "SQL login".to_owned(), |slot| slot.key().to_string());
        let dialer = Dialer::new(target, token.clone()).map_err(|source| ProxyError::Dial {
            target: name.clone(),
            source,
        })?;
        Ok(Arc::new(Self {
            name: name.clone(),
            dialer,
            token,
            identity,
            pool: config.pool.clone(),
        }))
    }
}
