//! ORDER BY, and TOP in the forms that LIMIT does not know.

use std::borrow::Cow;

use sqlparser::ast::{Expr, Ident, OrderByExpr, Top, TopQuantity};

use super::super::catalogue::tables::same_name;
use super::super::error::{SqlError, SqlResult};
use super::super::types::{SqlType, Value};
use super::query::{limit_sql, order_term, row_count};
use super::select::Item;
use super::{Output, Planner, Scope};

/// An item of ORDER BY.
pub(super) struct Key<'q> {
    /// The column of the select list that it is, from 1.
    index: Option<usize>,
    sql: String,
    ty: Option<SqlType>,
    term: &'q OrderByExpr,
}

/// Which of the rows in order are wanted.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    /// LIMIT and OFFSET, or all.
    Limit(Option<(i64, i64)>),
    /// The first so many, and those that are equal to the last of them.
    Ties(i64),
    /// So many of a hundred.
    Percent(f64, bool),
}

impl Planner<'_> {
    /// Plans ORDER BY for a SELECT.
    pub(super) fn keys<'q>(
        &mut self,
        order: &'q [OrderByExpr],
        items: &[Item],
        outputs: &[Output],
        scope: &Scope<'_>,
        distinct: bool,
    ) -> SqlResult<Vec<Key<'q>>> {
        scope.clause.set("the ORDER BY clause");
        let mut keys = Vec::new();
        for term in order {
            let same = items
                .iter()
                .position(|i| i.expr.as_ref() == Some(&term.expr))
                .map(|i| i + 1);
            let index = output_index(&term.expr, outputs)?.or(same);
            if let Some(sql) = self.collated_key(&term.expr, scope)? {
                if distinct {
                    return Err(SqlError::unsupported("ORDER BY … COLLATE with DISTINCT"));
                }
                let (index, ty) = (None, None);
                keys.push(Key {
                    index,
                    sql,
                    ty,
                    term,
                });
                continue;
            }
            let (index, sql, ty) = match index {
                Some(index) => {
                    let ty = outputs.get(index - 1).map(|o| o.ty);
                    (Some(index), format!("{index}"), ty)
                }
                None => {
                    let value = self.expr(&term.expr, scope)?;
                    let same = items.iter().position(|i| i.value.sql == value.sql);
                    if distinct && same.is_none() {
                        return Err(SqlError::new(145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.").class(15));
                    }
                    let same = same.filter(|_| distinct).map(|i| i + 1);
                    (same, value.sql, Some(value.ty))
                }
            };
            keys.push(Key {
                index,
                sql,
                ty,
                term,
            });
        }
        Ok(keys)
    }

    /// What TOP asks for.
    pub(super) fn top(&mut self, top: &Top, ordered: bool) -> SqlResult<Rows> {
        let Top {
            with_ties,
            percent,
            quantity,
        } = top;
        if *with_ties && !ordered {
            return Err(SqlError::new(
                1062,
                "The TOP N WITH TIES clause is not allowed without a corresponding ORDER BY clause.",
            )
            .class(15));
        }
        if *percent {
            return Ok(Rows::Percent(
                self.percentage(quantity.as_ref())?,
                *with_ties,
            ));
        }
        let count = match quantity {
            Some(TopQuantity::Constant(n)) => {
                i64::try_from(*n).map_err(|_| SqlError::syntax_near(n))?
            }
            Some(TopQuantity::Expr(expr)) => self.top_count(expr)?,
            None => return Err(SqlError::syntax_near("TOP")),
        };
        Ok(if *with_ties {
            Rows::Ties(count)
        } else {
            Rows::Limit(Some((count, 0)))
        })
    }

    fn percentage(&mut self, quantity: Option<&TopQuantity>) -> SqlResult<f64> {
        let percent = match quantity {
            Some(TopQuantity::Constant(n)) => u32::try_from(*n).map_or(f64::NAN, f64::from),
            Some(TopQuantity::Expr(expr)) => {
                let value = self.expr(expr, &Scope::inside(None))?;
                match self.coerce(value, SqlType::Float)?.constant {
                    Some(Value::Float(percent)) => percent,
                    _ => return Err(SqlError::unsupported("TOP PERCENT that is no constant")),
                }
            }
            None => return Err(SqlError::syntax_near("PERCENT")),
        };
        if (0.0..=100.0).contains(&percent) {
            return Ok(percent);
        }
        Err(SqlError::new(1031, "Percent values must be between 0 and 100.").class(15))
    }

    /// A TOP count, which must be known and not negative.
    pub(crate) fn top_count(&mut self, expr: &Expr) -> SqlResult<i64> {
        let count = self.constant_int(expr, &Scope::inside(None), "TOP")?;
        row_count(&Value::Int(count)).ok_or_else(|| {
            SqlError::new(1014, "A TOP or FETCH clause contains an invalid value.").class(15)
        })
    }
}

