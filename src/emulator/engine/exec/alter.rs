//! ALTER TABLE.
//!
//! SQLite cannot add or drop constraints of a table that is there. Its own advice for changes that
//! leave the stored rows as they are is to change the table's text in `sqlite_master`; the text is
//! made anew from the catalogue.

use rusqlite::{OptionalExtension, params};
use sqlparser::ast::{Expr, Ident, ObjectName};

use super::super::catalogue::shown;
use super::super::catalogue::tables::{self, Table, quote, same_name, stored_name};
use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::{AlterTable, Constraint, ConstraintKind, Dropped};
use super::super::planner::from::table_columns;
use super::super::planner::{Scope, Source, Typed};
use super::super::types::SqlType;
use super::Run;
use super::tables::column_sql;

impl Run<'_, '_> {
    pub(super) fn alter_table(&mut self, name: &ObjectName, change: &AlterTable) -> SqlResult<()> {
        let mut table = self.alterable(name)?;
        self.write(table.is_temp(), |run| match change {
            AlterTable::Add {
                columns,
                constraints,
                checked,
            } => {
                let has_rows = run.has_rows(&table)?;
                for column in columns {
                    run.add_column(&mut table, column, has_rows)?;
                }
                let own = columns.iter().flat_map(|c| &c.constraints);
                for constraint in own.chain(constraints) {
                    run.add_constraint(&table, columns, constraint, *checked)?;
                }
                Ok(())
            }
            AlterTable::Drop(list) => list
                .iter()
                .try_for_each(|item| run.drop_part(&mut table, item)),
            AlterTable::Column { name, ty, nullable } => {
                run.alter_column(&mut table, &name.value, *ty, *nullable)
            }
        })
    }

