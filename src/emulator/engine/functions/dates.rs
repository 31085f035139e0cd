//! Functions of dates.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::types::datetime::{
    DAY, DAY_1753, DAY_1900, HOUR, LAST_DAY, MINUTE, MONTHS, Offset, SECOND, WEEKDAYS, Ymd,
    days_in_month, round_datetime,
};
use super::super::types::{SqlType, Value};
use super::{int, is_null, scalar, text, type_at, value};

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_dateadd", 4, dateadd)?;
    scalar(conn, "t_datediff", 6, datediff)?;
    scalar(conn, "t_datepart", 4, |ctx| part(ctx, false))?;
    scalar(conn, "t_datename", 4, |ctx| part(ctx, true))?;
    scalar(conn, "t_eomonth", 2, eomonth)
}

/// Ticks of the local clock, and the offset if there is one.
pub(super) fn ticks(ctx: &Context<'_>, at: usize, ty: SqlType) -> SqlResult<(i64, Option<i16>)> {
    Ok(match value(ctx, at, ty)? {
        Value::Date(days) => (days * DAY, None),
        Value::Time(time) => (DAY_1900 * DAY + time, None),
        Value::DateTime(ticks) => (ticks, None),
        Value::DateTimeOffset(v) => (v.local(), Some(v.minutes)),
        _ => return Err(SqlError::internal("a function got no date")),
    })
}

fn out_of_range(ty: SqlType) -> SqlError {
    SqlError::new(
        517,
        format!(
            "Adding a value to a '{}' column caused an overflow.",
            ty.base_name()
        ),
    )
}

fn dateadd(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) || is_null(ctx, 2) {
        return Ok(Stored::Null);
    }
    let (part, count, ty) = (text(ctx, 0)?, int(ctx, 1)?, type_at(ctx, 3)?);
    let (local, offset) = ticks(ctx, 2, ty)?;
    let clock = matches!(
        part,
        "hour" | "minute" | "second" | "millisecond" | "microsecond" | "nanosecond"
    );
    if ty == SqlType::Date && clock || matches!(ty, SqlType::Time(_)) && !clock {
        return Err(SqlError::new(
            9810,
            format!(
                "The datepart {part} is not supported by date function dateadd for data type {}.",
                ty.base_name()
            ),
        ));
    }
    let moved = match part {
        "year" => add_months(local, count.saturating_mul(12)),
        "quarter" => add_months(local, count.saturating_mul(3)),
        "month" => add_months(local, count),
        "nanosecond" => local.checked_add((count + 50 * count.signum()) / 100),
        _ => count
            .checked_mul(unit(part))
            .and_then(|by| local.checked_add(by)),
    }
    .ok_or_else(|| out_of_range(ty))?;
    finish(moved, offset, ty)
}

pub(super) fn finish(ticks: i64, offset: Option<i16>, ty: SqlType) -> SqlResult<Stored> {
    let first = match ty {
        SqlType::DateTime => DAY_1753,
        SqlType::SmallDateTime => DAY_1900,
        _ => 0,
    };
    if let SqlType::Time(_) = ty {
        return Ok(Stored::Integer(ticks.rem_euclid(DAY)));
    }
    if ticks < first * DAY || ticks >= (LAST_DAY + 1) * DAY {
        return Err(out_of_range(ty));
    }
    Ok(match ty {
        SqlType::Date => Stored::Integer(ticks.div_euclid(DAY)),
        SqlType::DateTime => Stored::Integer(round_datetime(ticks)),
        SqlType::SmallDateTime => Stored::Integer((ticks + MINUTE / 2).div_euclid(MINUTE) * MINUTE),
        SqlType::DateTimeOffset(_) => {
            let minutes = offset.unwrap_or(0);
            let utc = ticks - i64::from(minutes) * MINUTE;
            Value::DateTimeOffset(Offset { utc, minutes }).into_stored()
        }
        _ => Stored::Integer(ticks),
    })
}

/// Ticks of the parts that have a fixed length.
pub(super) fn unit(part: &str) -> i64 {
    match part {
        "week" => 7 * DAY,
        "hour" => HOUR,
        "minute" => MINUTE,
        "second" => SECOND,
        "millisecond" => SECOND / 1000,
        "microsecond" => SECOND / 1_000_000,
        _ => DAY,
    }
}

pub(super) fn add_months(ticks: i64, months: i64) -> Option<i64> {
    let (days, time) = (ticks.div_euclid(DAY), ticks.rem_euclid(DAY));
    let date = Ymd::from_days(days);
    let total = (date.year * 12 + date.month - 1).checked_add(months)?;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let day = date.day.min(days_in_month(year, month));
    Some(Ymd { year, month, day }.to_days()? * DAY + time)
}

