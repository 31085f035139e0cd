//! Why a login ended without a session.

use std::fmt::Write as _;

use super::text::printable;
use super::wire::WireError;
use crate::tds::{
    self, DecodeError, EncodeError, FeatureId, LOGIN_FAILED, ServerMessage, TdsVersion,
};

/// Why the server did not let us in.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The message could not be exchanged.
    #[error("the login (LOGIN7) got no proper answer")]
    Wire(#[from] WireError),
    /// The answer cannot be read.
    #[error("the login's answer is malformed")]
    Malformed(#[from] DecodeError),
    /// The login cannot be written.
    #[error("the login (LOGIN7) cannot be written")]
    Encode(#[from] EncodeError),
    /// The server refused, and said why.
    #[error("the server refused: {}", shown(.message, .others))]
    Rejected {
        /// The error that says most.
        message: ServerMessage,
        /// The other errors of the same answer.
        others: Vec<ServerMessage>,
        /// Whether a token was refused, and not a password.
        by_token: bool,
    },
    /// The answer ended, and nothing in it lets us in.
    #[error("the login's answer neither accepts nor refuses")]
    NotAcknowledged,
    /// The answer does not end as an answer must.
    #[error("the login's answer lacks its end (DONE)")]
    NotDone,
    /// The token was not taken note of (MS-TDS 3.2.5.4).
    #[error(
        "the server accepted the login without acknowledging the token (FEATUREEXTACK); this is no server for tokens"
    )]
    TokenNotAcknowledged,
    /// A feature is granted that nobody asked for (MS-TDS 2.2.7.11).
    #[error("the server acknowledged a feature that was not asked for ({0:?})")]
    UnaskedFeature(FeatureId),
    /// The acknowledgement of the token holds a nonce that nobody sent.
    #[error("the server's acknowledgement of the token holds data that it must not hold")]
    UnaskedNonce,
    /// The server asks for a token in a login that has none, or asks twice.
    #[error("the server asks for a token (FEDAUTHINFO) where none is due")]
    UnaskedFedAuthInfo,
    /// The server wants a token for something else.
    #[error(
        "the server wants a token for `{wanted}`, and ours is for `{ours}`; the server may belong to another cloud than its name says"
    )]
    Resource {
        /// The resource that the server names (SPN).
        wanted: String,
        /// The resource that our token is for.
        ours: String,
    },
    /// The server speaks a version that is too old.
    #[error("the server grants TDS {granted}; {needed} or later is needed")]
    OldServer {
        /// What it grants.
        granted: TdsVersion,
        /// What it takes.
        needed: TdsVersion,
    },
    /// A token was about to leave without TLS around it. No server can bring
    /// this about; it stands between a fault in this crate and a leaked token.
    #[error("a token is never sent in clear; this is a fault in entrada")]
    Unprotected,
    /// The server wants packets of an impossible size.
    #[error("the server asks for packets of {0} bytes; 512 to 32767 are possible")]
    PacketSize(u32),
}

impl LoginError {
    /// What the server said, if it refused.
    #[must_use]
    pub fn rejection(&self) -> Option<&ServerMessage> {
        match self {
            Self::Rejected { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Whether the token itself may be at fault, so that a fresh one could help.
    pub(super) fn refuses_token(&self) -> bool {
        matches!(self, Self::Rejected { message, by_token: true, .. } if message.number == LOGIN_FAILED)
    }

    pub(super) fn wire(&self) -> Option<&WireError> {
        match self {
            Self::Wire(wire) => Some(wire),
            _ => None,
        }
    }

    pub(super) fn is_auth(&self) -> bool {
        match self {
            Self::Rejected { message, .. } => tds::is_auth(message.number),
            Self::TokenNotAcknowledged | Self::Resource { .. } => true,
            _ => false,
        }
    }

    pub(super) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Rejected {
                message,
                by_token: false,
                ..
            } if message.number == LOGIN_FAILED => {
                Some("check user and password, and that the login may use the database")
            }
            Self::Rejected {
                message,
                by_token: true,
                ..
            } if message.number == LOGIN_FAILED => Some(
                "name the database in the connection string, and create a user in it for this identity: CREATE USER [name] FROM EXTERNAL PROVIDER; the token must come from the server's own tenant",
            ),
            Self::Rejected { message, .. } => tds::known(message.number).map(|known| known.advice),
            Self::Wire(WireError::Closed | WireError::CutShort) => Some(
                "a server or a firewall between closes the connection when it will not have the login at all; check the server's name and its network rules",
            ),
            _ => None,
        }
    }
}

/// All errors in one line, the telling one first.
fn shown(message: &ServerMessage, others: &[ServerMessage]) -> String {
    let mut text = String::new();
    for message in std::iter::once(message).chain(others) {
        if !text.is_empty() {
            text.push_str("; ");
        }
        let said = printable(message.message.trim_end());
        let _ = write!(text, "{said} ({}, state {})", message.number, message.state);
    }
    text
}
