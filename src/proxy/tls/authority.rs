//! The local certificate authority: made once, kept, and bound to a few names,
//! so that whoever steals its key cannot pose as the rest of the world.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use super::{CertificateError, folder};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_DAYS: u32 = 3650;
/// An authority with less than this left is made anew at a start.
const CA_SPARE_DAYS: u32 = 30;
/// Nobody needs to know a certificate made here, only its authority: it can be
/// short-lived, and its key never leaves the memory.
const SERVER_DAYS: u32 = 30;
/// It is made anew when this much of its time is left.
pub(super) const RENEW_BEFORE: Duration = DAY.saturating_mul(10);

/// The local certificate authority.
pub(super) struct Authority {
    key: Zeroizing<KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    permitted: Vec<Permitted>,
    not_after: SystemTime,
    /// Where it is kept.
    path: Option<PathBuf>,
}

/// A certificate made here.
pub(super) struct Made {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: Zeroizing<KeyPair>,
}

/// Names that the authority may vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Permitted {
    /// This name and all below it.
    Dns(String),
    /// The bytes of address and mask.
    Addresses(Vec<u8>),
}

impl Authority {
    /// The one of the folder, or a new one, which is kept there; without a
    /// folder a new one. A new one may vouch for `names` too.
    pub(super) fn open(
        state_dir: Option<&Path>,
        names: &[String],
        now: SystemTime,
    ) -> Result<Self, CertificateError> {
        let Some(state_dir) = state_dir else {
            return Ok(Self::make(names, now)?.0);
        };
        let path = folder::path_of(state_dir);
        let kept = folder::read(state_dir)?
            .map(|text| Self::parse(&text, &path))
            .transpose()?;
        let replace = kept.is_some();
        if let Some(kept) = kept {
            if kept.not_after > now + DAY * CA_SPARE_DAYS {
                return Ok(kept);
            }
            tracing::warn!(path = %path.display(), "the local CA ends; a new one is made, whose certificate clients need");
        }
        let (mut made, text) = Self::make(names, now)?;
        if folder::write(state_dir, &text, replace)? {
            made.path = Some(path);
            return Ok(made);
        }
        // Another process made one at the same time; there is to be one only.
        match folder::read(state_dir)? {
            Some(text) => Self::parse(&text, &path),
            None => Err(CertificateError::Damaged { path }),
        }
    }

    /// For clients to trust.
    pub(super) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(super) fn see_that_it_permits(&self, names: &[String]) -> Result<(), CertificateError> {
        match names.iter().find(|name| !self.permits(name)) {
            None => Ok(()),
            Some(name) => Err(CertificateError::NotPermitted {
                path: self.path.clone().unwrap_or_default(),
                name: name.clone(),
            }),
        }
    }

    /// Whether it may vouch for the name.
    fn permits(&self, name: &str) -> bool {
        self.permitted.iter().any(|permitted| permitted.fits(name))
    }

