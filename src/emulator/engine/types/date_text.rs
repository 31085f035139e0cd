//! Dates and times as people write them, in the forms that us_english reads.

use super::datetime::{DAY_1900, HOUR, MINUTE, MONTHS, SECOND, Ymd};

/// What a text said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Day number, if there was a date.
    pub(crate) days: Option<i64>,
    /// Ticks since midnight, not rounded beyond 100 ns.
    pub(crate) time: i64,
    /// Offset in minutes, if there was one.
    pub(crate) offset: Option<i16>,
    /// Digits of the seconds' fraction.
    pub(crate) fraction: usize,
}

/// Why a text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It has no known form.
    Unreadable,
    /// It has, but there is no such day or time.
    OutOfRange,
    /// SQL Server may read it; this engine does not know how.
    Gap,
}

/// In which order the numbers of a date stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Mdy,
    Dmy,
    Ymd,
}

/// Reads a date, a time or both. The style is that of CONVERT; without one the order is `mdy`.
pub(crate) fn parse(text: &str, style: Option<i64>) -> Result<Parsed, Bad> {
    let order = match style.unwrap_or(0) {
        0 | 1 | 7..=10 | 14 | 24 | 100 | 101 | 107..=110 | 114 => Order::Mdy,
        3..=6 | 13 | 103..=106 | 113 => Order::Dmy,
        2 | 11 | 12 | 20 | 21 | 23 | 25 | 102 | 111 | 112 | 120 | 121 | 126 => Order::Ymd,
        _ => return Err(Bad::Gap),
    };
    let text = text.trim();
    if text.is_empty() {
        // SQL Server reads the empty string as 1900-01-01.
        return Ok(Parsed {
            days: Some(DAY_1900),
            ..Parsed::default()
        });
    }
    let (date, rest) = take_date(text, order, style)?;
    let rest = match (date, rest.strip_prefix('T')) {
        (Some(_), Some(after)) => after,
        (Some(_), None) if !rest.is_empty() && !rest.starts_with(' ') => {
            return Err(Bad::Unreadable);
        }
        _ => rest.trim_start(),
    };
    let mut parsed = Parsed {
        days: match date {
            None => None,
            Some(date) => Some(date.to_days().ok_or(Bad::OutOfRange)?),
        },
        ..Parsed::default()
    };
    if rest.is_empty() {
        return parsed.days.map(|_| parsed).ok_or(Bad::Unreadable);
    }
    let (clock, offset) = split_offset(rest).ok_or(Bad::Unreadable)?;
    parsed.offset = offset;
    (parsed.time, parsed.fraction) = parse_clock(clock.trim_end())?;
    Ok(parsed)
}

type Taken<'t> = Result<(Option<Ymd>, &'t str), Bad>;

fn take_date(text: &str, order: Order, style: Option<i64>) -> Taken<'_> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '/' | '.')))
        .unwrap_or(text.len());
    let (head, rest) = text.split_at(end);
    if rest.starts_with(':') {
        return Ok((None, text));
    }
    let next = rest.trim_start().chars().next();
    if head.is_empty() || next.is_some_and(|c| c.is_ascii_alphabetic()) && !rest.starts_with('T') {
        let upper = rest.trim_start().to_ascii_uppercase();
        if !head.is_empty() && (upper.starts_with("AM") || upper.starts_with("PM")) {
            return Ok((None, text));
        }
        return month_name_date(text).map(|(date, rest)| (Some(date), rest));
    }
    numeric_date(head, order, style).map(|date| (Some(date), rest))
}

fn number(text: &str) -> Result<i64, Bad> {
    text.parse().map_err(|_| Bad::Unreadable)
}

/// A year of two digits lies in 1950 to 2049.
fn year(text: &str) -> Result<i64, Bad> {
    let value = number(text)?;
    Ok(match (text.len(), value) {
        (4, _) => value,
        (1 | 2, 0..=49) => 2000 + value,
        (1 | 2, _) => 1900 + value,
        _ => return Err(Bad::Unreadable),
    })
}

