//! Any address that answers with an assertion.

use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue};

use super::super::Sources;
use super::super::entra::mark_of;
use super::super::error::FetchError;
use super::super::http::{HttpRequest, Method, endpoint_name};
use super::super::retry::{self, RetryPolicy};
use super::issuer::{judge, reach, text_at};
use super::origin::Origin;
use super::{AssertionError, AssertionSource, Exchange};
use crate::secret::Secret;
use crate::target::AssertionFrom;

/// Asks the address for each exchange.
#[derive(Debug)]
pub(super) struct UrlAssertion {
    request: HttpRequest,
    transport: std::sync::Arc<dyn super::super::http::Transport>,
    pointer: Option<String>,
    origin: Origin,
}

impl UrlAssertion {
    /// The settings of an [`AssertionFrom::Url`]; there is no source for another kind.
    pub(super) fn new(sources: &Sources, from: &AssertionFrom) -> Result<Self, FetchError> {
        let nowhere = Origin::new("a URL", RENEW, CHECK);
        let AssertionFrom::Url {
            url,
            headers,
            pointer,
            post,
        } = from
        else {
            return Err(nowhere.failed(unusable("the URL", "none is given")));
        };
        let reached = reach(sources, url);
        let (url, transport) =
            reached.map_err(|problem| nowhere.failed(unusable("the URL", problem)))?;
        let origin = Origin::new(endpoint_name(&url), RENEW, CHECK);
        let refused = |setting, problem| origin.failed(unusable(setting, problem));
        let mut request = match post {
            true => HttpRequest::post(url, None).header("content-length", "0"),
            false => HttpRequest::get(url),
        };
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| refused("a header", "its name is none of HTTP's"))?;
            if HeaderValue::from_str(value.expose()).is_err() {
                return Err(refused(
                    "a header",
                    "its value has characters that HTTP forbids",
                ));
            }
            request = request.named(name, value.clone());
        }
        if pointer
            .as_ref()
            .is_some_and(|text| !text.is_empty() && !text.starts_with('/'))
        {
            return Err(refused(
                "the JSON pointer",
                "it must begin with a slash, as /value does",
            ));
        }
        Ok(Self {
            request,
            transport,
            pointer: pointer.clone(),
            origin,
        })
    }
}

#[async_trait]
impl AssertionSource for UrlAssertion {
    async fn assertion(&self, _: &Exchange<'_>) -> Result<Secret, FetchError> {
        let reply = retry::send(
            &*self.transport,
            &RetryPolicy::ISSUER,
            || Ok(self.request.clone()),
            |reply| judge(reply, "check the URL and the headers that it wants", ""),
        );
        let reply = reply.await.map_err(|error| self.origin.not_given(error))?;
        match &self.pointer {
            Some(pointer) => {
                let text = text_at(&reply, pointer, "text at the JSON pointer");
                self.origin
                    .accept(&text.map_err(|error| self.origin.not_given(error))?)
            }
            None => self.origin.accept_bytes(&reply.body),
        }
    }

    fn describe(&self) -> String {
        self.origin.name().to_owned()
    }

    fn mark(&self) -> String {
        let request = &self.request;
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let pointer = match &self.pointer {
            Some(pointer) => ["at", pointer.as_str()],
            None => ["whole", ""],
        };
        let headers = request.named.iter();
        let headers = headers.flat_map(|(name, value)| [name.as_str(), value.expose()]);
        let texts = [method, request.url.as_str()].into_iter();
        mark_of(texts.chain(pointer).chain(headers))
    }
}

fn unusable(setting: &'static str, problem: &'static str) -> AssertionError {
    AssertionError::Setting { setting, problem }
}

const RENEW: &str = "check what issues it, and this machine's clock";

const CHECK: &str = "the reply must be one signed JWT, or JSON with one where the pointer says";

#[cfg(test)]
mod tests {
    use super::super::super::testing::Answer;
    use super::super::testing::{
        ask, jwt, sources, tells_bad_answers_apart, tells_failures_apart, told,
    };
    use super::*;

