//! Table variables: tables of one batch, which a rollback leaves as they are.
//!
//! They are tables of SQLite's `temp`, in a schema of the batch's own. SQLite rolls them back like
//! everything else, so that their rows are taken aside before a ROLLBACK and put back after it.

use rusqlite::types::Value as Stored;
use rusqlite::{Connection, params_from_iter};

use super::super::catalogue::schema;
use super::super::catalogue::tables::{self, QualifiedName, quote};
use super::super::error::SqlResult;
use super::super::parser::ast::CreateTable;
use super::super::session::State;
use super::Run;

/// Tables that describe others, and the column that says which.
const DESCRIBING: &[(&str, &str)] = &[
    ("~objects", "id"),
    ("~objects", "parent"),
    ("~columns", "object_id"),
    ("~indexes", "object_id"),
];

impl Run<'_, '_> {
    /// `DECLARE @t TABLE (…)`. In a loop it runs again, and the table keeps its rows.
    pub(super) fn declare_table(&mut self, create: &CreateTable) -> SqlResult<()> {
        let name = QualifiedName::of(&create.name)?;
        if self.planner().find_table(&name).is_ok() {
            return Ok(());
        }
        let scope = self.table_scope()?;
        let name = QualifiedName {
            schema: Some(scope),
            ..name
        };
        self.state.conn.execute_batch("SAVEPOINT variable")?;
        let made = self.make_table(&name, create);
        self.state.conn.execute_batch(match made {
            Ok(()) => "RELEASE variable",
            Err(_) => "ROLLBACK TO variable; RELEASE variable",
        })?;
        made
    }

    /// The schema of the batch's table variables.
    fn table_scope(&mut self) -> SqlResult<String> {
        if let Some(Some(scope)) = self.state.table_scopes.last() {
            return Ok(scope.clone());
        }
        if !self.state.has_temp {
            schema::create_temp(&self.state.conn)?;
            self.state.has_temp = true;
        }
        self.state.last_table_scope += 1;
        let id = self.state.last_table_scope;
        let name = format!("v{id}");
        self.state.conn.execute(
            "INSERT INTO temp.\"~schemas\"(id, name, owner) VALUES (?1 + 1, ?2, 1)",
            rusqlite::params![id, name],
        )?;
        match self.state.table_scopes.last_mut() {
            Some(last) => *last = Some(name.clone()),
            None => self.state.table_scopes.push(Some(name.clone())),
        }
        Ok(name)
    }
}

/// Ids of the `#tables` that were there before a procedure.
pub(super) type Outer = Option<Vec<i64>>;

/// A batch begins: it has no table variables yet. A procedure's `#tables` are its own, too.
pub(super) fn enter(state: &mut State, procedure: bool) -> Outer {
    state.table_scopes.push(None);
    procedure.then(|| ids(state))
}

fn ids(state: &State) -> Vec<i64> {
    if !state.has_temp {
        return Vec::new();
    }
    let tables = tables_of(&state.conn, "dbo").unwrap_or_default();
    tables.into_iter().map(|(id, _)| id).collect()
}

/// A batch ends, and its table variables with it.
pub(super) fn leave(state: &mut State, outer: Outer) {
    if let Some(outer) = outer.filter(|_| state.has_temp) {
        for table in tables_of(&state.conn, "dbo").unwrap_or_default() {
            if !outer.contains(&table.0) {
                drop(forget(&state.conn, &table));
            }
        }
    }
    let Some(Some(scope)) = state.table_scopes.pop() else {
        return;
    };
    for table in tables_of(&state.conn, &scope).unwrap_or_default() {
        drop(forget(&state.conn, &table));
    }
    drop(
        state
            .conn
            .execute("DELETE FROM temp.\"~schemas\" WHERE name = ?1", [scope]),
    );
}

