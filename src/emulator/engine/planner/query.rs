//! Queries: WITH, set operations, ORDER BY, OFFSET and FETCH.

use sqlparser::ast::{
    Cte as CteAst, Expr, LimitClause, OrderByExpr, OrderByKind, OrderBySort, Query, SelectItem,
    SetExpr, SetOperator, SetQuantifier, Values, With,
};

use super::super::catalogue::tables::same_name;
use super::super::error::{SqlError, SqlResult};
use super::super::types::{self, SqlType, Value};
use super::from::or_int;
use super::order::output_index;
use super::rel::Rel;
use super::scope::Cte;
use super::{Output, Planner, Scope, Typed, order, refuse};

/// What stands around a SELECT and changes how it is written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Around<'q> {
    pub(crate) order: &'q [OrderByExpr],
    /// LIMIT and OFFSET, when OFFSET … FETCH gave them.
    pub(crate) limit: Option<(i64, i64)>,
    /// Types that the columns must have.
    pub(crate) targets: Option<&'q [SqlType]>,
    /// One more column in the select list, for the depth of recursion.
    pub(crate) extra: Option<&'q str>,
}

impl Planner<'_> {
    /// Plans the query of a statement. The SQL includes its common table expressions.
    pub(crate) fn top_query(&mut self, query: &Query) -> SqlResult<Rel> {
        self.outer_query(query, None)
    }

    /// Plans a query inside of another one.
    pub(crate) fn subquery(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> SqlResult<Rel> {
        self.check_order(query)?;
        self.outer_query(query, parent)
    }

    /// Plans a query that may have an order.
    fn outer_query(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> SqlResult<Rel> {
        stacker::maybe_grow(256 << 10, 2 << 20, || {
            let outer = self.ctes.len();
            let prefix = match &query.with {
                Some(with) => self.with(with, parent)?,
                None => String::new(),
            };
            let rel = self.body(query, parent);
            self.ctes.truncate(outer);
            let rel = rel?;
            Ok(Rel {
                sql: format!("{prefix}{}", rel.sql),
                ..rel
            })
        })
    }

    fn body(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> SqlResult<Rel> {
        self.check_tail(query)?;
        let order: &[OrderByExpr] = match query.order_by.as_ref().map(|o| &o.kind) {
            None => &[],
            Some(OrderByKind::Expressions(list)) => list,
            Some(OrderByKind::All(_)) => return Err(SqlError::syntax_near("ALL")),
        };
        let limit = self.limit(query, !order.is_empty())?;
        let around = Around {
            order,
            limit,
            ..Around::default()
        };
        match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, parent, around),
            body => {
                let rel = self.set_expr(body, parent, None)?;
                self.ordered(rel, around, body)
            }
        }
    }

    /// ORDER BY and FETCH of a set operation: only its columns can be named.
    fn ordered(&mut self, rel: Rel, around: Around<'_>, body: &SetExpr) -> SqlResult<Rel> {
        if around.order.is_empty() && around.limit.is_none() {
            return Ok(rel);
        }
        let mut terms = Vec::new();
        for term in around.order {
            let named = match item_index(body, &term.expr) {
                Some(index) => Some(index),
                None => output_index(&term.expr, &rel.columns)?,
            };
            let index = named.ok_or_else(|| {
                SqlError::new(
                    104,
                    "ORDER BY items must appear in the select list if the statement contains a UNION, \
                     INTERSECT or EXCEPT operator.",
                )
                .class(15)
            })?;
            terms.push(order_term(
                &format!("c{index}"),
                rel.columns.get(index - 1).map(|c| c.ty),
                term,
            )?);
        }
        let columns = column_list(rel.columns.len());
        let order = if terms.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", terms.join(","))
        };
        Ok(Rel {
            sql: format!(
                "SELECT {columns} FROM ({}){order}{}",
                rel.sql,
                limit_sql(around.limit)
            ),
            ..rel
        })
    }

    pub(crate) fn set_expr(
        &mut self,
        body: &SetExpr,
        parent: Option<&Scope<'_>>,
        targets: Option<&[SqlType]>,
    ) -> SqlResult<Rel> {
        stacker::maybe_grow(256 << 10, 2 << 20, || match body {
            SetExpr::Select(select) => self.select(
                select,
                parent,
                Around {
                    targets,
                    ..Around::default()
                },
            ),
            SetExpr::Query(query) => self.subquery(query, parent),
            SetExpr::Values(values) => self.values(values, &Scope::inside(parent)),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let (left, right) = (
                    self.set_expr(left, parent, None)?,
                    self.set_expr(right, parent, None)?,
                );
                self.combine(left, *op, *set_quantifier, right)
            }
            _ => Err(SqlError::syntax_near("(")),
        })
    }

    fn combine(
        &mut self,
        left: Rel,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: Rel,
    ) -> SqlResult<Rel> {
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal \
                 number of expressions in their target lists.",
            ));
        }
        if !left.assigns.is_empty() || !right.assigns.is_empty() {
            return Err(SqlError::new(10734, "Variable assignment is not allowed in a statement containing a top level UNION, INTERSECT or EXCEPT operator.").class(15));
        }
        let word = match (op, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
            (SetOperator::Union, SetQuantifier::None) => "UNION",
            (SetOperator::Except, SetQuantifier::None) => "EXCEPT",
            (SetOperator::Intersect, SetQuantifier::None) => "INTERSECT",
            _ => return Err(SqlError::syntax_near(quantifier)),
        };
        let columns: Vec<Output> = left
            .columns
            .iter()
            .zip(&right.columns)
            .map(|(a, b)| Output {
                name: a.name.clone(),
                ty: match (a.all_null, b.all_null) {
                    (true, false) => b.ty,
                    (false, true) => a.ty,
                    _ => types::common(a.ty, b.ty),
                },
                nullable: a.nullable || b.nullable,
                identity: false,
                all_null: a.all_null && b.all_null,
            })
            .collect();
        if word != "UNION ALL" {
            columns.iter().try_for_each(|c| refuse::set_operand(c.ty))?;
        }
        let a = self.converted(left, &columns)?;
        let b = self.converted(right, &columns)?;
        Ok(Rel {
            sql: format!("{a} {word} {b}"),
            columns,
            assigns: Vec::new(),
        })
    }

    /// The query with its columns converted, and collated so that duplicates are found.
    fn converted(&mut self, rel: Rel, to: &[Output]) -> SqlResult<String> {
        let mut items = Vec::new();
        for (index, (from, to)) in rel.columns.iter().zip(to).enumerate() {
            let name = format!("c{}", index + 1);
            let from = if from.all_null { to.ty } else { from.ty };
            let value = self.coerce(Typed::new(name.clone(), from), to.ty)?;
            items.push(format!("{} AS {name}", value.collated()));
        }
        Ok(format!("SELECT {} FROM ({})", items.join(","), rel.sql))
    }

    /// Rows of VALUES.
    pub(crate) fn values(&mut self, values: &Values, scope: &Scope<'_>) -> SqlResult<Rel> {
        if values.explicit_row || values.value_keyword {
            return Err(SqlError::keyword_near("VALUES"));
        }
        let mut rows: Vec<Vec<Typed>> = Vec::new();
        for row in &values.rows {
            let row = row
                .content
                .iter()
                .map(|expr| self.expr(expr, scope))
                .collect::<SqlResult<Vec<_>>>()?;
            if rows.first().is_some_and(|first| first.len() != row.len()) {
                return Err(SqlError::new(
                    10709,
                    "The number of columns for each row in a table value constructor must be the same.",
                ));
            }
            rows.push(row);
        }
        let width = rows.first().map_or(0, Vec::len);
        let columns: Vec<Output> = (0..width)
            .map(|index| common_column(&rows, index))
            .collect();
        let mut texts = Vec::new();
        let applied = scope.parent.is_some();
        for row in rows {
            let mut items = Vec::new();
            for (index, (value, column)) in row.into_iter().zip(&columns).enumerate() {
                let sql = self.coerce(value, column.ty)?.sql;
                items.push(if applied {
                    format!("{sql} AS c{}", index + 1)
                } else {
                    sql
                });
            }
            texts.push(items.join(","));
        }
        if applied {
            // SQLite's VALUES loses its columns where it reads those of a query around it.
            return Ok(Rel {
                sql: format!("SELECT {}", texts.join(" UNION ALL SELECT ")),
                columns,
                assigns: Vec::new(),
            });
        }
        let texts: Vec<String> = texts.iter().map(|t| format!("({t})")).collect();
        let names: Vec<String> = (1..=width).map(|n| format!("column{n} AS c{n}")).collect();
        Ok(Rel {
            sql: format!(
                "SELECT {} FROM (VALUES {})",
                names.join(","),
                texts.join(",")
            ),
            columns,
            assigns: Vec::new(),
        })
    }

    /// Brings common table expressions into sight; the caller takes them out again.
    pub(crate) fn with(&mut self, with: &With, parent: Option<&Scope<'_>>) -> SqlResult<String> {
        if with.recursive {
            return Err(SqlError::syntax_near("RECURSIVE"));
        }
        self.with_list(&with.cte_tables, parent)
    }

    pub(crate) fn with_list(
        &mut self,
        list: &[CteAst],
        parent: Option<&Scope<'_>>,
    ) -> SqlResult<String> {
        if list.is_empty() {
            return Ok(String::new());
        }
        let mut parts = Vec::new();
        for (index, cte) in list.iter().enumerate() {
            let name = &cte.alias.name.value;
            if list
                .iter()
                .take(index)
                .any(|c| super::tables::same_name(&c.alias.name.value, name))
            {
                return Err(SqlError::new(
                    460,
                    format!("DUPLICATE common table expression name '{name}' was specified."),
                ));
            }
            parts.push(self.cte(cte, parent)?);
        }
        Ok(format!("WITH RECURSIVE {} ", parts.join(",")))
    }

    fn cte(&mut self, cte: &CteAst, parent: Option<&Scope<'_>>) -> SqlResult<String> {
        super::audit::check_cte(cte)?;
        let name = cte.alias.name.value.clone();
        let sql = self.fresh("w");
        if let SetExpr::SetOperation {
            left,
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            right,
        } = cte.query.body.as_ref()
            && cte.query.order_by.is_none()
            && mentions(right, &name)
        {
            return self.recursive(cte, &sql, left, right, parent);
        }
        let mut rel = self.subquery(&cte.query, parent)?;
        name_columns(&mut rel.columns, cte)?;
        let width = rel.columns.len();
        self.ctes.push(Cte {
            name,
            sql: sql.clone(),
            columns: rel.columns,
        });
        Ok(format!("{sql}({}) AS ({})", column_list(width), rel.sql))
    }

    fn recursive(
        &mut self,
        cte: &CteAst,
        sql: &str,
        anchor: &SetExpr,
        member: &SetExpr,
        parent: Option<&Scope<'_>>,
    ) -> SqlResult<String> {
        let mut first = self.set_expr(anchor, parent, None)?;
        name_columns(&mut first.columns, cte)?;
        let targets: Vec<SqlType> = first.columns.iter().map(|c| c.ty).collect();
        let width = targets.len();
        // The recursion's depth rides along as one column more, so that MAXRECURSION can stop it.
        self.ctes.push(Cte {
            name: cte.alias.name.value.clone(),
            sql: sql.to_owned(),
            columns: first.columns.clone(),
        });
        let SetExpr::Select(select) = member else {
            return Err(SqlError::unsupported(
                "a recursive member that is no plain SELECT",
            ));
        };
        let limit = self.max_recursion;
        let extra = format!("t_depth({sql}.d+1,{limit})");
        let next = self.select_recursive(select, parent, &targets, sql, &extra)?;
        for (index, (a, b)) in first.columns.iter().zip(&next.columns).enumerate() {
            if a.ty != b.ty {
                let _ = index;
                return Err(SqlError::new(
                    240,
                    format!(
                        "Types don't match between the anchor and the recursive part in column \"{}\" of \
                         recursive query \"{}\".",
                        a.name, cte.alias.name.value
                    ),
                ));
            }
        }
        let columns = column_list(width);
        Ok(format!(
            "{sql}({columns},d) AS (SELECT {columns},0 FROM ({}) UNION ALL {})",
            first.sql, next.sql
        ))
    }

    /// LIMIT and OFFSET of OFFSET … FETCH.
    pub(super) fn limit(&mut self, query: &Query, ordered: bool) -> SqlResult<Option<(i64, i64)>> {
        let scope = Scope::inside(None);
        let offset = match &query.limit_clause {
            None => None,
            Some(LimitClause::LimitOffset {
                limit: None,
                offset: Some(offset),
                limit_by,
            }) if limit_by.is_empty() => {
                Some(self.constant_int(&offset.value, &scope, "OFFSET")?)
            }
            Some(_) => return Err(SqlError::syntax_near("LIMIT")),
        };
        let fetch = match &query.fetch {
            None => None,
            Some(fetch) if fetch.with_ties || fetch.percent => {
                return Err(SqlError::syntax_near("FETCH"));
            }
            Some(fetch) => match &fetch.quantity {
                Some(expr) => Some(self.constant_int(&order::variable(expr), &scope, "FETCH")?),
                None => Some(1),
            },
        };
        match (offset, fetch) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(SqlError::new(
                153,
                "Invalid usage of the option NEXT in the FETCH statement.",
            )
            .class(15)),
            _ if !ordered => Err(SqlError::syntax_near("OFFSET")),
            (Some(offset), _) if offset < 0 => Err(SqlError::new(
                10742,
                "The offset specified in a OFFSET clause may not be negative.",
            )
            .class(15)),
            (_, Some(fetch)) if fetch < 1 => Err(SqlError::new(
                10744,
                "The number of rows provided for a FETCH clause must be greater then zero.",
            )
            .class(15)),
            (Some(offset), fetch) => Ok(Some((fetch.unwrap_or(-1), offset))),
        }
    }
}

