//! The bytes of TDS, the protocol of SQL Server: messages to and from bytes.
//!
//! Nothing here opens a socket, waits or knows a runtime. Decoders take a
//! slice and return a value or a [`DecodeError`]; they never panic, and they
//! never reserve memory on the word of a length field. Encoders append to a
//! `Vec<u8>`. A message has one file, which serves both directions, so a
//! client and a server built on this module cannot disagree.
//!
//! Protocol facts cite the specification by section: `MS-TDS 2.2.3.1` is that
//! section of Microsoft's open specification `[MS-TDS]`. Enumerations of the
//! wire are *open*: a newtype over the integer with constants of the
//! specification's names, so that a value made up tomorrow passes through.
//!
//! # Stability
//!
//! The module is public so that each decoder can be fuzzed and reused, but it
//! follows the protocol and the needs of this crate: expect additions in minor
//! releases, and match on its enums with a wildcard.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod all_headers;
mod column;
mod done;
mod env_change;
mod error;
mod feature_ext;
mod fed_auth;
mod login7;
mod login_response;
mod message;
mod packet;
mod prelogin;
mod reader;
mod request_text;
mod response_walker;
mod rpc;
mod scalar;
mod server_error;
#[cfg(test)]
mod tests;
mod token;
mod type_id;
mod type_info;
mod value;
mod version;
mod writer;

pub use all_headers::{all_headers, parse_all_headers};
pub use column::{
    Column, NO_METADATA, column_flags, decode_columns, encode_columns, encode_columns_for,
};
pub use done::{Done, DoneKind, DoneStatus};
pub use env_change::{EnvChange, Routing};
pub use error::{DecodeError, EncodeError};
pub use feature_ext::{Feature, FeatureId};
pub use fed_auth::{FedAuth, FedAuthInfo, FedAuthToken, OpaqueBytes};
pub use login_response::LoginAck;
pub use login7::{Login7, option_flags1, option_flags2, option_flags3, type_flags};
pub use message::{Message, MessageReader, write_message};
pub use packet::{
    DEFAULT_PACKET_SIZE, HEADER_LEN, MAX_PACKET_SIZE, MIN_PACKET_SIZE, PacketHeader, PacketStatus,
    PacketType,
};
pub use prelogin::{Encryption, Prelogin, Version};
pub use reader::Reader;
#[cfg(feature = "proxy")]
pub(crate) use reader::decode_utf16_lossy;
pub(crate) use request_text::{WordFinder, after_headers, announces_rows};
pub use response_walker::{ResponseWalker, WalkEvent};
pub use rpc::{RpcCall, RpcParam, RpcProcedure, proc_id};
pub use scalar::{Moment, Scalar};
pub use server_error::{
    CANNOT_OPEN_DATABASE, CHANGED_DATABASE, CHANGED_LANGUAGE, KNOWN_ERRORS, KnownError,
    LOGIN_FAILED, LoginRetry, ServerMessage, is_auth, is_firewall, is_transient, known,
};
pub use token::{Token, read_token, read_tokens, token_id};
pub use type_id::TypeId;
pub use type_info::{Collation, Place, TypeInfo, Udt, XmlSchema};
pub use value::{DUMMY_TEXT_POINTER, Framing, PLP_NULL, PLP_UNKNOWN};
pub use version::TdsVersion;
pub use writer::Put;
