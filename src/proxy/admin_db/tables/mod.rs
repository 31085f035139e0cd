//! The tables: what they are called, their columns, and where rows come from.

mod catalogue;
mod state;
#[cfg(test)]
mod tests;

use super::sql::{Kind, Rows, SqlError, Table, Tables, convert, same_name};
use crate::proxy::shared::{Live, Shared};
use crate::tds::Scalar;

/// The tables of a proxy.
pub(super) struct Catalogue<'a> {
    pub(super) live: &'a Live,
    pub(super) shared: &'a Shared,
}

/// A row, in the order of its table's columns.
type Row = Vec<Scalar>;

/// A table: its name, and what is in it.
struct Definition {
    schema: &'static str,
    name: &'static str,
    about: &'static str,
    columns: &'static [(&'static str, Kind)],
    rows: fn(&Catalogue<'_>) -> Vec<Row>,
}

/// Where our own tables are.
const DBO: &str = "dbo";

impl Catalogue<'_> {
    /// All of one of our own tables, as SHOW gives it.
    pub(super) fn whole(&self, name: &str) -> Result<Rows, SqlError> {
        let table = self
            .table(Some(DBO), name)
            .ok_or_else(|| SqlError::NoTable {
                name: name.chars().take(128).collect(),
            })?;
        let fitting = |row: Row| {
            row.iter()
                .zip(table.columns)
                .map(|(value, (_, kind))| convert(value, *kind))
                .collect()
        };
        let rows: Result<_, _> = table.rows.into_iter().map(fitting).collect();
        let columns = table.columns.iter();
        Ok(Rows {
            columns: columns
                .map(|(name, kind)| ((*name).to_owned(), *kind))
                .collect(),
            rows: rows?,
        })
    }

    fn definitions() -> impl Iterator<Item = &'static Definition> {
        state::TABLES.iter().chain(catalogue::TABLES)
    }
}

impl Tables for Catalogue<'_> {
    fn table(&self, schema: Option<&str>, name: &str) -> Option<Table> {
        let schema = schema.unwrap_or(DBO);
        let found = Self::definitions()
            .find(|table| same_name(table.schema, schema) && same_name(table.name, name))?;
        Some(Table {
            name: found.name,
            columns: found.columns,
            rows: (found.rows)(self),
        })
    }
}

fn text(text: impl Into<String>) -> Scalar {
    Scalar::Text(text.into())
}

/// NULL for an empty text.
fn some_text(text: &str) -> Scalar {
    match text {
        "" => Scalar::Null,
        text => Scalar::Text(text.to_owned()),
    }
}

fn int(number: impl TryInto<i64>) -> Scalar {
    Scalar::Int(number.try_into().unwrap_or(i64::MAX))
}
