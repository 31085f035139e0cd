//! Powers, angles and bits.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{Decimal, SqlType, Value};
use super::numbers::real;
use super::{int, is_null, scalar, text, type_at, value};

use SqlType as T;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_power", 3, power)?;
    scalar(conn, "t_trig", 3, trig)?;
    scalar(conn, "t_bits", 4, bits)
}

fn domain() -> SqlError {
    SqlError::new(3623, "An invalid floating point operation occurred.")
}

/// `POWER`: base, exponent as float, the result's type.
fn power(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let ty = type_at(ctx, 2)?;
    let (base, exponent) = (real(ctx, 0)?, real(ctx, 1)?);
    if base == 0.0 && exponent < 0.0 {
        return Err(SqlError::divide_by_zero());
    }
    let result = base.powf(exponent);
    if result.is_nan() {
        return Err(domain());
    }
    match ty {
        T::Float if result.is_infinite() => Err(SqlError::overflow("float")),
        T::Float => Ok(Stored::Real(result)),
        T::Decimal { .. } | T::Money => {
            let (precision, scale) = ty.digits().unwrap_or((38, 0));
            Decimal::from_f64(result, precision, scale)
                .map(|d| Value::Decimal(d).into_stored())
                .ok_or_else(|| SqlError::overflow(ty.base_name()))
        }
        _ => whole_power(result, ty),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole_power(result: f64, ty: SqlType) -> SqlResult<Stored> {
    let limit = if ty == T::BigInt {
        9_223_372_036_854_775_808.0
    } else {
        2_147_483_648.0
    };
    if !(-limit..limit).contains(&result) {
        return Err(SqlError::new(
            232,
            format!(
                "Arithmetic overflow error for type {}, value = {result:.6}.",
                ty.base_name()
            ),
        )
        .state(3));
    }
    if result.fract() != 0.0 && result.abs() >= 0.5 {
        return Err(SqlError::unsupported(
            "POWER of an integer whose result is no integer",
        ));
    }
    Ok(Stored::Integer(result.trunc() as i64))
}

fn trig(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let v = real(ctx, 1)?;
    let name = text(ctx, 0)?;
    if matches!(name, "ATN2" | "LOG") {
        if is_null(ctx, 2) {
            return Ok(Stored::Null);
        }
        let other = real(ctx, 2)?;
        return finite(match name {
            "LOG" if v <= 0.0 || other <= 0.0 || other == 1.0 => return Err(domain()),
            "LOG" => v.ln() / other.ln(),
            _ if v == 0.0 && other == 0.0 => return Err(domain()),
            _ => v.atan2(other),
        });
    }
    finite(match name {
        "ASIN" | "ACOS" if v.abs() > 1.0 => return Err(domain()),
        "ASIN" => v.asin(),
        "ACOS" => v.acos(),
        "ATAN" => v.atan(),
        _ if v == 0.0 => return Err(domain()),
        _ => 1.0 / v.tan(),
    })
}

fn finite(value: f64) -> SqlResult<Stored> {
    if value.is_finite() {
        Ok(Stored::Real(value))
    } else {
        Err(SqlError::overflow("float"))
    }
}

/// Bits in a value of the type.
fn width(ty: SqlType) -> u32 {
    match ty {
        T::Bit => 1,
        T::TinyInt => 8,
        T::SmallInt => 16,
        T::Int => 32,
        _ => 64,
    }
}

/// The value without its sign's extension.
fn unsigned(value: i64, width: u32) -> u64 {
    let all = value.cast_unsigned();
    if width == 64 {
        all
    } else {
        all & ((1 << width) - 1)
    }
}

fn signed(bits: u64, ty: SqlType) -> i64 {
    let width = width(ty);
    let bits = if width == 64 {
        bits
    } else {
        bits & ((1 << width) - 1)
    };
    let negative = ty.int_range().is_some_and(|(low, _)| low < 0) && bits >> (width - 1) == 1;
    if negative && width < 64 {
        (bits | (u64::MAX << width)).cast_signed()
    } else {
        bits.cast_signed()
    }
}

/// Name, value, its type, the second argument.
fn bits(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) || is_null(ctx, 3) {
        return Ok(Stored::Null);
    }
    let (name, ty) = (text(ctx, 0)?, type_at(ctx, 2)?);
    let Value::Int(v) = value(ctx, 1, ty)? else {
        return Err(SqlError::internal("bits of no integer"));
    };
    let (n, width) = (int(ctx, 3)?, width(ty));
    let given = unsigned(v, width);
    let place = || {
        u32::try_from(n)
            .ok()
            .filter(|n| *n < width)
            .ok_or_else(|| SqlError::unsupported(format!("{name} of bit {n} of a {ty}")))
    };
    let shift = |bits: u64, by: i64| match u32::try_from(by.unsigned_abs()) {
        Ok(by) if by < width => {
            if n_is_left(name, n) {
                bits << by
            } else {
                bits >> by
            }
        }
        _ => 0,
    };
    Ok(Stored::Integer(match name {
        "LEFT_SHIFT" | "RIGHT_SHIFT" => signed(shift(given, n), ty),
        "BIT_COUNT" => given.count_ones().into(),
        "GET_BIT" => ((given >> place()?) & 1).cast_signed(),
        "SET_BIT" => signed(given | 1 << place()?, ty),
        _ => signed(given & !(1 << place()?), ty),
    }))
}

/// A negative count shifts the other way.
fn n_is_left(name: &str, n: i64) -> bool {
    (name == "LEFT_SHIFT") == (n >= 0)
}
