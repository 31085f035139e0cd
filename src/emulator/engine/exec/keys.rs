//! Unique keys at the end of an UPDATE.
//!
//! SQLite looks for duplicates at every row, T-SQL when all rows have changed: `SET id = id + 1` is
//! right. Where SQLite complains, the index goes away for the statement and must fit afterwards.

use rusqlite::params;
use rusqlite::types::Value as Stored;

use super::super::catalogue::tables::{Table, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::planner::change::Change;
use super::Run;
use super::rows::used;

impl Run<'_, '_> {
    /// Runs an UPDATE that broke a unique key on its way, and says whether it does so at its end.
    pub(super) fn keys_at_the_end(
        &mut self,
        change: &Change,
        sql: &str,
        binds: &[Stored],
        error: SqlError,
    ) -> SqlResult<i64> {
        self.state.conn.execute_batch("SAVEPOINT keys")?;
        let result = self.without_keys(change, sql, binds, error);
        let end = if result.is_ok() {
            "RELEASE keys"
        } else {
            "ROLLBACK TO keys; RELEASE keys"
        };
        self.state.conn.execute_batch(end)?;
        result.map_err(|error| self.blamed(error, change, sql, binds))
    }

    fn without_keys(
        &self,
        change: &Change,
        sql: &str,
        binds: &[Stored],
        first: SqlError,
    ) -> SqlResult<i64> {
        let table = &change.table;
        let mut error = first;
        let mut dropped: Vec<(String, SqlError)> = Vec::new();
        loop {
            let Some((name, definition)) = self.broken_key(table, &error)? else {
                return Err(error);
            };
            if dropped.iter().any(|(sql, _)| *sql == definition) {
                return Err(error);
            }
            let conn = &self.state.conn;
            conn.execute_batch(&format!("DROP INDEX {}.{}", table.alias, quote(&name)))?;
            dropped.push((definition, error));
            let ran = conn
                .prepare(sql)
                .and_then(|mut statement| statement.execute(used(&statement, binds.to_vec())));
            match ran {
                Ok(count) => {
                    for (definition, error) in dropped {
                        let made = conn.execute_batch(&definition);
                        made.map_err(|_| error)?;
                    }
                    return Ok(i64::try_from(count).unwrap_or(i64::MAX));
                }
                Err(failure) if failure.to_string().contains("foreign key mismatch") => {
                    return Err(self.referenced(change, binds, dropped));
                }
                Err(failure) => error = self.constraint(failure, table, change.verb),
            }
        }
    }

    /// SQLite needs the index of a key that other tables refer to. One row breaks a key for good.
    fn referenced(
        &self,
        change: &Change,
        binds: &[Stored],
        dropped: Vec<(String, SqlError)>,
    ) -> SqlError {
        let conn = &self.state.conn;
        let rows = change.counts.as_ref().and_then(|sql| {
            let mut statement = conn.prepare(sql).ok()?;
            let given = used(&statement, binds.to_vec());
            statement.query_row(given, |row| row.get::<_, i64>(0)).ok()
        });
        match (rows, dropped.into_iter().next()) {
            (Some(1), Some((_, error))) => error,
            _ => SqlError::unsupported(
                "UPDATE of several rows' keys that a FOREIGN KEY refers to and that meet on the way",
            ),
        }
    }

    /// The index that an error is about: its name and its definition in SQLite.
    fn broken_key(&self, table: &Table, error: &SqlError) -> SqlResult<Option<(String, String)>> {
        let word = match error.number {
            2627 => 1,
            2601 => 3,
            _ => return Ok(None),
        };
        let Some(name) = error.message.split('\'').nth(word) else {
            return Ok(None);
        };
        let conn = &self.state.conn;
        let ids: Vec<i64> = conn
            .prepare(&format!(
                "SELECT id FROM {}.\"~indexes\" WHERE object_id = ?1 AND name = ?2",
                table.alias
            ))?
            .query_map(params![table.id, name], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let Some(id) = ids.first() else {
            return Ok(None);
        };
        let index = format!("ix.{}.{id}", table.id);
        let definition: String = conn.query_row(
            &format!(
                "SELECT sql FROM {}.sqlite_master WHERE type = 'index' AND name = ?1",
                if table.is_temp() {
                    "temp"
                } else {
                    &table.alias
                }
            ),
            [&index],
            |row| row.get(0),
        )?;
        // SQLite keeps definitions without the database that they are for.
        let bare = "CREATE UNIQUE INDEX ";
        let definition = match definition.strip_prefix(bare) {
            Some(rest) if rest.starts_with('"') => format!("{bare}{}.{rest}", table.alias),
            _ => definition,
        };
        Ok(Some((index, definition)))
    }
}
