//! Everything a session remembers between requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::catalogue::security::User;
use super::super::error::{SqlError, SqlResult};
use super::super::functions::Identity;
use super::super::parser::ast::{InsertBulk, Procedure};
use super::super::store::Database;
use super::super::types::{SqlType, Value};
use super::super::{Principal, Shared};
use super::applock::{SessionLocks, Span};
use super::context::Frame;
use super::interrupt::Interrupt;
use super::{ClientInfo, Interrupter, login};
use crate::tds::EnvChange;

/// A session's state.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) conn: Connection,
    pub(crate) principal: Principal,
    pub(crate) login_name: String,
    pub(crate) client: ClientInfo,
    /// When the session began, in 100 ns since 0001-01-01.
    pub(crate) login_time: i64,
    pub(crate) spid: u16,
    pub(crate) login_database: Database,
    pub(crate) database: Database,
    /// The user whose rights count; EXECUTE AS pushes onto `impersonated`.
    pub(crate) user: User,
    pub(crate) impersonated: Vec<Frame>,
    /// How many of these the running procedure or dynamic SQL found; `None` in a batch itself.
    pub(crate) module: Option<usize>,
    /// The server drops the session.
    pub(crate) over: bool,
    attached: Vec<i64>,
    pub(crate) settings: Settings,
    /// What `sp_set_session_context` keeps.
    pub(crate) context: HashMap<String, ContextEntry>,
    pub(crate) isolation: Isolation,
    pub(crate) tran: Transaction,
    pub(crate) prepared: HashMap<i32, Prepared>,
    /// By name in lower case. What a transaction made stays if it is rolled back.
    pub(crate) procedures: HashMap<String, Arc<Procedure>>,
    pub(crate) last_handle: i32,
    /// The bulk load that the last statement announced.
    pub(crate) load: Option<InsertBulk>,
    pub(crate) rowcount: i64,
    pub(crate) error: i64,
    /// The last identity value of the session.
    pub(crate) identity: Option<i64>,
    /// The last identity value of the running batch or procedure.
    pub(crate) scope_identity: Option<i64>,
    /// The error under way is RAISERROR's.
    pub(crate) raised: bool,
    /// The error under way has come out of dynamic SQL.
    pub(crate) surfaced: Option<u32>,
    pub(crate) has_temp: bool,
    /// Schemas of the running batches' table variables, innermost last.
    pub(crate) table_scopes: Vec<Option<String>>,
    pub(crate) last_table_scope: i64,
    pub(crate) counter: Identity,
    /// Application locks.
    pub(crate) locks: SessionLocks,
    pub(super) interrupt: Arc<Interrupt>,
    handle: Arc<rusqlite::InterruptHandle>,
}

/// A statement that waits for `sp_execute`.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// A text, or the name of a procedure.
    pub(crate) sql: String,
    pub(crate) is_procedure: bool,
    pub(crate) declarations: Vec<Declared>,
}

/// A parameter's declaration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    /// With the `@`.
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) output: bool,
}

/// A value of the session's context.
#[derive(Clone, Debug)]
pub(crate) struct ContextEntry {
    /// A `sql_variant`.
    pub(crate) value: Value,
    pub(crate) read_only: bool,
}

impl ContextEntry {
    /// Bytes of the value, more or less.
    pub(crate) fn size(&self) -> usize {
        match self.value.clone().into_stored() {
            rusqlite::types::Value::Text(text) => text.len(),
            _ => 0,
        }
    }
}

/// SET options that change what statements do.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of T-SQL, independent of the others"
)]
pub(crate) struct Settings {
    pub(crate) nocount: bool,
    pub(crate) xact_abort: bool,
    pub(crate) implicit_transactions: bool,
    /// Rows after which a query stops; 0 is no limit.
    pub(crate) rowcount: i64,
    /// Milliseconds to wait for a lock; -1 waits as long as it takes.
    pub(crate) lock_timeout: i64,
    /// The table with IDENTITY_INSERT ON, as SQLite names it.
    pub(crate) identity_insert: Option<String>,
    /// First day of the week, 7 is Sunday.
    pub(crate) datefirst: i64,
    /// SET PARSEONLY and NOEXEC, which run nothing.
    pub(crate) noexec: bool,
    /// SET FMTONLY, under which queries show their columns only.
    pub(crate) fmtonly: bool,
    pub(crate) textsize: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nocount: false,
            xact_abort: false,
            implicit_transactions: false,
            rowcount: 0,
            lock_timeout: -1,
            identity_insert: None,
            datefirst: 7,
            noexec: false,
            fmtonly: false,
            textsize: 2_147_483_647,
        }
    }
}

/// Isolation levels with the numbers of `sys.dm_exec_sessions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted = 1,
    #[default]
    ReadCommitted = 2,
    RepeatableRead = 3,
    Serializable = 4,
    Snapshot = 5,
}

/// The session's transaction.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// `@@TRANCOUNT`.
    pub(crate) count: i64,
    /// SQLite's transaction is open (it opens at the first write).
    pub(crate) started: bool,
    /// An error left it so that it can only be rolled back (3930).
    pub(crate) doomed: bool,
    /// Descriptor told to the client, 0 outside a transaction.
    pub(crate) descriptor: u64,
    pub(crate) last_descriptor: u64,
    pub(crate) savepoints: Vec<String>,
    /// Name given to the outermost BEGIN TRANSACTION.
    pub(crate) name: String,
    /// Identity values that its statements took.
    pub(crate) identities: Vec<SpentIdentity>,
}

