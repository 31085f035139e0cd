//! What the catalogue views tell of types and permissions.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::catalogue::permissions;
use super::super::catalogue::tables::QualifiedName;
use super::super::error::SqlResult;
use super::super::types::{MAX, SqlType};
use super::{int, is_null, scalar, text, type_at};

use SqlType as T;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_type", 2, describe)?;
    scalar(conn, "t_typename", 1, type_name)?;
    scalar(conn, "t_typeid", 1, type_id)?;
    scalar(conn, "t_part", 2, part)?;
    scalar(conn, "t_permission", 1, permission)
}

/// `system_type_id` of each type.
const IDS: &[(&str, i64)] = &[
    ("image", 34),
    ("text", 35),
    ("uniqueidentifier", 36),
    ("date", 40),
    ("time", 41),
    ("datetime2", 42),
    ("datetimeoffset", 43),
    ("tinyint", 48),
    ("smallint", 52),
    ("int", 56),
    ("smalldatetime", 58),
    ("real", 59),
    ("money", 60),
    ("datetime", 61),
    ("float", 62),
    ("sql_variant", 98),
    ("ntext", 99),
    ("bit", 104),
    ("decimal", 106),
    ("numeric", 108),
    ("smallmoney", 122),
    ("bigint", 127),
    ("varbinary", 165),
    ("varchar", 167),
    ("binary", 173),
    ("char", 175),
    ("timestamp", 189),
    ("nvarchar", 231),
    ("nchar", 239),
    ("xml", 241),
];

/// `max_length`: bytes of a value.
pub(super) fn byte_length(ty: SqlType) -> i64 {
    match ty {
        T::Bit | T::TinyInt => 1,
        T::SmallInt => 2,
        T::Int | T::Real | T::SmallMoney | T::SmallDateTime => 4,
        T::BigInt | T::Float | T::Money | T::DateTime => 8,
        T::Decimal { precision, .. } => match precision {
            1..=9 => 5,
            10..=19 => 9,
            20..=28 => 13,
            _ => 17,
        },
        T::NChar(n) | T::NVarChar(n) if n != MAX => i64::from(n) * 2,
        T::UniqueIdentifier | T::Text | T::NText | T::Image => 16,
        T::Variant => 8016,
        T::Date => 3,
        T::Time(s) => time_length(s),
        T::DateTime2(s) => time_length(s) + 3,
        T::DateTimeOffset(s) => time_length(s) + 5,
        other => match other.length() {
            Some(MAX) | None => -1,
            Some(n) => n.into(),
        },
    }
}

/// `system_type_id`, `max_length`, `precision` and `scale` of a type.
pub(crate) fn facets(ty: SqlType) -> (i64, i64, i64, i64) {
    let name = ty.base_name();
    let id = IDS
        .iter()
        .find(|(n, _)| *n == name)
        .map_or(0, |(_, id)| *id);
    let (precision, scale) = precision(ty);
    (id, byte_length(ty), precision, scale)
}

fn time_length(scale: u8) -> i64 {
    match scale {
        0..=2 => 3,
        3 | 4 => 4,
        _ => 5,
    }
}

pub(super) fn precision(ty: SqlType) -> (i64, i64) {
    let places = |whole: i64, s: u8| {
        if s == 0 {
            (whole, 0)
        } else {
            (whole + 1 + i64::from(s), s.into())
        }
    };
    match ty {
        T::Real => (24, 0),
        T::Float => (53, 0),
        T::Date => (10, 0),
        T::Time(s) => places(8, s),
        T::DateTime2(s) => places(19, s),
        T::DateTimeOffset(s) => places(26, s),
        T::DateTime => (23, 3),
        T::SmallDateTime => (16, 0),
        other => other.digits().map_or((0, 0), |(p, s)| (p.into(), s.into())),
    }
}

fn describe(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let ty = type_at(ctx, 1)?;
    let number = |v: Option<i64>| v.map_or(Stored::Null, Stored::Integer);
    Ok(match text(ctx, 0)? {
        "name" => Stored::Text(ty.base_name().into()),
        "length" => Stored::Integer(byte_length(ty)),
        "precision" => Stored::Integer(precision(ty).0),
        "scale" => Stored::Integer(precision(ty).1),
        "collation" if ty.is_text() => Stored::Text("SQL_Latin1_General_CP1_CI_AS".into()),
        "collation" => Stored::Null,
        "characters" => number(characters(ty)),
        "digits" => number(ty.is_numeric().then(|| precision(ty).0)),
        "places" => number(ty.is_exact_numeric().then(|| precision(ty).1)),
        "octets" => number(ty.length().map(|_| byte_length(ty))),
        "radix" => number(
            ty.is_numeric()
                .then_some(if ty.is_float() { 2 } else { 10 }),
        ),
        "charset" if ty.is_text() && ty.is_unicode() => Stored::Text("UNICODE".into()),
        "charset" if ty.is_text() => Stored::Text("iso_1".into()),
        "charset" => Stored::Null,
        "fraction" => number(ty.is_temporal().then(|| ty.time_scale().into())),
        _ => number(
            IDS.iter()
                .find(|(name, _)| *name == ty.base_name())
                .map(|(_, id)| *id),
        ),
    })
}

/// `CHARACTER_MAXIMUM_LENGTH`.
fn characters(ty: SqlType) -> Option<i64> {
    match ty {
        T::Text | T::Image => Some(i64::from(i32::MAX)),
        T::NText => Some(i64::from(i32::MAX / 2)),
        T::Variant => Some(0),
        T::RowVersion => None,
        other => other.length().map(|n| if n == MAX { -1 } else { n.into() }),
    }
}

fn type_name(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let id = int(ctx, 0)?;
    let found = IDS.iter().find(|(_, known)| *known == id);
    Ok(found.map_or(Stored::Null, |(name, _)| Stored::Text((*name).to_owned())))
}

fn type_id(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let name = text(ctx, 0)?
        .trim()
        .trim_start_matches("sys.")
        .trim_matches(['[', ']'])
        .to_lowercase();
    let id = match name.as_str() {
        "sysname" => Some(256),
        _ => IDS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, id)| *id),
    };
    Ok(id.map_or(Stored::Null, Stored::Integer))
}

/// A part of a name: 1 the object, 2 its schema, 3 its database.
fn part(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let name = QualifiedName::parse(text(ctx, 0)?);
    let part = match (name, int(ctx, 1)?) {
        (Some(name), 1) => Some(name.name),
        (Some(name), 2) => name.schema,
        (Some(name), 3) => name.database,
        _ => None,
    };
    Ok(part.map_or(Stored::Null, Stored::Text))
}

/// The short code of a permission.
fn permission(ctx: &Context<'_>) -> SqlResult<Stored> {
    let found = permissions::find(text(ctx, 0)?);
    Ok(Stored::Text(found.map_or("    ", |p| p.code).into()))
}
