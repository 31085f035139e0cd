//! The local certificate authority and the gateway's certificate.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use crate::emulator::state_dir::StateDir;
use crate::emulator::{Clock, EmulatorError};

const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const SERVER_CERTIFICATE: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
const SERVER_ABOUT: &str = "server.json";

const DAY: u64 = 24 * 60 * 60;
const CA_DAYS: u64 = 3650;
/// Some platforms refuse server certificates that are valid for longer than 825 days.
const SERVER_DAYS: u64 = 800;
/// A kept certificate with less than this left is made anew.
const RENEW_DAYS: u64 = 30;

/// The authority's certificate, and the server's with its key.
pub(crate) struct Certificates {
    ca_pem: String,
    server_pem: String,
    server_key_pem: String,
}

/// What a kept server certificate was made for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    names: Vec<String>,
    not_after: i64,
}

/// A certificate and its key.
struct Pair {
    certificate_pem: String,
    key: KeyPair,
}

impl Certificates {
    /// Those of the state folder as far as they fit, new ones otherwise. `names` are DNS names or
    /// IP addresses; a DNS name may begin with `*.`.
    pub(crate) fn load_or_make(
        state: Option<&StateDir>,
        names: &[String],
        clock: &Clock,
    ) -> Result<Self, EmulatorError> {
        let today = u64::try_from(clock.now()).unwrap_or_default();
        let kept_ca = state.map(load_ca).transpose()?.flatten();
        let kept_server = state
            .map(|s| load_server(s, names, today))
            .transpose()?
            .flatten();
        if let (Some(ca), Some((server_pem, server_key_pem))) = (&kept_ca, kept_server) {
            let ca_pem = ca.certificate_pem.clone();
            return Ok(Self {
                ca_pem,
                server_pem,
                server_key_pem,
            });
        }
        let ca = match kept_ca {
            Some(ca) => ca,
            None => make_ca(state, today)?,
        };
        let ca_pem = ca.certificate_pem.clone();
        let server = make_server(ca, state, names, today)?;
        Ok(Self {
            ca_pem,
            server_pem: server.certificate_pem,
            server_key_pem: server.key.serialize_pem(),
        })
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn server_pem(&self) -> &str {
        &self.server_pem
    }

    /// The authority's certificate.
    pub(crate) fn ca_der(&self) -> Result<CertificateDer<'static>, EmulatorError> {
        certificate_of(&self.ca_pem, "authority's")
    }

    /// The chain to present and the key to prove it with.
    pub(crate) fn server(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), EmulatorError> {
        let certificate = certificate_of(&self.server_pem, "server's")?;
        let key = PrivateKeyDer::from_pem_slice(self.server_key_pem.as_bytes())
            .map_err(|_| unreadable("server's"))?;
        Ok((vec![certificate, self.ca_der()?], key))
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

fn load_ca(state: &StateDir) -> Result<Option<Pair>, EmulatorError> {
    let (Some(certificate_pem), Some(key)) = (state.read(CA_CERTIFICATE)?, state.read(CA_KEY)?)
    else {
        return Ok(None);
    };
    let key = KeyPair::from_pem(&key).map_err(|_| state.damaged(CA_KEY))?;
    certificate_of(&certificate_pem, "authority's").map_err(|_| state.damaged(CA_CERTIFICATE))?;
    Ok(Some(Pair {
        certificate_pem,
        key,
    }))
}

fn load_server(
    state: &StateDir,
    names: &[String],
    now: u64,
) -> Result<Option<(String, String)>, EmulatorError> {
    let Some(about) = state.read(SERVER_ABOUT)? else {
        return Ok(None);
    };
    let about: About = serde_json::from_str(&about).map_err(|_| state.damaged(SERVER_ABOUT))?;
    let needed_until = i64::try_from(now + RENEW_DAYS * DAY).unwrap_or(i64::MAX);
    if about.names != names || about.not_after < needed_until {
        return Ok(None);
    }
    match (state.read(SERVER_CERTIFICATE)?, state.read(SERVER_KEY)?) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        _ => Ok(None),
    }
}

fn make_ca(state: Option<&StateDir>, now: u64) -> Result<Pair, EmulatorError> {
    let make = || {
        let key = KeyPair::generate()?;
        let mut params = ca_params()?;
        validity(&mut params, now, CA_DAYS);
        Ok(Pair {
            certificate_pem: params.self_signed(&key)?.pem(),
            key,
        })
    };
    let ca: Pair = make().map_err(|source| failed("authority's", source))?;
    if let Some(state) = state {
        state.write_private(CA_KEY, &ca.key.serialize_pem())?;
        state.write_public(CA_CERTIFICATE, &ca.certificate_pem)?;
    }
    Ok(ca)
}

fn make_server(
    ca: Pair,
    state: Option<&StateDir>,
    names: &[String],
    now: u64,
) -> Result<Pair, EmulatorError> {
    let make = || {
        let key = KeyPair::generate()?;
        let mut params = server_params(names)?;
        validity(&mut params, now, SERVER_DAYS);
        let issuer = Issuer::new(ca_params()?, ca.key);
        Ok(Pair {
            certificate_pem: params.signed_by(&key, &issuer)?.pem(),
            key,
        })
    };
    let server: Pair = make().map_err(|source| failed("server's", source))?;
    if let Some(state) = state {
        let not_after = i64::try_from(now + SERVER_DAYS * DAY).unwrap_or(i64::MAX);
        let about = About {
            names: names.to_vec(),
            not_after,
        };
        state.write_private(SERVER_KEY, &server.key.serialize_pem())?;
        state.write_public(SERVER_CERTIFICATE, &server.certificate_pem)?;
        state.write_public(SERVER_ABOUT, &serde_json::json!(about).to_string())?;
    }
    Ok(server)
}

/// The authority's constant parameters, from which its issuer name can be made again.
fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Entrada emulator CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server_params(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// From yesterday, for clocks that run late.
fn validity(params: &mut CertificateParams, now: u64, days: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(DAY));
    params.not_after = epoch + Duration::from_secs(now + days * DAY);
}

fn certificate_of(pem: &str, what: &'static str) -> Result<CertificateDer<'static>, EmulatorError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable(what))
}

fn unreadable(what: &'static str) -> EmulatorError {
    failed(what, rcgen::Error::CouldNotParseCertificate)
}

fn failed(what: &'static str, source: rcgen::Error) -> EmulatorError {
    EmulatorError::Certificate { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn kept_certificates_change_only_with_the_names_or_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let clock = Clock::new();
        let make =
            |all: &[&str]| Certificates::load_or_make(Some(&state), &names(all), &clock).unwrap();
        let first = make(&["localhost", "127.0.0.1"]);
        let second = make(&["localhost", "127.0.0.1"]);
        assert_eq!(first.server_pem(), second.server_pem());
        let renamed = make(&["localhost", "*.database.windows.net"]);
        assert_ne!(first.server_pem(), renamed.server_pem());
        clock.advance(Duration::from_secs((SERVER_DAYS - RENEW_DAYS + 1) * DAY));
        let renewed = make(&["localhost", "*.database.windows.net"]);
        assert_ne!(renewed.server_pem(), renamed.server_pem());
        assert_eq!(first.ca_pem(), renewed.ca_pem());
        renewed.server().unwrap();
    }
}
