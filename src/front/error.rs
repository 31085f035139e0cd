//! Why a client's login cannot be answered.

use super::State;
use crate::tds::{DecodeError, EncodeError, PacketType};

/// Why a [`Front`](super::Front) cannot go on with a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontError {
    /// The client sent bytes that are no login, or one beyond bounds.
    #[error("the client's login cannot be read")]
    Decode(#[from] DecodeError),
    /// The answer has no form on the wire.
    #[error("the answer to the client's login cannot be written")]
    Encode(#[from] EncodeError),
    /// The client did not wait for the answer to its PRELOGIN.
    #[error("the client sent more before it knew whether the connection is encrypted")]
    Hasty,
    /// `accept` or `refuse` without a login that waits for it.
    #[error("no login waits for an answer (the front is in state {state:?})")]
    NotAsked {
        /// The state that the front was in.
        state: State,
    },
    /// The client speaks another protocol.
    #[error("the client does not speak TDS: its first byte is {first:#04x}")]
    NotTds {
        /// The first byte that came.
        first: u8,
    },
    /// The client begins with TLS, as TDS 8.0 does, which is not offered.
    #[error(
        "the client begins with TLS (Encrypt=strict), which is not offered here; \
         connect with Encrypt=optional"
    )]
    TlsFirst,
    /// A packet that has no place in this state.
    #[error("the client sent {packet_type} where its login belongs (state {state:?})")]
    Unexpected {
        /// The state that the front was in.
        state: State,
        /// What came.
        packet_type: PacketType,
    },
}
