//! The engine's own tables in each database. Their names begin with `~`, which no user's table has:
//! those are named `schema.table`.

use rusqlite::Connection;

/// Tables of `master` that concern the server.
const SERVER: &str = "
CREATE TABLE IF NOT EXISTS \"~databases\"(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE);
CREATE TABLE IF NOT EXISTS \"~logins\"(name TEXT PRIMARY KEY COLLATE NOCASE, salt BLOB NOT NULL, hash BLOB NOT NULL, sid BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS \"~seeds\"(database TEXT NOT NULL COLLATE NOCASE, step TEXT NOT NULL, salt TEXT NOT NULL,
  hash BLOB NOT NULL, done INTEGER NOT NULL, PRIMARY KEY(database, step));
";

/// Tables of every database. Times are 100 ns since year 1; types are `SqlType::code`.
const DATABASE: &str = "
CREATE TABLE IF NOT EXISTS \"~schemas\"(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, owner INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS \"~objects\"(id INTEGER PRIMARY KEY, schema_id INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
  kind TEXT NOT NULL, parent INTEGER NOT NULL DEFAULT 0, definition TEXT, created INTEGER NOT NULL, modified INTEGER NOT NULL,
  identity_next INTEGER, source TEXT, parent_column INTEGER NOT NULL DEFAULT 0, system_named INTEGER NOT NULL DEFAULT 0,
  owner INTEGER, UNIQUE(schema_id, name));
CREATE TABLE IF NOT EXISTS \"~columns\"(object_id INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
  type INTEGER NOT NULL, nullable INTEGER NOT NULL, default_text TEXT, default_name TEXT, seed INTEGER, increment INTEGER,
  PRIMARY KEY(object_id, id));
CREATE TABLE IF NOT EXISTS \"~indexes\"(object_id INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
  kind TEXT NOT NULL, is_unique INTEGER NOT NULL, columns TEXT NOT NULL, filter TEXT, PRIMARY KEY(object_id, id));
CREATE TABLE IF NOT EXISTS \"~index_columns\"(object_id INTEGER NOT NULL, index_id INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  column_id INTEGER NOT NULL, descending INTEGER NOT NULL, included INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(object_id, index_id, ordinal));
CREATE TABLE IF NOT EXISTS \"~foreign_keys\"(id INTEGER PRIMARY KEY, referenced INTEGER NOT NULL,
  on_delete INTEGER NOT NULL, on_update INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS \"~foreign_key_columns\"(id INTEGER NOT NULL, ordinal INTEGER NOT NULL, parent_column INTEGER NOT NULL,
  referenced_column INTEGER NOT NULL, PRIMARY KEY(id, ordinal));
CREATE TABLE IF NOT EXISTS \"~principals\"(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, kind TEXT NOT NULL,
  sid BLOB, default_schema TEXT, auth INTEGER NOT NULL DEFAULT 0, fixed INTEGER NOT NULL DEFAULT 0, login TEXT COLLATE NOCASE,
  salt BLOB, hash BLOB, created INTEGER NOT NULL, owner INTEGER);
CREATE TABLE IF NOT EXISTS \"~properties\"(class INTEGER NOT NULL, major INTEGER NOT NULL, minor INTEGER NOT NULL,
  name TEXT NOT NULL COLLATE NOCASE, value TEXT, PRIMARY KEY(class, major, minor, name));
CREATE TABLE IF NOT EXISTS \"~members\"(role_id INTEGER NOT NULL, member_id INTEGER NOT NULL, PRIMARY KEY(role_id, member_id));
CREATE TABLE IF NOT EXISTS \"~permissions\"(class INTEGER NOT NULL, major INTEGER NOT NULL, minor INTEGER NOT NULL DEFAULT 0,
  grantee INTEGER NOT NULL, grantor INTEGER NOT NULL, permission TEXT NOT NULL COLLATE NOCASE, state TEXT NOT NULL,
  PRIMARY KEY(class, major, minor, grantee, grantor, permission));
CREATE TRIGGER IF NOT EXISTS \"~gone\" AFTER DELETE ON \"~objects\" BEGIN
  DELETE FROM \"~foreign_key_columns\" WHERE id = old.id;
  DELETE FROM \"~foreign_keys\" WHERE id = old.id;
