//! The identity of the machine or service that this process runs on.

mod app_service;
mod arc;
mod arc_key;
mod error;
mod imds;
mod msi;
mod platform;
mod retries;
mod selector;
mod service_fabric;
mod variable;

use std::fmt;
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use app_service::{AppService, CONTAINER_INSTANCES_WINDOWS};
use arc::ArcAgent;
use imds::Imds;
use msi::{APP_SERVICE_2017, CLOUD_SHELL, MACHINE_LEARNING};
use selector::{Names, Selector};
use service_fabric::{PinnedHttp, SERVICE_FABRIC};
use variable::Variable;

pub use error::PlatformError;
pub(in crate::token) use imds::AUTHORITY_HOST;

use super::error::{FetchError, NoIdentity};
use super::{AccessToken, Environment, Resource, SourceKey, Sources, TokenError, TokenSource};
use crate::target::{Identity, IdentityPlatform};

/// Asks the platform's identity endpoint for tokens of a managed identity.
///
/// The platform is recognised once, when the source is made, in the order of
/// Microsoft's libraries, unless it is named
/// ([`Auth::ManagedIdentityOn`](crate::target::Auth::ManagedIdentityOn)); the
/// variables with the endpoint's secret are read for each request. On a virtual
/// machine nothing marks the platform, so the instance metadata service is what
/// remains when no other platform shows itself.
///
/// An id that the platform cannot be asked by is an error when the source is
/// made, and a token for another identity than the one named is thrown away.
///
/// [`Identity::ClientOrObjectId`] is taken for a client id first on App Service
/// and its kin, and for an object id first elsewhere, as Microsoft's ODBC driver
/// does; if there is no such identity, the other reading is tried. What matched
/// is remembered.
#[derive(Debug)]
pub struct ManagedIdentity {
    identity: Identity,
    platform: IdentityPlatform,
    chosen_by: &'static str,
    endpoint: Box<dyn Endpoint>,
    /// Tells the environment apart that the variables are read from: one of them
    /// may name the identity.
    surroundings: String,
    /// How the identity can be named, the likeliest first.
    candidates: Vec<Selector>,
    /// Which of several candidates it was.
    matched: OnceLock<Selector>,
    warned: Once,
}

impl ManagedIdentity {
    /// A source for an identity on the platform that `env` shows.
    ///
    /// # Errors
    /// [`TokenError::Setup`]: with [`PlatformError::UnsupportedSelector`] if the
    /// platform cannot be asked for an identity by such an id, and with
    /// [`FetchError::InvalidEndpoint`] and its like if a variable is unusable.
    pub fn new(identity: Identity, env: &Environment) -> Result<Self, TokenError> {
        Self::from_sources(identity, None, &Sources::new(env.clone()))
    }

    /// A source on a platform that is named, else recognised.
    pub(super) fn from_sources(
        identity: Identity,
        platform: Option<IdentityPlatform>,
        sources: &Sources,
    ) -> Result<Self, TokenError> {
        let (platform, chosen_by) = match platform {
            Some(named) => (named, "the platform was named"),
            None => platform::detect(&sources.env),
        };
        tracing::debug!(
            platform = platform.name(),
            chosen_by,
            "chose the managed-identity endpoint"
        );
        let setup = |reason| TokenError::Setup {
            origin: SourceKey::new(platform.name()).with_reason(chosen_by),
            reason: Arc::new(reason),
        };
        let endpoint = endpoint(platform, sources).map_err(setup)?;
        let candidates = Selector::candidates(&identity, platform, endpoint.names());
        Ok(Self {
            candidates: candidates.map_err(setup)?,
            identity,
            platform,
            chosen_by,
            endpoint,
            surroundings: sources.env.mark(),
            matched: OnceLock::new(),
            warned: Once::new(),
        })
    }

    /// Tells quickly whether there is an endpoint at all, for chains.
    pub(super) async fn probe(&self) -> Result<(), FetchError> {
        self.endpoint.probe().await
    }

