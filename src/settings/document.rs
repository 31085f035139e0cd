//! A TOML text that is read key by key. Whatever is wrong is noted with its
//! place and reading goes on, so that one run tells all mistakes.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{MAX_SHOWN, Problem, nearest};

/// The text, and what has been found wrong with it.
pub(crate) struct Document<'t> {
    text: &'t str,
    pub(super) root: Spanned<DeTable<'t>>,
    problems: RefCell<Vec<Noted>>,
    /// Every key that was asked for, whether the text has it or not.
    #[cfg(test)]
    pub(crate) keys: RefCell<std::collections::BTreeSet<String>>,
}

/// What is wrong, and at which byte.
struct Noted {
    at: usize,
    key: String,
    what: String,
}

/// A table of the document, or the absence of one: all its keys are absent then.
pub(crate) struct Section<'d> {
    pub(super) document: &'d Document<'d>,
    /// Its own name with the names of the tables around it.
    pub(super) path: String,
    pub(super) table: Option<&'d DeTable<'d>>,
    /// Where it stands.
    pub(crate) at: usize,
    asked: RefCell<Vec<&'static str>>,
}

/// A value and where it stands, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) at: usize,
}

impl<'t> Document<'t> {
    /// Reads the syntax.
    pub(crate) fn parse(text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self {
            text,
            root,
            problems: RefCell::default(),
            #[cfg(test)]
            keys: RefCell::default(),
        };
        for error in errors {
            let at = error.span().map_or(0, |span: Range<usize>| span.start);
            // The parser's own words name no value.
            let what = error.message().lines().collect::<Vec<_>>().join("; ");
            document.note(at, String::new(), what);
        }
        document
    }

    /// The keys outside of all tables.
    pub(crate) fn root(&self) -> Section<'_> {
        self.section(String::new(), Some(self.root.get_ref()), 0)
    }

    /// Notes that something is wrong at a byte of the text.
    pub(crate) fn note(&self, at: usize, key: String, what: impl Into<String>) {
        let what = what.into();
        self.problems.borrow_mut().push(Noted { at, key, what });
    }

    /// All that is wrong, in the order of the text.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut noted = self.problems.into_inner();
        noted.sort_by_key(|noted| noted.at);
        let mut places = Places::new(self.text);
        let problem = |noted: Noted| Problem {
            place: Some(places.of(noted.at)),
            key: noted.key,
            what: noted.what,
        };
        noted.into_iter().map(problem).collect()
    }

    /// Whether so much is wrong that more words about it help nobody.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.borrow().len() >= MAX_SHOWN
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    pub(super) fn section<'d>(
        &'d self,
        path: String,
        table: Option<&'d DeTable<'d>>,
        at: usize,
    ) -> Section<'d> {
        Section {
            document: self,
            path,
            table,
            at,
            asked: RefCell::default(),
        }
    }
}

impl<'d> Section<'d> {
    /// Notes that a key is missing, if it is: one with a wrong value has been told of.
    pub(crate) fn missing(&self, key: &str, wanted: &str) {
        if !self.has(key) {
            self.note(self.at, key, format!("it is missing; write {wanted}"));
        }
    }

    /// Notes that something is wrong about a key.
    pub(crate) fn note(&self, at: usize, key: &str, what: impl Into<String>) {
        self.document.note(at, self.name(key), what);
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<Found<&'d str>> {
        self.typed(key, "a text between quotes", DeValue::as_str)
    }

    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        Some(self.typed(key, "true or false", DeValue::as_bool)?.value)
    }

    /// As [`Document::is_full`].
    #[cfg(feature = "grants")]
    pub(crate) fn is_full(&self) -> bool {
        self.document.is_full()
    }

    /// A text that means something.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Found<T>> {
        let found = self.text(key)?;
        match read(found.value) {
            Ok(value) => Some(Found {
                value,
                at: found.at,
            }),
            Err(wrong) => {
                self.note(found.at, key, wrong.to_string());
                None
            }
        }
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The tables of that name.
    pub(crate) fn tables(&self, key: &'static str) -> Vec<Section<'d>> {
        let Some(found) = self.get(key) else {
            return Vec::new();
        };
        let name = self.name(key);
        let mut sections = Vec::new();
        for value in found
            .get_ref()
            .as_array()
            .into_iter()
            .flat_map(|all| all.iter())
        {
            match value.get_ref().as_table() {
                Some(table) => sections.push(self.document.section(
                    name.clone(),
                    Some(table),
                    value.span().start,
                )),
                None => self.note(value.span().start, key, format!("write it as [[{name}]]")),
            }
        }
        if !found.get_ref().is_array() {
            let what = format!("there can be several: write it as [[{name}]]");
            self.note(found.span().start, key, what);
        }
        sections
    }

    /// Notes the keys that nobody has asked for. To be called last.
    pub(crate) fn end(self) {
        let asked = self.asked.borrow();
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let written = key.get_ref().as_ref();
            if asked.contains(&written) {
                continue;
            }
            let near = match self.document.is_full() {
                true => None,
                false => nearest(written, asked.iter().copied()),
            };
            let what = match near {
                Some(meant) => format!("there is no such key; did you mean {meant}?"),
                None => format!("there is no such key; there are {}", asked.join(", ")),
            };
            self.note(key.span().start, &printable(written), what);
        }
    }

    pub(super) fn typed<T>(
        &self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&'d DeValue<'d>) -> Option<T>,
    ) -> Option<Found<T>> {
        let found = self.get(key)?;
        let at = found.span().start;
        match read(found.get_ref()) {
            Some(value) => Some(Found { value, at }),
            None => {
                self.note(at, key, format!("write {wanted}"));
                None
            }
        }
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.borrow_mut().push(key);
        #[cfg(test)]
        self.document.keys.borrow_mut().insert(self.name(key));
        self.table.and_then(|table| table.get(key))
    }

    /// A key with the names of the tables around it.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// Lines and columns of bytes, asked for from the front to the back.
struct Places<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            column: 1,
        }
    }

    fn of(&mut self, at: usize) -> (usize, usize) {
        for character in self.text.get(self.at..at).unwrap_or_default().chars() {
            if character == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.at = self.at.max(at);
        (self.line, self.column)
    }
}

/// A key as a person may see it.
fn printable(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_debug).collect()
}
