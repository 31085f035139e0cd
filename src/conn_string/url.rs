//! The forms of go-mssqldb: its URL, `odbc:…`, and its own reading of
//! ADO.NET strings.

use std::collections::HashSet;

use super::builder::Builder;
use super::raw::{Code, Pair, Raw, escapes_are_whole};
use super::{Dialect, Key, ParseError, WarningKind, lookup};

/// What the URL starts with, in this very case.
pub(super) const PREFIX: &str = "sqlserver://";
/// What Go's ODBC form starts with.
pub(super) const ODBC_PREFIX: &str = "odbc:";

/// Reads any of the three forms, told apart by their prefixes.
pub(super) fn read(text: &str) -> Result<Builder<'_>, ParseError> {
    let builder = Builder::new(text, Dialect::SqlServerUrl);
    if text.starts_with(PREFIX) {
        return url(builder);
    }
    if text.starts_with(ODBC_PREFIX) {
        return pairs(builder, ODBC_PREFIX.len(), Quotes::Braces);
    }
    let scheme = text.get(..PREFIX.len()).unwrap_or(text);
    if scheme.trim_start().eq_ignore_ascii_case(PREFIX) || text.trim_start().starts_with(PREFIX) {
        let problem = "the URL starts with 'sqlserver://', in lower case and without blanks";
        return Err(builder.syntax(0, problem));
    }
    let mut builder = builder;
    builder.go_ado = true;
    pairs(builder, 0, Quotes::Double)
}

fn url(mut builder: Builder<'_>) -> Result<Builder<'_>, ParseError> {
    let text = builder.text;
    if let Some(at) = text.find(|c: char| c.is_ascii_control()) {
        return Err(builder.syntax(at, "a URL holds no control characters"));
    }
    let (main, fragment) = text.split_once('#').unwrap_or((text, ""));
    if !escapes_are_whole(fragment) {
        return Err(builder.syntax(
            main.len(),
            "a '%' is not followed by two hexadecimal digits",
        ));
    }
    let (path_end, query_at) = match main.find('?') {
        Some(mark) => (mark, mark + 1),
        None => (main.len(), main.len()),
    };
    let rest = &main[PREFIX.len()..path_end];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let at = PREFIX.len();
    let host_at = match authority.rfind('@') {
        Some(mark) => {
            user_info(&mut builder, &authority[..mark], at)?;
            mark + 1
        }
        None => 0,
    };
    host(&mut builder, &authority[host_at..], at + host_at)?;
    let path_at = at + authority.len();
    if !escapes_are_whole(path) {
        return Err(builder.syntax(path_at, "a '%' is not followed by two hexadecimal digits"));
    }
    if path.len() > 1 {
        let raw = Raw {
            text: &path[1..],
            code: Code::Percent,
            quoted: false,
        };
        builder.put_key(Key::Instance, raw, path_at);
    }
    query(&mut builder, &main[query_at..], query_at)?;
    Ok(builder)
}

fn user_info<'a>(builder: &mut Builder<'a>, text: &'a str, at: usize) -> Result<(), ParseError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !text.chars().all(allowed) {
        let problem = "user or password holds a character that must be percent-encoded";
        return Err(builder.syntax(at, problem));
    }
    if !escapes_are_whole(text) {
        return Err(builder.syntax(at, "a '%' is not followed by two hexadecimal digits"));
    }
    let (user, password) = text
        .split_once(':')
        .map_or((text, None), |(u, p)| (u, Some(p)));
    let raw = |text| Raw {
        text,
        code: Code::Percent,
        quoted: true,
    };
    builder.put_key(Key::UserId, raw(user), at);
    if let Some(password) = password {
        builder.put_key(Key::Password, raw(password), at + user.len() + 1);
    }
    Ok(())
}

fn host<'a>(builder: &mut Builder<'a>, text: &'a str, at: usize) -> Result<(), ParseError> {
    let port_text = match text.rfind(']') {
        Some(end) if text.starts_with('[') => &text[end + 1..],
        None if text.starts_with('[') => {
            return Err(builder.syntax(at, "a '[' of the host is never closed"));
        }
        _ => text.rfind(':').map_or("", |colon| &text[colon..]),
    };
    let digits = |port: &str| port.chars().all(|c| c.is_ascii_digit());
    if !(port_text.is_empty() || port_text.strip_prefix(':').is_some_and(digits)) {
        return Err(builder.syntax(
            at + text.len() - port_text.len(),
            "the port is not a number",
        ));
    }
    let allowed = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c)
    };
    if !text.chars().all(allowed) || !host_escapes_are_fine(text) {
        return Err(builder.syntax(
            at,
            "the host holds a character that a URL does not allow there",
        ));
    }
    let mut name = &text[..text.len() - port_text.len()];
    let bracketed = name.starts_with('[') && name.ends_with(']');
    if name.contains(':') && !bracketed {
        // Go gives up on splitting and takes it all for a host name.
        name = text;
    } else if let Some(port) = port_text.strip_prefix(':') {
        if !port.is_empty() {
            builder.put_key(Key::Port, Raw::plain(port), at + text.len() - port.len());
        }
        // Without a port the brackets stay, a quirk of Go.
        name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
    }
    builder.put_key(
        Key::DataSource,
        Raw {
            text: name,
            code: Code::Percent,
            quoted: false,
        },
        at,
    );
    Ok(())
}

