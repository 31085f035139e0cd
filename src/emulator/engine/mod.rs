//! The embedded engine: T-SQL over SQLite, as much of it as services and drivers use every day.
//!
//! It is no SQL Server and does not become one. What it does not know is refused with an error that
//! names the construct; it never answers wrongly in order to answer.
//!
//! The parts, in the order of a statement's way: [`parser`] reads T-SQL (with `sqlparser`), the
//! [`planner`] gives every expression its T-SQL type and writes SQLite's SQL, helped by the
//! [`catalogue`]; [`functions`] are what SQLite calls back; [`exec`] runs statements, control flow
//! and procedures; [`wire`] turns parameters into values and rows into tokens; [`types`] are T-SQL's.

mod catalogue;
mod deep;
mod error;
mod exec;
mod functions;
mod keep;
mod parser;
mod planner;
mod seeds;
mod session;
mod store;
mod types;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use uuid::Uuid;

use super::directory::{Directory, EntraPrincipal, InMemoryDirectory};
use crate::secret::Secret;
use crate::tds::ServerMessage;

pub(super) use seeds::Seeded;
pub use session::{
    BodyCancelled, ClientInfo, EngineSession, Interrupter, RequestBody, SessionInfo, SinkClosed,
    TokenSink,
};

/// Several logical databases behind one server name. Clones share them.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// How an [`Engine`] presents itself, and whom it knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineOptions {
    /// `@@SERVERNAME` and the server name in errors. Defaults to `emulator`.
    pub server_name: String,
    /// The tenant that `CREATE USER … FROM EXTERNAL PROVIDER` looks names up in. Defaults to an
    /// empty one.
    pub directory: Arc<dyn Directory>,
    /// Name and password of the server's administrator for SQL logins. Defaults to none: nobody can
    /// log in by password until `CREATE LOGIN` made one.
    pub admin: Option<(String, Secret)>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            server_name: "emulator".into(),
            directory: Arc::new(InMemoryDirectory::new()),
            admin: None,
        }
    }
}

/// Who logs in, after the gateway has checked the password or the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The server's administrator: `dbo` in every database.
    ServerAdmin {
        /// The login's name.
        name: String,
    },
    /// A login made by `CREATE LOGIN`, or a contained database user with a password.
    SqlLogin {
        /// The login's or the user's name.
        name: String,
    },
    /// Somebody with a token. Needs a database user of its own or of one of its groups.
    Entra(EntraPrincipal),
}

/// Why an engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The files cannot be made or opened.
    #[error("cannot open the emulator's database file")]
    Open(#[source] rusqlite::Error),
    /// The directory for the files cannot be made.
    #[error("cannot make the directory of the emulator's databases")]
    Directory(#[source] std::io::Error),
    /// A statement of a script failed.
    #[error("error {}, line {}: {}", .0.number, .0.line, .0.message)]
    Script(ServerMessage),
    /// Another engine has the files.
    #[error("{path} is in use by another emulator; end that one, or choose another file")]
    InUse {
        /// The file of `master`.
        path: PathBuf,
    },
    /// A file is broken, by a crash of the machine or by other hands.
    #[error(
        "{path} is damaged ({detail}); restore it, or delete all files of that name and start anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A database's file is gone or empty.
    #[error(
        "{path} holds a database and is gone; restore it, or delete all files of that name and start anew"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file that no engine of this kind has made.
    #[error("{path} was not made by the emulator; choose another file")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A file that an engine of another version has made.
    #[error(
        "{path} was made by another version of the emulator; use that one, or start anew with another file"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
    },
    /// There is such a database already.
    #[error("the database '{name}' already exists; choose another name")]
    DatabaseExists {
        /// The name asked for.
        name: String,
    },
}

struct Shared {
    options: EngineOptions,
    store: store::Store,
    locks: Arc<session::applock::AppLocks>,
    next_spid: AtomicU16,
    principal_ids: catalogue::security::PrincipalIds,
}

impl Engine {
    /// An engine whose databases vanish with its last clone. They are kept in a private directory
    /// among the system's temporary files, so that they may be larger than memory.
    ///
    /// # Errors
    /// When the temporary files cannot be made.
    pub fn in_memory(options: EngineOptions) -> Result<Self, EngineError> {
        Self::with_store(store::Store::temporary()?, options)
    }

