//! Why a connection ended; for the log only, the client is told by TDS tokens if at all.

use std::io;

use crate::tds::{DecodeError, EncodeError, PacketType};

/// Why a connection ended before its client closed it in good order.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("the request could not be run to its end")]
    Backend(#[source] tokio::task::JoinError),
    #[error("the client sent what is not TDS")]
    Decode(#[from] DecodeError),
    #[error("the client went in the middle of a message")]
    Eof,
    #[error("an answer has no form on the wire")]
    Encode(#[from] EncodeError),
    #[error("the session on the real server ended")]
    Forward(#[from] crate::emulator::forward::ForwardError),
    #[error("a fault was injected at the step {0:?}")]
    Injected(crate::emulator::GatewayStep),
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("the session was ended from outside")]
    Killed,
    #[error("the login was refused: {reason} ({number})")]
    Refused { reason: String, number: i32 },
    #[error("a request was refused for good ({0})")]
    RequestRefused(i32),
    #[error("the client did not finish its login in time")]
    LoginDeadline,
    #[error("the client was silent, or did not read, for too long")]
    Idle,
    #[error("the first byte {0:#04x} begins neither PRELOGIN nor TLS")]
    NotTds(u8),
    #[error("the client cannot encrypt, and this server insists")]
    NoEncryption,
    #[error("the login was sent on to another server")]
    Redirected,
    #[error("the session was dropped by the backend, which has told the client why")]
    SessionOver,
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("a {0} message came out of turn")]
    Unexpected(PacketType),
}