    fn has_rows(&self, table: &Table) -> SqlResult<bool> {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.sql());
        Ok(self.state.conn.query_row(&sql, [], |row| row.get(0))?)
    }

    fn add_constraint(
        &mut self,
        table: &Table,
        columns: &[parser::ast::Column],
        constraint: &Constraint,
        checked: bool,
    ) -> SqlResult<()> {
        match &constraint.kind {
            ConstraintKind::PrimaryKey(keys) | ConstraintKind::Unique(keys) => {
                let primary = matches!(constraint.kind, ConstraintKind::PrimaryKey(_));
                let kind = if primary { "PK" } else { "UQ" };
                let nullable = |k: &Ident| table.column(&k.value).is_some_and(|c| c.nullable);
                if primary && keys.iter().any(|(k, _)| nullable(k)) {
                    return Err(SqlError::new(
                        8111,
                        format!(
                            "Cannot define PRIMARY KEY constraint on nullable column in table '{}'.",
                            table.name
                        ),
                    ));
                }
                if primary && self.primary_key(table).is_ok() {
                    return Err(SqlError::new(
                        1779,
                        format!(
                            "Table '{}' already has a primary key defined on it.",
                            table.name
                        ),
                    )
                    .state(0));
                }
                let name = self.constraint_name(table, constraint.name.as_ref(), kind, None)?;
                self.new_index(table, &name, kind, true, keys)
            }
            ConstraintKind::Check(condition) => {
                let part = self.check_sql(table, columns, constraint, condition)?;
                self.rewrite(table)?;
                if checked {
                    self.check_rows(table, condition, &part)?;
                }
                Ok(())
            }
            ConstraintKind::ForeignKey {
                columns: own,
                table: parent,
                parent: keys,
                actions,
            } => {
                let part = self.foreign_key_sql(table, constraint, own, parent, keys, actions)?;
                self.rewrite(table)?;
                if checked {
                    self.check_references(table, &part)?;
                }
                Ok(())
            }
            ConstraintKind::Default(column, value) => {
                self.add_default(table, constraint, column, value)
            }
        }
    }

    fn add_default(
        &mut self,
        table: &Table,
        constraint: &Constraint,
        column: &Ident,
        value: &Expr,
    ) -> SqlResult<()> {
        let known = table.column(&column.value).ok_or_else(|| {
            SqlError::new(
                1752,
                format!(
                    "Column '{}' in table '{}' is invalid for creating a default constraint.",
                    column.value, table.name
                ),
            )
            .state(0)
        })?;
        if known.default.is_some() {
            return Err(SqlError::new(
                1781,
                "Column already has a DEFAULT bound to it.",
            ));
        }
        let mut planner = self.planner();
        let typed = planner.expr(value, &Scope::inside(None))?;
        planner.coerce(typed, known.ty)?;
        let name =
            self.constraint_name(table, constraint.name.as_ref(), "D", Some(&column.value))?;
        self.note_definition(table, &name, &shown::definition(value))?;
        let position = table.columns.iter().position(|c| c.name == known.name);
        self.note_parent_column(table, &name, position.map_or(0, |p| p + 1))?;
        self.state.conn.execute(
            &format!("UPDATE {}.\"~columns\" SET default_text = ?1, default_name = ?2 WHERE object_id = ?3 AND name = ?4", table.alias),
            params![value.to_string(), name, table.id, known.name],
        )?;
        Ok(())
    }

    /// 547 if rows break a new check.
    fn check_rows(&mut self, table: &Table, condition: &Expr, part: &str) -> SqlResult<()> {
        let mut scope = Scope::inside(None);
        scope.sources.push(Source {
            exposed: table.name.clone(),
            schema: None,
            alias: String::new(),
            columns: table_columns(table),
            guard: None,
        });
        let sql = self.planner().predicate(condition, &scope)?;
        let broken: bool = self.state.conn.query_row(
            &format!(
                "SELECT EXISTS (SELECT 1 FROM {} WHERE NOT ({sql}))",
                table.sql()
            ),
            [],
            |row| row.get(0),
        )?;
        if broken {
            return Err(conflict(
                "CHECK",
                part,
                &self.state.database.name,
                &table.shown(),
            ));
        }
        Ok(())
    }

    fn check_references(&mut self, table: &Table, part: &str) -> SqlResult<()> {
        let broken = self
            .state
            .conn
            .prepare(&format!(
                "PRAGMA {}.foreign_key_check({})",
                table.alias,
                quote(&stored_name(&table.schema, &table.name))
            ))?
            .exists([])?;
        if !broken {
            return Ok(());
        }
        let parent = part
            .split("REFERENCES \"")
            .nth(1)
            .and_then(|r| r.split('"').next());
        Err(conflict(
            "FOREIGN KEY",
            part,
            &self.state.database.name,
            parent.unwrap_or(""),
        ))
    }

    fn drop_part(&mut self, table: &mut Table, item: &Dropped) -> SqlResult<()> {
        if item.column {
            return self.drop_column(table, item);
        }
        let found: Option<(i64, String)> = self
            .state
            .conn
            .query_row(
                &format!(
                    "SELECT id, trim(kind) FROM {}.\"~objects\" WHERE parent = ?1 AND name = ?2",
                    table.alias
                ),
                params![table.id, item.name.value],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((id, kind)) = found else {
            if item.if_exists {
                return Ok(());
            }
            return Err(SqlError::new(
                3728,
                format!("'{}' is not a constraint.", item.name.value),
            ));
        };
        match kind.as_str() {
            "PK" | "UQ" => self.drop_key(table, &item.name.value)?,
            "D" => {
                self.state.conn.execute(
                    &format!("UPDATE {}.\"~columns\" SET default_text = NULL, default_name = NULL WHERE object_id = ?1 AND default_name = ?2", table.alias),
                    params![table.id, item.name.value],
                )?;
            }
            _ => {}
        }
        self.state.conn.execute(
            &format!("DELETE FROM {}.\"~objects\" WHERE id = ?1", table.alias),
            [id],
        )?;
        if matches!(kind.as_str(), "C" | "F") {
            self.rewrite(table)?;
        }
        Ok(())
    }

    fn drop_key(&mut self, table: &Table, name: &str) -> SqlResult<()> {
        let conn = &self.state.conn;
        let referring: Option<(String, String)> = conn
            .query_row(
                &format!(
                    "SELECT t.name, o.name FROM {0}.\"~foreign_keys\" f JOIN {0}.\"~objects\" o ON o.id = f.id
                     JOIN {0}.\"~objects\" t ON t.id = o.parent WHERE f.referenced = ?1 LIMIT 1",
                    table.alias
                ),
                [table.id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((child, key)) = referring {
            return Err(SqlError::new(
                3725,
                format!("The constraint '{name}' is being referenced by table '{child}', foreign key constraint '{key}'."),
            )
            .state(0));
        }
        let id: i64 = conn.query_row(
            &format!(
                "DELETE FROM {}.\"~indexes\" WHERE object_id = ?1 AND name = ?2 RETURNING id",
                table.alias
            ),
            params![table.id, name],
            |row| row.get(0),
        )?;
        conn.execute_batch(&format!(
            "DROP INDEX {}.{}",
            table.alias,
            quote(&format!("ix.{}.{id}", table.id))
        ))?;
        Ok(())
    }

    fn drop_column(&mut self, table: &mut Table, item: &Dropped) -> SqlResult<()> {
        let name = &item.name.value;
        let Some(at) = table.columns.iter().position(|c| same_name(&c.name, name)) else {
            if item.if_exists {
                return Ok(());
            }
            return Err(SqlError::new(
                4924,
                format!(
                    "ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{}'.",
                    table.name
                ),
            ));
        };
        if table.columns.len() == 1 {
            return Err(SqlError::new(
                4923,
                format!(
                    "ALTER TABLE DROP COLUMN failed because '{name}' is the only data column in table '{}'. A table must have at least one data column.",
                    table.name
                ),
            ));
        }
        let position = i64::try_from(at + 1).unwrap_or(0);
        if let Some(object) = self.dependent(table, position, name, true)? {
            return Err(SqlError::new(
                5074,
                format!("The object '{object}' is dependent on column '{name}'."),
            ));
        }
        let conn = &self.state.conn;
        conn.execute_batch(&format!(
            "ALTER TABLE {} DROP COLUMN {}",
            table.sql(),
            quote(&table.columns[at].name)
        ))?;
        let a = &table.alias;
        conn.execute(
            &format!("DELETE FROM {a}.\"~columns\" WHERE object_id = ?1 AND id = ?2"),
            [table.id, position],
        )?;
        self.close_gap(table, position)?;
        table.columns.remove(at);
        Ok(())
    }

    /// Columns are counted without gaps here: those behind a dropped one move up.
    fn close_gap(&self, table: &Table, dropped: i64) -> SqlResult<()> {
        let (conn, a) = (&self.state.conn, &table.alias);
        for (place, column, own) in [
            ("~columns", "id", "object_id = ?1"),
            ("~index_columns", "column_id", "object_id = ?1"),
            ("~objects", "parent_column", "parent = ?1"),
            (
                "~foreign_key_columns",
                "parent_column",
                "id IN (SELECT id FROM {a}.\"~objects\" WHERE parent = ?1)",
            ),
            (
                "~foreign_key_columns",
                "referenced_column",
                "id IN (SELECT id FROM {a}.\"~foreign_keys\" WHERE referenced = ?1)",
            ),
        ] {
            let own = own.replace("{a}", a);
            // In two steps, so that no number is taken while another still has it.
            conn.execute(
                &format!("UPDATE {a}.\"{place}\" SET {column} = -({column} - 1) WHERE {own} AND {column} > ?2"),
                [table.id, dropped],
            )?;
            conn.execute(
                &format!(
                    "UPDATE {a}.\"{place}\" SET {column} = -{column} WHERE {own} AND {column} < 0"
                ),
                [table.id],
            )?;
        }
        Ok(())
    }

    /// An object that needs the column: an index, a check, a key or, if asked, a default.
    fn dependent(
        &self,
        table: &Table,
        position: i64,
        name: &str,
        defaults: bool,
    ) -> SqlResult<Option<String>> {
        let a = &table.alias;
        let sql = format!(
            "SELECT i.name FROM {a}.\"~index_columns\" c JOIN {a}.\"~indexes\" i ON i.object_id = c.object_id AND i.id = c.index_id
             WHERE c.object_id = ?1 AND c.column_id = ?2
             UNION ALL SELECT name FROM {a}.\"~indexes\" WHERE object_id = ?1 AND instr(lower(filter), lower(?3)) > 0
             UNION ALL SELECT name FROM {a}.\"~objects\" WHERE parent = ?1 AND trim(kind) = 'C'
               AND instr(lower(definition), lower(?3)) > 0
             UNION ALL SELECT name FROM {a}.\"~objects\" WHERE parent = ?1 AND trim(kind) = 'D' AND parent_column = ?2 AND ?4
             UNION ALL SELECT o.name FROM {a}.\"~foreign_key_columns\" f JOIN {a}.\"~objects\" o ON o.id = f.id
               WHERE o.parent = ?1 AND f.parent_column = ?2
             UNION ALL SELECT o.name FROM {a}.\"~foreign_key_columns\" f JOIN {a}.\"~objects\" o ON o.id = f.id
               JOIN {a}.\"~foreign_keys\" k ON k.id = f.id WHERE k.referenced = ?1 AND f.referenced_column = ?2
             LIMIT 1"
        );
        let shown = format!("[{}]", name.replace(']', "]]"));
        Ok(self
            .state
            .conn
            .query_row(&sql, params![table.id, position, shown, defaults], |row| {
                row.get(0)
            })
            .optional()?)
    }

    fn alter_column(
        &mut self,
        table: &mut Table,
        name: &str,
        ty: SqlType,
        nullable: bool,
    ) -> SqlResult<()> {
        let Some(at) = table.columns.iter().position(|c| same_name(&c.name, name)) else {
            return Err(SqlError::new(
                4924,
                format!(
                    "ALTER TABLE ALTER COLUMN failed because column '{name}' does not exist in table '{}'.",
                    table.name
                ),
            ));
        };
        let old = table.columns[at].clone();
        if old.identity.is_some() && (old.ty != ty || nullable) {
            return Err(SqlError::unsupported("ALTER COLUMN of an identity column"));
        }
        let grows = grows(old.ty, ty) && old.nullable == nullable;
        let position = i64::try_from(at + 1).unwrap_or(0);
        if !grows && let Some(object) = self.dependent(table, position, name, old.ty != ty)? {
            return Err(SqlError::new(
                5074,
                format!("The object '{object}' is dependent on column '{name}'."),
            ));
        }
        let column = tables::Column {
            ty,
            nullable,
            ..old.clone()
        };
        if let Some(entry) = table.columns.get_mut(at) {
            *entry = column.clone();
        }
        if !nullable {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {} WHERE {} IS NULL)",
                table.sql(),
                quote(&old.name)
            );
            let holes: bool = self.state.conn.query_row(&sql, [], |row| row.get(0))?;
            if holes {
                let place = format!("{}.{}", self.state.database.name, table.shown());
                return Err(SqlError::new(515, format!("Cannot insert the value NULL into column '{}', table '{place}'; column does not allow nulls. UPDATE fails.", old.name)).state(2));
            }
        }
        if old.ty != ty {
            let value = Typed::new(quote(&old.name), old.ty);
            let sql = self.planner().store(value, table, &column)?;
            self.state.conn.execute(
                &format!("UPDATE {} SET {}={sql}", table.sql(), quote(&old.name)),
                [],
            )?;
        }
        self.state.conn.execute(
            &format!("UPDATE {}.\"~columns\" SET type = ?1, nullable = ?2 WHERE object_id = ?3 AND id = ?4", table.alias),
            params![ty.code(), nullable, table.id, position],
        )?;
        self.rewrite(table)
    }

    /// Writes the table's definition anew for SQLite.
    pub(super) fn rewrite(&mut self, table: &Table) -> SqlResult<()> {
        let mut parts: Vec<String> = table.columns.iter().map(column_sql).collect();
        parts.extend(self.checks(table)?);
        parts.extend(self.references(table)?);
        let conn = &self.state.conn;
        if let Some(first) = table.columns.first() {
            // Rows from before an ADD COLUMN lack the column's value; writing them adds it.
            let name = quote(&first.name);
            conn.execute(&format!("UPDATE {} SET {name}={name}", table.sql()), [])?;
        }
        let sql = format!("CREATE TABLE {}({})", table.bare_sql(), parts.join(","));
        let alias = &table.alias;
        let version: i64 =
            conn.query_row(&format!("PRAGMA {alias}.schema_version"), [], |row| {
                row.get(0)
            })?;
        conn.execute_batch("PRAGMA writable_schema=ON")?;
        let written = conn
            .execute(
                &format!(
                    "UPDATE {alias}.sqlite_master SET sql = ?1 WHERE type = 'table' AND name = ?2"
                ),
                params![sql, stored_name(&table.schema, &table.name)],
            )
            .and_then(|_| {
                conn.execute_batch(&format!("PRAGMA {alias}.schema_version={}", version + 1))
            });
        conn.execute_batch("PRAGMA writable_schema=RESET")?;
        written?;
        Ok(())
    }

    fn checks(&mut self, table: &Table) -> SqlResult<Vec<String>> {
        let found: Vec<(String, String)> = self
            .state
            .conn
            .prepare(&format!(
                "SELECT name, definition FROM {}.\"~objects\" WHERE parent = ?1 AND trim(kind) = 'C' ORDER BY id",
                table.alias
            ))?
            .query_map([table.id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut parts = Vec::new();
        for (name, definition) in found {
            let condition = parser::expression(&definition)?;
            let mut scope = Scope::inside(None);
            scope.sources.push(Source {
                exposed: table.name.clone(),
                schema: None,
                alias: String::new(),
                columns: table_columns(table),
                guard: None,
            });
            let sql = self.planner().predicate(&condition, &scope)?;
            parts.push(format!("CONSTRAINT {} CHECK ({sql})", quote(&name)));
        }
        Ok(parts)
    }

    fn references(&self, table: &Table) -> SqlResult<Vec<String>> {
        let a = &table.alias;
        let mut keys = self.state.conn.prepare(&format!(
            "SELECT o.id, o.name, s.name, p.name, k.on_delete, k.on_update FROM {a}.\"~objects\" o
             JOIN {a}.\"~foreign_keys\" k ON k.id = o.id JOIN {a}.\"~objects\" p ON p.id = k.referenced
             JOIN {a}.\"~schemas\" s ON s.id = p.schema_id WHERE o.parent = ?1 ORDER BY o.id"
        ))?;
        let mut columns = self.state.conn.prepare(&format!(
            "SELECT own.name, other.name FROM {a}.\"~foreign_key_columns\" f JOIN {a}.\"~foreign_keys\" k ON k.id = f.id
             JOIN {a}.\"~columns\" own ON own.object_id = ?2 AND own.id = f.parent_column
             JOIN {a}.\"~columns\" other ON other.object_id = k.referenced AND other.id = f.referenced_column
             WHERE f.id = ?1 ORDER BY f.ordinal"
        ))?;
        let mut parts = Vec::new();
        let mut rows = keys.query([table.id])?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let parent = stored_name(&row.get::<_, String>(2)?, &row.get::<_, String>(3)?);
            let pairs: Vec<(String, String)> = columns
                .query_map([id, table.id], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let own: Vec<String> = pairs.iter().map(|(own, _)| quote(own)).collect();
            let other: Vec<String> = pairs.iter().map(|(_, other)| quote(other)).collect();
            parts.push(format!(
                "CONSTRAINT {} FOREIGN KEY({}) REFERENCES {}({}){}{}",
                quote(&name),
                own.join(","),
                quote(&parent),
                other.join(","),
                action("DELETE", row.get(4)?),
                action("UPDATE", row.get(5)?)
            ));
        }
        Ok(parts)
    }
}

fn action(event: &str, number: i64) -> String {
    match number {
        1 => format!(" ON {event} CASCADE"),
        2 => format!(" ON {event} SET NULL"),
        _ => String::new(),
    }
}

/// Types that may grow under an index: SQL Server allows it for texts and bytes of variable length.
fn grows(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (T::VarChar(a), T::VarChar(b))
        | (T::NVarChar(a), T::NVarChar(b))
        | (T::VarBinary(a), T::VarBinary(b)) => b >= a || from == to,
        _ => from == to,
    }
}

fn conflict(kind: &str, part: &str, database: &str, table: &str) -> SqlError {
    let name = part.split('"').nth(1).unwrap_or_default();
    SqlError::new(
        547,
        format!("The ALTER TABLE statement conflicted with the {kind} constraint \"{name}\". The conflict occurred in database \"{database}\", table \"{table}\"."),
    )
    .state(0)
}
