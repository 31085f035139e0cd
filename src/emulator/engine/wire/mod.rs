//! Parameters from the wire, rows and results onto it.

pub(crate) mod bulk;
pub(crate) mod out;
pub(crate) mod rpc;
pub(crate) mod types;
pub(crate) mod values;
mod variant;

/// `SQL_Latin1_General_CP1_CI_AS`.
pub(crate) const COLLATION: [u8; 5] = crate::tds::Collation::SQL_LATIN1_GENERAL_CP1_CI_AS.0;

/// What Azure SQL Database reports: 12.0.2000.
pub(crate) const VERSION: [u8; 4] = [12, 0, 0x07, 0xD0];
