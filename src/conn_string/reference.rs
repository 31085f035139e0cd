//! Key Vault references in a text: where they stand, and what takes their place.

use std::ops::Range;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::builder::Builder;
use super::raw::{Code, Raw};
use super::values::Kind;
use super::{ConnectionString, Dialect, Key, ParseError, ParseOptions, detect, settle, url};
use crate::secret::Secret;

/// What a reference starts with, in any case.
const PREFIX: &str = "@Microsoft.KeyVault(";

/// Whether a text is a Key Vault reference, or looks like one that is broken.
pub(crate) fn is_reference(text: &str) -> bool {
    let head = text.trim_start().get(..PREFIX.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(PREFIX))
}

/// A value of a connection string that is a Key Vault reference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferencePlace {
    /// The keyword whose value it is.
    pub key: Key,
    /// Where the pair starts, in characters from zero.
    pub column: usize,
    /// The reference, as written: no secret, but where one is kept.
    pub text: String,
    /// The value with its quotes, in bytes.
    span: Range<usize>,
}

/// A text with references in it, to be filled in.
#[derive(Debug)]
pub(crate) struct Draft {
    text: Secret,
    dialect: Dialect,
    quoting: Quoting,
    places: Vec<ReferencePlace>,
}

/// What protects a value in a form of text.
#[derive(Clone, Copy, Debug)]
enum Quoting {
    Braces,
    Double,
    Percent,
}

impl Draft {
    /// Finds the references, without looking at any other value.
    pub(crate) fn read(text: &str, dialect: Option<Dialect>) -> Result<Self, ParseError> {
        let builder = read(text, dialect).map_err(|error| cut_off(text).unwrap_or(error))?;
        // Pieces that a URL drops, and keywords that nobody meant.
        if let Some(cut) = cut_off(text).filter(|_| !builder.warnings.is_empty()) {
            return Err(cut);
        }
        let places = places(&builder)?;
        Ok(Self {
            dialect: builder.dialect,
            quoting: Quoting::of(&builder),
            places,
            text: Secret::new(text),
        })
    }

    /// The references in the order of the text.
    pub(crate) fn places(&self) -> &[ReferencePlace] {
        &self.places
    }

    /// The string with placeholders for what is not known yet. Numbers, flags
    /// and words are left out; `true` says that none was.
    pub(crate) fn outline(&self) -> Result<(ConnectionString, bool), ParseError> {
        let mut builder = read(self.text.expose(), Some(self.dialect))?;
        let mut whole = true;
        builder.slots.retain_mut(|slot| {
            if !self.places.iter().any(|place| place.key == slot.entry.key) {
                return true;
            }
            let kind = slot.entry.kind;
            let is_place = kind == Kind::TokenPlace;
            slot.raw = Raw::plain(if is_place { "github" } else { "reference" });
            let open = is_place || matches!(kind, Kind::Text(_) | Kind::Secret(_) | Kind::File);
            whole &= open;
            open
        });
        Ok((settle::settle(builder)?, whole))
    }

    /// Reads the string with these values in the places of its references.
    /// Columns in errors and warnings are those of the original text.
    pub(crate) fn parse(
        &self,
        values: &[Secret],
        options: ParseOptions,
    ) -> Result<ConnectionString, ParseError> {
        let (text, shifts) = self.fill(values)?;
        let options = options.dialect(self.dialect).keep_references(true);
        match options.parse(text.expose()) {
            Ok(mut string) => {
                for warning in &mut string.warnings {
                    warning.column = original(&shifts, warning.column);
                }
                Ok(string)
            }
            Err(mut error) => {
                let column = error.column_mut();
                *column = original(&shifts, *column);
                Err(error)
            }
        }
    }

    fn fill(&self, values: &[Secret]) -> Result<(Secret, Vec<Shift>), ParseError> {
        let text = self.text.expose();
        let room: usize = values.iter().map(|value| 2 + 3 * value.len()).sum();
        // Room for all of it, so that no secret is moved and left behind.
        let mut out = String::with_capacity(text.len() + room);
        let (mut at, mut shifts) = (0, Vec::new());
        for (place, value) in self.places.iter().zip(values) {
            if value.expose().contains('\0') {
                return Err(ParseError::InvalidValue {
                    column: place.column,
                    keyword: place.key.name(),
                    expected: "text without a NUL, and the secret in the vault has one".into(),
                });
            }
            out.push_str(&text[at..place.span.start]);
            self.quoting.push(value.expose(), &mut out);
            at = place.span.end;
            shifts.push(Shift {
                filled: out.chars().count(),
                written: text[..at].chars().count(),
            });
        }
        out.push_str(&text[at..]);
        Ok((Secret::new(out), shifts))
    }
}

