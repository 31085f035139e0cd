//! Arithmetic that overflows with an error and decimals that stay exact.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::{Value as Stored, ValueRef};

use super::super::error::{SqlError, SqlResult};
use super::super::types::decimal::numeric_overflow;
use super::super::types::{Decimal, SqlType, Value};
use super::{int, is_null, owned, scalar, text, type_at, value};

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_ck", 2, check)?;
    scalar(conn, "t_big", 3, big)?;
    scalar(conn, "t_div", 3, divide)?;
    scalar(conn, "t_mod", 2, modulo)?;
    scalar(conn, "t_xor", 2, xor)?;
    scalar(conn, "t_float", 4, float)?;
    scalar(conn, "t_fin", 1, |ctx| finite(ctx.get_raw(0)))?;
    scalar(conn, "t_dec", 6, decimal)?;
    scalar(conn, "t_num", 3, numeric)?;
    scalar(conn, "t_round", 4, round)?;
    scalar(conn, "t_math", 3, math)
}

fn xor(ctx: &Context<'_>) -> SqlResult<Stored> {
    if null_in(ctx, 2, 0) {
        return Ok(Stored::Null);
    }
    Ok(Stored::Integer(int(ctx, 0)? ^ int(ctx, 1)?))
}

fn null_in(ctx: &Context<'_>, count: usize, from: usize) -> bool {
    (from..from + count).any(|at| is_null(ctx, at))
}

/// Whether an integer is in its type's range.
fn check(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let ty = type_at(ctx, 1)?;
    in_range(int(ctx, 0)?, ty)
}

fn in_range(value: i64, ty: SqlType) -> SqlResult<Stored> {
    match ty.int_range() {
        Some((low, high)) if value < low || value > high => Err(SqlError::overflow(ty.base_name())),
        _ => Ok(Stored::Integer(value)),
    }
}

fn big(ctx: &Context<'_>) -> SqlResult<Stored> {
    if null_in(ctx, 2, 1) {
        return Ok(Stored::Null);
    }
    let (a, b) = (int(ctx, 1)?, int(ctx, 2)?);
    let result = match text(ctx, 0)? {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        _ => a.checked_mul(b),
    };
    result
        .map(Stored::Integer)
        .ok_or_else(|| SqlError::overflow("bigint"))
}

fn divide(ctx: &Context<'_>) -> SqlResult<Stored> {
    if null_in(ctx, 2, 0) {
        return Ok(Stored::Null);
    }
    let ty = type_at(ctx, 2)?;
    match (int(ctx, 0)?, int(ctx, 1)?) {
        (_, 0) => Err(SqlError::divide_by_zero()),
        (a, b) => in_range(
            a.checked_div(b)
                .ok_or_else(|| SqlError::overflow("bigint"))?,
            ty,
        ),
    }
}

fn modulo(ctx: &Context<'_>) -> SqlResult<Stored> {
    if null_in(ctx, 2, 0) {
        return Ok(Stored::Null);
    }
    match (int(ctx, 0)?, int(ctx, 1)?) {
        (_, 0) => Err(SqlError::divide_by_zero()),
        (a, b) => Ok(Stored::Integer(a.checked_rem(b).unwrap_or(0))),
    }
}

pub(super) fn real(ctx: &Context<'_>, at: usize) -> SqlResult<f64> {
    match ctx.get_raw(at) {
        ValueRef::Real(v) => Ok(v),
        _ => Err(SqlError::internal("a function got no float")),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "real has 32 bits")]
fn float(ctx: &Context<'_>) -> SqlResult<Stored> {
    if null_in(ctx, 2, 1) {
        return Ok(Stored::Null);
    }
    let (a, b) = (real(ctx, 1)?, real(ctx, 2)?);
    let result = match text(ctx, 0)? {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        _ if b == 0.0 => return Err(SqlError::divide_by_zero()),
        _ => a / b,
    };
    let result = if int(ctx, 3)? == 1 {
        f64::from(result as f32)
    } else {
        result
    };
    finite(ValueRef::Real(result))
}

fn finite(value: ValueRef<'_>) -> SqlResult<Stored> {
    match value {
        ValueRef::Real(v) if !v.is_finite() => Err(SqlError::overflow("float")),
        other => Ok(owned(other)),
    }
}

fn dec(ctx: &Context<'_>, at: usize) -> SqlResult<Decimal> {
    match value(ctx, at, SqlType::Money)? {
        Value::Decimal(v) => Ok(v),
        _ => Err(SqlError::internal("a function got no decimal")),
    }
}

fn small(value: i64) -> u8 {
    u8::try_from(value).unwrap_or(0)
}

fn decimal(ctx: &Context<'_>) -> SqlResult<Stored> {
    if null_in(ctx, 2, 1) {
        return Ok(Stored::Null);
    }
    let (a, b) = (dec(ctx, 1)?, dec(ctx, 2)?);
    let (precision, scale) = (small(int(ctx, 3)?), small(int(ctx, 4)?));
    let result = match text(ctx, 0)? {
        "+" => a.add(b, precision, scale)?,
        "-" => a.add(b.negate(), precision, scale)?,
        "*" => a.mul(b, precision, scale)?,
        "/" => a.div(b, precision, scale)?,
        _ => a.rem(b)?,
    };
    if int(ctx, 5)? == 1 {
        money_range(result)?;
    }
    Ok(Value::Decimal(result).into_stored())
}

