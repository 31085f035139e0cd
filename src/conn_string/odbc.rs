//! The grammar of ODBC strings, as Microsoft's driver reads them.

use super::builder::Builder;
use super::raw::{Code, Pair, Raw};
use super::{Dialect, ParseError, WarningKind};

/// Reads the pairs; the first occurrence wins, an unknown keyword is dropped.
pub(super) fn read(text: &str) -> Result<Builder<'_>, ParseError> {
    let mut builder = Builder::new(text, Dialect::Odbc);
    for item in Items::new(text) {
        match item {
            Item::Pair(pair) => put(&mut builder, pair),
            Item::OpenBrace(pair) => {
                let at = pair.at;
                let tail = pair.raw.text;
                put(&mut builder, pair);
                builder.warn_lost(WarningKind::UnterminatedValue, at, tail);
            }
            Item::Junk(pair, lost) => {
                put(&mut builder, pair);
                builder.warn_lost(WarningKind::LostText, lost, &text[lost..]);
            }
            Item::NoEquals(at) => {
                builder.warn_lost(WarningKind::LostText, at, &text[at..]);
            }
            Item::NoValue(at) => {
                builder.warn(WarningKind::LostText, at, "nothing follows the last '='");
            }
            Item::Trailing(at) => {
                builder.warn(
                    WarningKind::TrailingText,
                    at,
                    "one ';' at the end is enough",
                );
            }
        }
    }
    Ok(builder)
}

fn put<'a>(builder: &mut Builder<'a>, pair: Pair<'a>) {
    match builder.lookup(&pair.key) {
        Some(usage) => builder.put_first(usage, pair),
        None => builder.drop_unknown(&pair),
    }
}

/// What the driver sees, piece by piece.
pub(super) enum Item<'a> {
    /// Text after a closing brace, at this offset: the driver stops.
    Junk(Pair<'a>, usize),
    /// A key without `=` to the end of the string.
    NoEquals(usize),
    /// `key=` at the very end.
    NoValue(usize),
    /// A brace that is never closed.
    OpenBrace(Pair<'a>),
    Pair(Pair<'a>),
    /// Separators or blanks before the end.
    Trailing(usize),
}

/// The pieces of a text.
pub(super) struct Items<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Items<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, pos: 0 }
    }

    fn braced(&mut self, key: &'a str, at: usize) -> Item<'a> {
        let start = self.pos + 1;
        let mut end = start;
        let closed = loop {
            match self.text[end..].find('}') {
                None => break false,
                Some(index) => {
                    end += index;
                    if !self.text[end + 1..].starts_with('}') {
                        break true;
                    }
                    end += 2;
                }
            }
        };
        let end = if closed { end } else { self.text.len() };
        let raw = Raw {
            text: &self.text[start..end],
            code: Code::Doubled(b'}'),
            quoted: true,
        };
        let pair = Pair {
            key: key.into(),
            raw,
            at,
        };
        if !closed {
            self.pos = self.text.len();
            return Item::OpenBrace(pair);
        }
        let after = end + 1;
        match self.text[after..].chars().next() {
            None => self.pos = after,
            Some(';') => self.pos = after + 1,
            Some(_) => {
                self.pos = self.text.len();
                return Item::Junk(pair, after);
            }
        }
        Item::Pair(pair)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let from = self.pos;
        let rest = &self.text[from..];
        if rest.is_empty() {
            return None;
        }
        // Exactly these, and no other white space.
        let skipped = rest.trim_start_matches([';', ' ', '\t', '\r', '\n', '\u{c}', '\u{b}']);
        let at = from + rest.len() - skipped.len();
        self.pos = self.text.len();
        if skipped.is_empty() {
            return Some(Item::Trailing(from));
        }
        let Some(equals) = skipped.find('=') else {
            return Some(Item::NoEquals(at));
        };
        let key = &skipped[..equals];
        let value = &skipped[equals + 1..];
        self.pos = at + equals + 1;
        if value.is_empty() {
            return Some(Item::NoValue(at));
        }
        if value.starts_with('{') {
            return Some(self.braced(key, at));
        }
        let end = value.find(';').unwrap_or(value.len());
        self.pos = (self.pos + end + 1).min(self.text.len());
        Some(Item::Pair(Pair {
            key: key.into(),
            raw: Raw::plain(&value[..end]),
            at,
        }))
    }
}
