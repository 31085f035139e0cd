//! Binary data made of other values, and other values made of it.

use super::super::error::{SqlError, SqlResult};
use super::convert::impossible;
use super::{MAX, SqlType, Value, codepage};

use SqlType as T;

pub(super) fn bytes_to_int(bytes: &[u8], to: SqlType) -> i64 {
    let width = match to {
        T::Bit | T::TinyInt => 1,
        T::SmallInt => 2,
        T::Int => 4,
        _ => 8,
    };
    let wide = bytes
        .iter()
        .rev()
        .take(width)
        .rev()
        .fold(0u64, |sum, b| (sum << 8) | u64::from(*b));
    match to {
        T::Bit => i64::from(bytes.iter().any(|b| *b != 0)),
        T::SmallInt => i64::from(u16::try_from(wide).unwrap_or(0).cast_signed()),
        T::Int => i64::from(u32::try_from(wide).unwrap_or(0).cast_signed()),
        _ => wide.cast_signed(),
    }
}

pub(super) fn bytes_to_text(bytes: &[u8], to: SqlType, style: Option<i64>) -> SqlResult<String> {
    let hex = || bytes.iter().map(|b| format!("{b:02X}")).collect::<String>();
    match style.unwrap_or(0) {
        0 if to.is_unicode() => utf16(bytes),
        0 => Ok(bytes.iter().map(|b| codepage::from_byte(*b)).collect()),
        1 => Ok(format!("0x{}", hex())),
        2 => Ok(hex()),
        other => Err(SqlError::unsupported(format!("CONVERT style {other}"))),
    }
}

pub(super) fn to_bytes(
    value: Value,
    from: SqlType,
    to: SqlType,
    style: Option<i64>,
) -> SqlResult<Vec<u8>> {
    Ok(match value {
        Value::Bytes(v) => v,
        Value::Guid(v) => v.to_vec(),
        Value::Int(v) => {
            let width = match from {
                T::Bit | T::TinyInt => 1,
                T::SmallInt => 2,
                T::Int => 4,
                _ => 8,
            };
            let bytes = v.to_be_bytes();
            let room = usize::from(to.length().unwrap_or(MAX));
            let mut out = bytes
                .get(8 - room.min(width)..)
                .unwrap_or_default()
                .to_vec();
            // A longer binary is filled up on the left.
            if let T::Binary(_) = to
                && room > width
            {
                if v < 0 {
                    return Err(SqlError::unsupported(format!(
                        "conversion of a negative {from} to {to}"
                    )));
                }
                out.splice(0..0, std::iter::repeat_n(0, room - width));
            }
            out
        }
        Value::Text(text) => match style.unwrap_or(0) {
            0 if from.is_unicode() => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            0 => text
                .chars()
                .map(|c| codepage::to_byte(c).unwrap_or(b'?'))
                .collect(),
            1 => hex(text.strip_prefix("0x").ok_or_else(|| bad_hex(from, to))?)
                .ok_or_else(|| bad_hex(from, to))?,
            2 => hex(&text).ok_or_else(|| bad_hex(from, to))?,
            other => return Err(SqlError::unsupported(format!("CONVERT style {other}"))),
        },
        _ => return Err(impossible(from, to)),
    })
}

fn bad_hex(from: SqlType, to: SqlType) -> SqlError {
    SqlError::new(
        8114,
        format!(
            "Error converting data type {} to {}.",
            from.base_name(),
            to.base_name()
        ),
    )
    .state(5)
}

/// Bytes of pairs of hexadecimal digits.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| {
        digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |sum, d| sum * 16 + d))
            .collect()
    })
}

/// Unicode text is made of pairs of bytes, the low one first.
fn utf16(bytes: &[u8]) -> SqlResult<String> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    match String::from_utf16(&units) {
        Ok(text) if odd.is_empty() => Ok(text),
        _ => Err(SqlError::unsupported(
            "conversion of bytes that are no whole UTF-16 characters to Unicode text",
        )),
    }
}
