//! DONE, DONEPROC and DONEINPROC: a statement or procedure has ended
//! (MS-TDS 2.2.7.6 to 2.2.7.8).

use std::fmt;

use super::{DecodeError, Put, Reader, TdsVersion};

/// A statement or procedure has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// What has ended.
    pub kind: DoneKind,
    /// How it ended.
    pub status: DoneStatus,
    /// Which kind of statement it was; 0xC1 is SELECT.
    pub command: u16,
    /// Rows; means something only with [`DoneStatus::COUNT`].
    pub row_count: u64,
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DoneKind {
    /// DONE: a statement of a batch.
    Done,
    /// DONEPROC: a stored procedure.
    DoneProc,
    /// DONEINPROC: a statement inside of a stored procedure.
    DoneInProc,
}

impl DoneKind {
    /// The token byte.
    #[must_use]
    pub fn token(self) -> u8 {
        match self {
            Self::Done => 0xFD,
            Self::DoneProc => 0xFE,
            Self::DoneInProc => 0xFF,
        }
    }

    /// The kind of this token byte, if it is one of the three.
    #[must_use]
    pub fn from_token(token: u8) -> Option<Self> {
        match token {
            0xFD => Some(Self::Done),
            0xFE => Some(Self::DoneProc),
            0xFF => Some(Self::DoneInProc),
            _ => None,
        }
    }
}

/// Bits that tell how it ended.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DoneStatus(pub u16);

impl DoneStatus {
    /// No bit: the response ends here, without a count.
    pub const FINAL: Self = Self(0x000);
    /// More of this response follows.
    pub const MORE: Self = Self(0x001);
    /// The statement failed; ERROR tokens have told why.
    pub const ERROR: Self = Self(0x002);
    /// A transaction is open. SQL Server never sets it.
    pub const INXACT: Self = Self(0x004);
    /// The row count is valid.
    pub const COUNT: Self = Self(0x010);
    /// An attention is acknowledged; in DONE only.
    pub const ATTN: Self = Self(0x020);
    /// One call of several has ended; in DONEPROC only.
    pub const RPCINBATCH: Self = Self(0x080);
    /// A severe error: discard the result.
    pub const SRVERROR: Self = Self(0x100);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl std::ops::BitOr for DoneStatus {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for DoneStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#05x}", self.0)
    }
}

impl Done {
    /// A plain DONE with this status.
    #[must_use]
    pub fn new(status: DoneStatus) -> Self {
        Self {
            kind: DoneKind::Done,
            status,
            command: 0,
            row_count: 0,
        }
    }

    /// Whether this ends the response.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.kind != DoneKind::DoneInProc && !self.status.contains(DoneStatus::MORE)
    }

    /// Appends the token, its token byte included. The row count has 8 bytes
    /// from 7.2 on; before that 4, and a greater count is sent as the greatest.
    pub fn encode(&self, version: TdsVersion, out: &mut Vec<u8>) {
        out.put_u8(self.kind.token());
        out.put_u16_le(self.status.0);
        out.put_u16_le(self.command);
        if version >= TdsVersion::V7_2 {
            out.put_u64_le(self.row_count);
        } else {
            out.put_u32_le(u32::try_from(self.row_count).unwrap_or(u32::MAX));
        }
    }

    /// Reads what follows the token byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn decode(
        kind: DoneKind,
        version: TdsVersion,
        reader: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            kind,
            status: DoneStatus(reader.u16_le()?),
            command: reader.u16_le()?,
            row_count: if version >= TdsVersion::V7_2 {
                reader.u64_le()?
            } else {
                reader.u32_le()?.into()
            },
        })
    }
}
