//! An assertion that the caller gave as text.

use async_trait::async_trait;

use super::super::entra::mark;
use super::super::error::FetchError;
use super::origin::Origin;
use super::{AssertionSource, Exchange};
use crate::secret::Secret;

/// Gives the same text each time, as long as it has not ended.
#[derive(Debug)]
pub(in super::super) struct GivenAssertion {
    text: Secret,
    origin: Origin,
}

impl GivenAssertion {
    pub(in super::super) fn new(text: Secret) -> Self {
        let origin = Origin::new(
            "the caller",
            "give a fresh one, or a source that can get one",
            "give the signed JWT itself",
        );
        Self { text, origin }
    }
}

#[async_trait]
impl AssertionSource for GivenAssertion {
    async fn assertion(&self, _: &Exchange<'_>) -> Result<Secret, FetchError> {
        self.origin.accept(self.text.expose())
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }

    fn renews(&self) -> bool {
        false
    }

    fn mark(&self) -> String {
        mark(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use url::Url;

    use super::super::AssertionError;
    use super::*;

    async fn ask(exp: i64) -> Result<Secret, FetchError> {
        let [header, claims, signature] = [
            r#"{"alg":"RS256"}"#,
            &format!(r#"{{"exp":{exp}}}"#),
            "MARKER",
        ]
        .map(|part| URL_SAFE_NO_PAD.encode(part));
        let source = GivenAssertion::new(Secret::new(format!("{header}.{claims}.{signature}")));
        assert!(!source.mark().contains(&signature) && !source.renews());
        let endpoint = Url::parse("https://h/").unwrap();
        let exchange = Exchange {
            token_endpoint: &endpoint,
            client_id: "c",
            audience: "a",
        };
        source.assertion(&exchange).await
    }

    #[tokio::test]
    async fn an_assertion_that_has_ended_is_not_sent() {
        let error = ask(1_000_000_000).await.unwrap_err();
        assert!(
            matches!(
                error,
                FetchError::Assertion {
                    reason: AssertionError::Expired { .. },
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(ask(4_000_000_000).await.is_ok());
    }
}
