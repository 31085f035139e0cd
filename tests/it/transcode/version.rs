//! The versions that clients speak, and what each has.

use entrada::tds::TdsVersion;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// SQL Server 2000.
    V71,
    /// SQL Server 2000 SP1.
    V71r1,
    /// SQL Server 2005.
    V72,
    /// SQL Server 2008.
    V73a,
    /// SQL Server 2008 R2.
    V73b,
    /// SQL Server 2012 and all since.
    V74,
}

impl Version {
    pub(super) const ALL: [Self; 6] = [
        Self::V71,
        Self::V71r1,
        Self::V72,
        Self::V73a,
        Self::V73b,
        Self::V74,
    ];

    /// Those for which the proxy must transcode.
    pub(super) const OLD: [Self; 4] = [Self::V71, Self::V71r1, Self::V72, Self::V73a];

    /// The number in LOGIN7.
    pub(super) fn number(self) -> TdsVersion {
        TdsVersion(match self {
            Self::V71 => 0x7100_0000,
            Self::V71r1 => 0x7100_0001,
            Self::V72 => 0x7209_0002,
            Self::V73a => 0x730A_0003,
            Self::V73b => 0x730B_0003,
            Self::V74 => 0x7400_0004,
        })
    }

    /// The bytes in LOGINACK.
    pub(super) fn acknowledged(self) -> [u8; 4] {
        match self {
            Self::V71 => [0x07, 0x01, 0x00, 0x00],
            Self::V71r1 => [0x71, 0x00, 0x00, 0x01],
            Self::V72 => [0x72, 0x09, 0x00, 0x02],
            Self::V73a => [0x73, 0x0A, 0x00, 0x03],
            Self::V73b => [0x73, 0x0B, 0x00, 0x03],
            Self::V74 => [0x74, 0x00, 0x00, 0x04],
        }
    }

    /// Wide user types, counts and lines; (max) types; xml; ALL_HEADERS.
    pub(super) fn has_max(self) -> bool {
        self >= Self::V72
    }

    /// date, time, datetime2, datetimeoffset and user-defined types above 8000 bytes.
    pub(super) fn has_dates(self) -> bool {
        self >= Self::V73a
    }

    /// Rows with a bitmap of their NULLs; sparse column sets.
    pub(super) fn has_null_bitmaps(self) -> bool {
        self >= Self::V73b
    }
}
