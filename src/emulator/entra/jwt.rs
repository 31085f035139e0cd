//! An assertion taken apart, and whether a key has signed it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use serde::Deserialize;

/// A JSON Web Token that is not yet believed.
pub(super) struct Jwt {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// What the signature is over.
    signed: String,
    signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<String>,
    x5c: Option<Chain>,
}

/// A chain of certificates, or as some write it, the only one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Chain {
    Many(Vec<String>),
    One(String),
}

/// Numbers may have fractions (RFC 7519, 2).
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) iss: String,
    #[serde(default)]
    pub(super) sub: String,
    #[serde(default)]
    aud: Audience,
    pub(super) exp: Option<f64>,
    pub(super) nbf: Option<f64>,
    pub(super) idtyp: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    Many(Vec<String>),
    One(String),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Claims {
    /// The audience; a token for several has none that counts.
    pub(super) fn audience(&self) -> &str {
        match &self.aud {
            Audience::One(one) => one,
            Audience::Many(many) => match many.as_slice() {
                [one] => one,
                _ => "",
            },
        }
    }
}

impl Jwt {
    /// `None` if this is no JWT with the claims of an assertion.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Self {
            header: serde_json::from_slice(&decode(header)?).ok()?,
            claims: serde_json::from_slice(&decode(claims)?).ok()?,
            signature: decode(signature)?,
            signed: signed.to_owned(),
        })
    }

    /// Which of these certificates the header names: by thumbprint, or in a chain that it brings.
    pub(super) fn certificate<'a>(
        &self,
        all: &'a [CertificateDer<'static>],
    ) -> Option<&'a CertificateDer<'static>> {
        let chain = match &self.header.x5c {
            Some(Chain::Many(many)) => many.first(),
            Some(Chain::One(one)) => Some(one),
            None => None,
        };
        let brought = chain.and_then(|first| STANDARD.decode(first).ok());
        all.iter().find(|known| {
            let same = |given: &Option<String>, algorithm| {
                let hash = digest(algorithm, known);
                given
                    .as_deref()
                    .and_then(thumbprint)
                    .is_some_and(|given| given == hash.as_ref())
            };
            same(&self.header.x5t_s256, &SHA256)
                || same(&self.header.x5t, &SHA1_FOR_LEGACY_USE_ONLY)
                || brought.as_deref() == Some(known.as_ref())
        })
    }

    /// Whether the certificate's key has signed this, by PS256 or RS256.
    pub(super) fn is_signed_by(&self, certificate: &CertificateDer<'_>) -> bool {
        let algorithm: &'static RsaParameters = match self.header.alg.as_str() {
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return false,
        };
        let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
            return false;
        };
        let key = parsed.subject_public_key_info();
        UnparsedPublicKey::new(algorithm, key.as_ref())
            .verify(self.signed.as_bytes(), &self.signature)
            .is_ok()
    }
}

/// Base64 for URLs, or as some write it, plain and padded.
fn thumbprint(text: &str) -> Option<Vec<u8>> {
    let url_safe = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    url_safe.or_else(|_| STANDARD.decode(text)).ok()
}
