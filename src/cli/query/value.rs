//! One cell as text, in the forms that SQL Server itself prints.

use std::fmt::Write;

use base64::Engine as _;
use jiff::ToSpan;
use jiff::civil;

use crate::pool::tiberius::{
    ColumnData, ColumnType,
    numeric::Numeric,
    time::{Date, DateTime, DateTimeOffset, SmallDateTime, Time},
};

/// A cell that is not NULL.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// A number, exact, in the notation that JSON shares with SQL.
    Number(String),
    /// A truth value.
    Bit(bool),
    /// Anything that is text, or is shown as such.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Cell {
    /// Reads a cell; `None` is NULL.
    pub(super) fn read(data: &ColumnData<'_>, column: ColumnType) -> Option<Self> {
        let number = |text: Option<String>| text.map(Self::Number);
        match data {
            ColumnData::U8(v) => number(v.map(|v| v.to_string())),
            ColumnData::I16(v) => number(v.map(|v| v.to_string())),
            ColumnData::I32(v) => number(v.map(|v| v.to_string())),
            ColumnData::I64(v) => number(v.map(|v| v.to_string())),
            ColumnData::F32(v) => number(v.map(|v| v.to_string())),
            // The driver has no type for money: it hands out a float of four decimals.
            ColumnData::F64(v) if matches!(column, ColumnType::Money | ColumnType::Money4) => {
                number(v.map(|v| format!("{v:.4}")))
            }
            ColumnData::F64(v) => number(v.map(|v| v.to_string())),
            ColumnData::Bit(v) => v.map(Self::Bit),
            ColumnData::Numeric(v) => number(v.map(numeric)),
            ColumnData::String(v) => v.as_ref().map(|v| Self::Text(v.to_string())),
            ColumnData::Xml(v) => v.as_ref().map(|v| Self::Text(v.to_string())),
            ColumnData::Guid(v) => v.map(|v| Self::Text(v.to_string().to_uppercase())),
            ColumnData::Binary(v) => v.as_ref().map(|v| Self::Binary(v.to_vec())),
            ColumnData::DateTime(v) => v.map(|v| Self::Text(datetime(v))),
            ColumnData::SmallDateTime(v) => v.map(|v| Self::Text(small_datetime(v))),
            ColumnData::Date(v) => v.map(|v| Self::Text(date(v))),
            ColumnData::Time(v) => v.map(|v| Self::Text(time(v))),
            ColumnData::DateTime2(v) => {
                v.map(|v| Self::Text(format!("{} {}", date(v.date()), time(v.time()))))
            }
            ColumnData::DateTimeOffset(v) => v.map(|v| Self::Text(offset(v))),
        }
    }

    /// The cell for people and for CSV.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Number(text) | Self::Text(text) => text,
            Self::Bit(bit) => u8::from(bit).to_string(),
            Self::Binary(bytes) => hex(&bytes),
        }
    }

    /// The cell as a JSON value; bytes in base64, as `FOR JSON` writes them.
    pub(super) fn into_json(self) -> String {
        match self {
            Self::Number(text) => text,
            Self::Bit(bit) => bit.to_string(),
            Self::Text(text) => json_text(&text),
            Self::Binary(bytes) => {
                json_text(&base64::engine::general_purpose::STANDARD.encode(bytes))
            }
        }
    }
}

