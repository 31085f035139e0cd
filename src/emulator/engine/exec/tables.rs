//! Making tables: columns, keys, checks, and their entries in the catalogue.

use rusqlite::params;
use sqlparser::ast::{Expr, Ident, ObjectName};

use super::super::catalogue::security::Securable;
use super::super::catalogue::tables::{self, QualifiedName, Table, quote, same_name};
use super::super::catalogue::{now_ticks, schema, shown, views};
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Column, Constraint, ConstraintKind, CreateTable};
use super::super::planner::from::table_columns;
use super::super::planner::{Scope, Source};
use super::super::types::SqlType;
use super::super::types::datetime::round_datetime;
use super::Run;
use super::constraint::{SEPARATOR, check_new_column, comparable};

/// First object ids, apart for `#tables`.
const FIRST_ID: i64 = 901_578_250;
const FIRST_TEMP_ID: i64 = -1_400_000_000;

impl Run<'_, '_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> SqlResult<()> {
        let name = QualifiedName::of(&create.name)?;
        self.write(name.is_temp(), |run| run.make_table(&name, create))
    }

    pub(super) fn make_table(
        &mut self,
        name: &QualifiedName,
        create: &CreateTable,
    ) -> SqlResult<()> {
        let table = self.new_table(name, &create.columns)?;
        self.fill_table(&table, create)
    }

    /// Checks name and rights, and enters the object and its columns into the catalogue.
    pub(super) fn new_table(
        &mut self,
        name: &QualifiedName,
        columns: &[Column],
    ) -> SqlResult<Table> {
        let (alias, schema, schema_id) = self.place_for(name, "CREATE TABLE")?;
        let id = self.new_object(&alias, schema_id, &name.name, "U", 0, None)?;
        let mut table = Table {
            id,
            schema_id,
            schema,
            name: name.name.clone(),
            is_view: false,
            definition: None,
            columns: Vec::new(),
            alias,
        };
        let keys = key_columns(columns);
        for column in columns {
            self.new_column(
                &mut table,
                column,
                keys.contains(&column.name.value.to_lowercase()),
            )?;
        }
        Ok(table)
    }

    /// Where a new object goes: SQLite's database, the schema and its id. Fails if it may not be made.
    pub(super) fn place_for(
        &mut self,
        name: &QualifiedName,
        permission: &str,
    ) -> SqlResult<(String, String, i64)> {
        if let (true, Some(scope)) = (name.name.starts_with('@'), &name.schema) {
            let id = tables::schema_id(&self.state.conn, "temp", scope)?.unwrap_or(1);
            self.check_free("temp", scope, &name.name)?;
            return Ok(("temp".into(), scope.clone(), id));
        }
        if name.name.starts_with("##") {
            return Err(SqlError::unsupported("##global temporary tables"));
        }
        if name.is_temp() {
            if !self.state.has_temp {
                schema::create_temp(&self.state.conn)?;
                self.state.has_temp = true;
            }
            self.check_free("temp", "dbo", &name.name)?;
            return Ok(("temp".into(), "dbo".into(), 1));
        }
        let state = &self.state;
        let alias = state.database.alias();
        if name
            .database
            .as_ref()
            .is_some_and(|d| !same_name(d, &state.database.name))
        {
            return Err(SqlError::other_database(name.shown()));
        }
        let schema = name
            .schema
            .clone()
            .unwrap_or_else(|| state.acting().default_schema.clone());
        self.planner().require_on_database(permission)?;
        let missing = || {
            SqlError::new(
                2760,
                format!(
                    "The specified schema name \"{schema}\" either does not exist or you do not have permission to use it."
                ),
            )
        };
        if views::is_system_schema(&schema) {
            return Err(missing());
        }
        let id = tables::schema_id(&state.conn, &alias, &schema)?.ok_or_else(missing)?;
        if !state
            .acting()
            .may(&state.conn, &alias, "ALTER", Securable::Schema(id))?
        {
            return Err(missing());
        }
        self.check_free(&alias, &schema, &name.name)?;
        Ok((alias, schema, id))
    }

    pub(super) fn check_free(&self, alias: &str, schema: &str, name: &str) -> SqlResult<()> {
        if tables::object(&self.state.conn, alias, schema, name)?.is_none() {
            return Ok(());
        }
        Err(SqlError::new(
            2714,
            format!("There is already an object named '{name}' in the database."),
        )
        .state(6))
    }

    pub(super) fn new_object(
        &mut self,
        alias: &str,
        schema_id: i64,
        name: &str,
        kind: &str,
        parent: i64,
        definition: Option<&str>,
    ) -> SqlResult<i64> {
        let first = if alias == "temp" {
            FIRST_TEMP_ID
        } else {
            FIRST_ID
        };
        let now = round_datetime(now_ticks());
        Ok(self.state.conn.query_row(
            &format!(
                "INSERT INTO {alias}.\"~objects\"(id, schema_id, name, kind, parent, definition, created, modified)
                 VALUES (ifnull((SELECT max(id) + 16 FROM {alias}.\"~objects\"), ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?7) RETURNING id"
            ),
            params![first, schema_id, name, kind, parent, definition, now],
            |row| row.get(0),
        )?)
    }

    pub(super) fn new_column(
        &mut self,
        table: &mut Table,
        column: &Column,
        key: bool,
    ) -> SqlResult<()> {
        check_new_column(table, column, key)?;
        let (name, identity) = (name_of(column), column.identity);
        let stamp = column.ty == SqlType::RowVersion;
        let nullable = column.nullable.unwrap_or(!stamp) && !key && identity.is_none();
        let default = column.default.as_ref().map(|(_, expr)| expr.to_string());
        if let Some((_, expr)) = &column.default {
            // A default that cannot be planned must fail now, not at the first INSERT.
            let mut planner = self.planner();
            let value = planner.default_value(expr)?;
            planner.coerce(value, column.ty)?;
        }
        let entry = tables::Column {
            name: name.to_owned(),
            ty: column.ty,
            nullable,
            default,
            identity,
        };
        let default_name = match &column.default {
            Some((name, expr)) => {
                let own = self.constraint_name(table, name.as_ref(), "D", Some(name_of(column)))?;
                self.note_definition(table, &own, &shown::definition(expr))?;
                self.note_parent_column(table, &own, table.columns.len() + 1)?;
                Some(own)
            }
            None => None,
        };
        self.state.conn.execute(
            &format!(
                "INSERT INTO {}.\"~columns\"(object_id, id, name, type, nullable, default_text, default_name, seed, increment)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                table.alias
            ),
            params![
                table.id,
                i64::try_from(table.columns.len() + 1).unwrap_or(0),
                entry.name,
                entry.ty.code(),
                entry.nullable,
                entry.default,
                default_name,
                identity.map(|i| i.0),
                identity.map(|i| i.1),
            ],
        )?;
        table.columns.push(entry);
        Ok(())
    }

    /// Makes the table in SQLite, with its constraints.
    pub(super) fn fill_table(&mut self, table: &Table, create: &CreateTable) -> SqlResult<()> {
        if table.columns.is_empty() {
            return Err(SqlError::syntax_near(")"));
        }
        let mut parts: Vec<String> = table.columns.iter().map(column_sql).collect();
        let own = create.columns.iter().flat_map(|c| &c.constraints);
        let all: Vec<&Constraint> = own.chain(&create.constraints).collect();
        let primary = all
            .iter()
            .filter(|c| matches!(c.kind, ConstraintKind::PrimaryKey(_)))
            .count();
        let table_key = create.constraints.iter().find_map(|c| match &c.kind {
            ConstraintKind::PrimaryKey(columns) => Some(columns),
            _ => None,
        });
        if primary > 1 {
            return Err(SqlError::new(
                8110,
                format!(
                    "Cannot add multiple PRIMARY KEY constraints to table '{}'.",
                    table.name
                ),
            )
            .state(0));
        }
        let table = self.not_null_keys(table, table_key, &mut parts)?;
        for constraint in &all {
            match &constraint.kind {
                ConstraintKind::Check(condition) => {
                    parts.push(self.check_sql(&table, &create.columns, constraint, condition)?)
                }
                ConstraintKind::ForeignKey {
                    columns,
                    table: parent,
                    parent: keys,
                    actions,
                } => {
                    parts.push(
                        self.foreign_key_sql(&table, constraint, columns, parent, keys, actions)?,
                    );
                }
                ConstraintKind::PrimaryKey(_)
                | ConstraintKind::Unique(_)
                | ConstraintKind::Default(..) => {}
            }
        }
        self.state.conn.execute_batch(&format!(
            "CREATE TABLE {}({})",
            table.sql(),
            parts.join(",")
        ))?;
        for constraint in all {
            let (kind, columns) = match &constraint.kind {
                ConstraintKind::PrimaryKey(columns) => ("PK", columns),
                ConstraintKind::Unique(columns) => ("UQ", columns),
                _ => continue,
            };
            let name = self.constraint_name(&table, constraint.name.as_ref(), kind, None)?;
            self.new_index(&table, &name, kind, true, columns)?;
        }
        Ok(())
    }

    /// Columns of a table-level primary key take no NULL although they do not say so.
    fn not_null_keys(
        &mut self,
        table: &Table,
        key: Option<&Vec<(Ident, bool)>>,
        parts: &mut [String],
    ) -> SqlResult<Table> {
        let mut table = table.clone();
        for (name, _) in key.into_iter().flatten() {
            let column = table
                .columns
                .iter_mut()
                .zip(parts.iter_mut())
                .find(|(c, _)| same_name(&c.name, &name.value));
            let Some((column, part)) = column else {
                return Err(SqlError::new(
                    1911,
                    format!(
                        "Column name '{}' does not exist in the target table or view.",
                        name.value
                    ),
                ));
            };
            column.nullable = false;
            *part = column_sql(column);
            self.state.conn.execute(
                &format!(
                    "UPDATE {}.\"~columns\" SET nullable = 0 WHERE object_id = ?1 AND name = ?2",
                    table.alias
                ),
                params![table.id, column.name],
            )?;
        }
        Ok(table)
    }

    pub(super) fn check_sql(
        &mut self,
        table: &Table,
        columns: &[Column],
        constraint: &Constraint,
        condition: &sqlparser::ast::Expr,
    ) -> SqlResult<String> {
        let column = super::catalogued::own_column(table, columns, constraint);
        let name = self.constraint_name(table, constraint.name.as_ref(), "C", column)?;
        self.note_definition(table, &name, &shown::condition(condition))?;
        let sql = self.row_condition(table, condition)?;
        Ok(format!("CONSTRAINT {} CHECK ({sql})", quote(&name)))
    }

    /// A condition on one row of the table, as SQLite keeps it in its schema.
    fn row_condition(&mut self, table: &Table, condition: &Expr) -> SqlResult<String> {
        let mut scope = Scope::inside(None);
        scope.sources.push(Source {
            exposed: table.name.clone(),
            schema: None,
            alias: String::new(),
            columns: table_columns(table),
            guard: None,
        });
        let mut planner = self.planner();
        let sql = planner.predicate(condition, &scope)?;
        if !planner.binds.is_empty() || sql.contains("SELECT ") || sql.contains("t_newid") {
            return Err(SqlError::new(
                1046,
                "Subqueries and variables are not allowed in a CHECK constraint.",
            ));
        }
        Ok(sql)
    }

    pub(super) fn foreign_key_sql(
        &mut self,
        table: &Table,
        constraint: &Constraint,
        columns: &[Ident],
        parent: &ObjectName,
        keys: &[Ident],
        actions: &str,
    ) -> SqlResult<String> {
        let first = columns.first().map(|c| c.value.as_str());
        let name = self.constraint_name(table, constraint.name.as_ref(), "F", first)?;
        let parent_name = QualifiedName::of(parent)?;
        let own_schema = parent_name.schema.as_deref().unwrap_or(&table.schema);
        let to_itself =
            same_name(&parent_name.name, &table.name) && same_name(own_schema, &table.schema);
        let parent = if to_itself {
            table.clone()
        } else {
            self.planner().find_table(&parent_name).map_err(|_| {
                SqlError::new(
                    1767,
                    format!(
                        "Foreign key '{name}' references invalid table '{}'.",
                        parent_name.shown()
                    ),
                )
                .state(0)
            })?
        };
        let keys = if keys.is_empty() {
            self.primary_key(&parent)?
        } else {
            keys.iter().map(|k| k.value.clone()).collect()
        };
        for (column, key) in columns.iter().zip(&keys) {
            let own = table.column(&column.value).ok_or_else(|| SqlError::new(1769, format!("Foreign key '{name}' references invalid column '{}' in referencing table '{}'.", column.value, table.name)))?;
            let other = parent.column(key).ok_or_else(|| SqlError::new(1770, format!("Foreign key '{name}' references invalid column '{key}' in referenced table '{}'.", parent.name)))?;
            comparable(&name, (&parent.name, other), (&table.name, own))?;
        }
        self.note_foreign_key(table, &name, columns, (&parent, &keys), actions, to_itself)?;
        let list = |names: Vec<&str>| names.into_iter().map(quote).collect::<Vec<_>>().join(",");
        Ok(format!(
            "CONSTRAINT {} FOREIGN KEY({}) REFERENCES {}({}){actions}",
            quote(&name),
            list(columns.iter().map(|c| c.value.as_str()).collect()),
            parent.bare_sql(),
            list(keys.iter().map(String::as_str).collect())
        ))
    }

    pub(super) fn primary_key(&self, table: &Table) -> SqlResult<Vec<String>> {
        let columns: String = self
            .state
            .conn
            .query_row(
                &format!("SELECT columns FROM {}.\"~indexes\" WHERE object_id = ?1 AND kind = 'PK'", table.alias),
                [table.id],
                |row| row.get(0),
            )
            .map_err(|_| SqlError::new(1773, format!("Foreign key has implicit reference to object '{}' which does not have a primary key defined on it.", table.shown())).state(0))?;
        Ok(columns.split(SEPARATOR).map(str::to_owned).collect())
    }

    /// Makes an index and enters it. NULLs are equal in SQL Server's unique indexes, and so here.
    pub(super) fn new_index(
        &mut self,
        table: &Table,
        name: &str,
        kind: &str,
        unique: bool,
        columns: &[(Ident, bool)],
    ) -> SqlResult<()> {
        self.new_filtered_index(table, (name, kind, unique), columns, None)
    }

    pub(super) fn new_filtered_index(
        &mut self,
        table: &Table,
        (name, kind, unique): (&str, &str, bool),
        columns: &[(Ident, bool)],
        filter: Option<&Expr>,
    ) -> SqlResult<()> {
        let condition = match filter {
            None => String::new(),
            Some(filter) => format!(" WHERE {}", self.row_condition(table, filter)?),
        };
        let conn = &self.state.conn;
        // Index 1 is the clustered one, which here a primary key is.
        let id: i64 = conn.query_row(
            &format!(
                "SELECT iif(?2, 1, max(ifnull(max(id), 1), 1) + 1) FROM {}.\"~indexes\" WHERE object_id = ?1",
                table.alias
            ),
            params![table.id, kind == "PK"],
            |row| row.get(0),
        )?;
        let (mut terms, mut names) = (Vec::new(), Vec::new());
        for (column, ascending) in columns {
            let column = table.column(&column.value).ok_or_else(|| {
                SqlError::new(
                    1911,
                    format!(
                        "Column name '{}' does not exist in the target table or view.",
                        column.value
                    ),
                )
            })?;
            terms.push(index_term(column, unique, *ascending));
            names.push(column.name.clone());
        }
        conn.execute(
            &format!("INSERT INTO {}.\"~indexes\"(object_id, id, name, kind, is_unique, columns, filter) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", table.alias),
            params![table.id, id, name, kind, unique, names.join(&SEPARATOR.to_string()), filter.map(shown::condition)],
        )?;
        self.note_index_columns(table, id, columns)?;
        let conn = &self.state.conn;
        let word = if unique { "UNIQUE " } else { "" };
        let made = conn.execute_batch(&format!(
            "CREATE {word}INDEX {}.{} ON {}({}){condition}",
            table.alias,
            quote(&format!("ix.{}.{id}", table.id)),
            table.bare_sql(),
            terms.join(",")
        ));
        made.map_err(|error| match self.constraint(error, table, "INSERT") {
            e if matches!(e.number, 2601 | 2627) => SqlError::new(
                1505,
                format!("The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '{}' and the index name '{name}'.", table.shown()),
            ),
            other => other,
        })
    }
}

/// A column of SQLite: no affinity, so that values stay what they are.
pub(super) fn column_sql(column: &tables::Column) -> String {
    let collation = column
        .ty
        .collation()
        .map_or_else(String::new, |c| format!(" COLLATE {c}"));
    let null = if column.nullable { "" } else { " NOT NULL" };
    format!("{}{collation}{null}", quote(&column.name))
}

pub(super) fn name_of(column: &Column) -> &str {
    &column.name.value
}

/// Columns that say PRIMARY KEY themselves.
fn key_columns(columns: &[Column]) -> Vec<String> {
    columns
        .iter()
        .filter(|c| {
            c.constraints
                .iter()
                .any(|k| matches!(k.kind, ConstraintKind::PrimaryKey(_)))
        })
        .map(|c| c.name.value.to_lowercase())
        .collect()
}

/// A column of an index. In unique ones NULL stands for itself, so that two of them clash.
fn index_term(column: &tables::Column, unique: bool, ascending: bool) -> String {
    let quoted = quote(&column.name);
    let collation = column
        .ty
        .collation()
        .map_or_else(String::new, |c| format!(" COLLATE {c}"));
    let null = if matches!(
        column.ty.storage(),
        super::super::types::Storage::Text
            | super::super::types::Storage::DateTimeOffset
            | super::super::types::Storage::Variant
            | super::super::types::Storage::Int
    ) {
        "X''"
    } else {
        "''"
    };
    let term = if unique && column.nullable {
        format!("ifnull({quoted},{null})")
    } else {
        quoted
    };
    format!("{term}{collation}{}", if ascending { "" } else { " DESC" })
}
