//! Entra and the identity endpoints of the platforms, over HTTP on loopback.
//!
//! Endpoints answer as the real ones do, in errors and oddities too: clients are developed against
//! the happy path and break on the others.

mod app_service;
mod app_service_2017;
mod arc;
mod arc_keys;
mod automation;
mod cloud_shell;
mod container_instances;
mod discovery;
mod expires_on;
mod faults;
mod handed_out;
mod imds;
mod keys;
mod limits;
mod machine_learning;
mod managed_identity;
mod nested;
mod platforms;
mod query;
mod server;
mod service_fabric;
mod tokens;
mod watch;

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

pub use expires_on::ExpiresOn;
use handed_out::HandedOut;
pub(super) use keys::SigningKey;
use limits::Limits;
pub(super) use managed_identity::stable_id;
pub use managed_identity::{Assignment, ManagedIdentity};
pub(super) use platforms::{HttpsListener, PlatformOptions, Platforms};
pub(super) use query::Query;
pub(super) use server::router;
pub use tokens::IssuedToken;
pub(super) use tokens::{AppClaims, Issuer};

use super::counters::Counters;
use super::{Clock, EmulatorError, EntraPrincipal, Platform};
use crate::Secret;

/// What a token is asked for that is to be another application's assertion, in the public cloud.
pub(super) const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";
/// The client id of that resource, which such tokens have as their audience.
pub(super) const EXCHANGE_APP: &str = "fb60f99c-7a34-4190-8149-302f77469936";

/// Resources that a token can be asked for unless the builder says more.
const RESOURCES: [&str; 16] = [
    "https://database.windows.net",
    "https://database.usgovcloudapi.net",
    "https://database.chinacloudapi.cn",
    "https://database.cloudapi.de",
    "https://vault.usgovcloudapi.net",
    "https://vault.azure.cn",
    "https://vault.microsoftazure.de",
    EXCHANGE_AUDIENCE,
    "api://AzureADTokenExchangeUSGov",
    "api://AzureADTokenExchangeChina",
    "https://sql.azuresynapse.net",
    "https://management.azure.com",
    "https://management.core.windows.net",
    "https://vault.azure.net",
    "https://storage.azure.com",
    "https://graph.microsoft.com",
];

/// What all identity endpoints share.
#[derive(Debug)]
pub(super) struct Identity {
    issuer: Issuer,
    host: RwLock<Vec<ManagedIdentity>>,
    resources: Vec<String>,
    platforms: Platforms,
    counters: Counters,
    base_url: String,
    /// A verified domain of the tenant, which stands for its id in URLs.
    domain: String,
    options: TokenOptions,
    handed_out: HandedOut,
    limits: Limits,
}

/// How the endpoints hand tokens out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TokenOptions {
    /// A new token for every request, rather than the same one for hours.
    pub(super) fresh: bool,
    /// What answers tell as `refresh_in`.
    pub(super) refresh_in: Option<Duration>,
    /// IMDS takes no more requests than the real one.
    pub(super) imds_limits: bool,
}

impl Identity {
    pub(super) fn new(
        issuer: Issuer,
        host: Vec<ManagedIdentity>,
        more_resources: &[String],
        counters: Counters,
        base_url: String,
    ) -> Self {
        let known = RESOURCES.iter().copied().map(str::to_owned);
        let more = more_resources.iter().map(|r| without_slash(r).to_owned());
        Self {
            issuer,
            host: RwLock::new(host),
            resources: known.chain(more).collect(),
            platforms: Platforms::default(),
            counters,
            base_url,
            domain: String::new(),
            options: TokenOptions::default(),
            handed_out: HandedOut::default(),
            limits: Limits::default(),
        }
    }

    pub(super) fn with_options(mut self, options: TokenOptions) -> Self {
        self.options = options;
        self
    }

    pub(super) fn with_platforms(mut self, platforms: Platforms) -> Self {
        self.platforms = platforms;
        self
    }

    pub(super) fn with_domain(mut self, domain: String) -> Self {
        self.domain = domain;
        self
    }

    /// Whether a URL's segment names the tenant, by its id or its domain.
    pub(super) fn is_tenant(&self, named: &str) -> bool {
        Uuid::parse_str(named).is_ok_and(|id| id == self.tenant_id())
            || (named.eq_ignore_ascii_case(&self.domain) && !named.is_empty())
    }

    pub(super) fn count_entra(&self) {
        self.counters.counts().entra_requests.add_one();
    }

    /// The `iss` of this tenant's version 2.0 tokens.
    pub(super) fn issuer_url_v2(&self) -> String {
        self.issuer.issuer_v2()
    }

    pub(super) fn tenant_id(&self) -> Uuid {
        self.issuer.tenant_id
    }

    pub(super) fn issuer_url(&self) -> String {
        self.issuer.issuer()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.issuer.clock
    }

    pub(super) fn signing_key(&self) -> &SigningKey {
        &self.issuer.key
    }

    /// `http://` and the address of the endpoints, without a slash.
    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn key_set(&self) -> Value {
        self.issuer.key.key_set(&self.issuer_url())
    }

