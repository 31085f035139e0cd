//! Operators on numbers, texts and dates: types, overflow, exactness.

use sqlparser::ast::BinaryOperator as Op;

use super::super::error::{SqlError, SqlResult};
use super::super::types::allow::clash;
use super::super::types::{
    MAX, SqlType, Storage, Value, common, decimal::MAX_PRECISION, is_numeric_type,
};
use super::{Planner, Typed, refuse};

use SqlType as T;

impl Planner<'_> {
    pub(crate) fn operate(&mut self, a: Typed, op: &Op, b: Typed) -> SqlResult<Typed> {
        match op {
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => {}
            Op::BitwiseAnd | Op::BitwiseOr | Op::BitwiseXor => return self.bitwise(a, op, b),
            Op::Eq | Op::NotEq | Op::Lt | Op::Gt | Op::LtEq | Op::GtEq | Op::And | Op::Or => {
                return Err(SqlError::syntax_near(op).class(15));
            }
            other => return Err(SqlError::unsupported(format!("operator {other}"))),
        }
        refuse::operand(&a, operator_name(op), &b)?;
        let nullable = a.nullable || b.nullable;
        let result = self.arithmetic(a, op, b)?;
        Ok(Typed { nullable, ..result })
    }

    fn arithmetic(&mut self, a: Typed, op: &Op, b: Typed) -> SqlResult<Typed> {
        let text = |t: &Typed| t.ty.is_text() && !t.is_null();
        let binary = |t: &Typed| t.ty.is_binary() && !t.is_null();
        if *op == Op::Plus
            && (text(&a) || a.is_null())
            && (text(&b) || b.is_null())
            && (text(&a) || text(&b))
        {
            return self.concatenate(a, b);
        }
        if *op == Op::Plus && binary(&a) && binary(&b) {
            let n =
                a.ty.length()
                    .unwrap_or(MAX)
                    .saturating_add(b.ty.length().unwrap_or(MAX));
            let n = if n > 8000 { MAX } else { n };
            return Ok(Typed::new(
                format!("t_bytes({},{})", a.sql, b.sql),
                T::VarBinary(n),
            ));
        }
        if a.ty.is_temporal() || b.ty.is_temporal() {
            return self.date_arithmetic(a, op, b);
        }
        let ty = self.numeric_type(&a, op, &b)?;
        match ty.storage() {
            Storage::Int => self.integer_arithmetic(a, op, b, ty),
            Storage::Float => {
                let (a, b) = (self.coerce(a, T::Float)?, self.coerce(b, T::Float)?);
                if *op == Op::Modulo {
                    return Err(incompatible("float", "float", op));
                }
                Ok(Typed::new(
                    format!(
                        "t_float('{op}',{},{},{})",
                        a.sql,
                        b.sql,
                        i32::from(ty == T::Real)
                    ),
                    ty,
                ))
            }
            _ => self.decimal_arithmetic(a, op, b, ty),
        }
    }

    /// The type in which two numbers are calculated; texts become numbers, as T-SQL has it.
    fn numeric_type(&self, a: &Typed, op: &Op, b: &Typed) -> SqlResult<SqlType> {
        let ty = match (a.is_null(), b.is_null()) {
            (true, false) => b.ty,
            (false, true) => a.ty,
            _ => common(a.ty, b.ty),
        };
        let bad = |t: &Typed| {
            !t.ty.is_numeric() && !(t.ty.is_text() && (a.ty.is_numeric() || b.ty.is_numeric()))
        };
        if bad(a) || bad(b) || !ty.is_numeric() {
            if a.ty.is_text() && b.ty.is_text() {
                return Err(SqlError::new(
                    8117,
                    format!(
                        "Operand data type {} is invalid for {} operator.",
                        a.ty.base_name(),
                        operator_name(op)
                    ),
                ));
            }
            return Err(incompatible(a.ty.base_name(), b.ty.base_name(), op));
        }
        // Bits are added as bits never: SQL Server refuses.
        if ty == T::Bit {
            return Err(incompatible("bit", "bit", op));
        }
        Ok(ty)
    }

    fn integer_arithmetic(&mut self, a: Typed, op: &Op, b: Typed, ty: SqlType) -> SqlResult<Typed> {
        let (a, b) = (self.coerce(a, ty)?, self.coerce(b, ty)?);
        let sql = match op {
            Op::Divide => format!("t_div({},{},{})", a.sql, b.sql, ty.code()),
            Op::Modulo => format!("t_mod({},{})", a.sql, b.sql),
            // Two 32-bit numbers cannot overflow 64 bits, so SQLite may calculate.
            _ if ty != T::BigInt => format!("t_ck({}{op}{},{})", a.sql, b.sql, ty.code()),
            _ => format!("t_big('{op}',{},{})", a.sql, b.sql),
        };
        Ok(Typed::new(sql, ty))
    }

    fn decimal_arithmetic(&mut self, a: Typed, op: &Op, b: Typed, ty: SqlType) -> SqlResult<Typed> {
        let (from_a, from_b) = (operand_type(&a, &b), operand_type(&b, &a));
        let numeric = is_numeric_type(from_a, from_b);
        let money = ty.is_money()
            && !matches!(from_a, T::Decimal { .. })
            && !matches!(from_b, T::Decimal { .. });
        let small = |t: SqlType| t != T::Money;
        let result = if money || from_a.is_money() && from_b.is_money() {
            if ty == T::SmallMoney && small(from_a) && small(from_b) {
                T::SmallMoney
            } else {
                T::Money
            }
        } else {
            let (a, b) = (
                from_a.digits().unwrap_or((38, 0)),
                from_b.digits().unwrap_or((38, 0)),
            );
            decimal_result(op, a, b, numeric)
        };
        // A text is read as the other operand's type, which matters for money.
        let (a, b) = (self.coerce(a, from_a)?, self.coerce(b, from_b)?);
        let (a, b) = (
            self.coerce(a, as_decimal(from_a, numeric))?,
            self.coerce(b, as_decimal(from_b, numeric))?,
        );
        let (precision, scale) = result.digits().unwrap_or((38, 0));
        let check = i32::from(result.is_money());
        let sum = Typed::new(
            format!(
                "t_dec('{op}',{},{},{precision},{scale},{check})",
                a.sql, b.sql
            ),
            if result.is_money() { T::Money } else { result },
        );
        self.coerce(sum, result)
    }

    fn concatenate(&mut self, a: Typed, b: Typed) -> SqlResult<Typed> {
        let unicode = a.ty.is_unicode() && !a.is_null() || b.ty.is_unicode() && !b.is_null();
        let length = |t: &Typed| {
            if t.is_null() {
                0
            } else {
                t.ty.length().unwrap_or(MAX)
            }
        };
        let (n, m) = (length(&a), length(&b));
        let most = if unicode { 4000 } else { 8000 };
        let total = n.saturating_add(m);
        let max = n == MAX || m == MAX;
        let n = if max { MAX } else { total.clamp(1, most) };
        let ty = if unicode {
            T::NVarChar(n)
        } else {
            T::VarChar(n)
        };
        if let (Some(Value::Text(x)), Some(Value::Text(y))) = (&a.constant, &b.constant)
            && total <= most
        {
            return Ok(Typed::constant(Value::Text(format!("{x}{y}")), ty));
        }
        let joined = format!("({}||{})", a.sql, b.sql);
        // Two bounded texts stay bounded: the rest is cut.
        if !max && total > most {
            let full = if unicode {
                T::NVarChar(MAX)
            } else {
                T::VarChar(MAX)
            };
            return Ok(Typed::new(
                format!("t_cv({joined},{},{},NULL)", full.code(), ty.code()),
                ty,
            ));
        }
        Ok(Typed::new(joined, ty))
    }

    /// The old types add and subtract as if they were numbers of days since 1900.
    fn date_arithmetic(&mut self, a: Typed, op: &Op, b: Typed) -> SqlResult<Typed> {
        let old = |t: SqlType| matches!(t, T::DateTime | T::SmallDateTime);
        let new = |t: &Typed| t.ty.is_temporal() && !old(t.ty);
        if a.ty == b.ty && new(&a) {
            return Err(SqlError::new(
                8117,
                format!(
                    "Operand data type {} is invalid for {} operator.",
                    a.ty.base_name(),
                    operator_name(op)
                ),
            ));
        }
        if new(&a) && b.ty.is_numeric() && !b.is_null() {
            return Err(clash(a.ty, b.ty));
        }
        if new(&b) && a.ty.is_numeric() && !a.is_null() {
            return Err(clash(a.ty, b.ty));
        }
        let plain = |t: &Typed| old(t.ty) || t.ty.is_numeric() || t.ty.is_text();
        let sign = match op {
            Op::Plus => "+",
            Op::Minus => "-",
            _ => return Err(incompatible(a.ty.base_name(), b.ty.base_name(), op)),
        };
        if !plain(&a) || !plain(&b) {
            return Err(incompatible(a.ty.base_name(), b.ty.base_name(), op));
        }
        let ty = if a.ty == T::DateTime || b.ty == T::DateTime {
            T::DateTime
        } else {
            T::SmallDateTime
        };
        let (a, b) = (self.coerce(a, T::DateTime)?, self.coerce(b, T::DateTime)?);
        let sum = Typed::new(
            format!("t_datesum('{sign}',{},{})", a.sql, b.sql),
            T::DateTime,
        );
        self.coerce(sum, ty)
    }

    fn bitwise(&mut self, a: Typed, op: &Op, b: Typed) -> SqlResult<Typed> {
        refuse::operand(&a, operator_name(op), &b)?;
        let nullable = a.nullable || b.nullable;
        let ints = |t: &Typed| t.is_null() || t.ty.is_integer();
        // One of the two may be binary.
        let (a, b) = match (a.ty.is_binary(), b.ty.is_binary()) {
            (true, false) if b.ty.is_integer() => (self.coerce(a, b.ty)?, b),
            (false, true) if a.ty.is_integer() => {
                let ty = a.ty;
                (a, self.coerce(b, ty)?)
            }
            _ => (a, b),
        };
        if !ints(&a) || !ints(&b) {
            return Err(incompatible(a.ty.base_name(), b.ty.base_name(), op));
        }
        let (a, b, ty) = self.unify(a, b)?;
        let sql = match op {
            Op::BitwiseAnd => format!("({}&{})", a.sql, b.sql),
            Op::BitwiseOr => format!("({}|{})", a.sql, b.sql),
            // SQLite has no such operator; in others each operand would stand twice.
            _ => format!("t_xor({},{})", a.sql, b.sql),
        };
        Ok(Typed {
            nullable,
            ..Typed::new(sql, ty)
        })
    }

    pub(crate) fn negate(&mut self, value: Typed) -> SqlResult<Typed> {
        if value.is_null() {
            return Ok(value);
        }
        if let Some(known) = &value.constant {
            let negated = match known {
                Value::Int(v) if value.ty == T::Int && *v != i64::from(i32::MIN) => {
                    Some(Value::Int(-v))
                }
                Value::Float(v) => Some(Value::Float(-v)),
                Value::Decimal(v) => Some(Value::Decimal(v.negate())),
                _ => None,
            };
            // The literal 2147483648 is a decimal, but its negation still is one in SQL Server, too.
            if let Some(negated) = negated.filter(|_| value.ty.is_numeric()) {
                return Ok(Typed {
                    digits: value.digits,
                    nullable: value.nullable,
                    ..Typed::constant(negated, value.ty)
                });
            }
        }
        if value.ty == T::Bit {
            return Err(SqlError::new(
                8117,
                "Operand data type bit is invalid for minus operator.",
            ));
        }
        let zero = Typed {
            digits: Some(1),
            ..Typed::constant(Value::Int(0), T::Int)
        };
        let zero = if matches!(value.ty, T::TinyInt | T::SmallInt) {
            self.coerce(zero, T::SmallInt)?
        } else {
            zero
        };
        if value.ty.is_text() {
            return Err(SqlError::new(
                8117,
                format!(
                    "Operand data type {} is invalid for minus operator.",
                    value.ty.base_name()
                ),
            ));
        }
        let ty = value.ty;
        let result = self.operate(zero, &Op::Minus, value)?;
        if ty.is_exact_numeric() && !ty.is_integer() {
            return self.coerce(result, ty);
        }
        Ok(result)
    }
}

