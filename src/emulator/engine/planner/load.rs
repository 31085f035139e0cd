//! The INSERT that every row of a bulk load goes through.

use super::super::catalogue::tables::{Column, Table, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::InsertBulk;
use super::super::types::SqlType;
use super::change::Change;
use super::dml::twice;
use super::{Planner, Typed};

/// A statement with parameters for one row.
pub(crate) struct Load {
    pub(crate) change: Change,
    /// Parameters before those of the row.
    pub(crate) offset: usize,
}

impl Planner<'_> {
    /// The table of a bulk load and its columns that get values, in the order of the rows.
    pub(crate) fn load_target(&mut self, bulk: &InsertBulk) -> SqlResult<(Table, Vec<Column>)> {
        let table = self.target(&bulk.table, "INSERT")?;
        if table.columns.iter().any(|c| c.ty == SqlType::RowVersion) {
            return Err(SqlError::unsupported(
                "a bulk load into a table with a rowversion",
            ));
        }
        if bulk.columns.is_empty() {
            let columns = table.columns.clone();
            return Ok((table, columns));
        }
        let mut columns: Vec<Column> = Vec::new();
        for (name, _) in &bulk.columns {
            let column = table
                .column(&name.value)
                .ok_or_else(|| SqlError::invalid_column(&name.value))?;
            if columns.iter().any(|c| c.name == column.name) {
                return Err(twice(&column.name));
            }
            columns.push(column.clone());
        }
        Ok((table, columns))
    }

    /// Plans the insertion of rows whose values have the types `from`.
    ///
    /// A NULL takes the column's default, unless the load keeps nulls; a column without values takes
    /// it in any case.
    pub(crate) fn load(
        &mut self,
        bulk: &InsertBulk,
        table: Table,
        targets: &[Column],
        from: &[SqlType],
    ) -> SqlResult<Load> {
        let mut defaults = Vec::new();
        for column in &table.columns {
            let target = targets.iter().position(|t| t.name == column.name);
            let wanted = match target {
                None => true,
                Some(_) => !bulk.keep_nulls && column.default.is_some(),
            };
            let default = wanted.then(|| self.missing(&table, column)).transpose()?;
            defaults.push((column, target, default));
        }
        let offset = self.binds.len();
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (column, target, default) in defaults {
            let given = match target {
                None => None,
                Some(index) => {
                    let parameter = format!("?{}", offset + index + 1);
                    let ty = from.get(index).copied().unwrap_or(column.ty);
                    let stored = self.store(Typed::new(&parameter, ty), &table, column)?;
                    Some((parameter, stored))
                }
            };
            names.push(quote(&column.name));
            values.push(match (given, default) {
                (Some((parameter, value)), Some(default)) => {
                    format!("CASE WHEN {parameter} IS NULL THEN {default} ELSE {value} END")
                }
                (Some((_, value)), None) => value,
                (None, default) => default.unwrap_or_else(|| "NULL".into()),
            });
        }
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.sql(),
            names.join(","),
            values.join(",")
        );
        let explicit = targets.iter().find(|c| c.identity.is_some());
        let made = table.identity_column().filter(|_| explicit.is_none());
        let identity = made.and_then(|c| c.identity);
        let explicit_identity = explicit.map(|c| quote(&c.name));
        let mut change = Change::new(table, "INSERT", sql);
        change.identity = identity;
        change.explicit_identity = explicit_identity;
        Ok(Load { change, offset })
    }
}
