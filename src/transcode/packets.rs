//! Packets read piece by piece, from bytes cut anywhere.

use super::TranscodeError;
use crate::tds::{HEADER_LEN, MAX_PACKET_SIZE, PacketHeader, PacketType};

/// Which side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client { packet_size: usize },
    Server,
}

/// Reads packets without holding more of them than a header.
#[derive(Debug)]
pub(super) struct Packets {
    side: Side,
    bytes: [u8; HEADER_LEN],
    have: usize,
    header: Option<PacketHeader>,
    /// Data bytes of the packet at hand that are still to come.
    left: usize,
}

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A packet begins.
    Begin(PacketHeader),
    /// Some of its data; never empty.
    Data(&'a [u8]),
    /// It ends.
    End(PacketHeader),
}

impl Packets {
    /// Those of a client, which may be `packet_size` bytes long.
    pub(super) fn requests(packet_size: usize) -> Self {
        Self::of(Side::Client { packet_size })
    }

    /// Those of a server.
    pub(super) fn answers() -> Self {
        Self::of(Side::Server)
    }

    fn of(side: Side) -> Self {
        Self {
            side,
            bytes: [0; HEADER_LEN],
            have: 0,
            header: None,
            left: 0,
        }
    }

    /// The next piece and the length of what it was read from. For data only
    /// this length may be less than what the caller has taken in: the rest comes
    /// again, see [`take`](Self::take). `None`: all was taken in.
    ///
    /// # Errors
    /// When the header is none that this side may send.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(usize, Piece<'a>)>, TranscodeError> {
        let Some(header) = self.header else {
            return self.begin(bytes);
        };
        if self.left == 0 {
            self.header = None;
            return Ok(Some((0, Piece::End(header))));
        }
        let data = bytes.get(..self.left).unwrap_or(bytes);
        if data.is_empty() {
            return Ok(None);
        }
        Ok(Some((data.len(), Piece::Data(data))))
    }

    /// Whether the packet at hand has nothing left but its end, for which no more
    /// bytes come.
    pub(super) fn at_end(&self) -> bool {
        self.header.is_some() && self.left == 0
    }

    /// So much of the data at hand was taken in.
    pub(super) fn take(&mut self, length: usize) {
        self.left = self.left.saturating_sub(length);
    }

    fn begin<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(usize, Piece<'a>)>, TranscodeError> {
        let missing = HEADER_LEN - self.have;
        let part = bytes.get(..missing).unwrap_or(bytes);
        if let Some(place) = self.bytes.get_mut(self.have..self.have + part.len()) {
            place.copy_from_slice(part);
        }
        self.have += part.len();
        if self.have < HEADER_LEN {
            return Ok(None);
        }
        self.have = 0;
        let header = self.judged()?;
        self.left = header.data_len();
        self.header = Some(header);
        Ok(Some((part.len(), Piece::Begin(header))))
    }

    fn judged(&self) -> Result<PacketHeader, TranscodeError> {
        let [kind, _, high, low, ..] = self.bytes;
        let kind = PacketType(kind);
        let length = usize::from(u16::from_be_bytes([high, low]));
        let header = PacketHeader::decode(&self.bytes);
        match self.side {
            Side::Client { packet_size } => {
                judge_request(kind, length)?;
                match header {
                    Ok(header) if length <= packet_size => Ok(header),
                    _ => Err(TranscodeError::PacketLength {
                        length,
                        negotiated: packet_size,
                    }),
                }
            }
            Side::Server if kind != PacketType::TABULAR_RESULT => {
                Err(TranscodeError::NotAnAnswer(kind))
            }
            Side::Server => match header.map_err(TranscodeError::Answer)? {
                header if length <= MAX_PACKET_SIZE => Ok(header),
                _ => Err(TranscodeError::Answer(crate::tds::DecodeError::TooLong {
                    what: "the packet",
                    len: length as u64,
                    max: MAX_PACKET_SIZE as u64,
                })),
            },
        }
    }
}

/// Whether a client may send such a packet after its login (MS-TDS 3.3.5.8).
fn judge_request(kind: PacketType, length: usize) -> Result<(), TranscodeError> {
    /// The first byte of a packet of the session multiplex protocol, which has a
    /// header of its own (MC-SMP 2.2.1).
    const SMP: PacketType = PacketType(0x53);
    match kind {
        PacketType::SQL_BATCH
        | PacketType::RPC
        | PacketType::BULK_LOAD
        | PacketType::TRANSACTION_MANAGER => Ok(()),
        PacketType::ATTENTION if length == HEADER_LEN => Ok(()),
        PacketType::ATTENTION => Err(TranscodeError::LongAttention { length }),
        SMP => Err(TranscodeError::Multiplexed),
        kind => Err(TranscodeError::NotARequest(kind)),
    }
}
