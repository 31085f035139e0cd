//! The identity of the machine or service that this process runs on.

mod app_service;
mod imds;
mod platform;
mod selector;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use app_service::AppService;
use imds::Imds;
use selector::Selector;

pub(in crate::token) use imds::AUTHORITY_HOST;

use super::error::{FetchError, NoIdentity};
use super::http::Transport;
use super::http_client::LocalHttp;
use super::{AccessToken, Environment, Resource, SourceKey, TokenError, TokenSource};
use crate::target::{Identity, IdentityPlatform};

/// Asks the platform's identity endpoint for tokens of a managed identity.
///
/// The platform is recognised once, when the source is made; the variables with
/// the endpoint's secret are read for each request. On a virtual machine nothing
/// marks the platform, so the instance metadata service is what remains when no
/// other platform shows itself.
///
/// [`Identity::ClientOrObjectId`] is a client id on App Service and its kin. On
/// a virtual machine it is tried as a client id first, then as an object id if
/// there is no such identity; what matched is remembered.
#[derive(Debug)]
pub struct ManagedIdentity {
    identity: Identity,
    endpoint: Endpoint,
    chosen_by: &'static str,
    /// How a `ClientOrObjectId` was found to be meant.
    matched: OnceLock<Selector>,
}

impl ManagedIdentity {
    /// A source for an identity on the platform that `env` shows.
    ///
    /// # Errors
    /// [`TokenError::UnsupportedPlatform`] on a platform that is recognised but
    /// not supported, and [`FetchError::InvalidEndpoint`] if a variable holds no
    /// usable address.
    pub fn new(identity: Identity, env: &Environment) -> Result<Self, TokenError> {
        Self::over(identity, env, Arc::new(LocalHttp::default()))
    }

    /// The selectors by which the identity can be meant, the likeliest first,
    /// for [`Identity::ClientOrObjectId`] after what the last success taught.
    fn selectors(&self) -> Vec<Selector> {
        if let Some(matched) = self.matched.get() {
            return vec![matched.clone()];
        }
        match &self.identity {
            Identity::SystemAssigned => vec![Selector::Unnamed],
            Identity::ClientId(id) => vec![Selector::ClientId(id.clone())],
            Identity::ObjectId(id) => vec![Selector::ObjectId(id.clone())],
            Identity::ResourceId(id) => vec![Selector::ResourceId(id.clone())],
            Identity::ClientOrObjectId(id) => {
                let mut selectors = vec![Selector::ClientId(id.clone())];
                if matches!(self.endpoint, Endpoint::Imds(_)) {
                    selectors.push(Selector::ObjectId(id.clone()));
                }
                selectors
            }
        }
    }

    /// Tells quickly whether there is an endpoint at all, for chains.
    pub(super) async fn probe(&self) -> Result<(), FetchError> {
        match &self.endpoint {
            Endpoint::Imds(imds) => imds.probe().await,
            // Its variables are proof enough.
            Endpoint::AppService(_) => Ok(()),
        }
    }

    pub(super) fn over(
        identity: Identity,
        env: &Environment,
        http: Arc<dyn Transport>,
    ) -> Result<Self, TokenError> {
        let (platform, detected_by) = platform::detect(env);
        tracing::debug!(
            platform = platform.name(),
            detected_by,
            "chose the managed-identity endpoint"
        );
        let endpoint = match platform {
            IdentityPlatform::Imds => Imds::new(env, http).map(Endpoint::Imds),
            IdentityPlatform::AppService => AppService::new(env, http).map(Endpoint::AppService),
            other => {
                return Err(TokenError::UnsupportedPlatform {
                    platform: other.name(),
                    detected_by,
                });
            }
        };
        let endpoint = endpoint.map_err(|reason| TokenError::Setup {
            origin: SourceKey::new(platform.name()),
            reason: Arc::new(reason),
        })?;
        Ok(Self {
            identity,
            endpoint,
            chosen_by: detected_by,
            matched: OnceLock::new(),
        })
    }

    async fn fetch(&self, resource: &Resource) -> Result<AccessToken, FetchError> {
        let selectors = self.selectors();
        let several = selectors.len() > 1;
        let mut refusal = None;
        for selector in selectors {
            match self.endpoint.fetch(&selector, resource).await {
                Ok(token) => {
                    if several {
                        tracing::info!(%selector, "found the managed identity");
                        // Another fetch may have been first; it found the same.
                        let _ = self.matched.set(selector);
                    }
                    return Ok(token);
                }
                Err(FetchError::IdentityNotFound { reply, .. }) if several => refusal = Some(reply),
                Err(error) => return Err(error),
            }
        }
        let identity = NoIdentity::Named(describe(&self.identity));
        Err(FetchError::IdentityNotFound {
            identity,
            reply: refusal.unwrap_or_default(),
        })
    }
}

#[async_trait]
impl TokenSource for ManagedIdentity {
    async fn token(&self, resource: &Resource) -> Result<AccessToken, TokenError> {
        let fetched = self.fetch(resource).await;
        fetched.map_err(|reason| TokenError::fetch(self.key(), resource, reason))
    }

    fn key(&self) -> SourceKey {
        let (platform, address) = match &self.endpoint {
            Endpoint::Imds(imds) => (IdentityPlatform::Imds, imds.endpoint()),
            Endpoint::AppService(app) => (IdentityPlatform::AppService, app.endpoint()),
        };
        SourceKey::new(platform.name())
            .with_identity(describe(&self.identity))
            .with_authority(address)
            .with_reason(self.chosen_by)
    }
}

#[derive(Debug)]
enum Endpoint {
    AppService(AppService),
    Imds(Imds),
}