fn money_range(value: Decimal) -> SqlResult<()> {
    let fits = value
        .rescale(38, 4)
        .is_some_and(|v| i64::try_from(v.mantissa()).is_ok());
    if fits {
        Ok(())
    } else {
        Err(SqlError::overflow("money"))
    }
}

/// ABS, SIGN, CEILING and FLOOR. Decimals come with all their digits.
fn numeric(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let (name, ty) = (text(ctx, 0)?, type_at(ctx, 2)?);
    Ok(match value(ctx, 1, ty)? {
        Value::Int(v) => match name {
            "ABS" => {
                return in_range(
                    v.checked_abs()
                        .ok_or_else(|| SqlError::overflow("bigint"))?,
                    ty,
                );
            }
            "SIGN" => Stored::Integer(v.signum()),
            _ => Stored::Integer(v),
        },
        Value::Float(v) => Stored::Real(match name {
            "ABS" => v.abs(),
            "SIGN" if v == 0.0 => 0.0,
            "SIGN" => v.signum(),
            "CEILING" => v.ceil(),
            _ => v.floor(),
        }),
        Value::Decimal(v) => Value::Decimal(decimal_numeric(name, v)?).into_stored(),
        _ => return Err(SqlError::internal("a function got no number")),
    })
}

fn decimal_numeric(name: &str, v: Decimal) -> SqlResult<Decimal> {
    let cut = v.truncate(0);
    let exact = cut == v;
    let step = |by: i64| cut.add(Decimal::from_int(by), 38, 0);
    match name {
        "ABS" if v.is_negative() => Ok(v.negate()),
        "ABS" => Ok(v),
        "SIGN" => Ok(Decimal::from_int(if v.is_zero() {
            0
        } else if v.is_negative() {
            -1
        } else {
            1
        })),
        "CEILING" if !exact && !v.is_negative() => step(1),
        "FLOOR" if !exact && v.is_negative() => step(-1),
        _ => Ok(cut),
    }
}

fn round(ctx: &Context<'_>) -> SqlResult<Stored> {
    if null_in(ctx, 3, 0) {
        return Ok(Stored::Null);
    }
    let (digits, truncate, ty) = (
        int(ctx, 1)?.clamp(-40, 40),
        int(ctx, 2)? != 0,
        type_at(ctx, 3)?,
    );
    match value(ctx, 0, ty)? {
        Value::Int(v) => {
            let rounded = round_decimal(Decimal::from_int(v), digits, truncate)?;
            in_range(
                rounded
                    .to_i64()
                    .ok_or_else(|| SqlError::overflow(ty.base_name()))?,
                ty,
            )
        }
        Value::Decimal(v) => {
            let rounded = round_decimal(v, digits, truncate)?;
            let (precision, scale) = ty.digits().unwrap_or((38, 0));
            let fits = rounded
                .rescale(precision, scale)
                .ok_or_else(numeric_overflow)?;
            Ok(Value::Decimal(fits).into_stored())
        }
        Value::Float(v) => {
            let factor = 10f64.powi(i32::try_from(digits).unwrap_or(0));
            let scaled = v * factor;
            let whole = if truncate {
                scaled.trunc()
            } else {
                scaled.round()
            };
            finite(ValueRef::Real(if scaled.is_finite() {
                whole / factor
            } else {
                v
            }))
        }
        _ => Err(SqlError::internal("ROUND of no number")),
    }
}

fn round_decimal(v: Decimal, digits: i64, truncate: bool) -> SqlResult<Decimal> {
    if let Ok(scale) = u8::try_from(digits) {
        if scale >= 38 {
            return Ok(v);
        }
        return if truncate {
            Ok(v.truncate(scale))
        } else {
            v.rescale(38, scale)
                .or(Some(v))
                .ok_or_else(numeric_overflow)
        };
    }
    // Negative digits: divide by the power of ten, round, and multiply again.
    let by = u32::try_from(-digits).unwrap_or(38);
    let Some(power) = 10i128.checked_pow(by).and_then(|p| Decimal::new(p, 0)) else {
        return Ok(Decimal::ZERO);
    };
    let cut = v.truncate(0).div(power, 38, 1)?;
    let whole = if truncate {
        cut.truncate(0)
    } else {
        cut.rescale(38, 0).ok_or_else(numeric_overflow)?
    };
    whole.mul(power, 38, 0)
}

fn math(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let v = real(ctx, 1)?;
    let domain = || SqlError::new(3623, "An invalid floating point operation occurred.");
    let result = match text(ctx, 0)? {
        "SQRT" if v < 0.0 => return Err(domain()),
        "LOG" | "LOG10" if v <= 0.0 => return Err(domain()),
        "SQRT" => v.sqrt(),
        "EXP" => v.exp(),
        "LOG" => v.ln(),
        "LOG10" => v.log10(),
        "SIN" => v.sin(),
        "COS" => v.cos(),
        "TAN" => v.tan(),
        "SQUARE" => v * v,
        "RADIANS" => v.to_radians(),
        "DEGREES" => v.to_degrees(),
        _ if is_null(ctx, 2) => return Ok(Stored::Null),
        _ => v.powf(real(ctx, 2)?),
    };
    if result.is_nan() {
        return Err(domain());
    }
    finite(ValueRef::Real(result))
}
