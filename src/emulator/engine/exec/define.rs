//! Definitions other than tables' insides: views, schemas, indexes, databases, dropping.

use rusqlite::params;
use sqlparser::ast::{Ident, ObjectName};

use super::super::EngineError;
use super::super::catalogue::security::{self, Securable};
use super::super::catalogue::tables::{self, QualifiedName, Table, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Column, CreateIndex, Kind};
use super::super::wire::out::command;
use super::Run;
use super::tables::column_sql;

impl Run<'_, '_> {
    pub(super) fn define(&mut self, kind: &Kind) -> SqlResult<()> {
        match kind {
            Kind::CreateTable(create) => self.create_table(create)?,
            Kind::DropTable { names, if_exists } => self.drop_tables(names, *if_exists, false)?,
            Kind::DropView { names, if_exists } => self.drop_tables(names, *if_exists, true)?,
            Kind::AlterTable(name, change) => self.alter_table(name, change)?,
            Kind::DropNothing {
                what,
                names,
                if_exists,
            } => {
                for name in names {
                    let name = QualifiedName::of(name)?;
                    let gone = what == "procedure" && self.drop_procedure(&name.name);
                    if !gone && !if_exists {
                        return Err(Self::cannot_drop(what, &name.shown()));
                    }
                }
            }
            Kind::CreateProcedure(procedure) => self.create_procedure(procedure)?,
            Kind::CreateIndex(index) => self.create_index(index)?,
            Kind::DropIndex {
                name,
                table,
                if_exists,
            } => self.drop_index(name, table, *if_exists)?,
            Kind::CreateView {
                name,
                columns,
                query,
                how,
                source,
            } => self.create_view(name, columns, (query, source), *how)?,
            Kind::CreateSchema { name, owner } => {
                self.create_schema(&name.value, owner.as_ref())?
            }
            Kind::DropSchema { name, if_exists } => self.drop_schema(&name.value, *if_exists)?,
            Kind::CreateDatabase(name) => self.create_database(&name.value)?,
            Kind::DropDatabase { name, if_exists } => {
                self.only_admin("DROP DATABASE")?;
                let known = self.state.shared.store.find(&name.value).is_some();
                if known || !if_exists {
                    self.state.shared.store.drop_database(&name.value)?;
                }
            }
            _ => return Err(SqlError::internal("a statement is not known to run")),
        }
        self.out.done(command::OTHER, None, false);
        Ok(())
    }

    fn only_admin(&self, what: &str) -> SqlResult<()> {
        if self.state.is_server_admin() {
            return Ok(());
        }
        Err(SqlError::new(
            262,
            format!("{what} permission denied in database 'master'."),
        )
        .class(14))
    }

    fn create_database(&mut self, name: &str) -> SqlResult<()> {
        self.only_admin("CREATE DATABASE")?;
        self.state
            .shared
            .store
            .create(name)
            .map_err(|error| match error {
                EngineError::DatabaseExists { name } => SqlError::new(
                    1801,
                    format!("Database '{name}' already exists. Choose a different database name."),
                )
                .state(3),
                other => SqlError::internal(other),
            })
    }

    fn cannot_drop(what: &str, name: &str) -> SqlError {
        SqlError::new(
            3701,
            format!("Cannot drop the {what} '{name}', because it does not exist or you do not have permission."),
        )
        .class(11)
        .state(5)
    }

    fn drop_tables(&mut self, names: &[ObjectName], if_exists: bool, view: bool) -> SqlResult<()> {
        let what = if view { "view" } else { "table" };
        for name in names {
            let name = QualifiedName::of(name)?;
            let found = self
                .planner()
                .find_table(&name)
                .ok()
                .filter(|t| t.is_view == view);
            let Some(table) = found else {
                if if_exists {
                    continue;
                }
                return Err(Self::cannot_drop(what, &name.shown()));
            };
            let planner = self.planner();
            let may_schema = table.is_temp() || {
                let state = &self.state;
                state.acting().may(
                    &state.conn,
                    &table.alias,
                    "ALTER",
                    Securable::Schema(table.schema_id),
                )?
            };
            if !may_schema && planner.require(&table, "CONTROL").is_err() {
                return Err(Self::cannot_drop(what, &name.shown()));
            }
            self.write(table.is_temp(), |run| run.drop_table(&table))?;
        }
        Ok(())
    }

    /// Whether another table has a FOREIGN KEY to this one.
    pub(super) fn is_referenced(&self, table: &Table) -> SqlResult<bool> {
        let children = format!("%REFERENCES {}(%", table.bare_sql());
        let bare = tables::stored_name(&table.schema, &table.name);
        let found: i64 = self.state.conn.query_row(
            &format!("SELECT count(*) FROM {}.sqlite_master WHERE type = 'table' AND name <> ?2 AND sql LIKE ?1", table.alias),
            params![children, bare],
            |row| row.get(0),
        )?;
        Ok(found > 0)
    }