impl Endpoint {
    async fn fetch(
        &self,
        selector: &Selector,
        resource: &Resource,
    ) -> Result<AccessToken, FetchError> {
        match self {
            Self::AppService(app) => app.fetch(selector, resource).await,
            Self::Imds(imds) => imds.fetch(selector, resource).await,
        }
    }
}

fn describe(identity: &Identity) -> String {
    match identity {
        Identity::SystemAssigned => "system-assigned".to_owned(),
        Identity::ClientId(id) => format!("client id {id}"),
        Identity::ObjectId(id) => format!("object id {id}"),
        Identity::ResourceId(id) => format!("resource id {id}"),
        Identity::ClientOrObjectId(id) => format!("client or object id {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, ScriptedHttp};
    use super::*;

    const NOT_FOUND: &str =
        r#"{"error":"invalid_request","error_description":"Identity not found"}"#;

    fn source(
        env: &Environment,
        identity: Identity,
        script: Vec<Answer>,
    ) -> (ManagedIdentity, Arc<ScriptedHttp>) {
        let http = Arc::new(ScriptedHttp::new(script));
        let source = ManagedIdentity::over(identity, env, Arc::clone(&http) as Arc<dyn Transport>);
        (source.unwrap(), http)
    }

    fn vm() -> Environment {
        Environment::from_pairs::<String, String>([])
    }

    fn app() -> Environment {
        Environment::from_pairs([("IDENTITY_ENDPOINT", "http://h/"), ("IDENTITY_HEADER", "s")])
    }

    fn queries(http: &ScriptedHttp) -> Vec<String> {
        let last = |url: &url::Url| url.query().unwrap().rsplit('&').next().unwrap().to_owned();
        http.seen()
            .iter()
            .map(|(_, request)| last(&request.url))
            .collect()
    }

    #[tokio::test]
    async fn on_a_vm_an_odbc_uid_is_a_client_id_and_else_an_object_id() {
        let script = vec![
            Answer::json(400, NOT_FOUND),
            Answer::token("t", 60),
            Answer::token("u", 60),
        ];
        let (source, http) = source(&vm(), Identity::ClientOrObjectId("id".into()), script);
        let resource = Resource::new("r");
        source.token(&resource).await.unwrap();
        source.token(&resource).await.unwrap();
        assert_eq!(
            queries(&http),
            ["client_id=id", "object_id=id", "object_id=id"]
        );
    }

    #[tokio::test]
    async fn if_neither_matches_the_error_names_the_id() {
        let script = vec![Answer::json(400, NOT_FOUND); 2];
        let (source, _) = source(&vm(), Identity::ClientOrObjectId("the-id".into()), script);
        let error = source.token(&Resource::new("r")).await.unwrap_err();
        let reason = error.reason().unwrap().to_string();
        assert!(reason.contains("client or object id the-id"), "{reason}");
    }

    #[tokio::test]
    async fn another_failure_does_not_lead_to_another_identity() {
        let script = vec![Answer::json(401, r#"{"error":"access_denied"}"#)];
        let (source, http) = source(&vm(), Identity::ClientOrObjectId("id".into()), script);
        assert!(source.token(&Resource::new("r")).await.is_err());
        assert_eq!(http.seen().len(), 1);
    }

    #[tokio::test]
    async fn on_app_service_an_odbc_uid_is_a_client_id_only() {
        let (source, http) = source(
            &app(),
            Identity::ClientOrObjectId("id".into()),
            vec![Answer::json(400, NOT_FOUND)],
        );
        assert!(source.token(&Resource::new("r")).await.is_err());
        assert_eq!(queries(&http), ["client_id=id"]);
    }

    #[test]
    fn identities_and_platforms_have_keys_of_their_own() {
        let key = |env: &Environment, identity| source(env, identity, Vec::new()).0.key();
        let keys = [
            key(&vm(), Identity::SystemAssigned),
            key(&vm(), Identity::ClientId("a".into())),
            key(&vm(), Identity::ClientId("b".into())),
            key(&vm(), Identity::ObjectId("a".into())),
            key(&vm(), Identity::ResourceId("a".into())),
            key(&vm(), Identity::ClientOrObjectId("a".into())),
            key(&app(), Identity::ClientId("a".into())),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys.iter().skip(i + 1).all(|b| a != b), "{a:?}");
        }
        assert_eq!(keys[1].to_string(), "IMDS (client id a)");
    }

    #[test]
    fn a_platform_without_support_is_never_taken_for_a_vm() {
        for (names, platform) in [
            (&["MSI_ENDPOINT"][..], "Cloud Shell"),
            (
                &["MSI_ENDPOINT", "MSI_SECRET"][..],
                "Azure Machine Learning",
            ),
            (&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"][..], "Azure Arc"),
            (
                &[
                    "IDENTITY_ENDPOINT",
                    "IDENTITY_HEADER",
                    "IDENTITY_SERVER_THUMBPRINT",
                ][..],
                "Service Fabric",
            ),
        ] {
            let env = Environment::from_pairs(names.iter().map(|name| (*name, "http://h/")));
            let error = ManagedIdentity::new(Identity::SystemAssigned, &env).unwrap_err();
            assert!(
                matches!(error, TokenError::UnsupportedPlatform { .. }),
                "{error:?}"
            );
            assert!(error.to_string().contains(platform), "{error}");
        }
    }

    #[tokio::test]
    async fn the_secret_header_is_read_anew_and_its_loss_is_named() {
        let env =
            Environment::from_pairs([("IDENTITY_ENDPOINT", "http://h/"), ("IDENTITY_HEADER", "")]);
        assert!(
            AppService::new(&env, Arc::new(ScriptedHttp::new([])))
                .unwrap()
                .fetch(&Selector::Unnamed, &Resource::new("r"))
                .await
                .is_err_and(|error| error.to_string().contains("IDENTITY_HEADER"))
        );
    }
}
