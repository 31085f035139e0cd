//! From files to a certificate with its key.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p12_keystore::Pkcs12Archive;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::super::regular_file::{self, Unread};
use super::pem::{self, Section};
use super::{CertificateError, Files};
use crate::secret::Secret;

/// A certificate that is ready to sign.
pub(super) struct Loaded {
    pub(super) key: RsaKeyPair,
    /// The SHA-256 of the certificate, base64url.
    pub(super) thumbprint: String,
    /// The certificate and those of its issuers that are there, base64.
    pub(super) chain: Vec<String>,
    /// Seconds since 1970.
    pub(super) begins: u64,
    /// Seconds since 1970.
    pub(super) ends: u64,
}

impl Loaded {
    pub(super) fn read(files: &Files) -> Result<Self, CertificateError> {
        let mut parts = Parts::default();
        for file in [Some(&files.certificate), files.key.as_ref()] {
            let Some(file) = file else { continue };
            parts.add(&read(file)?, files.password.as_ref())?;
        }
        parts.join()
    }
}

/// When files were changed last, and how long they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(Option<SystemTime>, u64)>);

impl Stamp {
    pub(super) fn of(files: &Files) -> Result<Self, CertificateError> {
        let files = [Some(&files.certificate), files.key.as_ref()];
        let stamps = files.into_iter().flatten().map(|file| {
            let about = fs::metadata(file).map_err(CertificateError::Unreadable)?;
            Ok((about.modified().ok(), about.len()))
        });
        stamps.collect::<Result<_, _>>().map(Self)
    }
}

/// What the files hold.
#[derive(Default)]
struct Parts {
    /// As DER.
    certificates: Vec<Vec<u8>>,
    key: Option<RsaKeyPair>,
}

impl Parts {
    fn add(&mut self, bytes: &[u8], password: Option<&Secret>) -> Result<(), CertificateError> {
        if !pem::is_pem(bytes) {
            return self.add_pkcs12(bytes, password);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| malformed("text", error))?;
        for section in pem::sections(text) {
            match section.label {
                "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                    self.certificates
                        .push(bytes_of(&section, "certificate")?.to_vec());
                }
                label if label.ends_with("PRIVATE KEY") && self.key.is_none() => {
                    self.key = Some(pem_key(&section, password)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_pkcs12(
        &mut self,
        bytes: &[u8],
        password: Option<&Secret>,
    ) -> Result<(), CertificateError> {
        let text = password.map_or("", Secret::expose);
        let archive = Pkcs12Archive::from_pkcs12(bytes, text).map_err(|error| match error {
            p12_keystore::error::Error::MacError(_) if password.is_none() => {
                CertificateError::PasswordMissing
            }
            p12_keystore::error::Error::MacError(_) => CertificateError::WrongPassword,
            other => malformed("content (neither PEM nor PKCS#12)", other),
        })?;
        let certificates = archive.certs.iter();
        self.certificates
            .extend(certificates.map(|bag| bag.cert.as_der().to_vec()));
        if let (None, Some(bag)) = (&self.key, archive.keys.first()) {
            self.key = Some(pkcs8_key(bag.key.as_der())?);
        }
        Ok(())
    }

    /// Finds the certificate of the key, and its issuers.
    fn join(self) -> Result<Loaded, CertificateError> {
        if self.certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = self.key.ok_or(CertificateError::NoKey)?;
        let parsed: Vec<_> = self
            .certificates
            .iter()
            .map(|der| parse(der))
            .collect::<Result<_, _>>()?;
        let ours = |certificate: &X509Certificate<'_>| {
            *certificate.public_key().subject_public_key.data == *key.public_key().as_ref()
        };
        let leaf = parsed.iter().position(ours);
        let leaf = leaf.ok_or(CertificateError::Mismatch)?;
        let mut order = vec![leaf];
        let mut last = leaf;
        loop {
            let issuer = parsed[last].issuer();
            let next = parsed.iter().position(|other| other.subject() == issuer);
            match next {
                Some(next) if !order.contains(&next) => {
                    order.push(next);
                    last = next;
                }
                _ => break,
            }
        }
        let validity = parsed[leaf].validity();
        let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
        Ok(Loaded {
            thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.certificates[leaf])),
            chain: order
                .iter()
                .map(|index| STANDARD.encode(&self.certificates[*index]))
                .collect(),
            begins: seconds(validity.not_before.timestamp()),
            ends: seconds(validity.not_after.timestamp()),
            key,
        })
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(malformed("certificate", error)),
    }
}

fn pem_key(
    section: &Section<'_>,
    password: Option<&Secret>,
) -> Result<RsaKeyPair, CertificateError> {
    if section.has_headers {
        return Err(CertificateError::Encryption);
    }
    let bytes = bytes_of(section, "private key")?;
    match section.label {
        "RSA PRIVATE KEY" => {
            RsaKeyPair::from_der(bytes).map_err(|error| malformed("private key", error))
        }
        "PRIVATE KEY" => pkcs8_key(bytes),
        "ENCRYPTED PRIVATE KEY" => {
            let password = password.ok_or(CertificateError::PasswordMissing)?;
            let sealed = EncryptedPrivateKeyInfoRef::try_from(&bytes[..])
                .map_err(|error| malformed("private key", error))?;
            if sealed.encryption_algorithm.pbes2().is_none() {
                return Err(CertificateError::Encryption);
            }
            match sealed.decrypt(password.expose()) {
                Ok(opened) => pkcs8_key(opened.as_bytes()),
                Err(pkcs8::Error::EncryptedPrivateKey(
                    pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. },
                )) => Err(CertificateError::Encryption),
                Err(_) => Err(CertificateError::WrongPassword),
            }
        }
        "EC PRIVATE KEY" => Err(CertificateError::KeyKind {
            kind: "an elliptic-curve key",
        }),
        _ => Err(CertificateError::KeyKind {
            kind: "of an unknown kind",
        }),
    }
}

fn pkcs8_key(bytes: &[u8]) -> Result<RsaKeyPair, CertificateError> {
    let about =
        PrivateKeyInfoRef::try_from(bytes).map_err(|error| malformed("private key", error))?;
    let kind = match about.algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => {
            let key = RsaKeyPair::from_pkcs8(bytes);
            return key.map_err(|error| malformed("private key", error));
        }
        "1.2.840.10045.2.1" => "an elliptic-curve key",
        "1.2.840.113549.1.1.10" => "an RSA key for PSS only",
        "1.3.101.112" | "1.3.101.113" => "an Edwards-curve key",
        _ => "of an unknown kind",
    };
    Err(CertificateError::KeyKind { kind })
}

fn bytes_of<'a>(
    section: &'a Section<'_>,
    part: &'static str,
) -> Result<&'a Zeroizing<Vec<u8>>, CertificateError> {
    let missing = CertificateError::Malformed { part, cause: None };
    section.bytes.as_ref().ok_or(missing)
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    regular_file::read(file, MAX).map_err(|unread| match unread {
        Unread::NotAFile => CertificateError::NotAFile,
        Unread::TooLarge => CertificateError::TooLarge {
            max: u64::try_from(MAX).unwrap_or(u64::MAX),
        },
        Unread::Io(cause) => CertificateError::Unreadable(cause),
    })
}

fn malformed(
    part: &'static str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> CertificateError {
    CertificateError::Malformed {
        part,
        cause: Some(Box::new(cause)),
    }
}

/// No certificate with its chain and key is larger.
const MAX: usize = 1 << 20;
