//! INSERT, UPDATE and DELETE.

use sqlparser::ast::{Ident, TableFactor, TableWithJoins};

use super::super::catalogue::tables::{Column, QualifiedName, Table, quote, same_name};
use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::parser::ast::{
    Delete, Insert, Output as OutputClause, Source as InsertSource, Update,
};
use super::from::table_columns;
use super::query::Rel;
use super::{Output, Planner, Scope, Source, Typed};

/// A statement that changes rows.
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) sql: String,
    /// Columns of OUTPUT; none without it.
    pub(crate) output: Vec<Output>,
    /// INSERT: identity values are made by the engine.
    pub(crate) identity: Option<(i64, i64)>,
    /// INSERT: identity values are given; the column's SQL name.
    pub(crate) explicit_identity: Option<String>,
}

impl Planner<'_> {
    pub(crate) fn insert(&mut self, insert: &Insert) -> SqlResult<Change> {
        let table = self.target(&insert.table, "INSERT")?;
        self.max_recursion = insert.options.max_recursion.unwrap_or(100);
        let prefix = self.with_list(&insert.with, None)?;
        let identity_on =
            self.state.settings.identity_insert.as_deref() == Some(table.sql().as_str());
        let targets = insert_columns(&table, &insert.columns, identity_on)?;
        let rel = match &insert.source {
            InsertSource::Defaults => None,
            InsertSource::Query(query) => Some(self.source(query)?),
        };
        let given = rel.as_ref().map_or(0, |r| r.columns.len());
        if rel.is_some() && given != targets.len() {
            return Err(column_count(
                given,
                targets.len(),
                !insert.columns.is_empty(),
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
        let (returning, output) = self.returning(&table, insert.output.as_ref(), "INSERTED")?;
        Ok(Change {
            // WHERE true keeps SQLite from reading what follows as a conflict clause of a join.
            sql: format!(
                "{prefix}INSERT INTO {} ({}) SELECT {}{from} WHERE true{returning}",
                table.sql(),
                names.join(","),
                values.join(",")
            ),
            output,
            identity: identity.and_then(|c| c.identity),
            explicit_identity: explicit,
            table,
        })
    }

    fn source(&mut self, query: &sqlparser::ast::Query) -> SqlResult<Rel> {
        let rel = self.subquery(query, None)?;
        if !rel.assigns.is_empty() {
            return Err(SqlError::new(199, "An INSERT statement cannot contain a SELECT statement that assigns values to a variable.").class(15));
        }
        Ok(rel)
    }

    /// What a column gets that INSERT does not name.
    pub(super) fn missing(&mut self, table: &Table, column: &Column) -> SqlResult<String> {
        if column.identity.is_some() {
            return self.store(
                Typed::new("t_next()", super::SqlType::BigInt),
                table,
                column,
            );
        }
        let Some(default) = &column.default else {
            return Ok("NULL".into());
        };
        let expr = parser::expression(default)?;
        let value = self.expr(&expr, &Scope::inside(None))?;
        self.store(value, table, column)
    }

    pub(crate) fn update(&mut self, update: &Update) -> SqlResult<Change> {
        no_variables(update)?;
        let prefix = self.with_list(&update.with, None)?;
        let mut place = self.place(&update.table, &update.from, "UPDATE")?;
        let table = place.table.clone();
        let filter = self.filter(update.filter.as_ref(), &place.scope)?;
        let mut sets: Vec<(String, String)> = Vec::new();
        for set in &update.sets {
            let Some(name) = &set.column else { continue };
            let column = updatable(&table, &name.value)?;
            if sets.iter().any(|(n, _)| *n == quote(&column.name)) {
                return Err(twice(&column.name));
            }
            let value = self.expr(&set.value, &place.scope)?;
            sets.push((quote(&column.name), self.store(value, &table, &column)?));
        }
        let (returning, output) = self.returning(&table, update.output.as_ref(), "INSERTED")?;
        let limit = match &update.top {
            Some(top) => format!(" LIMIT {}", self.top_count(top)?),
            None => String::new(),
        };
        let rowid = place.rowid()?;
        let target = place.alias.clone();
        let sql = if place.simple && limit.is_empty() {
            let list: Vec<String> = sets.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!(
                "{prefix}UPDATE {} AS {target} SET {}{filter}{returning}",
                table.sql(),
                list.join(",")
            )
        } else {
            let values: Vec<String> = sets
                .iter()
                .enumerate()
                .map(|(i, (_, v))| format!("{v} AS v{i}"))
                .collect();
            let list: Vec<String> = sets
                .iter()
                .enumerate()
                .map(|(i, (n, _))| format!("{n}=s.v{i}"))
                .collect();
            format!(
                "{prefix}UPDATE {} AS z SET {} FROM (SELECT {target}.{rowid} AS r,{} FROM {}{filter}{limit}) AS s \
                 WHERE z.{rowid}=s.r{returning}",
                table.sql(),
                list.join(","),
                values.join(","),
                std::mem::take(&mut place.from)
            )
        };
        Ok(Change::new(table, sql, output))
    }

    pub(crate) fn delete(&mut self, delete: &Delete) -> SqlResult<Change> {
        let prefix = self.with_list(&delete.with, None)?;
        let place = self.place(&delete.table, &delete.from, "DELETE")?;
        let table = place.table.clone();
        let filter = self.filter(delete.filter.as_ref(), &place.scope)?;
        let (returning, output) = self.returning(&table, delete.output.as_ref(), "DELETED")?;
        let limit = match &delete.top {
            Some(top) => format!(" LIMIT {}", self.top_count(top)?),
            None => String::new(),
        };
        let (rowid, target) = (place.rowid()?, &place.alias);
        let sql = if place.simple && limit.is_empty() {
            format!(
                "{prefix}DELETE FROM {} AS {target}{filter}{returning}",
                table.sql()
            )
        } else {
            format!(
                "{prefix}DELETE FROM {} AS z WHERE z.{rowid} IN (SELECT {target}.{rowid} FROM {}{filter}{limit}){returning}",
                table.sql(),
                place.from
            )
        };
        Ok(Change::new(table, sql, output))
    }

    fn filter(
        &mut self,
        filter: Option<&sqlparser::ast::Expr>,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        let Some(filter) = filter else {
            return Ok(String::new());
        };
        scope.no_aggregates.set(true);
        let sql = self.predicate(filter, scope)?;
        scope.no_aggregates.set(false);
        Ok(format!(" WHERE {sql}"))
    }

    /// The table that a statement changes. Views cannot be changed here.
    pub(super) fn target(
        &mut self,
        name: &sqlparser::ast::ObjectName,
        permission: &str,
    ) -> SqlResult<Table> {
        let table = self.table(&QualifiedName::of(name)?, permission)?;
        if table.is_view {
            return Err(SqlError::unsupported(format!("{permission} of a view")));
        }
        Ok(table)
    }

    /// The table to change, and the sources that the statement may read.
    fn place(
        &mut self,
        name: &sqlparser::ast::ObjectName,
        from: &[TableWithJoins],
        permission: &str,
    ) -> SqlResult<Place> {
        let mut scope = Scope::inside(None);
        if from.is_empty() {
            let table = self.target(name, permission)?;
            let alias = self.fresh("t");
            scope.sources.push(Source {
                exposed: table.name.clone(),
                schema: Some(table.schema.clone()),
                alias: alias.clone(),
                columns: table_columns(&table),
            });
            let from = format!("{} AS {alias}", table.sql());
            return Ok(Place {
                table,
                alias,
                from,
                scope,
                simple: true,
            });
        }
        let wanted = QualifiedName::of(name)?;
        let aliased = aliased_table(from, &wanted.name);
        let table = self.target(aliased.unwrap_or(name), permission)?;
        let from = self.from(from, &mut scope)?;
        let alias = scope
            .sources
            .iter()
            .find(|s| same_name(&s.exposed, &wanted.name))
            .map(|s| s.alias.clone())
            .ok_or_else(|| SqlError::unsupported("FROM without the table that changes"))?;
        Ok(Place {
            table,
            alias,
            from,
            scope,
            simple: false,
        })
    }

    /// OUTPUT as RETURNING. `which` is the only pseudo-table that SQLite can show.
    fn returning(
        &mut self,
        table: &Table,
        clause: Option<&OutputClause>,
        which: &str,
    ) -> SqlResult<(String, Vec<Output>)> {
        let Some(clause) = clause else {
            return Ok((String::new(), Vec::new()));
        };
        if clause.into.is_some() {
            return Err(SqlError::unsupported("OUTPUT … INTO"));
        }
        self.require(table, "SELECT")?;
        let mut scope = Scope::inside(None);
        scope.sources.push(Source {
            exposed: which.to_owned(),
            schema: None,
            alias: String::new(),
            columns: table_columns(table),
        });
        let (items, outputs) = self.output_items(&clause.items, &scope).map_err(|error| {
            if matches!(error.number, 4104 | 107) && which == "INSERTED" {
                return SqlError::unsupported("OUTPUT of DELETED in this statement");
            }
            error
        })?;
        Ok((format!(" RETURNING {}", items.join(",")), outputs))
    }
}

/// The place that UPDATE or DELETE changes.
struct Place {
    table: Table,
    /// Its alias in the FROM list.
    alias: String,
    from: String,
    scope: Scope<'static>,
    simple: bool,
}

impl Place {
    /// A name of SQLite's row id that no column of the table has.
    fn rowid(&self) -> SqlResult<&'static str> {
        ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|name| self.table.column(name).is_none())
            .ok_or_else(|| SqlError::unsupported("a table with columns rowid, _rowid_ and oid"))
    }
}

