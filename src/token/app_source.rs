//! Tokens for an application that proves itself at Entra.

use async_trait::async_trait;

use super::entra::EntraApp;
use super::{AccessToken, Resource, SourceKey, TokenError, TokenSource};

/// A source over an [`EntraApp`], under the name of how the application proves itself.
#[derive(Debug)]
pub(super) struct AppSource {
    key: SourceKey,
    app: EntraApp,
}

impl AppSource {
    pub(super) fn new(kind: &'static str, app: EntraApp) -> Self {
        Self {
            key: app.key(kind),
            app,
        }
    }
}

#[async_trait]
impl TokenSource for AppSource {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let fetched = self.app.token(resource).await;
        fetched.map_err(|reason| TokenError::fetch(self.key(), resource, reason))
    }

    fn key(&self) -> SourceKey {
        self.key.clone()
    }
}