/// The position of a qualified column in the select list of a set operation's first query.
fn item_index(body: &SetExpr, expr: &Expr) -> Option<usize> {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return item_index(left, expr),
        _ => return None,
    };
    let Expr::CompoundIdentifier(wanted) = expr else {
        return None;
    };
    select
        .projection
        .iter()
        .position(|item| match item {
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(own))
            | SelectItem::ExprWithAlias {
                expr: Expr::CompoundIdentifier(own),
                ..
            } => {
                own.len() == wanted.len()
                    && own
                        .iter()
                        .zip(wanted)
                        .all(|(a, b)| same_name(&a.value, &b.value))
            }
            _ => false,
        })
        .map(|index| index + 1)
}

/// One ORDER BY item.
pub(super) fn order_term(sql: &str, ty: Option<SqlType>, term: &OrderByExpr) -> SqlResult<String> {
    if term.options.nulls_first.is_some() || term.with_fill.is_some() {
        return Err(SqlError::syntax_near("NULLS"));
    }
    ty.map_or(Ok(()), refuse::sort)?;
    let collation = ty
        .and_then(SqlType::collation)
        .map_or_else(String::new, |c| format!(" COLLATE {c}"));
    let direction = match &term.options.sort {
        None | Some(OrderBySort::Asc) => "",
        Some(OrderBySort::Desc) => " DESC",
        Some(OrderBySort::Using(_)) => return Err(SqlError::syntax_near("USING")),
    };
    Ok(format!("{sql}{collation}{direction}"))
}

