//! What the four grammars have in common: slots by keyword, and warnings that
//! give nothing away.

use std::borrow::Cow;

use super::error::{ParseError, Warning, WarningKind};
use super::keywords::GO_ADO;
use super::lookup::{self, Entry};
use super::raw::{Code, Pair, Raw};
use super::values::Kind;
use super::{Dialect, Key};
use crate::secret::Secret;

/// No text with so many faults is a connection string; the rest of them is not
/// even looked at.
const MAX_WARNINGS: usize = 100;
/// The longest keyword that a message repeats, in characters.
const ECHO: usize = 64;

/// A keyword that the text sets.
pub(super) struct Slot<'a> {
    pub(super) entry: Entry,
    /// The keyword as written.
    pub(super) name: Cow<'a, str>,
    pub(super) raw: Raw<'a>,
    /// Byte offset of the pair.
    pub(super) at: usize,
}

impl<'a> Slot<'a> {
    fn new(entry: &Entry, pair: Pair<'a>) -> Self {
        Self {
            entry: *entry,
            name: pair.key,
            raw: pair.raw,
            at: pair.at,
        }
    }
}

/// The keywords of a text, not yet typed.
pub(super) struct Builder<'a> {
    pub(super) text: &'a str,
    pub(super) dialect: Dialect,
    pub(super) slots: Vec<Slot<'a>>,
    pub(super) warnings: Vec<Warning>,
    /// Whether Go's ADO form is read, whose server has a port after a comma.
    pub(super) go_ado: bool,
    /// Whether a quoted value holds a `;`, so that other grammars see other pairs.
    pub(super) quoted_separator: bool,
    /// Whether the last pair was a secret that may have broken off.
    after_secret: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            text,
            dialect,
            slots: Vec::with_capacity(12),
            warnings: Vec::new(),
            go_ado: false,
            quoted_separator: false,
            after_secret: false,
        }
    }

    /// Refuses a text with too many faults.
    pub(super) fn bounded(&self) -> Result<(), ParseError> {
        match self.is_hopeless() {
            true => Err(self.syntax(
                0,
                "it has over a hundred faults and can hardly be a connection string",
            )),
            false => Ok(()),
        }
    }

    fn is_hopeless(&self) -> bool {
        self.warnings.len() >= MAX_WARNINGS
    }

    /// Characters before a byte offset.
    pub(super) fn column(&self, at: usize) -> usize {
        self.text.get(..at).map_or(0, |head| head.chars().count())
    }

    pub(super) fn syntax(&self, at: usize, problem: &'static str) -> ParseError {
        ParseError::Syntax {
            column: self.column(at),
            problem,
        }
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&'static Entry> {
        let name = match GO_ADO
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
        {
            Some((_, known)) if self.go_ado => known,
            _ => name,
        };
        lookup::find(self.dialect, name)
    }

    pub(super) fn slot(&self, key: Key) -> Option<&Slot<'a>> {
        self.slots.iter().find(|slot| slot.entry.key == key)
    }

    /// Stores a pair in place of an earlier one.
    pub(super) fn put_last(&mut self, entry: &Entry, pair: Pair<'a>) {
        self.note_secret(entry.kind, &pair.raw);
        self.quoted_separator |= pair.raw.quoted && pair.raw.text.contains(';');
        let same = |other: &Slot<'_>| other.entry.key == entry.key;
        match self.slots.iter().position(same) {
            Some(index) => {
                let earlier = self.slots[index].raw;
                self.warn_duplicate(&earlier, &pair, "the last");
                self.slots[index] = Slot::new(entry, pair);
            }
            None => self.slots.push(Slot::new(entry, pair)),
        }
    }

    /// Stores a pair unless there is an earlier one.
    pub(super) fn put_first(&mut self, entry: &Entry, pair: Pair<'a>) {
        self.note_secret(entry.kind, &pair.raw);
        match self.slots.iter().find(|other| other.entry.key == entry.key) {
            Some(first) => {
                let first = first.raw;
                self.warn_duplicate(&first, &pair, "the first");
            }
            None => self.slots.push(Slot::new(entry, pair)),
        }
    }

    /// Stores a value that the grammar itself assigns to a keyword.
    pub(super) fn put_key(&mut self, key: Key, raw: Raw<'a>, at: usize) {
        if let Some((spelling, kind)) = lookup::usage(self.dialect, key) {
            let entry = Entry {
                spelling,
                key,
                kind,
            };
            self.put_last(
                &entry,
                Pair {
                    key: spelling.into(),
                    raw,
                    at,
                },
            );
        } else {
            let entry = Entry {
                spelling: key.name(),
                key,
                kind: Kind::Text(0),
            };
            self.put_last(
                &entry,
                Pair {
                    key: key.name().into(),
                    raw,
                    at,
                },
            );
        }
    }

    fn note_secret(&mut self, kind: Kind, raw: &Raw<'_>) {
        self.after_secret = matches!(kind, Kind::Secret(_)) && !raw.quoted;
    }

    fn warn_duplicate(&mut self, earlier: &Raw<'_>, pair: &Pair<'_>, wins: &str) {
        let same = earlier.code == pair.raw.code && earlier.text == pair.raw.text;
        if same || earlier.code == Code::Null || self.is_hopeless() {
            return;
        }
        let warning = Warning {
            kind: WarningKind::DuplicateKeyword,
            keyword: Some((*pair.key).to_owned()),
            withheld: None,
            column: self.column(pair.at),
            hint: Some(format!("{wins} one counts")),
            lost: Vec::new(),
        };
        self.warnings.push(warning);
    }

    /// Warns of an unknown keyword, whose value is dropped.
    pub(super) fn drop_unknown(&mut self, pair: &Pair<'a>) {
        if self.is_hopeless() {
            return;
        }
        // In ODBC a piece without `=` swallows the keyword after it.
        let swallowed = pair
            .key
            .rsplit_once(';')
            .and_then(|(_, last)| self.lookup(last.trim()));
        let hint = match swallowed {
            Some(known) => Some(format!(
                "a piece without '=' comes before '{}' and swallows it",
                known.spelling
            )),
            None => lookup::hint(self.dialect, &pair.key),
        };
        let keyword = self.echo(&pair.key);
        let whole = keyword.as_deref() == Some(&*pair.key);
        let warning = Warning {
            kind: WarningKind::UnknownKeyword,
            keyword,
            withheld: (!whole).then(|| Secret::new(&*pair.key)),
            column: self.column(pair.at),
            hint,
            lost: swallowed
                .map(|known| known.key.name())
                .into_iter()
                .collect(),
        };
        self.warnings.push(warning);
        self.after_secret = smells_secret(&pair.key) && !pair.raw.quoted;
    }

    pub(super) fn unknown_error(&self, pair: &Pair<'_>) -> ParseError {
        ParseError::UnknownKeyword {
            column: self.column(pair.at),
            keyword: self.echo(&pair.key).unwrap_or_else(|| "…".to_owned()),
            hint: lookup::hint(self.dialect, &pair.key),
        }
    }

    /// The keyword for a message, if it looks like one: what a broken text
    /// makes a keyword may be half of a URL with its password. After a secret
    /// that is neither quoted nor braced it may be the secret's other half
    /// (`PWD=a;b;UID=c`), so text before a `;` is left out then.
    fn echo(&self, key: &str) -> Option<String> {
        let plain = |c: char| c.is_alphanumeric() || c.is_whitespace();
        let word = |c: char| plain(c) || matches!(c, '_' | '-' | '.' | '=' | ';');
        let shown = match key.rsplit_once(';') {
            Some((_, last)) if self.after_secret => {
                self.lookup(last)?;
                format!("…;{last}")
            }
            _ if key.chars().all(word) => key.to_owned(),
            _ => return None,
        };
        let mut out: String = shown.chars().take(ECHO).collect();
        if shown.chars().nth(ECHO).is_some() {
            out.push('…');
        }
        Some(out)
    }

    pub(super) fn warn(&mut self, kind: WarningKind, at: usize, hint: &str) {
        if self.is_hopeless() {
            return;
        }
        let warning = Warning {
            kind,
            keyword: None,
            withheld: None,
            column: self.column(at),
            hint: Some(hint.to_owned()),
            lost: Vec::new(),
        };
        self.warnings.push(warning);
    }

    pub(super) fn warn_value(&mut self, key: Key, at: usize, hint: &str) {
        let name = self
            .slot(key)
            .map_or(key.name().into(), |slot| slot.name.clone());
        self.warn(WarningKind::IgnoredValue, at, hint);
        if let Some(warning) = self.warnings.last_mut() {
            warning.keyword = Some(name.into_owned());
        }
    }

    /// Warns of text that the driver never reads; its keywords are named, its
    /// words are not.
    pub(super) fn warn_lost(&mut self, kind: WarningKind, at: usize, tail: &str) {
        let mut lost: Vec<&'static str> = Vec::new();
        for piece in tail.split(';') {
            let name = piece.split_once('=').map_or(piece, |(name, _)| name).trim();
            if let Some(entry) = self.lookup(name) {
                let name = entry.key.name();
                if !lost.contains(&name) {
                    lost.push(name);
                }
            }
        }
        let hint = match (kind, lost.is_empty()) {
            (WarningKind::UnterminatedValue, _) => {
                "close it with '}'; a '}' inside is doubled".to_owned()
            }
            (_, true) => "nothing that looks like a setting is lost".to_owned(),
            (_, false) => format!("lost: {}", lost.join(", ")),
        };
        self.warn(kind, at, &hint);
        if let Some(warning) = self.warnings.last_mut() {
            warning.lost = lost;
        }
    }
}

/// Whether a keyword's name says that its value is a secret.
fn smells_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token", "key"]
        .iter()
        .any(|word| key.contains(word))
}