/// A table of SQLite's.
struct Kept {
    id: i64,
    /// Name in SQLite, without quotes.
    name: String,
    /// CREATE TABLE and CREATE INDEX.
    definitions: Vec<String>,
    /// Rows of the tables that describe it.
    described: Vec<(&'static str, Vec<Stored>)>,
    /// Rows, each with its row id first.
    rows: Vec<Vec<Stored>>,
}

/// Table variables taken aside.
pub(super) struct Aside {
    scopes: Vec<Vec<Stored>>,
    tables: Vec<Kept>,
}

/// Takes all table variables of the session aside.
pub(super) fn take_aside(state: &State) -> SqlResult<Option<Aside>> {
    let mut aside = Aside {
        scopes: Vec::new(),
        tables: Vec::new(),
    };
    for scope in state.table_scopes.iter().flatten() {
        let wanted = Stored::Text(scope.clone());
        aside.scopes.extend(rows(
            &state.conn,
            "SELECT * FROM temp.\"~schemas\" WHERE name = ?1",
            vec![wanted],
        )?);
        for (id, name) in tables_of(&state.conn, scope)? {
            aside.tables.push(keep(&state.conn, id, name)?);
        }
    }
    Ok((!aside.scopes.is_empty()).then_some(aside))
}

/// Puts table variables back after a rollback.
pub(super) fn put_back(state: &State, aside: &Aside) -> SqlResult<()> {
    let conn = &state.conn;
    schema::create_temp(conn)?;
    conn.execute_batch("SAVEPOINT variables")?;
    for row in &aside.scopes {
        replace(conn, "~schemas", row)?;
    }
    for table in &aside.tables {
        forget(conn, &(table.id, table.name.clone()))?;
        for (place, row) in &table.described {
            replace(conn, place, row)?;
        }
        for definition in &table.definitions {
            conn.execute_batch(definition)?;
        }
        let Some(width) = table.rows.first().map(Vec::len) else {
            continue;
        };
        let names = stored_columns(conn, &table.name)?;
        let mut insert = conn.prepare(&format!(
            "INSERT INTO temp.{}(rowid,{}) VALUES ({})",
            quote(&table.name),
            names.join(","),
            vec!["?"; width].join(",")
        ))?;
        for row in &table.rows {
            insert.execute(params_from_iter(row))?;
        }
    }
    conn.execute_batch("RELEASE variables")?;
    Ok(())
}

fn keep(conn: &Connection, id: i64, name: String) -> SqlResult<Kept> {
    let definitions = conn
        .prepare("SELECT sql FROM temp.sqlite_master WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type DESC")?
        .query_map([&name], |row| row.get::<_, String>(0))?
        .map(|sql| sql.map(|sql| in_temp(&sql)))
        .collect::<rusqlite::Result<_>>()?;
    let mut described = Vec::new();
    for (place, column) in DESCRIBING {
        let sql = format!("SELECT * FROM temp.\"{place}\" WHERE {column} = ?1");
        for row in rows(conn, &sql, vec![Stored::Integer(id)])? {
            described.push((*place, row));
        }
    }
    let columns = stored_columns(conn, &name)?.join(",");
    let sql = format!(
        "SELECT rowid,{columns} FROM temp.{} ORDER BY rowid",
        quote(&name)
    );
    Ok(Kept {
        id,
        definitions,
        described,
        rows: rows(conn, &sql, Vec::new())?,
        name,
    })
}

/// Columns that hold values of their own, quoted.
fn stored_columns(conn: &Connection, table: &str) -> SqlResult<Vec<String>> {
    Ok(conn
        .prepare("SELECT name FROM pragma_table_xinfo(?1, 'temp') WHERE hidden = 0 ORDER BY cid")?
        .query_map([table], |row| row.get::<_, String>(0))?
        .map(|name| name.map(|name| quote(&name)))
        .collect::<rusqlite::Result<_>>()?)
}

/// SQLite keeps definitions without the database that they are for.
fn in_temp(sql: &str) -> String {
    for word in ["CREATE TABLE ", "CREATE UNIQUE INDEX ", "CREATE INDEX "] {
        if let Some(rest) = sql.strip_prefix(word) {
            return format!("{word}temp.{}", rest.strip_prefix("temp.").unwrap_or(rest));
        }
    }
    sql.to_owned()
}

fn tables_of(conn: &Connection, scope: &str) -> SqlResult<Vec<(i64, String)>> {
    let mut statement = conn.prepare(
        "SELECT o.id, o.name FROM temp.\"~objects\" o JOIN temp.\"~schemas\" s ON s.id = o.schema_id
         WHERE s.name = ?1 AND o.kind = 'U'",
    )?;
    let found = statement.query_map([scope], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    found
        .map(|row| row.map(|(id, name)| (id, tables::stored_name(scope, &name))))
        .collect::<rusqlite::Result<_>>()
        .map_err(Into::into)
}

fn forget(conn: &Connection, (id, name): &(i64, String)) -> SqlResult<()> {
    conn.execute_batch(&format!("DROP TABLE IF EXISTS temp.{}", quote(name)))?;
    for (place, column) in DESCRIBING {
        conn.execute(
            &format!("DELETE FROM temp.\"{place}\" WHERE {column} = ?1"),
            [id],
        )?;
    }
    Ok(())
}

fn rows(conn: &Connection, sql: &str, binds: Vec<Stored>) -> SqlResult<Vec<Vec<Stored>>> {
    let mut statement = conn.prepare(sql)?;
    let width = statement.column_count();
    let found = statement.query_map(params_from_iter(binds), |row| {
        (0..width).map(|index| row.get(index)).collect()
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn replace(conn: &Connection, place: &str, row: &[Stored]) -> SqlResult<()> {
    let marks = vec!["?"; row.len()].join(",");
    conn.prepare(&format!(
        "INSERT OR REPLACE INTO temp.\"{place}\" VALUES ({marks})"
    ))?
    .execute(params_from_iter(row))?;
    Ok(())
}
