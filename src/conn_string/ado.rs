//! The grammar of ADO.NET strings.

use std::borrow::Cow;

use super::builder::Builder;
use super::raw::{Code, Pair, Raw};
use super::{Dialect, ParseError};

/// Reads the pairs; the last of several synonyms wins, an unknown keyword is
/// an error.
pub(super) fn read(text: &str) -> Result<Builder<'_>, ParseError> {
    let mut builder = Builder::new(text, Dialect::AdoNet);
    for pair in Pairs::new(text) {
        let pair = pair.map_err(|broken| builder.syntax(broken.at, broken.problem))?;
        match builder.lookup(&pair.key) {
            Some(usage) => builder.put_last(usage, pair),
            None => return Err(builder.unknown_error(&pair)),
        }
    }
    Ok(builder)
}

/// A pair that does not follow the grammar.
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) problem: &'static str,
}

/// The pairs of a text, up to the first broken one.
pub(super) struct Pairs<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, pos: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn broken(&mut self, at: usize, problem: &'static str) -> Broken {
        self.pos = self.text.len();
        Broken { at, problem }
    }

    /// Skips to the next key; `false` at the end of the string.
    fn find_key(&mut self) -> Result<bool, Broken> {
        while let Some(c) = self.peek() {
            match c {
                ';' => self.pos += 1,
                c if c.is_whitespace() => self.pos += c.len_utf8(),
                '\0' => {
                    let at = self.pos;
                    let clean = |c: char| c == '\0' || c.is_whitespace();
                    return if self.text[at..].chars().all(clean) {
                        self.pos = self.text.len();
                        Ok(false)
                    } else {
                        Err(self.broken(at, "text follows a NUL, which ends the string"))
                    };
                }
                c if c.is_control() => {
                    let at = self.pos;
                    return Err(self.broken(at, "a control character stands outside of quotes"));
                }
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<Cow<'a, str>, Broken> {
        let at = self.pos;
        let mut doubled = false;
        while let Some(c) = self.peek() {
            if c == '=' {
                if self.text[self.pos + 1..].starts_with('=') {
                    doubled = true;
                    self.pos += 2;
                    continue;
                }
                let key = self.text[at..self.pos].trim_end();
                self.pos += 1;
                if key.is_empty() {
                    return Err(self.broken(at, "a keyword is missing before '='"));
                }
                return Ok(if doubled {
                    key.replace("==", "=").into()
                } else {
                    key.into()
                });
            }
            if c.is_control() && !c.is_whitespace() {
                return Err(self.broken(at, "a control character stands in a keyword"));
            }
            self.pos += c.len_utf8();
        }
        let problem = if doubled {
            "'==' is an escaped '=' in a keyword; a value that starts with '=' must be quoted"
        } else {
            "a keyword has no '='; a value with ';' must be quoted"
        };
        Err(self.broken(at, problem))
    }

    fn value(&mut self, at: usize) -> Result<Raw<'a>, Broken> {
        while let Some(c) = self.peek().filter(|c| c.is_whitespace()) {
            self.pos += c.len_utf8();
        }
        match self.peek() {
            None | Some('\0') => Ok(Raw::NULL),
            Some(';') => {
                self.pos += 1;
                Ok(Raw::NULL)
            }
            Some(quote @ ('\'' | '"')) => self.quoted(at, quote),
            Some(c) if c.is_control() => {
                Err(self.broken(at, "a value starts with a control character"))
            }
            Some(_) => self.unquoted(at),
        }
    }

    fn quoted(&mut self, at: usize, quote: char) -> Result<Raw<'a>, Broken> {
        let start = self.pos + 1;
        self.pos = start;
        loop {
            let rest = &self.text[self.pos..];
            match rest
                .find([quote, '\0'])
                .map(|index| (index, &rest[index..]))
            {
                Some((index, tail)) if tail.starts_with('\0') => {
                    let _ = index;
                    return Err(self.broken(at, "a NUL stands in quotes"));
                }
                Some((index, tail)) if tail[1..].starts_with(quote) => self.pos += index + 2,
                Some((index, _)) => {
                    self.pos += index;
                    break;
                }
                None => return Err(self.broken(at, "a quote is never closed")),
            }
        }
        let text = &self.text[start..self.pos];
        self.pos += 1;
        while let Some(c) = self.peek().filter(|c| c.is_whitespace()) {
            self.pos += c.len_utf8();
        }
        match self.peek() {
            None | Some('\0') => {}
            Some(';') => self.pos += 1,
            Some(_) => return Err(self.broken(at, "text follows a closing quote")),
        }
        let mark = if quote == '"' { b'"' } else { b'\'' };
        Ok(Raw {
            text,
            code: Code::Doubled(mark),
            quoted: true,
        })
    }

    fn unquoted(&mut self, at: usize) -> Result<Raw<'a>, Broken> {
        let rest = &self.text[self.pos..];
        let ends = |c: char| c == ';' || (c.is_control() && !c.is_whitespace());
        let end = rest.find(ends).unwrap_or(rest.len());
        let text = rest[..end].trim_end();
        self.pos += end + usize::from(rest[end..].starts_with(';'));
        if text.ends_with(['\'', '"']) {
            return Err(self.broken(at, "a value that is not quoted ends in a quote"));
        }
        Ok(Raw::plain(text))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.find_key() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(broken) => return Some(Err(broken)),
        }
        let at = self.pos;
        let pair = self.key().and_then(|key| {
            let raw = self.value(at)?;
            Ok(Pair { key, raw, at })
        });
        Some(pair)
    }
}