impl Change {
    pub(super) fn new(table: Table, sql: String, output: Vec<Output>) -> Self {
        Self {
            table,
            sql,
            output,
            identity: None,
            explicit_identity: None,
        }
    }
}

/// The table behind an alias of the FROM list.
fn aliased_table<'f>(
    from: &'f [TableWithJoins],
    wanted: &str,
) -> Option<&'f sqlparser::ast::ObjectName> {
    from.iter()
        .flat_map(|item| {
            std::iter::once(&item.relation).chain(item.joins.iter().map(|j| &j.relation))
        })
        .find_map(|factor| match factor {
            TableFactor::Table {
                name,
                alias: Some(alias),
                ..
            } if same_name(&alias.name.value, wanted) => Some(name),
            _ => None,
        })
}

fn insert_columns(table: &Table, names: &[Ident], identity_on: bool) -> SqlResult<Vec<Column>> {
    if names.is_empty() {
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

fn no_variables(update: &Update) -> SqlResult<()> {
    if update.sets.iter().any(|s| s.variable.is_some()) {
        return Err(SqlError::unsupported("UPDATE … SET @variable"));
    }
    Ok(())
}

fn updatable(table: &Table, name: &str) -> SqlResult<Column> {
    let column = table
        .column(name)
        .ok_or_else(|| SqlError::invalid_column(name))?;
    if column.identity.is_some() {
        return Err(SqlError::new(
            8102,
            format!("Cannot update identity column '{}'.", column.name),
        ));
    }
    Ok(column.clone())
}
