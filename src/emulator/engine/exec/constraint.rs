//! Constraint violations in SQL Server's words.

use rusqlite::{ErrorCode, params};

use super::super::catalogue::tables::{Column as Known, Table};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::Column;
use super::super::types::SqlType;
use super::Run;
use super::tables::name_of;

/// Between the columns of an index in the catalogue; no name contains it.
pub(super) const SEPARATOR: char = '\u{1f}';

impl Run<'_, '_> {
    /// What SQLite's complaint about a statement on the table means.
    pub(super) fn constraint(&self, error: rusqlite::Error, table: &Table, verb: &str) -> SqlError {
        let text = match &error {
            rusqlite::Error::SqliteFailure(failure, Some(text))
                if failure.code == ErrorCode::ConstraintViolation =>
            {
                text.clone()
            }
            _ => return error.into(),
        };
        let (what, detail) = text.split_once(": ").unwrap_or((&text, ""));
        match what {
            "NOT NULL constraint failed" => self.not_null(table, detail, verb),
            "UNIQUE constraint failed" => self.duplicate(table, detail).unwrap_or_else(|e| e),
            "CHECK constraint failed" => {
                let mut error = conflict(verb, "CHECK", detail, &self.state.database.name, table);
                if let Some(column) = self.checked_column(table, detail) {
                    error.message = format!(
                        "{}, column '{column}'.",
                        error.message.trim_end_matches('.')
                    );
                }
                error
            }
            "FOREIGN KEY constraint failed" => {
                let kind = if verb == "DELETE" {
                    "REFERENCE"
                } else {
                    "FOREIGN KEY"
                };
                conflict(verb, kind, "FK", &self.state.database.name, table)
            }
            _ => error.into(),
        }
    }

    /// The column at which a check stands.
    fn checked_column(&self, table: &Table, name: &str) -> Option<String> {
        let sql = format!(
            "SELECT c.name FROM {0}.\"~objects\" o JOIN {0}.\"~columns\" c ON c.object_id = o.parent AND c.id = o.parent_column
             WHERE o.parent = ?1 AND o.name = ?2",
            table.alias
        );
        let conn = &self.state.conn;
        conn.query_row(&sql, params![table.id, name], |row| row.get(0))
            .ok()
    }

    fn not_null(&self, table: &Table, detail: &str, verb: &str) -> SqlError {
        let prefix = format!("{}.{}.", table.schema, table.name);
        let column = detail.strip_prefix(&prefix).unwrap_or(detail);
        let place = if table.name.starts_with('@') {
            table.name.clone()
        } else if table.is_temp() {
            format!("tempdb.dbo.{}", table.name)
        } else {
            format!("{}.{}", self.state.database.name, table.shown())
        };
        SqlError::new(
            515,
            format!("Cannot insert the value NULL into column '{column}', table '{place}'; column does not allow nulls. {verb} fails."),
        )
        .state(2)
    }

    /// 2627 for constraints, 2601 for indexes.
    fn duplicate(&self, table: &Table, detail: &str) -> SqlResult<SqlError> {
        let prefix = format!("{}.{}.", table.schema, table.name);
        let columns: Vec<&str> = detail
            .split(", ")
            .map(|c| c.strip_prefix(&prefix).unwrap_or(c))
            .collect();
        let by_name = detail.strip_prefix("index '").and_then(|rest| {
            rest.trim_end_matches('\'')
                .rsplit('.')
                .next()?
                .parse::<i64>()
                .ok()
        });
        let mut statement = self.state.conn.prepare(&format!(
            "SELECT id, name, kind, columns FROM {}.\"~indexes\" WHERE object_id = ?1 AND is_unique",
            table.alias
        ))?;
        let rows = statement.query_map(params![table.id], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            ))
        })?;
        for row in rows {
            let (id, name, kind, own) = row?;
            let same = match by_name {
                Some(wanted) => wanted == id,
                None => own.split(SEPARATOR).eq(columns.iter().copied()),
            };
            if same {
                return Ok(duplicate_key(&kind, &name, table));
            }
        }
        Ok(duplicate_key("UQ", "", table))
    }
}

