//! A SELECT over one table, or over none.

use std::cmp::Ordering;
use std::time::Duration;

use sqlparser::ast::{
    self, Distinct, GroupByExpr, LimitClause, OrderByKind, OrderBySort, SelectItem, SetExpr,
    TableFactor, TopQuantity,
};
use tokio::time::Instant;

use super::bind::{Params, Scope};
use super::error::{SqlError, shortened};
use super::eval::Row;
use super::expr::Expr;
use super::value::{Kind, convert, sort_order};
use super::{Context, Table, Tables};
use crate::tds::Scalar;

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::proxy) struct Rows {
    pub(in crate::proxy) columns: Vec<(String, Kind)>,
    pub(in crate::proxy) rows: Vec<Row>,
}

/// A query that is ready to be run, wherever: it borrows nothing, as the rows
/// are a copy from the moment it was made.
pub(in crate::proxy) struct Prepared {
    plan: Plan,
    rows: Vec<Row>,
    context: Context,
}

impl Prepared {
    /// Resolves all names, and copies the table.
    pub(in crate::proxy) fn new(
        query: &ast::Query,
        tables: &dyn Tables,
        params: &Params,
        context: &Context,
    ) -> Result<Self, SqlError> {
        let select = the_select(query)?;
        let (table, alias) = from(select, tables)?;
        let scope = Scope {
            columns: table.columns,
            table: alias,
            params,
            context,
        };
        Ok(Self {
            plan: Plan::new(query, select, &scope)?,
            rows: table.rows,
            context: context.clone(),
        })
    }

    /// Answers the query. Takes the processor for as long as it does, which is
    /// bounded.
    pub(in crate::proxy) fn run(self) -> Result<Rows, SqlError> {
        self.plan.run(self.rows, &self.context)
    }
}

/// The value of an expression that stands alone.
pub(in crate::proxy) fn constant(
    expr: &ast::Expr,
    params: &Params,
    context: &Context,
) -> Result<Scalar, SqlError> {
    let scope = Scope {
        columns: &[],
        table: None,
        params,
        context,
    };
    scope.plain(expr)?.value(&[], context)
}

/// A SELECT whose names are resolved.
struct Plan {
    outputs: Vec<(String, Expr)>,
    filter: Option<Expr>,
    /// The columns to group by; `None` where every row stands for itself.
    group_by: Option<Vec<usize>>,
    having: Option<Expr>,
    order_by: Vec<(Expr, bool)>,
    distinct: bool,
    skip: usize,
    take: usize,
}

/// Most bytes of a result: far more than ten thousand clients take.
const MAX_RESULT: usize = 32 << 20;
/// How long a query may run.
const MAX_TIME: Duration = Duration::from_secs(10);

impl Plan {
    fn new(query: &ast::Query, select: &ast::Select, scope: &Scope<'_>) -> Result<Self, SqlError> {
        let outputs = outputs(select, scope)?;
        let filter = select.selection.as_ref();
        let having = select.having.as_ref().map(|expr| scope.any(expr));
        let having = having.transpose()?;
        let order_by = order_by(query, &outputs, scope)?;
        let mut used = outputs
            .iter()
            .map(|(_, expr)| expr)
            .chain(&having)
            .chain(order_by.iter().map(|(expr, _)| expr));
        let group_by = match group_by(&select.group_by, scope)? {
            columns if !columns.is_empty() => Some(columns),
            columns => used
                .clone()
                .any(Expr::has_aggregate)
                .then_some(columns)
                .or(having.is_some().then(Vec::new)),
        };
        if let Some(grouped) = &group_by
            && let Some(at) = used.find_map(|expr| expr.ungrouped(grouped))
        {
            let name = scope.columns.get(at).map_or("", |(name, _)| name);
            return Err(SqlError::NotGrouped {
                name: name.to_owned(),
            });
        }
        let (skip, take) = window(query, select, scope)?;
        Ok(Self {
            filter: filter.map(|expr| scope.plain(expr)).transpose()?,
            outputs,
            group_by,
            having,
            order_by,
            distinct: matches!(select.distinct, Some(Distinct::Distinct)),
            skip,
            take,
        })
    }

