//! The OIDC endpoint of a GitHub Actions job, which Gitea and Forgejo have too.
//!
//! The job needs `permissions: id-token: write`; GitHub then gives it an address
//! and a credential for it in two variables (docs.github.com, "OpenID Connect
//! reference"; the parameter and the reply as in `oidc-utils.ts` of
//! actions/toolkit).

use async_trait::async_trait;
use url::Url;

use super::super::error::FetchError;
use super::super::http::{HttpRequest, with_query};
use super::super::retry::{self, RetryPolicy};
use super::super::{Environment, Sources};
use super::issuer::{judge, reach, text_at};
use super::origin::Origin;
use super::{AssertionError, AssertionSource, Exchange};
use crate::secret::Secret;

/// Asks for a fresh token for each exchange: they end some minutes later.
#[derive(Debug)]
pub(super) struct GitHubActions {
    sources: Sources,
    origin: Origin,
}

impl GitHubActions {
    pub(super) fn new(sources: &Sources) -> Result<Self, FetchError> {
        let source = Self {
            sources: sources.clone(),
            origin: Origin::new("GitHub Actions", RENEW, CHECK),
        };
        source.endpoint()?;
        Ok(source)
    }

    fn endpoint(&self) -> Result<(String, Secret), FetchError> {
        let env = &self.sources.env;
        match (env.var(URL), env.var(TOKEN)) {
            (Some(url), Some(token)) => Ok((url, Secret::new(token))),
            (url, token) => Err(self.origin.failed(AssertionError::MissingVariables {
                variables: match (url, token) {
                    (None, None) => format!("{URL} and {TOKEN} are"),
                    (None, _) => format!("{URL} is"),
                    _ => format!("{TOKEN} is"),
                },
                advice: match is_actions(env) {
                    true => ABSENT,
                    false => NO_JOB,
                },
            })),
        }
    }
}

#[async_trait]
impl AssertionSource for GitHubActions {
    async fn assertion(&self, exchange: &Exchange<'_>) -> Result<Secret, FetchError> {
        let (address, token) = self.endpoint()?;
        let invalid = |problem| FetchError::InvalidEndpoint {
            variable: URL,
            problem,
        };
        let reached = reach(&self.sources, &address);
        let (url, transport) =
            reached.map_err(|problem| self.origin.not_given(invalid(problem)))?;
        // The address has a query of its own.
        let url: Url = with_query(url, &[("audience", exchange.audience)]);
        let bearer = format!("Bearer {}", token.expose());
        let bearer = Secret::new(bearer);
        let reply = retry::send(
            &*transport,
            &RetryPolicy::ISSUER,
            || {
                Ok(HttpRequest::get(url.clone())
                    .header("accept", "application/json")
                    .header("authorization", bearer.clone()))
            },
            |reply| judge(reply, REFUSED, ""),
        );
        let reply = reply.await.map_err(|error| self.origin.not_given(error))?;
        let token = text_at(&reply, "/value", "value");
        self.origin
            .accept(&token.map_err(|error| self.origin.not_given(error))?)
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }
}

/// Whether this is a job at all, with or without the permission.
pub(super) fn is_actions(env: &Environment) -> bool {
    env.has("GITHUB_ACTIONS") || env.has("GITEA_ACTIONS") || env.has("FORGEJO_ACTIONS")
}

pub(super) const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";

pub(super) const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

const ABSENT: &str = "give the job `permissions: id-token: write` (a job that lists permissions \
                      loses all others, so add `contents: read` to check out); a pull request \
                      from a fork never gets it";

const NO_JOB: &str = "this is no job of GitHub Actions, Gitea or Forgejo, which set these";

const REFUSED: &str = "check the job's `permissions: id-token: write`; the permission to ask may \
                       also have ended with the step or the job";

const RENEW: &str = "it was issued this moment, so set this machine's clock right";

const CHECK: &str = "check that ACTIONS_ID_TOKEN_REQUEST_URL is the runner's own";

#[cfg(test)]
mod tests {
    use super::super::super::testing::Answer;
    use super::super::testing::{
        ask, jwt, of_issuer, sources, tells_bad_answers_apart, tells_failures_apart, told,
    };
    use super::*;

    const JOB: &[(&str, &str)] = &[
        ("GITHUB_ACTIONS", "true"),
        (URL, "https://run.example/idtoken/1?api-version=2.0"),
        (TOKEN, "MARKER"),
    ];

    fn source(script: Vec<Answer>) -> GitHubActions {
        GitHubActions::new(&sources(JOB, script).0).unwrap()
    }

    #[tokio::test]
    async fn the_request_is_exact_and_made_anew_each_time() {
        let (first, second) = (jwt(60, "first"), jwt(60, "second"));
        let answer = |token: &str| Answer::json(200, format!(r#"{{"count":1,"value":"{token}"}}"#));
        let (sources, http) = sources(JOB, vec![answer(&first), answer(&second)]);
        let source = GitHubActions::new(&sources).unwrap();
        assert_eq!(ask(&source).await.unwrap().expose(), first);
        assert_eq!(ask(&source).await.unwrap().expose(), second);
        let (_, request) = &http.seen()[0];
        assert_eq!(
            request.url.as_str(),
            "https://run.example/idtoken/1?api-version=2.0&audience=api%3A%2F%2FAzureADTokenExchange"
        );
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|(n, v)| (*n, v.expose()))
            .collect();
        let expected = [
            ("accept", "application/json"),
            ("authorization", "Bearer MARKER"),
        ];
        assert_eq!(headers, expected);
        assert!(!format!("{source:?} {request:?}").contains("MARKER"));
    }

    #[tokio::test(start_paused = true)]
    async fn bad_answers_are_told_apart() {
        tells_bad_answers_apart("value", source).await;
        tells_failures_apart("value", source).await;
    }

    #[test]
    fn a_job_without_the_permission_is_told_which() {
        let error = |pairs: &[(&str, &str)]| {
            told(&GitHubActions::new(&sources(pairs, vec![]).0).unwrap_err())
        };
        for name in ["GITHUB_ACTIONS", "GITEA_ACTIONS", "FORGEJO_ACTIONS"] {
            let text = error(&[(name, "true")]);
            assert!(text.contains("permissions: id-token: write"), "{text}");
            assert!(
                text.contains(
                    "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set"
                ),
                "{text}"
            );
        }
        assert!(error(&[]).contains("this is no job"));
        assert!(error(&[(URL, "u")]).contains("ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set"));
    }

    #[tokio::test]
    async fn the_request_token_travels_in_clear_on_this_machine_only() {
        let asked = async |url: &str| {
            let token = jwt(60, "s");
            let answer = Answer::json(200, format!(r#"{{"value":"{token}"}}"#));
            let pairs = [(URL, url), (TOKEN, "MARKER")];
            let source = GitHubActions::new(&sources(&pairs, vec![answer]).0).unwrap();
            ask(&source).await
        };
        for address in [
            "http://127.0.0.1:1/?a=b",
            "http://[::1]/",
            "http://localhost/x",
        ] {
            asked(address).await.unwrap();
        }
        for address in [
            "http://run.example/",
            "http://127.0.0.1.example/",
            "ftp://run.example/",
            "https://user:MARKER@run.example/",
            "run.example",
        ] {
            let error = asked(address).await.unwrap_err();
            let named = matches!(
                of_issuer(&error),
                FetchError::InvalidEndpoint { variable: URL, .. }
            );
            assert!(named, "{address}: {error:?}");
            told(&error);
        }
    }
}
