//! Why a client and its session can no longer understand each other.

use crate::tds::{DecodeError, EncodeError, PacketType};

/// Why a client and its session can no longer understand each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscodeError {
    /// The client sent something that its version does not have.
    #[error("the client's request cannot be read")]
    Request(#[source] DecodeError),
    /// The client began a packet of another type inside of a message.
    #[error("the client began a packet of type {then} inside of a message of type {first}")]
    MixedTypes {
        /// The type of the message.
        first: PacketType,
        /// The type of the packet.
        then: PacketType,
    },
    /// The client sent a packet of a kind that is no request.
    #[error("the client sent a packet of type {0}, which is no request")]
    NotARequest(PacketType),
    /// The client sent an attention with something in it.
    #[error("the client sent an attention of {length} bytes; it has 8")]
    LongAttention {
        /// The packet's length.
        length: usize,
    },
    /// The client wants to share the connection between sessions (MARS), which
    /// was not granted.
    #[error("the client began a session within its session (MARS), which was not agreed on")]
    Multiplexed,
    /// The client sent a packet of a length that was not agreed on.
    #[error("the client sent a packet of {length} bytes; {negotiated} were agreed on")]
    PacketLength {
        /// The packet's length.
        length: usize,
        /// The most that it may be.
        negotiated: usize,
    },
    /// The server's answer contradicts the protocol.
    #[error("the server's answer cannot be read")]
    Answer(#[source] DecodeError),
    /// The server sent a packet that is no answer.
    #[error("the server sent a packet of type {0}, which is no answer")]
    NotAnAnswer(PacketType),
    /// The server's answer has no form in the client's version.
    #[error("the server's answer cannot be said in the client's version of TDS")]
    Unsayable(#[source] EncodeError),
    /// The server sent more or less of a value than it had announced, and the
    /// announcement was with the client already.
    #[error("the server announced a value of {announced} bytes and sent {sent}")]
    WrongTotal {
        /// The length that stood before the value.
        announced: u64,
        /// The length of what came, or of what had come when it was too much.
        sent: u64,
    },
    /// A value must be sent with its length before it, which is not known or more
    /// than 2 GB, and the row that it is in is half sent.
    #[error(
        "a value cannot be sent with its length before it: it is longer than the {limit} bytes \
         that may be held of it, or than 2 GB, and its row is half sent"
    )]
    ValueTooLong {
        /// The most bytes that may be held.
        limit: usize,
    },
}

impl TranscodeError {
    /// Whether the server is at fault, so that people should hear of it.
    #[must_use]
    pub fn is_servers(&self) -> bool {
        matches!(
            self,
            Self::Answer(_)
                | Self::NotAnAnswer(_)
                | Self::Unsayable(_)
                | Self::WrongTotal { .. }
                | Self::ValueTooLong { .. }
        )
    }
}
