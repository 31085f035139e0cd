//! Packets: what a message is cut into (MS-TDS 2.2.3.1).

use std::fmt;

use super::DecodeError;

/// Length of a packet header in bytes.
pub const HEADER_LEN: usize = 8;
/// Packet size in force until the login response has set another: 4096 bytes,
/// header included (MS-TDS 2.2.3.1.3).
pub const DEFAULT_PACKET_SIZE: usize = 4096;
/// The smallest packet size that may be negotiated.
pub const MIN_PACKET_SIZE: usize = 512;
/// The largest packet size that may be negotiated.
pub const MAX_PACKET_SIZE: usize = 32767;

/// What a packet carries (MS-TDS 2.2.3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketType(pub u8);

impl PacketType {
    /// A batch of T-SQL text.
    pub const SQL_BATCH: Self = Self(0x01);
    /// Remote procedure calls.
    pub const RPC: Self = Self(0x03);
    /// Whatever a server says, its PRELOGIN answer included.
    pub const TABULAR_RESULT: Self = Self(0x04);
    /// Stop the running request.
    pub const ATTENTION: Self = Self(0x06);
    /// Rows of a bulk load.
    pub const BULK_LOAD: Self = Self(0x07);
    /// The token that the server asked for with FEDAUTHINFO.
    pub const FEDAUTH_TOKEN: Self = Self(0x08);
    /// Begin, commit and the like.
    pub const TRANSACTION_MANAGER: Self = Self(0x0E);
    /// The login.
    pub const LOGIN7: Self = Self(0x10);
    /// A further step of integrated authentication.
    pub const SSPI: Self = Self(0x11);
    /// PRELOGIN from a client, and TLS handshake bytes from either side.
    pub const PRELOGIN: Self = Self(0x12);

    /// The specification's name, if it is a known type.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SQL_BATCH => "SQL_BATCH",
            Self::RPC => "RPC",
            Self::TABULAR_RESULT => "TABULAR_RESULT",
            Self::ATTENTION => "ATTENTION",
            Self::BULK_LOAD => "BULK_LOAD",
            Self::FEDAUTH_TOKEN => "FEDAUTH_TOKEN",
            Self::TRANSACTION_MANAGER => "TRANSACTION_MANAGER",
            Self::LOGIN7 => "LOGIN7",
            Self::SSPI => "SSPI",
            Self::PRELOGIN => "PRELOGIN",
            _ => return None,
        })
    }
}

impl fmt::Debug for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Status bits of a packet (MS-TDS 2.2.3.1.2).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PacketStatus(pub u8);

impl PacketStatus {
    /// No bit: more packets of this message follow.
    pub const NORMAL: Self = Self(0x00);
    /// The last packet of the message.
    pub const EOM: Self = Self(0x01);
    /// Ignore this message; from clients only, and only with [`Self::EOM`].
    pub const IGNORE: Self = Self(0x02);
    /// Reset the session before this request; counts in the first packet only.
    pub const RESET_CONNECTION: Self = Self(0x08);
    /// Reset the session but keep its transaction (7.3).
    pub const RESET_CONNECTION_SKIP_TRAN: Self = Self(0x10);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Clears the bits of `other`.
    pub fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl fmt::Debug for PacketStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// The eight bytes before each packet's data (MS-TDS 2.2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeader {
    /// What the packet carries.
    pub packet_type: PacketType,
    /// Status bits.
    pub status: PacketStatus,
    /// Length of the packet in bytes, this header included.
    pub length: u16,
    /// The server's session id; clients send 0.
    pub spid: u16,
    /// Counts the packets of a message modulo 256; receivers ignore it.
    pub packet_id: u8,
    /// Always 0.
    pub window: u8,
}

impl PacketHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] if the length is below the header's own.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, DecodeError> {
        let [packet_type, status, l0, l1, s0, s1, packet_id, window] = *bytes;
        let header = Self {
            packet_type: PacketType(packet_type),
            status: PacketStatus(status),
            length: u16::from_be_bytes([l0, l1]),
            spid: u16::from_be_bytes([s0, s1]),
            packet_id,
            window,
        };
        if usize::from(header.length) < HEADER_LEN {
            return Err(DecodeError::Invalid {
                what: "the packet header",
                problem: "the length is below 8, the header's own",
            });
        }
        Ok(header)
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let [l0, l1] = self.length.to_be_bytes();
        let [s0, s1] = self.spid.to_be_bytes();
        [
            self.packet_type.0,
            self.status.0,
            l0,
            l1,
            s0,
            s1,
            self.packet_id,
            self.window,
        ]
    }

    /// Length of the packet's data in bytes.
    #[must_use]
    pub fn data_len(&self) -> usize {
        usize::from(self.length).saturating_sub(HEADER_LEN)
    }
}
