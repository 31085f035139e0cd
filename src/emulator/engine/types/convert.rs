//! Conversion between types, as CAST does it and as an assignment does it.

use super::super::error::{SqlError, SqlResult};
use super::allow::{self, Way};
pub(crate) use super::bytes::hex;
use super::bytes::{bytes_to_int, bytes_to_text, to_bytes};
use super::datetime::{DAY, DAY_1900};
use super::style::Moment;
use super::temporal::to_temporal;
use super::variant::Variant;
use super::{Decimal, MAX, SqlType, Storage, Value, codepage, decimal, float, xml};

use SqlType as T;

/// CAST and CONVERT: character and binary data are cut to the target's length in silence.
pub(crate) fn cast(
    value: Value,
    from: SqlType,
    to: SqlType,
    style: Option<i64>,
) -> SqlResult<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if let Value::Variant(inner) = value {
        return cast_variant(*inner, to, style);
    }
    match to.storage() {
        Storage::Variant => Ok(Variant::wrap(value, from)),
        _ if to == T::Xml => xml::from_value(value, from, style),
        _ if from == T::Xml => xml::to_value(value, to, style),
        Storage::Text => to_text(value, from, to, style).map(|t| Value::Text(cut_text(t, to))),
        Storage::Bytes => to_bytes(value, from, to, style).map(|b| Value::Bytes(cut_bytes(b, to))),
        _ => to_scalar(value, from, to, style),
    }
}

fn cast_variant(variant: Variant, to: SqlType, style: Option<i64>) -> SqlResult<Value> {
    if to == T::Variant {
        return Ok(Value::Variant(Box::new(variant)));
    }
    allow::allowed(variant.base, to, true)?;
    cast(variant.value, variant.base, to, style)
}

/// Conversion into a column, variable or parameter. `Err(None)` means that text or bytes would be cut.
pub(crate) fn assign(value: Value, from: SqlType, to: SqlType) -> Result<Value, Option<SqlError>> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match to.storage() {
        Storage::Variant => Ok(Variant::wrap(value, from)),
        _ if to == T::Xml => xml::from_value(value, from, None).map_err(Some),
        Storage::Text => {
            let text = to_text(value, from, to, None).map_err(Some)?;
            let limit = usize::from(to.length().unwrap_or(MAX));
            let trimmed = text.trim_end_matches(' ');
            if to.length() != Some(MAX) && text_length(trimmed, to) > limit {
                return Err(None);
            }
            Ok(Value::Text(cut_text(text, to)))
        }
        Storage::Bytes => {
            let bytes = to_bytes(value, from, to, None).map_err(Some)?;
            let limit = usize::from(to.length().unwrap_or(MAX));
            if to.length() != Some(MAX) && bytes.len() > limit {
                return Err(None);
            }
            Ok(Value::Bytes(cut_bytes(bytes, to)))
        }
        _ => to_scalar(value, from, to, None).map_err(Some),
    }
}

fn to_scalar(value: Value, from: SqlType, to: SqlType, style: Option<i64>) -> SqlResult<Value> {
    match to.storage() {
        Storage::Int => to_int(value, from, to).map(Value::Int),
        Storage::Float => to_float(value, from, to).map(Value::Float),
        Storage::Decimal => to_decimal(value, from, to).map(Value::Decimal),
        Storage::Guid => to_guid(value, from, to),
        _ => to_temporal(value, from, to, style),
    }
}

/// A conversion that there is not, or that is a gap of this engine.
pub(super) fn impossible(from: SqlType, to: SqlType) -> SqlError {
    if allow::way(from, to) != Way::Never {
        return SqlError::unsupported(format!("conversion of {from} to {to}"));
    }
    SqlError::no_conversion(from.base_name(), to.base_name())
}

fn conversion_failed(text: &str, from: SqlType, to: SqlType) -> SqlError {
    SqlError::new(
        245,
        format!(
            "Conversion failed when converting the {} value '{}' to data type {}.",
            from.base_name(),
            text,
            to.base_name()
        ),
    )
}

