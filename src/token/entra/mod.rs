//! Entra's token endpoint: an application gives a credential and gets a token.

mod authority;

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use self::authority::Authority;
use super::assertion::{AssertionSource, Exchange};
use super::error::{FetchError, Reply};
use super::http::{HttpReply, HttpRequest, Transport};
use super::reply::{TokenReply, not_a_token_endpoint};
use super::retry::{self, RetryPolicy};
use super::{AccessToken, Resource, SourceKey, Sources};
use crate::secret::Secret;
use crate::target::Cloud;

/// An application (or user-assigned identity) in a tenant, with its credential.
#[derive(Debug)]
pub(crate) struct EntraApp {
    http: Arc<dyn Transport>,
    authority: Authority,
    client_id: String,
    credential: AppCredential,
}

/// How an application proves itself.
#[derive(Debug, Clone)]
pub(crate) enum AppCredential {
    /// A client secret.
    Secret(Secret),
    /// An assertion, a new one for each exchange.
    Assertion(Arc<dyn AssertionSource>),
}

impl EntraApp {
    /// An application at the authority of the environment or the cloud;
    /// `tenant` falls back to `AZURE_TENANT_ID`.
    pub(crate) fn new(
        sources: &Sources,
        cloud: &Cloud,
        tenant: Option<&str>,
        client_id: &str,
        credential: AppCredential,
    ) -> Result<Self, FetchError> {
        Ok(Self {
            http: Arc::clone(&sources.internet),
            authority: Authority::new(sources, *cloud, tenant)?,
            client_id: client_id.to_owned(),
            credential,
        })
    }

    /// What tells the application's tokens apart from others.
    pub(super) fn key(&self, kind: &'static str) -> SourceKey {
        SourceKey::new(kind)
            .with_identity(format!("client id {}", self.client_id))
            .with_tenant(&self.authority.tenant)
            .with_authority(self.authority.name())
            .with_credential(match &self.credential {
                AppCredential::Secret(secret) => mark(secret),
                AppCredential::Assertion(source) => source.mark(),
            })
    }

    /// Gets a token.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request; nothing is lost.
    pub(crate) async fn token(&self, resource: &Resource) -> Result<AccessToken, FetchError> {
        let exchange = Exchange {
            token_endpoint: &self.authority.token_endpoint,
            client_id: &self.client_id,
            audience: self.authority.audience,
        };
        let assertion = match &self.credential {
            AppCredential::Secret(_) => None,
            AppCredential::Assertion(source) => Some(source.assertion(&exchange).await?),
        };
        let reply = retry::send(
            &*self.http,
            &RetryPolicy::APP_SERVICE,
            || Ok(self.request(resource, assertion.as_ref())),
            judge,
        )
        .await?;
        Ok(TokenReply::read(&reply, SystemTime::now())?.token)
    }

    fn request(&self, resource: &Resource, assertion: Option<&Secret>) -> HttpRequest {
        let scope = resource.scope();
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &*self.client_id),
            ("scope", &*scope),
        ];
        match (&self.credential, assertion) {
            (AppCredential::Secret(secret), _) => form.push(("client_secret", secret.expose())),
            (AppCredential::Assertion(_), Some(assertion)) => form.extend([
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", assertion.expose()),
            ]),
            (AppCredential::Assertion(_), None) => {}
        }
        HttpRequest::post_form(self.authority.token_endpoint.clone(), &form)
            .header("accept", "application/json")
            .header("client-request-id", Uuid::new_v4().to_string())
            .header("return-client-request-id", "true")
    }
}

fn judge(reply: &HttpReply) -> FetchError {
    match Reply::read(reply) {
        Some(said) => FetchError::Refused {
            reply: said,
            advice: "check the application and its credential".to_owned(),
        },
        None => not_a_token_endpoint(reply),
    }
}

/// Tells secrets apart within this process, and tells nothing else about them.
pub(super) fn mark(secret: &Secret) -> String {
    static KEY: OnceLock<Option<hmac::Key>> = OnceLock::new();
    let made = || hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok();
    match KEY.get_or_init(made) {
        Some(key) => URL_SAFE_NO_PAD.encode(hmac::sign(key, secret.expose().as_bytes())),
        // Without randomness nothing may be said, so nothing is shared either.
        None => Uuid::new_v4().to_string(),
    }
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