fn numeric_date(text: &str, order: Order, style: Option<i64>) -> Result<Ymd, Bad> {
    let part = |range: std::ops::Range<usize>| text.get(range).ok_or(Bad::Unreadable);
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let (y, rest) = match text.len() {
            8 => (part(0..4)?, part(4..8)?),
            6 => (part(0..2)?, part(2..6)?),
            4 => (text, "0101"),
            _ => return Err(Bad::Unreadable),
        };
        return Ok(Ymd {
            year: year(y)?,
            month: number(rest.get(..2).unwrap_or(""))?,
            day: number(rest.get(2..).unwrap_or(""))?,
        });
    }
    let separator = text
        .chars()
        .find(|c| !c.is_ascii_digit())
        .ok_or(Bad::Unreadable)?;
    let parts: Vec<&str> = text.split(separator).collect();
    let [a, b, c] = parts.as_slice() else {
        return Err(Bad::Unreadable);
    };
    if [a, b, c].iter().any(|p| p.is_empty() || p.len() > 4) {
        return Err(Bad::Unreadable);
    }
    let (y, m, d) = match (a.len() == 4, order) {
        (true, Order::Dmy) => return Err(Bad::Gap),
        (true, _) => (a, b, c),
        // A year at the end while the order says that it comes first.
        (false, Order::Ymd) if c.len() == 4 && style.is_some() => return Err(Bad::Gap),
        (false, Order::Ymd) => (a, b, c),
        (false, Order::Mdy) => (c, a, b),
        (false, Order::Dmy) => (c, b, a),
    };
    // Styles from 100 on mean years of four digits, those below years of two.
    match style {
        Some(100..) if y.len() != 4 => return Err(Bad::Gap),
        Some(1..=7 | 10 | 11) if y.len() == 4 => return Err(Bad::Gap),
        _ => {}
    }
    if m.len() > 2 || d.len() > 2 {
        return Err(Bad::Unreadable);
    }
    Ok(Ymd {
        year: year(y)?,
        month: number(m)?,
        day: number(d)?,
    })
}

/// `Jan 2 2006`, `January 2, 2006`, `2 Jan 2006`, `2-Jan-06`, `2006 Jan 2`, `Jan 2006`.
fn month_name_date(text: &str) -> Result<(Ymd, &str), Bad> {
    let mut rest = text;
    let mut month = None;
    let mut numbers: Vec<&str> = Vec::new();
    while numbers.len() < 2 || month.is_none() {
        rest = rest.trim_start_matches([' ', ',', '-', '/', '.']);
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(digits.max(letters));
        if letters > 0 && month.is_none() {
            month = Some(month_number(word).ok_or(Bad::Unreadable)?);
        } else if digits > 0 && !after.starts_with(':') && numbers.len() < 2 {
            numbers.push(word);
        } else {
            break;
        }
        rest = after;
    }
    let (Some(month), [first, others @ ..]) = (month, numbers.as_slice()) else {
        return Err(Bad::Unreadable);
    };
    let (y, d) = match (first.len(), others) {
        (4, []) => (*first, "1"),
        (4, [day]) => (*first, *day),
        (1 | 2, [year]) => (*year, *first),
        (1 | 2, []) => return Err(Bad::Gap),
        _ => return Err(Bad::Unreadable),
    };
    let date = Ymd {
        year: year(y)?,
        month,
        day: number(d)?,
    };
    Ok((date, rest))
}

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
    match text.rfind(['+', '-']) {
        None => Some((text, None)),
        Some(at) => {
            let (clock, offset) = text.split_at(at);
            Some((clock, Some(parse_offset(offset)?)))
        }
    }
}

/// `+hh:mm` or `-hh:mm`, up to fourteen hours.
pub(crate) fn parse_offset(text: &str) -> Option<i16> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes): (i16, i16) = (
        digits(hours, 2)?.try_into().ok()?,
        digits(minutes, 2)?.try_into().ok()?,
    );
    let total = hours * 60 + minutes;
    if minutes >= 60 || total > 840 {
        return None;
    }
    match text.as_bytes().first()? {
        b'-' => Some(-total),
        b'+' => Some(total),
        _ => None,
    }
}

fn parse_clock(text: &str) -> Result<(i64, usize), Bad> {
    read_clock(text).ok_or(Bad::Unreadable)?
}

