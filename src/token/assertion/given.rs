//! An assertion that the caller gave as text.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::super::claims;
use super::super::entra::mark;
use super::super::error::FetchError;
use super::{AssertionSource, Exchange};
use crate::secret::Secret;

/// Gives the same text each time, as long as it has not ended.
#[derive(Debug)]
pub(in super::super) struct GivenAssertion(Secret);

impl GivenAssertion {
    pub(in super::super) fn new(assertion: Secret) -> Self {
        Self(assertion)
    }
}

#[async_trait]
impl AssertionSource for GivenAssertion {
    async fn assertion(&self, _: &Exchange<'_>) -> Result<Secret, FetchError> {
        let claims = claims::payload(self.0.expose()).unwrap_or_default();
        if let Some(by) = claims::time(&claims, "exp").and_then(since) {
            let origin = self.describe();
            return Err(FetchError::AssertionExpired { origin, by });
        }
        Ok(self.0.clone())
    }

    fn describe(&self) -> String {
        "the caller".to_owned()
    }

    fn renews(&self) -> bool {
        false
    }

    fn mark(&self) -> String {
        mark(&self.0)
    }
}

/// How long ago a moment was, in seconds since 1970; `None` if it is still to come.
fn since(moment: i64) -> Option<Duration> {
    let moment = Duration::from_secs(u64::try_from(moment).unwrap_or_default());
    let moment = SystemTime::UNIX_EPOCH.checked_add(moment)?;
    SystemTime::now().duration_since(moment).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use url::Url;

    use super::*;

    async fn ask(assertion: String) -> Result<Secret, FetchError> {
        let endpoint = Url::parse("https://h/").unwrap();
        let exchange = Exchange {
            token_endpoint: &endpoint,
            client_id: "c",
            audience: "a",
        };
        GivenAssertion::new(Secret::new(assertion))
            .assertion(&exchange)
            .await
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.MARKER", URL_SAFE_NO_PAD.encode(claims))
    }

    #[tokio::test]
    async fn an_assertion_that_has_ended_is_not_sent() {
        for past in [-7, 0, 1_000_000_000] {
            let error = ask(jwt(&format!(r#"{{"exp":{past}}}"#))).await.unwrap_err();
            assert!(
                matches!(error, FetchError::AssertionExpired { .. }),
                "{error:?}"
            );
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("expired") && !shown.contains("MARKER"),
                "{shown}"
            );
        }
        for future in [i64::MAX, 4_000_000_000] {
            let text = jwt(&format!(r#"{{"exp":{future}}}"#));
            assert_eq!(ask(text.clone()).await.unwrap().expose(), text);
        }
        // Whatever cannot be read is for Entra to judge.
        for opaque in ["opaque".to_owned(), jwt("{}"), jwt("[")] {
            assert_eq!(ask(opaque.clone()).await.unwrap().expose(), opaque);
        }
    }
}
