//! Entra and the identity endpoints of the platforms, over HTTP on loopback.
//!
//! Endpoints answer as the real ones do, in errors and oddities too: clients are developed against
//! the happy path and break on the others.

mod app_service;
mod discovery;
mod faults;
mod handed_out;
mod imds;
mod keys;
mod limits;
mod managed_identity;
mod query;
mod server;
mod tokens;
mod watch;

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use handed_out::HandedOut;
pub(super) use keys::SigningKey;
use limits::Limits;
pub(super) use managed_identity::stable_id;
pub use managed_identity::{Assignment, ManagedIdentity};
pub(super) use server::router;
pub use tokens::IssuedToken;
pub(super) use tokens::{AppClaims, Issuer};

use super::counters::Counters;
use super::{Clock, EmulatorError};
use crate::Secret;

/// Resources that a token can be asked for unless the builder says more.
const RESOURCES: [&str; 6] = [
    "https://database.windows.net",
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
    app_service_header: RwLock<Secret>,
    counters: Counters,
    base_url: String,
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
            app_service_header: RwLock::new(new_header()),
            counters,
            base_url,
            options: TokenOptions::default(),
            handed_out: HandedOut::default(),
            limits: Limits::default(),
        }
    }

    pub(super) fn with_options(mut self, options: TokenOptions) -> Self {
        self.options = options;
        self
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

    pub(super) fn app_service_header(&self) -> Secret {
        self.app_service_header
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes a new header value; the old one is refused from now on.
    pub(super) fn rotate_app_service_header(&self) -> Secret {
        let new = new_header();
        *self
            .app_service_header
            .write()
            .unwrap_or_else(PoisonError::into_inner) = new.clone();
        new
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
        let (now, id) = (self.clock().now(), identity.object_id);
        self.counters.counts().tokens_issued.add_one();
        let again = self.handed_out.again(id, resource, now);
        if let Some(token) = again.filter(|_| !self.options.fresh) {
            self.counters.counts().tokens_repeated.add_one();
            return Ok(token);
        }
        let issued = self.sign_for(identity, resource)?;
        let until = match self.options.refresh_in {
            Some(refresh) => i64::try_from(refresh.as_secs()).unwrap_or(i64::MAX),
            None => issued.expires_in / 2,
        };
        let period = (now, now.saturating_add(until));
        self.handed_out.keep((id, resource), &issued, period);
        tracing::debug!(identity = identity.name, resource, "issued a token");
        Ok(issued)
    }

    /// Seconds after which the answer tells clients to ask again.
    fn refresh_in(&self) -> Option<u64> {
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

fn without_slash(resource: &str) -> &str {
    resource.strip_suffix('/').unwrap_or(resource)
}
