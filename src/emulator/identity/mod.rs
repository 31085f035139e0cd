//! Entra and the identity endpoints of the platforms, over HTTP on loopback.
//!
//! Endpoints answer as the real ones do, in errors and oddities too: clients are developed against
//! the happy path and break on the others.

mod app_service;
mod discovery;
mod imds;
mod keys;
mod managed_identity;
mod query;
mod server;
mod tokens;

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

pub(super) use keys::SigningKey;
pub(super) use managed_identity::stable_id;
pub use managed_identity::{Assignment, ManagedIdentity};
pub(super) use server::IdentityServer;
pub use tokens::IssuedToken;
pub(super) use tokens::Issuer;

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
        }
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

    fn issue(
        &self,
        identity: &ManagedIdentity,
        resource: &str,
    ) -> Result<IssuedToken, EmulatorError> {
        let issued = self.sign_for(identity, resource)?;
        self.counters.counts().tokens_issued.add_one();
        tracing::debug!(identity = identity.name, resource, "issued a token");
        Ok(issued)
    }

    fn knows_resource(&self, resource: &str) -> bool {
        let asked = without_slash(resource);
        self.resources
            .iter()
            .any(|known| known.eq_ignore_ascii_case(asked))
    }
}

/// Lifetime of managed-identity tokens in Azure.
pub(super) const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

fn new_header() -> Secret {
    Secret::new(Uuid::new_v4().simple().to_string().to_uppercase())
}

fn without_slash(resource: &str) -> &str {
    resource.strip_suffix('/').unwrap_or(resource)
}
