//! The proxy inside an AKS cluster that stands in for Entra's token endpoint.
//!
//! With identity bindings, pods send their exchange to an address of the cluster
//! instead of the authority, in TLS by a certificate of the cluster's own. The
//! variables and rules are those of `customtokenproxy` in azidentity for Go.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::super::Environment;
use super::super::error::FetchError;
use super::super::http::{HttpReply, HttpRequest, Transport};
use super::super::http_client::{builder, exchange, finish};
use super::AssertionError;
use super::file;

/// Sends what is meant for an authority to the cluster's proxy, under the same path.
#[derive(Debug)]
pub(super) struct TokenProxy {
    /// With the name that TLS is to ask for as its host.
    base: Url,
    /// What HTTP is to call the host, if that is another.
    host: Option<String>,
    /// Where to connect, whatever TLS asks for.
    address: Dialled,
    trust: Trust,
    client: Mutex<Option<Built>>,
}

/// Why the cluster's token proxy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenProxyError {
    /// Its address is none that an assertion may be sent to.
    #[error("{ADDRESS} {problem}; it must be an https URL without user, query and fragment")]
    Address {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The certificate authorities are given twice.
    #[error("{CA_FILE} and {CA_DATA} are both set; unset one of them")]
    BothAuthorities,
    /// The file with the certificate authorities cannot be read.
    #[error("cannot use the file {path} in {CA_FILE}")]
    CaFile {
        /// Its path.
        path: String,
        /// What reading it failed with.
        #[source]
        reason: AssertionError,
    },
    /// There is no certificate where the authorities should be.
    #[error("{variable} has no certificate that can be read; it must be PEM")]
    NoCertificate {
        /// Which variable gave it.
        variable: &'static str,
    },
    /// A name that no certificate can have.
    #[error("{SNI_NAME} is no DNS name")]
    ServerName,
    /// Something of the proxy is set, but not the proxy.
    #[error("{variable} is set without {ADDRESS}; set both or neither")]
    WithoutAddress {
        /// Which variable is set.
        variable: &'static str,
    },
}

impl TokenProxy {
    /// The proxy that the environment names, if it names one.
    pub(super) fn new(env: &Environment) -> Result<Option<Self>, TokenProxyError> {
        let Some(address) = env.var(ADDRESS) else {
            let odd = [SNI_NAME, CA_FILE, CA_DATA]
                .into_iter()
                .find(|name| env.has(name));
            return match odd {
                Some(variable) => Err(TokenProxyError::WithoutAddress { variable }),
                None => Ok(None),
            };
        };
        let mut base = parse(&address).map_err(|problem| TokenProxyError::Address { problem })?;
        let dialled = Dialled::of(&base);
        let mut host = None;
        if let Some(name) = env.var(SNI_NAME) {
            host = Some(authority(&base));
            let refused = |_| TokenProxyError::ServerName;
            base.set_host(Some(&name)).map_err(refused)?;
            if !matches!(base.host(), Some(Host::Domain(_))) {
                return Err(TokenProxyError::ServerName);
            }
        }
        let trust = match (env.var(CA_FILE), env.var(CA_DATA)) {
            (Some(_), Some(_)) => return Err(TokenProxyError::BothAuthorities),
            (Some(file), None) => Trust::File(file.into()),
            (None, Some(pem)) => Trust::Given(authorities(pem.as_bytes(), CA_DATA)?),
            (None, None) => Trust::System,
        };
        let (address, client) = (dialled, Mutex::default());
        Ok(Some(Self {
            base,
            host,
            address,
            trust,
            client,
        }))
    }