fn to_int(value: Value, from: SqlType, to: SqlType) -> SqlResult<i64> {
    let (low, high) = to.int_range().unwrap_or((i64::MIN, i64::MAX));
    let wide = match value {
        Value::Int(v) if to == T::Bit => i64::from(v != 0),
        Value::Int(v) => v,
        Value::Float(v) if to == T::Bit => i64::from(v != 0.0),
        Value::Float(v) => {
            let whole = float_to_int(v).filter(|whole| (low..=high).contains(whole));
            return whole.ok_or_else(|| float_overflow(v, from, to));
        }
        Value::Decimal(v) if to == T::Bit => i64::from(!v.is_zero()),
        Value::Decimal(v) => {
            let whole = if from.is_money() {
                v.rescale(decimal::MAX_PRECISION, 0)
            } else {
                Some(v)
            };
            whole
                .and_then(Decimal::to_i64)
                .ok_or_else(|| overflow(from, to))?
        }
        Value::Text(text) => return text_to_int(&text, from, to),
        Value::Bytes(bytes) => bytes_to_int(&bytes, to),
        Value::DateTime(ticks) => (ticks + DAY / 2).div_euclid(DAY) - DAY_1900,
        _ => return Err(impossible(from, to)),
    };
    if wide < low || wide > high {
        return Err(overflow(from, to).at_value(wide, from, to));
    }
    Ok(wide)
}

fn overflow(from: SqlType, to: SqlType) -> SqlError {
    if matches!(from, T::Int | T::SmallInt) && matches!(to, T::SmallInt | T::TinyInt) {
        return SqlError::new(220, String::new());
    }
    SqlError::conversion_overflow(
        if from.is_integer() {
            "expression"
        } else {
            from.base_name()
        },
        to.base_name(),
    )
}

/// The smaller integers name the value.
fn float_overflow(value: f64, from: SqlType, to: SqlType) -> SqlError {
    if to == T::BigInt {
        return overflow(from, to);
    }
    SqlError::new(
        232,
        format!(
            "Arithmetic overflow error for type {}, value = {value:.6}.",
            to.base_name()
        ),
    )
    .state(3)
}