    /// An engine that keeps its databases: `path` is the file of `master`, and the other databases
    /// lie beside it, under names that begin with its name.
    ///
    /// # Errors
    /// When the files cannot be opened or are no databases of this engine.
    pub fn open(path: &Path, options: EngineOptions) -> Result<Self, EngineError> {
        Self::with_store(store::Store::at(path)?, options)
    }

    fn with_store(store: store::Store, options: EngineOptions) -> Result<Self, EngineError> {
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                store,
                locks: Arc::default(),
                next_spid: AtomicU16::new(51),
                principal_ids: Default::default(),
            }),
        })
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// When the name is taken, without regard to case, or the file cannot be made.
    pub fn create_database(&self, name: &str) -> Result<(), EngineError> {
        self.shared.store.create(name)
    }

    /// Names of all databases, `master` first.
    #[must_use]
    pub fn databases(&self) -> Vec<String> {
        self.shared.store.names()
    }

    /// Runs T-SQL as the server's administrator and throws results away: for seeds.
    ///
    /// Batches are separated by lines that say `GO`.
    ///
    /// # Errors
    /// The first error of the script.
    pub fn run_script(&self, database: &str, sql: &str) -> Result<(), EngineError> {
        let admin = Principal::ServerAdmin {
            name: "admin".into(),
        };
        let mut session = self
            .connect(&admin, Some(database))
            .map_err(EngineError::Script)?;
        for (before, batch) in split_batches(sql) {
            session.run_text(&batch).map_err(|mut error| {
                error.line = error.line.saturating_add(before);
                EngineError::Script(error)
            })?;
        }
        Ok(())
    }

    /// Checks the password of a SQL login, or of a contained user of the database.
    ///
    /// # Errors
    /// 18456, whatever was wrong.
    pub fn authenticate_sql(
        &self,
        user: &str,
        password: &Secret,
        database: Option<&str>,
    ) -> Result<Principal, ServerMessage> {
        let admin = self.shared.options.admin.as_ref();
        if let Some((name, secret)) = admin.filter(|(name, _)| name.eq_ignore_ascii_case(user)) {
            if secret == password {
                return Ok(Principal::ServerAdmin { name: name.clone() });
            }
        } else if let Some(name) =
            session::login::check_password(&self.shared, user, password, database)
        {
            return Ok(Principal::SqlLogin { name });
        }
        Err(self.message(session::login::login_failed(user)))
    }

    /// Opens a session in the database, or in the principal's default one.
    ///
    /// # Errors
    /// 18456 if the principal has no user there, 4060 if there is no such database, in Azure's words.
    pub fn connect(
        &self,
        principal: &Principal,
        database: Option<&str>,
    ) -> Result<EngineSession, ServerMessage> {
        self.connect_client(principal, database, ClientInfo::default())
    }

    /// As [`connect`](Self::connect), for a client that said who it is.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_client(
        &self,
        principal: &Principal,
        database: Option<&str>,
        client: ClientInfo,
    ) -> Result<EngineSession, ServerMessage> {
        let spid = self
            .shared
            .next_spid
            .fetch_add(1, Ordering::Relaxed)
            .max(51);
        let shared = Arc::clone(&self.shared);
        EngineSession::open(shared, principal.clone(), database, client, spid)
            .map_err(|error| self.message(error))
    }

    fn message(&self, error: error::SqlError) -> ServerMessage {
        session::message(&error, &self.shared.options.server_name)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("server_name", &self.shared.options.server_name)
            .field("databases", &self.databases())
            .finish_non_exhaustive()
    }
}

/// Cuts a script at lines that say `GO`, as sqlcmd does. Gives each batch with the number of lines
/// before it.
fn split_batches(sql: &str) -> Vec<(u32, String)> {
    let mut batches = vec![(0, String::new())];
    for (number, line) in (1..).zip(sql.lines()) {
        if line.trim().eq_ignore_ascii_case("go") {
            batches.push((number, String::new()));
        } else if let Some((_, batch)) = batches.last_mut() {
            batch.push_str(line);
            batch.push('\n');
        }
    }
    batches.retain(|(_, batch)| !batch.trim().is_empty());
    batches
}

/// A fresh identifier for files and the like.
fn fresh_id() -> Uuid {
    Uuid::new_v4()
}
