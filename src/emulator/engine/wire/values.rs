//! Values as the wire carries them, and back.

use rusqlite::types::ValueRef;

use super::super::error::{SqlError, SqlResult};
use super::super::types::datetime::{self, DAY, DAY_1900, MINUTE, Offset};
use super::super::types::decimal::pow10;
use super::super::types::value::guid_from_stored;
use super::super::types::{Decimal, SqlType, Storage, Value, codepage, xml};
use super::types::decimal_length;
use super::variant;
use crate::tds::{EncodeError, PLP_UNKNOWN, Place, Put, Reader, TypeInfo};

use SqlType as T;

/// Appends the bytes of a stored value, without framing. `false` is NULL.
pub(crate) fn put(stored: ValueRef<'_>, ty: SqlType, out: &mut Vec<u8>) -> SqlResult<bool> {
    match (ty.storage(), stored) {
        (_, ValueRef::Null) => return Ok(false),
        (Storage::Int, ValueRef::Integer(v)) => put_int(v, ty, out),
        (Storage::Float, ValueRef::Real(v)) => put_float(v, ty, out),
        (Storage::Decimal, ValueRef::Blob(v)) => put_decimal(v, ty, out)?,
        (Storage::Text, ValueRef::Text(v)) => put_text(v, ty, out),
        (Storage::Bytes, ValueRef::Blob(v)) => out.extend_from_slice(v),
        (Storage::Guid, ValueRef::Blob(v)) => out.extend(guid_from_stored(v).unwrap_or_default()),
        (Storage::Date, ValueRef::Integer(v)) => put_low(v, 3, out),
        (Storage::Time, ValueRef::Integer(v)) => put_time(v, ty.time_scale(), out),
        (Storage::DateTime, ValueRef::Integer(v)) => put_datetime(v, ty, out),
        (Storage::DateTimeOffset, ValueRef::Text(v)) => {
            let text = std::str::from_utf8(v).unwrap_or_default();
            let value = Offset::from_text(text).ok_or_else(|| wrong(ty))?;
            put_time(value.utc.rem_euclid(DAY), ty.time_scale(), out);
            put_low(value.utc.div_euclid(DAY), 3, out);
            out.extend(value.minutes.to_le_bytes());
        }
        (Storage::Variant, ValueRef::Text(v)) => variant::put(v, out)?,
        _ => return Err(wrong(ty)),
    }
    Ok(true)
}

/// Appends a value with its framing. SQL Server does not count xml before it sends it: the length
/// is said to be unknown, and the text comes in pieces.
pub(crate) fn write(
    info: &TypeInfo,
    place: Place,
    value: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let (TypeInfo::Xml(_), Some(value)) = (info, value) else {
        return info.write_value(place, value, out);
    };
    out.put_u64_le(PLP_UNKNOWN);
    for piece in value.chunks(XML_PIECE) {
        out.put_l_varbyte("the piece", piece)?;
    }
    out.put_u32_le(0);
    Ok(())
}

/// Bytes of a piece of xml.
const XML_PIECE: usize = 4096;

fn wrong(ty: SqlType) -> SqlError {
    SqlError::internal(format!("a result that should be {ty} is something else"))
}

/// The low bytes of a number, little-endian.
fn put_low(value: i64, bytes: usize, out: &mut Vec<u8>) {
    out.extend(value.to_le_bytes().iter().take(bytes));
}

fn put_int(value: i64, ty: SqlType, out: &mut Vec<u8>) {
    let width = match ty {
        T::Bit | T::TinyInt => 1,
        T::SmallInt => 2,
        T::Int => 4,
        _ => 8,
    };
    put_low(value, width, out);
}

#[expect(clippy::cast_possible_truncation, reason = "real has 32 bits")]
fn put_float(value: f64, ty: SqlType, out: &mut Vec<u8>) {
    if ty == T::Real {
        out.extend((value as f32).to_le_bytes());
    } else {
        out.extend(value.to_le_bytes());
    }
}

