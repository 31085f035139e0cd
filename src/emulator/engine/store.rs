//! Where the databases are: one SQLite file each, in WAL mode, attached by every session.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use rusqlite::Connection;

use super::EngineError;
use super::catalogue::schema;
use super::error::{SqlError, SqlResult};
use super::keep;

/// All databases of a server.
pub(crate) struct Store {
    master: PathBuf,
    temporary: Option<PathBuf>,
    /// Keeps other engines away from the files.
    _lock: File,
    databases: RwLock<Vec<Database>>,
}

/// One logical database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// `sys.databases.database_id`; `master` is 1.
    pub(crate) id: i64,
    pub(crate) name: String,
    path: PathBuf,
}

impl Database {
    /// The name under which sessions attach it.
    pub(crate) fn alias(&self) -> String {
        format!("d{}", self.id)
    }
}

/// First id that Azure gives to a user's database.
const FIRST_ID: i64 = 5;

impl Store {
    /// A private directory that is removed at the end.
    pub(crate) fn temporary() -> Result<Self, EngineError> {
        let dir = std::env::temp_dir().join(format!("entrada-{}", super::fresh_id().simple()));
        make_private(&dir).map_err(EngineError::Directory)?;
        let mut store = Self::at(&dir.join("master.db"));
        match &mut store {
            Ok(store) => store.temporary = Some(dir),
            Err(_) => drop(std::fs::remove_dir_all(&dir)),
        }
        store
    }

    /// Opens the file of `master`, making it if it is not there.
    ///
    /// # Errors
    /// When another engine has the files, or they are not whole, or not of this engine's making.
    pub(crate) fn at(path: &Path) -> Result<Self, EngineError> {
        let store = Self {
            master: path.to_owned(),
            temporary: None,
            _lock: keep::lock(path)?,
            databases: RwLock::new(Vec::new()),
        };
        keep::check_lone(path)?;
        store.register(1, "master".into(), path.to_owned(), true)?;
        let conn = Connection::open(path).map_err(EngineError::Open)?;
        schema::create_server(&conn).map_err(EngineError::Open)?;
        let known = schema::read_databases(&conn).map_err(EngineError::Open)?;
        for (id, name) in known {
            let path = store.path_of(id);
            store.register(id, name, path, false)?;
        }
        Ok(store)
    }

    pub(crate) fn create(&self, name: &str) -> Result<(), EngineError> {
        if self.find(name).is_some() {
            return Err(EngineError::DatabaseExists { name: name.into() });
        }
        let conn = Connection::open(&self.master).map_err(EngineError::Open)?;
        // The file is there before anybody reads of it.
        let adding = conn.unchecked_transaction().map_err(EngineError::Open)?;
        let id = schema::add_database(&adding, name, FIRST_ID).map_err(EngineError::Open)?;
        let path = self.path_of(id);
        // What a crash left of a database that never came to be.
        remove(&path);
        self.register(id, name.into(), path, true)?;
        adding.commit().map_err(|error| {
            self.write().retain(|database| database.id != id);
            EngineError::Open(error)
        })
    }

    /// Takes a database away. Sessions that have it open keep what they see.
    pub(crate) fn drop_database(&self, name: &str) -> SqlResult<()> {
        let Some(database) = self.find(name).filter(|d| d.id != 1) else {
            return Err(SqlError::new(
                3701,
                format!(
                    "Cannot drop the database '{name}', because it does not exist or you do not have \
                     permission."
                ),
            )
            .class(11));
        };
        let conn = Connection::open(&self.master)?;
        schema::remove_database(&conn, database.id)?;
        self.write().retain(|d| d.id != database.id);
        remove(&database.path);
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<Database> {
        self.read()
            .iter()
            .find(|d| d.name.eq_ignore_ascii_case(name))
            .cloned()
    }

    pub(crate) fn all(&self) -> Vec<Database> {
        self.read().clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.read().iter().map(|d| d.name.clone()).collect()
    }

    /// Makes the database known to a session's connection.
    pub(crate) fn attach(&self, conn: &Connection, database: &Database) -> SqlResult<()> {
        let path = database.path.to_string_lossy().into_owned();
        conn.execute(
            &format!("ATTACH DATABASE ?1 AS {}", database.alias()),
            [path],
        )?;
        // Durability is the file system's affair: this is an emulator, and commits must be cheap.
        let sync = if self.temporary.is_some() {
            "OFF"
        } else {
            "NORMAL"
        };
        conn.execute_batch(&format!(
            "PRAGMA {}.synchronous = {sync};",
            database.alias()
        ))?;
        Ok(())
    }

    /// A connection to `master` alone, for logins.
    pub(crate) fn open_master(&self) -> SqlResult<Connection> {
        Ok(Connection::open(&self.master)?)
    }

    fn path_of(&self, id: i64) -> PathBuf {
        keep::beside(&self.master, &format!("-{id}"))
    }

    fn register(&self, id: i64, name: String, path: PathBuf, new: bool) -> Result<(), EngineError> {
        let conn = keep::open(&path, new)?;
        conn.pragma_update(None, "journal_mode", "WAL")
            .map_err(EngineError::Open)?;
        schema::create_database(&conn, &name).map_err(EngineError::Open)?;
        self.write().push(Database { id, name, path });
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Database>> {
        self.databases
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Database>> {
        self.databases
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(dir) = &self.temporary {
            drop(std::fs::remove_dir_all(dir));
        }
    }
}

/// Removes a database's files.
fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        // Windows keeps a file that a session has open; it is orphaned then, never wrong.
        drop(std::fs::remove_file(keep::beside(path, suffix)));
    }
}

#[cfg(unix)]
fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir(dir)
}