pub(super) fn limit_sql(limit: Option<(i64, i64)>) -> String {
    match limit {
        None => String::new(),
        Some((limit, 0)) => format!(" LIMIT {limit}"),
        Some((limit, offset)) => format!(" LIMIT {limit} OFFSET {offset}"),
    }
}

pub(super) fn column_list(width: usize) -> String {
    let names: Vec<String> = (1..=width).map(|n| format!("c{n}")).collect();
    names.join(",")
}

pub(super) fn name_columns(columns: &mut [Output], cte: &CteAst) -> SqlResult<()> {
    let name = &cte.alias.name.value;
    if cte.alias.columns.is_empty() {
        super::from::distinct_names(columns.iter().map(|c| c.name.as_str()), name)?;
        if let Some(index) = columns.iter().position(|c| c.name.is_empty()) {
            return Err(SqlError::new(
                8155,
                format!(
                    "No column name was specified for column {} of '{name}'.",
                    index + 1
                ),
            )
            .state(2));
        }
        return Ok(());
    }
    if cte.alias.columns.len() != columns.len() {
        let (number, word) = if cte.alias.columns.len() > columns.len() {
            (8159, "fewer")
        } else {
            (8158, "more")
        };
        return Err(SqlError::new(
            number,
            format!("'{name}' has {word} columns than were specified in the column list."),
        ));
    }
    for (column, alias) in columns.iter_mut().zip(&cte.alias.columns) {
        column.name.clone_from(&alias.name.value);
    }
    Ok(())
}

