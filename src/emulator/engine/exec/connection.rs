//! A session's SQLite connection.

use std::time::Duration;

use rusqlite::Connection;

use super::super::error::SqlResult;
use super::super::functions::{self, Identity};

/// How long SQLite waits for a lock before the engine looks whether somebody wants it to stop.
pub(crate) const LOCK_STEP: Duration = Duration::from_millis(50);

/// A connection with no database attached yet, and its counter of identity values.
pub(crate) fn open() -> SqlResult<(Connection, Identity)> {
    let conn = Connection::open_in_memory()?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.busy_timeout(LOCK_STEP)?;
    conn.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;")?;
    let identity = functions::register(&conn)?;
    Ok((conn, identity))
}
