//! FROM: tables, joins, derived tables, views, catalogue views and table functions.

use sqlparser::ast::{
    JoinConstraint, JoinOperator, ObjectName, SetExpr, TableAlias, TableFactor, TableWithJoins,
};

use super::super::catalogue::tables::{QualifiedName, Table, quote, same_name};
use super::super::catalogue::{schema, views};
use super::super::error::{SqlError, SqlResult};
use super::super::parser;
use super::super::types::SqlType;
use super::guard::Guard;
use super::rel::Rel;
use super::scope::SourceColumn;
use super::{Output, Planner, Scope, Source, audit};

impl Planner<'_> {
    /// Plans a FROM list; its sources come into the scope.
    pub(crate) fn from(
        &mut self,
        list: &[TableWithJoins],
        scope: &mut Scope<'_>,
    ) -> SqlResult<String> {
        let mut parts = Vec::new();
        for item in list {
            let joined = self.joined(item, scope)?;
            // T-SQL's comma binds weaker than JOIN, SQLite's does not.
            parts.push(if list.len() > 1 && !item.joins.is_empty() {
                format!("({joined})")
            } else {
                joined
            });
        }
        Ok(parts.join(" CROSS JOIN "))
    }

    fn joined(&mut self, item: &TableWithJoins, scope: &mut Scope<'_>) -> SqlResult<String> {
        let mut sql = self.factor(&item.relation, scope)?;
        let mut applied = false;
        for join in &item.joins {
            audit::check_join(join)?;
            if let Some(applied) = self.applied(join, scope)? {
                sql.push_str(&applied);
                continue;
            }
            let (word, constraint) = match &join.join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) => ("JOIN", c),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => ("LEFT JOIN", c),
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => ("RIGHT JOIN", c),
                JoinOperator::FullOuter(c) => ("FULL JOIN", c),
                JoinOperator::CrossJoin(c) => ("CROSS JOIN", c),
                JoinOperator::CrossApply | JoinOperator::OuterApply => {
                    let outer = matches!(join.join_operator, JoinOperator::OuterApply);
                    let right = self.apply(&join.relation, outer, scope)?;
                    applied = true;
                    let word = if outer { "LEFT JOIN" } else { "JOIN" };
                    sql = format!("{sql} {word} {right}");
                    continue;
                }
                _ => return Err(SqlError::unsupported("this kind of JOIN")),
            };
            if applied && matches!(word, "RIGHT JOIN" | "FULL JOIN") {
                return Err(SqlError::unsupported("RIGHT or FULL JOIN after APPLY"));
            }
            let before = scope.sources.len();
            let right = self.factor(&join.relation, scope)?;
            mark_nullable(scope, word, before);
            let on = match constraint {
                JoinConstraint::On(condition) => {
                    scope.no_aggregates.set(true);
                    let condition = self.predicate(condition, scope)?;
                    scope.no_aggregates.set(false);
                    format!(" ON {condition}")
                }
                JoinConstraint::None if word == "CROSS JOIN" => String::new(),
                JoinConstraint::None => return Err(SqlError::syntax_near("JOIN")),
                _ => return Err(SqlError::syntax_near("USING")),
            };
            sql = format!("{sql} {word} {right}{on}");
        }
        Ok(sql)
    }

    fn factor(&mut self, factor: &TableFactor, scope: &mut Scope<'_>) -> SqlResult<String> {
        if let Some(sql) = self.unfolded(factor, false, scope)? {
            return Ok(sql);
        }
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if partitions.is_empty() && index_hints.is_empty() => {
                self.hints(with_hints, is_catalogue(name))?;
                self.named(name, alias.as_ref(), scope)
            }
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                sample: None,
            } => {
                let Some(alias) = alias else {
                    return Err(SqlError::syntax_near(")"));
                };
                let rel = match subquery.body.as_ref() {
                    SetExpr::Values(values)
                        if subquery.with.is_none() && subquery.order_by.is_none() =>
                    {
                        self.values(values, &Scope::inside(scope.parent))?
                    }
                    _ => self.subquery(subquery, scope.parent)?,
                };
                self.derived(rel, alias, scope)
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => Ok(format!("({})", self.joined(table_with_joins, scope)?)),
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => {
                Err(SqlError::unsupported("PIVOT"))
            }
            other => Err(SqlError::unsupported(
                other.to_string().chars().take(60).collect::<String>(),
            )),
        }
    }

    fn named(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        scope: &mut Scope<'_>,
    ) -> SqlResult<String> {
        let name = QualifiedName::of(name)?;
        if let Some(alias) = alias {
            audit::check_alias(alias)?;
        }
        let exposed = alias.map_or_else(|| name.name.clone(), |a| a.name.value.clone());
        if let Some(alias) = alias
            && !alias.columns.is_empty()
        {
            return Err(SqlError::syntax_near("("));
        }
        if let Some(cte) = self
            .ctes
            .iter()
            .rev()
            .find(|c| name.schema.is_none() && same_name(&c.name, &name.name))
        {
            let (sql, columns) = (cte.sql.clone(), cte.columns.clone());
            return self.add(exposed, None, sql, numbered(&columns), scope);
        }
        if let Some(view) = views::find(name.schema.as_deref(), &name.name) {
            let alias = self.catalogue_of(&name)?;
            let sql = format!("({})", view.sql(self.state, self.now, &alias)?);
            return self.add(
                exposed,
                Some(view.schema.to_owned()),
                sql,
                view.columns(),
                scope,
            );
        }
        let table = self.find_table(&name)?;
        let guard = self.readable(&table)?;
        let schema = alias.is_none().then(|| table.schema.clone());
        if table.is_view {
            let rel = self.view(&table)?;
            let columns = named_columns(&table, &rel)?;
            let sql = self.add(exposed, schema, format!("({})", rel.sql), columns, scope)?;
            guarded(scope, guard);
            return Ok(sql);
        }
        let sql = self.add(exposed, schema, table.sql(), table_columns(&table), scope)?;
        guarded(scope, guard);
        Ok(sql)
    }

    /// The database whose catalogue a name asks for: the current one, or tempdb.
    fn catalogue_of(&self, name: &QualifiedName) -> SqlResult<String> {
        let state = self.state;
        match &name.database {
            Some(database) if same_name(database, "tempdb") => {
                schema::create_temp(&state.conn)?;
                Ok("temp".into())
            }
            Some(database) if !same_name(database, &state.database.name) => {
                Err(SqlError::other_database(name.shown()))
            }
            _ => Ok(state.database.alias()),
        }
    }

    /// Plans a view's query; its columns are called c1, c2 and so on.
    fn view(&mut self, table: &Table) -> SqlResult<Rel> {
        let definition = table.definition.clone().unwrap_or_default();
        let query = parser::query(&definition)?;
        self.inside_view(table, |planner| planner.subquery(&query, None))
    }

    fn derived(
        &mut self,
        rel: Rel,
        alias: &TableAlias,
        scope: &mut Scope<'_>,
    ) -> SqlResult<String> {
        let mut columns = numbered(&rel.columns);
        rename(&mut columns, alias)?;
        self.add(
            alias.name.value.clone(),
            None,
            format!("({})", rel.sql),
            columns,
            scope,
        )
    }

    pub(super) fn add(
        &mut self,
        exposed: String,
        schema: Option<String>,
        sql: String,
        columns: Vec<SourceColumn>,
        scope: &mut Scope<'_>,
    ) -> SqlResult<String> {
        let twice = scope
            .sources
            .iter()
            .any(|s| same_name(&s.exposed, &exposed) && s.schema == schema);
        if twice {
            return Err(SqlError::new(
                1011,
                format!(
                    "The correlation name '{exposed}' is specified multiple times in a FROM clause."
                ),
            )
            .class(15));
        }
        let alias = self.fresh("t");
        let text = format!("{sql} AS {alias}");
        scope.sources.push(Source {
            exposed,
            schema,
            alias,
            columns,
            guard: None,
        });
        Ok(text)
    }
}