/// ORDER BY in the SELECT that has the keys.
pub(super) fn own_order(keys: &[Key<'_>]) -> SqlResult<String> {
    if keys.is_empty() {
        return Ok(String::new());
    }
    // A bare number would be an ordinal with a collation: SQLite reads it so, too.
    let terms = keys
        .iter()
        .map(|key| order_term(&key.sql, key.ty, key.term))
        .collect::<SqlResult<Vec<_>>>()?;
    Ok(format!(" ORDER BY {}", terms.join(",")))
}

/// Columns that the select list needs for keys that are none of its own.
pub(super) fn extra_columns(keys: &[Key<'_>]) -> String {
    keys.iter()
        .enumerate()
        .filter(|(_, key)| key.index.is_none())
        .map(|(n, key)| format!(",{} AS k{n}", key.sql))
        .collect()
}

/// The wanted rows of a query that has its keys among its columns.
pub(super) fn around(
    inner: &str,
    columns: &str,
    keys: &[Key<'_>],
    rows: Rows,
) -> SqlResult<String> {
    let mut terms = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        let column = match key.index {
            Some(index) => format!("c{index}"),
            None => format!("k{n}"),
        };
        terms.push(order_term(&column, key.ty, key.term)?);
    }
    let order = if terms.is_empty() {
        String::new()
    } else {
        format!("ORDER BY {}", terms.join(","))
    };
    let ranked = |function: &str, condition: &str| {
        format!(
            "SELECT {columns} FROM (SELECT *,{function}() OVER ({order}) AS tr,count(*) OVER () AS tn \
             FROM ({inner})) WHERE {condition} ORDER BY tr"
        )
    };
    Ok(match rows {
        Rows::Limit(limit) => format!(
            "SELECT {columns} FROM ({inner}) {order}{}",
            limit_sql(limit)
        ),
        Rows::Ties(count) => ranked("rank", &format!("tr<={count}")),
        Rows::Percent(percent, ties) => {
            let function = if ties { "rank" } else { "row_number" };
            ranked(function, &format!("(tr-1)*100.0<tn*{percent:?}"))
        }
    })
}

/// Which output column an ORDER BY item names: an ordinal or an alias.
pub(super) fn output_index(expr: &Expr, columns: &[Output]) -> SqlResult<Option<usize>> {
    use sqlparser::ast::Value as Lit;
    match expr {
        Expr::Value(value) => match &value.value {
            Lit::Number(text, _) => match text.parse::<usize>() {
                Ok(n) if (1..=columns.len()).contains(&n) => Ok(Some(n)),
                _ => Err(SqlError::new(
                    108,
                    format!("The ORDER BY position number {text} is out of range of the number of items in the select list."),
                )
                .class(15)),
            },
            _ => Err(SqlError::new(408, "A constant expression was encountered in the ORDER BY list, position 1.")),
        },
        Expr::Identifier(ident) => {
            let mut same = (1..)
                .zip(columns)
                .filter(|(_, c)| same_name(&c.name, &ident.value));
            match (same.next(), same.next()) {
                (Some(_), Some(_)) => Err(SqlError::new(
                    209,
                    format!("Ambiguous column name '{}'.", ident.value),
                )),
                (first, _) => Ok(first.map(|(index, _)| index)),
            }
        }
        _ => Ok(None),
    }
}

/// The variable that the parser has as a placeholder.
pub(super) fn variable(expr: &Expr) -> Cow<'_, Expr> {
    match expr {
        Expr::Value(value) => match &value.value {
            sqlparser::ast::Value::Placeholder(name) if name.starts_with('@') => {
                Cow::Owned(Expr::Identifier(Ident::new(name)))
            }
            _ => Cow::Borrowed(expr),
        },
        _ => Cow::Borrowed(expr),
    }
}
