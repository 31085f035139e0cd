//! UPDATE and DELETE.

use sqlparser::ast::{Expr, Visit, Visitor};
use std::ops::ControlFlow;

use super::super::catalogue::tables::quote;
use super::super::error::{SqlError, SqlResult};
use super::super::parser::ast::{Delete, Update};
use super::super::types::SqlType;
use super::change::{Assigned, Change, WORK, own_column, pseudo_table};
use super::dml::twice;
use super::place::Place;
use super::scope::SourceColumn;
use super::{Planner, Scope, Source};

/// What UPDATE sets: columns of the table, and all values in the order of the clause.
struct Sets {
    /// A column's SQL name and the number of its value.
    columns: Vec<(String, usize)>,
    values: Vec<String>,
    assigns: Vec<Assigned>,
}

impl Planner<'_> {
    pub(crate) fn update(&mut self, update: &Update) -> SqlResult<Change> {
        let Update {
            with,
            top,
            table,
            sets: _,
            outputs,
            from,
            filter,
            options,
        } = update;
        self.options(options);
        let prefix = self.with_list(with, None)?;
        let place = self.place(table, from, with, "UPDATE")?;
        if !outputs.is_empty() {
            self.require_output(&place.table)?;
        }
        let condition = self.filter(filter.as_ref(), &place.scope)?;
        let limit = self.changed_limit(top.as_ref())?;
        let parts = self.sets(update, &place)?;
        if outputs.is_empty() && parts.assigns.is_empty() {
            let sql = plain_update(&place, &parts, &condition, &limit)?;
            let sql = format!("{prefix}{sql}");
            let rows = gathered(&place, &[], &[], &condition, &limit);
            return Ok(Change {
                counts: Some(format!("{prefix}SELECT count(*) FROM ({rows})")),
                ..Change::new(place.table, "UPDATE", sql)
            });
        }
        let target = place.table.sql();
        let seen = Seen::of(&place);
        let source = gathered(&place, &parts.values, &seen.columns, &condition, &limit);
        let sql = format!(
            "UPDATE {target} AS z SET {} FROM {WORK} AS s WHERE z.{}=s.r",
            set_list(&parts),
            place.rowid()?
        );
        let (mut scope, base) = seen.scope(&place);
        scope.sources.push(base);
        scope
            .sources
            .push(pseudo_table(&place.table, "INSERTED", "z", own_column));
        let rows = format!("{WORK} AS s JOIN {target} AS z ON z.{}=s.r", place.rowid()?);
        let outputs = self.returned(outputs, &scope, &rows)?;
        let sql = match parts.columns.is_empty() {
            true => String::new(),
            false => sql,
        };
        let values = (0..parts.values.len()).map(|i| format!("v{i}"));
        Ok(Change {
            work: std::iter::once("r".to_owned())
                .chain(values)
                .chain(seen.names())
                .collect(),
            gather: Some(format!("{prefix}INSERT INTO {WORK} {source}")),
            outputs,
            sequential: sequential(update),
            counts: Some(format!("SELECT count(*) FROM {WORK}")),
            assigns: parts.assigns,
            ..Change::new(place.table, "UPDATE", sql)
        })
    }

    pub(crate) fn delete(&mut self, delete: &Delete) -> SqlResult<Change> {
        let Delete {
            with,
            top,
            table,
            outputs,
            from,
            filter,
            options,
        } = delete;
        self.options(options);
        let prefix = self.with_list(with, None)?;
        let place = self.place(table, from, with, "DELETE")?;
        if !outputs.is_empty() {
            self.require_output(&place.table)?;
        }
        let condition = self.filter(filter.as_ref(), &place.scope)?;
        let limit = self.changed_limit(top.as_ref())?;
        let (target, alias, rowid) = (place.table.sql(), &place.alias, place.rowid()?);
        if outputs.is_empty() {
            let sql = if place.simple && limit.is_empty() {
                format!("{prefix}DELETE FROM {target} AS {alias}{condition}")
            } else {
                let source = gathered(&place, &[], &[], &condition, &limit);
                format!("{prefix}DELETE FROM {target} AS z WHERE z.{rowid} IN ({source})")
            };
            return Ok(Change::new(place.table, "DELETE", sql));
        }
        let seen = Seen::of(&place);
        let source = gathered(&place, &[], &seen.columns, &condition, &limit);
        let sql = format!("DELETE FROM {target} AS z WHERE z.{rowid} IN (SELECT r FROM {WORK})");
        let (mut scope, base) = seen.scope(&place);
        scope.sources.push(base);
        let outputs = self.returned(outputs, &scope, &format!("{WORK} AS s"))?;
        Ok(Change {
            work: std::iter::once("r".to_owned())
                .chain(seen.names())
                .collect(),
            gather: Some(format!("{prefix}INSERT INTO {WORK} {source}")),
            outputs,
            ..Change::new(place.table, "DELETE", sql)
        })
    }

    fn sets(&mut self, update: &Update, place: &Place) -> SqlResult<Sets> {
        let mut sets = Sets {
            columns: Vec::new(),
            values: Vec::new(),
            assigns: Vec::new(),
        };
        place.scope.clause.set("the set list");
        place.scope.no_aggregates.set(true);
        for set in &update.sets {
            let number = sets.values.len();
            let ty = match &set.column {
                Some(name) => {
                    let column = place.column(&name.value)?;
                    self.require_update(&place.table, &column.name)?;
                    if sets.columns.iter().any(|(n, _)| *n == quote(&column.name)) {
                        return Err(twice(&column.name));
                    }
                    if column.ty == SqlType::RowVersion {
                        return Err(SqlError::new(272, "Cannot update a timestamp column."));
                    }
                    let value = match &set.value {
                        Some(value) => {
                            let value = self.expr(value, &place.scope)?;
                            self.store(value, &place.table, &column)?
                        }
                        None => self.missing(&place.table, &column)?,
                    };
                    sets.columns.push((quote(&column.name), number));
                    sets.values.push(value);
                    column.ty
                }
                None => {
                    let Some(value) = &set.value else { continue };
                    let value = self.expr(value, &place.scope)?;
                    sets.values.push(value.sql);
                    value.ty
                }
            };
            if let Some(variable) = &set.variable {
                sets.assigns.push(Assigned {
                    variable: variable.clone(),
                    column: format!("v{number}"),
                    ty,
                });
            }
        }
        let changed = !sets.columns.is_empty();
        let stamps = place.table.columns.iter();
        for column in stamps.filter(|c| changed && c.ty == SqlType::RowVersion) {
            sets.columns.push((quote(&column.name), sets.values.len()));
            sets.values.push("t_rowversion()".into());
        }
        Ok(sets)
    }

    pub(super) fn filter(&mut self, filter: Option<&Expr>, scope: &Scope<'_>) -> SqlResult<String> {
        let Some(filter) = filter else {
            return Ok(String::new());
        };
        scope.no_aggregates.set(true);
        let sql = self.predicate(filter, scope)?;
        scope.no_aggregates.set(false);
        Ok(format!(" WHERE {sql}"))
    }

    /// TOP of a statement that changes rows, or SET ROWCOUNT if that is less.
    pub(super) fn changed_limit(&mut self, top: Option<&Expr>) -> SqlResult<String> {
        let top = match top {
            Some(top) => Some(self.top_count(top)?),
            None => None,
        };
        let set = self.state.settings.rowcount;
        let limit = match (top, set) {
            (None, 0) => return Ok(String::new()),
            (Some(top), 0) => top,
            (None, set) => set,
            (Some(top), set) => top.min(set),
        };
        Ok(format!(" LIMIT {limit}"))
    }
}