fn duplicate_key(kind: &str, name: &str, table: &Table) -> SqlError {
    let object = format!("dbo.{}", table.name);
    let object = if table.is_temp() {
        object
    } else {
        table.shown()
    };
    match kind {
        "PK" | "UQ" => {
            let word = if kind == "PK" {
                "PRIMARY KEY"
            } else {
                "UNIQUE KEY"
            };
            SqlError::new(
                2627,
                format!("Violation of {word} constraint '{name}'. Cannot insert duplicate key in object '{object}'."),
            )
            .class(14)
        }
        _ => SqlError::new(
            2601,
            format!(
                "Cannot insert duplicate key row in object '{object}' with unique index '{name}'."
            ),
        )
        .class(14),
    }
}

/// Whether a foreign key may hold between two columns: their types must be the same, of which decimal
/// and numeric are two, and so must length and digits.
pub(super) fn comparable(
    key: &str,
    (parent, referenced): (&str, &Known),
    (table, own): (&str, &Known),
) -> SqlResult<()> {
    let columns = format!(
        "as referencing column '{table}.{}' in foreign key '{key}'.",
        own.name
    );
    let other = format!("{parent}.{}", referenced.name);
    if own.ty.base_name() != referenced.ty.base_name() {
        return Err(SqlError::new(
            1778,
            format!("Column '{other}' is not the same data type {columns}"),
        )
        .state(0));
    }
    if own.ty != referenced.ty {
        return Err(SqlError::new(
            1753,
            format!(
                "Column '{other}' is not the same length or scale {columns} Columns participating in a foreign key relationship must be defined with the same length and scale."
            ),
        )
        .state(0));
    }
    if referenced.nullable {
        return Err(SqlError::unsupported("a FOREIGN KEY to a nullable column"));
    }
    Ok(())
}

fn conflict(verb: &str, kind: &str, name: &str, database: &str, table: &Table) -> SqlError {
    SqlError::new(
        547,
        format!(
            "The {verb} statement conflicted with the {kind} constraint \"{name}\". The conflict occurred in \
             database \"{database}\", table \"{}\".",
            table.shown()
        ),
    )
    .state(0)
}

/// What a new column of a table must not be.
pub(super) fn check_new_column(table: &Table, column: &Column, key: bool) -> SqlResult<()> {
    let (name, identity) = (name_of(column), column.identity);
    if table.column(name).is_some() {
        return Err(SqlError::new(
            2705,
            format!("Column names in each table must be unique. Column name '{name}' in table '{}' is specified more than once.", table.shown()),
        )
        .state(3));
    }
    if key && column.nullable == Some(true) {
        return Err(SqlError::new(
            8111,
            format!(
                "Cannot define PRIMARY KEY constraint on nullable column in table '{}'.",
                table.name
            ),
        ));
    }
    if identity.is_some()
        && !(column.ty.is_integer() || column.ty.digits().is_some_and(|d| d.1 == 0))
    {
        return Err(SqlError::new(2749, format!("Identity column '{name}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.")).state(2));
    }
    if identity.is_some() && table.identity_column().is_some() {
        return Err(SqlError::new(2744, format!("Multiple identity columns specified for table '{}'. Only one identity column per table is allowed.", table.name)).state(2));
    }
    let stamp = |ty| ty == SqlType::RowVersion;
    if stamp(column.ty) && table.columns.iter().any(|c| stamp(c.ty)) {
        return Err(SqlError::new(
            2738,
            format!(
                "A table can only have one timestamp column. Because table '{}' already has one, the column '{name}' cannot be added.",
                table.name
            ),
        ));
    }
    Ok(())
}
