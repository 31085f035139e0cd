//! Transactions: T-SQL's and the transaction manager's.
//!
//! SQLite's transaction opens at the first write (`BEGIN IMMEDIATE`), so that reads before it see
//! what others committed meanwhile, as READ COMMITTED with row versions does, and so that a write
//! never finds its snapshot stale. Stricter levels open it at once.

use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::Kind;
use super::super::session::State;
use super::super::session::state::Isolation;
use super::super::wire::out::{Out, command};
use super::Run;
use super::connection::LOCK_STEP;
use super::{identity, table_variables};
use crate::tds::{EnvChange, Reader};

/// How long to wait for a lock when the session wants to wait without end.
const LONGEST_WAIT_MS: i64 = 30_000;

impl Run<'_, '_> {
    pub(super) fn transaction(&mut self, kind: &Kind) -> SqlResult<()> {
        let command = match kind {
            Kind::Begin(name) => {
                let name = self.name_of(name)?;
                begin(self.state, self.out, &name)?;
                0xD4
            }
            Kind::Commit => {
                commit(self.state, self.out)?;
                0xD5
            }
            Kind::Save(name) => {
                let name = self.name_of(name)?;
                save(self.state, &name)?;
                command::OTHER
            }
            Kind::Rollback(name) => {
                let name = self.name_of(name)?;
                roll_back(self.state, self.out, &name)?;
                0xD2
            }
            _ => return Ok(()),
        };
        self.state.rowcount = 0;
        self.out.done(command, None, false);
        Ok(())
    }

    pub(super) fn roll_back_transaction(&mut self) {
        if self.state.tran.count > 0 {
            drop(roll_back(self.state, self.out, ""));
        }
    }

    /// Runs something that writes: in the session's transaction, or in one of its own.
    pub(super) fn write<T>(
        &mut self,
        temp: bool,
        work: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.state.tran.doomed {
            return Err(SqlError::new(
                3930,
                "The current transaction cannot be committed and cannot support operations that write to the \
                 log file. Roll back the transaction.",
            ));
        }
        self.implicit_transaction()?;
        let own = self.state.tran.count == 0;
        if self.state.conn.is_autocommit() && !(temp && own) {
            start(self.state, "BEGIN IMMEDIATE")?;
        }
        self.state.tran.started = !own;
        self.state.conn.execute_batch("SAVEPOINT statement")?;
        let result = work(self);
        let conn = &self.state.conn;
        if result.is_err() {
            // SQLite may have rolled everything back by itself, on an interrupt for instance.
            if conn.is_autocommit() {
                self.lost_transaction();
                return result;
            }
            conn.execute_batch("ROLLBACK TO statement; RELEASE statement")?;
        } else {
            conn.execute_batch("RELEASE statement")?;
        }
        if own && !conn.is_autocommit() {
            conn.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        }
        result
    }

    /// SQLite ended the transaction: the session's count must say so.
    fn lost_transaction(&mut self) {
        if self.state.tran.count > 0 {
            drop(roll_back(self.state, self.out, ""));
        }
    }

    /// Before a read: stricter levels hold what they read.
    pub(super) fn before_read(&mut self, locks: bool) -> SqlResult<()> {
        if self.state.tran.count == 0 || !self.state.conn.is_autocommit() {
            return Ok(());
        }
        if locks {
            start(self.state, "BEGIN IMMEDIATE")?;
            self.state.tran.started = true;
            return Ok(());
        }
        match self.state.isolation {
            Isolation::RepeatableRead | Isolation::Serializable => {
                start(self.state, "BEGIN IMMEDIATE")?
            }
            Isolation::Snapshot => start(self.state, "BEGIN")?,
            Isolation::ReadUncommitted | Isolation::ReadCommitted => return Ok(()),
        }
        self.state.tran.started = true;
        Ok(())
    }

    pub(super) fn implicit_transaction(&mut self) -> SqlResult<()> {
        if self.state.settings.implicit_transactions && self.state.tran.count == 0 {
            begin(self.state, self.out, "")?;
        }
        Ok(())
    }
}

/// Opens SQLite's transaction, waiting for its lock as long as the session allows.
fn start(state: &State, sql: &str) -> SqlResult<()> {
    let allowed = match state.settings.lock_timeout {
        -1 => LONGEST_WAIT_MS,
        ms => ms,
    };
    let step = i64::try_from(LOCK_STEP.as_millis()).unwrap_or(50);
    let mut waited = 0;
    loop {
        match state.conn.execute_batch(sql).map_err(SqlError::from) {
            Err(error) if error.number == 1222 && waited < allowed => waited += step,
            other => return other,
        }
        state.check_interrupt()?;
    }
}

fn begin(state: &mut State, out: &mut Out<'_>, name: &str) -> SqlResult<()> {
    state.tran.count += 1;
    if state.tran.count == 1 {
        state.tran.last_descriptor += 1;
        state.tran.descriptor = (u64::from(state.spid) << 32) | state.tran.last_descriptor;
        name.clone_into(&mut state.tran.name);
        out.env_change(EnvChange::BeginTransaction(state.tran.descriptor));
    }
    Ok(())
}