    /// A server's certificate for this machine, and for `names` beside.
    pub(super) fn issue(
        &self,
        names: &[String],
        now: SystemTime,
    ) -> Result<Made, CertificateError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        for name in own_names().iter().filter(|name| self.permits(name)) {
            params.subject_alt_names.push(alt_name(name)?);
        }
        self.see_that_it_permits(names)?;
        for name in names {
            let name = alt_name(name)?;
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let end = self.not_after.min(now + DAY * SERVER_DAYS);
        validity(&mut params, now, end);
        let key = Zeroizing::new(KeyPair::generate()?);
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &*self.key)?;
        let certificate = params.signed_by(&*key, &issuer)?;
        Ok(Made {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key,
        })
    }

    /// A new authority, and the text to keep it by.
    fn make(
        names: &[String],
        now: SystemTime,
    ) -> Result<(Self, Zeroizing<String>), CertificateError> {
        let mut permitted = vec![
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(LOOPBACK_V6, 128)),
        ];
        let own = own_names();
        let hosts = own.iter().filter(|name| name.parse::<IpAddr>().is_err());
        for name in hosts.chain(names) {
            let subtree = subtree(name)?;
            if !permitted.contains(&subtree) {
                permitted.push(subtree);
            }
        }
        let mut params = CertificateParams::default();
        let machine = machine_name().unwrap_or_else(|| "this machine".to_owned());
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Entrada local CA ({machine})"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted,
            excluded_subtrees: Vec::new(),
        });
        validity(&mut params, now, now + DAY * CA_DAYS);
        let key = Zeroizing::new(KeyPair::generate()?);
        let certificate_pem = params.self_signed(&*key)?.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());
        let mut text = Zeroizing::new(String::with_capacity(key_pem.len() + certificate_pem.len()));
        text.push_str(&key_pem);
        text.push_str(&certificate_pem);
        let made = Self::parse(text.as_bytes(), Path::new(""))?;
        Ok((Self { path: None, ..made }, text))
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, CertificateError> {
        let damaged = || CertificateError::Damaged {
            path: path.to_owned(),
        };
        let pem = std::str::from_utf8(text).map_err(|_| damaged())?;
        let key = Zeroizing::new(KeyPair::from_pem(pem).map_err(|_| damaged())?);
        let certificate = CertificateDer::from_pem_slice(text).map_err(|_| damaged())?;
        let start = pem.find("-----BEGIN CERTIFICATE").ok_or_else(damaged)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| damaged())?;
        if parsed.public_key().raw != rcgen::PublicKeyData::subject_public_key_info(&*key) {
            return Err(damaged());
        }
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let constraints = parsed.name_constraints().map_err(|_| damaged())?;
        let permitted = constraints
            .and_then(|constraints| constraints.value.permitted_subtrees.as_ref())
            .into_iter()
            .flatten()
            .filter_map(|subtree| Permitted::of(&subtree.base))
            .collect();
        Ok(Self {
            key,
            permitted,
            not_after: UNIX_EPOCH + Duration::from_secs(seconds),
            certificate_pem: pem.get(start..).unwrap_or_default().to_owned(),
            certificate,
            path: Some(path.to_owned()),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("permitted", &self.permitted)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Permitted {
    fn of(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::DNSName(name) => Some(Self::Dns((*name).to_owned())),
            GeneralName::IPAddress(bytes) => Some(Self::Addresses(bytes.to_vec())),
            _ => None,
        }
    }

    fn fits(&self, name: &str) -> bool {
        match (self, name.parse::<IpAddr>()) {
            (Self::Dns(base), Err(_)) => {
                let name = bare(name).to_ascii_lowercase();
                name == *base
                    || name
                        .strip_suffix(base.as_str())
                        .is_some_and(|rest| rest.ends_with('.'))
            }
            (Self::Addresses(range), Ok(address)) => {
                let octets = match address {
                    IpAddr::V4(address) => address.octets().to_vec(),
                    IpAddr::V6(address) => address.octets().to_vec(),
                };
                let (network, mask) = range.split_at(range.len() / 2);
                octets.len() == network.len()
                    && (octets.iter().zip(mask).zip(network))
                        .all(|((octet, mask), network)| octet & mask == *network)
            }
            _ => false,
        }
    }
}

/// That every name can stand in a certificate.
pub(super) fn check_names(names: &[String]) -> Result<(), CertificateError> {
    names.iter().try_for_each(|name| subtree(name).map(|_| ()))
}

const LOOPBACK_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// What every certificate made here is for.
fn own_names() -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(machine_name().filter(|name| name != "localhost"));
    names
}

/// The machine's name, if it can stand in a certificate.
fn machine_name() -> Option<String> {
    let name = hostname::get().ok()?.into_string().ok()?;
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    matches!(
        ServerName::try_from(name.as_str()),
        Ok(ServerName::DnsName(_))
    )
    .then_some(name)
}

/// Without the asterisk of a wildcard.
fn bare(name: &str) -> &str {
    name.strip_prefix("*.").unwrap_or(name)
}

fn subtree(name: &str) -> Result<GeneralSubtree, CertificateError> {
    match ServerName::try_from(bare(name)) {
        Ok(ServerName::DnsName(dns)) => {
            Ok(GeneralSubtree::DnsName(dns.as_ref().to_ascii_lowercase()))
        }
        Ok(ServerName::IpAddress(address)) => {
            let address = IpAddr::from(address);
            let bits = if address.is_ipv4() { 32 } else { 128 };
            Ok(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                address, bits,
            )))
        }
        _ => Err(CertificateError::Name {
            name: name.to_owned(),
        }),
    }
}

fn alt_name(name: &str) -> Result<SanType, CertificateError> {
    Ok(match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.to_ascii_lowercase().as_str().try_into()?),
    })
}

/// From yesterday, for clocks that run late.
fn validity(params: &mut CertificateParams, now: SystemTime, end: SystemTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + since(now).saturating_sub(DAY);
    params.not_after = epoch + since(end);
}
