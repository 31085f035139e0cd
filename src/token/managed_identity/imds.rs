//! The instance metadata service of virtual machines, scale sets, AKS nodes and
//! Linux container groups.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use url::Url;

use super::super::error::{FetchError, Reply};
use super::super::http::{HttpReply, HttpRequest, Transport, endpoint_name, with_query};
use super::super::reply::{TokenReply, not_a_token_endpoint};
use super::super::retry::{self, RetryPolicy};
use super::super::{AccessToken, Environment, Resource};
use super::Endpoint;
use super::selector::{Names, Selector};
use super::variable::address;
use crate::target::IdentityPlatform;

/// Asks `GET /metadata/identity/oauth2/token`.
#[derive(Debug)]
pub(super) struct Imds {
    token_url: Url,
    http: Arc<dyn Transport>,
    /// Until when a container group's endpoint may still be starting.
    starting_until: Option<Instant>,
}

impl Imds {
    /// The service at its fixed address, or where `AZURE_POD_IDENTITY_AUTHORITY_HOST` says.
    pub(super) fn new(env: &Environment, http: Arc<dyn Transport>) -> Result<Self, FetchError> {
        let base = env
            .var(AUTHORITY_HOST)
            .unwrap_or_else(|| ADDRESS.to_owned());
        let mut token_url = address(AUTHORITY_HOST, &base, false)?;
        let path = format!("{}{PATH}", token_url.path().trim_end_matches('/'));
        token_url.set_path(&path);
        let group = env.var(GROUP).unwrap_or_default().starts_with(GROUP_PREFIX);
        Ok(Self {
            token_url,
            http,
            starting_until: group.then(|| Instant::now() + GROUP_START),
        })
    }

    /// One account of asking, sitting out a restart of the service.
    async fn ask(&self, url: &Url, selector: &Selector, resource: &Resource) -> Asked {
        let reply = retry::send(
            &*self.http,
            &RetryPolicy::IMDS,
            || Ok(HttpRequest::get(url.clone()).header("metadata", "true")),
            |reply| judge(reply, selector, resource),
        )
        .await?;
        let reply = TokenReply::read(&reply, SystemTime::now())?;
        selector.check(&reply)?;
        Ok(reply.token)
    }

    /// Whether this is what a container group says in its first seconds, when
    /// its endpoint looks as if there were no identity.
    fn is_starting(&self, error: &FetchError) -> bool {
        let early = self.starting_until.is_some_and(|end| Instant::now() < end);
        early
            && match error.last() {
                FetchError::IdentityNotFound { .. } => true,
                FetchError::NotATokenEndpoint { status, .. } => *status == 400,
                _ => false,
            }
    }
}

type Asked = Result<AccessToken, FetchError>;

#[async_trait]
impl Endpoint for Imds {
    fn names(&self) -> &Names {
        &NAMES
    }

    fn address(&self) -> String {
        endpoint_name(&self.token_url)
    }

    async fn fetch(
        &self,
        selector: &Selector,
        resource: &Resource,
    ) -> Result<AccessToken, FetchError> {
        let mut query = vec![
            ("api-version", API_VERSION),
            ("resource", resource.as_str()),
        ];
        query.extend(NAMES.parameter(selector, IdentityPlatform::Imds)?);
        let url = with_query(self.token_url.clone(), &query);
        loop {
            match self.ask(&url, selector, resource).await {
                Err(error) if self.is_starting(&error) => {
                    tracing::debug!(error = %error, "the container group seems to be starting");
                    retry::remember(error);
                    sleep(GROUP_STEP).await;
                }
                asked => return asked,
            }
        }
    }

    /// Finds out quickly whether the service is here at all: any HTTP answer to
    /// a request without the `Metadata` header means that it is, unless it is
    /// another cloud's. For chains; a real request would spend minutes on an
    /// address where nothing listens, or where a 404 is the last word.
    async fn probe(&self) -> Result<(), FetchError> {
        let url = with_query(self.token_url.clone(), &[("api-version", API_VERSION)]);
        let request = HttpRequest::get(url).within(PROBE_TIMEOUT);
        match retry::once(&*self.http, &RetryPolicy::IMDS, request).await {
            Ok(reply) => match other_cloud(&reply) {
                Some(sign) => Err(FetchError::NoEndpoint {
                    sign,
                    advice: "outside of Azure, use a federated credential or a developer's tool",
                }),
                None => Ok(()),
            },
            Err(FetchError::Client(cause)) => Err(FetchError::Client(cause)),
            Err(_) => Err(FetchError::NoEndpoint {
                sign: "nothing answers at the address of the instance metadata service",
                advice: "on a machine outside of Azure, give an access token or a callback",
            }),
        }
    }
}

