//! Functions of texts. Positions count UTF-16 units, as SQL Server's do.

use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::{Value as Stored, ValueRef};

use super::super::error::{SqlError, SqlResult};
use super::super::types::{Storage, codepage, collate, like};
use super::{int, is_null, owned, scalar, text, type_at, value};

/// Longest text that a function makes.
const LONGEST: usize = 256 << 20;

pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    scalar(conn, "t_len", 1, |ctx| {
        on_text(ctx, |t| {
            Ok(Stored::Integer(length(t.trim_end_matches(' '))))
        })
    })?;
    scalar(conn, "t_datalength", 2, datalength)?;
    scalar(conn, "t_text", 2, plain)?;
    scalar(conn, "t_left", 2, |ctx| sides(ctx, true))?;
    scalar(conn, "t_right", 2, |ctx| sides(ctx, false))?;
    scalar(conn, "t_substring", 3, substring)?;
    scalar(conn, "t_replace", 3, replace)?;
    scalar(conn, "t_charindex", 3, charindex)?;
    scalar(conn, "t_replicate", 3, replicate)?;
    scalar(conn, "t_stuff", 4, stuff)?;
    scalar(conn, "t_code", 2, code)?;
    scalar(conn, "t_char", 2, character)?;
    scalar(conn, "t_like", 5, like_call)?;
    scalar(conn, "t_bytes", 2, join_bytes)?;
    scalar(conn, "t_strip", 1, strip)
}

fn on_text(ctx: &Context<'_>, f: impl Fn(&str) -> SqlResult<Stored>) -> SqlResult<Stored> {
    if is_null(ctx, 0) {
        return Ok(Stored::Null);
    }
    f(text(ctx, 0)?)
}

fn any_null(ctx: &Context<'_>) -> bool {
    (0..ctx.len()).any(|at| is_null(ctx, at))
}

fn length(text: &str) -> i64 {
    let units = if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    };
    i64::try_from(units).unwrap_or(i64::MAX)
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// Half of a surrogate pair cannot be kept in SQLite's UTF-8.
fn from_units(units: &[u16]) -> SqlResult<Stored> {
    String::from_utf16(units)
        .map(Stored::Text)
        .map_err(|_| SqlError::unsupported("cutting a character beyond U+FFFF in half"))
}

