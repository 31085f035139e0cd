//! What values mean: their order, their arithmetic, and one type's as another's.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::{SqlError, shortened};
use crate::tds::{Collation, Moment, Scalar, TypeId, TypeInfo};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Kind {
    Bit,
    Int,
    BigInt,
    Float,
    /// nvarchar of so many characters at most; 4000 is the most.
    Text(u16),
    /// datetime, which every version knows.
    Moment,
}

/// Longest text of a column, in UTF-16 units.
pub(super) const MAX_TEXT: u16 = 4000;

impl Kind {
    /// As COLMETADATA tells it. No type here is newer than TDS 7.1.
    pub(in crate::proxy) fn type_info(self) -> TypeInfo {
        let byte_len = |id, max| TypeInfo::ByteLen { id, max };
        match self {
            Self::Bit => byte_len(TypeId::BITN, 1),
            Self::Int => byte_len(TypeId::INTN, 4),
            Self::BigInt => byte_len(TypeId::INTN, 8),
            Self::Float => byte_len(TypeId::FLTN, 8),
            Self::Text(chars) => TypeInfo::ShortLen {
                id: TypeId::NVARCHAR,
                max: chars.clamp(1, MAX_TEXT) * 2,
                collation: Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
            },
            Self::Moment => byte_len(TypeId::DATETIMN, 8),
        }
    }

    /// The name in T-SQL, without a length.
    pub(in crate::proxy) fn name(self) -> &'static str {
        match self {
            Self::Bit => "bit",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Float => "float",
            Self::Text(_) => "nvarchar",
            Self::Moment => "datetime",
        }
    }

    /// The kind that a value is by itself.
    pub(in crate::proxy) fn of(value: &Scalar) -> Self {
        match value {
            Scalar::Bit(_) => Self::Bit,
            Scalar::Int(int) if i32::try_from(*int).is_ok() => Self::Int,
            Scalar::Int(_) => Self::BigInt,
            Scalar::Float(_) => Self::Float,
            Scalar::Moment(_) => Self::Moment,
            Scalar::Text(text) => {
                let units = text.encode_utf16().take(usize::from(MAX_TEXT)).count();
                Self::Text(u16::try_from(units.max(1)).unwrap_or(MAX_TEXT))
            }
            _ => Self::Text(1),
        }
    }

    /// The kind of what is one or the other.
    pub(super) fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Self::Text(a.max(b)),
            (Self::Text(_), other) | (other, Self::Text(_)) => other,
            (a, b) if a == b => a,
            (Self::Moment, _) | (_, Self::Moment) => Self::Moment,
            (Self::Float, _) | (_, Self::Float) => Self::Float,
            (Self::BigInt, _) | (_, Self::BigInt) => Self::BigInt,
            _ => Self::Int,
        }
    }
}

/// Whether two names are the same to the database's collation.
pub(in crate::proxy) fn same_name(a: &str, b: &str) -> bool {
    folded(a) == folded(b)
}

/// What is compared of a text: case and trailing blanks count for nothing.
pub(super) fn folded(text: &str) -> String {
    text.trim_end_matches(' ').to_lowercase()
}

/// Compares as the database's collation does; `None` if one is NULL.
pub(super) fn compare(a: &Scalar, b: &Scalar) -> Result<Option<Ordering>, SqlError> {
    if matches!(a, Scalar::Null) || matches!(b, Scalar::Null) {
        return Ok(None);
    }
    if let (Scalar::Text(a), Scalar::Text(b)) = (a, b) {
        return Ok(Some(folded(a).cmp(&folded(b))));
    }
    let kind = Kind::of(a).joined(Kind::of(b));
    Ok(order(&convert(a, kind)?, &convert(b, kind)?))
}

/// The order of rows: NULL comes first, and what cannot be compared is equal.
pub(super) fn sort_order(a: &Scalar, b: &Scalar) -> Ordering {
    match (a, b) {
        (Scalar::Null, Scalar::Null) => Ordering::Equal,
        (Scalar::Null, _) => Ordering::Less,
        (_, Scalar::Null) => Ordering::Greater,
        (Scalar::Text(a), Scalar::Text(b)) => folded(a).cmp(&folded(b)),
        (a, b) => order(a, b).unwrap_or(Ordering::Equal),
    }
}

