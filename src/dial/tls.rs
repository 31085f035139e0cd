//! TLS: who is trusted, and the two ways in which TDS carries a handshake.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, SupportedProtocolVersion};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tunnel::Tunnel;
use super::verifier::{ByRule, Renamed};
use crate::target::{Encrypt, TlsPolicy};

/// A socket under TLS, by either way.
pub(super) type TlsStream = tokio_rustls::client::TlsStream<Tunnel<TcpStream>>;

/// MS-TDS 1.7: the protocol name of TDS 8.0.
const ALPN: &[u8] = b"tds/8.0";
/// No certificate file is larger.
const MAX_FILE: u64 = 1024 * 1024;

/// Why the connection is not secure.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate file cannot be read.
    #[error("the certificate file `{}` cannot be read", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A certificate file holds no certificate.
    #[error("`{}` holds no certificate; it must be a PEM or DER file", .path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A name cannot stand in a certificate.
    #[error("`{name}` cannot stand in a certificate: it is neither a host name nor an address")]
    Name {
        /// The server's name, or HostNameInCertificate.
        name: String,
    },
    /// There is nothing to check certificates against.
    #[error(
        "this machine's trusted certificates cannot be used; install a CA bundle, or name the server's certificate by ServerCertificate=FILE"
    )]
    Roots {
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// The certificate is another server's.
    #[error("the certificate is not made out to `{expected}` but to {}; if that is the server you mean, say so by HostNameInCertificate", or_nobody(.presented))]
    WrongName {
        /// The name that it should hold.
        expected: String,
        /// The names that it holds.
        presented: Vec<String>,
    },
    /// Nobody we trust has signed the certificate.
    #[error("the certificate of `{server}` is signed by nobody whom this machine trusts; install its CA on this machine or name the certificate by ServerCertificate=FILE{}", trust_hint(*.verified_only))]
    Untrusted {
        /// The server.
        server: String,
        /// Whether TrustServerCertificate is out of the question here.
        verified_only: bool,
    },
    /// The certificate is not the one in the file.
    #[error(
        "the server's certificate is not the one that ServerCertificate names; if it was renewed, replace the file"
    )]
    NotPinned,
    /// The certificate's time is over, or has not come.
    #[error("the server's certificate is not valid now; renew it, and check this machine's clock")]
    NotInTime {
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// Something else is wrong with the certificate.
    #[error("the server's certificate cannot be accepted")]
    Certificate {
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// The two sides have nothing in common, or do not speak TLS.
    #[error("the server does not speak TLS in a way that we do; it needs {versions}")]
    Handshake {
        /// What would do.
        versions: &'static str,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// What the server sends is no TLS.
    #[error("the server's side of the TLS handshake makes no sense")]
    Malformed {
        /// What is wrong with it.
        #[source]
        source: Arc<io::Error>,
    },
    /// The server went away.
    #[error("the server closed the connection during the TLS handshake{}", strict_hint(*.strict))]
    Closed {
        /// Whether TLS came first (TDS 8.0).
        strict: bool,
    },
    /// The connection broke.
    #[error("the connection broke during the TLS handshake")]
    Io {
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
}

/// What is encrypted, and how the handshake travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// TLS before everything else (TDS 8.0).
    Strict,
    /// The handshake travels in PRELOGIN packets; all that follows is encrypted.
    Tunnelled,
    /// As `Tunnelled`, but only the first packet of the login is encrypted.
    LoginOnly,
}

/// The client side of TLS, made once for a target.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    strict: Arc<ClientConfig>,
    tunnelled: Arc<ClientConfig>,
    login_only: Arc<ClientConfig>,
    /// A token is at stake: no certificate goes unchecked.
    verified_only: bool,
}

impl Tls {
    /// Reads the certificate files and the platform's roots.
    pub(super) fn new(policy: &TlsPolicy, token: bool) -> Result<Self, TlsError> {
        Self::judged(policy, token, |verifier| verifier)
    }

    /// The same, with a look at how certificates are judged.
    pub(super) fn judged(
        policy: &TlsPolicy,
        token: bool,
        by: impl Fn(Arc<dyn ServerCertVerifier>) -> Arc<dyn ServerCertVerifier>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verified_only = token || policy.encrypt == Encrypt::Strict;
        let verifier = by(verifier(policy, verified_only, &provider)?);
        let anyone = by(Arc::new(ByRule::any(&provider)));
        let mut strict = config(&provider, &verifier, &[&TLS13, &TLS12])?;
        strict.alpn_protocols = vec![ALPN.to_vec()];
        // Inside PRELOGIN nothing may follow the handshake, as TLS 1.3's tickets
        // do; SQL Server itself has TLS 1.3 for TDS 8.0 only.
        let mut tunnelled = config(&provider, &verifier, &[&TLS12])?;
        tunnelled.resumption = Resumption::disabled();
        // The encryption of the login alone hides a password from onlookers and
        // proves nothing; no driver checks the certificate then.
        let login_verifier = if token { &verifier } else { &anyone };
        let mut login_only = config(&provider, login_verifier, &[&TLS12])?;
        login_only.resumption = Resumption::disabled();
        Ok(Self {
            strict: Arc::new(strict),
            tunnelled: Arc::new(tunnelled),
            login_only: Arc::new(login_only),
            verified_only,
        })
    }

    /// Shakes hands. Afterwards the stream carries TDS packets.
    pub(super) async fn handshake(
        &self,
        mode: Mode,
        socket: TcpStream,
        host: &str,
    ) -> Result<TlsStream, TlsError> {
        let name = server_name(host)?;
        let (config, tunnel) = match mode {
            Mode::Strict => (&self.strict, Tunnel::bare(socket)),
            Mode::Tunnelled => (&self.tunnelled, Tunnel::wrapping(socket)),
            Mode::LoginOnly => (&self.login_only, Tunnel::wrapping(socket)),
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let mut stream = connector
            .connect(name, tunnel)
            .await
            .map_err(|error| self.explain(error, host, mode))?;
        let (tunnel, _) = stream.get_mut();
        if mode != Mode::Strict {
            tunnel
                .unwrap_records()
                .map_err(|source| TlsError::Malformed {
                    source: Arc::new(source),
                })?;
        }
        if mode != Mode::LoginOnly {
            tunnel.read_ahead();
        }
        Ok(stream)
    }

    fn explain(&self, error: io::Error, host: &str, mode: Mode) -> TlsError {
        let strict = mode == Mode::Strict;
        let Some(source) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .cloned()
        else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => TlsError::Closed { strict },
                io::ErrorKind::InvalidData => TlsError::Malformed {
                    source: Arc::new(error),
                },
                _ => TlsError::Io {
                    source: Arc::new(error),
                },
            };
        };
        let rustls::Error::InvalidCertificate(fault) = &source else {
            return TlsError::Handshake {
                versions: if strict {
                    "TDS 8.0 over TLS 1.2 or 1.3 (or Encrypt=mandatory, if it speaks TDS 7.4 only)"
                } else {
                    "TLS 1.2 (or Encrypt=strict, if it speaks TDS 8.0 only)"
                },
                source,
            };
        };
        match fault {
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => TlsError::WrongName {
                expected: expected.to_str().into_owned(),
                presented: presented.clone(),
            },
            CertificateError::NotValidForName => TlsError::WrongName {
                expected: host.to_owned(),
                presented: Vec::new(),
            },
            CertificateError::UnknownIssuer => TlsError::Untrusted {
                server: host.to_owned(),
                verified_only: self.verified_only,
            },
            CertificateError::ApplicationVerificationFailure => TlsError::NotPinned,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsError::NotInTime { source },
            _ => TlsError::Certificate { source },
        }
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<dyn ServerCertVerifier>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(|source| TlsError::Roots { source })?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier))
        .with_no_client_auth())
}

