//! Lists whose items have places of their own, and what a key looks like.

use toml::Spanned;
use toml::de::DeValue;

use super::document::{Found, Section};

impl<'d> Section<'d> {
    /// A list of texts, each with its place.
    pub(crate) fn each(&self, key: &'static str) -> Vec<Found<&'d str>> {
        let wanted = "a list of texts, as [\"a\", \"b\"]";
        let array = self.typed(key, wanted, DeValue::as_array);
        array.map_or_else(Vec::new, |array| self.items(key, array.value, wanted))
    }

    /// A text, or a list of texts, each with its place.
    pub(crate) fn one_or_more(&self, key: &'static str) -> Vec<Found<&'d str>> {
        let wanted = "a text between quotes, or a list of such";
        let Some(found) = self.typed(key, wanted, |value| {
            (value.is_str() || value.is_array()).then_some(value)
        }) else {
            return Vec::new();
        };
        match (found.value.as_str(), found.value.as_array()) {
            (Some(value), _) => vec![Found {
                value,
                at: found.at,
            }],
            (None, Some(array)) => self.items(key, array, wanted),
            (None, None) => Vec::new(),
        }
    }

    /// Where the value of a key stands; `None` if it is absent.
    pub(crate) fn place(&self, key: &str) -> Option<usize> {
        let found = self.table.and_then(|table| table.get(key));
        found.map(|value| value.span().start)
    }

    /// Whether a key has a list without items.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        let found = self.table.and_then(|table| table.get(key));
        found.is_some_and(|value| value.get_ref().as_array().is_some_and(|all| all.is_empty()))
    }

    /// Notes that something is wrong about the table itself.
    pub(crate) fn note_itself(&self, what: impl Into<String>) {
        self.document.note(self.at, self.path.clone(), what);
    }

    fn items(
        &self,
        key: &'static str,
        array: &'d [Spanned<DeValue<'d>>],
        wanted: &str,
    ) -> Vec<Found<&'d str>> {
        let item = |value: &'d Spanned<DeValue<'d>>| {
            let at = value.span().start;
            let read = value.get_ref().as_str();
            if read.is_none() {
                self.note(at, key, format!("write {wanted}"));
            }
            read.map(|value| Found { value, at })
        };
        array.iter().filter_map(item).collect()
    }
}
