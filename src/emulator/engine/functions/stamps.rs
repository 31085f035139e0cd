//! Values that only ever grow: rowversion and NEWSEQUENTIALID.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value as Stored;

/// The last number given out by this process, for any database.
static LAST: AtomicU64 = AtomicU64::new(0);

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    conn.create_scalar_function("t_rowversion", 0, FunctionFlags::SQLITE_UTF8, |_| {
        Ok(Stored::Blob(next().to_be_bytes().to_vec()))
    })?;
    // SQLite keeps a GUID in the order in which SQL Server compares it: first the node.
    let node: [u8; 8] = std::array::from_fn(|_| fastrand::u8(..));
    conn.create_scalar_function("t_sequentialid", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        let mut guid = node.to_vec();
        guid.extend(next().to_be_bytes());
        Ok(Stored::Blob(guid))
    })
}

/// Microseconds since 1970, or one more than last time: greater than what was kept before a restart.
fn next() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(0));
    let step = |last: u64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    now.max(last.unwrap_or(0) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow() {
        let (a, b, c) = (next(), next(), next());
        assert!(a < b && b < c);
    }
}
