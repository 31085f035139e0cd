//! Conversion of dates and times.

use super::super::error::{SqlError, SqlResult};
use super::convert::{impossible, to_float};
use super::date_text::{self, Bad, Parsed};
use super::datetime::{self, DAY, DAY_1753, DAY_1900, LAST_DAY, MINUTE, Offset};
use super::{SqlType, Storage, Value};

use SqlType as T;

/// A date, time or both in another type.
pub(super) fn to_temporal(
    value: Value,
    from: SqlType,
    to: SqlType,
    style: Option<i64>,
) -> SqlResult<Value> {
    let offset_of = |minutes| Offset { utc: 0, minutes };
    // Local ticks since 0001-01-01, with the offset if the source has one.
    let (ticks, offset) = match value {
        Value::Date(days) => (days * DAY, None),
        Value::Time(time) if to.storage() == Storage::Time => (time, None),
        Value::Time(time) => (DAY_1900 * DAY + time, None),
        Value::DateTime(ticks) => (ticks, None),
        Value::DateTimeOffset(v) => (v.local(), Some(v.minutes)),
        Value::Text(text) => {
            let parsed = read(&text, from, to, style)?;
            let days = match to.storage() {
                Storage::Time => 0,
                _ => parsed.days.unwrap_or(DAY_1900),
            };
            let ticks = days * DAY + parsed.time;
            match to {
                // A text is a datetime first, so that 29.999 seconds are half a minute.
                T::SmallDateTime => (datetime::round_datetime(ticks), None),
                _ => (ticks, parsed.offset),
            }
        }
        Value::Int(_) | Value::Float(_) | Value::Decimal(_)
            if matches!(to, T::DateTime | T::SmallDateTime) =>
        {
            let days = to_float(value, from, T::Float)?;
            (ticks_of_days(days).ok_or_else(|| days_overflow(to))?, None)
        }
        _ => return Err(impossible(from, to)),
    };
    finish_temporal(ticks, offset.map_or(offset_of(0), offset_of), from, to)
}

fn read(text: &str, from: SqlType, to: SqlType, style: Option<i64>) -> SqlResult<Parsed> {
    let old = matches!(to, T::DateTime | T::SmallDateTime);
    match date_text::parse(text, style) {
        // The old types know no offsets and no more than milliseconds.
        Ok(parsed) if old && (parsed.offset.is_some() || parsed.fraction > 3) => Err(bad_date(to)),
        Ok(parsed) => Ok(parsed),
        Err(Bad::OutOfRange) if old => Err(date_range(from, to)),
        Err(Bad::Gap) => Err(SqlError::unsupported(match style {
            None => format!("a date written as '{text}'"),
            Some(style) => format!(
                "CONVERT of '{text}' to {} with style {style}",
                to.base_name()
            ),
        })),
        Err(_) => Err(bad_date(to)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the range is checked; a float carries no more"
)]
fn ticks_of_days(days: f64) -> Option<i64> {
    (days.abs() < 3_000_000.0).then(|| DAY_1900 * DAY + (days * DAY as f64).round() as i64)
}

fn finish_temporal(ticks: i64, offset: Offset, from: SqlType, to: SqlType) -> SqlResult<Value> {
    let in_range = |ticks: i64, first: i64, last: i64| {
        if ticks < first * DAY || ticks >= (last + 1) * DAY {
            if from.is_numeric() {
                return Err(days_overflow(to));
            }
            return Err(date_range(from, to));
        }
        Ok(ticks)
    };
    Ok(match to {
        T::Date => Value::Date(in_range(ticks, 0, LAST_DAY)?.div_euclid(DAY)),
        T::Time(scale) => {
            let rounded = datetime::round_ticks(ticks.rem_euclid(DAY), scale);
            Value::Time(rounded % DAY)
        }
        T::DateTime => Value::DateTime(in_range(
            datetime::round_datetime(ticks),
            DAY_1753,
            LAST_DAY,
        )?),
        T::SmallDateTime => Value::DateTime(in_range(
            (ticks + MINUTE / 2).div_euclid(MINUTE) * MINUTE,
            DAY_1900,
            DAY_1900 + i64::from(u16::MAX),
        )?),
        T::DateTime2(scale) => {
            Value::DateTime(in_range(datetime::round_ticks(ticks, scale), 0, LAST_DAY)?)
        }
        T::DateTimeOffset(scale) => {
            let local = in_range(datetime::round_ticks(ticks, scale), 0, LAST_DAY)?;
            let utc = local - i64::from(offset.minutes) * MINUTE;
            Value::DateTimeOffset(Offset {
                utc: in_range(utc, 0, LAST_DAY)?,
                minutes: offset.minutes,
            })
        }
        _ => return Err(impossible(from, to)),
    })
}

/// A number of days that leads out of the type's range.
fn days_overflow(to: SqlType) -> SqlError {
    SqlError::overflow(to.base_name())
}

fn bad_date(to: SqlType) -> SqlError {
    if to == T::SmallDateTime {
        return SqlError::new(
            295,
            "Conversion failed when converting character string to smalldatetime data type.",
        )
        .state(3);
    }
    SqlError::new(
        241,
        "Conversion failed when converting date and/or time from character string.",
    )
}

fn date_range(from: SqlType, to: SqlType) -> SqlError {
    SqlError::new(
        242,
        format!(
            "The conversion of a {} data type to a {} data type resulted in an out-of-range value.",
            from.base_name(),
            to.base_name()
        ),
    )
    .state(3)
}