/// Whether a query reads from the name directly.
fn mentions(body: &SetExpr, name: &str) -> bool {
    use sqlparser::ast::{Visit, Visitor};
    use std::ops::ControlFlow;
    struct Search<'n>(&'n str);
    impl Visitor for Search<'_> {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &sqlparser::ast::ObjectName) -> ControlFlow<()> {
            let matches = relation.0.len() == 1
                && relation
                    .0
                    .first()
                    .and_then(|p| p.as_ident())
                    .is_some_and(|i| super::tables::same_name(&i.value, self.0));
            if matches {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    body.visit(&mut Search(name)).is_break()
}

/// A count that may not be negative, as TOP takes it.
pub(super) fn row_count(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) if *n >= 0 => Some(*n),
        _ => None,
    }
}

/// A column of VALUES, of the type that all its rows have in common.
fn common_column(rows: &[Vec<Typed>], index: usize) -> Output {
    let column: Vec<&Typed> = rows.iter().filter_map(|row| row.get(index)).collect();
    let ty = column
        .iter()
        .filter(|v| !v.is_null())
        .map(|v| v.ty)
        .reduce(types::common);
    Output {
        name: String::new(),
        ty: or_int(ty),
        nullable: column.iter().any(|v| v.nullable),
        identity: false,
        all_null: ty.is_none(),
    }
}