    async fn fetch(&self, resource: &Resource) -> Result<AccessToken, FetchError> {
        let known = self.matched.get().or(match self.candidates.as_slice() {
            [only] => Some(only),
            _ => None,
        });
        let Some(selector) = known else {
            return self.search(resource).await;
        };
        match self.endpoint.fetch(selector, resource).await {
            Ok(token) => {
                self.warn_if_unnamed(selector, &token);
                Ok(token)
            }
            Err(error @ FetchError::IdentityNotFound { .. }) => {
                Err(self.explain(selector, resource, error).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Finds out which kind of id was meant.
    async fn search(&self, resource: &Resource) -> Result<AccessToken, FetchError> {
        let mut refusal = None;
        for selector in &self.candidates {
            match self.endpoint.fetch(selector, resource).await {
                Ok(token) => {
                    tracing::info!(%selector, "found the managed identity");
                    // Another fetch may have been first; it found the same.
                    let _ = self.matched.set(selector.clone());
                    return Ok(token);
                }
                Err(FetchError::IdentityNotFound { reply, .. }) => refusal = Some(reply),
                // A platform that turned out to be another one.
                Err(FetchError::Platform(PlatformError::UnsupportedSelector { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Err(FetchError::IdentityNotFound {
            identity: NoIdentity::Named {
                selector: describe(&self.identity, self.platform),
                advice: "",
            },
            reply: refusal.unwrap_or_default(),
        })
    }

    /// Looks whether an id that is not there is the other kind of id of one that
    /// is: the endpoint does not say, and the two look the same. The token that
    /// shows it is thrown away.
    async fn explain(
        &self,
        selector: &Selector,
        resource: &Resource,
        error: FetchError,
    ) -> FetchError {
        let Some(other) = selector.mistaken() else {
            return error;
        };
        if uuid::Uuid::try_parse(other.id()).is_err() || !self.endpoint.names().support(&other) {
            return error;
        }
        let asked = timeout(EXPLAIN_LIMIT, self.endpoint.fetch(&other, resource));
        let Ok(Ok(token)) = asked.await else {
            return error;
        };
        PlatformError::WrongKindOfId {
            id: other.id().to_owned(),
            given_as: selector.kind(),
            is: other.kind(),
            client_id: token.claims().and_then(|claims| claims.client_id),
        }
        .into()
    }

    /// Says once that a machine's identities may become ambiguous.
    fn warn_if_unnamed(&self, selector: &Selector, token: &AccessToken) {
        if *selector != Selector::Unnamed || self.platform != IdentityPlatform::Imds {
            return;
        }
        let claims = token.claims().unwrap_or_default();
        let owner = claims.resource_id.unwrap_or_default().to_ascii_lowercase();
        if !owner.is_empty() && !owner.contains("/userassignedidentities/") {
            // The machine's own identity is taken however many others there are.
            return;
        }
        self.warned.call_once(|| {
            tracing::warn!(
                client_id = claims.client_id,
                "no managed identity was named: that works while this machine has a \
                 system-assigned identity or only one other, and breaks or changes when one is \
                 added; name the identity by its client id"
            );
        });
    }
}

#[async_trait]
impl TokenSource for ManagedIdentity {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let fetched = self.fetch(resource).await;
        fetched.map_err(|reason| TokenError::fetch(self.key(), resource, reason))
    }

    fn key(&self) -> SourceKey {
        SourceKey::new(self.platform.name())
            .with_identity(describe(&self.identity, self.platform))
            .with_authority(self.endpoint.address())
            .with_credential(&self.surroundings)
            .with_reason(self.chosen_by)
    }
}

/// How one platform is asked.
#[async_trait]
trait Endpoint: Send + Sync + fmt::Debug {
    /// What it calls ids, and which kinds it knows.
    fn names(&self) -> &Names;

    /// Where it is, without query and secret.
    fn address(&self) -> String;

    /// Asks for a token, retrying by the platform's rules, and refuses one for
    /// another identity.
    async fn fetch(
        &self,
        selector: &Selector,
        resource: &Resource,
    ) -> Result<AccessToken, FetchError>;

    /// Tells quickly whether it is there. Variables are proof enough.
    async fn probe(&self) -> Result<(), FetchError> {
        Ok(())
    }
}

fn endpoint(
    platform: IdentityPlatform,
    sources: &Sources,
) -> Result<Box<dyn Endpoint>, FetchError> {
    use IdentityPlatform as P;
    let (env, http) = (&sources.env, Arc::clone(&sources.local));
    let protocol = match platform {
        P::AppService => return Ok(Box::new(AppService::new(env, http)?)),
        P::Arc => {
            let keys = sources.arc_key_folder.clone();
            return Ok(Box::new(ArcAgent::new(env, keys, http)?));
        }
        P::Imds => return Ok(Box::new(Imds::new(env, http)?)),
        P::ServiceFabric => {
            let pinned = Arc::new(PinnedHttp::new(env)?);
            return Ok(Box::new(Variable::new(&SERVICE_FABRIC, env, pinned)?));
        }
        P::AppService2017 => &APP_SERVICE_2017,
        P::Automation => msi::automation(env),
        P::CloudShell => &CLOUD_SHELL,
        P::ContainerInstancesWindows => &CONTAINER_INSTANCES_WINDOWS,
        P::MachineLearning => &MACHINE_LEARNING,
    };
    Ok(Box::new(Variable::new(protocol, env, http)?))
}

fn describe(identity: &Identity, platform: IdentityPlatform) -> String {
    match (identity, platform) {
        (Identity::SystemAssigned, IdentityPlatform::CloudShell) => "signed-in user".to_owned(),
        (Identity::SystemAssigned, IdentityPlatform::ServiceFabric) => {
            "bound to the application".to_owned()
        }
        (Identity::SystemAssigned, IdentityPlatform::MachineLearning) => "default".to_owned(),
        (Identity::SystemAssigned, _) => "system-assigned".to_owned(),
        (Identity::ClientId(id), _) => format!("client id {id}"),
        (Identity::ObjectId(id), _) => format!("object id {id}"),
        (Identity::ResourceId(id), _) => format!("resource id {id}"),
        (Identity::ClientOrObjectId(id), _) => format!("client or object id {id}"),
    }
}

/// An explanation is not worth much waiting.
const EXPLAIN_LIMIT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
