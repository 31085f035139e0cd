//! Dates made of parts, cut to parts, and moved between offsets.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::types::date_text;
use super::super::types::datetime::{
    DAY, DAY_1753, DAY_1900, HOUR, LAST_DAY, MINUTE, Offset, SECOND, Ymd, round_datetime,
};
use super::super::types::{SqlType, Value};
use super::dates::{add_months, finish, ticks, unit};
use super::{int, is_null, scalar, text, type_at, value};

use SqlType as T;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_datetrunc", 4, truncate)?;
    scalar(conn, "t_bucket", 5, bucket)?;
    scalar(conn, "t_parts", -1, from_parts)?;
    scalar(conn, "t_tooffset", 4, to_offset)?;
    scalar(conn, "t_tz", 1, offset_of)?;
    scalar(conn, "t_datesum", 3, date_sum)
}

/// The sum or difference of two `datetime`, counted from 1900.
fn date_sum(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) || is_null(ctx, 2) {
        return Ok(Stored::Null);
    }
    let (a, b) = (int(ctx, 1)?, int(ctx, 2)? - DAY_1900 * DAY);
    let sum = if text(ctx, 0)? == "+" { a + b } else { a - b };
    if !(DAY_1753 * DAY..(LAST_DAY + 1) * DAY).contains(&sum) {
        return Err(SqlError::overflow("datetime"));
    }
    Ok(Stored::Integer(round_datetime(sum)))
}

/// Days since Monday, where 1 is Monday as the first day of the week and 7 is Sunday.
fn into_week(days: i64, first: i64) -> i64 {
    (days.rem_euclid(7) + 1 - first).rem_euclid(7)
}

fn truncate(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let (part, ty, first) = (text(ctx, 0)?, type_at(ctx, 2)?, int(ctx, 3)?);
    let (local, offset) = ticks(ctx, 1, ty)?;
    let days = local.div_euclid(DAY);
    let date = Ymd::from_days(days);
    let start = |month: i64| {
        let first = Ymd {
            month,
            day: 1,
            ..date
        };
        first.to_days().map(|d| d * DAY)
    };
    let cut = match part {
        "year" => start(1),
        "quarter" => start((date.month - 1) / 3 * 3 + 1),
        "month" => start(date.month),
        "week" => Some((days - into_week(days, first)) * DAY),
        "iso_week" => Some((days - into_week(days, 1)) * DAY),
        "day" | "dayofyear" => Some(days * DAY),
        part => Some(local.div_euclid(unit(part)) * unit(part)),
    };
    let cut = cut.filter(|c| *c >= 0).ok_or_else(|| {
        SqlError::new(
            9837,
            format!(
                "An invalid date value was encountered: The date value is less than the minimum date \
                 value allowed for the data type {}.",
                ty.base_name()
            ),
        )
    })?;
    finish(cut, offset, ty)
}

/// `DATE_BUCKET`: part, count, date, origin, type of both.
fn bucket(ctx: &Context<'_>) -> SqlResult<Stored> {
    if (1..4).any(|at| is_null(ctx, at)) {
        return Ok(Stored::Null);
    }
    let (part, count, ty) = (text(ctx, 0)?, int(ctx, 1)?, type_at(ctx, 4)?);
    let ((date, offset), (origin, _)) = (ticks(ctx, 2, ty)?, ticks(ctx, 3, ty)?);
    if count <= 0 {
        return Err(SqlError::new(
            9834,
            "Invalid bucket width value passed to date_bucket function. Only positive values are allowed.",
        ));
    }
    let gap = || SqlError::unsupported("DATE_BUCKET with this width");
    let months = match part {
        "year" => count.checked_mul(12),
        "quarter" => count.checked_mul(3),
        "month" => Some(count),
        _ => None,
    };
    let start = if let Some(months) = months {
        let of = |ticks: i64| {
            let date = Ymd::from_days(ticks.div_euclid(DAY));
            date.year * 12 + date.month
        };
        let mut step = (of(date) - of(origin)).div_euclid(months);
        let mut start = add_months(origin, step * months).ok_or_else(gap)?;
        if start > date {
            step -= 1;
            start = add_months(origin, step * months).ok_or_else(gap)?;
        }
        start
    } else {
        let width = count.checked_mul(unit(part)).ok_or_else(gap)?;
        origin + (date - origin).div_euclid(width) * width
    };
    finish(start, offset, ty)
}

fn invalid(name: &str) -> SqlError {
    SqlError::new(
        289,
        format!(
            "Cannot construct data type {name}, some of the arguments have values which are not valid."
        ),
    )
}