/// Whose metadata service answers by a sign of its own, where all of them share
/// one address.
fn other_cloud(reply: &HttpReply) -> Option<&'static str> {
    if reply.header("server") == Some("EC2ws") {
        return Some("the metadata service of Amazon's cloud answers");
    }
    let google = reply.header("metadata-flavor") == Some("Google");
    google.then_some("the metadata service of Google's cloud answers")
}

/// What a reply means that is no token, by status and code, as the
/// documentation of "how to use a VM token" has it.
fn judge(reply: &HttpReply, selector: &Selector, resource: &Resource) -> FetchError {
    let said = Reply::of(reply);
    let is_json = Reply::read(reply).is_some();
    let refused = |advice: String| FetchError::Refused {
        reply: said.clone(),
        advice,
    };
    match (reply.status, said.code.as_deref()) {
        (403, _) if contains(&reply.body, b"unreachable") => FetchError::NoEndpoint {
            sign: "Docker Desktop answers in place of the instance metadata service",
            advice: "give an access token or a callback",
        },
        (404 | 408 | 410, _) => FetchError::Unavailable {
            reply: said,
            advice: "the instance metadata service is being updated; try again later".to_owned(),
        },
        (429, _) => FetchError::Throttled {
            reply: said,
            retry_after: reply.retry_after,
        },
        (502 | 504, _) => FetchError::Unavailable {
            reply: said,
            advice: "a proxy seems to stand before the instance metadata service; \
                     let 169.254.169.254 pass it by"
                .to_owned(),
        },
        (500..=599, _) => FetchError::Unavailable {
            reply: said,
            advice: "try again later".to_owned(),
        },
        _ if !is_json => not_a_token_endpoint(reply),
        (400, Some("invalid_resource")) => refused(format!(
            "the identity's tenant does not know {resource}; check the cloud of the server's name"
        )),
        (400, Some("invalid_request")) => FetchError::IdentityNotFound {
            identity: selector.missing(),
            reply: said,
        },
        _ => refused(format!("check that {selector} may be used on this machine")),
    }
}

