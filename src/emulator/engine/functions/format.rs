//! FORMAT for the culture en-US: the patterns of .NET that are in daily use.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::types::datetime::{DAY, HOUR, MINUTE, MONTHS, SECOND, WEEKDAYS, Ymd};
use super::super::types::decimal::{Decimal, grouped};
use super::super::types::{SqlType, Storage, Value};
use super::{is_null, scalar, text, type_at, value};

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_format", 3, format)
}

/// Value, its type, the pattern.
fn format(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 2) {
        return Ok(Stored::Null);
    }
    let (ty, pattern) = (type_at(ctx, 1)?, text(ctx, 2)?);
    let shown = match (ty.storage(), value(ctx, 0, ty)?) {
        (_, Value::Date(days)) => moment(days * DAY, pattern),
        (Storage::DateTime, Value::DateTime(ticks)) => moment(ticks, pattern),
        (_, Value::Int(v)) if ty != SqlType::Bit => number(Decimal::from_int(v), true, pattern),
        (_, Value::Decimal(v)) => number(v, false, pattern),
        (_, Value::Float(v)) => {
            // .NET shows 15 significant digits of a double.
            let short: Option<f64> = format!("{v:.14e}").parse().ok();
            short
                .filter(|v| v.abs() < 1e15)
                .and_then(|v| Decimal::from_f64(v, 38, 15))
                .and_then(|v| number(v, false, pattern))
        }
        _ => None,
    };
    shown
        .map(Stored::Text)
        .ok_or_else(|| SqlError::unsupported(format!("FORMAT of {ty} as '{pattern}'")))
}

/// Rounded half away from zero, as .NET rounds for display.
fn rounded(value: Decimal, places: u8) -> Option<String> {
    let text = value.rescale(38, places)?.to_string();
    // A negative number that rounds to zero has no sign.
    let zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
    Some(if zero {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    })
}

fn number(value: Decimal, whole: bool, pattern: &str) -> Option<String> {
    let mut chars = pattern.chars();
    let letter = chars.next()?;
    let rest = chars.as_str();
    if letter.is_ascii_alphabetic() && rest.len() <= 2 && rest.bytes().all(|b| b.is_ascii_digit()) {
        let digits = if rest.is_empty() {
            None
        } else {
            Some(rest.parse::<u8>().ok()?)
        };
        let places = digits.unwrap_or(2);
        return match letter.to_ascii_uppercase() {
            'N' => rounded(value, places).map(|t| grouped(&t)),
            'F' => rounded(value, places),
            'C' => {
                let text = grouped(&rounded(value, places)?);
                Some(match text.strip_prefix('-') {
                    Some(size) => format!("(${size})"),
                    None => format!("${text}"),
                })
            }
            'D' if whole => {
                let text = rounded(value, 0)?;
                let (sign, size) = text.split_at(usize::from(text.starts_with('-')));
                let width = usize::from(digits.unwrap_or(1));
                Some(format!("{sign}{size:0>width$}"))
            }
            'X' if whole && !value.is_negative() => {
                let width = usize::from(digits.unwrap_or(1));
                let v = value.to_i64()?;
                Some(if letter == 'X' {
                    format!("{v:0width$X}")
                } else {
                    format!("{v:0width$x}")
                })
            }
            _ => None,
        };
    }
    custom_number(value, pattern)
}

/// Zeros, hashes, one point and commas for groups, in one section.
fn custom_number(value: Decimal, pattern: &str) -> Option<String> {
    if pattern.is_empty() || !pattern.chars().all(|c| matches!(c, '0' | '#' | ',' | '.')) {
        return None;
    }
    let (whole, fraction) = pattern.split_once('.').unwrap_or((pattern, ""));
    let groups = whole.contains(',');
    let digits: String = whole.chars().filter(|c| *c != ',').collect();
    // A comma at the end divides by a thousand; a hash after a zero is odd.
    if whole.ends_with(',') || whole.starts_with(',') || digits.is_empty() {
        return None;
    }
    if fraction.contains(['.', ',']) || fraction.contains("#0") || digits.contains("0#") {
        return None;
    }
    let least = digits.matches('0').count();
    let text = rounded(value, u8::try_from(fraction.len()).ok()?)?;
    let (sign, size) = text.split_at(usize::from(text.starts_with('-')));
    let (integer, places) = size.split_once('.').unwrap_or((size, ""));
    let integer = if integer == "0" { "" } else { integer };
    let mut integer = format!("{integer:0>least$}");
    if groups {
        integer = grouped(&integer);
    }
    let fixed = fraction.matches('0').count();
    let mut places = places.to_owned();
    while places.len() > fixed && places.ends_with('0') {
        places.pop();
    }
    let point = if places.is_empty() { "" } else { "." };
    Some(format!("{sign}{integer}{point}{places}"))
}

