//! JSON as text, and paths into it. Values keep the spelling that they have in the document.

use super::super::error::{SqlError, SqlResult};

/// Arrays and objects in each other.
const DEPTH: usize = 128;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    String,
    Number,
    Bool,
    Array,
    Object,
}

impl Kind {
    pub(crate) fn is_scalar(self) -> bool {
        !matches!(self, Self::Array | Self::Object)
    }
}

/// A value and where it stands in its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node<'t> {
    pub(crate) kind: Kind,
    /// Its text, without blanks around it.
    pub(crate) raw: &'t str,
    /// Byte at which it begins in the document.
    pub(crate) at: usize,
}

/// A member of an object or an element of an array.
#[derive(Clone, Debug)]
pub(crate) struct Item<'t> {
    /// Empty for elements.
    pub(crate) key: String,
    /// Byte at which the key or the element begins.
    pub(crate) start: usize,
    pub(crate) node: Node<'t>,
}

/// Reads a whole document, which is nothing but one value.
pub(crate) fn parse(text: &str) -> SqlResult<Node<'_>> {
    document(text).map_err(|at| malformed(text, at))
}

pub(crate) fn document(text: &str) -> Result<Node<'_>, usize> {
    let start = blanks(text, 0);
    let (node, end) = scan(text, start, 0)?;
    let end = blanks(text, end);
    if end == text.len() {
        Ok(node)
    } else {
        Err(end)
    }
}

fn malformed(text: &str, at: usize) -> SqlError {
    let found = text.get(at..).and_then(|rest| rest.chars().next());
    let position = text.get(..at).map_or(0, |t| t.encode_utf16().count());
    SqlError::new(
        13609,
        format!(
            "JSON text is not properly formatted. Unexpected character '{}' is found at position {position}.",
            found.unwrap_or('.')
        ),
    )
    .state(4)
}

fn blanks(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or("");
    at + rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len()
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

fn scan(text: &str, at: usize, depth: usize) -> Result<(Node<'_>, usize), usize> {
    if depth > DEPTH {
        return Err(at);
    }
    let (kind, end) = match byte(text, at).ok_or(at)? {
        b'"' => (Kind::String, string_end(text, at)?),
        b'{' => (Kind::Object, nested(text, at, b'}', depth, &mut |_| {})?),
        b'[' => (Kind::Array, nested(text, at, b']', depth, &mut |_| {})?),
        b't' => (Kind::Bool, word(text, at, "true")?),
        b'f' => (Kind::Bool, word(text, at, "false")?),
        b'n' => (Kind::Null, word(text, at, "null")?),
        _ => (Kind::Number, number_end(text, at)?),
    };
    let raw = text.get(at..end).ok_or(at)?;
    Ok((Node { kind, raw, at }, end))
}

fn word(text: &str, at: usize, word: &str) -> Result<usize, usize> {
    let rest = text.get(at..).unwrap_or("");
    if rest.starts_with(word) {
        Ok(at + word.len())
    } else {
        Err(at)
    }
}

fn string_end(text: &str, at: usize) -> Result<usize, usize> {
    let mut at = at + 1;
    loop {
        match byte(text, at).ok_or(at)? {
            b'"' => return Ok(at + 1),
            b'\\' => match byte(text, at + 1).ok_or(at)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' => {
                    let digits = text.get(at + 2..at + 6).ok_or(at)?;
                    u32::from_str_radix(digits, 16).map_err(|_| at)?;
                    at += 6;
                }
                _ => return Err(at + 1),
            },
            0..0x20 => return Err(at),
            _ => at += 1,
        }
    }
}

fn number_end(text: &str, start: usize) -> Result<usize, usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or("");
        from + rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len()
    };
    let mut at = start + usize::from(byte(text, start) == Some(b'-'));
    let whole = digits(at);
    if whole == at || byte(text, at) == Some(b'0') && whole > at + 1 {
        return Err(at);
    }
    at = whole;
    if byte(text, at) == Some(b'.') {
        let end = digits(at + 1);
        if end == at + 1 {
            return Err(end);
        }
        at = end;
    }
    if matches!(byte(text, at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(byte(text, at + 1), Some(b'+' | b'-')));
        let end = digits(at + 1 + sign);
        if end == at + 1 + sign {
            return Err(end);
        }
        at = end;
    }
    Ok(at)
}

/// Reads an array or object, telling each item; the end is the byte behind it.
fn nested<'t>(
    text: &'t str,
    start: usize,
    close: u8,
    depth: usize,
    each: &mut dyn FnMut(Item<'t>),
) -> Result<usize, usize> {
    let mut at = blanks(text, start + 1);
    if byte(text, at) == Some(close) {
        return Ok(at + 1);
    }
    loop {
        let begin = at;
        let mut key = String::new();
        if close == b'}' {
            if byte(text, at) != Some(b'"') {
                return Err(at);
            }
            let end = string_end(text, at)?;
            key = unescape(text.get(at..end).unwrap_or(""));
            at = blanks(text, end);
            if byte(text, at) != Some(b':') {
                return Err(at);
            }
            at = blanks(text, at + 1);
        }
        let (node, end) = scan(text, at, depth + 1)?;
        each(Item {
            key,
            start: begin,
            node,
        });
        at = blanks(text, end);
        match byte(text, at) {
            Some(b',') => at = blanks(text, at + 1),
            Some(c) if c == close => return Ok(at + 1),
            _ => return Err(at),
        }
    }
}