/// A text as a JSON string.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Exact, from the unscaled value: the sign of -0.5 would be lost between its two parts.
fn numeric(value: Numeric) -> String {
    let scale = usize::from(value.scale());
    let digits = format!(
        "{:0width$}",
        value.value().unsigned_abs(),
        width = scale + 1
    );
    let sign = if value.value() < 0 { "-" } else { "" };
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// Days from a first day, or the bare number where the calendar ends.
fn day(from: civil::Date, days: i64) -> String {
    from.checked_add(days.days())
        .map_or_else(|_| format!("day {days}"), |date| date.to_string())
}

fn date(value: Date) -> String {
    day(civil::date(1, 1, 1), i64::from(value.days()))
}

fn time(value: Time) -> String {
    clock(value.increments(), value.scale())
}

/// Time of day from a count of units of 10^-scale seconds.
fn clock(units: u64, scale: u8) -> String {
    let per_second = 10_u64.pow(u32::from(scale.min(9)));
    let (seconds, fraction) = (units / per_second, units % per_second);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if scale == 0 {
        format!("{h:02}:{m:02}:{s:02}")
    } else {
        format!(
            "{h:02}:{m:02}:{s:02}.{fraction:0width$}",
            width = usize::from(scale)
        )
    }
}

/// `datetime` counts 1/300 seconds and shows milliseconds.
fn datetime(value: DateTime) -> String {
    let milliseconds = (u64::from(value.seconds_fragments()) * 10 + 1) / 3;
    let days = i64::from(value.days());
    format!(
        "{} {}",
        day(civil::date(1900, 1, 1), days),
        clock(milliseconds, 3)
    )
}

/// `smalldatetime` counts minutes.
fn small_datetime(value: SmallDateTime) -> String {
    let days = i64::from(value.days());
    let seconds = u64::from(value.seconds_fragments()) * 60;
    format!(
        "{} {}",
        day(civil::date(1900, 1, 1), days),
        clock(seconds, 0)
    )
}

/// The wire holds UTC; people are shown the local time and its offset.
fn offset(value: DateTimeOffset) -> String {
    let (utc, minutes) = (value.datetime2(), i64::from(value.offset()));
    let scale = utc.time().scale();
    let per_day = 86_400 * 10_i64.pow(u32::from(scale.min(9)));
    let shift = minutes * 60 * 10_i64.pow(u32::from(scale.min(9)));
    let units = i64::try_from(utc.time().increments()).unwrap_or_default() + shift;
    let days = i64::from(utc.date().days()) + units.div_euclid(per_day);
    let clock = clock(units.rem_euclid(per_day).unsigned_abs(), scale);
    let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
    format!(
        "{} {clock} {sign}{:02}:{:02}",
        day(civil::date(1, 1, 1), days),
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tiberius::time::DateTime2;

    fn text(data: &ColumnData<'_>) -> String {
        Cell::read(data, ColumnType::Null).unwrap().into_text()
    }

    #[test]
    fn decimals_keep_sign_and_zeros() {
        let shown = |value, scale| {
            text(&ColumnData::Numeric(Some(Numeric::new_with_scale(
                value, scale,
            ))))
        };
        assert_eq!(shown(-5, 1), "-0.5");
        assert_eq!(shown(-5, 3), "-0.005");
        assert_eq!(shown(1200, 2), "12.00");
        assert_eq!(shown(42, 0), "42");
        assert_eq!(shown(0, 2), "0.00");
    }

    #[test]
    fn times_are_those_of_sql_server() {
        let at = |units, scale| ColumnData::Time(Some(Time::new(units, scale)));
        assert_eq!(text(&at(0, 0)), "00:00:00");
        assert_eq!(text(&at(863_999_999_999, 7)), "23:59:59.9999999");
        let last = DateTime::new(2_958_463, 25_919_999);
        assert_eq!(
            text(&ColumnData::DateTime(Some(last))),
            "9999-12-31 23:59:59.997"
        );
        let first = DateTime::new(-53_690, 0);
        assert_eq!(
            text(&ColumnData::DateTime(Some(first))),
            "1753-01-01 00:00:00.000"
        );
        let small = SmallDateTime::new(1, 61);
        assert_eq!(
            text(&ColumnData::SmallDateTime(Some(small))),
            "1900-01-02 01:01:00"
        );
    }

    #[test]
    fn an_offset_shows_local_time_over_midnight() {
        // 2024-02-29 23:30 UTC is 2024-03-01 01:30 +02:00.
        let utc = DateTime2::new(Date::new(738_944), Time::new(84_600, 0));
        let data = |minutes| {
            text(&ColumnData::DateTimeOffset(Some(DateTimeOffset::new(
                utc, minutes,
            ))))
        };
        assert_eq!(data(120), "2024-03-01 01:30:00 +02:00");
        assert_eq!(data(-1410), "2024-02-29 00:00:00 -23:30");
        assert_eq!(data(0), "2024-02-29 23:30:00 +00:00");
    }

    #[test]
    fn json_keeps_numbers_exact_and_bytes_in_base64() {
        let long = Numeric::new_with_scale(i128::from(i64::MAX) * 10, 1);
        let cases: [(ColumnData<'_>, &str); 4] = [
            (ColumnData::Numeric(Some(long)), "9223372036854775807.0"),
            (ColumnData::Binary(Some(vec![0, 255].into())), "\"AP8=\""),
            (ColumnData::Bit(Some(true)), "true"),
            (ColumnData::String(Some("a\"\n".into())), "\"a\\\"\\n\""),
        ];
        for (data, expected) in cases {
            let json = Cell::read(&data, ColumnType::Null).map(Cell::into_json);
            assert_eq!(json.as_deref(), Some(expected));
        }
        assert_eq!(Cell::read(&ColumnData::I32(None), ColumnType::Int4), None);
    }
}