/// The type, then the parts in the order that its function has them.
fn from_parts(ctx: &Context<'_>) -> SqlResult<Stored> {
    let ty = type_at(ctx, 0)?;
    let mut parts = Vec::new();
    for at in 1..ctx.len() {
        if is_null(ctx, at) {
            return Ok(Stored::Null);
        }
        parts.push(int(ctx, at)?);
    }
    made(ty, &parts)
        .map(Value::into_stored)
        .ok_or_else(|| invalid(ty.base_name()))
}

fn made(ty: SqlType, parts: &[i64]) -> Option<Value> {
    let day = |y: i64, m: i64, d: i64| {
        Ymd {
            year: y,
            month: m,
            day: d,
        }
        .to_days()
    };
    Some(match (ty, parts) {
        (T::Date, [y, m, d]) => Value::Date(day(*y, *m, *d)?),
        (T::DateTime, [y, m, d, h, mi, s, ms]) => {
            let time = clock(*h, *mi, *s)? + fraction(*ms, 3)?;
            let days = day(*y, *m, *d).filter(|d| *d >= DAY_1753)?;
            Value::DateTime(round_datetime(days * DAY + time))
        }
        (T::SmallDateTime, [y, m, d, h, mi]) => {
            let days = day(*y, *m, *d).filter(|d| (DAY_1900..=DAY_1900 + 65_535).contains(d))?;
            Value::DateTime(days * DAY + clock(*h, *mi, 0)?)
        }
        (T::Time(scale), [h, mi, s, f]) => Value::Time(clock(*h, *mi, *s)? + fraction(*f, scale)?),
        (T::DateTime2(scale), [y, m, d, h, mi, s, f]) => {
            Value::DateTime(day(*y, *m, *d)? * DAY + clock(*h, *mi, *s)? + fraction(*f, scale)?)
        }
        (T::DateTimeOffset(scale), [y, m, d, h, mi, s, f, oh, om]) => {
            let local = day(*y, *m, *d)? * DAY + clock(*h, *mi, *s)? + fraction(*f, scale)?;
            // Both parts of the offset have the same sign.
            let apart = *oh > 0 && *om < 0 || *oh < 0 && *om > 0;
            let minutes = oh.checked_mul(60)?.checked_add(*om)?;
            let fits = !apart && om.abs() < 60 && minutes.abs() <= 840;
            let minutes = i16::try_from(minutes).ok().filter(|_| fits)?;
            let utc = local - i64::from(minutes) * MINUTE;
            (0..(LAST_DAY + 1) * DAY).contains(&utc).then_some(())?;
            Value::DateTimeOffset(Offset { utc, minutes })
        }
        _ => return None,
    })
}

fn clock(hours: i64, minutes: i64, seconds: i64) -> Option<i64> {
    let fits = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds);
    fits.then_some(hours * HOUR + minutes * MINUTE + seconds * SECOND)
}

fn fraction(units: i64, scale: u8) -> Option<i64> {
    let all = 10i64.pow(u32::from(scale.min(7)));
    (0..all).contains(&units).then_some(units * (SECOND / all))
}

/// Minutes of an offset given as text or as minutes.
fn offset_of(ctx: &Context<'_>) -> SqlResult<Stored> {
    let bad = || {
        SqlError::new(
            9812,
            "The timezone provided to builtin function switchoffset is invalid.",
        )
    };
    Ok(match ctx.get_raw(0) {
        rusqlite::types::ValueRef::Null => Stored::Null,
        rusqlite::types::ValueRef::Integer(v) if v.abs() <= 840 => Stored::Integer(v),
        rusqlite::types::ValueRef::Text(_) => Stored::Integer(
            date_text::parse_offset(text(ctx, 0)?.trim())
                .ok_or_else(bad)?
                .into(),
        ),
        _ => return Err(bad()),
    })
}

/// Gives a value an offset: the instant stays the same, or the clock does.
fn to_offset(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 2) {
        return Ok(Stored::Null);
    }
    let (ty, keep_instant) = (type_at(ctx, 1)?, int(ctx, 3)? == 1);
    let minutes =
        i16::try_from(int(ctx, 2)?).map_err(|_| SqlError::internal("an offset is out of range"))?;
    let shift = i64::from(minutes) * MINUTE;
    let utc = match value(ctx, 0, ty)? {
        Value::DateTimeOffset(v) if keep_instant => v.utc,
        Value::DateTimeOffset(v) => v.local() - shift,
        _ => ticks(ctx, 0, ty)?.0 - shift,
    };
    let all = 0..(LAST_DAY + 1) * DAY;
    if !all.contains(&utc) || !all.contains(&(utc + shift)) {
        return Err(SqlError::new(
            9813,
            "The timezone provided to builtin function todatetimeoffset would cause the datetimeoffset to \
             overflow the range of valid date range in either UTC or local time.",
        ));
    }
    Ok(Value::DateTimeOffset(Offset { utc, minutes }).into_stored())
}
