//! Certificates towards clients: those of the configuration, or one made here.
//!
//! ```text
//!  ClientTls ──► Certificates::listener ──► ListenerTls ──► tunnelled (TLS 1.2), strict (1.2, 1.3)
//!                        │                       │
//!                        ▼                       ▼
//!                state folder: CA          certificate in force: replaced before it ends
//! ```
//!
//! A reload makes every [`ListenerTls`] anew and so reads the files again;
//! clients that are connected keep the one that they shook hands with.

mod authority;
mod error;
mod files;
mod folder;
mod in_force;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedProtocolVersion, server::ResolvesServerCert};

use self::authority::Authority;
pub use self::error::CertificateError;
pub(super) use self::in_force::CertificateInfo;
use self::in_force::InForce;
use super::config::{ClientTls, TlsMode};

/// MS-TDS 1.7: the protocol name of TDS 8.0.
const ALPN: &[u8] = b"tds/8.0";

/// What signs the certificates that are made here. It lives as long as the
/// proxy, so that a reload changes nothing for those who trust it.
#[derive(Debug)]
pub(super) struct Certificates {
    state_dir: Option<PathBuf>,
    authority: Mutex<Option<Arc<Authority>>>,
}

/// The TLS of one listener.
#[derive(Debug)]
pub(super) struct ListenerTls {
    pub(super) mode: TlsMode,
    served: Option<Served>,
}

/// What a handshake needs.
#[derive(Debug)]
struct Served {
    certificate: Arc<InForce>,
    tunnelled: Arc<ServerConfig>,
    strict: Arc<ServerConfig>,
}

/// The certificate of the local authority in PEM form, for clients to trust. It
/// is made if the folder holds none: one that may vouch for this machine, and
/// for `names`, which are those of all listeners ([`ClientTls::names`]).
///
/// # Errors
/// When the folder cannot be used, or the authority was made for other names.
pub fn ca_certificate(state_dir: &Path, names: &[String]) -> Result<String, CertificateError> {
    let authority = Authority::open(Some(state_dir), names, SystemTime::now())?;
    authority.see_that_it_permits(names)?;
    Ok(authority.certificate_pem().to_owned())
}

/// Where the local authority is kept, its key included.
#[must_use]
pub fn ca_file(state_dir: &Path) -> PathBuf {
    folder::path_of(state_dir)
}

/// Reads the files that a listener names, and changes nothing.
pub(super) fn check(config: &ClientTls) -> Result<(), CertificateError> {
    match &config.certificate {
        Some((chain, key)) if config.mode != TlsMode::Off => {
            InForce::read(chain, key, SystemTime::now()).map(|_| ())
        }
        _ => authority::check_names(&config.names),
    }
}

impl Certificates {
    /// Nothing is read or made yet.
    pub(super) fn new(state_dir: Option<&Path>) -> Self {
        Self {
            state_dir: state_dir.map(Path::to_owned),
            authority: Mutex::default(),
        }
    }

    /// The TLS of a listener: its files are read, or a certificate is made.
    pub(super) fn listener(&self, config: &ClientTls) -> Result<ListenerTls, CertificateError> {
        let served = match config.mode {
            TlsMode::Off => None,
            TlsMode::Optional | TlsMode::Required | TlsMode::Strict => {
                let now = SystemTime::now();
                let certificate = match &config.certificate {
                    Some((chain, key)) => InForce::read(chain, key, now)?,
                    None => InForce::make(self.authority(&config.names, now)?, &config.names, now)?,
                };
                Some(Served::new(Arc::new(certificate))?)
            }
        };
        Ok(ListenerTls {
            mode: config.mode,
            served,
        })
    }

    /// One that vouches for the names. One that is kept nowhere gives way to
    /// another, as nobody can have come to trust it.
    fn authority(
        &self,
        names: &[String],
        now: SystemTime,
    ) -> Result<Arc<Authority>, CertificateError> {
        let mut known = self
            .authority
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(authority) = &*known {
            let permitted = authority.see_that_it_permits(names);
            if permitted.is_ok() || self.state_dir.is_some() {
                return permitted.map(|()| Arc::clone(authority));
            }
        }
        let authority = Arc::new(Authority::open(self.state_dir.as_deref(), names, now)?);
        authority.see_that_it_permits(names)?;
        *known = Some(Arc::clone(&authority));
        Ok(authority)
    }
}

impl ListenerTls {
    /// For a handshake inside PRELOGIN packets; `None` without TLS.
    pub(super) fn tunnelled(&self) -> Option<Arc<ServerConfig>> {
        self.served
            .as_ref()
            .map(|served| Arc::clone(&served.tunnelled))
    }

    /// For TLS that comes first (TDS 8.0); `None` without TLS.
    pub(super) fn strict(&self) -> Option<Arc<ServerConfig>> {
        self.served
            .as_ref()
            .map(|served| Arc::clone(&served.strict))
    }

    /// The certificate that clients are shown now; `None` without TLS.
    pub(super) fn certificate(&self) -> Option<Arc<CertificateInfo>> {
        Some(self.served.as_ref()?.certificate.info())
    }
}

impl Served {
    fn new(certificate: Arc<InForce>) -> Result<Self, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Drivers do not get past a tunnelled handshake of TLS 1.3, whose
        // tickets follow its end; SQL Server has 1.3 for TDS 8.0 only.
        let mut tunnelled = config(&certificate, &provider, &[&TLS12])?;
        tunnelled.session_storage = Arc::new(NoServerSessionStorage {});
        let mut strict = config(&certificate, &provider, &[&TLS13, &TLS12])?;
        // Who offers no ALPN is taken too (MS-TDS 1.9), who offers only others
        // is not.
        strict.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            certificate,
            tunnelled: Arc::new(tunnelled),
            strict: Arc::new(strict),
        })
    }
}

fn config(
    certificate: &Arc<InForce>,
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ServerConfig, CertificateError> {
    let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(certificate) as _;
    Ok(ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(|source| CertificateError::Tls { source })?
        .with_no_client_auth()
        .with_cert_resolver(resolver))
}