    fn run(&self, mut rows: Vec<Row>, context: &Context) -> Result<Rows, SqlError> {
        let deadline = Instant::now() + MAX_TIME;
        let in_time = || match Instant::now() < deadline {
            true => Ok(()),
            false => Err(SqlError::TooSlow {
                seconds: MAX_TIME.as_secs(),
            }),
        };
        if let Some(filter) = &self.filter {
            let mut kept = Vec::new();
            for row in rows {
                in_time()?;
                if filter.truth(&[&row], context)? == Some(true) {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        let mut results = Vec::new();
        let mut size = 0;
        for group in self.groups(&rows) {
            in_time()?;
            if let Some(having) = &self.having
                && having.truth(&group, context)? != Some(true)
            {
                continue;
            }
            let result = self.result(&group, context)?;
            size += [&result.0, &result.1]
                .into_iter()
                .map(size_of_row)
                .sum::<usize>();
            if size > MAX_RESULT {
                return Err(SqlError::TooLarge { max: MAX_RESULT });
            }
            results.push(result);
        }
        if self.distinct {
            results.sort_by(|(_, a), (_, b)| rows_order(a, b));
            results.dedup_by(|(_, a), (_, b)| rows_order(a, b).is_eq());
        }
        results.sort_by(|(a, _), (b, _)| self.keys_order(a, b));
        let rows = results.into_iter().map(|(_, row)| row);
        Ok(Rows {
            columns: self
                .outputs
                .iter()
                .map(|(name, expr)| (name.clone(), expr.kind()))
                .collect(),
            rows: rows.skip(self.skip).take(self.take).collect(),
        })
    }

    /// The rows, each for itself or as they belong together. Without GROUP BY
    /// an aggregate has one group, even of no rows.
    fn groups<'r>(&self, rows: &'r [Row]) -> Vec<Vec<&'r Row>> {
        let Some(columns) = &self.group_by else {
            return rows.iter().map(|row| vec![row]).collect();
        };
        if columns.is_empty() {
            return vec![rows.iter().collect()];
        }
        let order = |a: &Row, b: &Row| {
            let of = |row: &Row, at: usize| row.get(at).cloned().unwrap_or(Scalar::Null);
            let mut orders = columns.iter().map(|&at| sort_order(&of(a, at), &of(b, at)));
            orders
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        };
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by(|a, b| order(a, b));
        sorted
            .chunk_by(|a, b| order(a, b).is_eq())
            .map(<[_]>::to_vec)
            .collect()
    }

    /// What a group is sorted by, and its row of the result.
    fn result(&self, group: &[&Row], context: &Context) -> Result<(Row, Row), SqlError> {
        let keys = self
            .order_by
            .iter()
            .map(|(key, _)| key.value(group, context));
        let row = self
            .outputs
            .iter()
            .map(|(_, expr)| convert(&expr.value(group, context)?, expr.kind()));
        Ok((
            keys.collect::<Result<_, _>>()?,
            row.collect::<Result<_, _>>()?,
        ))
    }

    fn keys_order(&self, a: &Row, b: &Row) -> Ordering {
        let mut orders = a.iter().zip(b).zip(&self.order_by);
        let first = orders.find_map(|((a, b), (_, descending))| {
            let order = sort_order(a, b);
            let order = if *descending { order.reverse() } else { order };
            Some(order).filter(|order| order.is_ne())
        });
        first.unwrap_or(Ordering::Equal)
    }
}

/// About as many bytes as a row takes.
fn size_of_row(row: &Row) -> usize {
    row.iter()
        .map(|value| match value {
            Scalar::Text(text) => size_of::<Scalar>() + text.len(),
            _ => size_of::<Scalar>(),
        })
        .sum()
}

fn rows_order(a: &Row, b: &Row) -> Ordering {
    let mut orders = a.iter().zip(b).map(|(a, b)| sort_order(a, b));
    orders
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// The one SELECT of a query, without what is not done here.
fn the_select(query: &ast::Query) -> Result<&ast::Select, SqlError> {
    let unknown = |what: &str| Err(SqlError::unknown(what));
    let select = match &*query.body {
        _ if query.with.is_some() => return unknown("WITH"),
        _ if query.for_clause.is_some() => return unknown("FOR"),
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { .. } => return unknown("UNION, EXCEPT and INTERSECT"),
        _ => return unknown("such a query"),
    };
    if select.into.is_some() {
        return unknown("SELECT INTO");
    }
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return unknown("DISTINCT ON");
    }
    Ok(select)
}

/// The table, and the name that its columns go by.
fn from(select: &ast::Select, tables: &dyn Tables) -> Result<(Table, Option<String>), SqlError> {
    let from = match &select.from[..] {
        [] => {
            let none = Table {
                name: "",
                columns: &[],
                rows: vec![Vec::new()],
            };
            return Ok((none, None));
        }
        [one] if one.joins.is_empty() => one,
        _ => return Err(SqlError::unknown("joins")),
    };
    let TableFactor::Table {
        name,
        alias,
        args: None,
        ..
    } = &from.relation
    else {
        return Err(SqlError::unknown("such a table"));
    };
    let parts: Vec<&str> = name
        .0
        .iter()
        .map(|part| part.as_ident().map_or("", |ident| ident.value.as_str()))
        .collect();
    let no_table = || SqlError::NoTable {
        name: shortened(&name.to_string()),
    };
    let (schema, base) = match &parts[..] {
        [base] => (None, *base),
        [schema, base] => (Some(*schema), *base),
        [database, schema, base] if super::same_name(database, super::DATABASE) => {
            (Some(*schema), *base)
        }
        _ => return Err(no_table()),
    };
    let schema = schema.filter(|schema| !schema.is_empty());
    let table = tables.table(schema, base).ok_or_else(no_table)?;
    let alias = alias.as_ref().map(|alias| alias.name.value.clone());
    let name = alias.unwrap_or_else(|| table.name.to_owned());
    Ok((table, Some(name)))
}

fn outputs(select: &ast::Select, scope: &Scope<'_>) -> Result<Vec<(String, Expr)>, SqlError> {
    let mut outputs = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => outputs.push((name_of(expr), scope.any(expr)?)),
            SelectItem::ExprWithAlias { expr, alias } => {
                outputs.push((alias.value.clone(), scope.any(expr)?));
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                if scope.columns.is_empty() {
                    return Err(SqlError::syntax("`*` without a table"));
                }
                let all = scope.columns.iter().enumerate();
                outputs.extend(
                    all.map(|(at, (name, kind))| ((*name).to_owned(), Expr::Column(at, *kind))),
                );
            }
            _ => return Err(SqlError::unknown("such a column")),
        }
    }
    for (name, _) in &mut outputs {
        // A column's name has 128 characters at most.
        if let Some((end, _)) = name.char_indices().nth(64) {
            name.truncate(end);
        }
    }
    Ok(outputs)
}