impl Quoting {
    fn of(builder: &Builder<'_>) -> Self {
        match builder.dialect {
            Dialect::AdoNet => Self::Double,
            Dialect::Odbc | Dialect::Jdbc => Self::Braces,
            Dialect::SqlServerUrl if builder.text.starts_with(url::PREFIX) => Self::Percent,
            Dialect::SqlServerUrl if builder.go_ado => Self::Double,
            Dialect::SqlServerUrl => Self::Braces,
        }
    }

    fn push(self, value: &str, out: &mut String) {
        let (open, close) = match self {
            Self::Braces => ('{', '}'),
            Self::Double => ('"', '"'),
            Self::Percent => {
                out.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
                return;
            }
        };
        out.push(open);
        for c in value.chars() {
            out.push(c);
            if c == close {
                out.push(c);
            }
        }
        out.push(close);
    }
}

/// The end of a value in the filled text and in the original, in characters.
struct Shift {
    filled: usize,
    written: usize,
}

/// From a column of the filled text to that of the original. Errors point at
/// keywords, never into a value.
fn original(shifts: &[Shift], column: usize) -> usize {
    let before = shifts.iter().rev().find(|shift| shift.filled <= column);
    before.map_or(column, |shift| shift.written + column - shift.filled)
}

fn read(text: &str, dialect: Option<Dialect>) -> Result<Builder<'_>, ParseError> {
    match dialect {
        Some(dialect) => settle::read_as(text, dialect),
        None => detect::read(text),
    }
}

/// The values in force that are references.
pub(super) fn places(builder: &Builder<'_>) -> Result<Vec<ReferencePlace>, ParseError> {
    let mut found = Vec::new();
    for slot in &builder.slots {
        let Some(text) = reference(&slot.raw) else {
            continue;
        };
        let base = builder.text.as_ptr() as usize;
        let start = slot.raw.text.as_ptr() as usize - base;
        if !text.trim_end().ends_with(')') {
            return Err(ParseError::CutReference {
                column: builder.column(start),
            });
        }
        let end = start + slot.raw.text.len();
        let (opening, closing) = match slot.raw.code {
            // An ODBC string may end before its brace is closed.
            Code::Doubled(mark) => (1, builder.text.as_bytes().get(end) == Some(&mark)),
            _ => (0, false),
        };
        found.push(ReferencePlace {
            key: slot.entry.key,
            column: builder.column(slot.at),
            text,
            span: start - opening..end + usize::from(closing),
        });
    }
    found.sort_by_key(|place| place.span.start);
    Ok(found)
}

/// The value, if it is a reference. Others are decoded into a [`Secret`] at
/// most, for they may be one.
fn reference(raw: &Raw<'_>) -> Option<String> {
    match raw.code {
        Code::Null => None,
        Code::Plain => is_reference(raw.text).then(|| raw.text.to_owned()),
        Code::Doubled(_) => {
            let decoded = raw.secret().filter(|_| is_reference(raw.text))?;
            Some(decoded.expose().to_owned())
        }
        // No shorter text decodes to as much as the prefix.
        Code::Form | Code::Percent if raw.text.len() < PREFIX.len() => None,
        Code::Form | Code::Percent => {
            let decoded = raw.secret()?;
            is_reference(decoded.expose()).then(|| decoded.expose().to_owned())
        }
    }
}

/// The error of a text in which the `;` of a reference separates pairs: its
/// grammar sees keywords that nobody meant.
pub(super) fn cut_off(text: &str) -> Option<ParseError> {
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices(&PREFIX.to_ascii_lowercase()) {
        let body = text[at..].split(')').next().unwrap_or_default();
        let bare = text[..at].trim_end().ends_with(['=', ':']);
        if bare && body.contains(';') {
            return Some(ParseError::CutReference {
                column: text[..at].chars().count(),
            });
        }
    }
    None
}

