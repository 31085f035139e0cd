//! Tokens for an application that proves itself at Entra.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::entra::EntraApp;
use super::{AccessToken, Resource, SourceKey, TokenError, TokenSource};

/// A source over an [`EntraApp`], under the name of how the application proves itself.
#[derive(Debug)]
pub(super) struct AppSource {
    key: SourceKey,
    app: EntraApp,
    /// Whether to say once that there is a better way.
    discouraged: AtomicBool,
}

impl AppSource {
    pub(super) fn new(kind: &'static str, app: EntraApp) -> Self {
        Self {
            key: app.key(kind),
            app,
            discouraged: AtomicBool::new(false),
        }
    }

    /// Says in the log, once, that the credential is one to replace.
    pub(super) fn discouraged(mut self) -> Self {
        self.discouraged = AtomicBool::new(true);
        self
    }
}

#[async_trait]
impl TokenSource for AppSource {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        if self.discouraged.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                source = %self.key,
                "this credential can leak and expire; a managed identity or a federated \
                 credential needs none"
            );
        }
        let fetched = self.app.token(resource).await;
        fetched.map_err(|reason| TokenError::fetch(self.key(), resource, reason))
    }

    fn key(&self) -> SourceKey {
        self.key.clone()
    }
}
