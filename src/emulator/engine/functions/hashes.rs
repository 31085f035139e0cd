//! HASHBYTES.

use aws_lc_rs::digest;
use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::types::{Value, codepage};
use super::md5::md5;
use super::{is_null, scalar, text, type_at, value};

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_hash", 3, hash)
}

/// Algorithm, value, its type.
fn hash(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let name = text(ctx, 0)?.trim_end_matches(' ').to_uppercase();
    let algorithm = match name.as_str() {
        "SHA" | "SHA1" => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        "SHA2_256" => Some(&digest::SHA256),
        "SHA2_512" => Some(&digest::SHA512),
        "MD5" => None,
        "MD2" | "MD4" => {
            return Err(SqlError::unsupported(format!("HASHBYTES with {name}")));
        }
        _ => return Ok(Stored::Null),
    };
    let ty = type_at(ctx, 2)?;
    let bytes = match value(ctx, 1, ty)? {
        Value::Bytes(bytes) => bytes,
        Value::Text(t) if ty.is_unicode() => t.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Value::Text(t) => t
            .chars()
            .map(|c| codepage::to_byte(c).unwrap_or(b'?'))
            .collect(),
        _ => return Err(SqlError::internal("HASHBYTES of this type")),
    };
    Ok(Stored::Blob(match algorithm {
        Some(algorithm) => digest::digest(algorithm, &bytes).as_ref().to_vec(),
        None => md5(&bytes).to_vec(),
    }))
}
