//! App Service, Functions and Container Apps: an endpoint named by variables.

use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use super::super::error::{FetchError, Reply};
use super::super::http::{HttpReply, HttpRequest, Transport, endpoint_name, with_query};
use super::super::reply::{TokenReply, not_a_token_endpoint};
use super::super::retry::{self, RetryPolicy};
use super::super::{AccessToken, Environment, Resource};
use super::selector::{Names, Selector};

/// Asks `GET $IDENTITY_ENDPOINT` with the secret of `$IDENTITY_HEADER`.
///
/// Both are read for each try, as the platform changes the secret.
#[derive(Debug)]
pub(super) struct AppService {
    env: Environment,
    http: Arc<dyn Transport>,
}

impl AppService {
    /// Fails now rather than at the first login if the address is unusable.
    pub(super) fn new(env: &Environment, http: Arc<dyn Transport>) -> Result<Self, FetchError> {
        let source = Self {
            env: env.clone(),
            http,
        };
        source.url()?;
        Ok(source)
    }

    pub(super) fn endpoint(&self) -> String {
        self.url()
            .map(|url| endpoint_name(&url))
            .unwrap_or_default()
    }

    /// Gets a token.
    pub(super) async fn fetch(
        &self,
        selector: &Selector,
        resource: &Resource,
    ) -> Result<AccessToken, FetchError> {
        let reply = retry::send(
            &*self.http,
            &RetryPolicy::APP_SERVICE,
            || self.request(selector, resource),
            |reply| judge(reply, selector),
        )
        .await?;
        let reply = TokenReply::read(&reply, SystemTime::now())?;
        selector.check(&reply)?;
        Ok(reply.token)
    }

    fn request(&self, selector: &Selector, resource: &Resource) -> Result<HttpRequest, FetchError> {
        let secret = self
            .env
            .var(HEADER)
            .ok_or(FetchError::MissingVariable { variable: HEADER })?;
        let mut query = vec![
            ("api-version", API_VERSION),
            ("resource", resource.as_str()),
        ];
        query.extend(selector.parameter(&NAMES));
        Ok(HttpRequest::get(with_query(self.url()?, &query))
            .header("x-identity-header", secret)
            // Automation looks like App Service and wants this one as well.
            .header("metadata", "true"))
    }

    fn url(&self) -> Result<Url, FetchError> {
        let missing = FetchError::MissingVariable { variable: ENDPOINT };
        let text = self.env.var(ENDPOINT).ok_or(missing)?;
        let invalid = |problem| FetchError::InvalidEndpoint {
            variable: ENDPOINT,
            problem,
        };
        let url = Url::parse(&text).map_err(|_| invalid("it cannot be parsed"))?;
        match url.scheme() {
            "http" | "https" => Ok(url),
            _ => Err(invalid("it must begin with http:// or https://")),
        }
    }
}

fn judge(reply: &HttpReply, selector: &Selector) -> FetchError {
    let said = Reply::of(reply);
    let assigned = || format!("check that {selector} is assigned to this app");
    match reply.status {
        429 => FetchError::Throttled {
            reply: said,
            retry_after: reply.retry_after,
        },
        // The endpoint also says 500 when it does not know the identity.
        500 => FetchError::Unavailable {
            reply: said,
            advice: assigned(),
        },
        408 | 501..=599 => FetchError::Unavailable {
            reply: said,
            advice: "try again later".to_owned(),
        },
        _ if Reply::read(reply).is_none() => not_a_token_endpoint(reply),
        401 | 403 => FetchError::Refused {
            reply: said,
            advice: format!("the endpoint did not accept the value of {HEADER}"),
        },
        404 if said.code.as_deref() == Some("DefaultIdentityNotDefined") => FetchError::Refused {
            reply: said,
            advice:
                "this seems to be a Windows container group, whose endpoint is not supported yet"
                    .to_owned(),
        },
        _ => FetchError::Refused {
            reply: said,
            advice: assigned(),
        },
    }
}

/// The variable with the endpoint's address.
pub(super) const ENDPOINT: &str = "IDENTITY_ENDPOINT";

/// The variable with the secret that the endpoint wants to see.
pub(super) const HEADER: &str = "IDENTITY_HEADER";

const API_VERSION: &str = "2019-08-01";

/// Unlike at IMDS, the resource id's name is `mi_res_id`.
const NAMES: Names = Names {
    client_id: "client_id",
    object_id: "principal_id",
    resource_id: "mi_res_id",
};

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Answer, ScriptedHttp};
    use super::*;

    const SECRET: &str = "MARKER-header";

    fn env(endpoint: &str) -> Environment {
        Environment::from_pairs([(ENDPOINT, endpoint), (HEADER, SECRET)])
    }

    fn resource() -> Resource {
        Resource::new("https://database.windows.net/")
    }

    async fn fetch(script: Vec<Answer>, selector: &Selector) -> Result<AccessToken, FetchError> {
        let http = Arc::new(ScriptedHttp::new(script));
        let source = AppService::new(&env("http://localhost:42356/msi/token"), http).unwrap();
        source.fetch(selector, &resource()).await
    }

    #[tokio::test]
    async fn the_request_is_exact() {
        for (selector, tail) in [
            (Selector::Unnamed, ""),
            (Selector::ClientId("c".into()), "&client_id=c"),
            (Selector::ObjectId("o".into()), "&principal_id=o"),
            (Selector::ResourceId("/r".into()), "&mi_res_id=%2Fr"),
        ] {
            let http = Arc::new(ScriptedHttp::new([Answer::token("t", 3600)]));
            let env = env("http://localhost:42356/msi/token?app=1");
            let source = AppService::new(&env, Arc::clone(&http) as Arc<dyn Transport>).unwrap();
            source.fetch(&selector, &resource()).await.unwrap();
            let (_, request) = &http.seen()[0];
            assert_eq!(
                request.url.as_str(),
                format!(
                    "http://localhost:42356/msi/token?app=1&api-version=2019-08-01\
                     &resource=https%3A%2F%2Fdatabase.windows.net%2F{tail}"
                )
            );
            let headers: Vec<_> = request
                .headers
                .iter()
                .map(|(name, value)| (*name, value.expose()))
                .collect();
            assert_eq!(
                headers,
                [("x-identity-header", SECRET), ("metadata", "true")]
            );
            assert!(!format!("{source:?} {request:?}").contains("MARKER"));
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
            (401, HEADER),
            (403, HEADER),
        ] {
            let error = fetch(vec![Answer::json(status, body)], &selector)
                .await
                .unwrap_err();
            assert!(
                matches!(error, FetchError::Refused { .. }),
                "{status}: {error:?}"
            );
            assert!(
                error.to_string().contains(word) && !error.is_transient(),
                "{error}"
            );
        }
        let error = fetch(vec![Answer::json(404, "nginx")], &selector)
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::NotATokenEndpoint { .. }),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn unusable_addresses_are_named_by_their_variable() {
        for bad in ["nonsense", "ftp://h/", "localhost:42356"] {
            let error = AppService::new(&env(bad), Arc::new(ScriptedHttp::new([]))).unwrap_err();
            assert!(error.to_string().contains(ENDPOINT), "{error}");
        }
    }
}
