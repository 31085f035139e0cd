//! Types in ODBC's terms, for the catalogue procedures.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::SqlResult;
use super::super::types::{MAX, SqlType};
use super::describe::precision;
use super::{int, scalar, text, type_at};

use SqlType as T;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_odbc", 3, odbc)
}

fn odbc(ctx: &Context<'_>) -> SqlResult<Stored> {
    let ty = type_at(ctx, 1)?;
    let found = match text(ctx, 0)? {
        "type" => Some(code(ty)),
        "precision" => Some(size(ty)),
        "length" => Some(length(ty)),
        "scale" => scale(ty),
        "radix" => (ty.is_numeric() && ty != T::Bit).then_some(10),
        "sql" => Some(match code(ty) {
            91 | 93 => 9,
            other => other,
        }),
        "sub" => match code(ty) {
            91 => Some(1),
            93 => Some(3),
            -154 | -155 => Some(0),
            _ => None,
        },
        "octets" => octets(ty),
        _ => Some(legacy(ty, int(ctx, 2)? != 0)),
    };
    Ok(found.map_or(Stored::Null, Stored::Integer))
}

/// SQL_INTEGER and so on, for ODBC 3.
fn code(ty: SqlType) -> i64 {
    match ty {
        T::Bit => -7,
        T::TinyInt => -6,
        T::SmallInt => 5,
        T::Int => 4,
        T::BigInt => -5,
        T::Real => 7,
        T::Float => 6,
        T::Decimal { numeric: true, .. } => 2,
        T::Decimal { .. } | T::SmallMoney | T::Money => 3,
        T::Char(_) => 1,
        T::VarChar(_) => 12,
        T::Text => -1,
        T::NChar(_) => -8,
        T::NVarChar(_) => -9,
        T::NText => -10,
        T::Binary(_) | T::RowVersion => -2,
        T::VarBinary(_) => -3,
        T::Image => -4,
        T::UniqueIdentifier => -11,
        T::Variant => -150,
        T::Xml => -152,
        T::Date => 91,
        T::Time(_) => -154,
        T::DateTimeOffset(_) => -155,
        T::SmallDateTime | T::DateTime | T::DateTime2(_) => 93,
    }
}

/// COLUMN_SIZE: digits or characters; 0 without a limit.
fn size(ty: SqlType) -> i64 {
    match ty {
        T::UniqueIdentifier => 36,
        T::Text | T::Image => i32::MAX.into(),
        T::NText => 1_073_741_823,
        T::Variant => 8000,
        T::RowVersion => 8,
        other => match other.length() {
            Some(MAX) => 0,
            Some(n) => n.into(),
            None => precision(other).0,
        },
    }
}

/// Bytes in which ODBC's C types hold a value.
fn length(ty: SqlType) -> i64 {
    match ty {
        T::Bit | T::TinyInt => 1,
        T::SmallInt => 2,
        T::Int | T::Real => 4,
        T::BigInt | T::Float | T::RowVersion => 8,
        T::Decimal { precision, .. } => i64::from(precision) + 2,
        T::Money => 21,
        T::SmallMoney => 12,
        T::UniqueIdentifier | T::DateTime | T::SmallDateTime | T::DateTime2(_) => 16,
        T::Date => 6,
        T::Time(_) => 12,
        T::DateTimeOffset(_) => 20,
        T::NText => 2_147_483_646,
        T::NChar(n) | T::NVarChar(n) if n != MAX => i64::from(n) * 2,
        other => size(other),
    }
}

fn scale(ty: SqlType) -> Option<i64> {
    match ty {
        T::Bit | T::Date => None,
        T::SmallDateTime => Some(0),
        T::Time(s) | T::DateTime2(s) | T::DateTimeOffset(s) => Some(s.into()),
        T::DateTime => Some(3),
        other => other.digits().map(|(_, s)| s.into()),
    }
}

fn octets(ty: SqlType) -> Option<i64> {
    match ty {
        T::Text | T::NText | T::Image | T::Variant | T::RowVersion => Some(length(ty)),
        other => other.length().map(|_| length(other)),
    }
}

/// The type's number of former times, which tells nullable numbers from others.
fn legacy(ty: SqlType, nullable: bool) -> i64 {
    let either = |with_null: i64, without: i64| if nullable { with_null } else { without };
    match ty {
        T::Bit => 50,
        T::TinyInt => either(38, 48),
        T::SmallInt => either(38, 52),
        T::Int => either(38, 56),
        T::BigInt => either(108, 63),
        T::Real => either(109, 59),
        T::Float => either(109, 62),
        T::Decimal { numeric: false, .. } => either(106, 55),
        T::Decimal { numeric: true, .. } => either(108, 63),
        T::SmallMoney => either(110, 122),
        T::Money => either(110, 60),
        T::Char(_) => either(39, 47),
        T::VarChar(_) | T::NChar(_) | T::NVarChar(_) | T::Variant => 39,
        T::Text | T::NText => 35,
        T::Xml => 0,
        T::Image => 34,
        T::Binary(_) | T::RowVersion => either(37, 45),
        T::VarBinary(_) | T::UniqueIdentifier => 37,
        T::SmallDateTime => either(111, 58),
        T::DateTime => either(111, 61),
        T::Date | T::Time(_) | T::DateTime2(_) | T::DateTimeOffset(_) => 0,
    }
}
