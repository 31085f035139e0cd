//! What can be wrong with bytes that came in, and with values that go out.

/// Why bytes are not the message that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the field does.
    #[error("{what} is cut short: the next field needs {need} bytes, {have} are left")]
    Truncated {
        /// The message or structure that was being read.
        what: &'static str,
        /// Bytes that the field needs.
        need: usize,
        /// Bytes that were left.
        have: usize,
    },
    /// The bytes are there, but contradict the protocol.
    #[error("{what} is malformed: {problem}")]
    Invalid {
        /// The message or structure that was being read.
        what: &'static str,
        /// What contradicts the protocol, as a phrase.
        problem: &'static str,
    },
    /// A length is beyond what the protocol, or the caller's bound, allows.
    #[error("{what} is too long: {len}, at most {max} are allowed")]
    TooLong {
        /// What is too long, with its unit if that is not bytes.
        what: &'static str,
        /// Its stated length.
        len: u64,
        /// The bound.
        max: u64,
    },
    /// A token whose layout is unknown; since tokens need not carry a length,
    /// nothing after it can be read.
    #[error("the response holds the unknown token {token:#04x}")]
    UnknownToken {
        /// The token byte.
        token: u8,
    },
    /// A data type whose layout is unknown, with the same consequence.
    #[error("the data type {type_id:#04x} is unknown")]
    UnknownType {
        /// The type byte of TYPE_INFO.
        type_id: u8,
    },
}

/// Why a value has no form on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field is longer than its length prefix, or the protocol, allows.
    #[error("{what} is too long: {len}, at most {max} are allowed")]
    TooLong {
        /// What is too long, with its unit if that is not bytes.
        what: &'static str,
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// The value cannot be said in the protocol version that was chosen.
    #[error("{what} cannot be sent: {problem}")]
    Unsupported {
        /// The field.
        what: &'static str,
        /// Why not, as a phrase.
        problem: &'static str,
    },
}
