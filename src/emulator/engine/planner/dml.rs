//! INSERT.

use sqlparser::ast::{Expr, Ident, ObjectName, Query, SetExpr, Value as Lit};

use super::super::catalogue::tables::{Column, QualifiedName, Table, quote};
use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::{Insert, QueryOptions, Source as InsertSource};
use super::change::{Change, WORK, pseudo_table};
use super::rel::Rel;
use super::{Planner, Scope, SqlType, Typed};

impl Planner<'_> {
    /// Plans INSERT. `rows` are those of INSERT … EXEC.
    pub(crate) fn insert(&mut self, insert: &Insert, rows: Option<Rel>) -> SqlResult<Change> {
        let Insert {
            with,
            top,
            table,
            columns,
            outputs,
            source,
            options,
        } = insert;
        let table = self.target(table, "INSERT")?;
        self.options(options);
        let prefix = self.with_list(with, None)?;
        let rel = match source {
            InsertSource::Defaults => None,
            InsertSource::Exec(_) => rows,
            InsertSource::Query(query) => {
                let query = self.with_defaults(query, &table, columns)?;
                Some(self.source(&query)?)
            }
        };
        let limit = self.changed_limit(top.as_ref())?;
        let mut change = self.insert_rows(table, columns, rel, &limit)?;
        change.sql = format!("{prefix}{}", change.sql);
        if outputs.is_empty() {
            return Ok(change);
        }
        self.require_output(&change.table)?;
        let mut scope = Scope::inside(None);
        let source = pseudo_table(&change.table, "INSERTED", "s", |i, _| format!("x{i}"));
        scope.sources.push(source);
        change.work = (0..change.table.columns.len())
            .map(|i| format!("x{i}"))
            .collect();
        let own: Vec<String> = change
            .table
            .columns
            .iter()
            .map(|c| quote(&c.name))
            .collect();
        change.sql = format!("{} RETURNING {}", change.sql, own.join(","));
        change.returning = true;
        change.outputs = self.returned(outputs, &scope, &format!("{WORK} AS s"))?;
        Ok(change)
    }

    /// The table that a statement fills. Views cannot be filled here.
    pub(super) fn target(&mut self, name: &ObjectName, permission: &str) -> SqlResult<Table> {
        let table = self.table(&QualifiedName::of(name)?, permission)?;
        if table.is_view {
            return Err(SqlError::unsupported(format!("{permission} of a view")));
        }
        Ok(table)
    }

    /// OPTION's part in the plan.
    pub(super) fn options(&mut self, options: &QueryOptions) {
        self.max_recursion = options.max_recursion.unwrap_or(100);
    }

    /// Plans the insertion of a query's rows.
    pub(super) fn insert_rows(
        &mut self,
        table: Table,
        columns: &[Ident],
        rel: Option<Rel>,
        limit: &str,
    ) -> SqlResult<Change> {
        let identity_on =
            self.state.settings.identity_insert.as_deref() == Some(table.sql().as_str());
        let targets = insert_columns(&table, columns, identity_on)?;
        let given = rel.as_ref().map_or(0, |r| r.columns.len());
        if rel.is_some() && given != targets.len() {
            return Err(column_count(given, targets.len(), !columns.is_empty()));
        }
        if identity_on
            && table
                .identity_column()
                .is_some_and(|i| !targets.iter().any(|t| t.name == i.name))
        {
            return Err(SqlError::new(
                545,
                format!(
                    "Explicit value must be specified for identity column in table '{}' either when IDENTITY_INSERT is set to ON or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
                    table.name
                ),
            ));
        }
        let (mut names, mut values) = (Vec::new(), Vec::new());
        let mut explicit = None;
        for (index, column) in targets.iter().enumerate().take(given) {
            let from = rel
                .as_ref()
                .and_then(|r| r.columns.get(index))
                .map(|c| c.ty);
            // A column of NULLs alone has no type of its own.
            let from = from.filter(|_| rel.as_ref().is_some_and(|r| !r.is_all_null(index)));
            let value = Typed::new(format!("s.c{}", index + 1), from.unwrap_or(column.ty));
            names.push(quote(&column.name));
            values.push(self.store(value, &table, column)?);
            if column.identity.is_some() {
                explicit = Some(quote(&column.name));
            }
        }
        let identity = table.identity_column().filter(|_| explicit.is_none());
        for column in &table.columns {
            if names.contains(&quote(&column.name)) {
                continue;
            }
            names.push(quote(&column.name));
            values.push(self.missing(&table, column)?);
        }
        let from = rel.map_or_else(String::new, |r| format!(" FROM ({}) AS s", r.sql));
        // WHERE true keeps SQLite from reading what follows as a conflict clause of a join.
        let sql = format!(
            "INSERT INTO {} ({}) SELECT {}{from} WHERE true{limit}",
            table.sql(),
            names.join(","),
            values.join(",")
        );
        let identity = identity.and_then(|c| c.identity);
        Ok(Change {
            identity,
            explicit_identity: explicit,
            ..Change::new(table, "INSERT", sql)
        })
    }

    fn source(&mut self, query: &Query) -> SqlResult<Rel> {
        let rel = self.top_query(query)?;
        if !rel.assigns.is_empty() {
            return Err(SqlError::new(199, "An INSERT statement cannot contain a SELECT statement that assigns values to a variable.").class(15));
        }
        Ok(rel)
    }

    /// VALUES with each DEFAULT replaced by what the column defaults to.
    fn with_defaults(
        &mut self,
        query: &Query,
        table: &Table,
        columns: &[Ident],
    ) -> SqlResult<Query> {
        let mut query = query.clone();
        let SetExpr::Values(values) = query.body.as_mut() else {
            return Ok(query);
        };
        let identity_on =
            self.state.settings.identity_insert.as_deref() == Some(table.sql().as_str());
        for row in &mut values.rows {
            for (index, cell) in row.content.iter_mut().enumerate() {
                let is_default = matches!(cell, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("DEFAULT"));
                if !is_default {
                    continue;
                }
                let targets = insert_columns(table, columns, identity_on)?;
                let default = targets.get(index).and_then(|c| c.default.as_deref());
                *cell = match default {
                    Some(default) => Expr::Nested(Box::new(parser::expression(default)?)),
                    None => Expr::Value(Lit::Null.into()),
                };
            }
        }
        Ok(query)
    }

    /// What a column gets that INSERT does not name.
    pub(super) fn missing(&mut self, table: &Table, column: &Column) -> SqlResult<String> {
        if column.identity.is_some() {
            return self.store(Typed::new("t_next()", SqlType::BigInt), table, column);
        }
        if column.ty == SqlType::RowVersion {
            return Ok("t_rowversion()".into());
        }
        let Some(default) = &column.default else {
            return Ok("NULL".into());
        };
        let expr = parser::expression(default)?;
        let value = self.default_value(&expr)?;
        self.store(value, table, column)
    }
}