/// The dialect whose quotes enclose a reference: to the other one it would be a
/// value that begins with a quote or brace, which nobody means.
pub(super) fn quoted_by(text: &str) -> Option<Dialect> {
    let at = text
        .to_ascii_lowercase()
        .find(&PREFIX.to_ascii_lowercase())?;
    let head = text[..at].trim_end();
    let opened = |mark| {
        let before = head.strip_suffix(mark);
        before.is_some_and(|before: &str| before.trim_end().ends_with('='))
    };
    if opened('{') {
        Some(Dialect::Odbc)
    } else {
        (opened('"') || opened('\'')).then_some(Dialect::AdoNet)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BY_URI: &str = "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/db)";
    const BY_NAME: &str = "@microsoft.keyvault(VaultName=kv;SecretName=db)";

    /// A text of each form, with references that need its quotes.
    fn forms(reference: &str) -> Vec<(Dialect, String)> {
        let encoded = utf8_percent_encode(reference, NON_ALPHANUMERIC);
        vec![
            (
                Dialect::AdoNet,
                format!("Data Source=h;User ID=u;Password=\"{reference}\";Initial Catalog=d"),
            ),
            (
                Dialect::Odbc,
                format!("Driver={{D}};Server=h;UID=u;PWD={{{reference}}};Database=d"),
            ),
            (
                Dialect::Jdbc,
                format!("jdbc:sqlserver://h;user=u;password={{{reference}}};databaseName=d"),
            ),
            (
                Dialect::SqlServerUrl,
                format!("sqlserver://u:{encoded}@h?database=d"),
            ),
            (
                Dialect::SqlServerUrl,
                format!("sqlserver://h?user+id=u&password={encoded}&database=d"),
            ),
            (
                Dialect::SqlServerUrl,
                format!("odbc:server=h;user id=u;password={{{reference}}};database=d"),
            ),
        ]
    }

    fn filled(dialect: Dialect, text: &str, value: &str) -> ConnectionString {
        let draft = Draft::read(text, Some(dialect)).unwrap();
        assert_eq!(draft.places().len(), 1, "{text}");
        draft
            .parse(&[Secret::new(value)], ParseOptions::new())
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn references_are_found_in_each_form_and_replaced() {
        for reference in [BY_URI, BY_NAME] {
            for (dialect, text) in forms(reference) {
                let draft = Draft::read(&text, None).unwrap();
                let [place] = draft.places() else {
                    panic!("{text}");
                };
                assert_eq!((place.key, place.text.as_str()), (Key::Password, reference));
                let (outline, whole) = draft.outline().unwrap();
                assert!(whole && outline.text(Key::UserId) == Some("u"), "{text}");
                let string = filled(dialect, &text, "a;b}c\"d'e{ f% +=@");
                let password = string.secret(Key::Password).unwrap();
                assert_eq!(password.expose(), "a;b}c\"d'e{ f% +=@", "{text}");
                assert_eq!(string.text(Key::InitialCatalog), Some("d"), "{text}");
                assert!(string.warnings().is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn a_brace_that_is_never_closed_ends_with_the_text() {
        let text = format!("Driver={{D}};Server=h;UID=u;PWD={{{BY_URI}");
        let string = filled(Dialect::Odbc, &text, "a;b}c");
        let password = string.secret(Key::Password).unwrap();
        assert_eq!(password.expose(), "a;b}c");
    }

    #[test]
    fn numbers_and_flags_may_be_references_too() {
        let text = format!("Data Source=h;Connect Timeout={BY_URI};Encrypt={BY_URI};User ID=u");
        let draft = Draft::read(&text, None).unwrap();
        let (outline, whole) = draft.outline().unwrap();
        assert!(!whole && outline.get(Key::ConnectTimeout).is_none());
        let values = [Secret::new("7"), Secret::new("strict")];
        let string = draft.parse(&values, ParseOptions::new()).unwrap();
        assert_eq!(string.number(Key::ConnectTimeout), Some(7));
        // The place of a bad value is the one in the text that the user wrote.
        let values = [Secret::new("a quite long MARKER"), Secret::new("strict")];
        let error = draft.parse(&values, ParseOptions::new()).unwrap_err();
        assert_eq!(error.column(), 14, "{error}");
        assert!(!format!("{error} {error:?}").contains("MARKER"));
        let values = [Secret::new("7"), Secret::new("MARKER")];
        let error = draft.parse(&values, ParseOptions::new()).unwrap_err();
        assert_eq!(error.column(), text.find("Encrypt").unwrap(), "{error}");
    }

    #[test]
    fn the_quotes_of_a_reference_tell_the_dialect() {
        for (text, dialect) in [
            (format!("Server=h;UID=u;PWD={{{BY_NAME}}}"), Dialect::Odbc),
            (format!("Server=h;UID=u;PWD=\"{BY_NAME}\""), Dialect::AdoNet),
            (format!("Server=h;UID=u;PWD='{BY_NAME}'"), Dialect::AdoNet),
        ] {
            assert_eq!(Dialect::detect(&text), Some(dialect), "{text}");
            let draft = Draft::read(&text, None).unwrap();
            assert_eq!(draft.places()[0].text, BY_NAME);
        }
        assert_eq!(Dialect::detect("Server=h;UID=u;PWD={a}"), None);
    }

    #[test]
    fn a_nul_is_refused() {
        for (dialect, text) in forms(BY_NAME) {
            let draft = Draft::read(&text, Some(dialect)).unwrap();
            let error = draft
                .parse(&[Secret::new("MARK\0ER")], ParseOptions::new())
                .unwrap_err();
            assert!(matches!(error, ParseError::InvalidValue { .. }), "{error}");
        }
    }

    #[test]
    fn a_reference_that_its_semicolon_cuts_is_told_so() {
        for text in [
            format!("Data Source=h;User ID=u;Password={BY_NAME}"),
            format!("Driver={{D}};Server=h;UID=u;PWD={BY_NAME}"),
            format!("jdbc:sqlserver://h;user=u;password={BY_NAME};a=b"),
            format!("sqlserver://h?password={BY_NAME}"),
            format!("odbc:server=h;user id=u;password={BY_NAME}"),
            format!("sqlserver://u:{BY_NAME}@h"),
            format!("Server=h;UID=u;PWD={BY_NAME}"),
        ] {
            let column = text.find(BY_NAME).unwrap();
            for error in [
                Draft::read(&text, None).err(),
                ConnectionString::parse(&text).err(),
            ] {
                let Some(ParseError::CutReference { column: found }) = error else {
                    panic!("{text}: {error:?}");
                };
                assert_eq!(found, column, "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_resolved_is_refused_by_place() {
        for (dialect, text) in forms(BY_NAME) {
            let error = ConnectionString::parse_as(&text, dialect).unwrap_err();
            let ParseError::UnresolvedReference { keyword, .. } = error else {
                panic!("{text}: {error}");
            };
            assert_eq!(keyword, Some("Password"));
            let kept = ParseOptions::new().keep_references(true).parse(&text);
            assert_eq!(kept.unwrap().references().len(), 1);
        }
        let timeout = format!("Data Source=h;Connect Timeout={BY_URI}");
        for error in [BY_URI, &timeout].map(|text| ConnectionString::parse(text).unwrap_err()) {
            assert!(
                matches!(error, ParseError::UnresolvedReference { .. }),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_the_quoting(value in "([^\0]|[;{}\"'%+=@ ]){1,40}") {
            for (dialect, text) in forms(BY_NAME) {
                let string = filled(dialect, &text, &value);
                let password = string.secret(Key::Password).map(Secret::expose);
                prop_assert_eq!(password, Some(value.as_str()), "{}", text);
                prop_assert_eq!(string.text(Key::InitialCatalog), Some("d"));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(
            pieces in proptest::collection::vec(0..PIECES.len(), 0..12),
        ) {
            let text: String = pieces.into_iter().map(|at| PIECES[at]).collect();
            for dialect in Dialect::ALL.into_iter().map(Some).chain([None]) {
                let Ok(draft) = Draft::read(&text, dialect) else { continue };
                let values = vec![Secret::new("v;}"); draft.places().len()];
                // Only that these return is asked.
                let _ = draft.outline();
                let _ = draft.parse(&values, ParseOptions::new());
            }
        }
    }

    const PIECES: &[&str] = &[
        BY_NAME,
        BY_URI,
        "PWD=",
        "Password=",
        "Connect Timeout=",
        "Server=",
        "{",
        "}",
        "\"",
        "'",
        ";",
        "é",
        "=",
        " ",
        "jdbc:sqlserver://",
        "sqlserver://",
        "odbc:",
        "?",
        "&",
        "%40",
        ")",
        "Driver={x};",
        "UID=",
        "@",
    ];
}