    fn from(url: &str, pointer: Option<&str>) -> AssertionFrom {
        AssertionFrom::Url {
            url: url.to_owned(),
            headers: vec![("X-Key".to_owned(), Secret::new("MARKER"))],
            pointer: pointer.map(str::to_owned),
            post: false,
        }
    }

    fn source(script: Vec<Answer>) -> UrlAssertion {
        let sources = sources(&[], script).0;
        UrlAssertion::new(&sources, &from("https://issuer.example/", Some("/token"))).unwrap()
    }

    #[tokio::test]
    async fn the_request_is_the_one_asked_for() {
        let token = jwt(60, "s");
        let (sources, http) = sources(&[], vec![Answer::json(200, format!("{token}\n")); 2]);
        let from = from("https://issuer.example/t?code=MARKER", None);
        let source = UrlAssertion::new(&sources, &from).unwrap();
        assert_eq!(ask(&source).await.unwrap().expose(), token);
        assert_eq!(source.describe(), "https://issuer.example/t");
        let AssertionFrom::Url { url, headers, .. } = from else {
            unreachable!()
        };
        let from = AssertionFrom::Url {
            url,
            headers,
            pointer: None,
            post: true,
        };
        let source = UrlAssertion::new(&sources, &from).unwrap();
        ask(&source).await.unwrap();
        let seen = http.seen();
        assert_eq!(
            (seen[0].1.method, seen[1].1.method),
            (Method::Get, Method::Post)
        );
        for (_, request) in seen {
            assert_eq!(request.url.query(), Some("code=MARKER"));
            let (name, value) = &request.named[0];
            assert_eq!((name.as_str(), value.expose()), ("x-key", "MARKER"));
        }
    }

    #[tokio::test]
    async fn a_pointer_leads_to_the_token() {
        let token = jwt(60, "s");
        for (pointer, body) in [
            ("/a/0/b~1c", format!(r#"{{"a":[{{"b/c":"{token}"}}]}}"#)),
            ("", format!(r#""{token}""#)),
        ] {
            let sources = sources(&[], vec![Answer::json(200, body)]).0;
            let source = UrlAssertion::new(&sources, &from("https://i.example/", Some(pointer)));
            assert_eq!(
                ask(&source.unwrap()).await.unwrap().expose(),
                token,
                "{pointer}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bad_answers_are_told_apart() {
        tells_bad_answers_apart("token", source).await;
        tells_failures_apart("token", source).await;
        // Without a pointer, JSON and HTML are no tokens either.
        for body in [r#"{"token":"MARKER"}"#, "<html>MARKER</html>", ""] {
            let sources = sources(&[], vec![Answer::json(200, body)]).0;
            let source = UrlAssertion::new(&sources, &from("https://i.example/", None)).unwrap();
            let text = told(&ask(&source).await.unwrap_err());
            assert!(
                text.contains("no signed JWT") || text.contains("empty"),
                "{text}"
            );
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        let sources = sources(&[], vec![]).0;
        let error = |from: &AssertionFrom| told(&UrlAssertion::new(&sources, from).unwrap_err());
        for (url, word) in [
            ("http://issuer.example/", "use https"),
            (
                "https://u:MARKER@issuer.example/",
                "holds a user or password",
            ),
            ("file:///etc/passwd", "must begin with https"),
            ("issuer", "cannot be parsed"),
        ] {
            let text = error(&from(url, None));
            assert!(text.contains(word), "{text}");
        }
        assert!(error(&from("https://i.example/", Some("token"))).contains("begin with a slash"));
        for (name, value) in [("X Key", "v"), ("", "v"), ("X-Key", "MARKER\r\nX-Other: 1")] {
            let text = error(&AssertionFrom::Url {
                url: "https://i.example/".to_owned(),
                headers: vec![(name.to_owned(), Secret::new(value))],
                pointer: None,
                post: false,
            });
            assert!(text.contains("a header cannot be used"), "{text}");
        }
    }
}
