//! What a database holds: schemas, tables with their T-SQL types, principals and rights.

pub(crate) mod permissions;
mod rights;
pub(crate) mod schema;
pub(crate) mod security;
pub(crate) mod shown;
pub(crate) mod tables;
pub(crate) mod views;
pub(crate) mod visible;

use std::time::{SystemTime, UNIX_EPOCH};

use super::types::datetime::{DAY, DAY_1970};

/// The present moment in 100 ns since 0001-01-01, UTC.
pub(crate) fn now_ticks() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    DAY_1970 * DAY + i64::try_from(since.as_nanos() / 100).unwrap_or(0)
}
