//! Entra's token endpoint: an application gives a credential and gets a token.

mod advice;
mod authority;
mod refusal;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use self::advice::Again;
use self::authority::Authority;
pub(crate) use self::authority::told_tenant;
pub use self::refusal::EntraRefusal;
use super::assertion::{AssertionSource, Exchange};
use super::error::{FetchError, Reply};
use super::http::{HttpReply, HttpRequest, Transport};
use super::reply::{TokenReply, not_a_token_endpoint, tidy};
use super::retry::{self, Ask, IN_BACKGROUND, RetryPolicy, Verdict};
use super::{AccessToken, Resource, SourceKey, Sources, claims};
use crate::secret::Secret;
use crate::target::Cloud;

/// What a user can do about an AADSTS code that a tool reports.
pub(super) fn advice_for(code: u32) -> Option<&'static str> {
    advice::of(&[code]).map(|advice| advice.text)
}

/// An application (or user-assigned identity) in a tenant, with its credential.
#[derive(Debug)]
pub(crate) struct EntraApp {
    http: Arc<dyn Transport>,
    authority: Authority,
    client_id: String,
    credential: AppCredential,
    /// Tells the environment apart that assertions are found in.
    surroundings: String,
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
            surroundings: match &credential {
                AppCredential::Secret(_) => String::new(),
                AppCredential::Assertion(_) => sources.env.mark(),
            },
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
                AppCredential::Assertion(source) => mark_of([&*source.mark(), &*self.surroundings]),
            })
    }

    /// Gets a token.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request; nothing is lost.
    pub(crate) async fn token(&self, resource: &Resource) -> Result<AccessToken, FetchError> {
        let exchange = Login {
            app: self,
            scope: resource.scope(),
            identical: format!(
                "{} {} {resource}",
                self.authority.token_endpoint, self.client_id
            ),
            assertion: Mutex::default(),
            renewed: AtomicBool::new(false),
        };
        let reply = retry::ask(&*self.http, &RetryPolicy::ENTRA, &exchange).await?;
        Ok(TokenReply::read(&reply, SystemTime::now())?.token)
    }
}

/// One exchange of a credential for a token, with its tries.
struct Login<'a> {
    app: &'a EntraApp,
    scope: String,
    identical: String,
    /// The one sent last.
    assertion: Mutex<Option<Secret>>,
    /// Whether a new one was sent in place of one that Entra found ended.
    renewed: AtomicBool,
}

#[async_trait]
impl Ask for Login<'_> {
    async fn request(&self) -> Result<HttpRequest, FetchError> {
        let app = self.app;
        let assertion = match &app.credential {
            AppCredential::Secret(_) => None,
            AppCredential::Assertion(source) => {
                let exchange = Exchange {
                    token_endpoint: &app.authority.token_endpoint,
                    client_id: &app.client_id,
                    audience: app.authority.audience,
                };
                Some(source.assertion(&exchange).await?)
            }
        };
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &*app.client_id),
            ("scope", &*self.scope),
        ];
        if let AppCredential::Secret(secret) = &app.credential {
            form.push(("client_secret", secret.expose()));
        }
        if let Some(assertion) = &assertion {
            form.push(("client_assertion_type", ASSERTION_TYPE));
            form.push(("client_assertion", assertion.expose()));
        }
        let request = HttpRequest::post_form(app.authority.token_endpoint.clone(), &form)
            .header("accept", "application/json")
            .header("client-request-id", Uuid::new_v4().to_string())
            .header("return-client-request-id", "true");
        *lock(&self.assertion) = assertion;
        Ok(request)
    }

    fn judge(&self, reply: &HttpReply) -> (FetchError, Verdict) {
        let assertion = lock(&self.assertion);
        let proof = match &self.app.credential {
            AppCredential::Secret(secret) => secret.expose(),
            AppCredential::Assertion(_) => assertion.as_ref().map_or("", Secret::expose),
        };
        let Some(mut refusal) = EntraRefusal::read(reply, proof) else {
            return (no_json(reply), by_status(reply));
        };
        let known = refusal.known();
        refusal.advice.push_str(&self.particulars(&refusal, proof));
        let verdict = match known.map(|advice| advice.again) {
            Some(Again::Soon) => Verdict::Again,
            _ if refusal.is_busy() => Verdict::Again,
            Some(Again::WhileFresh) if IN_BACKGROUND.try_with(|()| ()).is_ok() => {
                Verdict::While(FRESH)
            }
            Some(Again::NewAssertion) if self.renews() => Verdict::AtOnce,
            Some(Again::WhileFresh | Again::NewAssertion | Again::AfterPause) => Verdict::Final,
            Some(Again::No) | None => by_status(reply),
        };
        let refusal = Box::new(refusal);
        (FetchError::Entra { refusal }, verdict)
    }

    fn identical(&self) -> Option<&str> {
        Some(&self.identical)
    }
}

