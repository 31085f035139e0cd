//! The server's certificate, in words.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Names beyond these are counted only.
const MAX_NAMES: usize = 3;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// The organisation that issued it, or an empty text.
    pub(super) issuer_organisation: String,
    pub(super) names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(super) ends: i64,
    /// The same in UTC.
    pub(super) ends_on: String,
}

impl Certificate {
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let ends = certificate.validity().not_after.timestamp();
        let ends_on = jiff::Timestamp::from_second(ends);
        let organisation = certificate.issuer().iter_organization().next();
        Some(Self {
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            issuer_organisation: organisation
                .and_then(|it| it.as_str().ok())
                .unwrap_or_default()
                .to_owned(),
            names: alternative_names(&certificate),
            ends,
            ends_on: ends_on.map_or_else(|_| ends.to_string(), |at| at.to_string()),
        })
    }

    /// The names that it is made out to, the first few.
    pub(super) fn made_out_to(&self) -> String {
        let mut text = self
            .names
            .iter()
            .take(MAX_NAMES)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        match self.names.len() {
            0 => return "nobody".to_owned(),
            many if many > MAX_NAMES => {
                text.push_str(&format!(" and {} more", many - MAX_NAMES));
            }
            _ => {}
        }
        text
    }
}

/// The common name, or all of it if there is none.
fn name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next();
    match common.and_then(|it| it.as_str().ok()) {
        Some(common) => common.to_owned(),
        None => name.to_string(),
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match bytes {
                [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
                bytes => {
                    let bytes: [u8; 16] = (*bytes).try_into().ok()?;
                    Some(std::net::Ipv6Addr::from(bytes).to_string())
                }
            },
            _ => None,
        })
        .collect()
}