/// A column is called as it is written; whatever else has no name.
fn name_of(expr: &ast::Expr) -> String {
    match expr {
        ast::Expr::Identifier(name) if !name.value.starts_with('@') => name.value.clone(),
        ast::Expr::CompoundIdentifier(parts) => parts
            .last()
            .map_or_else(String::new, |last| last.value.clone()),
        _ => String::new(),
    }
}

fn group_by(group_by: &GroupByExpr, scope: &Scope<'_>) -> Result<Vec<usize>, SqlError> {
    let GroupByExpr::Expressions(expressions, modifiers) = group_by else {
        return Err(SqlError::unknown("GROUP BY ALL"));
    };
    if !modifiers.is_empty() {
        return Err(SqlError::unknown("such a GROUP BY"));
    }
    let column = |expr| match scope.plain(expr)? {
        Expr::Column(at, _) => Ok(at),
        _ => Err(SqlError::unknown("GROUP BY of anything but columns")),
    };
    expressions.iter().map(column).collect()
}

/// By place, by the name of an output, or by any expression.
fn order_by(
    query: &ast::Query,
    outputs: &[(String, Expr)],
    scope: &Scope<'_>,
) -> Result<Vec<(Expr, bool)>, SqlError> {
    let Some(order_by) = &query.order_by else {
        return Ok(Vec::new());
    };
    let OrderByKind::Expressions(keys) = &order_by.kind else {
        return Err(SqlError::unknown("ORDER BY ALL"));
    };
    let mut bound = Vec::new();
    for key in keys {
        let named = |name: &str| {
            outputs
                .iter()
                .find(|(known, _)| super::same_name(known, name))
        };
        let output = match &key.expr {
            ast::Expr::Identifier(name) => named(&name.value).map(|(_, expr)| expr.clone()),
            _ => None,
        };
        let expr = match output {
            Some(output) => output,
            None => match scope.any(&key.expr)? {
                Expr::Value(Scalar::Int(place)) => usize::try_from(place)
                    .ok()
                    .and_then(|place| outputs.get(place.checked_sub(1)?))
                    .map(|(_, expr)| expr.clone())
                    .ok_or_else(|| SqlError::syntax("ORDER BY counts columns from 1"))?,
                other => other,
            },
        };
        bound.push((expr, key.options.sort == Some(OrderBySort::Desc)));
    }
    Ok(bound)
}

/// TOP, or OFFSET and FETCH.
fn window(
    query: &ast::Query,
    select: &ast::Select,
    scope: &Scope<'_>,
) -> Result<(usize, usize), SqlError> {
    let count = |expr: &ast::Expr| match scope.plain(expr)?.value(&[], scope.context)? {
        Scalar::Int(count) => {
            usize::try_from(count).map_err(|_| SqlError::syntax("a number of rows is negative"))
        }
        _ => Err(SqlError::syntax("a number of rows is no integer")),
    };
    let mut take = usize::MAX;
    if let Some(top) = &select.top {
        take = match &top.quantity {
            _ if top.percent || top.with_ties => {
                return Err(SqlError::unknown("TOP … PERCENT and WITH TIES"));
            }
            Some(TopQuantity::Expr(expr)) => count(expr)?,
            Some(TopQuantity::Constant(count)) => usize::try_from(*count).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
    }
    let skip = match &query.limit_clause {
        None => 0,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset: Some(offset),
            limit_by,
        }) if limit_by.is_empty() => count(&offset.value)?,
        Some(_) => return Err(SqlError::unknown("LIMIT; write TOP, or OFFSET and FETCH")),
    };
    if let Some(fetch) = &query.fetch {
        if fetch.percent || fetch.with_ties {
            return Err(SqlError::unknown("such a FETCH"));
        }
        take = fetch.quantity.as_ref().map_or(Ok(1), count)?;
    }
    Ok((skip, take))
}
