//! More functions of texts: patterns, sounds, trimming, splitting.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::types::collate::{self, Rules};
use super::super::types::like::{self, Blanks};
use super::super::types::{Decimal, SqlType, Value, convert};
use super::{int, is_null, scalar, text, type_at};

/// Rows that GENERATE_SERIES makes at once.
const MOST_ROWS: i128 = 5_000_000;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_patindex", 3, pattern_index)?;
    scalar(conn, "t_soundex", 1, |ctx| {
        with_texts(ctx, |texts| {
            Ok(Stored::Text(soundex(texts.first().unwrap_or(&""))?))
        })
    })?;
    scalar(conn, "t_difference", 2, |ctx| with_texts(ctx, difference))?;
    scalar(conn, "t_translate", 3, |ctx| with_texts(ctx, translate))?;
    scalar(conn, "t_trim", 3, trim)?;
    scalar(conn, "t_quotename", 2, |ctx| with_texts(ctx, quote_name))?;
    scalar(conn, "t_str", 3, str_of_float)?;
    scalar(conn, "t_split", 2, split)?;
    scalar(conn, "t_series", 4, series)?;
    scalar(conn, "t_jfit", 2, fit)?;
    scalar(conn, "t_isnumeric", 1, |ctx| {
        if is_null(ctx, 0) {
            return Ok(Stored::Integer(0));
        }
        is_numeric(text(ctx, 0)?).map(|yes| Stored::Integer(yes.into()))
    })
}

fn with_texts(ctx: &Context<'_>, f: impl Fn(&[&str]) -> SqlResult<Stored>) -> SqlResult<Stored> {
    let mut texts = Vec::new();
    for at in 0..ctx.len() {
        if is_null(ctx, at) {
            return Ok(Stored::Null);
        }
        texts.push(text(ctx, at)?);
    }
    f(&texts)
}

/// Where a pattern first matches, counted in UTF-16 units.
fn pattern_index(ctx: &Context<'_>) -> SqlResult<Stored> {
    with_texts(ctx, |texts| {
        let [pattern, text, unicode] = texts else {
            return Ok(Stored::Null);
        };
        like::check(pattern, None)?;
        let blanks = if *unicode == "1" {
            Blanks::Count
        } else {
            Blanks::AtTheEndDoNot
        };
        let Some(rest) = pattern.strip_prefix('%') else {
            let hit = like::like(text, pattern, None, Rules::Ci, blanks);
            return Ok(Stored::Integer(hit.into()));
        };
        let at = like::find(text, rest, Rules::Ci, blanks);
        let units = |at: usize| text.chars().take(at).map(|c| c.len_utf16()).sum::<usize>();
        let position = at.map_or(0, |at| units(at) + 1);
        Ok(Stored::Integer(i64::try_from(position).unwrap_or(0)))
    })
}

/// The code of a letter; vowels have none, H and W do not even part equal codes.
fn sound(c: char) -> Option<u8> {
    Some(match c.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => b'1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => b'2',
        'D' | 'T' => b'3',
        'L' => b'4',
        'M' | 'N' => b'5',
        'R' => b'6',
        _ => return None,
    })
}

fn soundex(text: &str) -> SqlResult<String> {
    let word = text.trim_end_matches(' ');
    let mut letters = word.chars();
    let Some(first) = letters.next() else {
        return Ok("0000".into());
    };
    let gap = || SqlError::unsupported("SOUNDEX of other than English letters");
    if !first.is_ascii_alphabetic() {
        return Err(gap());
    }
    let mut code = String::from(first.to_ascii_uppercase());
    let mut last = sound(first);
    for c in letters {
        if code.len() == 4 {
            break;
        }
        if !c.is_ascii_alphabetic() {
            return Err(gap());
        }
        match sound(c) {
            Some(digit) if last != Some(digit) => {
                code.push(char::from(digit));
                last = Some(digit);
            }
            Some(_) => {}
            None if matches!(c, 'h' | 'H' | 'w' | 'W') => {}
            None => last = None,
        }
    }
    Ok(format!("{code:0<4}"))
}

fn difference(texts: &[&str]) -> SqlResult<Stored> {
    let [a, b] = texts else {
        return Ok(Stored::Null);
    };
    let (a, b) = (soundex(a)?, soundex(b)?);
    let same = a.bytes().zip(b.bytes()).filter(|(a, b)| a == b).count();
    Ok(Stored::Integer(i64::try_from(same).unwrap_or(0)))
}