impl SqlError {
    /// Error 220 names the value.
    fn at_value(self, value: i64, _from: SqlType, to: SqlType) -> Self {
        if self.number != 220 {
            return self;
        }
        Self {
            message: format!(
                "Arithmetic overflow error for data type {}, value = {value}.",
                to.base_name()
            ),
            ..self
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn float_to_int(value: f64) -> Option<i64> {
    let cut = value.trunc();
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&cut)
        .then_some(cut as i64)
}

fn text_to_int(text: &str, from: SqlType, to: SqlType) -> SqlResult<i64> {
    let trimmed = text.trim();
    if to == T::Bit {
        if trimmed.eq_ignore_ascii_case("true") {
            return Ok(1);
        }
        if trimmed.eq_ignore_ascii_case("false") {
            return Ok(0);
        }
    }
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if trimmed.is_empty() {
        return Ok(0);
    }
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(if to == T::BigInt {
            SqlError::new(
                8114,
                format!("Error converting data type {} to bigint.", from.base_name()),
            )
            .state(5)
        } else {
            conversion_failed(text.trim_end_matches(' '), from, to)
        });
    }
    let (low, high) = to.int_range().unwrap_or((i64::MIN, i64::MAX));
    match trimmed.parse::<i64>() {
        Ok(v) if to == T::Bit => Ok(i64::from(v != 0)),
        Ok(v) if (low..=high).contains(&v) => Ok(v),
        _ if to == T::BigInt => Err(SqlError::conversion_overflow("expression", "bigint")),
        _ => Err(SqlError::new(
            if to == T::Int { 248 } else { 244 },
            format!(
                "The conversion of the {} value '{trimmed}' overflowed an {} column.",
                from.base_name(),
                match to {
                    T::TinyInt => "INT1",
                    T::SmallInt => "INT2",
                    _ => "int",
                }
            ),
        )),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "float and real are approximate by definition"
)]
pub(super) fn to_float(value: Value, from: SqlType, to: SqlType) -> SqlResult<f64> {
    let wide = match value {
        Value::Int(v) => v as f64,
        Value::Float(v) => v,
        Value::Decimal(v) => v.to_f64(),
        Value::Text(text) => {
            let trimmed = text.trim();
            let plain = trimmed
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
            match trimmed.parse::<f64>() {
                _ if trimmed.is_empty() => 0.0,
                Ok(v) if plain && v.is_finite() => v,
                _ => {
                    return Err(SqlError::new(
                        8114,
                        format!(
                            "Error converting data type {} to {}.",
                            from.base_name(),
                            to.base_name()
                        ),
                    )
                    .state(5));
                }
            }
        }
        Value::DateTime(ticks) => (ticks - DAY_1900 * DAY) as f64 / DAY as f64,
        _ => return Err(impossible(from, to)),
    };
    if to == T::Real {
        let narrow = wide as f32;
        if narrow.is_infinite() {
            return Err(overflow(from, to));
        }
        return Ok(f64::from(narrow));
    }
    Ok(wide)
}

fn to_decimal(value: Value, from: SqlType, to: SqlType) -> SqlResult<Decimal> {
    let (precision, scale) = match to {
        // One digit more than shown: the range of money is that of a 64-bit integer.
        T::Money => (19, 4),
        other => other.digits().unwrap_or((38, 0)),
    };
    let exact = match value {
        Value::Int(v) => Some(Decimal::from_int(v)),
        Value::Decimal(v) => Some(v),
        Value::Float(v) => Decimal::from_f64(v, precision, scale),
        Value::Text(text) => Some(text_to_decimal(&text, from, to)?),
        Value::DateTime(_) => Decimal::from_f64(to_float(value, from, T::Float)?, precision, scale),
        _ => return Err(impossible(from, to)),
    };
    let rescaled = exact.and_then(|v| v.rescale(precision, scale));
    let fits = |v: &Decimal| match to {
        T::Money => i64::try_from(v.mantissa()).is_ok(),
        T::SmallMoney => i32::try_from(v.mantissa()).is_ok(),
        _ => true,
    };
    let shown = |ty: SqlType| match ty {
        T::Decimal { .. } => "numeric",
        other => other.base_name(),
    };
    rescaled
        .filter(fits)
        .ok_or_else(|| SqlError::conversion_overflow(shown(from), shown(to)))
}

fn text_to_decimal(text: &str, from: SqlType, to: SqlType) -> SqlResult<Decimal> {
    let trimmed = text.trim();
    if to.is_money() {
        let plain: String = trimmed
            .chars()
            .filter(|c| !matches!(c, '$' | ','))
            .collect();
        if plain.is_empty() {
            return Ok(Decimal::ZERO);
        }
        return Decimal::parse(&plain).ok_or_else(|| {
            SqlError::new(
                235,
                "Cannot convert a char value to money. The char value has incorrect syntax.",
            )
        });
    }
    Decimal::parse(trimmed).ok_or_else(|| {
        SqlError::new(
            8114,
            format!(
                "Error converting data type {} to numeric.",
                from.base_name()
            ),
        )
        .state(5)
    })
}

fn to_guid(value: Value, from: SqlType, to: SqlType) -> SqlResult<Value> {
    match value {
        Value::Guid(_) => Ok(value),
        Value::Text(text) => {
            let trimmed = text.trim();
            let bare = trimmed
                .strip_prefix('{')
                .and_then(|t| t.strip_suffix('}'))
                .unwrap_or(trimmed);
            let bare = bare.get(..36).unwrap_or(bare);
            match uuid::Uuid::try_parse(bare) {
                Ok(id) if bare.len() == 36 => Ok(Value::Guid(id.to_bytes_le())),
                _ => Err(SqlError::new(
                    8169,
                    "Conversion failed when converting from a character string to uniqueidentifier.",
                )
                .state(2)),
            }
        }
        Value::Bytes(bytes) => {
            let mut guid = [0; 16];
            for (to, from) in guid.iter_mut().zip(bytes) {
                *to = from;
            }
            Ok(Value::Guid(guid))
        }
        _ => Err(impossible(from, to)),
    }
}

/// The text of a value, not yet cut to a length; numbers that do not fit are errors here.
fn to_text(value: Value, from: SqlType, to: SqlType, style: Option<i64>) -> SqlResult<String> {
    let number = matches!(
        value,
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) | Value::Guid(_)
    );
    let is_int = matches!(value, Value::Int(_));
    let text = plain_text(value, from, to, style)?;
    let limit = to.length().unwrap_or(MAX);
    if !number || limit == MAX || text_length(&text, to) <= usize::from(limit) {
        return Ok(text);
    }
    if is_int && !to.is_unicode() && from != T::BigInt {
        return Ok("*".into());
    }
    if from == T::UniqueIdentifier {
        return Err(SqlError::new(
            8170,
            "Insufficient result space to convert uniqueidentifier value to char.",
        )
        .state(2));
    }
    let shown = if from.is_integer() {
        "expression"
    } else {
        from.base_name()
    };
    Err(SqlError::conversion_overflow(shown, to.base_name()))
}

