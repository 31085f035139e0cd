//! GROUP BY with ROLLUP, CUBE and GROUPING SETS: one SELECT for each set of groups.

use sqlparser::ast::{Distinct, Expr, GroupByWithModifier, Select};

use super::super::error::{SqlError, SqlResult};
use super::super::types::SqlType;
use super::order::{around, extra_columns};
use super::query::Around;
use super::rel::Rel;
use super::scope::Groups;
use super::select::Item;
use super::{Output, Planner, Scope, Typed};

/// Most grouping sets of a query.
const MAX_SETS: usize = 128;

/// The sets that a GROUP BY list stands for, each with the expressions that it groups by; none if
/// the list is a plain one.
pub(super) fn sets(
    list: &[Expr],
    modifier: Option<&GroupByWithModifier>,
) -> SqlResult<Option<Vec<Vec<Expr>>>> {
    let special = |e: &Expr| matches!(e, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    if modifier.is_none() && !list.iter().any(special) {
        return Ok(None);
    }
    if let Some(modifier) = modifier {
        if list.iter().any(special) {
            return Err(SqlError::keyword_near("WITH"));
        }
        let parts: Vec<Vec<Expr>> = list.iter().map(|e| vec![e.clone()]).collect();
        return match modifier {
            GroupByWithModifier::Rollup => rollup(&parts),
            _ => cube(&parts),
        }
        .map(Some);
    }
    let mut all: Vec<Vec<Expr>> = vec![Vec::new()];
    for item in list {
        let own = match item {
            Expr::Rollup(parts) => rollup(parts)?,
            Expr::Cube(parts) => cube(parts)?,
            Expr::GroupingSets(sets) => sets.clone(),
            plain => vec![vec![plain.clone()]],
        };
        let mut next = Vec::new();
        for begun in &all {
            for more in &own {
                let mut set = begun.clone();
                set.extend(more.iter().cloned());
                next.push(set);
            }
        }
        if next.len() > MAX_SETS {
            return Err(too_many());
        }
        all = next;
    }
    Ok(Some(all))
}

fn rollup(parts: &[Vec<Expr>]) -> SqlResult<Vec<Vec<Expr>>> {
    Ok((0..=parts.len())
        .rev()
        .map(|n| parts.iter().take(n).flatten().cloned().collect())
        .collect())
}

fn cube(parts: &[Vec<Expr>]) -> SqlResult<Vec<Vec<Expr>>> {
    if parts.len() > 7 {
        return Err(too_many());
    }
    let masks = 0..1usize << parts.len();
    Ok(masks
        .rev()
        .map(|mask| {
            let chosen = parts.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1);
            chosen.flat_map(|(_, part)| part).cloned().collect()
        })
        .collect())
}

fn too_many() -> SqlError {
    SqlError::unsupported(format!("GROUP BY with more than {MAX_SETS} grouping sets"))
}