/// Two of one kind.
fn order(a: &Scalar, b: &Scalar) -> Option<Ordering> {
    match (a, b) {
        (Scalar::Bit(a), Scalar::Bit(b)) => Some(a.cmp(b)),
        (Scalar::Int(a), Scalar::Int(b)) => Some(a.cmp(b)),
        (Scalar::Float(a), Scalar::Float(b)) => Some(a.total_cmp(b)),
        (Scalar::Moment(a), Scalar::Moment(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// A value as one of another kind; NULL stays NULL, texts are cut to fit.
pub(in crate::proxy) fn convert(value: &Scalar, kind: Kind) -> Result<Scalar, SqlError> {
    let no = || SqlError::Conversion {
        value: shortened(&text(value).unwrap_or_default()),
        kind: kind.name(),
    };
    Ok(match (kind, value) {
        (_, Scalar::Null) => Scalar::Null,
        (Kind::Text(chars), value) => {
            let text = text(value).ok_or_else(no)?;
            Scalar::Text(cut(text, chars.min(MAX_TEXT).into()))
        }
        (Kind::Bit, value) => Scalar::Bit(match value {
            Scalar::Bit(bit) => *bit,
            Scalar::Text(text) if text.eq_ignore_ascii_case("true") => true,
            Scalar::Text(text) if text.eq_ignore_ascii_case("false") => false,
            other => number(other).ok_or_else(no)? != 0.0,
        }),
        (Kind::Int | Kind::BigInt, value) => {
            let int = integer(value).ok_or_else(no)??;
            if kind == Kind::Int && i32::try_from(int).is_err() {
                return Err(SqlError::Overflow);
            }
            Scalar::Int(int)
        }
        (Kind::Float, value) => Scalar::Float(number(value).ok_or_else(no)?),
        (Kind::Moment, Scalar::Moment(moment)) => Scalar::Moment(*moment),
        (Kind::Moment, Scalar::Text(text)) => Scalar::Moment(moment(text).ok_or_else(no)?),
        (Kind::Moment, _) => return Err(no()),
    })
}

/// A value as text; `None` for NULL and bytes.
pub(super) fn text(value: &Scalar) -> Option<String> {
    Some(match value {
        Scalar::Text(text) => text.clone(),
        Scalar::Bit(bit) => u8::from(*bit).to_string(),
        Scalar::Int(int) => int.to_string(),
        Scalar::Float(float) => float.to_string(),
        Scalar::Moment(moment) => shown(*moment),
        _ => return None,
    })
}

/// Such as `2026-01-02 03:04:05.000`.
fn shown(moment: Moment) -> String {
    let nanoseconds = i128::from(moment.0) * 100;
    jiff::Timestamp::from_nanosecond(nanoseconds).map_or_else(
        |_| "(out of range)".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
    )
}

/// A date, or a date and a time of day, in UTC.
fn moment(text: &str) -> Option<Moment> {
    let civil: DateTime = text.trim().parse().ok()?;
    let nanoseconds = civil
        .to_zoned(TimeZone::UTC)
        .ok()?
        .timestamp()
        .as_nanosecond();
    i64::try_from(nanoseconds / 100).ok().map(Moment)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "as SQL Server converts to float"
)]
fn number(value: &Scalar) -> Option<f64> {
    Some(match value {
        Scalar::Bit(bit) => u8::from(*bit).into(),
        Scalar::Int(int) => *int as f64,
        Scalar::Float(float) => *float,
        Scalar::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    })
}

/// Truncated towards zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range has been checked"
)]
fn integer(value: &Scalar) -> Option<Result<i64, SqlError>> {
    Some(match value {
        Scalar::Bit(bit) => Ok((*bit).into()),
        Scalar::Int(int) => Ok(*int),
        // 2^63, and as much below zero.
        Scalar::Float(float) if float.abs() < 9.223_372_036_854_775e18 => Ok(*float as i64),
        Scalar::Float(_) => Err(SqlError::Overflow),
        Scalar::Text(text) => Ok(text.trim().parse().ok()?),
        _ => return None,
    })
}

/// The first so many UTF-16 units; no character is cut apart.
pub(super) fn cut(mut text: String, units: usize) -> String {
    let mut left = units;
    let end = text
        .char_indices()
        .find_map(|(at, char)| match left.checked_sub(char.len_utf16()) {
            Some(less) => {
                left = less;
                None
            }
            None => Some(at),
        });
    if let Some(end) = end {
        text.truncate(end);
    }
    text
}
