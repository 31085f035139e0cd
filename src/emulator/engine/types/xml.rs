//! xml: documents and fragments, kept as the text that SQL Server makes of them.
//!
//! The parser checks what makes XML well-formed, names with their prefixes, and entities. Reading
//! drops the declaration, white space between tags, and the difference between `<a></a>` and
//! `<a/>`, as SQL Server does; DTDs are refused, as there.

use super::super::error::{SqlError, SqlResult};
use super::convert::{cut_text, impossible, text_length};
use super::{MAX, SqlType, Storage, Value, codepage};

use SqlType as T;

/// Reads a value as xml. Style 1 keeps white space.
pub(super) fn from_value(value: Value, from: SqlType, style: Option<i64>) -> SqlResult<Value> {
    let keep = match style {
        None | Some(0) => false,
        Some(1) => true,
        Some(other) => return Err(SqlError::unsupported(format!("CONVERT style {other}"))),
    };
    match value {
        text @ Value::Text(_) if from == T::Xml => Ok(text),
        Value::Text(text) => {
            let units = if from.is_unicode() { 16 } else { 8 };
            check_encoding(&text, units)?;
            read(&text, keep).map(Value::Text)
        }
        Value::Bytes(bytes) => decoded(&bytes).and_then(|t| read(&t, keep).map(Value::Text)),
        _ => Err(impossible(from, T::Xml)),
    }
}

/// Reads a parameter of type xml.
pub(crate) fn from_bytes(bytes: &[u8]) -> SqlResult<String> {
    decoded(bytes).and_then(|text| read(&text, false))
}

/// CAST and CONVERT of xml to something else. Nothing is ever cut.
pub(super) fn to_value(value: Value, to: SqlType, style: Option<i64>) -> SqlResult<Value> {
    let Value::Text(text) = value else {
        return Err(impossible(T::Xml, to));
    };
    if !matches!(style, None | Some(0 | 1)) {
        return Err(SqlError::unsupported("CONVERT of xml with this style"));
    }
    let limit = match to.length() {
        None | Some(MAX) => usize::MAX,
        Some(n) => n.into(),
    };
    let too_long = || {
        SqlError::new(
            6354,
            "Target string size is too small to represent the XML instance",
        )
        .state(10)
    };
    match to.storage() {
        Storage::Text if text_length(&text, to) > limit => Err(too_long()),
        Storage::Text => Ok(Value::Text(cut_text(text, to))),
        Storage::Bytes => {
            let mut bytes = vec![0xFF, 0xFE];
            bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            if bytes.len() > limit {
                return Err(too_long());
            }
            if let T::Binary(n) = to {
                bytes.resize(n.into(), 0);
            }
            Ok(Value::Bytes(bytes))
        }
        _ => Err(impossible(T::Xml, to)),
    }
}

/// Binary xml that brings its encoding along: a byte order mark, a first unit that is ASCII in
/// UTF-16, the declaration, or UTF-8.
fn decoded(bytes: &[u8]) -> SqlResult<String> {
    let utf16 = |bytes: &[u8]| {
        let units: Vec<u16> = bytes
            .chunks(2)
            .map(|pair| {
                pair.iter()
                    .rev()
                    .fold(0, |sum, b| (sum << 8) | u16::from(*b))
            })
            .collect();
        String::from_utf16(&units).map_err(|_| illegal_character())
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest),
        [_, 0, ..] => utf16(bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        _ => {
            let ascii: String = bytes.iter().take(200).map(|b| char::from(*b)).collect();
            match encoding(&ascii).as_deref() {
                Some("WINDOWS-1252" | "ISO-8859-1") => {
                    Ok(bytes.iter().map(|b| codepage::from_byte(*b)).collect())
                }
                _ => utf8(bytes),
            }
        }
    }
}

fn utf8(bytes: &[u8]) -> SqlResult<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| illegal_character())
}

fn illegal_character() -> SqlError {
    Fault::CHARACTER.at("", 0)
}

/// The encoding that a declaration names, in capitals.
fn encoding(text: &str) -> Option<String> {
    let declaration = text.strip_prefix("<?xml")?.split_once("?>")?.0;
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (name, _) = rest.get(1..)?.split_once(quote)?;
    Some(name.to_uppercase())
}

/// A text has its encoding by its type: the declaration may not name another.
fn check_encoding(text: &str, bits: u8) -> SqlResult<()> {
    let wide = |name: &str| matches!(name, "UTF-16" | "UCS-2");
    match encoding(text) {
        Some(name) if wide(&name) != (bits == 16) => {
            let at = text.find("?>").unwrap_or(0);
            Err(Fault::ENCODING.at(text, at))
        }
        _ => Ok(()),
    }
}

