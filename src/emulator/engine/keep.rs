//! Files that outlive the engine: one engine at a time, of the version that made them, whole.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::EngineError;
use super::catalogue::schema;

/// `entr`, in the header of each of our SQLite files (`PRAGMA application_id`).
const APPLICATION: i32 = 0x656e_7472;

/// Takes the databases of this file for oneself, until the lock is dropped or the process ends.
pub(super) fn lock(master: &Path) -> Result<File, EngineError> {
    let path = beside(master, ".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(EngineError::Directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EngineError::InUse {
            path: master.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(EngineError::Directory(error)),
    }
}

/// Opens a file that must be there, or with `new`, one that may be made.
pub(super) fn open(path: &Path, new: bool) -> Result<Connection, EngineError> {
    let there = std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0);
    if !there && !new {
        return Err(EngineError::Missing {
            path: path.to_owned(),
        });
    }
    let conn = Connection::open(path).map_err(|error| explained(error, path))?;
    if there {
        check(&conn, path)?;
    } else {
        stamp(&conn).map_err(|error| explained(error, path))?;
    }
    Ok(conn)
}

/// An empty file of `master` among files of its databases is what is left of a broken one.
pub(super) fn check_lone(master: &Path) -> Result<(), EngineError> {
    let there = std::fs::metadata(master).is_ok_and(|meta| meta.len() > 0);
    let orphan = beside(master, "-5");
    if !there && orphan.exists() {
        return Err(EngineError::Damaged {
            path: master.to_owned(),
            detail: format!("it is empty, but {} is there", orphan.display()),
        });
    }
    Ok(())
}

/// The name with something behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

fn stamp(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "application_id", APPLICATION)?;
    conn.pragma_update(None, "user_version", schema::version())
}

fn check(conn: &Connection, path: &Path) -> Result<(), EngineError> {
    let number = |pragma: &str| conn.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let made_by = number("application_id").map_err(|error| explained(error, path))?;
    if made_by != APPLICATION {
        return Err(EngineError::NotOurs {
            path: path.to_owned(),
        });
    }
    let version = number("user_version").map_err(|error| explained(error, path))?;
    if version != schema::version() {
        return Err(EngineError::OtherVersion {
            path: path.to_owned(),
        });
    }
    let said: String = conn
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| explained(error, path))?;
    if said == "ok" {
        return Ok(());
    }
    Err(EngineError::Damaged {
        path: path.to_owned(),
        detail: said,
    })
}

fn explained(error: rusqlite::Error, path: &Path) -> EngineError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => EngineError::NotOurs { path },
        Some(ErrorCode::DatabaseCorrupt) => EngineError::Damaged {
            path,
            detail: error.to_string(),
        },
        _ => EngineError::Open(error),
    }
}
