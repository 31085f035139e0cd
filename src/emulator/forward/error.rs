//! Why a forwarded session ended.

use std::io;

use crate::tds::{DecodeError, ServerMessage};

/// Why a forwarded session ended, or could not begin.
#[derive(Debug, thiserror::Error)]
pub(in crate::emulator) enum ForwardError {
    #[error("the backend's answer makes no sense")]
    Answer(#[from] DecodeError),
    #[error("the backend closed the connection")]
    Closed,
    #[error(
        "the backend still acts for somebody else after it was told to leave the user's context"
    )]
    Context,
    #[error("the backend did not answer in time")]
    Deadline,
    #[error("the connection to the backend failed")]
    Io(#[from] io::Error),
    #[error("the backend refused a request of the gateway's own: {} ({})", .0.message, .0.number)]
    Refused(ServerMessage),
    #[error("the backend reset a session without being asked by the gateway")]
    StrangeReset,
    #[error("the backend sent something that nobody had asked for")]
    Unasked,
    #[error("the user that the session acts for is there no longer")]
    UserGone,
}
