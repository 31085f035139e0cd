//! Scalar expressions.

use sqlparser::ast::{
    BinaryOperator as Op, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, Ident,
    UnaryOperator, Value as Lit,
};

use super::super::error::{SqlError, SqlResult};
use super::super::parser::types as type_names;
use super::super::types::{Decimal, MAX, SqlType, Value, convert, decimal};
use super::{Planner, Scope, Typed};

/// Stack to have before going a level deeper, and how much to take when it is short.
const RED_ZONE: usize = 128 << 10;
const STACK: usize = 2 << 20;

/// The longest translation of an expression, in bytes.
const MAX_SQL: usize = 32 << 20;

/// 8623 for a translation that grows beyond all bounds: some constructs take an operand twice, and
/// twice as much again on every level of nesting.
pub(super) fn bounded(sql: &str) -> SqlResult<()> {
    if sql.len() <= MAX_SQL {
        return Ok(());
    }
    Err(SqlError::out_of_resources())
}

impl Planner<'_> {
    /// Plans a scalar expression.
    pub(crate) fn expr(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let planned = stacker::maybe_grow(RED_ZONE, STACK, || self.expr_inner(expr, scope))?;
        if planned.constant.is_none() {
            bounded(&planned.sql)?;
        }
        Ok(planned)
    }

    fn expr_inner(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        if let Some(grouped) = self.grouped(expr, scope)? {
            return Ok(grouped);
        }
        if let Some(left_out) = self.left_out(expr, scope) {
            return Ok(left_out);
        }
        match expr {
            Expr::Identifier(ident) => self.identifier(ident, scope),
            Expr::CompoundIdentifier(path) => scope.column(path),
            Expr::Value(value) => literal(&value.value),
            Expr::Nested(inner) => self.expr(inner, scope),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, scope),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, scope),
            Expr::Cast {
                kind,
                expr,
                data_type,
                format: None,
            } => {
                let try_ = matches!(kind, CastKind::TryCast);
                if !try_ && !matches!(kind, CastKind::Cast) {
                    return Err(SqlError::syntax_near("::"));
                }
                self.cast_to(expr, data_type, None, try_, scope)
            }
            Expr::Convert {
                is_try,
                expr,
                data_type: Some(ty),
                charset: None,
                styles,
                target_before_value: _,
            } if styles.len() < 2 => self.cast_to(expr, ty, styles.first(), *is_try, scope),
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(
                operand.as_deref(),
                conditions,
                else_result.as_deref(),
                scope,
            ),
            Expr::Subquery(query) => self.scalar_subquery(query, scope),
            Expr::Function(function) => self.function(function, scope),
            Expr::Collate { expr, collation } => self.collate(expr, &collation.to_string(), scope),
            _ => self.special_form(expr, scope),
        }
    }

    /// Expressions for which sqlparser has forms of their own.
    fn special_form(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        match expr {
            Expr::Substring {
                expr,
                substring_from: Some(from),
                substring_for: Some(length),
                special: true,
                shorthand: false,
            } => self.named_call("SUBSTRING", &[expr, from, length], scope),
            Expr::Trim {
                trim_where: None,
                trim_what: None,
                expr,
                trim_characters: None,
            } => self.named_call("TRIM", &[expr], scope),
            Expr::Trim {
                trim_where,
                trim_what: Some(set),
                expr,
                trim_characters: None,
            } => {
                let (text, set) = (self.expr(expr, scope)?, self.expr(set, scope)?);
                let side = trim_where.map_or_else(String::new, |s| s.to_string());
                self.trimmed(&side, &text, &set)
            }
            Expr::Ceil {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => self.named_call("CEILING", &[expr], scope),
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => self.named_call("FLOOR", &[expr], scope),
            Expr::Prefixed { prefix, value } if prefix.value == "$" => {
                let amount = self.expr(value, scope)?;
                self.coerce(amount, SqlType::Money)
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.at_time_zone(timestamp, time_zone, scope),
            Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::Exists { .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_) => Err(SqlError::new(
                102,
                "Incorrect syntax: a condition stands where a value is expected.",
            )
            .class(15)),
            other => Err(SqlError::unsupported(summary(other))),
        }
    }

    /// An expression that the query groups by means the group's value.
    fn grouped(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Option<Typed>> {
        let matches = scope.groups.as_ref().is_some_and(|groups| {
            !scope.in_aggregate.get()
                && !matches!(
                    expr,
                    Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)
                )
                && groups.exprs.contains(expr)
        });
        if !matches {
            return Ok(None);
        }
        let outer = scope.in_aggregate.replace(true);
        let planned = self.expr_inner_ungrouped(expr, scope);
        scope.in_aggregate.set(outer);
        planned.map(Some)
    }

    fn expr_inner_ungrouped(&mut self, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        self.expr_inner(expr, scope)
    }

    fn identifier(&mut self, ident: &Ident, scope: &Scope<'_>) -> SqlResult<Typed> {
        if ident.quote_style.is_none() {
            if ident.value.starts_with("@@") {
                return self.global(&ident.value);
            }
            if ident.value.starts_with('@') {
                return self.variable(&ident.value);
            }
        }
        let found = scope.column(std::slice::from_ref(ident));
        if found.is_err() && ident.quote_style.is_none() {
            // CURRENT_USER and the like are calls without parentheses.
            if let Some(value) = self.niladic(&ident.value)? {
                return Ok(value);
            }
        }
        found
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr, scope: &Scope<'_>) -> SqlResult<Typed> {
        let value = self.expr(expr, scope)?;
        match op {
            UnaryOperator::Plus => Ok(value),
            UnaryOperator::Minus => self.negate(value),
            UnaryOperator::BitwiseNot if value.ty.is_integer() => {
                let sql = if value.ty == SqlType::Bit {
                    format!("(1-{})", value.sql)
                } else if value.ty == SqlType::TinyInt {
                    format!("(255-{})", value.sql)
                } else {
                    format!("(~{})", value.sql)
                };
                Ok(Typed {
                    nullable: value.nullable,
                    ..Typed::new(sql, value.ty)
                })
            }
            UnaryOperator::Not => Err(SqlError::keyword_near("NOT")),
            other => Err(SqlError::unsupported(format!("operator {other}"))),
        }
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &Op,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let a = self.expr(left, scope)?;
        let b = self.expr(right, scope)?;
        self.operate(a, op, b)
    }

    fn cast_to(
        &mut self,
        expr: &Expr,
        ty: &DataType,
        style: Option<&Expr>,
        try_: bool,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let to = type_names::parse_for_cast(&ty.to_string())?;
        let value = self.expr(expr, scope)?;
        let style = match style {
            None => None,
            Some(style) => Some(self.constant_int(style, scope, "CONVERT style")?),
        };
        self.cast(value, to, style, true, try_)
    }

    /// An integer that must be known now: a literal or a variable.
    pub(crate) fn constant_int(
        &mut self,
        expr: &Expr,
        scope: &Scope<'_>,
        what: &str,
    ) -> SqlResult<i64> {
        let value = self.expr(expr, scope)?;
        let value = self.coerce(value, SqlType::BigInt)?;
        match value.constant {
            Some(Value::Int(v)) => Ok(v),
            _ => Err(SqlError::unsupported(format!("{what} that is no constant"))),
        }
    }

    /// A text that must be known now.
    pub(crate) fn constant_text(
        &mut self,
        expr: &Expr,
        scope: &Scope<'_>,
        what: &str,
    ) -> SqlResult<Option<String>> {
        let value = self.expr(expr, scope)?;
        let value = self.coerce(value, SqlType::NVarChar(MAX))?;
        match value.constant {
            Some(Value::Text(v)) => Ok(Some(v)),
            Some(Value::Null) => Ok(None),
            _ => Err(SqlError::unsupported(format!("{what} that is no constant"))),
        }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        arms: &[CaseWhen],
        other: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for arm in arms {
            conditions.push(match operand {
                Some(operand) => self.compare(operand, &Op::Eq, &arm.condition, scope)?,
                None => self.predicate(&arm.condition, scope)?,
            });
            results.push(self.expr(&arm.result, scope)?);
        }
        let last = match other {
            Some(other) => self.expr(other, scope)?,
            None => Typed::null(),
        };
        results.push(last);
        self.choose(conditions, results)
    }

    /// CASE with conditions and one result more; the results get their common type.
    pub(crate) fn choose(
        &mut self,
        conditions: Vec<String>,
        results: Vec<Typed>,
    ) -> SqlResult<Typed> {
        if results.iter().all(Typed::is_null) {
            return Err(SqlError::new(
                8133,
                "At least one of the result expressions in a CASE specification must be an expression \
                 other than the NULL constant.",
            ));
        }
        let ty = self.common_type(&results);
        let nullable = results.iter().any(|r| r.nullable);
        let mut results = results.into_iter();
        let mut sql = String::from("CASE");
        for condition in conditions {
            let Some(result) = results.next() else { break };
            let result = self.coerce(result, ty)?;
            sql.push_str(&format!(" WHEN {condition} THEN {}", result.sql));
        }
        if let Some(last) = results.next() {
            sql.push_str(&format!(" ELSE {}", self.coerce(last, ty)?.sql));
        }
        sql.push_str(" END");
        Ok(Typed {
            nullable,
            ..Typed::new(format!("({sql})"), ty)
        })
    }

    fn scalar_subquery(
        &mut self,
        query: &sqlparser::ast::Query,
        scope: &Scope<'_>,
    ) -> SqlResult<Typed> {
        let planned = self.subquery(query, Some(scope))?;
        let column = planned.only_column()?;
        // SQLite would take the first of several rows in silence.
        let alias = self.fresh("q");
        Ok(Typed::new(
            format!(
                "(SELECT t_one(count(*), {alias}.c1) FROM ({}) AS {alias})",
                planned.sql
            ),
            column.ty,
        ))
    }

    fn collate(&mut self, expr: &Expr, collation: &str, scope: &Scope<'_>) -> SqlResult<Typed> {
        if !is_default_collation(collation) {
            return Err(SqlError::unsupported(format!("COLLATE {collation}")));
        }
        self.expr(expr, scope)
    }
}

/// Whether COLLATE changes nothing.
pub(super) fn is_default_collation(name: &str) -> bool {
    [
        "SQL_Latin1_General_CP1_CI_AS",
        "DATABASE_DEFAULT",
        "CATALOG_DEFAULT",
    ]
    .iter()
    .any(|known| known.eq_ignore_ascii_case(name))
}

/// A literal's type is the narrowest that holds it.
fn literal(value: &Lit) -> SqlResult<Typed> {
    let length = |text: &str| u16::try_from(text.encode_utf16().count()).unwrap_or(MAX);
    Ok(match value {
        Lit::Null => Typed::null(),
        Lit::Placeholder(text) if text == "$" => {
            return Err(SqlError::unsupported("the money literal $"));
        }
        Lit::Placeholder(text) if text.starts_with('$') => return number(text),
        Lit::SingleQuotedString(text) => {
            let text = super::super::types::codepage::squeeze(text.clone());
            let n = super::super::types::limit_text(length(&text), false);
            Typed::constant(Value::Text(text), SqlType::VarChar(n))
        }
        Lit::NationalStringLiteral(text) => {
            let n = super::super::types::limit_text(length(text), true);
            Typed::constant(Value::Text(text.clone()), SqlType::NVarChar(n))
        }
        Lit::HexStringLiteral(text) => {
            let padded = if text.len() % 2 == 1 {
                format!("0{text}")
            } else {
                text.clone()
            };
            let bytes = convert::hex(&padded).ok_or_else(|| SqlError::syntax_near(text))?;
            let n = u16::try_from(bytes.len().max(1))
                .ok()
                .filter(|n| *n <= 8000)
                .unwrap_or(MAX);
            Typed::constant(Value::Bytes(bytes), SqlType::VarBinary(n))
        }
        Lit::Number(text, _) => return number(text),
        other => return Err(SqlError::syntax_near(other)),
    })
}

fn number(text: &str) -> SqlResult<Typed> {
    if let Some(amount) = text.strip_prefix('$') {
        let value = Decimal::parse(amount)
            .and_then(|d| d.rescale(19, 4))
            .ok_or_else(|| SqlError::syntax_near(text))?;
        return Ok(Typed::constant(Value::Decimal(value), SqlType::Money));
    }
    if text.contains(['e', 'E']) {
        let value: f64 = text.parse().map_err(|_| SqlError::syntax_near(text))?;
        if !value.is_finite() {
            return Err(SqlError::new(168, format!("The floating point value '{text}' is out of the range of computer representation (8 bytes).")).class(15));
        }
        return Ok(Typed::constant(Value::Float(value), SqlType::Float));
    }
    let digits = text
        .trim_start_matches('0')
        .split('.')
        .map(str::len)
        .sum::<usize>()
        .max(1);
    if !text.contains('.')
        && let Ok(value) = text.parse::<i32>()
    {
        return Ok(Typed {
            digits: u8::try_from(digits).ok(),
            ..Typed::constant(Value::Int(value.into()), SqlType::Int)
        });
    }
    let scale = text
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let too_long = || {
        SqlError::new(1007, format!("The number '{text}' is out of the range for numeric representation (maximum precision 38)."))
            .class(15)
    };
    let value = Decimal::parse(text).ok_or_else(too_long)?;
    let scale = u8::try_from(scale).map_err(|_| too_long())?;
    let precision = u8::try_from(digits)
        .map_err(|_| too_long())?
        .max(scale)
        .max(1);
    if precision > decimal::MAX_PRECISION {
        return Err(too_long());
    }
    Ok(Typed::constant(
        Value::Decimal(value),
        SqlType::Decimal {
            precision,
            scale,
            numeric: true,
        },
    ))
}

/// The beginning of an expression, for an error.
pub(crate) fn summary(expr: &Expr) -> String {
    expr.to_string().chars().take(60).collect()
}