fn put_decimal(stored: &[u8], ty: SqlType, out: &mut Vec<u8>) -> SqlResult<()> {
    let (precision, scale) = ty.digits().unwrap_or((38, 0));
    let value = Decimal::from_sortable(stored)
        .and_then(|v| v.rescale(38, scale))
        .ok_or_else(|| wrong(ty))?;
    let mantissa = value.mantissa();
    match ty {
        T::SmallMoney => put_low(i64::try_from(mantissa).map_err(|_| wrong(ty))?, 4, out),
        T::Money => {
            let bytes = i64::try_from(mantissa)
                .map_err(|_| wrong(ty))?
                .to_le_bytes();
            // The high half comes first.
            out.extend(bytes.iter().skip(4));
            out.extend(bytes.iter().take(4));
        }
        _ if mantissa.unsigned_abs() >= pow10(precision) => {
            return Err(SqlError::overflow("numeric"));
        }
        _ => {
            out.push(u8::from(mantissa >= 0));
            let digits = usize::from(decimal_length(precision)) - 1;
            out.extend(mantissa.unsigned_abs().to_le_bytes().iter().take(digits));
        }
    }
    Ok(())
}

fn put_text(stored: &[u8], ty: SqlType, out: &mut Vec<u8>) {
    if ty.is_unicode() {
        if stored.is_ascii() {
            out.extend(stored.iter().flat_map(|b| [*b, 0]));
            return;
        }
        let text = String::from_utf8_lossy(stored);
        out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    } else if stored.is_ascii() {
        out.extend_from_slice(stored);
    } else {
        let text = String::from_utf8_lossy(stored);
        out.extend(text.chars().map(|c| codepage::to_byte(c).unwrap_or(b'?')));
    }
}

fn time_length(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3 | 4 => 4,
        _ => 5,
    }
}

fn put_time(ticks: i64, scale: u8, out: &mut Vec<u8>) {
    let unit = 10i64.pow(7 - u32::from(scale.min(7)));
    put_low(ticks / unit, time_length(scale), out);
}

fn put_datetime(ticks: i64, ty: SqlType, out: &mut Vec<u8>) {
    let (days, time) = (ticks.div_euclid(DAY), ticks.rem_euclid(DAY));
    match ty {
        T::DateTime => {
            put_low(days - DAY_1900, 4, out);
            put_low(datetime::to_three_hundredths(time), 4, out);
        }
        T::SmallDateTime => {
            put_low(days - DAY_1900, 2, out);
            put_low(time / MINUTE, 2, out);
        }
        _ => {
            put_time(time, ty.time_scale(), out);
            put_low(days, 3, out);
        }
    }
}

/// Reads a parameter's value from its bytes.
pub(crate) fn read(bytes: &[u8], ty: SqlType) -> SqlResult<Value> {
    if ty == T::Xml {
        return xml::from_bytes(bytes).map(Value::Text);
    }
    let bad = || {
        SqlError::new(
            8009,
            format!(
                "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. A value of type {ty} is not valid."
            ),
        )
    };
    read_inner(bytes, ty).ok_or_else(bad)
}

pub(super) fn read_inner(bytes: &[u8], ty: SqlType) -> Option<Value> {
    Some(match ty.storage() {
        Storage::Int => Value::Int(read_int(bytes, ty)?),
        Storage::Float => Value::Float(read_float(bytes)?),
        Storage::Decimal => Value::Decimal(read_decimal(bytes, ty)?),
        Storage::Text if ty.is_unicode() => Value::Text(read_utf16(bytes)?),
        Storage::Text => Value::Text(bytes.iter().map(|b| codepage::from_byte(*b)).collect()),
        Storage::Bytes => Value::Bytes(bytes.to_vec()),
        Storage::Guid => Value::Guid(bytes.try_into().ok()?),
        Storage::Date => Value::Date(day(low(bytes)?)?),
        Storage::Time => Value::Time(read_time(bytes, ty.time_scale())?),
        Storage::DateTime => Value::DateTime(read_datetime(bytes, ty)?),
        Storage::Variant => Value::Variant(Box::new(variant::read(bytes)?)),
        Storage::DateTimeOffset => {
            let at = time_length(ty.time_scale());
            let time = read_time(bytes.get(..at)?, ty.time_scale())?;
            let days = day(low(bytes.get(at..at + 3)?)?)?;
            let minutes = i16::from_le_bytes(bytes.get(at + 3..)?.try_into().ok()?);
            (-840..=840).contains(&minutes).then_some(())?;
            Value::DateTimeOffset(Offset {
                utc: days * DAY + time,
                minutes,
            })
        }
    })
}

