//! Calendar arithmetic and reading of dates and times; no time zones but offsets.
//!
//! A day number counts from 0001-01-01 (day 0); ticks are 100 ns.

/// Ticks of 100 ns in a second.
pub(crate) const SECOND: i64 = 10_000_000;
/// Ticks in a minute.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// Ticks in an hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Ticks in a day.
pub(crate) const DAY: i64 = 24 * HOUR;
/// 9999-12-31.
pub(crate) const LAST_DAY: i64 = 3_652_058;
/// 1900-01-01, where `datetime` counts from.
pub(crate) const DAY_1900: i64 = 693_595;
/// 1753-01-01, the first `datetime`.
pub(crate) const DAY_1753: i64 = 639_905;
/// 1970-01-01.
pub(crate) const DAY_1970: i64 = 719_162;

/// A calendar date, month and day from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ymd {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

impl Ymd {
    pub(crate) fn from_days(days: i64) -> Self {
        // Days since 0000-03-01, in eras of 400 years.
        let z = days + 306;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Self {
            year: yoe + era * 400 + i64::from(month <= 2),
            month,
            day: doy - (153 * mp + 2) / 5 + 1,
        }
    }

    /// The day number, if the date exists and lies in the years 1 to 9999.
    pub(crate) fn to_days(self) -> Option<i64> {
        let Self { year, month, day } = self;
        if !(1..=9999).contains(&year)
            || !(1..=12).contains(&month)
            || day < 1
            || day > days_in_month(year, month)
        {
            return None;
        }
        let y = if month <= 2 { year - 1 } else { year };
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let mp = if month > 2 { month - 3 } else { month + 9 };
        let doy = (153 * mp + 2) / 5 + day - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        Some(era * 146_097 + doe - 306)
    }
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A `datetimeoffset`: the instant in UTC and the offset in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) utc: i64,
    pub(crate) minutes: i16,
}

impl Offset {
    /// Ticks of the local clock.
    pub(crate) fn local(self) -> i64 {
        self.utc + i64::from(self.minutes) * MINUTE
    }

    /// The form in which SQLite keeps it.
    pub(crate) fn to_text(self) -> String {
        format!("{:019}{:+05}", self.utc.max(0), self.minutes)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Some(Self {
            utc: text.get(..19)?.parse().ok()?,
            minutes: text.get(19..)?.parse().ok()?,
        })
    }
}

/// Rounds ticks to a number of fractional digits, half up.
pub(crate) fn round_ticks(ticks: i64, scale: u8) -> i64 {
    let unit = 10i64.pow(7 - u32::from(scale.min(7)));
    (ticks + unit / 2).div_euclid(unit) * unit
}

/// Rounds ticks to what `datetime` can hold: 1/300 s, kept as 100 ns.
pub(crate) fn round_datetime(ticks: i64) -> i64 {
    let (day, time) = (ticks.div_euclid(DAY), ticks.rem_euclid(DAY));
    day * DAY + from_three_hundredths(to_three_hundredths(time))
}

/// 1/300 s units of a time of day, rounded.
pub(crate) fn to_three_hundredths(time: i64) -> i64 {
    (time * 3 + 50_000) / 100_000
}

/// The nearest 100 ns of so many 1/300 s.
pub(crate) fn from_three_hundredths(units: i64) -> i64 {
    (units * 100_000 + 1) / 3
}

/// What a text said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Day number, if there was a date.
    pub(crate) days: Option<i64>,
    /// Ticks since midnight, not rounded beyond 100 ns.
    pub(crate) time: i64,
    /// Offset in minutes, if there was one.
    pub(crate) offset: Option<i16>,
}

/// Reads a date, a time or both, in the forms that do not depend on DATEFORMAT, and `mdy`.
pub(crate) fn parse(text: &str) -> Option<Parsed> {
    let text = text.trim();
    if text.is_empty() {
        // SQL Server reads the empty string as 1900-01-01.
        return Some(Parsed {
            days: Some(DAY_1900),
            ..Parsed::default()
        });
    }
    let (date, rest) = take_date(text);
    let rest = match (date, rest.strip_prefix('T')) {
        (Some(_), Some(after)) => after,
        (Some(_), None) if !rest.is_empty() && !rest.starts_with(' ') => return None,
        _ => rest.trim_start(),
    };
    let mut parsed = Parsed {
        days: date.map(Ymd::to_days).map_or(Some(None), |d| d.map(Some))?,
        ..Parsed::default()
    };
    if rest.is_empty() {
        return parsed.days.map(|_| parsed);
    }
    let (clock, offset) = split_offset(rest)?;
    parsed.offset = offset;
    parsed.time = parse_clock(clock.trim_end())?;
    Some(parsed)
}

fn take_date(text: &str) -> (Option<Ymd>, &str) {
    if text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) {
        return month_name_date(text).map_or((None, text), |(d, rest)| (Some(d), rest));
    }
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '/' | '.')))
        .unwrap_or(text.len());
    let (head, rest) = text.split_at(end);
    if rest.starts_with(':') {
        return (None, text);
    }
    match numeric_date(head) {
        Some(date) => (Some(date), rest),
        None => (None, text),
    }
}

