//! The certificate that a listener shows, and the next one in its place.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use super::authority::{Authority, RENEW_BEFORE};
use super::{CertificateError, files};

/// A certificate of the configuration is warned about this long before its end.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// After a renewal that failed.
const RETRY: Duration = Duration::from_secs(60 * 60);

/// What may be known of a certificate that clients are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct CertificateInfo {
    /// The names and addresses that it is for.
    pub(in super::super) names: Vec<String>,
    pub(in super::super) not_after: SystemTime,
    /// SHA-256 of the certificate, as upper-case pairs with colons.
    pub(in super::super) fingerprint: String,
    /// Whether the local authority made it.
    pub(in super::super) local: bool,
}

/// The certificate in force. One that was made here is replaced at a handshake
/// when its end is near; connections go on with what they have.
#[derive(Debug)]
pub(super) struct InForce {
    current: ArcSwap<Current>,
    made_by: Option<(Arc<Authority>, Vec<String>)>,
    /// Held by the one who renews; nobody waits for it.
    renewing: Mutex<()>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    info: Arc<CertificateInfo>,
    /// `None` for one that is not ours to renew.
    renew_at: Option<SystemTime>,
}

impl InForce {
    /// The configuration's own.
    pub(super) fn read(
        chain: &Path,
        key: &Path,
        now: SystemTime,
    ) -> Result<Self, CertificateError> {
        let key = files::read(chain, key)?;
        let info = info(&key.cert, false).ok_or_else(|| CertificateError::NoCertificate {
            path: chain.to_owned(),
        })?;
        if info.not_after <= now {
            return Err(CertificateError::Ended {
                path: chain.to_owned(),
                ended: jiff::Timestamp::try_from(info.not_after).unwrap_or_default(),
            });
        }
        if info.not_after <= now + WARN_BEFORE {
            let days = info
                .not_after
                .duration_since(now)
                .unwrap_or_default()
                .as_secs()
                / 86400;
            tracing::warn!(path = %chain.display(), days, "the certificate ends soon; renew it and reload");
        }
        Ok(Self::new(
            Current {
                key: Arc::new(key),
                info: Arc::new(info),
                renew_at: None,
            },
            None,
        ))
    }

    /// One made here, renewed in time.
    pub(super) fn make(
        authority: Arc<Authority>,
        names: &[String],
        now: SystemTime,
    ) -> Result<Self, CertificateError> {
        let current = made(&authority, names, now)?;
        Ok(Self::new(current, Some((authority, names.to_vec()))))
    }

    pub(super) fn info(&self) -> Arc<CertificateInfo> {
        Arc::clone(&self.current.load().info)
    }

    fn new(current: Current, made_by: Option<(Arc<Authority>, Vec<String>)>) -> Self {
        Self {
            current: ArcSwap::from_pointee(current),
            made_by,
            renewing: Mutex::default(),
        }
    }

    /// What to show at this time.
    pub(super) fn at(&self, now: SystemTime) -> Arc<CertifiedKey> {
        let current = self.current.load();
        let due = current.renew_at.is_some_and(|renew_at| renew_at <= now);
        if !due {
            return Arc::clone(&current.key);
        }
        drop(current);
        self.renew(now);
        Arc::clone(&self.current.load().key)
    }

    fn renew(&self, now: SystemTime) {
        let (Some((authority, names)), Ok(_renewing)) = (&self.made_by, self.renewing.try_lock())
        else {
            return;
        };
        let next = made(authority, names, now).unwrap_or_else(|error| {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the certificate for clients cannot be renewed");
            let current = self.current.load();
            Current {
                key: Arc::clone(&current.key),
                info: Arc::clone(&current.info),
                renew_at: Some(now + RETRY),
            }
        });
        tracing::debug!(
            fingerprint = next.info.fingerprint,
            "a new certificate for clients"
        );
        self.current.store(Arc::new(next));
    }
}

impl ResolvesServerCert for InForce {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.at(SystemTime::now()))
    }
}

fn made(
    authority: &Authority,
    names: &[String],
    now: SystemTime,
) -> Result<Current, CertificateError> {
    let made = authority.issue(names, now)?;
    let der = PrivatePkcs8KeyDer::from(made.key.serialize_der());
    let key = files::certified(made.chain, &mut PrivateKeyDer::from(der))
        .map_err(|source| CertificateError::Tls { source })?;
    let info = info(&key.cert, true).ok_or(rcgen::Error::CouldNotParseCertificate)?;
    // An authority near its own end makes short ones; then there is nothing to
    // gain from another.
    let renew_at = (info.not_after.checked_sub(RENEW_BEFORE)).filter(|renew_at| *renew_at > now);
    Ok(Current {
        key: Arc::new(key),
        renew_at: Some(renew_at.unwrap_or(now + RETRY)),
        info: Arc::new(info),
    })
}

fn info(chain: &[CertificateDer<'_>], local: bool) -> Option<CertificateInfo> {
    let der = chain.first()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten();
    Some(CertificateInfo {
        names: names
            .into_iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(printed)
            .collect(),
        not_after: UNIX_EPOCH + Duration::from_secs(seconds),
        fingerprint: fingerprint(der),
        local,
    })
}

fn printed(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, der);
    hash.as_ref()
        .iter()
        .fold(String::with_capacity(96), |mut text, byte| {
            let colon = if text.is_empty() { "" } else { ":" };
            let _ = write!(text, "{colon}{byte:02X}");
            text
        })
}
