//! The OIDC tokens that Azure DevOps issues for a service connection.
//!
//! The request is that of Microsoft's `AzurePipelinesCredential`: a POST without
//! a body, with a header without which an ended job token is answered by a
//! redirect to a sign-in page.

use std::fmt::Write as _;

use async_trait::async_trait;

use super::super::Sources;
use super::super::entra::mark_of;
use super::super::error::FetchError;
use super::super::http::{HttpReply, HttpRequest, with_query};
use super::super::retry::{self, RetryPolicy};
use super::issuer::{judge, reach, text_at};
use super::origin::Origin;
use super::{AssertionError, AssertionSource, Exchange};
use crate::secret::Secret;

/// Asks for a fresh token for each exchange.
#[derive(Debug)]
pub(super) struct AzurePipelines {
    sources: Sources,
    connection: String,
    /// `None` is read from the environment for each exchange.
    token: Option<Secret>,
    origin: Origin,
}

impl AzurePipelines {
    pub(super) fn new(
        sources: &Sources,
        connection: Option<&str>,
        token: Option<&Secret>,
    ) -> Result<Self, FetchError> {
        let origin = Origin::new("Azure Pipelines", RENEW, CHECK);
        let connection = connection
            .map(str::to_owned)
            .or_else(|| sources.env.var(CONNECTION));
        let connection = connection.ok_or_else(|| {
            origin.failed(AssertionError::MissingVariables {
                variables: format!("no service connection is named, and {CONNECTION} is"),
                advice: "name the service connection by its resource id (its page's resourceId), \
                         or run in an AzureCLI@2 or AzurePowerShell@5 task",
            })
        })?;
        let source = Self {
            sources: sources.clone(),
            connection,
            token: token.cloned(),
            origin,
        };
        source.endpoint()?;
        Ok(source)
    }

    fn endpoint(&self) -> Result<(String, Secret), FetchError> {
        let missing = |variable: &str, advice| {
            let variables = format!("{variable} is");
            self.origin
                .failed(AssertionError::MissingVariables { variables, advice })
        };
        let env = &self.sources.env;
        let address = env.var(URL).ok_or_else(|| missing(URL, NO_JOB))?;
        let given = self.token.clone();
        let token = given.or_else(|| env.var(TOKEN).map(Secret::new));
        Ok((address, token.ok_or_else(|| missing(TOKEN, UNMAPPED))?))
    }
}

#[async_trait]
impl AssertionSource for AzurePipelines {
    async fn assertion(&self, _: &Exchange<'_>) -> Result<Secret, FetchError> {
        let (address, token) = self.endpoint()?;
        let invalid = |problem| FetchError::InvalidEndpoint {
            variable: URL,
            problem,
        };
        let reached = reach(&self.sources, &address);
        let (url, transport) =
            reached.map_err(|problem| self.origin.not_given(invalid(problem)))?;
        let url = with_query(
            url,
            &[
                ("api-version", "7.1"),
                ("serviceConnectionId", &self.connection),
            ],
        );
        let bearer = Secret::new(format!("Bearer {}", token.expose()));
        let reply = retry::send(
            &*transport,
            &RetryPolicy::ISSUER,
            || {
                Ok(HttpRequest::post(url.clone(), None)
                    .header("accept", "application/json")
                    .header("authorization", bearer.clone())
                    .header("content-length", "0")
                    .header("content-type", "application/json")
                    .header("x-tfs-fedauthredirect", "Suppress"))
            },
            refusal,
        );
        let reply = reply.await.map_err(|error| self.origin.not_given(error))?;
        let token = text_at(&reply, "/oidcToken", "oidcToken");
        self.origin
            .accept(&token.map_err(|error| self.origin.not_given(error))?)
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }

    fn mark(&self) -> String {
        let token = self.token.as_ref().map_or("", Secret::expose);
        mark_of([self.origin.name(), &*self.connection, token])
    }
}

fn refusal(reply: &HttpReply) -> FetchError {
    let advice = match reply.status {
        // 203 is what a sign-in page comes with; a redirect leads to it.
        203 | 300..=399 | 401 => SIGN_IN,
        403 | 404 => UNKNOWN,
        _ => "check the service connection",
    };
    let ids = ids(reply);
    match reply.status {
        203 => FetchError::Refused {
            reply: super::super::error::Reply {
                status: 203,
                ..Default::default()
            },
            advice: format!("{advice}{ids}"),
        },
        _ => judge(reply, advice, &ids),
    }
}

/// By these Azure DevOps finds the request in its logs.
fn ids(reply: &HttpReply) -> String {
    let mut text = String::new();
    for name in ["x-vss-e2eid", "x-msedge-ref"] {
        if let Some(value) = reply.header(name) {
            let value = reply.without_proofs(value);
            let value: String = value.chars().take(MAX_ID).collect();
            // Writing to a string cannot fail.
            let _ = write!(text, "; {name}: {value}");
        }
    }
    text
}

pub(super) const URL: &str = "SYSTEM_OIDCREQUESTURI";

pub(super) const TOKEN: &str = "SYSTEM_ACCESSTOKEN";

/// What the tasks AzureCLI@2 and AzurePowerShell@5 tell of their service connection.
pub(super) const CONNECTION: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";

pub(super) const CLIENT_ID: &str = "AZURESUBSCRIPTION_CLIENT_ID";