fn numeric_date(text: &str) -> Option<Ymd> {
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Ymd {
            year: text.get(..4)?.parse().ok()?,
            month: text.get(4..6)?.parse().ok()?,
            day: text.get(6..)?.parse().ok()?,
        });
    }
    let separator = text.chars().find(|c| !c.is_ascii_digit())?;
    let mut parts = text.split(separator);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || [a, b, c].iter().any(|p| p.is_empty() || p.len() > 4) {
        return None;
    }
    let (year, month, day) = match (a.len(), c.len()) {
        (4, 1 | 2) => (a, b, c),
        (1 | 2, 4) => (c, a, b),
        _ => return None,
    };
    Some(Ymd {
        year: year.parse().ok()?,
        month: month.parse().ok()?,
        day: day.parse().ok()?,
    })
}

/// `Jan 2 2006` and `January 2, 2006`.
fn month_name_date(text: &str) -> Option<(Ymd, &str)> {
    let word_end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let (word, rest) = text.split_at(word_end);
    let month = month_number(word)?;
    let rest = rest.trim_start();
    let day_end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (day, rest) = rest.split_at(day_end);
    let rest = rest.trim_start_matches([',', ' ']);
    let year_end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (year, rest) = rest.split_at(year_end);
    (year.len() == 4).then_some(())?;
    let date = Ymd {
        year: year.parse().ok()?,
        month,
        day: day.parse().ok()?,
    };
    Some((date, rest))
}

/// Full English month names, in order.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// English weekday names, Sunday first.
pub(crate) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

fn month_number(word: &str) -> Option<i64> {
    let position = MONTHS.iter().position(|name| {
        name.eq_ignore_ascii_case(word)
            || (word.len() == 3
                && name
                    .get(..3)
                    .is_some_and(|short| short.eq_ignore_ascii_case(word)))
    })?;
    i64::try_from(position + 1).ok()
}

fn split_offset(text: &str) -> Option<(&str, Option<i16>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else {
        return Some((text, None));
    };
    let (clock, offset) = text.split_at(at);
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes): (i16, i16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) || total > 840 {
        return None;
    }
    Some((
        clock,
        Some(if offset.starts_with('-') {
            -total
        } else {
            total
        }),
    ))
}

fn parse_clock(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (clock, half) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(rest), _) => (rest.trim_end(), Some(0)),
        (_, Some(rest)) => (rest.trim_end(), Some(12)),
        _ => (upper.as_str(), None),
    };
    let mut parts = clock.split(':');
    let mut hours: i64 = digits(parts.next()?, 2)?;
    let minutes: i64 = match parts.next() {
        Some(text) => digits(text, 2)?,
        None => half.map(|_| 0)?,
    };
    let (seconds, fraction) = match parts.next() {
        Some(text) => text.split_once('.').unwrap_or((text, "")),
        None => ("0", ""),
    };
    let seconds: i64 = digits(seconds, 2)?;
    if let Some(offset) = half {
        if !(1..=12).contains(&hours) {
            return None;
        }
        hours = hours % 12 + offset;
    }
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(hours * HOUR + minutes * MINUTE + seconds * SECOND + fraction_ticks(fraction)?)
}

fn fraction_ticks(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    if text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{text:0<9}").parse().ok()?;
    Some((nanos + 50) / 100)
}

fn digits(text: &str, most: usize) -> Option<i64> {
    (!text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_year_one() {
        let ymd = |year, month, day| Ymd { year, month, day };
        assert_eq!(ymd(1, 1, 1).to_days(), Some(0));
        assert_eq!(ymd(1900, 1, 1).to_days(), Some(DAY_1900));
        assert_eq!(ymd(1753, 1, 1).to_days(), Some(DAY_1753));
        assert_eq!(ymd(1970, 1, 1).to_days(), Some(DAY_1970));
        assert_eq!(ymd(9999, 12, 31).to_days(), Some(LAST_DAY));
        assert_eq!(ymd(2023, 2, 29).to_days(), None);
        for day in (0..=LAST_DAY).step_by(97) {
            assert_eq!(Ymd::from_days(day).to_days(), Some(day));
        }
    }

    #[test]
    fn the_usual_forms_are_read() {
        let day = Ymd {
            year: 2026,
            month: 11,
            day: 22,
        }
        .to_days();
        for text in [
            "2026-11-22",
            "20261122",
            "11/22/2026",
            "Nov 22 2026",
            "November 22, 2026",
        ] {
            assert_eq!(parse(text).map(|p| p.days), Some(day), "{text}");
        }
        let parsed = parse("2026-11-22T23:59:58.1234567+02:00").unwrap();
        assert_eq!(parsed.offset, Some(120));
        assert_eq!(parsed.time, DAY - 2 * SECOND + 1_234_567);
        assert_eq!(
            parse("1:05 PM").map(|p| p.time),
            Some(13 * HOUR + 5 * MINUTE)
        );
        for text in [
            "2026-13-01",
            "25:00",
            "x",
            "2026-11-22x",
            "12",
            "2026-11-22 10:00 +15:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn datetime_keeps_three_hundredths() {
        for units in 0..1000 {
            assert_eq!(to_three_hundredths(from_three_hundredths(units)), units);
        }
        assert_eq!(from_three_hundredths(1), 33_333);
    }
}
