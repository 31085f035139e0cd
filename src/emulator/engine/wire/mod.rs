//! Parameters from the wire, rows and results onto it.

/// LCID 0x0409, ignore case, kana and width, sort id 52: `SQL_Latin1_General_CP1_CI_AS`.
pub(crate) const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// What Azure SQL Database reports: 12.0.2000.
pub(crate) const VERSION: [u8; 4] = [12, 0, 0x07, 0xD0];