    /// The identities assigned to the emulated machine.
    pub(super) fn host(&self) -> Vec<ManagedIdentity> {
        self.host
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn assign(&self, identity: ManagedIdentity) {
        self.host
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(identity);
    }

    /// What the platform's clients prove themselves by.
    pub(super) fn secret(&self, platform: Platform) -> Secret {
        self.platforms.secret(platform)
    }

    /// Makes a new secret; the old one is refused from now on.
    pub(super) fn rotate_secret(&self, platform: Platform) -> Secret {
        self.platforms.rotate(platform)
    }

    /// The variables that the platform sets for its clients.
    pub(super) fn environment(&self, platform: Platform) -> Vec<(String, String)> {
        let host = self.host();
        self.platforms.environment(platform, &self.base_url, &host)
    }

    /// The folder of Azure Arc's key files, which exists then. Reads and writes files.
    pub(super) fn arc_tokens_folder(&self) -> std::io::Result<PathBuf> {
        self.platforms.arc.folder()
    }

    /// A token as [`Issuer::issue`] makes it, not counted.
    pub(super) fn sign_for(
        &self,
        identity: &ManagedIdentity,
        resource: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        self.issuer.issue(identity, resource)
    }

    /// A token for an application, counted.
    pub(super) fn issue_to_app(
        &self,
        app: &AppClaims<'_>,
        resource: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let issued = self.issuer.issue_to_app(app, resource)?;
        self.counters.counts().tokens_issued.add_one();
        tracing::debug!(client_id = %app.client_id, resource, "issued a token");
        Ok(issued)
    }

    fn issue(
        &self,
        identity: &ManagedIdentity,
        resource: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let sign = || self.sign_for(identity, resource);
        self.hand_out(identity.object_id, &identity.name, resource, sign)
    }

    fn issue_to_user(
        &self,
        user: &EntraPrincipal,
        resource: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let sign = || self.issuer.issue_to_user(user, resource);
        self.hand_out(user.object_id, &user.display_name, resource, sign)
    }

    /// A token that was handed out before, or the one that `sign` makes.
    fn hand_out(
        &self,
        id: Uuid,
        name: &str,
        resource: &str,
        sign: impl FnOnce() -> Result<IssuedToken, EmulatorError>,
    ) -> Result<IssuedToken, EmulatorError> {
        let now = self.clock().now();
        self.counters.counts().tokens_issued.add_one();
        let again = self.handed_out.again(id, resource, now);
        if let Some(token) = again.filter(|_| !self.options.fresh) {
            self.counters.counts().tokens_repeated.add_one();
            return Ok(token);
        }
        let issued = sign()?;
        let until = match self.options.refresh_in {
            Some(refresh) => i64::try_from(refresh.as_secs()).unwrap_or(i64::MAX),
            None => issued.expires_in / 2,
        };
        let period = (now, now.saturating_add(until));
        self.handed_out.keep((id, resource), &issued, period);
        tracing::debug!(identity = name, resource, "issued a token");
        Ok(issued)
    }

    /// Tells in the answer when the token ends, in the platform's form or the one chosen for it.
    fn write_expiry(&self, platform: Platform, token: &IssuedToken, body: &mut Value) {
        let form = self.platforms.form_of_expiry(platform);
        if let Some(value) = form.write(token.expires_on) {
            body["expires_on"] = value;
        }
    }

    /// Seconds after which the answer tells clients to ask again.
    pub(super) fn refresh_in(&self) -> Option<u64> {
        self.options.refresh_in.map(|refresh| refresh.as_secs())
    }

    /// Has every token refused that was issued so far, and no longer hands them out.
    pub(super) fn revoke_tokens(&self) -> Result<(), EmulatorError> {
        self.issuer.key.change_id()?;
        self.handed_out.forget();
        Ok(())
    }

    /// A place for a request at IMDS, if there is one.
    fn admit(&self) -> Result<Option<OwnedSemaphorePermit>, TooMany> {
        if !self.options.imds_limits {
            return Ok(None);
        }
        self.limits.admit(self.clock()).map(Some).ok_or(TooMany)
    }

    pub(super) fn knows_resource(&self, resource: &str) -> bool {
        let asked = without_slash(resource);
        self.resources
            .iter()
            .any(|known| known.eq_ignore_ascii_case(asked))
    }
}

/// IMDS has more to do than it takes on.
struct TooMany;

/// Lifetime of managed-identity tokens in Azure.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

fn new_header() -> Secret {
    Secret::new(Uuid::new_v4().simple().to_string().to_uppercase())
}

/// Whether the request proves itself by this header.
fn is_secret(headers: &HeaderMap, name: &str, secret: &Secret) -> bool {
    let given = headers.get(name).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| Secret::new(given) == *secret)
}

/// Whether the request carries `Metadata: true`.
fn metadata_is_asked_for(headers: &HeaderMap) -> bool {
    let value = headers.get("metadata").map(HeaderValue::as_bytes);
    value.is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
}

fn without_slash(resource: &str) -> &str {
    resource.strip_suffix('/').unwrap_or(resource)
}
