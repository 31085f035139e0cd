//! The grammar of JDBC URLs, and of Prisma's.

use super::builder::Builder;
use super::keywords::PRISMA;
use super::raw::{Code, Pair, Raw};
use super::{Dialect, Key, ParseError};

/// What every JDBC URL starts with, in this very case.
pub(super) const PREFIX: &str = "jdbc:sqlserver://";
/// What Prisma's form starts with.
pub(super) const PRISMA_PREFIX: &str = "sqlserver://";

/// Reads host part and properties; the last of several synonyms wins, an
/// unknown name is dropped.
pub(super) fn read(text: &str) -> Result<Builder<'_>, ParseError> {
    let builder = Builder::new(text, Dialect::Jdbc);
    let (start, synonyms) = if text.starts_with(PREFIX) {
        (PREFIX.len(), &[][..])
    } else if text.starts_with(PRISMA_PREFIX) {
        (PRISMA_PREFIX.len(), PRISMA)
    } else {
        let problem = "a JDBC URL starts with 'jdbc:sqlserver://', in lower case";
        return Err(builder.syntax(0, problem));
    };
    let mut reader = Reader {
        builder,
        text,
        pos: start,
        synonyms,
    };
    reader.host_part()?;
    while reader.property()? {}
    Ok(reader.builder)
}

struct Reader<'a> {
    builder: Builder<'a>,
    text: &'a str,
    pos: usize,
    synonyms: &'static [(&'static str, &'static str)],
}

/// Java's `String.trim`.
fn is_blank(c: char) -> bool {
    c <= ' '
}

impl<'a> Reader<'a> {
    /// Text up to one of the marks, and the mark.
    fn until(&mut self, marks: &[char]) -> (&'a str, Option<char>) {
        let rest = &self.text[self.pos..];
        let end = rest.find(marks).unwrap_or(rest.len());
        let mark = rest[end..].chars().next();
        self.pos += end + mark.map_or(0, char::len_utf8);
        (&rest[..end], mark)
    }

    fn set(&mut self, key: Key, text: &'a str, at: usize) {
        self.builder
            .put_key(key, Raw::plain(text.trim_matches(is_blank)), at);
    }

    fn host_part(&mut self) -> Result<(), ParseError> {
        let at = self.pos;
        let (host, mut mark) = self.until(&[';', ':', '\\']);
        if host.contains('=') && mark.is_some() {
            return Err(self
                .builder
                .syntax(at, "the host part holds a '='; properties follow a ';'"));
        }
        if !host.trim_matches(is_blank).is_empty() {
            self.set(Key::DataSource, host, at);
        }
        if mark == Some('\\') {
            let at = self.pos;
            let (instance, next) = self.until(&[';', ':']);
            self.set(Key::Instance, instance, at);
            mark = next;
        }
        if mark == Some(':') {
            let at = self.pos;
            let (port, _) = self.until(&[';']);
            self.set(Key::Port, port, at);
        }
        Ok(())
    }

    /// Reads one property; `false` at the end.
    fn property(&mut self) -> Result<bool, ParseError> {
        const BADLY_FORMED: &str = "a property has no name or no '='";
        let start = self.pos;
        let (name, mark) = self.until(&['=', ';']);
        let indent = name.len() - name.trim_start_matches(is_blank).len();
        let at = start + indent;
        let name = name.trim_matches(is_blank);
        match mark {
            Some('=') if !name.is_empty() => {}
            Some(';') if name.is_empty() => return Ok(true),
            None if name.is_empty() => return Ok(false),
            _ => return Err(self.builder.syntax(at, BADLY_FORMED)),
        }
        let raw = self.value(at)?;
        let pair = Pair {
            key: name.into(),
            raw,
            at,
        };
        let synonym = self
            .synonyms
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        match self
            .builder
            .lookup(synonym.map_or(name, |(_, known)| known))
        {
            Some(usage) => self.builder.put_last(usage, pair),
            None => self.builder.drop_unknown(&pair),
        }
        Ok(true)
    }

    fn value(&mut self, at: usize) -> Result<Raw<'a>, ParseError> {
        let rest = &self.text[self.pos..];
        let trimmed = rest.trim_start_matches(is_blank);
        if let Some(body) = trimmed.strip_prefix('{') {
            self.pos += rest.len() - body.len();
            return self.braced(at);
        }
        let (value, _) = self.until(&[';']);
        if value.contains('{') {
            return Err(self
                .builder
                .syntax(at, "a '{' stands in a value that does not start with it"));
        }
        Ok(Raw::plain(value.trim_matches(is_blank)))
    }

    fn braced(&mut self, at: usize) -> Result<Raw<'a>, ParseError> {
        let body = &self.text[self.pos..];
        let mut end = 0;
        loop {
            let Some(index) = body[end..].find('}') else {
                return Err(self.builder.syntax(at, "a brace is never closed"));
            };
            end += index;
            if !body[end + 1..].starts_with('}') {
                break;
            }
            end += 2;
        }
        let after = body[end + 1..].trim_start_matches(' ');
        if !(after.is_empty() || after.starts_with(';')) {
            return Err(self.builder.syntax(at, "text follows a closing brace"));
        }
        self.pos = (self.text.len() - after.len() + 1).min(self.text.len());
        Ok(Raw {
            text: &body[..end],
            code: Code::Doubled(b'}'),
            quoted: true,
        })
    }
}
