//! What a `sql_variant` tells of the value in it.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::types::variant::Variant;
use super::super::types::{SqlType, Storage, Value};
use super::describe::byte_length;
use super::{is_null, scalar, text, value};

use SqlType as T;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_vprop", 2, property)
}

/// Bytes of the value in a variant.
pub(super) fn data_length(value: &Value) -> i64 {
    let Value::Variant(variant) = value else {
        return 0;
    };
    let count = match &variant.value {
        Value::Text(text) if variant.base.is_unicode() => text.encode_utf16().count() * 2,
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        _ => return byte_length(variant.base),
    };
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// `SQL_VARIANT_PROPERTY`.
fn property(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let Value::Variant(variant) = value(ctx, 0, T::Variant)? else {
        return Ok(Stored::Null);
    };
    let base = variant.base;
    let name = text(ctx, 1)?.trim_end_matches(' ').to_lowercase();
    let int = |v: i64| Variant::wrap(Value::Int(v), T::Int);
    let sysname = |v: &str| Variant::wrap(Value::Text(v.to_owned()), T::NVarChar(128));
    let gap = |what: &str| SqlError::unsupported(format!("SQL_VARIANT_PROPERTY of {what}"));
    let found = match name.as_str() {
        "basetype" => sysname(base.base_name()),
        "precision" | "scale"
            if base.is_temporal() && !matches!(base, T::DateTime | T::SmallDateTime) =>
        {
            return Err(gap("the digits of a date or time"));
        }
        "precision" => int(precision(base)),
        "scale" => int(match base {
            T::DateTime => 3,
            _ => base.digits().map_or(0, |d| d.1.into()),
        }),
        "maxlength" => int(byte_length(base)),
        "collation" if base.storage() == Storage::Text => sysname("SQL_Latin1_General_CP1_CI_AS"),
        "totalbytes" => return Err(gap("TotalBytes")),
        _ => Value::Null,
    };
    Ok(found.into_stored())
}

fn precision(base: SqlType) -> i64 {
    match base {
        T::DateTime => 23,
        T::SmallDateTime => 16,
        T::Float => 53,
        T::Real => 24,
        other => other.digits().map_or(0, |d| d.0.into()),
    }
}