/// DATEDIFF counts boundaries crossed, not time passed.
fn datediff(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) || is_null(ctx, 3) {
        return Ok(Stored::Null);
    }
    let (from_type, to_type, ty) = (type_at(ctx, 2)?, type_at(ctx, 4)?, type_at(ctx, 5)?);
    let (from, to) = (ticks(ctx, 1, from_type)?.0, ticks(ctx, 3, to_type)?.0);
    let boundary = |by: i64| to.div_euclid(by) - from.div_euclid(by);
    let months = |ticks: i64| {
        let date = Ymd::from_days(ticks.div_euclid(DAY));
        (date.year, date.month)
    };
    let ((y1, m1), (y2, m2)) = (months(from), months(to));
    let count = match text(ctx, 0)? {
        "year" => Some(y2 - y1),
        "quarter" => Some((y2 * 4 + (m2 - 1) / 3) - (y1 * 4 + (m1 - 1) / 3)),
        "month" => Some((y2 * 12 + m2) - (y1 * 12 + m1)),
        // Weeks begin on Sunday whatever DATEFIRST says; day 0 was a Monday.
        "week" => {
            Some((to.div_euclid(DAY) + 1).div_euclid(7) - (from.div_euclid(DAY) + 1).div_euclid(7))
        }
        "nanosecond" => (to - from).checked_mul(100),
        part => Some(boundary(unit(part))),
    };
    let (low, high) = ty.int_range().unwrap_or((i64::MIN, i64::MAX));
    match count {
        Some(count) if (low..=high).contains(&count) => Ok(Stored::Integer(count)),
        _ => Err(SqlError::new(
            535,
            "The datediff function resulted in an overflow. The number of dateparts separating two date/time \
             instances is too large. Try to use datediff with a less precise datepart.",
        )),
    }
}

fn part(ctx: &Context<'_>, name: bool) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let (part, ty, first) = (text(ctx, 0)?, type_at(ctx, 2)?, int(ctx, 3)?);
    let (ticks, offset) = ticks(ctx, 1, ty)?;
    let (days, time) = (ticks.div_euclid(DAY), ticks.rem_euclid(DAY));
    let date = Ymd::from_days(days);
    let start = Ymd {
        year: date.year,
        month: 1,
        day: 1,
    }
    .to_days()
    .unwrap_or(0);
    // Day 0 was a Monday; 1 is Monday, 7 is Sunday.
    let weekday = |day: i64| (day.rem_euclid(7) + 1 - first).rem_euclid(7) + 1;
    let number = match part {
        "year" => date.year,
        "quarter" => (date.month - 1) / 3 + 1,
        "month" => date.month,
        "day" => date.day,
        "dayofyear" => days - start + 1,
        "week" => (days - start + weekday(start) - 1) / 7 + 1,
        "weekday" => weekday(days),
        "iso_week" => iso_week(days),
        "tzoffset" => offset.unwrap_or(0).into(),
        "hour" => time / HOUR,
        "minute" => time % HOUR / MINUTE,
        "second" => time % MINUTE / SECOND,
        "millisecond" => milliseconds(time, ty),
        "microsecond" => time % SECOND / 10,
        _ => time % SECOND * 100,
    };
    if !name {
        return Ok(Stored::Integer(number));
    }
    let at = |index: i64| usize::try_from(index).unwrap_or(0);
    Ok(Stored::Text(match part {
        "tzoffset" => offset_text(number),
        "month" => MONTHS
            .get(at(date.month - 1))
            .copied()
            .unwrap_or("")
            .to_owned(),
        "weekday" => WEEKDAYS
            .get(at((days + 1).rem_euclid(7)))
            .copied()
            .unwrap_or("")
            .to_owned(),
        _ => number.to_string(),
    }))
}

/// The week that the year's first Thursday begins to count.
fn iso_week(days: i64) -> i64 {
    let thursday = days - days.rem_euclid(7) + 3;
    let start = Ymd {
        month: 1,
        day: 1,
        ..Ymd::from_days(thursday)
    };
    (thursday - start.to_days().unwrap_or(0)) / 7 + 1
}

fn offset_text(minutes: i64) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// `datetime` is kept to 100 ns but shows whole milliseconds.
fn milliseconds(time: i64, ty: SqlType) -> i64 {
    let fraction = time % SECOND;
    if ty == SqlType::DateTime {
        (fraction + 5_000) / 10_000
    } else {
        fraction / 10_000
    }
}

fn eomonth(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let ty = type_at(ctx, 1)?;
    let date = Ymd::from_days(ticks(ctx, 0, ty)?.0.div_euclid(DAY));
    let last = Ymd {
        day: days_in_month(date.year, date.month),
        ..date
    };
    Ok(last.to_days().map_or(Stored::Null, Stored::Integer))
}
