//! A certificate and its key, as the configuration names them.

use std::path::Path;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::{Zeroize, Zeroizing};

use super::CertificateError;
use crate::token::regular_file::{self, Unread};

/// No chain and no key is larger.
const MAX_FILE: usize = 1024 * 1024;

/// Reads both and sees that they belong together.
pub(super) fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, CertificateError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&contents(chain)?)
        .collect::<Result<_, _>>()
        .map_err(|_| no_certificate(chain))?;
    if certificates.is_empty() {
        return Err(no_certificate(chain));
    }
    let mut der =
        PrivateKeyDer::from_pem_slice(&contents(key)?).map_err(|_| CertificateError::NoKey {
            path: key.to_owned(),
        })?;
    warn_of_readers(key);
    certified(certificates, &mut der).map_err(|source| CertificateError::Mismatch {
        key: key.to_owned(),
        certificate: chain.to_owned(),
        source,
    })
}

/// Joins chain and key, and wipes the key's own form.
pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &mut PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    let signing = any_supported_type(key);
    key.zeroize();
    let certified = CertifiedKey::new(chain, signing?);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(error),
    }
}

fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    regular_file::read(path, MAX_FILE).map_err(|unread| CertificateError::File {
        path: path.to_owned(),
        source: match unread {
            Unread::Io(source) => source,
            Unread::NotAFile => std::io::Error::other("it is not a file"),
            Unread::TooLarge => std::io::Error::other("it is larger than 1 MiB"),
        },
    })
}

fn no_certificate(path: &Path) -> CertificateError {
    CertificateError::NoCertificate {
        path: path.to_owned(),
    }
}

/// A key of ours is to be ours alone; one of root's may be lent to a group.
#[cfg(unix)]
fn warn_of_readers(key: &Path) {
    use std::os::unix::fs::MetadataExt;
    let Ok(about) = std::fs::metadata(key) else {
        return;
    };
    let others = if about.uid() == 0 { 0o037 } else { 0o077 };
    if about.mode() & others != 0 {
        let path = key.display();
        tracing::warn!(%path, "others can read this private key; chmod it to 600");
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_key: &Path) {}