/// Columns of all sources, for OUTPUT, under the names that they have in the work table.
struct Seen {
    /// What to select, and its name.
    columns: Vec<(String, String)>,
    /// Number of the first old column of the target in `columns`.
    old: usize,
    /// Numbers of the first columns of the sources.
    sources: Vec<usize>,
}

impl Seen {
    fn of(place: &Place) -> Self {
        let mut seen = Self {
            columns: Vec::new(),
            old: 0,
            sources: Vec::new(),
        };
        for source in &place.scope.sources {
            seen.sources.push(seen.columns.len());
            for column in &source.columns {
                let name = format!("x{}", seen.columns.len());
                seen.columns.push((source.typed(column).sql, name));
            }
        }
        seen.old = seen.columns.len();
        let alias = if place.is_derived() {
            "o"
        } else {
            &place.alias
        };
        for column in &place.table.columns {
            let name = format!("x{}", seen.columns.len());
            seen.columns
                .push((format!("{alias}.{}", quote(&column.name)), name));
        }
        seen
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.columns.iter().map(|(_, name)| name.clone())
    }

    /// The sources other than the target, and DELETED.
    fn scope(&self, place: &Place) -> (Scope<'static>, Source) {
        let mut scope = Scope::inside(None);
        for (source, first) in place.scope.sources.iter().zip(&self.sources) {
            if source.alias == place.alias {
                continue;
            }
            let columns = source.columns.iter().enumerate();
            scope.sources.push(Source {
                alias: "s".into(),
                columns: columns
                    .map(|(index, column)| SourceColumn {
                        sql: format!("x{}", first + index),
                        ..column.clone()
                    })
                    .collect(),
                ..source.clone()
            });
        }
        let old = self.old;
        let deleted = pseudo_table(&place.table, "DELETED", "s", |index, _| {
            format!("x{}", old + index)
        });
        (scope, deleted)
    }
}

