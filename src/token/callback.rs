//! Tokens from the caller's own code.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::error::FetchError;
use super::{AccessToken, Resource, SourceKey, TokenError, TokenSource};

/// Asks an async closure for each token.
///
/// The closure is called for a first token, ahead of each token's end, and
/// after a refusal; never twice at once for one slot. It should answer with a
/// new token each time, within [`FETCH_LIMIT`](super::FETCH_LIMIT). Clones share the closure and, in a cache, its tokens;
/// two callbacks never share.
///
/// ```
/// use std::time::Duration;
/// use entrada::token::{AccessToken, CallbackToken, Resource, TokenSource};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let source = CallbackToken::new(|resource: Resource| async move {
///     assert_eq!(resource.as_str(), "https://database.windows.net/");
///     Ok::<_, std::io::Error>(AccessToken::new("from my vault", Duration::from_secs(3600)))
/// });
/// let token = source.token(&Resource::new("https://database.windows.net/")).await.unwrap();
/// assert_eq!(token.secret().expose(), "from my vault");
/// # });
/// ```
#[derive(Clone)]
pub struct CallbackToken {
    call: Arc<Call>,
    key: SourceKey,
}

impl CallbackToken {
    /// A source that calls `call` with the resource that a token is wanted for.
    #[must_use]
    pub fn new<F, Fut, E>(call: F) -> Self
    where
        F: Fn(Resource) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<AccessToken, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        Self {
            call: Arc::new(move |resource| {
                let answer = call(resource);
                Box::pin(async move { answer.await.map_err(Into::into) })
            }),
            key: SourceKey::new("the token callback").with_credential(instance.to_string()),
        }
    }

    /// Names the identity behind the callback in logs and errors. Defaults to none.
    #[must_use]
    pub fn with_identity(mut self, identity: impl fmt::Display) -> Self {
        self.key = self.key.with_identity(identity);
        self
    }
}

#[async_trait]
impl TokenSource for CallbackToken {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let answer = (self.call)(resource.clone()).await;
        answer.map_err(|error| TokenError::fetch(self.key(), resource, FetchError::Callback(error)))
    }

    fn key(&self) -> SourceKey {
        self.key.clone()
    }
}

impl fmt::Debug for CallbackToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackToken")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

type Answer = Result<AccessToken, Box<dyn StdError + Send + Sync>>;
type Call = dyn Fn(Resource) -> BoxFuture<'static, Answer> + Send + Sync;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_callers_error_is_the_cause() {
        let source = CallbackToken::new(|_| async { Err::<AccessToken, _>("vault sealed") });
        let error = source.token(&Resource::new("r")).await.unwrap_err();
        let cause = error.source().unwrap().source().unwrap();
        assert_eq!(cause.to_string(), "vault sealed");
    }

    #[test]
    fn callbacks_never_share_but_clones_do() {
        let make = || CallbackToken::new(|_| async { Err::<AccessToken, _>("no") });
        let one = make();
        assert_ne!(one.key(), make().key());
        assert_eq!(one.key(), one.clone().key());
    }
}
