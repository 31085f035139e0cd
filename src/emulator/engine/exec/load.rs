//! Bulk loads: INSERT BULK, and the rows that follow it.

use rusqlite::types::Value as Stored;

use super::super::catalogue::tables::Table;
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::InsertBulk;
use super::super::planner::Variables;
use super::super::planner::load::Load;
use super::super::session::state::SpentIdentity;
use super::super::session::{RequestBody, State};
use super::super::types::SqlType;
use super::super::wire::bulk::{Rows, drain};
use super::super::wire::out::{Out, command};
use super::Run;

/// `CurCmd` of a bulk load.
const BULK_INSERT: u16 = 0xF0;

/// Answers a bulk load. An error waits until the client has sent its part.
pub(super) fn load(
    state: &mut State,
    out: &mut Out<'_>,
    body: &mut dyn RequestBody,
) -> SqlResult<()> {
    let Some(bulk) = state.load.take() else {
        drain(body)?;
        return Err(SqlError::new(
            4002,
            "The incoming tabular data stream (TDS) protocol stream is incorrect: a bulk load without \
             INSERT BULK before it.",
        ));
    };
    let mut run = Run {
        state,
        out,
        variables: Variables::new(),
        caught: Vec::new(),
        tries: 0,
        depth: 0,
    };
    match run.load(&bulk, body) {
        Ok(count) => run.ended(BULK_INSERT, count),
        Err(error) => {
            let error = if error.is_interrupt() {
                error
            } else {
                drain(body).err().unwrap_or(error)
            };
            run.aborted(&error);
            // A load that is taken back tells no error, but that it failed (MS-TDS 2.2.1.7).
            run.out.interrupted = false;
            run.out.done(command::OTHER, None, true);
        }
    }
    Ok(())
}

impl Run<'_, '_> {
    /// INSERT BULK: looks whether the load may come, and waits for it.
    pub(super) fn insert_bulk(&mut self, bulk: &InsertBulk) -> SqlResult<()> {
        let (table, columns) = self.planner().load_target(bulk)?;
        let explicit = columns.iter().any(|c| c.identity.is_some());
        if explicit || !bulk.check_constraints && self.has_constraints(&table)? {
            self.alterable(&bulk.table)?;
        }
        self.state.load = Some(bulk.clone());
        self.out.done(command::OTHER, None, false);
        Ok(())
    }

    fn load(&mut self, bulk: &InsertBulk, body: &mut dyn RequestBody) -> SqlResult<i64> {
        let mut rows = Rows::begin(body)?;
        let types = rows.types();
        let mut planner = self.planner();
        let (table, columns) = planner.load_target(bulk)?;
        let declared: Vec<SqlType> = match &bulk.columns[..] {
            [] => columns.iter().map(|c| c.ty).collect(),
            given => given.iter().map(|(_, ty)| *ty).collect(),
        };
        compare(&types, &declared)?;
        let load = planner.load(bulk, table, &columns, &types)?;
        let binds = std::mem::take(&mut planner.binds);
        let temp = load.change.table.is_temp();
        let mut spent = Vec::new();
        let result = self.write(temp, |run| {
            run.insert_rows(bulk, &load, &binds, &mut rows, &mut spent)
        });
        self.keep_identities(spent, result.is_err());
        result
    }

    fn insert_rows(
        &mut self,
        bulk: &InsertBulk,
        load: &Load,
        binds: &[Stored],
        rows: &mut Rows<'_>,
        spent: &mut Vec<SpentIdentity>,
    ) -> SqlResult<i64> {
        let change = &load.change;
        let counted = self.begin_identity(change)?;
        let mut count = 0;
        {
            let mut statement = self.state.conn.prepare(&change.sql)?;
            // Parameters that the statement does not mention have no place in it.
            let known = statement.parameter_count();
            for (index, value) in binds.iter().enumerate().take(known) {
                statement.raw_bind_parameter(index + 1, value)?;
            }
            while let Some(row) = rows.next()? {
                self.state.check_interrupt()?;
                for (index, value) in row.iter().enumerate() {
                    let at = load.offset + index + 1;
                    if at <= known {
                        statement.raw_bind_parameter(at, value)?;
                    }
                }
                statement.raw_execute().map_err(|error| {
                    unchecked(self.constraint(error, &change.table, change.verb), bulk)
                })?;
                count += 1;
            }
        }
        self.spend(change, counted, spent);
        if count > 0 {
            self.note_identity(change, spent)?;
        }
        Ok(count)
    }

    fn has_constraints(&self, table: &Table) -> SqlResult<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {}.\"~objects\" WHERE parent = ?1 AND trim(kind) IN ('C', 'F'))",
            table.alias
        );
        let conn = &self.state.conn;
        Ok(conn
            .prepare_cached(&sql)?
            .query_row([table.id], |row| row.get(0))?)
    }
}

/// SQL Server takes rows that break a constraint unless it is told to check; this engine cannot.
fn unchecked(error: SqlError, bulk: &InsertBulk) -> SqlError {
    if error.number == 547 && !bulk.check_constraints {
        return SqlError::unsupported(
            "bulk load without CHECK_CONSTRAINTS of rows that break a constraint",
        );
    }
    error
}

/// What the rows hold must be what INSERT BULK said.
fn compare(types: &[SqlType], declared: &[SqlType]) -> SqlResult<()> {
    if types.len() != declared.len() {
        return Err(SqlError::new(
            4002,
            "The incoming tabular data stream (TDS) protocol stream is incorrect: a bulk load with \
             more or fewer columns than INSERT BULK said.",
        ));
    }
    let differs = |(a, b): (&SqlType, &SqlType)| a.storage() != b.storage();
    match types.iter().zip(declared).position(differs) {
        None => Ok(()),
        Some(index) => Err(SqlError::new(
            4816,
            format!(
                "Invalid column type from bcp client for colid {}.",
                index + 1
            ),
        )),
    }
}
