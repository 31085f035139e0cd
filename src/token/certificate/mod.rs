//! Applications that prove themselves by a certificate: they sign their own assertions.

mod error;
mod files;
mod pem;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use uuid::Uuid;

pub use self::error::CertificateError;
use self::files::{Loaded, Stamp};
use super::assertion::{AssertionSource, Exchange};
use super::entra::mark;
use super::error::FetchError;
use crate::secret::Secret;

/// Signs assertions with the key of a certificate in files.
///
/// The files are read again when they change, so that a rotation needs no
/// restart; while what is there cannot be used, a certificate that was read
/// before goes on as long as it is valid.
#[derive(Debug)]
pub(super) struct CertificateAssertion(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    /// Whether the assertion carries the certificates themselves.
    with_chain: bool,
    loaded: Mutex<Option<(Stamp, Arc<Loaded>)>>,
}

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    /// `None` if it is with the certificate.
    pub(super) key: Option<PathBuf>,
    pub(super) password: Option<Secret>,
}

impl CertificateAssertion {
    /// Reads nothing yet.
    pub(super) fn new(files: Files, with_chain: bool) -> Self {
        Self(Arc::new(Inner {
            files,
            with_chain,
            loaded: Mutex::default(),
        }))
    }
}

#[async_trait]
impl AssertionSource for CertificateAssertion {
    async fn assertion(&self, exchange: &Exchange<'_>) -> Result<Secret, FetchError> {
        let inner = Arc::clone(&self.0);
        // Files may be slow, and a password is stretched for tens of milliseconds.
        let loaded = tokio::task::spawn_blocking(move || inner.current()).await;
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => Err(CertificateError::Unreadable(error.into())),
        };
        let now = SystemTime::now();
        let signed = loaded.and_then(|loaded| loaded.sign(exchange, self.0.with_chain, now));
        signed.map_err(|problem| FetchError::Certificate {
            file: shown(&self.0.files.certificate),
            problem,
        })
    }

    fn describe(&self) -> String {
        format!("the certificate in {}", shown(&self.0.files.certificate))
    }

    fn mark(&self) -> String {
        let files = &self.0.files;
        format!(
            "{:?} {:?} {}",
            files.certificate,
            files.key,
            files.password.as_ref().map(mark).unwrap_or_default()
        )
    }
}

impl Inner {
    /// The certificate as it is in the files now.
    fn current(&self) -> Result<Arc<Loaded>, CertificateError> {
        let stamp = Stamp::of(&self.files);
        let before = match (&*self.lock(), &stamp) {
            (Some((old, loaded)), Ok(stamp)) if old == stamp => return Ok(Arc::clone(loaded)),
            (before, _) => before.as_ref().map(|(_, loaded)| Arc::clone(loaded)),
        };
        let read = stamp.and_then(|stamp| Ok((stamp, Loaded::read(&self.files)?)));
        match (read, before) {
            (Ok((stamp, loaded)), _) => {
                loaded.warn_before_its_end(&self.files.certificate, SystemTime::now());
                let loaded = Arc::new(loaded);
                *self.lock() = Some((stamp, Arc::clone(&loaded)));
                Ok(loaded)
            }
            (Err(error), Some(before)) if before.check_time(SystemTime::now()).is_ok() => {
                tracing::warn!(
                    file = %shown(&self.files.certificate),
                    error = &error as &dyn std::error::Error,
                    "the certificate changed and cannot be used; going on with the one before"
                );
                Ok(before)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Stamp, Arc<Loaded>)>> {
        // What is inside is replaced as a whole.
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    /// Signs as Microsoft's documentation of certificate credentials asks:
    /// PS256, and the certificate named by its SHA-256.
    fn sign(
        &self,
        exchange: &Exchange<'_>,
        with_chain: bool,
        now: SystemTime,
    ) -> Result<Secret, CertificateError> {
        self.check_time(now)?;
        let mut header = json!({
            "alg": "PS256",
            "typ": "JWT",
            "x5t#S256": self.thumbprint,
        });
        if with_chain {
            header["x5c"] = json!(self.chain);
        }
        let now = seconds(now);
        let claims = json!({
            "aud": exchange.token_endpoint.as_str(),
            "iss": exchange.client_id,
            "sub": exchange.client_id,
            "jti": Uuid::new_v4().to_string(),
            "nbf": now,
            "iat": now,
            "exp": now + LIFETIME.as_secs(),
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let mut text = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .map_err(|_| CertificateError::Unsigned)?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut text);
        Ok(Secret::new(text))
    }

    fn check_time(&self, now: SystemTime) -> Result<(), CertificateError> {
        let now = seconds(now);
        if now >= self.ends {
            return Err(CertificateError::Expired {
                by: Duration::from_secs(now - self.ends),
            });
        }
        match self.begins.checked_sub(now) {
            Some(left) if left > 0 => Err(CertificateError::NotYetValid {
                left: Duration::from_secs(left),
            }),
            _ => Ok(()),
        }
    }

    fn warn_before_its_end(&self, file: &Path, now: SystemTime) {
        let left = self.ends.saturating_sub(seconds(now));
        if left < WARN_BEFORE.as_secs() {
            tracing::warn!(
                file = %shown(file),
                days = left / (24 * 3600),
                "the application's certificate ends soon; renew it"
            );
        }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("thumbprint", &self.thumbprint)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn shown(path: &Path) -> String {
    super::reply::tidy(&path.display().to_string())
}

/// How long an assertion is valid: Microsoft recommends five to ten minutes.
const LIFETIME: Duration = Duration::from_secs(600);

/// How long before its end a certificate is warned of.
const WARN_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
