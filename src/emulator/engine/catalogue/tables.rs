//! Tables and views with the T-SQL types of their columns.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::error::{SqlError, SqlResult};
use super::super::types::SqlType;
use super::security::Securable;

/// A table or view.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) id: i64,
    pub(crate) schema_id: i64,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) is_view: bool,
    /// A view's query, or a table's nothing.
    pub(crate) definition: Option<String>,
    pub(crate) columns: Vec<Column>,
    /// Name of the database in SQLite; `temp` for `#tables`.
    pub(crate) alias: String,
}

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) nullable: bool,
    pub(crate) default: Option<String>,
    pub(crate) identity: Option<(i64, i64)>,
}

impl Table {
    /// The name in SQLite, quoted and with its database.
    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", self.alias, self.bare_sql())
    }

    /// The quoted name without its database.
    pub(crate) fn bare_sql(&self) -> String {
        quote(&stored_name(&self.schema, &self.name))
    }

    pub(crate) fn is_temp(&self) -> bool {
        self.alias == "temp"
    }

    /// `dbo.t`, as errors show it.
    pub(crate) fn shown(&self) -> String {
        if self.is_temp() {
            return self.name.clone();
        }
        format!("{}.{}", self.schema, self.name)
    }

    pub(crate) fn securable(&self) -> Securable {
        Securable::Object(self.id, self.schema_id)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| same_name(&c.name, name))
    }

    pub(crate) fn identity_column(&self) -> Option<&Column> {
        self.columns.iter().find(|c| c.identity.is_some())
    }
}

/// Identifiers compare as the catalogue's collation says, here without ASCII case.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

/// Name of a table in SQLite.
pub(crate) fn stored_name(schema: &str, name: &str) -> String {
    format!("{schema}.{name}")
}

/// An identifier of SQLite.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Finds a table or view.
pub(crate) fn find(
    conn: &Connection,
    alias: &str,
    schema: &str,
    name: &str,
) -> SqlResult<Option<Table>> {
    let found = conn
        .prepare_cached(&format!(
            "SELECT o.id, o.schema_id, s.name, o.name, o.kind, o.definition
             FROM {alias}.\"~objects\" o JOIN {alias}.\"~schemas\" s ON s.id = o.schema_id
             WHERE o.name = ?1 AND s.name = ?2 AND o.kind IN ('U', 'V')"
        ))?
        .query_row(params![name, schema], |row| read(row, alias))
        .optional()?;
    let Some(mut table) = found else {
        return Ok(None);
    };
    table.columns = columns(conn, alias, table.id)?;
    Ok(Some(table))
}

fn read(row: &Row<'_>, alias: &str) -> rusqlite::Result<Table> {
    Ok(Table {
        id: row.get(0)?,
        schema_id: row.get(1)?,
        schema: row.get(2)?,
        name: row.get(3)?,
        is_view: row.get::<_, String>(4)? == "V",
        definition: row.get(5)?,
        columns: Vec::new(),
        alias: alias.to_owned(),
    })
}

fn columns(conn: &Connection, alias: &str, id: i64) -> SqlResult<Vec<Column>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT name, type, nullable, default_text, seed, increment
         FROM {alias}.\"~columns\" WHERE object_id = ?1 ORDER BY id"
    ))?;
    let rows = statement.query_map([id], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, bool>(2)?,
            row.get::<_, Option<String>>(3)?,
            row.get::<_, Option<i64>>(4)?
                .zip(row.get::<_, Option<i64>>(5)?),
        ))
    })?;
    rows.map(|row| {
        let (name, code, nullable, default, identity) = row?;
        let ty = SqlType::from_code(code)
            .ok_or_else(|| SqlError::internal("a column's type is unknown"))?;
        Ok(Column {
            name,
            ty,
            nullable,
            default,
            identity,
        })
    })
    .collect()
}

/// The id of a schema.
pub(crate) fn schema_id(conn: &Connection, alias: &str, name: &str) -> SqlResult<Option<i64>> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT id FROM {alias}.\"~schemas\" WHERE name = ?1"
        ))?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// Any object of that name: its id and kind (`U`, `V`, `PK`, `UQ`, `C `, `D `, `F `).
pub(crate) fn object(
    conn: &Connection,
    alias: &str,
    schema: &str,
    name: &str,
) -> SqlResult<Option<(i64, String)>> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT o.id, o.kind FROM {alias}.\"~objects\" o JOIN {alias}.\"~schemas\" s ON s.id = o.schema_id
             WHERE o.name = ?1 AND s.name = ?2"
        ))?
        .query_row(params![name, schema], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// A name of up to three parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct QualifiedName {
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl QualifiedName {
    pub(crate) fn of(name: &sqlparser::ast::ObjectName) -> SqlResult<Self> {
        let mut parts = Vec::new();
        for part in &name.0 {
            let ident = part.as_ident().ok_or_else(|| SqlError::syntax_near(part))?;
            parts.push(ident.value.clone());
        }
        Self::from_parts(parts).ok_or_else(|| {
            SqlError::new(
                117,
                format!("The object name '{name}' contains more than the maximum number of prefixes. The maximum is 2."),
            )
            .class(15)
        })
    }

    pub(crate) fn from_parts(mut parts: Vec<String>) -> Option<Self> {
        let name = parts.pop()?;
        let schema = parts.pop().filter(|s| !s.is_empty());
        let database = parts.pop().filter(|s| !s.is_empty());
        parts.is_empty().then_some(Self {
            database,
            schema,
            name,
        })
    }

    /// Reads `[a].b` as OBJECT_ID takes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::from_parts(Self::parts(text)?)
    }

    /// The names in `[a].b`, without their brackets.
    pub(crate) fn parts(text: &str) -> Option<Vec<String>> {
        let mut parts = vec![String::new()];
        let mut chars = text.trim().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '[' | '"' => {
                    let end = if c == '[' { ']' } else { '"' };
                    loop {
                        let inner = chars.next()?;
                        if inner == end && chars.next_if_eq(&end).is_none() {
                            break;
                        }
                        parts.last_mut()?.push(inner);
                    }
                }
                '.' => parts.push(String::new()),
                other => parts.last_mut()?.push(other),
            }
        }
        Some(parts)
    }

    pub(crate) fn is_temp(&self) -> bool {
        self.name.starts_with('#')
    }

    /// As it was written.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        if let Some(database) = &self.database {
            text = format!("{database}.");
        }
        match &self.schema {
            Some(schema) => text.push_str(&format!("{schema}.")),
            None if !text.is_empty() => text.push('.'),
            None => {}
        }
        text + &self.name
    }
}