/// The number and words of a mistake.
#[derive(Clone, Copy)]
pub(super) struct Fault(u32, &'static str);

impl Fault {
    pub(super) const END: Self = Self(9400, "unexpected end of input");
    const ENCODING: Self = Self(9402, "unable to switch the encoding");
    pub(super) const WHITE: Self = Self(9410, "whitespace expected");
    pub(super) const SEMICOLON: Self = Self(9411, "semicolon expected");
    pub(super) const GREATER: Self = Self(9412, "'>' expected");
    pub(super) const LITERAL: Self = Self(9413, "A string literal was expected");
    pub(super) const EQUAL: Self = Self(9414, "equal expected");
    pub(super) const LESS_IN_VALUE: Self =
        Self(9415, "well formed check: no '<' in attribute value");
    pub(super) const CHARACTER: Self = Self(9420, "illegal xml character");
    pub(super) const SYNTAX: Self = Self(9422, "incorrect document syntax");
    pub(super) const END_TAG: Self = Self(9436, "end tag does not match start tag");
    pub(super) const DUPLICATE: Self = Self(9437, "duplicate attribute");
    pub(super) const DECLARATION: Self = Self(9438, "text/xmldecl not at the beginning of input");
    pub(super) const ENTITY: Self = Self(9448, "well formed check: undeclared entity");
    pub(super) const NAME: Self = Self(9455, "illegal qualified name character");
    pub(super) const PREFIX: Self = Self(9459, "undeclared prefix");

    pub(super) fn at(self, text: &str, position: usize) -> SqlError {
        let before = text.get(..position).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let character = before.get(start..).unwrap_or_default().chars().count() + 1;
        SqlError::new(
            self.0,
            format!(
                "XML parsing: line {line}, character {character}, {}",
                self.1
            ),
        )
    }
}

fn read(text: &str, keep_white: bool) -> SqlResult<String> {
    super::xml_reader::Reader::new(text, keep_white).read()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> String {
        read(text, false).unwrap()
    }

    fn fault(text: &str) -> u32 {
        read(text, false).unwrap_err().number
    }

    #[test]
    fn a_document_is_said_in_one_way() {
        for (given, expected) in [
            ("", ""),
            ("<a></a>", "<a/>"),
            ("<a   b = 'x'  />", "<a b=\"x\"/>"),
            ("<a> <b/>\n </a> ", "<a><b/></a>"),
            ("<a> x <b/></a>", "<a> x <b/></a>"),
            ("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a/>", "<a/>"),
            ("<a/><b/>text", "<a/><b/>text"),
            ("<a><![CDATA[<&>]]></a>", "<a>&lt;&amp;&gt;</a>"),
            ("<a b='\"&apos;&#9;\n'/>", "<a b=\"&quot;'&#x09; \"/>"),
            ("<a>&#x41;&lt;é\u{1F600}</a>", "<a>A&lt;é\u{1F600}</a>"),
            ("<a>1\r\n2\r3</a>", "<a>1\n2\n3</a>"),
            ("<a>&#32;</a>", "<a>&#x20;</a>"),
            (
                "<a xml:space='preserve'> </a>",
                "<a xml:space=\"preserve\"> </a>",
            ),
            ("<!-- c --><?p q?><a/>", "<!-- c --><?p q?><a/>"),
            (
                "<p:a xmlns:p='u'><p:b/></p:a>",
                "<p:a xmlns:p=\"u\"><p:b/></p:a>",
            ),
        ] {
            assert_eq!(made(given), expected, "{given}");
            assert_eq!(made(expected), expected, "once is enough: {given}");
        }
        assert_eq!(read("<a> </a>", true).unwrap(), "<a> </a>");
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for (given, number) in [
            ("<a>", 9400),
            ("<a", 9400),
            ("<a b=\"x", 9400),
            ("<!-- c", 9400),
            ("<a></b>", 9436),
            ("</a>", 9422),
            ("<a b='1' b='2'/>", 9437),
            ("<a b='1'c='2'/>", 9410),
            ("<a b/>", 9414),
            ("<a b=1/>", 9413),
            ("<a b='<'/>", 9415),
            ("<1/>", 9455),
            ("<a:b:c/>", 9455),
            ("<p:a/>", 9459),
            ("<a p:b='1'/>", 9459),
            ("<a>&b;</a>", 9448),
            ("<a>&lt</a>", 9411),
            ("<a>&#0;</a>", 9420),
            ("<a>\u{1}</a>", 9420),
            ("<a/ >", 9412),
            (" <?xml version='1.0'?><a/>", 9438),
            ("<!DOCTYPE a><a/>", 6359),
        ] {
            assert_eq!(fault(given), number, "{given}");
        }
        let deep = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
        assert!(read(&deep(128), false).is_ok());
        assert_eq!(fault(&deep(129)), 6335);
        let error = read("<a>\n<b>\n</a>", false).unwrap_err();
        assert!(error.message.starts_with("XML parsing: line 3, character"));
    }

    #[test]
    fn bytes_bring_their_encoding() {
        for bytes in [
            &b"<a>\xC3\xA9</a>"[..],
            b"\xEF\xBB\xBF<a>\xC3\xA9</a>",
            b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xE9</a>",
            b"\xFF\xFE<\0a\0>\0\xE9\0<\0/\0a\0>\0",
            b"<\0a\0>\0\xE9\0<\0/\0a\0>\0",
        ] {
            assert_eq!(from_bytes(bytes).unwrap(), "<a>é</a>");
        }
        assert_eq!(from_bytes(b"<a>\xE9</a>").unwrap_err().number, 9420);
        let text = |from: SqlType| {
            let xml = "<?xml version='1.0' encoding='utf-8'?><a/>".to_owned();
            from_value(Value::Text(xml), from, None)
        };
        assert!(text(T::VarChar(50)).is_ok());
        assert_eq!(text(T::NVarChar(50)).unwrap_err().number, 9402);
    }
}
