//! HTTP to token endpoints as values: requests, replies, and the seam between them.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use url::Url;
use zeroize::Zeroizing;

use super::budget::Budget;
use super::error::FetchError;
use super::reply::strike_out;
use crate::secret::Secret;

/// Carries one request to an endpoint; a seam, so that retries are tested without sockets.
#[async_trait]
pub(crate) trait Transport: Send + Sync + fmt::Debug {
    /// Sends once. Any HTTP status is a reply; only failures to get one are errors.
    async fn send(&self, request: HttpRequest) -> Result<HttpReply, FetchError>;

    /// What limits how often requests are sent: the whole process's budget,
    /// except in tests.
    fn budget(&self) -> &Budget {
        Budget::process()
    }
}

/// A request whose query, headers and body may be secret.
#[derive(Clone)]
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, Secret)>,
    /// More headers, whose names a setting gives.
    pub(crate) named: Vec<(HeaderName, Secret)>,
    /// Sent with POST only; its type is among the headers.
    pub(crate) body: Option<Secret>,
    pub(crate) timeout: Duration,
}

/// What requests to token endpoints do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

impl HttpRequest {
    /// A request that may take ten seconds in all.
    pub(crate) fn get(url: Url) -> Self {
        Self {
            method: Method::Get,
            url,
            headers: Vec::new(),
            named: Vec::new(),
            body: None,
            timeout: TRY_TIMEOUT,
        }
    }

    /// Posts a form; it may take ten seconds in all.
    pub(crate) fn post_form(url: Url, fields: &[(&str, &str)]) -> Self {
        let encode = |text| utf8_percent_encode(text, RESERVED);
        let room = fields.iter().map(|(n, v)| 2 + n.len() + 3 * v.len()).sum();
        let mut form = Zeroizing::new(String::with_capacity(room));
        for (name, value) in fields {
            if !form.is_empty() {
                form.push('&');
            }
            form.extend(encode(name));
            form.push('=');
            form.extend(encode(value));
        }
        let kind = "application/x-www-form-urlencoded";
        Self::post(url, Some(Secret::new(form.as_str()))).header("content-type", kind)
    }

    /// Posts a body, or nothing; it may take ten seconds in all.
    pub(crate) fn post(url: Url, body: Option<Secret>) -> Self {
        Self {
            method: Method::Post,
            body,
            ..Self::get(url)
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<Secret>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn named(mut self, name: HeaderName, value: Secret) -> Self {
        self.named.push((name, value));
        self
    }

    /// The values of headers that are secret, without the name of their scheme.
    pub(super) fn proofs(&self) -> Vec<Secret> {
        let ours = self.headers.iter();
        let ours = ours.filter(|(name, _)| !PUBLIC_HEADERS.contains(name));
        let all = ours
            .map(|(_, value)| value)
            .chain(self.named.iter().map(|(_, value)| value));
        let bare = all.map(|value| {
            let value = value.expose();
            let schemes = ["Bearer ", "Basic "].iter();
            schemes.fold(value, |value, scheme| {
                value.strip_prefix(scheme).unwrap_or(value)
            })
        });
        bare.filter(|value| value.len() >= MIN_PROOF)
            .map(Secret::new)
            .collect()
    }

    pub(crate) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("endpoint", &endpoint_name(&self.url))
            .field("headers", &self.headers)
            .field("named", &self.named)
            .field("body", &self.body)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// An endpoint's answer. The body may hold a token, and is wiped on drop.
pub(crate) struct HttpReply {
    /// Whom it is from, without the query.
    pub(crate) endpoint: String,
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The secrets in the headers of the request, which are not to be repeated.
    pub(crate) proofs: Vec<Secret>,
}

impl HttpReply {
    /// A header that came once, or the first of its kind.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A text of the reply with asterisks for the secrets it was asked with, and
    /// for tokens.
    pub(super) fn without_proofs(&self, text: &str) -> String {
        let struck = |text: String, proof: &Secret| strike_out(&text, proof.expose());
        self.proofs.iter().fold(strike_out(text, ""), struck)
    }
}

/// Sets query parameters, percent-encoded. What the URL's own query says under
/// other names stays; no name stands twice, which IMDS would refuse.
pub(crate) fn with_query(mut url: Url, parameters: &[(&str, &str)]) -> Url {
    let own = url.query().unwrap_or_default().split('&');
    let kept = own.filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && parameters.iter().all(|(ours, _)| *ours != name)
    });
    let encode = |text| utf8_percent_encode(text, RESERVED).to_string();
    let ours = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    let query: Vec<_> = kept.map(str::to_owned).chain(ours).collect();
    url.set_query(Some(&query.join("&")));
    url
}

/// A URL as errors name it: without query and user.
pub(crate) fn endpoint_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// RFC 9110 10.2.3: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let date = SystemTime::from(date.timestamp());
    Some(date.duration_since(now).unwrap_or_default())
}

/// Headers of ours whose values anybody may see.
const PUBLIC_HEADERS: &[&str] = &[
    "accept",
    "client-request-id",
    "content-length",
    "content-type",
    "metadata",
    "return-client-request-id",
    "x-tfs-fedauthredirect",
];

/// What is shorter is no secret, and would strike out parts of words.
const MIN_PROOF: usize = 8;

/// How long one try may take in all.
pub(crate) const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_query_is_encoded_and_joins_the_urls_own() {
        let joined = with_query(
            url("http://h/p?own=1&api-version=old"),
            &[
                ("api-version", "2018-02-01"),
                ("resource", "https://database.windows.net/"),
                ("x", "a b&c+ü"),
            ],
        );
        assert_eq!(
            joined.as_str(),
            "http://h/p?own=1&api-version=2018-02-01&resource=https%3A%2F%2Fdatabase.windows.net%2F\
             &x=a%20b%26c%2B%C3%BC"
        );
    }

    #[test]
    fn an_endpoints_name_has_no_secrets() {
        let named = endpoint_name(&url("http://user:pw@h:81/p?code=secret#f"));
        assert_eq!(named, "http://h:81/p");
    }

    #[test]
    fn forms_are_encoded_and_not_shown() {
        let form = HttpRequest::post_form(
            url("https://u:MARKER@h/t?code=MARKER"),
            &[("a", "x y+&~"), ("b", "MARKER")],
        );
        let body = form.body.as_ref().unwrap();
        assert_eq!(body.expose(), "a=x%20y%2B%26~&b=MARKER");
        assert!(!format!("{form:?}").contains("MARKER"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |text: &str| {
            let headers =
                HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(read("17"), Some(Duration::from_secs(17)));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:47 GMT"),
            Some(Duration::from_secs(10))
        );
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }
}