/// An operand's own type as a number; an integer literal has just its digits.
fn operand_type(value: &Typed, other: &Typed) -> SqlType {
    if value.is_null() {
        return other.ty;
    }
    if value.ty.is_text() {
        return other.ty;
    }
    match (value.digits, other.ty) {
        (Some(precision), T::Decimal { numeric, .. }) => T::Decimal {
            precision,
            scale: 0,
            numeric,
        },
        _ => value.ty,
    }
}

fn as_decimal(ty: SqlType, numeric: bool) -> SqlType {
    match ty.digits() {
        Some((precision, scale)) => T::Decimal {
            precision,
            scale,
            numeric,
        },
        None => ty,
    }
}

/// Precision and scale of a result, as documented for decimal arithmetic.
fn decimal_result(op: &Op, (p1, s1): (u8, u8), (p2, s2): (u8, u8), numeric: bool) -> SqlType {
    let [p1, s1, p2, s2] = [p1, s1, p2, s2].map(i32::from);
    let whole = (p1 - s1).max(p2 - s2);
    let most = i32::from(MAX_PRECISION);
    let (precision, scale) = match op {
        Op::Multiply => (p1 + p2 + 1, s1 + s2),
        Op::Divide => {
            let scale = 6.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        Op::Modulo => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
        _ => (whole + s1.max(s2) + 1, s1.max(s2)),
    };
    let (precision, scale) = if precision <= most {
        (precision, scale)
    } else if matches!(op, Op::Multiply | Op::Divide) {
        let integral = precision - scale;
        let scale = if integral < 32 {
            scale.min(most - integral)
        } else {
            scale.min(6)
        };
        (most, scale)
    } else {
        (most, scale.min(most - whole).max(0))
    };
    let small = |n: i32| u8::try_from(n.clamp(0, most)).unwrap_or(0);
    T::Decimal {
        precision: small(precision.max(1)),
        scale: small(scale),
        numeric,
    }
}

fn operator_name(op: &Op) -> &'static str {
    match op {
        Op::Plus => "add",
        Op::Minus => "subtract",
        Op::Multiply => "multiply",
        Op::Divide => "divide",
        Op::Modulo => "modulo",
        Op::BitwiseAnd => "'&'",
        Op::BitwiseOr => "'|'",
        _ => "'^'",
    }
}

fn incompatible(a: &str, b: &str, op: &Op) -> SqlError {
    SqlError::new(
        402,
        format!(
            "The data types {a} and {b} are incompatible in the {} operator.",
            operator_name(op)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_documented_digits() {
        for (op, a, b, expected) in [
            (Op::Plus, (5, 2), (7, 3), "decimal(8,3)"),
            (Op::Multiply, (5, 2), (7, 3), "decimal(13,5)"),
            (Op::Divide, (5, 2), (5, 2), "decimal(13,8)"),
            (Op::Divide, (2, 1), (2, 1), "decimal(8,6)"),
            (Op::Multiply, (38, 10), (38, 10), "decimal(38,6)"),
            (Op::Plus, (38, 10), (38, 4), "decimal(38,4)"),
        ] {
            assert_eq!(decimal_result(&op, a, b, false).to_string(), expected);
        }
    }
}