/// The rows that change: row id `r`, new values `v0` and so on, and what OUTPUT may show.
fn gathered(
    place: &Place,
    values: &[String],
    seen: &[(String, String)],
    condition: &str,
    limit: &str,
) -> String {
    let mut items = vec![format!("{} AS r", place.key)];
    items.extend(
        values
            .iter()
            .enumerate()
            .map(|(i, v)| format!("{v} AS v{i}")),
    );
    items.extend(seen.iter().map(|(sql, name)| format!("{sql} AS {name}")));
    let mut from = place.from.clone();
    if place.is_derived() && !seen.is_empty() {
        let rowid = place.rowid().unwrap_or("rowid");
        from = format!(
            "{from} JOIN {} AS o ON o.{rowid}={}",
            place.table.sql(),
            place.key
        );
    }
    // A row that several others match changes once, and a row that an outer join made up not at all.
    let once = if place.simple {
        String::new()
    } else {
        format!(" GROUP BY {}", place.key)
    };
    let there = if place.simple {
        condition.to_owned()
    } else if condition.is_empty() {
        format!(" WHERE {} IS NOT NULL", place.key)
    } else {
        format!("{condition} AND {} IS NOT NULL", place.key)
    };
    format!("SELECT {} FROM {from}{there}{once}{limit}", items.join(","))
}

fn set_list(sets: &Sets) -> String {
    let list: Vec<String> = sets
        .columns
        .iter()
        .map(|(name, index)| format!("{name}=s.v{index}"))
        .collect();
    list.join(",")
}

/// Whether a value depends on a variable that the same statement assigns.
fn sequential(update: &Update) -> bool {
    let assigned: Vec<&String> = update
        .sets
        .iter()
        .filter_map(|s| s.variable.as_ref())
        .collect();
    let values = update.sets.iter().filter_map(|s| s.value.as_ref());
    values.chain(&update.filter).any(|value| {
        names(value, |name| {
            assigned.iter().any(|a| a.eq_ignore_ascii_case(name))
        })
    })
}

pub(super) fn names(expr: &Expr, test: impl Fn(&str) -> bool) -> bool {
    struct Search<F>(F);
    impl<F: Fn(&str) -> bool> Visitor for Search<F> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let found = match expr {
                Expr::Identifier(ident) => (self.0)(&ident.value),
                Expr::CompoundIdentifier(_) => (self.0)(""),
                _ => false,
            };
            if found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    expr.visit(&mut Search(test)).is_break()
}

/// An UPDATE that gives nothing back: one statement of SQLite's.
fn plain_update(place: &Place, parts: &Sets, condition: &str, limit: &str) -> SqlResult<String> {
    let (target, alias) = (place.table.sql(), &place.alias);
    if place.simple && limit.is_empty() {
        let list: Vec<String> = parts
            .columns
            .iter()
            .filter_map(|(n, i)| parts.values.get(*i).map(|v| format!("{n}={v}")))
            .collect();
        let list = list.join(",");
        return Ok(format!("UPDATE {target} AS {alias} SET {list}{condition}"));
    }
    let source = gathered(place, &parts.values, &[], condition, limit);
    Ok(format!(
        "UPDATE {target} AS z SET {} FROM ({source}) AS s WHERE z.{}=s.r",
        set_list(parts),
        place.rowid()?
    ))
}