fn translate(texts: &[&str]) -> SqlResult<Stored> {
    let [text, from, to] = texts else {
        return Ok(Stored::Null);
    };
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    if from.len() != to.len() {
        return Err(SqlError::new(
            9828,
            "The second and third arguments of the TRANSLATE built-in function must contain an equal \
             number of characters.",
        ));
    }
    let swapped = |c: char| {
        let at = from.iter().position(|f| collate::same(*f, c));
        at.and_then(|at| to.get(at).copied()).unwrap_or(c)
    };
    Ok(Stored::Text(text.chars().map(swapped).collect()))
}

/// Side, text, characters.
fn trim(ctx: &Context<'_>) -> SqlResult<Stored> {
    with_texts(ctx, |texts| {
        let [side, text, set] = texts else {
            return Ok(Stored::Null);
        };
        let inside = |c: char| set.chars().any(|s| collate::same(s, c));
        Ok(Stored::Text(match *side {
            "LEADING" => text.trim_start_matches(inside).to_owned(),
            "TRAILING" => text.trim_end_matches(inside).to_owned(),
            _ => text.trim_matches(inside).to_owned(),
        }))
    })
}

fn quote_name(texts: &[&str]) -> SqlResult<Stored> {
    let [text, quote] = texts else {
        return Ok(Stored::Null);
    };
    if text.encode_utf16().count() > 128 {
        return Ok(Stored::Null);
    }
    let (open, close) = match quote.chars().next() {
        None | Some('[' | ']') => ('[', ']'),
        Some('(' | ')') => ('(', ')'),
        Some('<' | '>') => ('<', '>'),
        Some('{' | '}') => ('{', '}'),
        Some(c @ ('\'' | '"' | '`')) => (c, c),
        Some(_) => return Ok(Stored::Null),
    };
    let doubled = text.replace(close, &format!("{close}{close}"));
    Ok(Stored::Text(format!("{open}{doubled}{close}")))
}

/// `STR`: the number right-justified, or stars.
fn str_of_float(ctx: &Context<'_>) -> SqlResult<Stored> {
    if (0..3).any(|at| is_null(ctx, at)) {
        return Ok(Stored::Null);
    }
    let rusqlite::types::ValueRef::Real(value) = ctx.get_raw(0) else {
        return Err(SqlError::internal("STR of no float"));
    };
    let (length, places) = (int(ctx, 1)?, int(ctx, 2)?);
    let (Ok(length), Ok(mut places)) = (usize::try_from(length), usize::try_from(places)) else {
        return Ok(Stored::Null);
    };
    if length == 0 || length > 8000 {
        return Ok(Stored::Null);
    }
    places = places.min(16);
    if value.abs() >= 1e15 {
        return Err(SqlError::unsupported("STR of so large a number"));
    }
    let whole = Decimal::from_f64(value.trunc(), 38, 0).map_or(0, |d| d.to_string().len());
    // The places give way to the length.
    places = places.min(length.saturating_sub(whole + 1));
    let scale = u8::try_from(places).unwrap_or(0);
    let shown = Decimal::from_f64(value, 38, scale)
        .ok_or_else(|| SqlError::overflow("numeric"))?
        .to_string();
    if shown.len() > length {
        return Ok(Stored::Text("*".repeat(length)));
    }
    Ok(Stored::Text(format!("{shown:>length$}")))
}

fn array(items: impl Iterator<Item = serde_json::Value>) -> Stored {
    Stored::Text(serde_json::Value::Array(items.collect()).to_string())
}

fn split(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let separator = if is_null(ctx, 1) { "" } else { text(ctx, 1)? };
    let mut chars = separator.chars();
    let (Some(separator), None) = (chars.next(), chars.next()) else {
        return Err(SqlError::new(
            214,
            "Procedure expects parameter 'separator' of type 'nchar(1)/nvarchar(1)'.",
        )
        .state(11));
    };
    let parts = text(ctx, 0)?.split(|c| collate::same(c, separator));
    Ok(array(parts.map(|part| part.into())))
}

