//! A session's SQLite connection.

use rusqlite::Connection;

use super::super::error::SqlResult;

/// A connection with no database attached yet.
pub(crate) fn open() -> SqlResult<Connection> {
    let conn = Connection::open_in_memory()?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;")?;
    Ok(conn)
}
