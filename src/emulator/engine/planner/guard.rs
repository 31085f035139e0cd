//! Rights on columns, and where rights are not asked: inside views of the same owner.

use std::rc::Rc;

use super::super::catalogue::security::{Rights, Securable};
use super::super::catalogue::tables::{Table, same_name};
use super::super::error::{SqlError, SqlResult};
use super::{Planner, denied};

/// The columns of a table that its reader may not see.
#[derive(Debug)]
pub(crate) struct Guard {
    columns: Vec<String>,
    /// No column at all may be read: then the error is about the table.
    whole: Option<SqlError>,
    table: String,
    database: String,
    schema: String,
}

impl Guard {
    pub(super) fn check(&self, column: &str) -> SqlResult<()> {
        if let Some(error) = &self.whole {
            return Err(error.clone());
        }
        if self.columns.iter().any(|c| same_name(c, column)) {
            return Err(self.error("SELECT", column));
        }
        Ok(())
    }

    fn error(&self, permission: &str, column: &str) -> SqlError {
        SqlError::new(
            230,
            format!(
                "The {permission} permission was denied on the column '{column}' of the object '{}', \
                 database '{}', schema '{}'.",
                self.table, self.database, self.schema
            ),
        )
        .class(14)
    }
}

impl Planner<'_> {
    /// The columns of a table or view that may not be read; an error if that is all of them.
    pub(super) fn readable(&self, table: &Table) -> SqlResult<Option<Rc<Guard>>> {
        let guard = self.guard(table, "SELECT")?;
        match guard.as_ref().and_then(|guard| guard.whole.clone()) {
            Some(error) => Err(error),
            None => Ok(guard),
        }
    }

    /// As [`readable`](Self::readable), for a table that is there to be changed: reading comes second.
    pub(super) fn guard(&self, table: &Table, permission: &str) -> SqlResult<Option<Rc<Guard>>> {
        let state = self.state;
        if self.is_unchecked(table)? || state.acting().is_dbo() {
            return Ok(None);
        }
        let alias = state.database.alias();
        let rights = Rights::of(state.acting(), &state.conn, &alias)?;
        let mut columns = Vec::new();
        for (id, name) in self.column_ids(table)? {
            let on = Securable::Column(table.id, table.schema_id, id);
            if !rights.allows(permission, on) {
                columns.push(name);
            }
        }
        if columns.is_empty() {
            return Ok(None);
        }
        let (database, schema) = (state.database.name.clone(), table.schema.clone());
        let whole = (columns.len() == table.columns.len())
            .then(|| denied(permission, &table.name, &database, &schema));
        Ok(Some(Rc::new(Guard {
            columns,
            whole,
            table: table.name.clone(),
            database,
            schema,
        })))
    }

    /// A table to be updated: with the right on it, or on some of its columns.
    pub(super) fn updatable(&self, table: &Table) -> SqlResult<()> {
        match self.guard(table, "UPDATE")?.and_then(|g| g.whole.clone()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Checks the right to update a column.
    pub(super) fn require_update(&self, table: &Table, column: &str) -> SqlResult<()> {
        match self.guard(table, "UPDATE")? {
            Some(guard) if guard.columns.iter().any(|c| same_name(c, column)) => {
                Err(guard.error("UPDATE", column))
            }
            _ => Ok(()),
        }
    }

    /// OUTPUT shows any column: rights on some are not enough here.
    pub(super) fn require_output(&self, table: &Table) -> SqlResult<()> {
        match self.readable(table)? {
            None => Ok(()),
            Some(_) => Err(SqlError::unsupported(
                "OUTPUT with permissions on some columns only",
            )),
        }
    }

    fn column_ids(&self, table: &Table) -> SqlResult<Vec<(i64, String)>> {
        let mut statement = self.state.conn.prepare_cached(&format!(
            "SELECT id, name FROM {}.\"~columns\" WHERE object_id = ?1 ORDER BY id",
            table.alias
        ))?;
        let rows = statement.query_map([table.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    }

    /// Temporary tables are one's own, and a view reads what its owner owns without asking.
    pub(super) fn is_unchecked(&self, table: &Table) -> SqlResult<bool> {
        if table.is_temp() {
            return Ok(true);
        }
        match self.chain.last() {
            Some(owner) => Ok(self.owner_of(table)? == *owner),
            None => Ok(false),
        }
    }

    /// The principal that owns a table or view: its schema's owner, unless it has one of its own.
    pub(super) fn owner_of(&self, table: &Table) -> SqlResult<i64> {
        Ok(self
            .state
            .conn
            .prepare_cached(&format!(
                "SELECT coalesce(o.owner, s.owner) FROM {0}.\"~objects\" o JOIN {0}.\"~schemas\" s \
                 ON s.id = o.schema_id WHERE o.id = ?1",
                table.alias
            ))?
            .query_row([table.id], |row| row.get(0))?)
    }
}