fn insert_columns(table: &Table, names: &[Ident], identity_on: bool) -> SqlResult<Vec<Column>> {
    let stamp = |c: &Column| c.ty == SqlType::RowVersion;
    if names.is_empty() {
        if table.columns.iter().any(stamp) {
            return Err(SqlError::unsupported(
                "INSERT without a column list into a table with a rowversion",
            ));
        }
        let columns: Vec<Column> = table
            .columns
            .iter()
            .filter(|c| c.identity.is_none())
            .cloned()
            .collect();
        return Ok(columns);
    }
    let mut columns: Vec<Column> = Vec::new();
    for name in names {
        let column = table
            .column(&name.value)
            .ok_or_else(|| SqlError::invalid_column(&name.value))?;
        if columns.iter().any(|c| c.name == column.name) {
            return Err(twice(&column.name));
        }
        if stamp(column) {
            return Err(SqlError::new(
                273,
                "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to \
                 exclude the timestamp column, or insert a DEFAULT into the timestamp column.",
            ));
        }
        if column.identity.is_some() && !identity_on {
            return Err(SqlError::new(
                544,
                format!(
                    "Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.",
                    table.name
                ),
            ));
        }
        columns.push(column.clone());
    }
    Ok(columns)
}

pub(super) fn twice(column: &str) -> SqlError {
    SqlError::new(
        264,
        format!(
            "The column name '{column}' is specified more than once in the SET clause or column list of an \
             INSERT. A column cannot be assigned more than one value in the same clause. Modify the clause \
             to make sure that a column is updated only once."
        ),
    )
}

fn column_count(given: usize, wanted: usize, listed: bool) -> SqlError {
    if !listed {
        return SqlError::new(
            213,
            "Column name or number of supplied values does not match table definition.",
        );
    }
    let (number, word) = if given < wanted {
        (120, "fewer")
    } else {
        (121, "more")
    };
    SqlError::new(
        number,
        format!("The select list for the INSERT statement contains {word} items than the insert list. The number of SELECT values must match the number of INSERT columns.")
    )
    .class(15)
}
