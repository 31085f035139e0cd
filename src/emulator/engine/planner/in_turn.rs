//! `SELECT @x = @x + column`: each row sees what the row before it left.

use sqlparser::ast::{Distinct, Expr, Select, SelectItem};

use super::super::error::{SqlError, SqlResult};
use super::order::{Rows, own_order};
use super::query::Around;
use super::rel::Rel;
use super::scope::SourceColumn;
use super::select::{Item, is_aggregated};
use super::update::names;
use super::{Output, Planner, Scope, Source, Typed};

/// Assignments of a select list: a variable and its value.
pub(super) type Slots<'s> = Vec<(&'s str, &'s Expr)>;

impl Planner<'_> {
    /// The assignments of a SELECT, if one of them reads what one of them assigns.
    pub(super) fn sequential<'s>(&self, select: &'s Select) -> SqlResult<Option<Slots<'s>>> {
        let mut slots: Slots<'s> = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { expr, alias }
                    if alias.quote_style.is_none() && alias.value.starts_with('@') =>
                {
                    slots.push((&alias.value, expr));
                }
                _ => return Ok(None),
            }
        }
        let reads = slots.iter().any(|(_, expr)| {
            names(expr, |name| {
                slots.iter().any(|(v, _)| v.eq_ignore_ascii_case(name))
            })
        });
        if !reads {
            return Ok(None);
        }
        let grouped = super::audit::group_list(&select.group_by)?.0;
        if !grouped.is_empty() {
            return Err(SqlError::unsupported(
                "SELECT @variable of groups that reads the variable",
            ));
        }
        // One row is no sequence, unless one assignment reads another.
        if is_aggregated(select) {
            let own_only = slots.iter().all(|(own, expr)| {
                !names(expr, |name| {
                    slots.iter().any(|(v, _)| v.eq_ignore_ascii_case(name))
                        && !own.eq_ignore_ascii_case(name)
                })
            });
            return if own_only {
                Ok(None)
            } else {
                Err(SqlError::unsupported(
                    "SELECT @variable of aggregates that reads another variable of it",
                ))
            };
        }
        Ok(Some(slots))
    }

    /// Plans such a SELECT: the rows in order, and over them the assignments one by one.
    pub(super) fn select_in_turn(
        &mut self,
        select: &Select,
        scope: &Scope<'_>,
        from: &str,
        slots: &Slots<'_>,
        around: Around<'_>,
    ) -> SqlResult<Rel> {
        if matches!(select.distinct, Some(Distinct::Distinct)) {
            return Err(SqlError::unsupported(
                "SELECT DISTINCT @variable that reads the variable",
            ));
        }
        let keys = self.keys(around.order, &[] as &[Item], &[], scope, false)?;
        let Rows::Limit(limit) = self.wanted_rows(select, around)? else {
            return Err(SqlError::unsupported(
                "SELECT TOP PERCENT or WITH TIES @variable that reads the variable",
            ));
        };
        let alias = self.fresh("q");
        let (over, list) = renamed(scope, &alias);
        let order = own_order(&keys)?;
        let (most, skip) = limit.unwrap_or((-1, 0));
        // LIMIT keeps SQLite from melting the two queries into one.
        let rows = format!(
            "SELECT {}{from}{order} LIMIT {most} OFFSET {skip}",
            list.join(",")
        );
        let mut columns = Vec::new();
        let mut items = Vec::new();
        for (name, _) in slots {
            let slots = self.slots.len();
            self.slots.entry(name.to_lowercase()).or_insert(slots);
        }
        for (index, (name, expr)) in slots.iter().enumerate() {
            let ty = self
                .variables
                .get(&name.to_lowercase())
                .map(|v| v.ty)
                .ok_or_else(|| SqlError::undeclared(name))?;
            let value = self.expr(expr, &over)?;
            let value = self.coerce(value, ty)?;
            let slot = self.slots.get(&name.to_lowercase()).copied().unwrap_or(0);
            items.push(format!("t_set({slot},{}) AS c{}", value.sql, index + 1));
            columns.push(Output {
                name: String::new(),
                ty,
                nullable: true,
                identity: false,
                all_null: false,
            });
        }
        Ok(Rel {
            sql: format!("SELECT {} FROM ({rows}) AS {alias}", items.join(",")),
            columns,
            assigns: slots.iter().map(|(name, _)| (*name).to_owned()).collect(),
        })
    }

    /// A variable that the running SELECT assigns.
    pub(super) fn slot(&self, name: &str) -> Option<Typed> {
        let slot = self.slots.get(&name.to_lowercase())?;
        let ty = self.variables.get(&name.to_lowercase())?.ty;
        Some(Typed::new(format!("t_get({slot})"), ty))
    }
}

/// All columns in sight under names of their own, and the sources that show them so.
fn renamed<'s>(scope: &Scope<'s>, alias: &str) -> (Scope<'s>, Vec<String>) {
    let mut over = Scope::inside(scope.parent);
    over.clause.set("the SELECT of variables");
    let mut list = vec!["1".to_owned()];
    for source in &scope.sources {
        let mut columns = Vec::new();
        for column in &source.columns {
            let name = format!("x{}", list.len());
            list.push(format!("{} AS {name}", source.typed(column).sql));
            columns.push(SourceColumn {
                sql: name,
                ..column.clone()
            });
        }
        over.sources.push(Source {
            alias: alias.to_owned(),
            columns,
            ..source.clone()
        });
    }
    (over, list)
}