fn commit(state: &mut State, out: &mut Out<'_>) -> SqlResult<()> {
    match state.tran.count {
        0 => {
            return Err(SqlError::new(
                3902,
                "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
            ));
        }
        1 => {}
        _ => {
            state.tran.count -= 1;
            return Ok(());
        }
    }
    if state.tran.doomed {
        return Err(SqlError::new(
            3930,
            "The current transaction cannot be committed and cannot support operations that write to the log \
             file. Roll back the transaction.",
        ));
    }
    if !state.conn.is_autocommit() {
        state.conn.execute_batch("COMMIT")?;
    }
    let descriptor = state.end_transaction();
    out.env_change(EnvChange::CommitTransaction(descriptor));
    Ok(())
}

fn save(state: &mut State, name: &str) -> SqlResult<()> {
    if state.tran.count == 0 {
        return Err(SqlError::new(
            628,
            "Cannot issue SAVE TRANSACTION when there is no active transaction.",
        ));
    }
    if state.conn.is_autocommit() {
        start(state, "BEGIN IMMEDIATE")?;
        state.tran.started = true;
    }
    state
        .conn
        .execute_batch(&format!("SAVEPOINT {}", savepoint(name)))?;
    state.tran.savepoints.push(name.to_owned());
    Ok(())
}

fn savepoint(name: &str) -> String {
    super::super::catalogue::tables::quote(&format!("s.{name}"))
}

fn roll_back(state: &mut State, out: &mut Out<'_>, name: &str) -> SqlResult<()> {
    if state.tran.count == 0 {
        return Err(SqlError::new(
            3903,
            "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.",
        ));
    }
    if out.captured.is_some() {
        return Err(SqlError::new(
            3915,
            "Cannot use the ROLLBACK statement within an INSERT-EXEC statement.",
        ));
    }
    if !name.is_empty() && name != state.tran.name {
        if !state
            .tran
            .savepoints
            .iter()
            .any(|s| s.eq_ignore_ascii_case(name))
        {
            return Err(SqlError::new(
                6401,
                format!(
                    "Cannot roll back {name}. No transaction or savepoint of that name was found."
                ),
            ));
        }
        if state.tran.doomed {
            return Err(SqlError::new(
                3931,
                "The current transaction cannot be committed and cannot be rolled back to a savepoint. Roll back the entire transaction.",
            ));
        }
        return undo(state, &format!("ROLLBACK TO {}", savepoint(name)));
    }
    if !state.conn.is_autocommit() {
        undo(state, "ROLLBACK")?;
    }
    let descriptor = state.end_transaction();
    out.env_change(EnvChange::RollbackTransaction(descriptor));
    Ok(())
}

/// Rolls back what a rollback rolls back: neither table variables nor identity values.
fn undo(state: &State, sql: &str) -> SqlResult<()> {
    let aside = table_variables::take_aside(state)?;
    state.conn.execute_batch(sql)?;
    if state.has_temp {
        super::super::catalogue::schema::create_temp(&state.conn)?;
    }
    if let Some(aside) = aside {
        table_variables::put_back(state, &aside)?;
    }
    for spent in &state.tran.identities {
        // Where somebody else writes at this moment, the values may come again.
        drop(identity::advance(state, spent));
    }
    Ok(())
}

/// Answers a transaction manager request (MS-TDS 2.2.6.9).
pub(super) fn manager_request(state: &mut State, out: &mut Out<'_>, bytes: &[u8]) -> SqlResult<()> {
    const BEGIN: u16 = 5;
    const COMMIT: u16 = 7;
    const ROLLBACK: u16 = 8;
    const SAVE: u16 = 9;
    let mut reader = Reader::new(bytes);
    let bad = |error: crate::tds::DecodeError| {
        SqlError::new(
            4002,
            format!("The transaction manager request is incorrect: {error}."),
        )
    };
    let request = reader.u16_le().map_err(bad)?;
    match request {
        BEGIN => {
            let isolation = reader.u8().map_err(bad)?;
            let name = name(&mut reader).map_err(bad)?;
            set_isolation(state, isolation);
            begin(state, out, &name)?;
        }
        COMMIT | ROLLBACK => {
            let name = name(&mut reader).map_err(bad)?;
            let flags = reader.u8().map_err(bad)?;
            if request == COMMIT {
                commit(state, out)?;
            } else {
                roll_back(state, out, &name)?;
            }
            if flags & 1 != 0 && state.tran.count == 0 {
                let isolation = reader.u8().map_err(bad)?;
                let next = self::name(&mut reader).map_err(bad)?;
                set_isolation(state, isolation);
                begin(state, out, &next)?;
            }
        }
        SAVE => {
            let name = name(&mut reader).map_err(bad)?;
            save(state, &name)?;
        }
        other => {
            let name = match other {
                0 => "distributed transactions (get DTC address)",
                1 => "distributed transactions (propagate)",
                6 => "distributed transactions (promote)",
                _ => "this request of the transaction manager",
            };
            return Err(SqlError::unsupported(name));
        }
    }
    out.done(command::OTHER, None, false);
    Ok(())
}

fn name(reader: &mut Reader<'_>) -> Result<String, crate::tds::DecodeError> {
    let bytes = reader.b_varbyte()?;
    Reader::new(bytes).utf16(bytes.len() / 2)
}

fn set_isolation(state: &mut State, level: u8) {
    state.isolation = match level {
        1 => Isolation::ReadUncommitted,
        2 => Isolation::ReadCommitted,
        3 => Isolation::RepeatableRead,
        4 => Isolation::Serializable,
        5 => Isolation::Snapshot,
        _ => state.isolation,
    };
}
