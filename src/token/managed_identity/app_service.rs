//! App Service, Functions and Container Apps, and those who use their variables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::super::error::FetchError;
use super::super::http::Transport;
use super::super::retry::RetryPolicy;
use super::super::{AccessToken, Environment, Resource};
use super::Endpoint;
use super::selector::{Names, Selector};
use super::variable::{Protocol, Variable};
use crate::target::IdentityPlatform;

/// The endpoint of App Service, unless it turns out to be that of a Windows
/// container group, which has the same variables and no other sign.
#[derive(Debug)]
pub(super) struct AppService {
    app: Variable,
    group: Variable,
    is_group: AtomicBool,
}

impl AppService {
    pub(super) fn new(env: &Environment, http: Arc<dyn Transport>) -> Result<Self, FetchError> {
        Ok(Self {
            app: Variable::new(&APP_SERVICE, env, Arc::clone(&http))?,
            group: Variable::new(&CONTAINER_INSTANCES_WINDOWS, env, http)?,
            is_group: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl Endpoint for AppService {
    fn names(&self) -> &Names {
        self.app.names()
    }

    fn address(&self) -> String {
        self.app.address()
    }

    async fn fetch(
        &self,
        selector: &Selector,
        resource: &Resource,
    ) -> Result<AccessToken, FetchError> {
        if self.is_group.load(Ordering::Relaxed) {
            return self.group.fetch(selector, resource).await;
        }
        match self.app.fetch(selector, resource).await {
            Err(error) if is_container_group(&error) => {
                let token = self.group.fetch(selector, resource).await?;
                tracing::info!("the identity endpoint is that of a Windows container group");
                self.is_group.store(true, Ordering::Relaxed);
                Ok(token)
            }
            other => other,
        }
    }
}

/// What a Windows container group answers to a request of App Service's form: it
/// knows neither the id's name nor that of the secret header.
fn is_container_group(error: &FetchError) -> bool {
    match error {
        FetchError::IdentityNotFound { reply, .. } | FetchError::Refused { reply, .. } => {
            matches!(
                (reply.status, reply.code.as_deref()),
                (404, Some("DefaultIdentityNotDefined"))
                    | (400 | 401, Some("SecretHeaderNotFound"))
            )
        }
        _ => false,
    }
}

/// App Service, Functions and Container Apps since 2019.
pub(super) const APP_SERVICE: Protocol = Protocol {
    platform: IdentityPlatform::AppService,
    address: "IDENTITY_ENDPOINT",
    proof: Some(("x-identity-header", "IDENTITY_HEADER")),
    version: Some("2019-08-01"),
    // Automation looks like App Service and wants it; here it does no harm.
    metadata: true,
    form: false,
    https_only: false,
    // Unlike at IMDS, the resource id's name is `mi_res_id`.
    names: Names {
        client_id: Some("client_id"),
        object_id: Some("principal_id"),
        resource_id: Some("mi_res_id"),
        instead: "",
    },
    default_client: None,
    policy: &RetryPolicy::APP_SERVICE,
    advice: "an app in Container Apps may have it withheld by identitySettings",
};

/// Azure Automation, whose variables are those of App Service.
pub(super) const AUTOMATION: Protocol = Protocol {
    platform: IdentityPlatform::Automation,
    advice: "on a hybrid worker no id can be named once the Automation account has an identity \
             of its own",
    ..APP_SERVICE
};

/// Container groups with Windows. What the reply holds, and whether an
/// `api-version` would be accepted, is documented nowhere.
pub(super) const CONTAINER_INSTANCES_WINDOWS: Protocol = Protocol {
    platform: IdentityPlatform::ContainerInstancesWindows,
    proof: Some(("secret", "IDENTITY_HEADER")),
    version: None,
    metadata: false,
    names: Names {
        client_id: None,
        object_id: Some("principalId"),
        resource_id: None,
        instead: "give the identity's object id",
    },
    advice: "a group in a virtual network has no managed identity",
    ..APP_SERVICE
};

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Answer, ScriptedHttp};
    use super::*;

    const SECRET: &str = "MARKER-header";

    const ENDPOINT: &str = "http://localhost:42356/msi/token?app=1";

    const GROUP: &str = r#"{"error":{"code":"DefaultIdentityNotDefined","message":"m"}}"#;

    const NO_SECRET: &str = r#"{"error":{"code":"SecretHeaderNotFound","message":"m"}}"#;

    fn app(script: Vec<Answer>) -> (AppService, Arc<ScriptedHttp>) {
        let http = Arc::new(ScriptedHttp::new(script));
        let env =
            Environment::from_pairs([("IDENTITY_ENDPOINT", ENDPOINT), ("IDENTITY_HEADER", SECRET)]);
        let app = AppService::new(&env, Arc::clone(&http) as Arc<dyn Transport>).unwrap();
        (app, http)
    }

    fn resource() -> Resource {
        Resource::new("https://database.windows.net/")
    }

    async fn fetch(script: Vec<Answer>, selector: &Selector) -> Result<AccessToken, FetchError> {
        app(script).0.fetch(selector, &resource()).await
    }

    fn asked(http: &ScriptedHttp) -> Vec<(String, Vec<(&'static str, String)>)> {
        let one = |request: &super::super::super::http::HttpRequest| {
            let headers = request.headers.iter();
            let headers = headers.map(|(name, value)| (*name, value.expose().to_owned()));
            (request.url.to_string(), headers.collect())
        };
        http.seen()
            .iter()
            .map(|(_, request)| one(request))
            .collect()
    }

    #[tokio::test]
    async fn the_request_is_exact() {
        for (selector, tail) in [
            (Selector::Unnamed, ""),
            (Selector::ClientId("c".into()), "&client_id=c"),
            (Selector::ObjectId("o".into()), "&principal_id=o"),
            (Selector::ResourceId("/r".into()), "&mi_res_id=%2Fr"),
        ] {
            let (source, http) = app(vec![Answer::token("t", 3600)]);
            source.fetch(&selector, &resource()).await.unwrap();
            let url = format!(
                "{ENDPOINT}&api-version=2019-08-01&resource=https%3A%2F%2Fdatabase.windows.net%2F{tail}"
            );
            let headers = vec![
                ("x-identity-header", SECRET.to_owned()),
                ("metadata", "true".to_owned()),
            ];
            assert_eq!(asked(&http), [(url, headers)]);
            assert!(!format!("{source:?} {:?}", http.seen()).contains("MARKER"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_vague_500_is_tried_three_times_more_and_names_the_identity() {
        let body = r#"{"statusCode":500,"message":"An unexpected error","correlationId":"x"}"#;
        let selector = Selector::ClientId("the-id".into());
        let error = fetch(vec![Answer::json(500, body); 4], &selector)
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::GaveUp { tries: 4, .. }),
            "{error:?}"
        );
        let last = error.last().to_string();
        assert!(
            last.contains("the-id") && last.contains("An unexpected error"),
            "{last}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn other_errors_are_named_at_once() {
        let body = r#"{"statusCode":400,"message":"No MSI found for specified ClientId"}"#;
        let selector = Selector::ClientId("the-id".into());
        for (status, word) in [
            (400, "the-id"),
            (404, "the-id"),
            (401, "IDENTITY_HEADER"),
            (403, "IDENTITY_HEADER"),
        ] {
            let error = fetch(vec![Answer::json(status, body)], &selector)
                .await
                .unwrap_err();
            let not_there = matches!(error, FetchError::IdentityNotFound { .. });
            assert_eq!(not_there, matches!(status, 400 | 404), "{error:?}");
            assert!(
                error.to_string().contains(word) && !error.is_transient(),
                "{error}"
            );
        }
        let unknown = r#"{"statusCode":400,"message":"AADSTS500011: no such resource"}"#;
        let error = fetch(vec![Answer::json(400, unknown)], &selector).await;
        assert!(
            matches!(error, Err(FetchError::Refused { .. })),
            "{error:?}"
        );
        let error = fetch(vec![Answer::json(404, "nginx")], &selector)
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::NotATokenEndpoint { .. }),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_windows_container_group_is_recognised_by_its_refusal_and_remembered() {
        let object = Selector::ObjectId("o".into());
        for (selector, tail, status, body) in [
            (Selector::Unnamed, "", 404, GROUP),
            (object.clone(), "&principalId=o", 404, GROUP),
            (Selector::Unnamed, "", 401, NO_SECRET),
            (object, "&principalId=o", 400, NO_SECRET),
        ] {
            let (source, http) = app(vec![
                Answer::json(status, body),
                Answer::token("t", 60),
                Answer::token("u", 60),
            ]);
            source.fetch(&selector, &resource()).await.unwrap();
            source.fetch(&selector, &resource()).await.unwrap();
            let url = format!("{ENDPOINT}&resource=https%3A%2F%2Fdatabase.windows.net%2F{tail}");
            let expected = (url, vec![("secret", SECRET.to_owned())]);
            assert_eq!(asked(&http)[1..], [expected.clone(), expected]);
        }
    }

    #[tokio::test]
    async fn there_an_id_of_another_kind_is_refused_and_a_second_404_is_final() {
        let client = Selector::ClientId("c".into());
        let error = fetch(vec![Answer::json(404, GROUP)], &client)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("object id"), "{error}");
        let object = Selector::ObjectId("o".into());
        let error = fetch(vec![Answer::json(404, GROUP); 2], &object)
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::IdentityNotFound { .. }),
            "{error:?}"
        );
        // A 404 of App Service itself leads nowhere else.
        let other = r#"{"error":{"code":"Other","message":"m"}}"#;
        let (source, http) = app(vec![Answer::json(404, other)]);
        assert!(source.fetch(&object, &resource()).await.is_err());
        assert_eq!(http.seen().len(), 1);
    }

    #[tokio::test]
    async fn the_secret_header_is_read_anew_and_its_loss_is_named() {
        let env =
            Environment::from_pairs([("IDENTITY_ENDPOINT", "http://h/"), ("IDENTITY_HEADER", "")]);
        let app = AppService::new(&env, Arc::new(ScriptedHttp::new([]))).unwrap();
        let error = app
            .fetch(&Selector::Unnamed, &resource())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("IDENTITY_HEADER"), "{error}");
    }
}