fn moment(ticks: i64, pattern: &str) -> Option<String> {
    let full = match pattern {
        "d" => "M/d/yyyy",
        "D" => "dddd, MMMM d, yyyy",
        "t" => "h:mm tt",
        "T" => "h:mm:ss tt",
        "f" => "dddd, MMMM d, yyyy h:mm tt",
        "F" => "dddd, MMMM d, yyyy h:mm:ss tt",
        "g" => "M/d/yyyy h:mm tt",
        "G" => "M/d/yyyy h:mm:ss tt",
        "s" => "yyyy-MM-ddTHH:mm:ss",
        "u" => "yyyy-MM-dd HH:mm:ssZ",
        "m" | "M" => "MMMM d",
        "y" | "Y" => "MMMM yyyy",
        other if other.chars().count() < 2 => return None,
        other => other,
    };
    // Those of one letter have literals that a custom pattern must quote.
    let known = full != pattern;
    let mut out = String::new();
    let mut rest = full;
    while let Some(c) = rest.chars().next() {
        if matches!(c, '\'' | '"') {
            let (literal, after) = rest.get(1..)?.split_once(c)?;
            out.push_str(literal);
            rest = after;
            continue;
        }
        if c == '\\' {
            let mut chars = rest.chars();
            chars.next();
            out.push(chars.next()?);
            rest = chars.as_str();
            continue;
        }
        let count = rest.chars().take_while(|d| *d == c).count();
        rest = rest.get(count * c.len_utf8()..)?;
        match token(ticks, c, count) {
            Some(shown) => out.push_str(&shown),
            None if matches!(c, '-' | '/' | ':' | '.' | ',' | ' ' | '_' | '(' | ')')
                || known && matches!(c, 'T' | 'Z')
                || c.is_ascii_digit()
                || c == 'T' =>
            {
                out.extend(std::iter::repeat_n(c, count));
            }
            None => return None,
        }
    }
    Some(out)
}

fn token(ticks: i64, c: char, count: usize) -> Option<String> {
    let (days, time) = (ticks.div_euclid(DAY), ticks.rem_euclid(DAY));
    let date = Ymd::from_days(days);
    let padded = |v: i64| match count {
        1 => Some(v.to_string()),
        2 => Some(format!("{v:02}")),
        _ => None,
    };
    let named = |names: &[&str], index: i64| {
        let name = names.get(usize::try_from(index).ok()?)?;
        match count {
            3 => name.get(..3).map(str::to_owned),
            4 => Some((*name).to_owned()),
            _ => None,
        }
    };
    let hour = time / HOUR;
    match c {
        'y' => match count {
            2 => Some(format!("{:02}", date.year % 100)),
            4 => Some(format!("{:04}", date.year)),
            _ => None,
        },
        'M' if count > 2 => named(&MONTHS, date.month - 1),
        'M' => padded(date.month),
        'd' if count > 2 => named(&WEEKDAYS, (days + 1).rem_euclid(7)),
        'd' => padded(date.day),
        'H' => padded(hour),
        'h' => padded((hour + 11) % 12 + 1),
        'm' => padded(time % HOUR / MINUTE),
        's' => padded(time % MINUTE / SECOND),
        'f' if count <= 7 => {
            let fraction = format!("{:07}", time % SECOND);
            fraction.get(..count).map(str::to_owned)
        }
        't' if count == 2 => Some(if hour < 12 { "AM" } else { "PM" }.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_dotnet_shows_them() {
        for (value, pattern, expected) in [
            ("1234.567", "N", "1,234.57"),
            ("1234.567", "N0", "1,235"),
            ("-1234.5", "C", "($1,234.50)"),
            ("12345678.9", "#,##0.00", "12,345,678.90"),
            ("0.5", "#.##", ".5"),
            ("0", "#,##0", "0"),
            ("7", "000", "007"),
            ("-0.001", "N2", "0.00"),
            ("1.5", "0.###", "1.5"),
        ] {
            let value = Decimal::parse(value).unwrap();
            assert_eq!(
                number(value, false, pattern).as_deref(),
                Some(expected),
                "{pattern}"
            );
        }
        assert_eq!(
            number(Decimal::from_int(123), true, "D5").as_deref(),
            Some("00123")
        );
        assert_eq!(
            number(Decimal::from_int(255), true, "X").as_deref(),
            Some("FF")
        );
        assert_eq!(number(Decimal::from_int(1), true, "0;(0)"), None);
    }
}
