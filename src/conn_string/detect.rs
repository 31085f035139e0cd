//! Which dialect a text is written in.

use super::ado;
use super::builder::Builder;
use super::error::ParseError;
use super::lookup;
use super::odbc::{self, Item};
use super::raw::Code;
use super::{ConnectionString, Dialect, Key, jdbc, reference, settle, url};

/// Reads a text in the dialect that it looks like.
pub(super) fn parse(text: &str) -> Result<ConnectionString, ParseError> {
    settle::settle(read(text)?)
}

/// Splits a text by the grammar of the dialect that it looks like.
pub(super) fn read(text: &str) -> Result<Builder<'_>, ParseError> {
    if by_prefix(text).is_none()
        && let Some(builder) = plain_ado(text)
    {
        return Ok(builder);
    }
    settle::read_as(text, dialect(text)?)
}

/// The text's pairs, if it is ADO.NET beyond doubt: ADO.NET knows all of its
/// keywords, ODBC does not, and no value can be taken for pairs. This spares
/// the usual text a second look.
fn plain_ado(text: &str) -> Option<Builder<'_>> {
    if text.contains('{') {
        return None;
    }
    let builder = ado::read(text).ok()?;
    let only_ado = |spelling| lookup::find(Dialect::Odbc, spelling).is_none();
    let plain = !builder.quoted_separator
        && builder
            .slots
            .iter()
            .any(|slot| only_ado(slot.entry.spelling));
    plain.then_some(builder)
}

/// Tells the dialect.
///
/// A prefix decides; else `Driver`, `DSN` and `FileDSN` mean ODBC; else
/// keywords that only one of ADO.NET and ODBC knows. When there are only
/// shared keywords, the text is ADO.NET provided that ODBC would read the same
/// pairs out of it; if not, it is ambiguous.
pub(super) fn dialect(text: &str) -> Result<Dialect, ParseError> {
    if let Some(dialect) = by_prefix(text) {
        return Ok(dialect);
    }
    match Evidence::gather(text) {
        Evidence {
            odbc_driver: true, ..
        } => Ok(Dialect::Odbc),
        Evidence {
            ado: None,
            odbc: Some(_),
            ..
        } => Ok(Dialect::Odbc),
        Evidence {
            ado: Some(_),
            odbc: None,
            ..
        } => Ok(Dialect::AdoNet),
        Evidence {
            ado: Some(one),
            odbc: Some(other),
            ..
        } => {
            let problem = "it has keywords that only the one or the other knows";
            Err(ambiguous(text, one.max(other), problem))
        }
        // If both see the same pairs, there is one reading: ODBC refuses
        // `true`, and takes no word that ADO.NET would read differently.
        Evidence {
            ado: None,
            odbc: None,
            ..
        } => match (reference::quoted_by(text), difference(text)) {
            (Some(dialect), _) => Ok(dialect),
            (None, Some((at, problem))) => Err(ambiguous(text, at, problem)),
            (None, None) => Ok(Dialect::AdoNet),
        },
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
    // In another case or after blanks no driver takes it; the readers say so.
    let starts = |prefix: &str| {
        let head = text.trim_start().get(..prefix.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    if starts(jdbc::PREFIX) {
        return Some(Dialect::Jdbc);
    }
    starts(url::PREFIX).then_some(Dialect::SqlServerUrl)
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
    /// A keyword counts where both grammars see one: what only the one takes
    /// for a keyword stands in a quoted or braced value of the other.
    fn gather(text: &str) -> Self {
        let mut evidence = Self::default();
        let mut ado_keys = Vec::new();
        let mut broken_key = None;
        let mut ado_broken = None;
        for pair in ado::Pairs::new(text) {
            match pair {
                Ok(pair) => ado_keys.push((pair.at, pair.key)),
                Err(broken) => ado_broken = Some(broken.at),
            }
        }
        for item in odbc::Items::new(text) {
            let (Item::Pair(pair) | Item::OpenBrace(pair) | Item::Junk(pair, _)) = item else {
                continue;
            };
            let found = ado_keys.binary_search_by_key(&pair.at, |(at, _)| *at);
            let seen = found.ok().map(|index| &ado_keys[index]);
            if let Some((at, key)) = seen
                && knows(Dialect::AdoNet, key)
                && !knows(Dialect::Odbc, key)
            {
                evidence.ado.get_or_insert(*at);
            }
            let only_ado = knows(Dialect::AdoNet, &pair.key) && !knows(Dialect::Odbc, &pair.key);
            if ado_broken == Some(pair.at) && only_ado {
                broken_key = Some(pair.at);
            }
            let counts = seen.is_some() || ado_broken.is_some();
            evidence.odbc_driver |= is_driver(&pair.key)
                && (seen.is_some() || ado_broken.is_some() && evidence.ado.is_none());
            if counts && knows(Dialect::Odbc, &pair.key) && !knows(Dialect::AdoNet, &pair.key) {
                evidence.odbc.get_or_insert(pair.at);
            }
        }
        // A quote that is never closed after `Password`: whoever wrote it
        // wants to hear of the quote.
        if evidence.odbc.is_none() {
            evidence.ado = evidence.ado.or(broken_key);
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

/// The first place where the two grammars see different pairs.
fn difference(text: &str) -> Option<(usize, &'static str)> {
    let mut odbc = odbc::Items::new(text);
    let mut seen: Vec<(Key, &str)> = Vec::new();
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
            match seen.iter().find(|(key, _)| *key == entry.key) {
                None => seen.push((entry.key, pair.raw.text)),
                Some((_, value)) if *value == pair.raw.text => {}
                Some(_) => {
                    return Some((
                        pair.at,
                        "a keyword given twice: the last counts, or the first",
                    ));
                }
            }
        }
    }
    None
}