/// An unsigned little-endian number of up to seven bytes.
fn low(bytes: &[u8]) -> Option<i64> {
    (bytes.len() < 8).then(|| {
        bytes
            .iter()
            .rev()
            .fold(0, |sum, b| (sum << 8) | i64::from(*b))
    })
}

fn day(days: i64) -> Option<i64> {
    (0..=datetime::LAST_DAY).contains(&days).then_some(days)
}

fn read_int(bytes: &[u8], ty: SqlType) -> Option<i64> {
    let value = match bytes.len() {
        1 => i64::from(*bytes.first()?),
        2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
        4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        _ => i64::from_le_bytes(bytes.try_into().ok()?),
    };
    Some(if ty == T::Bit {
        i64::from(value != 0)
    } else {
        value
    })
}

fn read_float(bytes: &[u8]) -> Option<f64> {
    let value = match bytes.len() {
        4 => f64::from(f32::from_le_bytes(bytes.try_into().ok()?)),
        _ => f64::from_le_bytes(bytes.try_into().ok()?),
    };
    value.is_finite().then_some(value)
}

fn read_decimal(bytes: &[u8], ty: SqlType) -> Option<Decimal> {
    if ty.is_money() {
        let units = match bytes.len() {
            4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            _ => {
                let mut reader = Reader::new(bytes);
                let (high, low) = (reader.u32_le().ok()?, reader.u32_le().ok()?);
                ((u64::from(high) << 32) | u64::from(low)).cast_signed()
            }
        };
        return Decimal::new(units.into(), 4);
    }
    let (sign, digits) = bytes.split_first()?;
    (digits.len() <= 16).then_some(())?;
    let magnitude = digits
        .iter()
        .rev()
        .fold(0u128, |sum, b| (sum << 8) | u128::from(*b));
    let magnitude = i128::try_from(magnitude).ok()?;
    let (precision, scale) = ty.digits()?;
    let value = Decimal::new(if *sign == 0 { -magnitude } else { magnitude }, scale)?;
    value.rescale(precision, scale)
}

fn read_utf16(bytes: &[u8]) -> Option<String> {
    if bytes.len() % 2 == 1 {
        return None;
    }
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| {
            pair.iter()
                .rev()
                .fold(0, |sum, b| (sum << 8) | u16::from(*b))
        })
        .collect();
    // Lone surrogates cannot be kept in SQLite's UTF-8: better refused than changed.
    String::from_utf16(&units).ok()
}

fn read_time(bytes: &[u8], scale: u8) -> Option<i64> {
    let unit = 10i64.pow(7 - u32::from(scale.min(7)));
    let ticks = low(bytes)?.checked_mul(unit)?;
    (ticks < DAY).then_some(ticks)
}

fn read_datetime(bytes: &[u8], ty: SqlType) -> Option<i64> {
    let in_years = |days: i64| {
        (0..=datetime::LAST_DAY)
            .contains(&days)
            .then_some(days * DAY)
    };
    match ty {
        T::DateTime => {
            let mut reader = Reader::new(bytes);
            let days = i64::from(reader.i32_le().ok()?) + DAY_1900;
            let units = i64::from(reader.u32_le().ok()?);
            (units < 300 * 86_400).then_some(())?;
            Some(in_years(days)? + datetime::from_three_hundredths(units))
        }
        T::SmallDateTime => {
            let days = low(bytes.get(..2)?)? + DAY_1900;
            let minutes = low(bytes.get(2..)?)?;
            (minutes < 1440).then_some(())?;
            Some(in_years(days)? + minutes * MINUTE)
        }
        _ => {
            let at = time_length(ty.time_scale());
            let time = read_time(bytes.get(..at)?, ty.time_scale())?;
            Some(in_years(low(bytes.get(at..)?)?)? + time)
        }
    }
}
