//! What only the proxy's file has: numbers, times, plain lists, tables that stand
//! once, and values that are found by their path.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::document::{Document, Found, Section};

/// The longest duration that makes sense: it keeps sums of times in range.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A step on the way to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(&'static str),
    Index(usize),
}

impl Document<'_> {
    /// Where the value of that path stands, or what is nearest to it if it is absent.
    pub(crate) fn find(&self, path: &[Step]) -> usize {
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
}

impl Section<'_> {
    /// A number, not negative.
    pub(crate) fn number<T: TryFrom<u64>>(&self, key: &'static str) -> Option<Found<T>> {
        self.typed(key, "a whole number from 0 up, without quotes", whole)
    }

    /// A time such as `"30s"`, `"5m"` or `"1h 30m"`, longer than none.
    pub(crate) fn duration(&self, key: &'static str) -> Option<Duration> {
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

    /// A number of bytes such as `"512KiB"`, `"16MiB"` or `"1GiB"`.
    pub(crate) fn size(&self, key: &'static str) -> Option<usize> {
        let wanted = "a text with a unit, as \"512KiB\", \"16MiB\" or \"1GiB\"";
        let found = self.typed(key, wanted, DeValue::as_str)?;
        let size = bytes(found.value);
        if size.is_none() {
            self.note(found.at, key, format!("write {wanted}"));
        }
        size
    }

    pub(crate) fn numbers<T: TryFrom<u64>>(&self, key: &'static str) -> Vec<T> {
        self.list(key, "a list of whole numbers, as [1000, 1001]", whole)
    }
}

impl<'d> Section<'d> {
    pub(crate) fn texts(&self, key: &'static str) -> Vec<&'d str> {
        self.list(key, "a list of texts, as [\"a\", \"b\"]", DeValue::as_str)
    }

    /// The table of that name; an absent one has no keys.
    pub(crate) fn table(&self, key: &'static str) -> Section<'d> {
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
    pub(crate) fn is_table(&self, key: &str) -> bool {
        let found = self.table.and_then(|table| table.get(key));
        found.is_some_and(|value| value.get_ref().is_table())
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
}

fn bytes(text: &str) -> Option<usize> {
    const UNITS: [(&str, usize); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (digits, unit) = UNITS
        .into_iter()
        .find_map(|(word, unit)| Some((text.strip_suffix(word)?, unit)))?;
    let number: usize = digits.trim_end().parse().ok()?;
    number.checked_mul(unit).filter(|size| *size > 0)
}

fn whole<T: TryFrom<u64>>(value: &DeValue<'_>) -> Option<T> {
    let number = value.as_integer()?;
    let number = u64::from_str_radix(number.as_str(), number.radix()).ok()?;
    T::try_from(number).ok()
}
