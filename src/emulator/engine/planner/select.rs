//! One SELECT: its list, groups, order and TOP.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, Function, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Visit, Visitor,
};

use super::super::error::{SqlError, SqlResult};
use super::super::types::SqlType;
use super::order::{self, Rows};
use super::query::{Around, column_list, limit_sql};
use super::rel::Rel;
use super::scope::Groups;
use super::{Output, Planner, Scope, Typed, audit, grouping, refuse};

/// An item of the select list.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) value: Typed,
    identity: bool,
    variable: Option<String>,
    pub(super) expr: Option<Expr>,
}

impl Planner<'_> {
    pub(crate) fn select(
        &mut self,
        select: &Select,
        parent: Option<&Scope<'_>>,
        around: Around<'_>,
    ) -> SqlResult<Rel> {
        audit::check_select(select)?;
        let mut scope = Scope::inside(parent);
        let from = if select.from.is_empty() {
            String::new()
        } else {
            format!(" FROM {}", self.from(&select.from, &mut scope)?)
        };
        self.select_over(select, scope, from, around)
    }

    /// The recursive member of a common table expression. Its depth column is that of the CTE.
    pub(super) fn select_recursive(
        &mut self,
        select: &Select,
        parent: Option<&Scope<'_>>,
        targets: &[SqlType],
        cte: &str,
        extra: &str,
    ) -> SqlResult<Rel> {
        audit::check_select(select)?;
        if select.top.is_some() || select.distinct.is_some() || is_aggregated(select) {
            return Err(SqlError::new(
                460,
                "DISTINCT, TOP, GROUP BY and aggregates are not allowed in the recursive part of a recursive common table expression.",
            ));
        }
        let mut scope = Scope::inside(parent);
        let from = format!(" FROM {}", self.from(&select.from, &mut scope)?);
        // The alias of the one reference to the CTE.
        let marker = format!("{cte} AS ");
        let alias = from
            .split(&marker)
            .nth(1)
            .map(|rest| {
                rest.chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .collect::<String>()
            })
            .ok_or_else(|| SqlError::unsupported("a recursive reference inside a subquery"))?;
        let extra = extra.replace(&format!("{cte}.d"), &format!("{alias}.d"));
        let around = Around {
            targets: Some(targets),
            extra: Some(&extra),
            ..Around::default()
        };
        self.select_over(select, scope, from, around)
    }

    pub(super) fn select_over(
        &mut self,
        select: &Select,
        mut scope: Scope<'_>,
        from: String,
        around: Around<'_>,
    ) -> SqlResult<Rel> {
        let filter = match &select.selection {
            None => String::new(),
            Some(condition) => {
                scope.no_aggregates.set(true);
                let condition = self.predicate(condition, &scope)?;
                scope.no_aggregates.set(false);
                format!(" WHERE {condition}")
            }
        };
        scope.windows.clone_from(&select.named_window);
        let (exprs, modifier) = audit::group_list(&select.group_by)?;
        if let Some(sets) = grouping::sets(exprs, modifier)? {
            let from = format!("{from}{filter}");
            return self.select_sets(select, &scope, &from, &sets, around);
        }
        if let Some(slots) = self.sequential(select)? {
            let from = format!("{from}{filter}");
            return self.select_in_turn(select, &scope, &from, &slots, around);
        }
        let group = self.group_by(exprs, select, &mut scope)?;
        scope.clause.set("the select list");
        let items = self.items(&select.projection, &scope)?;
        let assigns = assigned(&items)?;
        let having = self.having(select, &scope)?;
        if !having.is_empty()
            && group.is_empty()
            && !select.projection.iter().any(super::select::has_aggregate)
        {
            return Err(SqlError::unsupported(
                "HAVING without GROUP BY and without an aggregate in the select list",
            ));
        }
        let distinct = matches!(select.distinct, Some(Distinct::Distinct));
        let outputs: Vec<Output> = items.iter().map(Item::output).collect();
        let keys = self.keys(around.order, &items, &outputs, &scope, distinct)?;
        let rows = self.wanted_rows(select, around)?;
        let (list, columns) = self.list(items, outputs, around, distinct)?;
        let word = match distinct {
            true => "SELECT DISTINCT",
            false => "SELECT",
        };
        let rest = format!("{from}{filter}{group}{having}");
        let sql = match rows {
            Rows::Limit(limit) => format!(
                "{word} {list}{rest}{}{}",
                order::own_order(&keys)?,
                limit_sql(limit)
            ),
            rows => {
                let inner = format!("{word} {list}{}{rest}", order::extra_columns(&keys));
                let mut names = column_list(columns.len());
                if around.extra.is_some() {
                    names.push_str(",r");
                }
                order::around(&inner, &names, &keys, rows)?
            }
        };
        Ok(Rel::new(sql, columns, assigns))
    }

    pub(super) fn having(&mut self, select: &Select, scope: &Scope<'_>) -> SqlResult<String> {
        let Some(condition) = &select.having else {
            return Ok(String::new());
        };
        scope.clause.set("the HAVING clause");
        Ok(format!(" HAVING {}", self.predicate(condition, scope)?))
    }

    /// What TOP or OFFSET … FETCH leaves of the rows.
    pub(super) fn wanted_rows(&mut self, select: &Select, around: Around<'_>) -> SqlResult<Rows> {
        match &select.top {
            None => Ok(Rows::Limit(around.limit)),
            Some(_) if around.limit.is_some() => Err(SqlError::new(
                10741,
                "A TOP can not be used in the same query or sub-query as a OFFSET.",
            )
            .class(15)),
            Some(top) => self.top(top, !around.order.is_empty()),
        }
    }

    /// The select list in SQL, with the types that are wanted.
    pub(super) fn list(
        &mut self,
        items: Vec<Item>,
        mut outputs: Vec<Output>,
        around: Around<'_>,
        distinct: bool,
    ) -> SqlResult<(String, Vec<Output>)> {
        if let Some(targets) = around.targets
            && targets.len() != items.len()
        {
            return Err(SqlError::new(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal \
                 number of expressions in their target lists.",
            ));
        }
        let mut texts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let mut value = item.value;
            if value.is_null()
                && let Some(target) = around.targets.and_then(|t| t.get(index))
            {
                value = self.coerce(value, *target)?;
                if let Some(output) = outputs.get_mut(index) {
                    output.ty = *target;
                }
            }
            let sql = if distinct {
                refuse::distinct(value.ty)?;
                value.collated()
            } else {
                value.sql
            };
            texts.push(format!("{sql} AS c{}", index + 1));
        }
        if let Some(extra) = around.extra {
            texts.push(extra.to_owned());
        }
        Ok((texts.join(","), outputs))
    }

    pub(super) fn items(
        &mut self,
        projection: &[SelectItem],
        scope: &Scope<'_>,
    ) -> SqlResult<Vec<Item>> {
        let mut items = Vec::new();
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => items.push(self.item(expr, None, scope)?),
                SelectItem::ExprWithAlias { expr, alias } => {
                    let variable = alias.quote_style.is_none() && alias.value.starts_with('@');
                    let mut item = self.item(expr, Some(alias.value.clone()), scope)?;
                    if variable {
                        item.variable = Some(std::mem::take(&mut item.name));
                    }
                    items.push(item);
                }
                SelectItem::Wildcard(options) => {
                    audit::check_star(options)?;
                    items.extend(stars(scope.all(&[])?));
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    audit::check_star(options)?;
                    let path: Vec<_> = name
                        .0
                        .iter()
                        .filter_map(|p| p.as_ident().cloned())
                        .collect();
                    items.extend(stars(scope.all(&path)?));
                }
                other => return Err(SqlError::syntax_near(other)),
            }
        }
        Ok(items)
    }

    /// Plans the items of OUTPUT, which are a select list, too.
    pub(crate) fn output_items(
        &mut self,
        projection: &[SelectItem],
        scope: &Scope<'_>,
    ) -> SqlResult<(Vec<String>, Vec<Output>)> {
        let items = self.items(projection, scope)?;
        let outputs = items.iter().map(Item::output).collect();
        Ok((items.into_iter().map(|i| i.value.sql).collect(), outputs))
    }

    fn item(&mut self, expr: &Expr, name: Option<String>, scope: &Scope<'_>) -> SqlResult<Item> {
        let value = self.expr(expr, scope)?;
        let own = match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => value.name.clone(),
            _ => None,
        };
        let identity = scope.is_identity(&value.sql);
        Ok(Item {
            name: name.or(own).unwrap_or_default(),
            value,
            identity,
            variable: None,
            expr: Some(expr.clone()),
        })
    }

    fn group_by(
        &mut self,
        exprs: &[Expr],
        select: &Select,
        scope: &mut Scope<'_>,
    ) -> SqlResult<String> {
        if exprs.is_empty() {
            if is_aggregated(select) {
                scope.groups = Some(Groups::default());
            }
            return Ok(String::new());
        }
        let mut groups = Groups::default();
        let mut terms = Vec::new();
        for expr in exprs {
            let value = self.group_key(expr, scope)?;
            if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                groups.columns.push(value.sql.clone());
            }
            groups.exprs.push(expr.clone());
            terms.push(value.collated());
        }
        scope.groups = Some(groups);
        Ok(format!(" GROUP BY {}", terms.join(",")))
    }

    pub(super) fn group_key(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        if matches!(expr, Expr::Value(_) | Expr::Subquery(_)) {
            return Err(SqlError::new(164, "Each GROUP BY expression must contain at least one column that is not an outer reference.").class(15));
        }
        scope.no_aggregates.set(true);
        let value = self.expr(expr, scope);
        scope.no_aggregates.set(false);
        let value = value?;
        refuse::sort(value.ty)?;
        Ok(value)
    }
}