fn plain_text(value: Value, from: SqlType, to: SqlType, style: Option<i64>) -> SqlResult<String> {
    let moment = |m: Moment, default: i64| {
        let style = style.unwrap_or(default);
        m.format(style)
            .ok_or_else(|| SqlError::unsupported(format!("CONVERT style {style}")))
    };
    Ok(match value {
        Value::Null => String::new(),
        Value::Int(v) => v.to_string(),
        Value::Float(v) => match style.unwrap_or(0) {
            0 => float::short_form(v),
            1 => float::scientific(v, 8),
            2 => float::scientific(v, 16),
            3 => float::scientific(v, 17),
            other => return Err(SqlError::unsupported(format!("CONVERT style {other}"))),
        },
        Value::Decimal(v) => decimal_text(v, from, style)?,
        Value::Text(v) => v,
        Value::Bytes(v) => bytes_to_text(&v, to, style)?,
        Value::Guid(v) => uuid::Uuid::from_bytes_le(v).to_string().to_uppercase(),
        Value::Date(days) => moment(
            Moment {
                days: Some(days),
                time: None,
                scale: 0,
                offset: None,
            },
            121,
        )?,
        Value::Time(time) => moment(
            Moment {
                days: None,
                time: Some(time),
                scale: from.time_scale(),
                offset: None,
            },
            121,
        )?,
        Value::DateTime(ticks) => {
            let default = if matches!(from, T::DateTime2(_)) {
                121
            } else {
                0
            };
            let scale = if from == T::SmallDateTime {
                3
            } else {
                from.time_scale()
            };
            moment(Moment::from_ticks(ticks, scale), default)?
        }
        Value::DateTimeOffset(v) => moment(Moment::from_offset(v, from.time_scale()), 121)?,
        Value::Variant(v) => return plain_text(v.value, v.base, to, style),
    })
}

fn decimal_text(value: Decimal, from: SqlType, style: Option<i64>) -> SqlResult<String> {
    let style = style.unwrap_or(0);
    let scale = match (from.is_money(), style) {
        (true, 0 | 1) => 2,
        (true, 2 | 126) => 4,
        (true, other) => return Err(SqlError::unsupported(format!("CONVERT style {other}"))),
        (false, _) => from.digits().map_or(0, |d| d.1),
    };
    let text = value
        .rescale(decimal::MAX_PRECISION, scale)
        .map(|v| v.to_string())
        .ok_or_else(decimal::numeric_overflow)?;
    Ok(if from.is_money() && style == 1 {
        decimal::grouped(&text)
    } else {
        text
    })
}

/// Length in the unit of the type: UTF-16 units, or characters of the code page.
pub(crate) fn text_length(text: &str, ty: SqlType) -> usize {
    if text.is_ascii() {
        text.len()
    } else if ty.is_unicode() {
        text.encode_utf16().count()
    } else {
        text.chars().count()
    }
}

pub(super) fn cut_text(text: String, to: SqlType) -> String {
    let text = if to.is_unicode() {
        text
    } else {
        codepage::squeeze(text)
    };
    let limit = match to.length() {
        Some(MAX) | None => return text,
        Some(n) => usize::from(n),
    };
    let mut text = text;
    if text_length(&text, to) > limit {
        text = first_units(&text, limit, to);
    }
    if matches!(to, T::Char(_) | T::NChar(_)) {
        let missing = limit.saturating_sub(text_length(&text, to));
        text.extend(std::iter::repeat_n(' ', missing));
    }
    text
}

/// The longest start of the text that has at most so many units.
pub(crate) fn first_units(text: &str, limit: usize, ty: SqlType) -> String {
    let mut used = 0;
    text.chars()
        .take_while(|c| {
            used += if ty.is_unicode() { c.len_utf16() } else { 1 };
            used <= limit
        })
        .collect()
}

fn cut_bytes(mut bytes: Vec<u8>, to: SqlType) -> Vec<u8> {
    match to {
        T::VarBinary(n) if n != MAX => bytes.truncate(n.into()),
        T::Binary(n) => bytes.resize(n.into(), 0),
        _ => {}
    }
    bytes
}