/// Windows maps letters one by one: ß stays ß.
fn mapped<I: Iterator<Item = char>>(text: &str, map: impl Fn(char) -> I) -> String {
    text.chars()
        .map(|c| {
            let mut to = map(c);
            match (to.next(), to.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        })
        .collect()
}

fn datalength(ctx: &Context<'_>) -> SqlResult<Stored> {
    let ty = type_at(ctx, 1)?;
    Ok(Stored::Integer(match (ctx.get_raw(0), ty.storage()) {
        (ValueRef::Null, _) => return Ok(Stored::Null),
        (ValueRef::Text(_), Storage::Text) => {
            let t = text(ctx, 0)?;
            if ty.is_unicode() {
                length(t) * 2
            } else {
                i64::try_from(t.chars().count()).unwrap_or(0)
            }
        }
        (ValueRef::Blob(b), Storage::Bytes) => i64::try_from(b.len()).unwrap_or(0),
        (_, Storage::Variant) => super::variants::data_length(&value(ctx, 0, ty)?),
        _ => super::describe::byte_length(ty),
    }))
}

fn plain(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let t = text(ctx, 1)?;
    Ok(Stored::Text(match text(ctx, 0)? {
        "UPPER" => mapped(t, char::to_uppercase),
        "LOWER" => mapped(t, char::to_lowercase),
        "LTRIM" => t.trim_start_matches(' ').to_owned(),
        "RTRIM" => t.trim_end_matches(' ').to_owned(),
        "TRIM" => t.trim_matches(' ').to_owned(),
        _ if t.chars().any(|c| c.len_utf16() == 2) => {
            return Err(SqlError::unsupported(
                "REVERSE of a character beyond U+FFFF",
            ));
        }
        _ => t.chars().rev().collect(),
    }))
}

fn sides(ctx: &Context<'_>, left: bool) -> SqlResult<Stored> {
    if any_null(ctx) {
        return Ok(Stored::Null);
    }
    let count = usize::try_from(int(ctx, 1)?).map_err(|_| {
        if left {
            return bad_length();
        }
        SqlError::new(
            536,
            "Invalid length parameter passed to the RIGHT function.",
        )
    })?;
    let units = units(text(ctx, 0)?);
    let count = count.min(units.len());
    let part = if left {
        units.get(..count)
    } else {
        units.get(units.len() - count..)
    };
    from_units(part.unwrap_or_default())
}

fn bad_length() -> SqlError {
    SqlError::new(
        537,
        "Invalid length parameter passed to the LEFT or SUBSTRING function.",
    )
    .state(3)
}

/// The part of a sequence that SUBSTRING means: the start may lie before the first element.
fn window(start: i64, length: i64, have: usize) -> std::ops::Range<usize> {
    let begin = start.saturating_sub(1);
    let end = begin.saturating_add(length);
    let clip = |at: i64| usize::try_from(at.max(0)).unwrap_or(usize::MAX).min(have);
    clip(begin)..clip(end).max(clip(begin))
}

fn substring(ctx: &Context<'_>) -> SqlResult<Stored> {
    if any_null(ctx) {
        return Ok(Stored::Null);
    }
    let (start, length) = (int(ctx, 1)?, int(ctx, 2)?);
    if length < 0 {
        return Err(bad_length());
    }
    if let ValueRef::Blob(bytes) = ctx.get_raw(0) {
        return Ok(Stored::Blob(
            bytes
                .get(window(start, length, bytes.len()))
                .unwrap_or_default()
                .to_vec(),
        ));
    }
    let units = units(text(ctx, 0)?);
    from_units(
        units
            .get(window(start, length, units.len()))
            .unwrap_or_default(),
    )
}

/// Where the pattern is first found, by the collation, counted in characters.
/// Looks at every character once, since nothing can stop a function that runs for hours
/// (Knuth, Morris and Pratt).
fn find(text: &[char], pattern: &[char], from: usize) -> Option<usize> {
    let same_at = |at: usize, c: char| pattern.get(at).is_some_and(|p| collate::same(*p, c));
    // How much of the pattern still stands when what follows so much of it does not match.
    let mut borders = vec![0; pattern.len()];
    let step = |borders: &[usize], mut matched: usize, c: char| {
        while matched > 0 && !same_at(matched, c) {
            matched = borders.get(matched - 1).copied().unwrap_or(0);
        }
        matched + usize::from(same_at(matched, c))
    };
    let mut matched = 0;
    for (at, c) in pattern.iter().enumerate().skip(1) {
        matched = step(&borders, matched, *c);
        if let Some(border) = borders.get_mut(at) {
            *border = matched;
        }
    }
    let mut matched = 0;
    for (at, c) in text.iter().enumerate().skip(from) {
        matched = step(&borders, matched, *c);
        if matched == pattern.len() {
            return (at + 1).checked_sub(matched);
        }
    }
    None
}

fn replace(ctx: &Context<'_>) -> SqlResult<Stored> {
    if any_null(ctx) {
        return Ok(Stored::Null);
    }
    let chars: Vec<char> = text(ctx, 0)?.chars().collect();
    let pattern: Vec<char> = text(ctx, 1)?.chars().collect();
    let with = text(ctx, 2)?;
    if pattern.is_empty() {
        return Ok(owned(ctx.get_raw(0)));
    }
    let (mut out, mut at) = (String::new(), 0);
    while let Some(found) = find(&chars, &pattern, at) {
        out.extend(chars.iter().skip(at).take(found - at));
        out.push_str(with);
        bounded(out.len())?;
        at = found + pattern.len();
    }
    out.extend(chars.iter().skip(at));
    Ok(Stored::Text(out))
}

fn charindex(ctx: &Context<'_>) -> SqlResult<Stored> {
    if any_null(ctx) {
        return Ok(Stored::Null);
    }
    let pattern: Vec<char> = text(ctx, 0)?.chars().collect();
    let chars: Vec<char> = text(ctx, 1)?.chars().collect();
    let mut start = usize::try_from(int(ctx, 2)?.max(1) - 1).unwrap_or(usize::MAX);
    // The start counts UTF-16 units, of which some characters have two.
    let mut units = 0;
    if let Some(at) = chars.iter().position(|c| {
        units += c.len_utf16();
        units > start
    }) {
        start = at;
    }
    if pattern.is_empty() || start > chars.len() {
        return Ok(Stored::Integer(0));
    }
    let found = find(&chars, &pattern, start);
    Ok(Stored::Integer(match found {
        None => 0,
        Some(at) => {
            chars
                .iter()
                .take(at)
                .map(|c| i64::try_from(c.len_utf16()).unwrap_or(1))
                .sum::<i64>()
                + 1
        }
    }))
}

fn bounded(len: usize) -> SqlResult<()> {
    if len > LONGEST {
        return Err(
            SqlError::new(7119, "Attempting to grow LOB beyond maximum allowed size.").class(16),
        );
    }
    Ok(())
}

fn replicate(ctx: &Context<'_>) -> SqlResult<Stored> {
    if any_null(ctx) {
        return Ok(Stored::Null);
    }
    let t = text(ctx, 0)?;
    let Ok(count) = usize::try_from(int(ctx, 1)?) else {
        return Ok(Stored::Null);
    };
    let limit = int(ctx, 2)?;
    let most = if limit == i64::from(u16::MAX) {
        usize::MAX
    } else {
        usize::try_from(limit).unwrap_or(0)
    };
    let count = match t.chars().count() {
        0 => 0,
        one => count.min(most.div_ceil(one)),
    };
    bounded(t.len().saturating_mul(count))?;
    let full = t.repeat(count);
    Ok(Stored::Text(if most == usize::MAX {
        full
    } else {
        full.chars().take(most).collect()
    }))
}

fn stuff(ctx: &Context<'_>) -> SqlResult<Stored> {
    if any_null(ctx) {
        return Ok(Stored::Null);
    }
    let chars = units(text(ctx, 0)?);
    let (start, length) = (int(ctx, 1)?, int(ctx, 2)?);
    let begin = usize::try_from(start - 1).ok().filter(|b| *b < chars.len());
    let (Some(begin), Ok(length)) = (begin, usize::try_from(length)) else {
        return Ok(Stored::Null);
    };
    let end = begin.saturating_add(length).min(chars.len());
    let mut out = chars.get(..begin).unwrap_or_default().to_vec();
    out.extend(text(ctx, 3)?.encode_utf16());
    out.extend_from_slice(chars.get(end..).unwrap_or_default());
    from_units(&out)
}

fn code(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let Some(first) = text(ctx, 1)?.chars().next() else {
        return Ok(Stored::Null);
    };
    let ascii = text(ctx, 0)? == "ASCII";
    let code: u32 = if ascii {
        codepage::to_byte(first).unwrap_or(b'?').into()
    } else {
        // Of a character beyond U+FFFF the first half.
        first
            .encode_utf16(&mut [0; 2])
            .first()
            .copied()
            .unwrap_or(0)
            .into()
    };
    Ok(Stored::Integer(code.into()))
}

fn character(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let code = int(ctx, 1)?;
    let found = if text(ctx, 0)? == "CHAR" {
        u8::try_from(code).ok().map(codepage::from_byte)
    } else {
        match u32::try_from(code).ok().filter(|c| *c <= 0xFFFF) {
            Some(0xD800..=0xDFFF) => {
                return Err(SqlError::unsupported("NCHAR of half a character"));
            }
            code => code.and_then(char::from_u32),
        }
    };
    Ok(found.map_or(Stored::Null, |c| Stored::Text(c.to_string())))
}

fn like_call(ctx: &Context<'_>) -> SqlResult<Stored> {
    if is_null(ctx, 0) || is_null(ctx, 1) {
        return Ok(Stored::Null);
    }
    let escape = if is_null(ctx, 2) {
        None
    } else {
        text(ctx, 2)?.chars().next()
    };
    let rules = collate::Rules::of(text(ctx, 3)?);
    let (value, pattern) = (text(ctx, 0)?, text(ctx, 1)?);
    let blanks = if int(ctx, 4)? == 1 {
        like::Blanks::Count
    } else {
        like::Blanks::AtTheEndDoNot
    };
    like::check(pattern, escape)?;
    Ok(Stored::Integer(
        like::like(value, pattern, escape, rules, blanks).into(),
    ))
}

fn join_bytes(ctx: &Context<'_>) -> SqlResult<Stored> {
    match (ctx.get_raw(0), ctx.get_raw(1)) {
        (ValueRef::Blob(a), ValueRef::Blob(b)) => {
            bounded(a.len() + b.len())?;
            Ok(Stored::Blob([a, b].concat()))
        }
        _ => Ok(Stored::Null),
    }
}

/// Bytes without their trailing zeros, which a comparison ignores.
fn strip(ctx: &Context<'_>) -> SqlResult<Stored> {
    Ok(match ctx.get_raw(0) {
        ValueRef::Blob(bytes) => {
            let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
            Stored::Blob(bytes.get(..end).unwrap_or_default().to_vec())
        }
        other => owned(other),
    })
}