fn read_clock(text: &str) -> Option<Result<(i64, usize), Bad>> {
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
    let (seconds, mut fraction) = match parts.next() {
        Some(text) => text.split_once('.').unwrap_or((text, "")),
        None => ("0", ""),
    };
    let mut padded = String::new();
    if let Some(milliseconds) = parts.next() {
        // After a colon stand milliseconds, however few digits they have.
        if !fraction.is_empty() || milliseconds.is_empty() || milliseconds.len() > 3 {
            return None;
        }
        padded = format!("{milliseconds:0>3}");
        fraction = &padded;
    }
    let seconds: i64 = digits(seconds, 2)?;
    let ticks = fraction_ticks(fraction)?;
    if parts.next().is_some() {
        return None;
    }
    if let Some(offset) = half {
        if hours == 0 || hours > 12 {
            // 13:00 PM is taken as 13:00; 0:30 AM as 0:30.
            return Some(Err(Bad::Gap));
        }
        hours = hours % 12 + offset;
    }
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Some(Err(Bad::OutOfRange));
    }
    let time = hours * HOUR + minutes * MINUTE + seconds * SECOND + ticks;
    Some(Ok((time, fraction.len().max(padded.len()))))
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
    use super::super::datetime::DAY;
    use super::*;

    fn day(year: i64, month: i64, day: i64) -> Option<i64> {
        Ymd { year, month, day }.to_days()
    }

    #[test]
    fn the_usual_forms_are_read() {
        for text in [
            "2026-11-22",
            "20261122",
            "261122",
            "11/22/2026",
            "11/22/26",
            "11.22.2026",
            "Nov 22 2026",
            "November 22, 2026",
            "22 Nov 2026",
            "22-Nov-26",
            "2026 nov 22",
            "Nov 2026 22",
        ] {
            let parsed = parse(text, None).map(|p| p.days);
            assert_eq!(parsed, Ok(day(2026, 11, 22)), "{text}");
        }
        assert_eq!(
            parse("Nov 2026", None).map(|p| p.days),
            Ok(day(2026, 11, 1))
        );
        assert_eq!(parse("2026", None).map(|p| p.days), Ok(day(2026, 1, 1)));
        let parsed = parse("2026-11-22T23:59:58.1234567+02:00", None).unwrap();
        assert_eq!(parsed.offset, Some(120));
        assert_eq!(parsed.time, DAY - 2 * SECOND + 1_234_567);
        let one = Ok(13 * HOUR + 5 * MINUTE);
        assert_eq!(parse("1:05 PM", None).map(|p| p.time), one);
        assert_eq!(
            parse("Nov 22 2026 10:00:00:7", None).map(|p| p.time),
            Ok(10 * HOUR + 70_000)
        );
        assert_eq!(parse("5PM", None).map(|p| p.time), Ok(17 * HOUR));
    }

    #[test]
    fn the_style_gives_the_order() {
        for (text, style, expected) in [
            ("05/06/2020", 101, day(2020, 5, 6)),
            ("05/06/2020", 103, day(2020, 6, 5)),
            ("05.06.20", 4, day(2020, 6, 5)),
            ("20/05/06", 11, day(2020, 5, 6)),
        ] {
            let parsed = parse(text, Some(style)).map(|p| p.days);
            assert_eq!(parsed, Ok(expected), "{text} {style}");
        }
        assert_eq!(parse("2020-05-06", Some(103)), Err(Bad::Gap));
        assert_eq!(parse("05/06/20", Some(101)), Err(Bad::Gap));
    }

    #[test]
    fn what_cannot_be_is_told_from_what_cannot_be_read() {
        for (text, bad) in [
            ("2026-13-01", Bad::OutOfRange),
            ("2026-02-30", Bad::OutOfRange),
            ("25:00", Bad::OutOfRange),
            ("x", Bad::Unreadable),
            ("2026-11-22x", Bad::Unreadable),
            ("12", Bad::Unreadable),
            ("2026-11-22 10:00 +15:00", Bad::Unreadable),
        ] {
            assert_eq!(parse(text, None), Err(bad), "{text}");
        }
    }
}
