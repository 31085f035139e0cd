//! What may be wrong with a certificate.

use std::error::Error as StdError;
use std::time::Duration;

use super::super::error::Coarse;

/// Why a certificate cannot prove an application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The key's encryption is none that can be read.
    #[error(
        "its key is encrypted in a form that is not supported; convert it with \
         openssl pkcs8 -topk8 -v2 aes-256-cbc"
    )]
    Encryption,
    /// The certificate has ended.
    #[error("it expired {} ago; renew it", Coarse(*by))]
    Expired {
        /// How long ago, by this machine's clock.
        by: Duration,
    },
    /// The key is none that Entra takes.
    #[error("its key is {kind}, but Entra takes RSA keys only")]
    KeyKind {
        /// What it is.
        kind: &'static str,
    },
    /// A part cannot be read.
    #[error("its {part} cannot be read")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong with it, if that is known.
        #[source]
        cause: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The key belongs to none of the certificates.
    #[error(
        "the private key does not belong to any of the certificates; check that the files match"
    )]
    Mismatch,
    /// There is no certificate.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// There is no private key.
    #[error("there is no private key with it; give a file that holds one, or name the key's file")]
    NoKey,
    /// The path leads to something that is no file.
    #[error("it is no regular file; give the path of the file itself")]
    NotAFile,
    /// The certificate's time has not come.
    #[error("it becomes valid in {}; check this machine's clock", Coarse(*left))]
    NotYetValid {
        /// How long until then, by this machine's clock.
        left: Duration,
    },
    /// The key is encrypted and no password was given.
    #[error("it is encrypted; give its password")]
    PasswordMissing,
    /// It is larger than any certificate.
    #[error("it is larger than {max} bytes, so it is not a certificate")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The key does not sign.
    #[error("its key does not sign")]
    Unsigned,
    /// The password does not open it.
    #[error("the password does not open it")]
    WrongPassword,
}