/// The outer side of a join may be NULL.
fn mark_nullable(scope: &mut Scope<'_>, join: &str, before: usize) {
    let sides: &[bool] = match join {
        "LEFT JOIN" => &[false, true],
        "RIGHT JOIN" => &[true, false],
        "FULL JOIN" => &[true, true],
        _ => return,
    };
    for (index, source) in scope.sources.iter_mut().enumerate() {
        if sides.get(usize::from(index >= before)) == Some(&true) {
            for column in &mut source.columns {
                column.nullable = true;
            }
        }
    }
}

fn guarded(scope: &mut Scope<'_>, guard: Option<std::rc::Rc<Guard>>) {
    if let Some(source) = scope.sources.last_mut() {
        source.guard = guard;
    }
}

/// Columns of a planned query, c1, c2 and so on.
pub(super) fn numbered(columns: &[Output]) -> Vec<SourceColumn> {
    columns
        .iter()
        .enumerate()
        .map(|(index, column)| SourceColumn {
            name: column.name.clone(),
            sql: format!("c{}", index + 1),
            ty: column.ty,
            nullable: column.nullable,
            identity: column.identity,
        })
        .collect()
}

pub(crate) fn table_columns(table: &Table) -> Vec<SourceColumn> {
    table
        .columns
        .iter()
        .map(|column| SourceColumn {
            name: column.name.clone(),
            sql: quote(&column.name),
            ty: column.ty,
            nullable: column.nullable,
            identity: column.identity.is_some(),
        })
        .collect()
}