impl Item {
    pub(super) fn output(&self) -> Output {
        Output {
            name: self.name.clone(),
            ty: self.value.ty,
            nullable: self.value.nullable,
            identity: self.identity,
            all_null: self.value.is_null() && self.variable_free(),
        }
    }

    /// A NULL in a variable has the variable's type; a literal has none.
    fn variable_free(&self) -> bool {
        !self.value.sql.starts_with('?')
    }
}

fn stars(columns: Vec<(String, Typed, bool)>) -> impl Iterator<Item = Item> {
    columns.into_iter().map(|(name, value, identity)| Item {
        name,
        value,
        identity,
        variable: None,
        expr: None,
    })
}

/// The variables that a SELECT assigns: all of its items, or none.
pub(super) fn assigned(items: &[Item]) -> SqlResult<Vec<String>> {
    let names: Vec<String> = items.iter().filter_map(|i| i.variable.clone()).collect();
    if !names.is_empty() && names.len() != items.len() {
        return Err(SqlError::new(
            141,
            "A SELECT statement that assigns a value to a variable must not be combined with \
             data-retrieval operations.",
        )
        .class(15));
    }
    Ok(names)
}

/// Whether the SELECT makes one row of many although it has no GROUP BY.
pub(super) fn is_aggregated(select: &Select) -> bool {
    select.having.is_some() || select.projection.iter().any(has_aggregate)
}

fn has_aggregate(item: &SelectItem) -> bool {
    struct Search(usize);
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(Function {
                    name, over: None, ..
                }) if self.0 == 0 && is_aggregate_name(name) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    item.visit(&mut Search(0)).is_break()
}

fn is_aggregate_name(name: &ObjectName) -> bool {
    let text = name.to_string().to_uppercase();
    super::aggregates::AGGREGATES.contains(&text.as_str())
}