impl Login<'_> {
    /// Whether another assertion can be had; true once.
    fn renews(&self) -> bool {
        match &self.app.credential {
            AppCredential::Secret(_) => false,
            AppCredential::Assertion(source) => {
                source.renews() && !self.renewed.swap(true, Ordering::Relaxed)
            }
        }
    }

    /// What the credential itself tells about a refusal.
    fn particulars(&self, refusal: &EntraRefusal, proof: &str) -> String {
        let has = |codes: &[u32]| refusal.codes.iter().any(|code| codes.contains(code));
        match &self.app.credential {
            AppCredential::Secret(_) if has(&[WRONG_SECRET]) && Uuid::try_parse(proof).is_ok() => {
                "; the one given looks like a secret's id".to_owned()
            }
            AppCredential::Assertion(source) if has(MISMATCHES) => {
                let claims = claims::payload(proof).unwrap_or_default();
                let claim = |name| match claims::text(&claims, name) {
                    Some(text) => format!("\"{}\"", tidy(&text)),
                    None => "nothing".to_owned(),
                };
                format!(
                    "; the assertion from {} has issuer {}, subject {} and audience {}, and the \
                     audience of this cloud is \"{}\"",
                    source.describe(),
                    claim("iss"),
                    claim("sub"),
                    claim("aud"),
                    self.app.authority.audience
                )
            }
            AppCredential::Assertion(source) => {
                format!("; the assertion is from {}", source.describe())
            }
            AppCredential::Secret(_) => String::new(),
        }
    }
}

/// What a reply means that is not Entra's, or not whole.
fn no_json(reply: &HttpReply) -> FetchError {
    let said = Reply {
        status: reply.status,
        ..Reply::default()
    };
    match reply.status {
        429 => FetchError::Throttled {
            reply: said,
            retry_after: reply.retry_after,
        },
        500..=599 => FetchError::Unavailable {
            reply: said,
            advice: "Entra, or a proxy before it, is not able to answer; try again later"
                .to_owned(),
        },
        _ => not_a_token_endpoint(reply),
    }
}

/// Entra throttles with a time; a 429 without one is somebody else's.
fn by_status(reply: &HttpReply) -> Verdict {
    match (reply.status, reply.retry_after) {
        (429, None) => Verdict::Final,
        _ => Verdict::ByStatus,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells secrets apart within this process, and tells nothing else about them.
pub(super) fn mark(secret: &Secret) -> String {
    mark_of([secret.expose()])
}

/// The same for several texts in their order, none of which runs into the next.
pub(super) fn mark_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    static KEY: OnceLock<Option<hmac::Key>> = OnceLock::new();
    let made = || hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok();
    match KEY.get_or_init(made) {
        Some(key) => {
            let mut context = hmac::Context::with_key(key);
            for part in parts {
                context.update(&part.len().to_le_bytes());
                context.update(part.as_bytes());
            }
            URL_SAFE_NO_PAD.encode(context.sign())
        }
        // Without randomness nothing may be said, so nothing is shared either.
        None => Uuid::new_v4().to_string(),
    }
}

/// How long a new federated credential is waited for, when nobody waits for the token.
const FRESH: Duration = Duration::from_secs(120);

const WRONG_SECRET: u32 = 7_000_215;

/// The codes of assertions that no federated credential matches.
const MISMATCHES: &[u32] = &[70_021, 700_211, 700_212, 700_213];

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