/// Start, stop, step, and whether a step was given.
fn series(ctx: &Context<'_>) -> SqlResult<Stored> {
    let given = int(ctx, 3)? == 1;
    if is_null(ctx, 0) || is_null(ctx, 1) || given && is_null(ctx, 2) {
        return Ok(Stored::Null);
    }
    let (start, stop) = (int(ctx, 0)?, int(ctx, 1)?);
    let step = match (given, start <= stop) {
        (true, _) => int(ctx, 2)?,
        (false, true) => 1,
        (false, false) => -1,
    };
    if step == 0 {
        return Err(SqlError::new(
            4199,
            "Argument value 0 is invalid for argument 3 of generate_series function.",
        ));
    }
    let rows = (i128::from(stop) - i128::from(start)) / i128::from(step);
    if rows > MOST_ROWS {
        return Err(SqlError::unsupported("GENERATE_SERIES of so many rows"));
    }
    let mut next = Some(start);
    let items = std::iter::from_fn(|| {
        let now = next.filter(|v| if step > 0 { *v <= stop } else { *v >= stop })?;
        next = now.checked_add(step);
        Some(now.into())
    });
    Ok(array(items))
}

/// A text of OPENJSON in a column of its type.
fn fit(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    let (given, ty) = (text(ctx, 0)?, type_at(ctx, 1)?);
    let limit = usize::from(ty.length().unwrap_or(u16::MAX));
    if convert::text_length(given, ty) > limit {
        return Err(SqlError::unsupported(format!(
            "a value of OPENJSON that is longer than {ty}"
        )));
    }
    convert::cast(
        Value::Text(given.to_owned()),
        SqlType::NVarChar(super::super::types::MAX),
        ty,
        None,
    )
    .map(Value::into_stored)
}

/// Whether a text converts to some numeric type. Signs and currencies alone are a gap.
fn is_numeric(text: &str) -> SqlResult<bool> {
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if trimmed.is_empty() {
        return Ok(false);
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e)),
        None => (unsigned, None),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let plain = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            (digits(whole) && fraction.is_empty())
                || (whole.is_empty() && digits(fraction))
                || (digits(whole) && digits(fraction))
        }
        None => digits(mantissa),
    };
    let small = |e: &str| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        digits(e) && e.len() <= 2
    };
    if plain && mantissa.len() <= 38 && exponent.is_none_or(small) {
        return Ok(true);
    }
    let money = unsigned.strip_prefix('$').unwrap_or(unsigned);
    if money.starts_with(|c: char| c.is_ascii_digit())
        && money.matches('.').count() <= 1
        && money.len() <= 15
        && money
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b',' | b'.'))
        && money.rfind(',') < money.find('.').or(Some(usize::MAX))
    {
        return Ok(true);
    }
    // What has a letter that no number has is none; what is left has rules that are not documented.
    let foreign = |c: char| c.is_alphabetic() && !matches!(c, 'd' | 'D' | 'e' | 'E');
    if trimmed.chars().any(foreign)
        || trimmed.contains([
            '_', ':', '/', '(', ')', '@', '#', '%', '&', '*', '!', '?', '\'', '"', ';', '=',
        ])
    {
        return Ok(false);
    }
    if trimmed.chars().all(|c| matches!(c, 'd' | 'D' | 'e' | 'E')) {
        return Ok(false);
    }
    // Two signs, or a sign within a number.
    let dashes = unsigned.matches(['-', '+']).count();
    if exponent.is_none() && dashes > 0 && unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(false);
    }
    Err(SqlError::unsupported(format!("ISNUMERIC of '{trimmed}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sound_as_documented() {
        for (name, code) in [
            ("Smith", "S530"),
            ("Smythe", "S530"),
            ("Green", "G650"),
            ("Greene", "G650"),
            ("Blotchet-Halls", "B432"),
            ("Ashcraft", "A261"),
            ("Tymczak", "T522"),
        ] {
            assert_eq!(soundex(name).unwrap(), code, "{name}");
        }
        assert!(soundex("O'Neil").is_err());
    }

    #[test]
    fn numbers_are_told_from_texts() {
        for text in ["1", " -1.5 ", "1e5", ".5", "5.", "$1,234.50", "+7"] {
            assert!(is_numeric(text).unwrap(), "{text}");
        }
        for text in ["", "abc", "12a", "1_000", "2020-01-01", "e", "(5)"] {
            assert!(!is_numeric(text).unwrap(), "{text}");
        }
        for text in ["+", ".", "$"] {
            assert!(is_numeric(text).is_err(), "{text}");
        }
    }
}
