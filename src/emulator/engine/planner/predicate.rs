//! Conditions. T-SQL has no boolean values: a condition is not an expression.

use sqlparser::ast::{BinaryOperator as Op, Expr, UnaryOperator};

use super::super::error::{SqlError, SqlResult};
use super::super::types::{MAX, SqlType, Storage};
use super::expr::{bounded, summary};
use super::{Planner, Scope, Typed, refuse};

impl Planner<'_> {
    /// Plans a condition.
    pub(crate) fn predicate(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<String> {
        let planned =
            stacker::maybe_grow(128 << 10, 2 << 20, || self.predicate_inner(expr, scope))?;
        bounded(&planned)?;
        Ok(planned)
    }

    fn predicate_inner(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<String> {
        match expr {
            Expr::Nested(inner) => Ok(format!("({})", self.predicate(inner, scope)?)),
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => Ok(format!("(NOT {})", self.predicate(expr, scope)?)),
            Expr::BinaryOp {
                left,
                op: Op::And,
                right,
            } => Ok(format!(
                "({} AND {})",
                self.predicate(left, scope)?,
                self.predicate(right, scope)?
            )),
            Expr::BinaryOp {
                left,
                op: Op::Or,
                right,
            } => Ok(format!(
                "({} OR {})",
                self.predicate(left, scope)?,
                self.predicate(right, scope)?
            )),
            Expr::BinaryOp { left, op, right } if comparison(op).is_some() => {
                self.compare(left, op, right, scope)
            }
            Expr::IsNull(inner) => self.null_test(inner, "IS NULL", scope),
            Expr::IsNotNull(inner) => self.null_test(inner, "IS NOT NULL", scope),
            Expr::IsDistinctFrom(a, b) => self.distinct(a, b, "IS NOT", scope),
            Expr::IsNotDistinctFrom(a, b) => self.distinct(a, b, "IS", scope),
            other => self.predicate_on_sets(other, scope),
        }
    }

    /// BETWEEN, IN, EXISTS and LIKE.
    fn predicate_on_sets(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<String> {
        match expr {
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let above = self.compare(expr, &Op::GtEq, low, scope)?;
                let below = self.compare(expr, &Op::LtEq, high, scope)?;
                Ok(maybe_not(*negated, &format!("({above} AND {below})")))
            }
            Expr::InList {
                expr,
                list,
                negated,
            } => self.in_list(expr, list, *negated, scope),
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => self.in_subquery(expr, subquery, *negated, scope),
            Expr::Exists { subquery, negated } => {
                let inner = self.subquery(subquery, Some(scope))?;
                Ok(maybe_not(*negated, &format!("EXISTS ({})", inner.sql)))
            }
            Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like(expr, pattern, escape_char.as_deref(), *negated, scope),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                is_some: _,
            } => self.quantified(left, compare_op, right, false, scope),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(left, compare_op, right, true, scope),
            other => Err(self.not_a_condition(other, scope)),
        }
    }

    fn not_a_condition(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlError {
        match self.expr(expr, scope) {
            Err(error) => error,
            Ok(_) => SqlError::new(
                4145,
                format!(
                    "An expression of non-boolean type specified in a context where a condition is \
                     expected, near '{}'.",
                    summary(expr)
                ),
            )
            .class(15),
        }
    }

    /// A comparison in the operands' common type.
    pub(crate) fn compare(
        &mut self,
        left: &Expr,
        op: &Op,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        let symbol = comparison(op).ok_or_else(|| SqlError::syntax_near(op))?;
        if let Some(sql) = self.collated_compare(left, symbol, right, scope)? {
            return Ok(sql);
        }
        let a = self.expr(left, scope)?;
        let b = self.expr(right, scope)?;
        self.compare_typed(a, op, b)
    }

    pub(crate) fn compare_typed(&mut self, a: Typed, op: &Op, b: Typed) -> SqlResult<String> {
        let symbol = comparison(op).ok_or_else(|| SqlError::syntax_near(op))?;
        refuse::compare(&a, op, &b)?;
        let (a, b) = self.comparable(a, b)?;
        Ok(format!("({}{symbol}{})", a.collated(), b.sql))
    }

    /// Both operands in a form that SQLite compares as SQL Server does.
    fn comparable(&mut self, a: Typed, b: Typed) -> SqlResult<(Typed, Typed)> {
        if a.is_null() || b.is_null() {
            return Ok((a, b));
        }
        // Lengths and scales do not matter to a comparison, only the kind of storage does.
        if a.ty.storage() == b.ty.storage() && a.ty.storage() != Storage::Bytes {
            return Ok((a, b));
        }
        if a.ty.is_binary() && b.ty.is_binary() {
            // SQL Server ignores trailing zero bytes.
            let strip = |t: Typed| Typed {
                sql: format!("t_strip({})", t.sql),
                constant: None,
                ..t
            };
            return Ok((strip(a), strip(b)));
        }
        let (a, b, _) = self.unify_for_comparison(a, b)?;
        Ok((a, b))
    }

    fn unify_for_comparison(&mut self, a: Typed, b: Typed) -> SqlResult<(Typed, Typed, SqlType)> {
        let mut ty = super::super::types::common(a.ty, b.ty);
        if let SqlType::Decimal { .. } = ty {
            // The exact width is of no matter here, so take one that never overflows.
            let scale = ty.digits().map_or(0, |d| d.1);
            ty = SqlType::Decimal {
                precision: 38,
                scale,
                numeric: true,
            };
        }
        Ok((self.coerce(a, ty)?, self.coerce(b, ty)?, ty))
    }

    fn null_test(&mut self, inner: &Expr, test: &str, scope: &Scope<'_>) -> SqlResult<String> {
        let value = self.expr(inner, scope)?;
        Ok(format!("({} {test})", value.sql))
    }

    fn distinct(&mut self, a: &Expr, b: &Expr, op: &str, scope: &Scope<'_>) -> SqlResult<String> {
        let (a, b) = (self.expr(a, scope)?, self.expr(b, scope)?);
        refuse::compare(&a, &Op::Eq, &b)?;
        let (a, b) = self.comparable(a, b)?;
        Ok(format!("({} {op} {})", a.collated(), b.sql))
    }

    fn in_list(
        &mut self,
        expr: &Expr,
        list: &[Expr],
        negated: bool,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        if let Some(sql) = self.collated_in(expr, list, scope)? {
            return Ok(maybe_not(negated, &sql));
        }
        let value = self.expr(expr, scope)?;
        let mut items = Vec::new();
        for item in list {
            items.push(self.expr(item, scope)?);
        }
        for item in &items {
            refuse::compare(&value, &Op::Eq, item)?;
        }
        let mut all = items.clone();
        all.push(value.clone());
        let ty = self.common_type(&all);
        let plain = ty.storage() != Storage::Bytes;
        if !plain {
            let tests: Vec<String> = items
                .into_iter()
                .map(|item| self.compare_typed(value.clone(), &Op::Eq, item))
                .collect::<SqlResult<_>>()?;
            return Ok(maybe_not(negated, &format!("({})", tests.join(" OR "))));
        }
        let ty = match ty {
            SqlType::Decimal { scale, .. } => SqlType::Decimal {
                precision: 38,
                scale,
                numeric: true,
            },
            SqlType::Char(_) | SqlType::VarChar(_) => SqlType::VarChar(MAX),
            SqlType::NChar(_) | SqlType::NVarChar(_) => SqlType::NVarChar(MAX),
            other => other,
        };
        let value = self.coerce(value, ty)?;
        let items: Vec<String> = items
            .into_iter()
            .map(|item| self.coerce(item, ty).map(|t| t.sql))
            .collect::<SqlResult<_>>()?;
        let not = if negated { "NOT " } else { "" };
        Ok(format!(
            "({} {not}IN ({}))",
            value.collated(),
            items.join(",")
        ))
    }

    fn in_subquery(
        &mut self,
        expr: &Expr,
        query: &sqlparser::ast::Query,
        negated: bool,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        let value = self.expr(expr, scope)?;
        let inner = self.subquery(query, Some(scope))?;
        let column = inner.only_column()?;
        let alias = self.fresh("q");
        let found = Typed::new(format!("{alias}.c1"), column.ty);
        refuse::compare(&value, &Op::Eq, &found)?;
        let (a, b) = self.comparable(value, found)?;
        let not = if negated { "NOT " } else { "" };
        Ok(format!(
            "({} {not}IN (SELECT {} FROM ({}) AS {alias}))",
            a.collated(),
            b.sql,
            inner.sql
        ))
    }

    /// ANY, SOME and ALL: unknown where neither a match nor its contrary is certain.
    fn quantified(
        &mut self,
        left: &Expr,
        op: &Op,
        right: &Expr,
        all: bool,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        let query = match right {
            Expr::Subquery(query) => query,
            Expr::Nested(inner) => return self.quantified(left, op, inner, all, scope),
            other => return Err(SqlError::syntax_near(other)),
        };
        let value = self.expr(left, scope)?;
        let inner = self.subquery(query, Some(scope))?;
        let column = inner.only_column()?;
        let alias = self.fresh("q");
        let found = Typed::new(format!("{alias}.c1"), column.ty);
        let test = self.compare_typed(value, op, found)?;
        let exists = |condition: &str| {
            format!(
                "EXISTS (SELECT 1 FROM ({}) AS {alias} WHERE {condition})",
                inner.sql
            )
        };
        let (decisive, then, otherwise) = if all {
            (format!("NOT {test}"), 0, 1)
        } else {
            (test.clone(), 1, 0)
        };
        Ok(format!(
            "(CASE WHEN {} THEN {then} WHEN {} THEN NULL ELSE {otherwise} END)",
            exists(&decisive),
            exists(&format!("{test} IS NULL"))
        ))
    }

    fn like(
        &mut self,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
        scope: &Scope<'_>,
    ) -> SqlResult<String> {
        let text = |planner: &mut Self, expr: &Expr| -> SqlResult<Typed> {
            let value = planner.expr(expr, scope)?;
            if value.ty.is_text() {
                return Ok(value);
            }
            if value.ty == SqlType::Xml {
                return Err(refuse::argument(value.ty, 1, "like"));
            }
            planner.coerce(value, SqlType::VarChar(8000))
        };
        let (expr, pattern, rules) = self.like_sides(expr, pattern)?;
        let value = text(self, expr)?;
        let pattern = text(self, pattern)?;
        let unicode = value.ty.is_unicode() || pattern.ty.is_unicode();
        let escape = match escape {
            None => "NULL".to_owned(),
            Some(escape) => {
                let known = self
                    .constant_text(escape, scope, "ESCAPE")?
                    .unwrap_or_default();
                let mut chars = known.chars();
                match (chars.next(), chars.next()) {
                    (Some(one), None) => format!("'{}'", one.to_string().replace('\'', "''")),
                    _ => {
                        return Err(SqlError::new(
                            506,
                            format!(
                                "The invalid escape character \"{known}\" was specified in a LIKE predicate."
                            ),
                        ));
                    }
                }
            }
        };
        Ok(maybe_not(
            negated,
            &format!(
                "t_like({},{},{escape},'{}',{})",
                value.sql,
                pattern.sql,
                rules.name(),
                // Blanks at the end count where Unicode is compared.
                i32::from(unicode)
            ),
        ))
    }
}

fn maybe_not(negated: bool, sql: &str) -> String {
    if negated {
        format!("(NOT {sql})")
    } else {
        sql.to_owned()
    }
}

/// SQLite's spelling of a comparison.
fn comparison(op: &Op) -> Option<&'static str> {
    Some(match op {
        Op::Eq => "=",
        Op::NotEq => "<>",
        Op::Lt => "<",
        Op::Gt => ">",
        Op::LtEq => "<=",
        Op::GtEq => ">=",
        _ => return None,
    })
}