    /// The client for the authorities that are trusted now.
    async fn client(&self) -> Result<reqwest::Client, FetchError> {
        let pem = match &self.trust {
            Trust::File(path) => Some(self.ca_file(path).await?),
            Trust::Given(_) | Trust::System => None,
        };
        let mut built = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = &*built {
            // An empty file is one that is being written: what was in it still holds.
            let unchanged = pem
                .as_ref()
                .is_none_or(|pem| pem.is_empty() || *pem == built.pem);
            if unchanged {
                return Ok(built.client.clone());
            }
        }
        let roots = match (&self.trust, &pem) {
            (Trust::Given(roots), _) => Some(roots.clone()),
            (_, Some(pem)) => Some(authorities(pem, CA_FILE).map_err(FetchError::TokenProxy)?),
            _ => None,
        };
        let mut builder = builder().dns_resolver(self.address.clone());
        if let Some(roots) = roots {
            builder = builder.tls_certs_only(roots);
        }
        let client = finish(builder)?;
        *built = Some(Built {
            pem: pem.unwrap_or_default(),
            client: client.clone(),
        });
        Ok(client)
    }

    async fn ca_file(&self, path: &Path) -> Result<Vec<u8>, FetchError> {
        let read = file::read(path, MAX_PEM, "check the path and the volume").await;
        let read = read.map_err(|reason| {
            FetchError::TokenProxy(TokenProxyError::CaFile {
                path: path.display().to_string(),
                reason,
            })
        })?;
        Ok(read.to_vec())
    }
}

#[async_trait]
impl Transport for TokenProxy {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpReply, FetchError> {
        let client = self.client().await?;
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
            request.url.path()
        ));
        url.set_query(request.url.query());
        request.url = url;
        if let Some(host) = &self.host {
            request = request.header("host", host.clone());
        }
        exchange(&client, request, ADVICE).await
    }
}

/// Whom TLS trusts.
enum Trust {
    File(PathBuf),
    Given(Vec<reqwest::Certificate>),
    System,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Given(roots) => write!(f, "Given({} certificates)", roots.len()),
            Self::System => f.write_str("System"),
        }
    }
}

/// A client, and what its authorities were made from.
#[derive(Debug)]
struct Built {
    pem: Vec<u8>,
    client: reqwest::Client,
}

/// Answers every name with the addresses of one host.
#[derive(Debug, Clone)]
struct Dialled {
    host: Arc<str>,
    port: u16,
}

impl Dialled {
    fn of(url: &Url) -> Self {
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        };
        Self {
            host: host.into(),
            port: url.port_or_known_default().unwrap_or(443),
        }
    }
}

impl Resolve for Dialled {
    fn resolve(&self, _: Name) -> Resolving {
        let (host, port) = (Arc::clone(&self.host), self.port);
        Box::pin(async move {
            let found = tokio::net::lookup_host((&*host, port)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn parse(address: &str) -> Result<Url, &'static str> {
    let url = Url::parse(address).map_err(|_| "cannot be parsed")?;
    if url.scheme() != "https" {
        return Err("does not begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password");
    }
    if url.query().is_some() {
        return Err("has a query");
    }
    if url.fragment().is_some() {
        return Err("has a fragment");
    }
    Ok(url)
}

/// Host and port as HTTP's `Host` header has them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn authorities(
    pem: &[u8],
    variable: &'static str,
) -> Result<Vec<reqwest::Certificate>, TokenProxyError> {
    let read = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
    match read.is_empty() {
        false => Ok(read),
        true => Err(TokenProxyError::NoCertificate { variable }),
    }
}

pub(super) const ADDRESS: &str = "AZURE_KUBERNETES_TOKEN_PROXY";

const SNI_NAME: &str = "AZURE_KUBERNETES_SNI_NAME";

const CA_FILE: &str = "AZURE_KUBERNETES_CA_FILE";

const CA_DATA: &str = "AZURE_KUBERNETES_CA_DATA";

const ADVICE: &str = "check the cluster's token proxy, AZURE_KUBERNETES_SNI_NAME, and the \
                      certificate authorities in AZURE_KUBERNETES_CA_FILE";

/// No bundle of authorities is larger.
const MAX_PEM: usize = 1 << 20;

#[cfg(test)]
mod tests;
