//! Which dialect a text is written in.

use super::ado;
use super::error::ParseError;
use super::lookup;
use super::odbc::{self, Item};
use super::raw::Code;
use super::settle;
use super::{ConnectionString, Dialect, jdbc, url};

/// Tells the dialect and reads the text.
///
/// A prefix decides; else `Driver`, `DSN` and `FileDSN` mean ODBC; else
/// keywords that only one of ADO.NET and ODBC knows. When there are only
/// shared keywords, the text is ADO.NET provided that ODBC would read the same
/// out of it; if not, it is ambiguous.
pub(super) fn parse(text: &str) -> Result<ConnectionString, ParseError> {
    if let Some(dialect) = by_prefix(text) {
        return settle::parse_as(text, dialect);
    }
    let evidence = Evidence::gather(text);
    match evidence {
        Evidence {
            odbc_driver: true, ..
        } => settle::parse_as(text, Dialect::Odbc),
        Evidence {
            ado: None,
            odbc: Some(_),
            ..
        } => settle::parse_as(text, Dialect::Odbc),
        Evidence {
            ado: Some(_),
            odbc: None,
            ..
        } => settle::parse_as(text, Dialect::AdoNet),
        Evidence {
            ado: Some(one),
            odbc: Some(other),
            ..
        } => Err(ambiguous(
            text,
            one.max(other),
            "it has keywords that only the one or the other knows",
        )),
        Evidence {
            ado: None,
            odbc: None,
            ..
        } => shared(text),
    }
}

/// The dialect that the start of the text decides.
fn by_prefix(text: &str) -> Option<Dialect> {
    if text.starts_with(jdbc::PREFIX) {
        return Some(Dialect::Jdbc);
    }
    if text.starts_with(url::ODBC_PREFIX) {
        return Some(Dialect::SqlServerUrl);
    }
    if let Some(rest) = text.strip_prefix(url::PREFIX) {
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        // A `;` after host and port is Prisma's form of a JDBC string.
        return Some(if authority.contains(';') {
            Dialect::Jdbc
        } else {
            Dialect::SqlServerUrl
        });
    }
    // In another case or after blanks no driver takes it; the URL reader says so.
    let head = text
        .trim_start()
        .get(..18)
        .unwrap_or(text.trim_start())
        .to_ascii_lowercase();
    match head {
        head if head.starts_with(jdbc::PREFIX) || jdbc::PREFIX == head => Some(Dialect::Jdbc),
        head if head.starts_with(url::PREFIX) => Some(Dialect::SqlServerUrl),
        _ => None,
    }
}

/// Offsets of keywords that only one dialect knows.
#[derive(Default)]
struct Evidence {
    ado: Option<usize>,
    odbc: Option<usize>,
    /// `Driver`, `DSN` or `FileDSN`, where both grammars see a keyword.
    odbc_driver: bool,
}

impl Evidence {
    fn gather(text: &str) -> Self {
        let mut evidence = Self::default();
        let mut ado_drivers = Vec::new();
        let mut ado_broken = false;
        for pair in ado::Pairs::new(text) {
            let Ok(pair) = pair else {
                ado_broken = true;
                break;
            };
            if is_driver(&pair.key) {
                ado_drivers.push(pair.at);
            }
            if knows(Dialect::AdoNet, &pair.key) && !knows(Dialect::Odbc, &pair.key) {
                evidence.ado.get_or_insert(pair.at);
            }
        }
        for item in odbc::Items::new(text) {
            let (Item::Pair(pair) | Item::OpenBrace(pair) | Item::Junk(pair, _)) = item else {
                continue;
            };
            if is_driver(&pair.key) {
                evidence.odbc_driver |=
                    ado_drivers.contains(&pair.at) || ado_broken && evidence.ado.is_none();
            }
            if knows(Dialect::Odbc, &pair.key) && !knows(Dialect::AdoNet, &pair.key) {
                evidence.odbc.get_or_insert(pair.at);
            }
        }
        evidence
    }
}

fn is_driver(key: &str) -> bool {
    ["driver", "dsn", "filedsn"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(key))
}

fn knows(dialect: Dialect, key: &str) -> bool {
    lookup::find(dialect, key).is_some()
}

fn ambiguous(text: &str, at: usize, problem: &'static str) -> ParseError {
    let column = text.get(..at).map_or(0, |head| head.chars().count());
    ParseError::Ambiguous { column, problem }
}

/// Reads a text of shared keywords.
fn shared(text: &str) -> Result<ConnectionString, ParseError> {
    if let Some((at, problem)) = difference(text) {
        return Err(ambiguous(text, at, problem));
    }
    // Both see the same pairs. ODBC refuses `true` and takes no other word
    // than ADO.NET, so what is left has one reading.
    settle::parse_as(text, Dialect::AdoNet)
}

/// The first place where the two grammars see different pairs.
fn difference(text: &str) -> Option<(usize, &'static str)> {
    let mut odbc = odbc::Items::new(text);
    let mut seen: Vec<(&'static str, &str)> = Vec::new();
    for pair in ado::Pairs::new(text) {
        let pair = match pair {
            Ok(pair) => pair,
            // What neither takes is an error of the one that is assumed.
            Err(broken) => {
                let plain = !text[broken.at..].contains(['{', '=']);
                return (!plain).then_some((broken.at, "quotes, braces or '='"));
            }
        };
        let other = match odbc.next() {
            Some(Item::Pair(other)) => other,
            None | Some(Item::Trailing(_)) => return Some((pair.at, "the end of the string")),
            Some(Item::NoValue(_)) if pair.raw.code == Code::Null => continue,
            Some(_) => return Some((pair.at, "quotes, braces or a keyword without '='")),
        };
        if other.key != pair.key || other.at != pair.at {
            return Some((pair.at, "blanks or '=' at a keyword"));
        }
        if pair.raw.quoted || other.raw.quoted {
            return Some((pair.at, "a quote or brace at the start of a value"));
        }
        if pair.raw.text != other.raw.text {
            return Some((pair.at, "blanks at the edge of a value"));
        }
        if let Some(entry) = lookup::find(Dialect::AdoNet, &pair.key) {
            let name = entry.key.name();
            if seen
                .iter()
                .any(|(other, value)| *other == name && *value != pair.raw.text)
            {
                return Some((
                    pair.at,
                    "a keyword given twice: the last counts, or the first",
                ));
            }
            seen.push((name, pair.raw.text));
        }
    }
    None
}