END;
CREATE TRIGGER IF NOT EXISTS \"~unindexed\" AFTER DELETE ON \"~indexes\" BEGIN
  DELETE FROM \"~index_columns\" WHERE object_id = old.object_id AND index_id = old.id;
END;
";

/// Fixed principals: id, name, kind (`sys.database_principals.type`), default schema.
const PRINCIPALS: &[(i64, &str, &str, Option<&str>)] = &[
    (0, "public", "R", None),
    (1, "dbo", "S", Some("dbo")),
    (2, "guest", "S", Some("guest")),
    (3, "INFORMATION_SCHEMA", "S", None),
    (4, "sys", "S", None),
    (16384, "db_owner", "R", None),
    (16385, "db_accessadmin", "R", None),
    (16386, "db_securityadmin", "R", None),
    (16387, "db_ddladmin", "R", None),
    (16389, "db_backupoperator", "R", None),
    (16390, "db_datareader", "R", None),
    (16391, "db_datawriter", "R", None),
    (16392, "db_denydatareader", "R", None),
    (16393, "db_denydatawriter", "R", None),
];

/// A number that another one follows whenever these tables change: files with other tables must not
/// be taken for one's own.
pub(crate) fn version() -> i32 {
    // FNV-1a, without the sign.
    let bytes = SERVER.bytes().chain(DATABASE.bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    i32::try_from(hash >> 1).unwrap_or(1).max(1)
}

/// Makes the server's tables in `master`.
pub(crate) fn create_server(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(SERVER)
}

/// Makes the engine's tables of a database, with the fixed principals and schemas.
pub(crate) fn create_database(conn: &Connection, _name: &str) -> rusqlite::Result<()> {
    conn.execute_batch(DATABASE)?;
    let now = super::now_ticks();
    for (id, name, kind, schema) in PRINCIPALS {
        conn.execute(
            "INSERT OR IGNORE INTO \"~principals\"(id, name, kind, sid, default_schema, auth, fixed, created, owner)
             VALUES (?1, ?2, ?3, ?4, ?5, ?1 = 1, ?6, ?7, 1)",
            rusqlite::params![
                id,
                name,
                kind,
                sid(*id),
                schema,
                *id >= 16384,
                now
            ],
        )?;
        let is_schema_owner = matches!(*id, 1..=4) || *id >= 16384;
        if is_schema_owner {
            conn.execute(
                "INSERT OR IGNORE INTO \"~schemas\"(id, name, owner) VALUES (?1, ?2, ?1)",
                rusqlite::params![id, name],
            )?;
        }
    }
    Ok(())
}

/// SIDs of the fixed principals: those of roles end with their id.
fn sid(id: i64) -> Option<Vec<u8>> {
    match id {
        1 => Some(vec![1]),
        2 => Some(vec![0]),
        0 | 3 | 4 => None,
        _ => {
            let mut sid = vec![1, 5, 0, 0, 0, 0, 0, 9, 4, 0, 0, 0];
            sid.extend([0; 12]);
            sid.extend(u32::try_from(id).unwrap_or(0).to_le_bytes());
            Some(sid)
        }
    }
}

/// Databases other than `master`.
pub(crate) fn read_databases(conn: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    conn.prepare("SELECT id, name FROM \"~databases\" ORDER BY id")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Notes a new database down and gives it an id.
pub(crate) fn add_database(conn: &Connection, name: &str, first: i64) -> rusqlite::Result<i64> {
    conn.query_row(
        "INSERT INTO \"~databases\"(id, name)
         VALUES (max(?2, ifnull((SELECT max(id) + 1 FROM \"~databases\"), 0)), ?1) RETURNING id",
        rusqlite::params![name, first],
        |row| row.get(0),
    )
}

/// Forgets a database.
pub(crate) fn remove_database(conn: &Connection, id: i64) -> rusqlite::Result<()> {
    conn.execute(
        "DELETE FROM \"~seeds\" WHERE database = (SELECT name FROM \"~databases\" WHERE id = ?1)",
        [id],
    )?;
    conn.execute("DELETE FROM \"~databases\" WHERE id = ?1", [id])
        .map(|_| ())
}

/// Makes the tables that describe a session's `#tables`.
pub(crate) fn create_temp(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(&DATABASE.replace("EXISTS \"", "EXISTS temp.\""))?;
    conn.execute_batch(
        "INSERT OR IGNORE INTO temp.\"~schemas\"(id, name, owner) VALUES (1, 'dbo', 1)",
    )
}
