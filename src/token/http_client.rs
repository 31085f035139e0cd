//! The HTTP clients behind the seam: no redirects, bounded in size and time.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use super::Environment;
use super::error::FetchError;
use super::http::{HttpReply, HttpRequest, Method, Transport, endpoint_name, retry_after};
use super::regular_file::{self, Unread};
use crate::secret::Secret;

/// To endpoints on this machine or beside it: never through a proxy.
///
/// Its clients are made when first needed.
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
        made(slot, || finish(builder))
    }
}

#[async_trait]
impl Transport for LocalHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpReply, FetchError> {
        let advice = "check that managed identity is available on this machine";
        exchange(self.client(&request.url)?, request, advice).await
    }
}

/// To services on the internet: through the proxy that the environment names
/// (`HTTPS_PROXY`, `NO_PROXY`), if any, and never in clear.
///
/// `SSL_CERT_FILE` replaces the platform's certificate authorities, as it does
/// for OpenSSL. A host on loopback is never reached through a proxy.
#[derive(Debug)]
pub(super) struct InternetHttp {
    env: Environment,
    client: OnceLock<reqwest::Client>,
}

impl InternetHttp {
    pub(super) fn new(env: &Environment) -> Self {
        Self {
            env: env.clone(),
            client: OnceLock::new(),
        }
    }

    fn make(&self) -> Result<reqwest::Client, FetchError> {
        let mut builder = builder().connect_timeout(FAR_CONNECT_TIMEOUT);
        if let Some(file) = self.env.var("SSL_CERT_FILE") {
            let roots =
                roots(Path::new(&file)).map_err(|error| FetchError::Client(error.into()))?;
            builder = builder.tls_certs_only(roots);
        }
        let named = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        if let Some(proxy) = named.iter().find_map(|name| self.env.var(name)) {
            let beside = ["NO_PROXY", "no_proxy"].iter();
            let beside = beside.filter_map(|name| self.env.var(name)).next();
            let beside = format!("localhost,127.0.0.0/8,::1,{}", beside.unwrap_or_default());
            let proxy = reqwest::Proxy::https(proxy)
                .map_err(|error| FetchError::Client(error.without_url().into()))?;
            builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&beside)));
        }
        finish(builder)
    }
}

#[async_trait]
impl Transport for InternetHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpReply, FetchError> {
        let advice = "check the name, the network, and HTTPS_PROXY if there is a proxy";
        exchange(made(&self.client, || self.make())?, request, advice).await
    }
}

/// The certificate authorities in a file.
fn roots(file: &Path) -> Result<Vec<reqwest::Certificate>, RootsError> {
    let pem = regular_file::read(file, MAX_ROOTS).map_err(|unread| match unread {
        Unread::NotAFile => RootsError::NotAFile,
        Unread::TooLarge => RootsError::TooLarge,
        Unread::Io(cause) => RootsError::Unreadable(cause),
    })?;
    let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(RootsError::Malformed)?;
    match roots.is_empty() {
        // To trust nobody would fail each handshake with a reason that misleads.
        true => Err(RootsError::Empty),
        false => Ok(roots),
    }
}

/// Why `SSL_CERT_FILE` names no certificate authorities.
#[derive(Debug, thiserror::Error)]
enum RootsError {
    #[error("the file that SSL_CERT_FILE names holds no certificate; it must be PEM")]
    Empty,
    #[error("the file that SSL_CERT_FILE names is no PEM that can be read")]
    Malformed(#[source] reqwest::Error),
    #[error("SSL_CERT_FILE names no regular file")]
    NotAFile,
    #[error("the file that SSL_CERT_FILE names is larger than {} bytes", MAX_ROOTS)]
    TooLarge,
    #[error("the file that SSL_CERT_FILE names cannot be read")]
    Unreadable(#[source] std::io::Error),
}

/// Sends by a given client, and reads what comes back up to a bound.
pub(super) async fn exchange(
    client: &reqwest::Client,
    request: HttpRequest,
    advice: &'static str,
) -> Result<HttpReply, FetchError> {
    let endpoint = endpoint_name(&request.url);
    let proofs = request.proofs();
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(*name, header(value)?);
    }
    for (name, value) in &request.named {
        headers.insert(name, header(value)?);
    }
    let call = match request.method {
        Method::Get => client.get(request.url),
        Method::Post => {
            let body = request.body.as_ref();
            client
                .post(request.url)
                .body(body.map_or_else(Vec::new, |body| body.expose().as_bytes().to_vec()))
        }
    };
    let sent = call.headers(headers).timeout(request.timeout).send().await;
    let failed = |error| failure(&endpoint, request.timeout, advice, error);
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
        headers: response.headers().clone(),
        endpoint,
        body,
        proofs,
    })
}

fn header(value: &Secret) -> Result<HeaderValue, FetchError> {
    let mut value =
        HeaderValue::from_str(value.expose()).map_err(|error| FetchError::Client(error.into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What all clients have in common.
pub(super) fn builder() -> reqwest::ClientBuilder {
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

fn failure(
    endpoint: &str,
    timeout: Duration,
    advice: &'static str,
    error: reqwest::Error,
) -> FetchError {
    let (endpoint, error) = (endpoint.to_owned(), error.without_url());
    if error.is_connect() {
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

pub(super) fn finish(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, FetchError> {
    builder
        .build()
        .map_err(|error| FetchError::Client(error.into()))
}

fn made(
    slot: &OnceLock<reqwest::Client>,
    make: impl FnOnce() -> Result<reqwest::Client, FetchError>,
) -> Result<&reqwest::Client, FetchError> {
    if let Some(client) = slot.get() {
        return Ok(client);
    }
    let client = make()?;
    Ok(slot.get_or_init(|| client))
}

/// How long a connection to an endpoint on the machine or beside it may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The same for one that is far away.
const FAR_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Hardly a token endpoint's reply is larger.
const USUAL_BODY: usize = 32 * 1024;

/// No token endpoint's reply is larger.
const MAX_BODY: usize = 1 << 20;

/// No bundle of certificate authorities is larger: all of the web's make a quarter of one.
const MAX_ROOTS: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_bundle_of_authorities_is_named_and_not_read_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut paths = vec![
            (put("empty", b""), "holds no certificate"),
            (put("text", b"no certificate"), "holds no certificate"),
            (put("large", &vec![b'a'; MAX_ROOTS + 1]), "larger than"),
            (folder.path().join("absent"), "cannot be read"),
            (folder.path().to_owned(), "no regular file"),
        ];
        if cfg!(unix) {
            paths.push(("/dev/zero".into(), "no regular file"));
        }
        for (path, word) in paths {
            let file = path.to_str().unwrap();
            let env = Environment::from_pairs([("SSL_CERT_FILE", file)]);
            let error = InternetHttp::new(&env).make().unwrap_err();
            let FetchError::Client(cause) = &error else {
                panic!("{error:?}");
            };
            let text = cause.to_string();
            assert!(
                text.contains("SSL_CERT_FILE") && text.contains(word),
                "{text}"
            );
        }
    }
}
