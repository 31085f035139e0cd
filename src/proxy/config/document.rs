//! A TOML text that is read key by key. Whatever is wrong is noted with its
//! place and reading goes on, so that one run tells all mistakes.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Step;
use super::problem::{Problem, nearest};

/// The longest duration that makes sense: it keeps sums of times in range.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The text, and what has been found wrong with it.
pub(super) struct Document<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
    problems: RefCell<Vec<Problem>>,
    /// Every key that was asked for, whether the text has it or not.
    #[cfg(test)]
    pub(super) keys: RefCell<std::collections::BTreeSet<String>>,
}

/// A table of the document, or the absence of one: all its keys are absent then.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    /// Its own name with the names of the tables around it.
    path: String,
    table: Option<&'d DeTable<'d>>,
    at: usize,
    asked: RefCell<Vec<&'static str>>,
}

/// A value and where it stands, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

impl<'t> Document<'t> {
    /// Reads the syntax.
    pub(super) fn parse(text: &'t str) -> Self {
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
    pub(super) fn root(&self) -> Section<'_> {
        self.section(String::new(), Some(self.root.get_ref()), 0)
    }

    /// Notes that something is wrong at a byte of the text.
    pub(super) fn note(&self, at: usize, key: String, what: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            place: Some(self.place(at)),
            key,
            what: what.into(),
        });
    }

    /// Where the value of that path stands, or what is nearest to it if it is absent.
    pub(super) fn find(&self, path: &[Step]) -> usize {
        let mut at = 0;
        let mut found: Option<&Spanned<DeValue<'_>>> = None;
        for step in path {
            let next = match (step, found.map(Spanned::get_ref)) {
                (Step::Key(key), None) => self.root.get_ref().get(*key),
                (Step::Key(key), Some(value)) => value.as_table().and_then(|t| t.get(*key)),
                (Step::Index(index), Some(value)) => value.as_array().and_then(|a| a.get(*index)),
                (Step::Index(_), None) => None,
            };
            let Some(next) = next else {
                break;
            };
            at = next.span().start;
            found = Some(next);
        }
        at
    }

    /// All that is wrong, in the order of the text.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.place);
        problems
    }

    pub(super) fn is_sound(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    fn section<'d>(
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

    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let lines = before.bytes().filter(|byte| *byte == b'\n').count();
        (lines + 1, line.chars().count() + 1)
    }
}

impl<'d> Section<'d> {
    /// Notes that a key is missing, if it is: one with a wrong value has been told of.
    pub(super) fn missing(&self, key: &str, wanted: &str) {
        if self.table.is_none_or(|table| !table.contains_key(key)) {
            self.note(self.at, key, format!("it is missing; write {wanted}"));
        }
    }

    /// Notes that something is wrong about a key.
    pub(super) fn note(&self, at: usize, key: &str, what: impl Into<String>) {
        self.document.note(at, self.name(key), what);
    }

    pub(super) fn text(&self, key: &'static str) -> Option<Found<&'d str>> {
        self.typed(key, "a text between quotes", DeValue::as_str)
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        Some(self.typed(key, "true or false", DeValue::as_bool)?.value)
    }

    /// A number, not negative.
    pub(super) fn number<T: TryFrom<u64>>(&self, key: &'static str) -> Option<Found<T>> {
        self.typed(key, "a whole number from 0 up, without quotes", whole)
    }

    /// A time such as `"30s"`, `"5m"` or `"1h 30m"`, longer than none.
    pub(super) fn duration(&self, key: &'static str) -> Option<Duration> {
        let wanted = "a text with a unit, as \"500ms\", \"30s\", \"5m\" or \"9h\"";
        let found = self.typed(key, wanted, DeValue::as_str)?;
        let read: Option<jiff::SignedDuration> = found.value.parse().ok();
        let read = read.and_then(|time| Duration::try_from(time).ok());
        match read {
            Some(time) if !time.is_zero() && time <= LONGEST => Some(time),
            Some(_) => {
                self.note(
                    found.at,
                    key,
                    "a time is longer than nothing and at most a year",
                );
                None
            }
            None => {
                self.note(found.at, key, format!("write {wanted}"));
                None
            }
        }
    }

    /// A text that means something.
    pub(super) fn parsed<T, E: std::fmt::Display>(
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

    pub(super) fn texts(&self, key: &'static str) -> Vec<&'d str> {
        self.list(key, "a list of texts, as [\"a\", \"b\"]", DeValue::as_str)
    }

    pub(super) fn numbers<T: TryFrom<u64>>(&self, key: &'static str) -> Vec<T> {
        self.list(key, "a list of whole numbers, as [1000, 1001]", whole)
    }

    /// The table of that name; an absent one has no keys.
    pub(super) fn table(&self, key: &'static str) -> Section<'d> {
        let found = self.get(key);
        let table = found.and_then(|value| value.get_ref().as_table());
        if let Some(value) = found.filter(|_| table.is_none()) {
            self.note(
                value.span().start,
                key,
                format!("write it as a table, [{key}]"),
            );
        }
        let at = found.map_or(self.at, |value| value.span().start);
        self.document.section(self.name(key), table, at)
    }

    /// Whether a key has a table for a value, in place of something simpler.
    pub(super) fn is_table(&self, key: &str) -> bool {
        let found = self.table.and_then(|table| table.get(key));
        found.is_some_and(|value| value.get_ref().is_table())
    }

    /// The tables of that name.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Section<'d>> {
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
    pub(super) fn end(self) {
        let asked = self.asked.borrow();
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let written = key.get_ref().as_ref();
            if asked.contains(&written) {
                continue;
            }
            let what = match nearest(written, asked.iter().copied()) {
                Some(meant) => format!("there is no such key; did you mean {meant}?"),
                None => format!("there is no such key; there are {}", asked.join(", ")),
            };
            self.note(key.span().start, &printable(written), what);
        }
    }

    fn list<T>(
        &self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&'d DeValue<'d>) -> Option<T>,
    ) -> Vec<T> {
        let Some(array) = self.typed(key, wanted, DeValue::as_array) else {
            return Vec::new();
        };
        let of = |value: &'d Spanned<DeValue<'d>>| {
            let read = read(value.get_ref());
            if read.is_none() {
                self.note(value.span().start, key, format!("write {wanted}"));
            }
            read
        };
        array.value.iter().filter_map(of).collect()
    }

    fn typed<T>(
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

    fn get(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.borrow_mut().push(key);
        #[cfg(test)]
        self.document.keys.borrow_mut().insert(self.name(key));
        self.table.and_then(|table| table.get(key))
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

fn whole<T: TryFrom<u64>>(value: &DeValue<'_>) -> Option<T> {
    let number = value.as_integer()?;
    let number = u64::from_str_radix(number.as_str(), number.radix()).ok()?;
    T::try_from(number).ok()
}

/// A key as a person may see it.
fn printable(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_debug).collect()
}
