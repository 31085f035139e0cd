//! A managed identity that an application trusts instead of a secret.
//!
//! This is how to reach an Azure SQL server of another tenant without a secret:
//! a multi-tenant application has the identity as its federated credential, and
//! signs in where it is installed. Only user-assigned identities can be
//! (learn.microsoft.com, "Configure an application to trust a managed identity").

use std::sync::Arc;

use async_trait::async_trait;

use super::super::error::{FetchError, TokenError};
use super::super::{ManagedIdentity, Resource, Sources, TokenSource as _};
use super::origin::Origin;
use super::{AssertionError, AssertionSource, Exchange};
use crate::secret::Secret;
use crate::target::Identity;

/// Asks the platform for a token that Entra takes in exchange.
#[derive(Debug)]
pub(super) struct IdentityAssertion {
    identity: ManagedIdentity,
    origin: Origin,
}

impl IdentityAssertion {
    /// The identity, which must be another than the application.
    pub(super) fn new(
        sources: &Sources,
        identity: &Identity,
        client_id: &str,
    ) -> Result<Self, TokenError> {
        let origin = Origin::new("the managed identity", RENEW, CHECK);
        let refused = |problem| TokenError::Setup {
            origin: super::super::SourceKey::new("a managed identity as federated credential"),
            reason: Arc::new(origin.failed(AssertionError::Setting {
                setting: "the identity",
                problem,
            })),
        };
        match identity {
            Identity::SystemAssigned => {
                return Err(refused(
                    "Entra takes user-assigned identities only; name one by its client id",
                ));
            }
            Identity::ClientId(id) | Identity::ClientOrObjectId(id)
                if id.eq_ignore_ascii_case(client_id) =>
            {
                return Err(refused(
                    "it is the application itself; give the client id of the application that \
                     trusts it, or use the identity directly",
                ));
            }
            _ => {}
        }
        let identity = ManagedIdentity::from_sources(identity.clone(), None, sources)?;
        let name = format!("the managed identity {}", identity.key());
        Ok(Self {
            origin: Origin::new(name, RENEW, CHECK),
            identity,
        })
    }
}

#[async_trait]
impl AssertionSource for IdentityAssertion {
    async fn assertion(&self, exchange: &Exchange<'_>) -> Result<Secret, FetchError> {
        let token = self.identity.token(&Resource::new(exchange.audience)).await;
        let token = token.map_err(|error| {
            self.origin.failed(AssertionError::Identity {
                audience: exchange.audience,
                reason: Box::new(error),
            })
        })?;
        self.origin.accept(token.secret().expose())
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }

    fn mark(&self) -> String {
        format!("{:?}", self.identity.key())
    }
}

const RENEW: &str = "the platform gave an old one, so check this machine's clock";

const CHECK: &str = "check that the identity endpoint is the platform's own";

#[cfg(test)]
mod tests {
    use super::super::super::testing::Answer;
    use super::super::testing::{ask, jwt, sources, told};
    use super::*;

    fn source(
        script: Vec<Answer>,
    ) -> (
        IdentityAssertion,
        Arc<super::super::super::testing::ScriptedHttp>,
    ) {
        let (sources, http) = sources(&[], script);
        let identity = Identity::ClientId("identity".into());
        (
            IdentityAssertion::new(&sources, &identity, "application").unwrap(),
            http,
        )
    }

    #[tokio::test]
    async fn the_identitys_token_for_the_exchange_is_the_assertion() {
        let token = jwt(3600, "s");
        let (source, http) = source(vec![Answer::token(&token, 3600)]);
        assert_eq!(ask(&source).await.unwrap().expose(), token);
        let url = http.seen()[0].1.url.clone();
        let query = url.query().unwrap();
        assert!(
            query.contains("resource=api%3A%2F%2FAzureADTokenExchange&client_id=identity"),
            "{query}"
        );
        assert_eq!(
            source.describe(),
            "the managed identity IMDS (client id identity)"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_the_identitys_own() {
        let missing = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
        let error = ask(&source(vec![Answer::json(400, missing)]).0)
            .await
            .unwrap_err();
        let text = told(&error);
        assert!(
            text.contains("gave no token for api://AzureADTokenExchange"),
            "{text}"
        );
        assert!(
            text.contains("no identity with client id identity is assigned here"),
            "{text}"
        );
        assert!(!error.is_transient());
        let error = ask(&source(vec![Answer::status(500); 9]).0)
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let html = Answer::json(200, "<html>MARKER</html>");
        told(&ask(&source(vec![html]).0).await.unwrap_err());
        // No identity endpoint gives anything but a JWT for this.
        let error = ask(&source(vec![Answer::token("MARKER", 60)]).0)
            .await
            .unwrap_err();
        assert!(told(&error).contains("no signed JWT"), "{error:?}");
    }

    #[test]
    fn only_a_user_assigned_identity_other_than_the_application_will_do() {
        let refused = |identity: Identity| {
            let error = IdentityAssertion::new(&sources(&[], vec![]).0, &identity, "application");
            told(&error.unwrap_err())
        };
        let text = refused(Identity::SystemAssigned);
        assert!(text.contains("user-assigned identities only"), "{text}");
        let text = refused(Identity::ClientId("APPLICATION".into()));
        assert!(text.contains("it is the application itself"), "{text}");
    }
}