impl Planner<'_> {
    /// Plans a SELECT with several grouping sets.
    pub(super) fn select_sets(
        &mut self,
        select: &Select,
        scope: &Scope<'_>,
        from: &str,
        sets: &[Vec<Expr>],
        wanted: Around<'_>,
    ) -> SqlResult<Rel> {
        if matches!(select.distinct, Some(Distinct::Distinct)) || wanted.extra.is_some() {
            return Err(SqlError::unsupported("DISTINCT with grouping sets"));
        }
        let mut all: Vec<Expr> = Vec::new();
        for expr in sets.iter().flatten() {
            if !all.contains(expr) {
                all.push(expr.clone());
            }
        }
        let (mut parts, mut first) = (Vec::new(), None);
        for set in sets {
            let mut own = Scope::inside(scope.parent);
            own.sources.clone_from(&scope.sources);
            own.windows.clone_from(&scope.windows);
            let group = self.group_terms(&all, set, &mut own)?;
            own.clause.set("the select list");
            let items = self.items(&select.projection, &own)?;
            super::select::assigned(&items)?
                .is_empty()
                .then_some(())
                .ok_or_else(|| SqlError::unsupported("SELECT @variable with grouping sets"))?;
            let having = self.having(select, &own)?;
            let outputs: Vec<Output> = items.iter().map(Item::output).collect();
            let keys = self.keys(wanted.order, &items, &outputs, &own, false)?;
            let (list, columns) = self.list(items, outputs, wanted, false)?;
            let extra = extra_columns(&keys);
            // SQL Server's grand total of nothing is not known here for certain.
            let having = if set.is_empty() && all.is_empty() {
                having
            } else if set.is_empty() && having.is_empty() {
                " HAVING t_some(count(*))".to_owned()
            } else if set.is_empty() {
                having.replacen(" HAVING ", " HAVING t_some(count(*)) AND ", 1)
            } else {
                having
            };
            parts.push(format!("SELECT {list}{extra}{from}{group}{having}"));
            first.get_or_insert((columns, keys));
        }
        let (columns, keys) = first.ok_or_else(|| SqlError::syntax_near(")"))?;
        let rows = self.wanted_rows(select, wanted)?;
        let names = super::query::column_list(columns.len());
        Ok(Rel {
            sql: around(&parts.join(" UNION ALL "), &names, &keys, rows)?,
            columns,
            assigns: Vec::new(),
        })
    }

    fn group_terms(
        &mut self,
        all: &[Expr],
        set: &[Expr],
        scope: &mut Scope<'_>,
    ) -> SqlResult<String> {
        let mut groups = Groups::default();
        let mut terms = Vec::new();
        for expr in all {
            let value = self.group_key(expr, scope)?;
            let plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            if set.contains(expr) {
                if plain {
                    groups.columns.push(value.sql.clone());
                }
                groups.exprs.push(expr.clone());
                terms.push(value.collated());
            } else {
                if plain {
                    groups.rolled_columns.push(value.sql.clone());
                }
                groups.rolled.push((expr.clone(), value.ty));
            }
        }
        scope.groups = Some(groups);
        Ok(if terms.is_empty() {
            String::new()
        } else {
            format!(" GROUP BY {}", terms.join(","))
        })
    }

    /// GROUPING and GROUPING_ID: which expressions this set of groups leaves out.
    pub(super) fn grouping(
        &mut self,
        name: &str,
        args: &[&Expr],
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let wrong = |n: usize| {
            SqlError::new(
                8161,
                format!(
                    "Argument {n} of the {name} function does not match any of the expressions in the GROUP BY clause."
                ),
            )
        };
        let groups = scope.groups.as_ref().ok_or_else(|| wrong(1))?;
        if args.is_empty() || name == "GROUPING" && args.len() > 1 {
            return Err(SqlError::new(
                174,
                format!(
                    "The {} function requires 1 argument(s).",
                    name.to_lowercase()
                ),
            )
            .class(15));
        }
        let mut bits = 0i64;
        for (n, arg) in args.iter().enumerate() {
            let outer = scope.in_aggregate.replace(true);
            let value = self.expr(arg, scope);
            scope.in_aggregate.set(outer);
            let sql = value?.sql;
            let left_out = groups.rolled_columns.contains(&sql)
                || groups.rolled.iter().any(|(e, _)| e == *arg);
            let there = groups.columns.contains(&sql) || groups.exprs.contains(arg);
            if !left_out && !there {
                return Err(wrong(n + 1));
            }
            bits = bits << 1 | i64::from(left_out);
        }
        let ty = if name == "GROUPING" {
            SqlType::TinyInt
        } else {
            SqlType::Int
        };
        Ok(Typed::new(format!("{bits}"), ty).not_null())
    }

    /// An expression that this set of groups leaves out is NULL.
    pub(super) fn left_out(&self, expr: &Expr, scope: &Scope<'_>) -> Option<Typed> {
        let groups = scope.groups.as_ref()?;
        if scope.in_aggregate.get() {
            return None;
        }
        let (_, ty) = groups.rolled.iter().find(|(e, _)| e == expr)?;
        let plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        // Columns are found by what they mean, not by how they are written.
        (!plain).then(|| Typed::new("(NULL)", *ty))
    }
}