pub(super) const TENANT_ID: &str = "AZURESUBSCRIPTION_TENANT_ID";

const NO_JOB: &str = "Azure DevOps sets it in each job; this is none";

const UNMAPPED: &str = "Azure DevOps gives a step the job's token only if it is mapped: add \
                        `env: { SYSTEM_ACCESSTOKEN: $(System.AccessToken) }` to the step";

const SIGN_IN: &str = "check the variable: Azure DevOps wants a sign-in, so SYSTEM_ACCESSTOKEN is not, or no longer, \
                       the token of this job; it ends with the job";

const UNKNOWN: &str = "check the service connection's id, that it uses workload identity \
                       federation, and that this pipeline is authorized to use it";

const RENEW: &str = "it was issued this moment, so set this machine's clock right";

const CHECK: &str = "check that SYSTEM_OIDCREQUESTURI is the agent's own";

const MAX_ID: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::super::http::Method;
    use super::super::super::testing::Answer;
    use super::super::testing::{
        ask, jwt, sources, tells_bad_answers_apart, tells_failures_apart, told,
    };
    use super::*;

    const JOB: &[(&str, &str)] = &[
        (
            URL,
            "https://dev.azure.com/org/p/_apis/distributedtask/oidctoken",
        ),
        (TOKEN, "MARKER"),
        (CONNECTION, "from-task"),
    ];

    fn source(script: Vec<Answer>) -> AzurePipelines {
        AzurePipelines::new(&sources(JOB, script).0, Some("connection"), None).unwrap()
    }

    #[tokio::test]
    async fn the_request_is_exact() {
        let token = jwt(60, "s");
        let answer = Answer::json(200, format!(r#"{{"oidcToken":"{token}"}}"#));
        let (sources, http) = sources(JOB, vec![answer.clone(), answer]);
        let source = AzurePipelines::new(&sources, Some("con nection"), None).unwrap();
        assert_eq!(ask(&source).await.unwrap().expose(), token);
        let given = Secret::new("MARKER of the setting");
        let named = AzurePipelines::new(&sources, None, Some(&given)).unwrap();
        ask(&named).await.unwrap();
        let seen = http.seen();
        let (_, request) = &seen[0];
        assert_eq!(request.method, Method::Post);
        assert_eq!(
            request.url.as_str(),
            "https://dev.azure.com/org/p/_apis/distributedtask/oidctoken?api-version=7.1\
             &serviceConnectionId=con%20nection"
        );
        assert!(request.body.is_none());
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|(n, v)| (*n, v.expose()))
            .collect();
        assert_eq!(
            headers,
            [
                ("accept", "application/json"),
                ("authorization", "Bearer MARKER"),
                ("content-length", "0"),
                ("content-type", "application/json"),
                ("x-tfs-fedauthredirect", "Suppress"),
            ]
        );
        let (_, request) = &seen[1];
        assert!(
            request
                .url
                .as_str()
                .ends_with("serviceConnectionId=from-task")
        );
        assert_eq!(
            request.headers[1].1.expose(),
            "Bearer MARKER of the setting"
        );
        assert!(!format!("{named:?} {source:?} {request:?}").contains("MARKER"));
    }

    #[tokio::test(start_paused = true)]
    async fn bad_answers_are_told_apart() {
        tells_bad_answers_apart("oidcToken", source).await;
        tells_failures_apart("oidcToken", source).await;
    }

    #[tokio::test]
    async fn a_sign_in_page_is_recognised_and_the_requests_ids_are_quoted() {
        for status in [203, 302, 401] {
            let answer = Answer::json(status, "<html>Sign in MARKER</html>")
                .with_header("location", "https://login.example/MARKER")
                .with_header("x-vss-e2eid", "e2e-id")
                .with_header("x-msedge-ref", "edge-ref");
            let error = ask(&source(vec![answer])).await.unwrap_err();
            let text = told(&error);
            assert!(
                text.contains("the token of this job; it ends with the job"),
                "{text}"
            );
            assert!(
                text.contains("x-vss-e2eid: e2e-id; x-msedge-ref: edge-ref"),
                "{text}"
            );
            assert!(!error.is_transient() && !format!("{error:?}").contains("MARKER"));
        }
        for status in [403, 404] {
            let answer = Answer::json(status, r#"{"message":"no such connection"}"#);
            let text = told(&ask(&source(vec![answer])).await.unwrap_err());
            assert!(text.contains("no such connection"), "{text}");
            assert!(
                text.contains("this pipeline is authorized to use it"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_told_with_the_line_to_add() {
        let error = |pairs: &[(&str, &str)]| {
            told(&AzurePipelines::new(&sources(pairs, vec![]).0, Some("c"), None).unwrap_err())
        };
        assert!(error(&[]).contains("SYSTEM_OIDCREQUESTURI is not set; Azure DevOps sets it"));
        let text = error(&JOB[..1]);
        assert!(
            text.contains("SYSTEM_ACCESSTOKEN: $(System.AccessToken)"),
            "{text}"
        );
        let unnamed = AzurePipelines::new(&sources(&JOB[..2], vec![]).0, None, None);
        let text = told(&unnamed.unwrap_err());
        assert!(
            text.contains("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID is not set"),
            "{text}"
        );
    }
}
