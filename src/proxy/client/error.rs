//! Why a client never came to ask for a login, or was turned away at it.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::AlertDescription as Alert;

use crate::front::FrontError;
use crate::tds::ServerMessage;

/// The number that SQL Server has for a client that must encrypt and does not.
const ENCRYPTION_REQUIRED: i32 = 17835;
/// A failed login.
const LOGIN_FAILED: i32 = 18456;

/// Why a client never came to ask for a login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in super::super) enum GreetError {
    #[error("it sent more than its LOGIN7 before that was answered")]
    AfterLogin,
    #[error(
        "it does not accept the certificate ({alert:?}): let it trust the CA that `entrada proxy --print-ca` prints, and connect to a name that the certificate holds, or set a certificate that it trusts"
    )]
    CertificateRejected { alert: Alert },
    #[error("it closed the connection before its login was complete")]
    Closed,
    #[error("it does not speak TDS: it begins with {first:#04x} ({looks_like})")]
    Foreign { first: u8, looks_like: &'static str },
    #[error("it does not speak TDS as it should")]
    Front(#[from] FrontError),
    #[error("its side of the TLS handshake makes no sense")]
    Handshake { source: io::Error },
    #[error("the connection broke")]
    Io { source: io::Error },
    #[error("TLS was agreed on where there is none")]
    NoTls,
    #[error("{refusal}{}", if *.told { "; it was told so" } else { "; it could not be told" })]
    Refused { refusal: Refusal, told: bool },
    #[error("it closed the connection before it sent anything")]
    Silent,
    #[error(
        "its TLS does not go with ours; inside TDS 7.x that is TLS 1.2, and with Encrypt=strict TLS 1.2 or 1.3 with the protocol `tds/8.0` or none"
    )]
    Tls { source: rustls::Error },
    #[error("it was still at {step} after {within:?}")]
    TooSlow { step: Step, within: Duration },
}

/// Why a client is turned away for how it encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Refusal {
    /// It insists, and there is no TLS.
    NoneOffered,
    /// It does not, and must.
    NotEncrypted,
    /// It speaks TDS 7.x, and TDS 8.0 alone is served.
    NotStrict,
    /// It speaks TDS 8.0, and there is no TLS.
    TlsFirst,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    FirstByte,
    Prelogin,
    Handshake,
    Login,
}

impl GreetError {
    /// The word for logs and metrics.
    pub(in super::super) fn reason(&self) -> &'static str {
        match self {
            Self::CertificateRejected { .. } => "certificate-rejected",
            Self::Closed | Self::Silent => "closed",
            Self::Foreign { .. } => "not-tds",
            Self::AfterLogin | Self::Front(_) | Self::Handshake { .. } => "protocol",
            Self::Io { .. } => "broken",
            Self::NoTls | Self::Tls { .. } => "tls",
            Self::Refused { .. } => "encryption",
            Self::TooSlow { .. } => "too-slow",
        }
    }

    /// Notes it in the log, as loud as it is of use: a health check that only
    /// connects is none, a setting that keeps clients out is.
    pub(in super::super) fn log(&self, id: u64, listener: &str, peer: &str) {
        let reason = self.reason();
        let error: &dyn std::error::Error = self;
        match self {
            Self::Silent => tracing::debug!(id, listener, peer, reason, "{error}"),
            Self::AfterLogin
            | Self::Closed
            | Self::Foreign { .. }
            | Self::Front(_)
            | Self::Handshake { .. }
            | Self::Io { .. }
            | Self::NoTls
            | Self::TooSlow { .. } => {
                tracing::info!(
                    id,
                    listener,
                    peer,
                    reason,
                    error,
                    "a client was not greeted"
                );
            }
            Self::CertificateRejected { .. } | Self::Refused { .. } | Self::Tls { .. } => {
                tracing::warn!(
                    id,
                    listener,
                    peer,
                    reason,
                    error,
                    "a client was not greeted"
                );
            }
        }
    }

    /// What a failed handshake says.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        match Self::from(error) {
            Self::Tls {
                source:
                    rustls::Error::AlertReceived(
                        alert @ (Alert::BadCertificate
                        | Alert::CertificateExpired
                        | Alert::CertificateUnknown
                        | Alert::UnknownCA
                        | Alert::UnsupportedCertificate),
                    ),
            } => Self::CertificateRejected { alert },
            other => other,
        }
    }
}

impl From<io::Error> for GreetError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof,
        };
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, error.kind()) {
            (Some(source), _) => Self::Tls {
                source: source.clone(),
            },
            (None, UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe) => {
                Self::Closed
            }
            (None, InvalidData) => Self::Handshake { source: error },
            (None, _) => Self::Io { source: error },
        }
    }
}

impl Refusal {
    /// What the client is told.
    pub(super) fn message(self) -> ServerMessage {
        let number = match self {
            Self::NotEncrypted | Self::NotStrict => ENCRYPTION_REQUIRED,
            Self::NoneOffered | Self::TlsFirst => LOGIN_FAILED,
        };
        ServerMessage {
            server: "entrada".to_owned(),
            ..ServerMessage::new(number, 1, 14, format!("Entrada: {self}."))
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoneOffered => {
                "the client insists on encryption, which this listener does not offer (tls = \"off\"); set the listener's tls to \"optional\", or turn encryption off in the client"
            }
            Self::NotEncrypted => {
                "this listener takes encrypted connections only (tls = \"required\"); turn encryption on in the client, or set the listener's tls to \"optional\""
            }
            Self::NotStrict => {
                "this listener takes TDS 8.0 only (tls = \"strict\"); connect with Encrypt=strict, or set the listener's tls to \"required\""
            }
            Self::TlsFirst => {
                "the client begins with TLS (Encrypt=strict), which this listener does not offer (tls = \"off\"); set the listener's tls to \"optional\", or connect with Encrypt=optional"
            }
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstByte => "its first byte",
            Self::Prelogin => "its PRELOGIN",
            Self::Handshake => "the TLS handshake",
            Self::Login => "its LOGIN7",
        })
    }
}
