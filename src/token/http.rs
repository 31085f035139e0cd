//! HTTP to identity endpoints: no proxy, no redirects, bounded in size and time.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use url::Url;
use zeroize::Zeroizing;

use super::error::FetchError;
use crate::secret::Secret;

/// Carries one request to an endpoint; a seam, so that retries are tested without sockets.
#[async_trait]
pub(super) trait Transport: Send + Sync + fmt::Debug {
    /// Sends once. Any HTTP status is a reply; only failures to get one are errors.
    async fn send(&self, request: HttpRequest) -> Result<HttpReply, FetchError>;
}

/// A GET request with headers that may be secret.
#[derive(Debug, Clone)]
pub(super) struct HttpRequest {
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, Secret)>,
    pub(super) timeout: Duration,
}

impl HttpRequest {
    /// A request that may take ten seconds in all.
    pub(super) fn get(url: Url) -> Self {
        Self {
            url,
            headers: Vec::new(),
            timeout: TRY_TIMEOUT,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<Secret>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// An endpoint's answer. The body may hold a token, and is wiped on drop.
pub(super) struct HttpReply {
    /// Whom it is from, without the query.
    pub(super) endpoint: String,
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Sets query parameters, percent-encoded. What the URL's own query says under
/// other names stays; no name stands twice, which IMDS would refuse.
pub(super) fn with_query(mut url: Url, parameters: &[(&str, &str)]) -> Url {
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
pub(super) fn endpoint_name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// The real transport. Its clients are made when first needed.
#[derive(Debug, Default)]
pub(super) struct LocalHttp {
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
}

impl LocalHttp {
    fn client(&self, url: &Url) -> Result<&reqwest::Client, FetchError> {
        let (slot, builder) = match url.scheme() {
            "https" => (&self.tls, builder()),
            // Loading the platform's trust roots would cost time, and fail in a
            // container that has none, for nothing: there is no TLS here.
            _ => (&self.plain, builder().tls_certs_only([])),
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = builder
            .build()
            .map_err(|error| FetchError::Client(error.into()))?;
        Ok(slot.get_or_init(|| client))
    }
}

#[async_trait]
impl Transport for LocalHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpReply, FetchError> {
        let endpoint = endpoint_name(&request.url);
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|error| FetchError::Client(error.into()))?;
            value.set_sensitive(true);
            headers.insert(*name, value);
        }
        let call = self.client(&request.url)?.get(request.url);
        let sent = call.headers(headers).timeout(request.timeout).send().await;
        let failed = |error| failure(&endpoint, request.timeout, error);
        let mut response = sent.map_err(failed)?;
        // Room for any token from the start: a buffer that grows leaves copies
        // of what it held behind.
        let mut body = Zeroizing::new(Vec::with_capacity(USUAL_BODY));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(FetchError::TooLarge {
                    endpoint,
                    max: MAX_BODY,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply {
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers(), SystemTime::now()),
            endpoint,
            body,
        })
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        // A proxy from the environment would be handed a credential, and IMDS
        // refuses what comes through one.
        .no_proxy()
        // Whoever is redirected to would be sent the secret headers.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        // Hours pass between two requests; no kept connection survives that.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("entrada/", env!("CARGO_PKG_VERSION")))
}

fn failure(endpoint: &str, timeout: Duration, error: reqwest::Error) -> FetchError {
    let (endpoint, error) = (endpoint.to_owned(), error.without_url());
    if error.is_connect() {
        let advice = "check that managed identity is available on this machine";
        FetchError::Connect {
            endpoint,
            advice,
            cause: error.into(),
        }
    } else if error.is_timeout() {
        FetchError::Timeout {
            endpoint,
            after: timeout,
        }
    } else {
        FetchError::Io {
            endpoint,
            cause: error.into(),
        }
    }
}

/// RFC 9110 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let date = SystemTime::from(date.timestamp());
    Some(date.duration_since(now).unwrap_or_default())
}

/// How long one try may take in all.
pub(super) const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection to an endpoint on the machine or beside it may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Hardly a token endpoint's reply is larger.
const USUAL_BODY: usize = 32 * 1024;

/// No token endpoint's reply is larger.
const MAX_BODY: usize = 1 << 20;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

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