/// How far the identity values of a table have gone.
#[derive(Clone, Debug)]
pub(crate) struct SpentIdentity {
    /// SQLite's name of the database.
    pub(crate) alias: String,
    pub(crate) table: i64,
    pub(crate) next: i64,
    pub(crate) increment: i64,
}

impl State {
    pub(crate) fn new(
        shared: Arc<Shared>,
        (conn, counter): (Connection, Identity),
        principal: Principal,
        database: Database,
        user: User,
        spid: u16,
    ) -> Self {
        let handle = Arc::new(conn.get_interrupt_handle());
        let locks = shared.locks.session();
        Self {
            shared,
            login_name: login::login_name(&principal),
            client: ClientInfo::default(),
            login_time: super::super::catalogue::now_ticks(),
            principal,
            spid,
            attached: vec![database.id],
            login_database: database.clone(),
            database,
            user,
            impersonated: Vec::new(),
            module: None,
            over: false,
            settings: Settings::default(),
            context: HashMap::new(),
            isolation: Isolation::default(),
            tran: Transaction::default(),
            prepared: HashMap::new(),
            procedures: HashMap::new(),
            last_handle: 0,
            load: None,
            rowcount: 0,
            error: 0,
            identity: None,
            scope_identity: None,
            raised: false,
            surfaced: None,
            has_temp: false,
            table_scopes: Vec::new(),
            last_table_scope: 0,
            counter,
            locks,
            interrupt: Arc::default(),
            handle,
            conn,
        }
    }

    pub(crate) fn interrupter(&self) -> Interrupter {
        Interrupter {
            interrupt: Arc::clone(&self.interrupt),
            handle: Arc::clone(&self.handle),
        }
    }

    /// Forgets an interrupt that came when nothing ran.
    pub(crate) fn clear_interrupt(&self) {
        self.interrupt.clear();
    }

    pub(crate) fn check_interrupt(&self) -> SqlResult<()> {
        if self.interrupt.is_set() {
            return Err(SqlError::interrupted());
        }
        Ok(())
    }

    /// Lets time pass, unless an interrupt comes.
    pub(crate) fn pause(&self, time: Duration) -> SqlResult<()> {
        self.interrupt.wait(time);
        self.check_interrupt()
    }

    /// The user whose rights count now.
    pub(crate) fn acting(&self) -> &User {
        self.impersonated.last().map_or(&self.user, |f| &f.user)
    }

    /// Changes the database. The client learns of it by an environment change.
    pub(crate) fn use_database(&mut self, name: &str) -> SqlResult<()> {
        let found = self.shared.store.find(name).ok_or_else(|| {
            SqlError::new(
                911,
                format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
            )
        })?;
        if found.id == self.database.id {
            return Ok(());
        }
        self.may_leave_database(&found)?;
        if !self.attached.contains(&found.id) {
            if self.tran.started {
                return Err(SqlError::unsupported("USE inside a transaction"));
            }
            self.shared.store.attach(&self.conn, &found)?;
            self.attached.push(found.id);
        }
        let user = login::user_of(&self.conn, &found.alias(), &self.principal)?;
        self.user = user.ok_or_else(|| {
            SqlError::new(
                916,
                format!(
                    "The server principal \"{}\" is not able to access the database \"{}\" under the \
                     current security context.",
                    self.login_name, found.name
                ),
            )
            .class(14)
        })?;
        self.database = found;
        Ok(())
    }

    /// See [`EngineSession::reset`](super::EngineSession::reset).
    pub(crate) fn reset(&mut self, roll_back: bool) -> Vec<EnvChange> {
        let mut changes = Vec::new();
        if roll_back && self.tran.count > 0 {
            self.roll_back_all();
        }
        self.locks.end(Span::Session);
        self.drop_temp();
        self.prepared.clear();
        self.procedures.clear();
        self.load = None;
        self.impersonated.clear();
        self.settings = Settings::default();
        self.context.clear();
        self.identity = None;
        self.scope_identity = None;
        self.rowcount = 0;
        self.error = 0;
        if self.database.id != self.login_database.id {
            let old = self.database.name.clone();
            let new = self.login_database.name.clone();
            if self.use_database(&new).is_ok() {
                changes.push(EnvChange::Database { new, old });
            }
        }
        changes
    }

    /// Ends SQLite's transaction, whatever its state, and forgets ours.
    pub(crate) fn roll_back_all(&mut self) {
        if !self.conn.is_autocommit() {
            drop(self.conn.execute_batch("ROLLBACK"));
        }
        self.end_transaction();
    }

    /// Forgets the transaction and returns its descriptor.
    pub(crate) fn end_transaction(&mut self) -> u64 {
        let descriptor = self.tran.descriptor;
        self.tran = Transaction {
            last_descriptor: self.tran.last_descriptor,
            ..Transaction::default()
        };
        self.locks.end(Span::Transaction);
        descriptor
    }

    fn drop_temp(&mut self) {
        if !self.has_temp {
            return;
        }
        let names: Vec<String> = self
            .conn
            .prepare("SELECT name FROM temp.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
            .unwrap_or_default();
        for name in names {
            let quoted = name.replace('"', "\"\"");
            drop(
                self.conn
                    .execute_batch(&format!("DROP TABLE temp.\"{quoted}\"")),
            );
        }
        self.has_temp = false;
        self.table_scopes.clear();
    }
}