/// A view's columns as they were called when it was made.
fn named_columns(table: &Table, rel: &Rel) -> SqlResult<Vec<SourceColumn>> {
    let mut columns = numbered(&rel.columns);
    // A `*` of the view may have got more columns since: the first ones are the view's.
    columns.truncate(table.columns.len());
    if columns.len() != table.columns.len() {
        return Err(SqlError::new(
            4502,
            format!(
                "View or function '{}' has more column names specified than columns defined.",
                table.shown()
            ),
        ));
    }
    for (column, known) in columns.iter_mut().zip(&table.columns) {
        column.name.clone_from(&known.name);
    }
    Ok(columns)
}

/// 8156: a derived table's columns need names of their own.
pub(super) fn distinct_names<'n>(
    names: impl Iterator<Item = &'n str>,
    exposed: &str,
) -> SqlResult<()> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names.filter(|n| !n.is_empty()) {
        if seen.iter().any(|s| same_name(s, name)) {
            return Err(SqlError::new(
                8156,
                format!("The column '{name}' was specified multiple times for '{exposed}'."),
            ));
        }
        seen.push(name);
    }
    Ok(())
}

pub(super) fn rename(columns: &mut [SourceColumn], alias: &TableAlias) -> SqlResult<()> {
    audit::check_alias(alias)?;
    let exposed = &alias.name.value;
    if alias.columns.is_empty() {
        distinct_names(columns.iter().map(|c| c.name.as_str()), exposed)?;
        return match columns.iter().position(|c| c.name.is_empty()) {
            None => Ok(()),
            Some(index) => Err(SqlError::new(
                8155,
                format!(
                    "No column name was specified for column {} of '{exposed}'.",
                    index + 1
                ),
            )
            .state(2)),
        };
    }
    if alias.columns.len() != columns.len() {
        let (number, word) = if alias.columns.len() > columns.len() {
            (8159, "fewer")
        } else {
            (8158, "more")
        };
        return Err(SqlError::new(
            number,
            format!("'{exposed}' has {word} columns than were specified in the column list."),
        ));
    }
    for (column, name) in columns.iter_mut().zip(&alias.columns) {
        column.name.clone_from(&name.name.value);
    }
    Ok(())
}

/// Whether a name is that of a catalogue view.
fn is_catalogue(name: &ObjectName) -> bool {
    QualifiedName::of(name)
        .is_ok_and(|name| views::find(name.schema.as_deref(), &name.name).is_some())
}

/// The type of a column that has only NULLs.
pub(super) fn or_int(ty: Option<SqlType>) -> SqlType {
    ty.unwrap_or(SqlType::NULL)
}
