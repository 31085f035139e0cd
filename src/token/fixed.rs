//! A token that the caller has already.

use async_trait::async_trait;
use aws_lc_rs::digest;

use super::access_token::MAX_LIFETIME;
use super::error::FetchError;
use super::{AccessToken, Resource, SourceKey, TokenError, TokenSource};
use crate::secret::Secret;

/// Gives one token, until it ends; then an error that says so.
///
/// It fits jobs that end before the token does. Anything longer wants a
/// [`CallbackToken`](super::CallbackToken).
#[derive(Debug, Clone)]
pub struct FixedToken {
    token: AccessToken,
    key: SourceKey,
}

impl FixedToken {
    /// A token with known times.
    #[must_use]
    pub fn new(token: AccessToken) -> Self {
        let digest = digest::digest(&digest::SHA256, token.secret().expose().as_bytes());
        let mark = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        Self {
            token,
            key: SourceKey::new("the given access token").with_credential(mark),
        }
    }

    /// A token as text. If it is a JWT it ends at its `exp` claim; of any other
    /// text the end is unknown, so the server is left to judge it.
    #[must_use]
    pub fn from_secret(secret: Secret) -> Self {
        let claims = super::claims::Claims::decode(secret.expose());
        let token = match claims.and_then(|claims| claims.expires) {
            Some(expires) => {
                let seconds = u64::try_from(expires).unwrap_or(0);
                let since_1970 = std::time::Duration::from_secs(seconds).min(MAX_LIFETIME * 400);
                AccessToken::expiring(secret, std::time::SystemTime::UNIX_EPOCH + since_1970)
            }
            None => AccessToken::new(secret, MAX_LIFETIME),
        };
        Self::new(token)
    }
}

#[async_trait]
impl TokenSource for FixedToken {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        if self.token.remaining().is_zero() {
            return Err(TokenError::fetch(
                self.key(),
                resource,
                FetchError::GivenTokenExpired,
            ));
        }
        Ok(self.token.clone())
    }

    fn key(&self) -> SourceKey {
        self.key.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn jwt(exp: i64) -> Secret {
        Secret::new(format!(
            "e30.{}.x",
            URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}"))
        ))
    }

    fn resource() -> Resource {
        Resource::new("https://database.windows.net/")
    }

    #[tokio::test(start_paused = true)]
    async fn a_jwt_ends_at_its_exp() {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let source = FixedToken::from_secret(jwt(i64::try_from(now).unwrap() + 1800));
        let left = source.token(&resource()).await.unwrap().remaining();
        assert!(
            left > Duration::from_secs(1790) && left <= Duration::from_secs(1800),
            "{left:?}"
        );
        tokio::time::advance(Duration::from_secs(1801)).await;
        let error = source.token(&resource()).await.unwrap_err();
        assert!(
            matches!(error.reason(), Some(FetchError::GivenTokenExpired)),
            "{error:?}"
        );
        assert!(!error.is_transient());
    }

    #[tokio::test]
    async fn strange_ends_neither_panic_nor_pass() {
        for exp in [i64::MIN, -1, 0, 1] {
            assert!(
                FixedToken::from_secret(jwt(exp))
                    .token(&resource())
                    .await
                    .is_err(),
                "{exp}"
            );
        }
        assert!(
            FixedToken::from_secret(jwt(i64::MAX))
                .token(&resource())
                .await
                .is_ok()
        );
        assert!(
            FixedToken::from_secret(Secret::new("opaque"))
                .token(&resource())
                .await
                .is_ok()
        );
    }

    #[test]
    fn the_key_tells_tokens_apart_and_hides_them() {
        let key = |text: &str| FixedToken::from_secret(Secret::new(text)).key();
        assert_eq!(key("one"), key("one"));
        assert_ne!(key("one"), key("two"));
        assert!(!format!("{:?}", key("MARKER")).contains("MARKER"));
    }
}