/// In a host only bytes beyond ASCII, and the `%25` of an IPv6 zone, may be
/// escaped.
fn host_escapes_are_fine(text: &str) -> bool {
    escapes_are_whole(text)
        && text.match_indices('%').all(|(at, _)| {
            text[at..].starts_with("%25") || text.as_bytes().get(at + 1).is_some_and(|b| *b >= b'8')
        })
}

fn query<'a>(builder: &mut Builder<'a>, text: &'a str, start: usize) -> Result<(), ParseError> {
    let mut names = HashSet::new();
    let mut at = start;
    for piece in text.split('&') {
        let here = at;
        at += piece.len() + 1;
        if piece.is_empty() {
            continue;
        }
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let form = |text| Raw {
            text,
            code: Code::Form,
            quoted: false,
        };
        let whole = escapes_are_whole(piece);
        let Some(name) = form(name).text().filter(|_| whole && !piece.contains(';')) else {
            drop_piece(builder, piece, name, here);
            continue;
        };
        let entry = builder.lookup(&name);
        let twice = !names.insert(name.to_ascii_lowercase())
            || entry.is_some_and(|entry| in_authority(builder, entry.key, start));
        if twice {
            let shown = entry.map_or("a parameter", |entry| entry.key.name());
            let column = builder.column(here);
            return Err(ParseError::DuplicateKeyword {
                column,
                keyword: shown.into(),
            });
        }
        let pair = Pair {
            key: name,
            raw: form(value),
            at: here,
        };
        match entry {
            Some(entry) => builder.put_last(entry, pair),
            None => builder.drop_unknown(&pair),
        }
    }
    Ok(())
}

/// Warns of a parameter that Go drops for a raw `;` or a broken escape.
fn drop_piece(builder: &mut Builder<'_>, piece: &str, name: &str, at: usize) {
    builder.warn_lost(WarningKind::LostText, at, piece);
    let name = Raw {
        text: name,
        code: Code::Form,
        quoted: false,
    };
    let known = name
        .text()
        .and_then(|name| builder.lookup(&name))
        .map(|entry| entry.spelling);
    if let (Some(warning), Some(known)) = (builder.warnings.last_mut(), known) {
        warning.keyword = Some(known.to_owned());
        let hint = if piece.contains(';') {
            "the parameter is dropped; write '%3B' for a ';' in it"
        } else {
            "the parameter is dropped; write '%25' for a '%' in it"
        };
        warning.hint = Some(hint.to_owned());
        warning.lost = lookup::find(Dialect::SqlServerUrl, known)
            .map(|entry| entry.key.name())
            .into_iter()
            .collect();
    }
}

/// Whether the part before the query has set the keyword.
fn in_authority(builder: &Builder<'_>, key: Key, query: usize) -> bool {
    let set = |key| {
        builder.slot(key).is_some_and(|slot| {
            slot.at < query && (key != Key::DataSource || !slot.raw.text.is_empty())
        })
    };
    set(key) || (key == Key::DataSource && set(Key::Instance))
}

/// What protects a `;` in a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Braces,
    Double,
}

fn pairs(
    mut builder: Builder<'_>,
    start: usize,
    quotes: Quotes,
) -> Result<Builder<'_>, ParseError> {
    let text = builder.text;
    let mut pos = start;
    loop {
        let rest = &text[pos..];
        let skipped = rest.trim_start_matches(|c: char| c == ';' || c.is_whitespace());
        let at = pos + rest.len() - skipped.len();
        if skipped.is_empty() {
            return Ok(builder);
        }
        let end = skipped.find(['=', ';']).unwrap_or(skipped.len());
        let name = skipped[..end].trim_end();
        pos = at + end;
        if name.is_empty() && quotes == Quotes::Braces {
            return Err(builder.syntax(at, "a keyword is missing before '='"));
        }
        let raw = if text[pos..].starts_with('=') {
            let (raw, next) = value(&builder, at, pos + 1, quotes)?;
            pos = next;
            raw
        } else {
            Raw::plain("")
        };
        let pair = Pair {
            key: name.into(),
            raw,
            at,
        };
        match builder.lookup(name) {
            Some(entry) => builder.put_last(entry, pair),
            None if name.is_empty() => {}
            None => builder.drop_unknown(&pair),
        }
    }
}

/// Reads a value from `pos`; gives where the next pair may start, too.
fn value<'a>(
    builder: &Builder<'a>,
    at: usize,
    pos: usize,
    quotes: Quotes,
) -> Result<(Raw<'a>, usize), ParseError> {
    let (open, close, mark) = match quotes {
        Quotes::Braces => ('{', '}', b'}'),
        Quotes::Double => ('"', '"', b'"'),
    };
    let text = builder.text;
    let trimmed = text[pos..].trim_start();
    let Some(body) = trimmed.strip_prefix(open) else {
        let end = trimmed.find(';').unwrap_or(trimmed.len());
        let next = text.len() - trimmed.len() + end;
        return Ok((Raw::plain(trimmed[..end].trim_end()), next));
    };
    let mut end = 0;
    loop {
        let Some(index) = body[end..].find(close) else {
            return Err(builder.syntax(at, "a quoted value is never closed"));
        };
        end += index;
        if !body[end + 1..].starts_with(close) {
            break;
        }
        end += 2;
    }
    let after = body[end + 1..].trim_start();
    if !(after.is_empty() || after.starts_with(';')) {
        return Err(builder.syntax(at, "text follows a closing quote or brace"));
    }
    Ok((
        Raw {
            text: &body[..end],
            code: Code::Doubled(mark),
            quoted: true,
        },
        text.len() - after.len(),
    ))
}