/// The items of an array or object. Positions count in the same document as the node's own.
pub(crate) fn items<'t>(node: Node<'t>) -> Vec<Item<'t>> {
    let close = match node.kind {
        Kind::Array => b']',
        Kind::Object => b'}',
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    let _ = nested(node.raw, 0, close, 0, &mut |mut item| {
        item.start += node.at;
        item.node.at += node.at;
        found.push(item);
    });
    found
}

/// The text of a string, of which `raw` has the quotes.
pub(crate) fn unescape(raw: &str) -> String {
    let inner = raw
        .strip_prefix('"')
        .and_then(|r| r.strip_suffix('"'))
        .unwrap_or(raw);
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut units: Vec<u16> = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        units.push(match chars.next() {
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => 10,
            Some('r') => 13,
            Some('t') => 9,
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                u16::from_str_radix(&digits, 16).unwrap_or(0xFFFD)
            }
            Some(other) => u16::try_from(u32::from(other)).unwrap_or(0xFFFD),
            None => 0xFFFD,
        });
    }
    String::from_utf16_lossy(&units)
}

/// `STRING_ESCAPE(…, 'json')`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// `[append] [lax|strict] $…`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) append: bool,
    pub(crate) strict: bool,
    pub(crate) steps: Vec<Step>,
}

impl Path {
    pub(crate) fn parse(text: &str) -> SqlResult<Self> {
        let mut rest = text.trim_start();
        let mut word = |word: &str| match rest.strip_prefix(word) {
            Some(after) if after.starts_with(' ') => {
                rest = after.trim_start();
                true
            }
            _ => false,
        };
        let append = word("append");
        let strict = word("strict");
        if !strict {
            word("lax");
        }
        let offset = text.len() - rest.len();
        let steps = steps(rest).map_err(|at| path_error(text, offset + at))?;
        Ok(Self {
            append,
            strict,
            steps,
        })
    }

    /// Follows the path; `None` where it leads nowhere.
    pub(crate) fn find<'t>(&self, root: Node<'t>) -> Option<Node<'t>> {
        walk(root, &self.steps)
    }
}

pub(crate) fn walk<'t>(root: Node<'t>, steps: &[Step]) -> Option<Node<'t>> {
    steps.iter().try_fold(root, |node, step| {
        let items = items(node);
        match (step, node.kind) {
            (Step::Key(key), Kind::Object) => {
                items.into_iter().find(|i| i.key == *key).map(|i| i.node)
            }
            (Step::Index(index), Kind::Array) => items.into_iter().nth(*index).map(|i| i.node),
            _ => None,
        }
    })
}

fn path_error(text: &str, at: usize) -> SqlError {
    let found = text.get(at..).and_then(|rest| rest.chars().next());
    SqlError::new(
        13607,
        format!(
            "JSON path is not properly formatted. Unexpected character '{}' is found at position {at}.",
            found.unwrap_or('.')
        ),
    )
    .state(4)
}

fn steps(text: &str) -> Result<Vec<Step>, usize> {
    if byte(text, 0) != Some(b'$') {
        return Err(0);
    }
    let mut steps = Vec::new();
    let mut at = 1;
    loop {
        match byte(text, at) {
            None => return Ok(steps),
            Some(b'.') if byte(text, at + 1) == Some(b'"') => {
                let end = string_end(text, at + 1)?;
                steps.push(Step::Key(unescape(text.get(at + 1..end).unwrap_or(""))));
                at = end;
            }
            Some(b'.') => {
                let rest = text.get(at + 1..).unwrap_or("");
                let length = rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .unwrap_or(rest.len());
                let key = rest.get(..length).unwrap_or("");
                if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(at + 1);
                }
                steps.push(Step::Key(key.to_owned()));
                at += 1 + length;
            }
            Some(b'[') => {
                let rest = text.get(at + 1..).unwrap_or("");
                let length = rest.find(']').ok_or(text.len())?;
                let index = rest.get(..length).unwrap_or("");
                let plain = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
                steps.push(Step::Index(
                    index.parse().ok().filter(|_| plain).ok_or(at + 1)?,
                ));
                at += length + 2;
            }
            Some(_) => return Err(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_or_refused() {
        for text in [
            "{}",
            " [1, -2.5e+3, \"a\\u00e9\\n\", true, null, {\"a\":[]}] ",
            "12",
        ] {
            assert!(document(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "{",
            "[1,]",
            "{a:1}",
            "01",
            "[1] x",
            "\"\\x\"",
            "{\"a\":1,}",
            "nul",
        ] {
            assert!(document(text).is_err(), "{text}");
        }
        assert!(document(&"[".repeat(500)).is_err());
    }

    #[test]
    fn paths_lead_to_values() {
        let text = r#"{"info":{"type":1,"address":{"town":"Bristol"},"tags":["Sport","Water polo"]},"a b":{}}"#;
        let root = document(text).unwrap();
        for (path, raw) in [
            ("$.info.type", Some("1")),
            ("$.info.address.town", Some("\"Bristol\"")),
            ("lax $.info.tags[1]", Some("\"Water polo\"")),
            ("$.\"a b\"", Some("{}")),
            ("strict $.info.none", None),
            ("$.Info", None),
        ] {
            let found = Path::parse(path).unwrap().find(root);
            assert_eq!(found.map(|n| n.raw), raw, "{path}");
        }
        for path in ["info", "$.", "$[x]", "$.1a", "$ x"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
