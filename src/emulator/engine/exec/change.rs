//! INSERT, UPDATE and DELETE: running the steps of a change, its OUTPUT and its identity values.

use rusqlite::types::Value as Stored;

use super::super::catalogue::tables::QualifiedName;
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Insert, Source};
use super::super::planner::Planner;
use super::super::planner::change::{Change, Returned, WORK};
use super::super::planner::rel::Rel;
use super::super::session::state::SpentIdentity;
use super::super::types::{Value, allow, convert};
use super::super::wire::out::command;
use super::Run;
use super::rows::used;

/// The session's table for the rows of INSERT … EXEC.
const EXECUTED: &str = "temp.\"~executed\"";

impl Run<'_, '_> {
    /// Plans and runs a change of rows.
    pub(super) fn change(
        &mut self,
        plan: impl FnOnce(&mut Planner<'_>) -> SqlResult<Change>,
        command: u16,
    ) -> SqlResult<()> {
        let mut planner = self.planner();
        let change = plan(&mut planner)?;
        let binds = std::mem::take(&mut planner.binds);
        let count = self.changed(&change, &binds)?;
        self.ended(command, count);
        Ok(())
    }

    fn changed(&mut self, change: &Change, binds: &[Stored]) -> SqlResult<i64> {
        let mut spent = Vec::new();
        let result = self.write(change.table.is_temp() && !writes_elsewhere(change), |run| {
            run.apply(change, binds, &mut spent)
        });
        // Values that a failed statement took are gone all the same.
        self.keep_identities(spent, result.is_err());
        result
    }

    pub(super) fn insert(&mut self, insert: &Insert) -> SqlResult<()> {
        let Source::Exec(exec) = &insert.source else {
            return self.change(|planner| planner.insert(insert, None), command::INSERT);
        };
        // Fail before anything runs if the rows have nowhere to go.
        self.planner()
            .find_table(&QualifiedName::of(&insert.table)?)?;
        let sets = self.captured(exec)?;
        let mut total = 0;
        for (columns, rows) in sets {
            let names: Vec<String> = (1..=columns.len()).map(|n| format!("c{n}")).collect();
            self.fill(EXECUTED, &names, &rows)?;
            let rel = Rel {
                sql: format!("SELECT {} FROM {EXECUTED} ORDER BY rowid", names.join(",")),
                columns,
                assigns: Vec::new(),
            };
            let mut planner = self.planner();
            let change = planner.insert(insert, Some(rel));
            let binds = std::mem::take(&mut planner.binds);
            let result = change.and_then(|change| self.changed(&change, &binds));
            self.state
                .conn
                .execute_batch(&format!("DROP TABLE {EXECUTED}"))?;
            total += result?;
        }
        self.ended(command::INSERT, total);
        Ok(())
    }

    /// Makes a table of the session's own and fills it.
    fn fill(&mut self, table: &str, names: &[String], rows: &[Vec<Stored>]) -> SqlResult<()> {
        let conn = &self.state.conn;
        conn.execute_batch(&format!(
            "DROP TABLE IF EXISTS {table}; CREATE TABLE {table}({})",
            names.join(",")
        ))?;
        let marks = vec!["?"; names.len()].join(",");
        let mut insert = conn.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
        for row in rows {
            insert.execute(rusqlite::params_from_iter(row))?;
        }
        Ok(())
    }

    fn apply(
        &mut self,
        change: &Change,
        binds: &[Stored],
        spent: &mut Vec<SpentIdentity>,
    ) -> SqlResult<i64> {
        if !change.work.is_empty() {
            self.fill(WORK, &change.work, &[])?;
        }
        if let Some(gather) = &change.gather {
            let count = self.execute(gather, binds, change)?;
            if change.sequential && count > 1 {
                return Err(SqlError::unsupported(
                    "UPDATE … SET @variable of many rows that reads the variable",
                ));
            }
        }
        let count = self.main_step(change, binds, spent)?;
        self.assign_variables(change)?;
        for output in &change.outputs {
            self.output(output, binds, spent)?;
        }
        if change.verb == "INSERT" && count > 0 {
            self.note_identity(change, spent)?;
        }
        if !change.work.is_empty() {
            self.state
                .conn
                .execute_batch(&format!("DROP TABLE {WORK}"))?;
        }
        Ok(count)
    }

    fn main_step(
        &mut self,
        change: &Change,
        binds: &[Stored],
        spent: &mut Vec<SpentIdentity>,
    ) -> SqlResult<i64> {
        if change.sql.is_empty() {
            let count = format!("SELECT count(*) FROM {WORK}");
            return Ok(self.state.conn.query_row(&count, [], |row| row.get(0))?);
        }
        let counted = self.begin_identity(change)?;
        let result = if change.returning {
            self.returned_rows(change, binds)
        } else {
            self.execute(&change.sql, binds, change)
        };
        self.spend(change, counted, spent);
        result
    }

    /// Runs an INSERT with RETURNING; the new rows go to the work table.
    fn returned_rows(&mut self, change: &Change, binds: &[Stored]) -> SqlResult<i64> {
        let mut all: Vec<Vec<Stored>> = Vec::new();
        let mut failed = None;
        {
            let mut statement = self.state.conn.prepare(&change.sql)?;
            let width = statement.column_count();
            let given = used(&statement, binds.to_vec());
            let mut rows = statement.query(given)?;
            loop {
                match rows.next() {
                    Ok(None) => break,
                    Ok(Some(row)) => all.push(
                        (0..width)
                            .map(|index| row.get(index))
                            .collect::<rusqlite::Result<_>>()?,
                    ),
                    Err(error) => {
                        failed = Some(self.constraint(error, &change.table, change.verb));
                        break;
                    }
                }
            }
        }
        if let Some(error) = failed {
            return Err(self.blamed(error, change, &change.sql, binds));
        }
        self.fill(WORK, &change.work, &all)?;
        Ok(i64::try_from(all.len()).unwrap_or(i64::MAX))
    }

    fn execute(&mut self, sql: &str, binds: &[Stored], change: &Change) -> SqlResult<i64> {
        let result = {
            let mut statement = self.state.conn.prepare(sql)?;
            let given = used(&statement, binds.to_vec());
            statement
                .execute(given)
                .map_err(|error| self.constraint(error, &change.table, change.verb))
        };
        match result {
            Ok(changed) => Ok(i64::try_from(changed).unwrap_or(i64::MAX)),
            Err(error) if change.verb == "UPDATE" && matches!(error.number, 2601 | 2627) => {
                self.keys_at_the_end(change, sql, binds, error)
            }
            Err(error) => Err(self.blamed(error, change, sql, binds)),
        }
    }

    /// UPDATE … SET @v = …: the last row counts, and no row leaves the variables alone.
    fn assign_variables(&mut self, change: &Change) -> SqlResult<()> {
        for assigned in &change.assigns {
            let found: Vec<Stored> = self
                .state
                .conn
                .prepare(&format!(
                    "SELECT {} FROM {WORK} ORDER BY rowid DESC LIMIT 1",
                    assigned.column
                ))?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let variable = self
                .variables
                .get_mut(&assigned.variable.to_lowercase())
                .ok_or_else(|| SqlError::undeclared(&assigned.variable))?;
            let Some(stored) = found.first() else {
                continue;
            };
            let value = Value::from_stored(stored.into(), assigned.ty)
                .ok_or_else(|| SqlError::internal("a value has another type"))?;
            if !value.is_null() {
                allow::allowed(assigned.ty, variable.ty, false)?;
            }
            variable.value = convert::cast(value, assigned.ty, variable.ty, None)?;
        }
        Ok(())
    }

    /// An OUTPUT clause: to the client, or into a table.
    fn output(
        &mut self,
        output: &Returned,
        binds: &[Stored],
        spent: &mut Vec<SpentIdentity>,
    ) -> SqlResult<()> {
        if let Some(into) = &output.into {
            return self.main_step(into, binds, spent).map(|_| ());
        }
        let mut statement = self.state.conn.prepare(&output.sql)?;
        let given = used(&statement, binds.to_vec());
        let mut rows = statement.query(given)?;
        // The first row is looked at before the result begins: an error comes before it.
        let mut row = rows.next()?;
        self.out.columns(&output.columns)?;
        while let Some(current) = row {
            self.out.row(|index| Ok(current.get_ref(index)?))?;
            row = rows.next()?;
        }
        Ok(())
    }
}

/// Whether a change of a session's own table changes another one, too.
fn writes_elsewhere(change: &Change) -> bool {
    change
        .outputs
        .iter()
        .filter_map(|o| o.into.as_ref())
        .any(|into| !into.table.is_temp())
}