fn contains(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// Moves the service elsewhere, as other libraries allow.
pub(in crate::token) const AUTHORITY_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

const ADDRESS: &str = "http://169.254.169.254";

const PATH: &str = "/metadata/identity/oauth2/token";

/// The first version that has identities; the service keeps old versions.
const API_VERSION: &str = "2018-02-01";

const NAMES: Names = Names {
    client_id: Some("client_id"),
    object_id: Some("object_id"),
    resource_id: Some("msi_res_id"),
    instead: "",
};

/// What container groups set, and how its value begins there (seen, not
/// documented). On other platforms with Service Fabric inside it begins otherwise.
const GROUP: &str = "Fabric_ApplicationName";

const GROUP_PREFIX: &str = "caas-";

/// How long a container group's endpoint may take to come up.
const GROUP_START: Duration = Duration::from_secs(60);

/// How often it is asked meanwhile.
const GROUP_STEP: Duration = Duration::from_secs(3);

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Answer, ScriptedHttp};
    use super::*;

    const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

    fn imds(script: Vec<Answer>) -> (Imds, Arc<ScriptedHttp>) {
        let http = Arc::new(ScriptedHttp::new(script));
        let env = Environment::from_pairs::<String, String>([]);
        (
            Imds::new(&env, Arc::clone(&http) as Arc<dyn Transport>).unwrap(),
            http,
        )
    }

    fn resource() -> Resource {
        Resource::new("https://database.windows.net/")
    }

    async fn fetch(script: Vec<Answer>, selector: &Selector) -> Result<AccessToken, FetchError> {
        imds(script).0.fetch(selector, &resource()).await
    }

    #[tokio::test]
    async fn the_request_is_exact() {
        for (selector, tail) in [
            (Selector::Unnamed, String::new()),
            (
                Selector::ClientId(CLIENT.into()),
                format!("&client_id={CLIENT}"),
            ),
            (
                Selector::ObjectId(CLIENT.into()),
                format!("&object_id={CLIENT}"),
            ),
            (
                Selector::ResourceId("/sub/a b".into()),
                "&msi_res_id=%2Fsub%2Fa%20b".into(),
            ),
        ] {
            let (imds, http) = imds(vec![Answer::token("t", 3600)]);
            imds.fetch(&selector, &resource()).await.unwrap();
            let (_, request) = &http.seen()[0];
            assert_eq!(
                request.url.as_str(),
                format!(
                    "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
                     &resource=https%3A%2F%2Fdatabase.windows.net%2F{tail}"
                )
            );
            let headers: Vec<_> = request
                .headers
                .iter()
                .map(|(name, value)| (*name, value.expose()))
                .collect();
            assert_eq!(headers, [("metadata", "true")]);
        }
    }

    #[test]
    fn another_address_is_taken_from_the_environment() {
        let at = |address: &str| {
            let env = Environment::from_pairs([(AUTHORITY_HOST, address)]);
            Imds::new(&env, Arc::new(ScriptedHttp::new([]))).map(|imds| imds.address())
        };
        let path = "/metadata/identity/oauth2/token";
        assert_eq!(
            at("http://127.0.0.1:81").unwrap(),
            format!("http://127.0.0.1:81{path}")
        );
        assert_eq!(
            at("http://h/base/").unwrap(),
            format!("http://h/base{path}")
        );
        for bad in ["127.0.0.1:81", "file:///etc", "not a url", "http://"] {
            assert!(
                matches!(at(bad), Err(FetchError::InvalidEndpoint { .. })),
                "{bad}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_error_form_is_named() {
        let not_found = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
        let error = fetch(
            vec![Answer::json(400, not_found)],
            &Selector::ClientId(CLIENT.into()),
        )
        .await;
        let error = error.unwrap_err();
        assert!(
            matches!(&error, FetchError::IdentityNotFound { .. }),
            "{error:?}"
        );
        assert!(
            error.to_string().contains(CLIENT) && error.to_string().contains("assign"),
            "{error}"
        );
        let error = fetch(vec![Answer::json(400, not_found)], &Selector::Unnamed)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("no identity was named"),
            "{error}"
        );

        let unknown = r#"{"error":"invalid_resource","error_description":"AADSTS500011"}"#;
        let error = fetch(vec![Answer::json(400, unknown)], &Selector::Unnamed)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("https://database.windows.net/"),
            "{error}"
        );

        let denied = r#"{"error":"access_denied"}"#;
        let error = fetch(vec![Answer::json(401, denied)], &Selector::Unnamed)
            .await
            .unwrap_err();
        assert!(matches!(&error, FetchError::Refused { .. }) && !error.is_transient());

        let docker = "connecting to 169.254.169.254:80: host unreachable";
        let error = fetch(vec![Answer::json(403, docker)], &Selector::Unnamed)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::NoEndpoint { .. }), "{error:?}");

        for status in [200, 302, 400, 401, 403] {
            let script = vec![Answer::json(status, "<html>Sign in</html>")];
            let error = fetch(script, &Selector::Unnamed).await.unwrap_err();
            let named =
                matches!(error, FetchError::NotATokenEndpoint { status: s, .. } if s == status);
            assert!(named, "{status}: {error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_transient_and_says_so() {
        for (status, word) in [
            (404, "updated"),
            (410, "updated"),
            (429, "throttling"),
            (500, "later"),
            (502, "proxy"),
            (504, "proxy"),
        ] {
            let error = fetch(vec![Answer::status(status); 30], &Selector::Unnamed)
                .await
                .unwrap_err();
            assert!(error.is_transient(), "{status}");
            assert!(
                error.last().to_string().contains(word),
                "{status}: {}",
                error.last()
            );
        }
    }

    #[tokio::test]
    async fn a_reply_for_another_identity_is_refused() {
        let reply = |client_id: &str| {
            Answer::json(
                200,
                format!(r#"{{"access_token":"MARKER","expires_in":60,"client_id":"{client_id}"}}"#),
            )
        };
        let selector = Selector::ClientId("ABCD".into());
        let error = fetch(vec![reply("other")], &selector).await.unwrap_err();
        assert!(
            matches!(error, FetchError::WrongIdentity { .. }),
            "{error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("MARKER"));
        assert!(fetch(vec![reply("abcd")], &selector).await.is_ok());
        assert!(fetch(vec![reply("")], &selector).await.is_ok());
    }

    #[tokio::test]
    async fn the_probe_knows_other_clouds_at_the_same_address() {
        for (name, value) in [("server", "EC2ws"), ("metadata-flavor", "Google")] {
            let (other, _) = imds(vec![Answer::status(404).with_header(name, value)]);
            let error = other.probe().await.unwrap_err();
            assert!(matches!(error, FetchError::NoEndpoint { .. }), "{error:?}");
        }
        let (own, _) = imds(vec![Answer::status(404).with_header("server", "IMDS/1")]);
        own.probe().await.unwrap();
    }

    #[tokio::test]
    async fn the_probe_takes_any_answer_for_a_yes_and_tries_once() {
        let (here, http) = imds(vec![Answer::json(400, "no header")]);
        here.probe().await.unwrap();
        assert!(http.seen()[0].1.headers.is_empty());
        let (absent, http) = imds(vec![Answer::TimedOut]);
        assert!(matches!(
            absent.probe().await,
            Err(FetchError::NoEndpoint { .. })
        ));
        assert_eq!(http.seen().len(), 1);
    }
}