    fn drop_table(&mut self, table: &Table) -> SqlResult<()> {
        let conn = &self.state.conn;
        if !table.is_view {
            if self.is_referenced(table)? {
                return Err(SqlError::new(
                    3726,
                    format!(
                        "Could not drop object '{}' because it is referenced by a FOREIGN KEY constraint.",
                        table.shown()
                    ),
                ));
            }
            conn.execute_batch(&format!("DROP TABLE {}", table.sql()))?;
        }
        for (name, column) in [
            ("~columns", "object_id"),
            ("~indexes", "object_id"),
            ("~objects", "parent"),
            ("~objects", "id"),
        ] {
            conn.execute(
                &format!("DELETE FROM {}.\"{name}\" WHERE {column} = ?1", table.alias),
                [table.id],
            )?;
        }
        conn.execute(
            &format!(
                "DELETE FROM {}.\"~permissions\" WHERE class = 1 AND major = ?1",
                table.alias
            ),
            [table.id],
        )?;
        Ok(())
    }

    /// A table that the user may alter.
    pub(super) fn alterable(&mut self, name: &ObjectName) -> SqlResult<Table> {
        let name = QualifiedName::of(name)?;
        let missing = || {
            SqlError::new(
                4902,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    name.shown()
                ),
            )
        };
        let planner = self.planner();
        let table = planner.find_table(&name).map_err(|_| missing())?;
        planner.require(&table, "ALTER").map_err(|_| missing())?;
        if table.is_view {
            return Err(SqlError::unsupported("altering a view like a table"));
        }
        Ok(table)
    }

    pub(super) fn add_column(
        &mut self,
        table: &mut Table,
        column: &Column,
        has_rows: bool,
    ) -> SqlResult<()> {
        if column.identity.is_some() && has_rows {
            return Err(SqlError::unsupported(
                "adding an IDENTITY column to a table with rows",
            ));
        }
        self.new_column(table, column, false)?;
        let Some(entry) = table.columns.last().cloned() else {
            return Ok(());
        };
        if !entry.nullable && entry.default.is_none() && has_rows {
            return Err(SqlError::new(
                4901,
                format!(
                    "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified. Column '{}' cannot be added to non-empty table '{}' because it does not satisfy these conditions.",
                    entry.name, table.name
                ),
            ));
        }
        let value = match (&column.default, entry.nullable) {
            (Some((_, expr)), false) => {
                let mut planner = self.planner();
                let value = planner.expr(expr, &sqlparser_scope())?;
                let sql = planner.store(value, table, &entry)?;
                let value: rusqlite::types::Value =
                    self.state
                        .conn
                        .query_row(&format!("SELECT {sql}"), [], |row| row.get(0))?;
                Some(value)
            }
            _ => None,
        };
        let default = match (&value, entry.nullable) {
            (Some(value), _) => format!(" DEFAULT {}", stored_literal(value)),
            // SQLite wants a default for NOT NULL; the table is empty, and INSERT names all columns.
            (None, false) => " DEFAULT ''".to_owned(),
            (None, true) => String::new(),
        };
        self.state.conn.execute_batch(&format!(
            "ALTER TABLE {} ADD COLUMN {}{default}",
            table.sql(),
            column_sql(&entry)
        ))?;
        Ok(())
    }

    fn create_index(&mut self, index: &CreateIndex) -> SqlResult<()> {
        let table = self.alterable(&index.table)?;
        self.write(table.is_temp(), |run| {
            let known: i64 = run.state.conn.query_row(
                &format!("SELECT count(*) FROM {}.\"~indexes\" WHERE object_id = ?1 AND name = ?2", table.alias),
                params![table.id, index.name.value],
                |row| row.get(0),
            )?;
            if known > 0 {
                return Err(SqlError::new(
                    1913,
                    format!("The operation failed because an index or statistics with name '{}' already exists on table '{}'.", index.name.value, table.shown()),
                ));
            }
            run.new_filtered_index(&table, (&index.name.value, "IX", index.unique), &index.columns, index.filter.as_ref())
        })
    }

    fn drop_index(&mut self, name: &Ident, table: &ObjectName, if_exists: bool) -> SqlResult<()> {
        let table = self.alterable(table)?;
        self.write(table.is_temp(), |run| {
            let conn = &run.state.conn;
            let found: Option<i64> = conn
                .prepare(&format!("DELETE FROM {}.\"~indexes\" WHERE object_id = ?1 AND name = ?2 AND kind = 'IX' RETURNING id", table.alias))?
                .query_map(params![table.id, name.value], |row| row.get(0))?
                .collect::<Result<Vec<_>, _>>()?
                .pop();
            match found {
                Some(id) => Ok(conn.execute_batch(&format!("DROP INDEX {}.{}", table.alias, quote(&format!("ix.{}.{id}", table.id))))?),
                None if if_exists => Ok(()),
                None => Err(Self::cannot_drop("index", &format!("{}.{}", table.shown(), name.value))),
            }
        })
    }

    fn create_schema(&mut self, name: &str, owner: Option<&Ident>) -> SqlResult<()> {
        self.planner().require_on_database("CREATE SCHEMA")?;
        let alias = self.state.database.alias();
        let authorization = owner;
        let owner = match owner {
            None => self.state.acting().id,
            Some(owner) => security::id_by_name(&self.state.conn, &alias, &owner.value)?.ok_or_else(|| {
                SqlError::new(15151, format!("Cannot find the principal '{}', because it does not exist or you do not have permission.", owner.value))
            })?,
        };
        let own = self.state.acting().closure(&self.state.conn, &alias)?;
        if !own.contains(&owner) && !self.may_impersonate(owner)? {
            return Err(SqlError::new(
                15151,
                format!(
                    "Cannot find the principal '{}', because it does not exist or you do not have permission.",
                    authorization.map_or("", |o| o.value.as_str())
                ),
            ));
        }
        self.write(false, |run| {
            if tables::schema_id(&run.state.conn, &alias, name)?.is_some() {
                return Err(SqlError::new(2714, format!("There is already an object named '{name}' in the database.")).state(6));
            }
            run.state.conn.execute(
                &format!("INSERT INTO {alias}.\"~schemas\"(id, name, owner) VALUES ((SELECT max(ifnull(max(id), 0), 4) + 1 FROM {alias}.\"~schemas\" WHERE id < 16384), ?1, ?2)"),
                params![name, owner],
            )?;
            Ok(())
        })
    }

    fn drop_schema(&mut self, name: &str, if_exists: bool) -> SqlResult<()> {
        let alias = self.state.database.alias();
        let Some(id) =
            tables::schema_id(&self.state.conn, &alias, name)?.filter(|id| (5..16384).contains(id))
        else {
            return if if_exists {
                Ok(())
            } else {
                Err(SqlError::new(
                    15151,
                    format!(
                        "Cannot drop the schema '{name}', because it does not exist or you do not have permission."
                    ),
                ))
            };
        };
        self.planner().require_on_database("ALTER ANY SCHEMA")?;
        self.write(false, |run| {
            let used: i64 = run.state.conn.query_row(
                &format!("SELECT count(*) FROM {alias}.\"~objects\" WHERE schema_id = ?1"),
                [id],
                |row| row.get(0),
            )?;
            if used > 0 {
                return Err(SqlError::new(
                    3729,
                    format!(
                        "Cannot drop schema '{name}' because it is being referenced by an object."
                    ),
                ));
            }
            run.state.conn.execute(
                &format!("DELETE FROM {alias}.\"~schemas\" WHERE id = ?1"),
                [id],
            )?;
            run.state.conn.execute(
                &format!("DELETE FROM {alias}.\"~permissions\" WHERE class = 3 AND major = ?1"),
                [id],
            )?;
            Ok(())
        })
    }

    pub(super) fn identity_insert(&mut self, name: &ObjectName, on: bool) -> SqlResult<()> {
        let table = self.alterable(name)?;
        if table.identity_column().is_none() {
            return Err(SqlError::new(
                8106,
                format!(
                    "Table '{}' does not have the identity property. Cannot perform SET operation.",
                    table.shown()
                ),
            ));
        }
        let key = table.sql();
        let current = self.state.settings.identity_insert.clone();
        match (on, current) {
            (true, Some(other)) if other != key => {
                return Err(SqlError::new(
                    8107,
                    format!(
                        "IDENTITY_INSERT is already ON for another table. Cannot perform SET operation for table '{}'.",
                        table.shown()
                    ),
                ));
            }
            (true, _) => self.state.settings.identity_insert = Some(key),
            (false, Some(own)) if own == key => self.state.settings.identity_insert = None,
            (false, _) => {}
        }
        Ok(())
    }
}

fn sqlparser_scope() -> super::super::planner::Scope<'static> {
    super::super::planner::Scope::inside(None)
}

fn stored_literal(value: &rusqlite::types::Value) -> String {
    use rusqlite::types::Value as Stored;
    match value {
        Stored::Null => "NULL".into(),
        Stored::Integer(v) => v.to_string(),
        Stored::Real(v) => format!("{v:e}"),
        Stored::Text(v) => format!("'{}'", v.replace('\'', "''")),
        Stored::Blob(v) => format!(
            "X'{}'",
            v.iter().map(|b| format!("{b:02X}")).collect::<String>()
        ),
    }
}