fn verifier(
    policy: &TlsPolicy,
    verified_only: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if let Some(path) = &policy.server_certificate {
        let certificate = read_certificate(path)?;
        return Ok(Arc::new(ByRule::exactly(certificate, provider)));
    }
    if (policy.trust_server_certificate || policy.encrypt == Encrypt::Disable) && !verified_only {
        return Ok(Arc::new(ByRule::any(provider)));
    }
    let mut roots: Vec<CertificateDer<'static>> = policy
        .extra_roots
        .iter()
        .map(|root| CertificateDer::from(root.clone()))
        .collect();
    if let Some(path) = &policy.ca_file {
        roots.push(read_certificate(path)?);
    }
    let chain = Verifier::new_with_extra_roots(roots, Arc::clone(provider))
        .map_err(|source| TlsError::Roots { source })?;
    Ok(match &policy.host_name_in_certificate {
        None => Arc::new(chain),
        Some(name) => Arc::new(Renamed {
            name: name_in_certificate(name)?,
            inner: Arc::new(chain),
        }),
    })
}

/// The name to look for. `*.example.com` stands for the very wildcard: a label
/// that nobody can guess is in no certificate, except by that wildcard.
fn name_in_certificate(name: &str) -> Result<ServerName<'static>, TlsError> {
    match name.strip_prefix("*.") {
        Some(parent) => {
            let label = fastrand::u128(..);
            server_name(&format!("w{label:032x}.{parent}")).map_err(|_| TlsError::Name {
                name: name.to_owned(),
            })
        }
        None => server_name(name),
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let host = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name {
        name: host.to_owned(),
    })
}

/// The first certificate of a PEM file, or a DER file as a whole.
fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, TlsError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|source| TlsError::File {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
    let no_certificate = || TlsError::NoCertificate {
        path: path.to_owned(),
    };
    let certificate = if bytes.windows(10).any(|part| part == b"-----BEGIN") {
        CertificateDer::from_pem_slice(&bytes).map_err(|_| no_certificate())?
    } else {
        CertificateDer::from(bytes)
    };
    // Parses it, so that a wrong file is named here and not at the first login.
    rustls::server::ParsedCertificate::try_from(&certificate).map_err(|_| no_certificate())?;
    Ok(certificate)
}

fn or_nobody(names: &[String]) -> String {
    if names.is_empty() {
        "nobody (it holds no subject alternative name)".to_owned()
    } else {
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    }
}

fn trust_hint(verified_only: bool) -> &'static str {
    if verified_only {
        " (TrustServerCertificate does not help: neither a token nor a strict connection goes to a server that is not verified)"
    } else {
        ", or accept any certificate by TrustServerCertificate=true"
    }
}

fn strict_hint(strict: bool) -> &'static str {
    if strict {
        "; it may not speak TDS 8.0: try Encrypt=mandatory"
    } else {
        ""
    }
}
