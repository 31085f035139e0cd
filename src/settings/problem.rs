//! What is wrong with a file, and where.

use std::fmt;

/// One mistake in a file of settings.
///
/// `Display` says where, which key, what is wrong and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Line and column, from one; `None` for settings that come from no file.
    pub place: Option<(usize, usize)>,
    /// The key with its tables, such as `listener.rule.target`; empty for the
    /// file as a whole.
    pub key: String,
    /// What is wrong, and what to write.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut colon = "";
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}")?;
            colon = ": ";
        }
        if !self.key.is_empty() {
            let comma = if colon.is_empty() { "" } else { ", " };
            write!(f, "{comma}{}", self.key)?;
            colon = ": ";
        }
        write!(f, "{colon}{}", self.what)
    }
}

/// More than anybody mends before looking again.
pub(super) const MAX_SHOWN: usize = 100;
/// Longer texts are near to nothing; comparing takes time and memory for each pair
/// of characters.
const MAX_COMPARED: usize = 256;

/// All that is wrong with what `origin` names.
pub(crate) struct Listed<'a> {
    pub(crate) origin: &'a str,
    pub(crate) problems: &'a [Problem],
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin;
        match self.problems {
            [only] if only.place.is_some() => write!(f, "{origin}, {only}"),
            [only] => write!(f, "{origin}: {only}"),
            several => {
                write!(f, "{origin} has {} mistakes", several.len())?;
                let mut shown = several.iter().take(MAX_SHOWN);
                shown.try_for_each(|problem| write!(f, "\n  {problem}"))?;
                match several.len().saturating_sub(MAX_SHOWN) {
                    0 => Ok(()),
                    more => write!(f, "\n  and {more} more"),
                }
            }
        }
    }
}

/// The nearest of some names, if it is near enough to have been meant.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > MAX_COMPARED {
        return None;
    }
    let distance = |name: &str| strsim::damerau_levenshtein(&written.to_lowercase(), name);
    let (steps, name) = known
        .into_iter()
        .filter(|name| name.len() <= MAX_COMPARED)
        .map(|name| (distance(&name.to_lowercase()), name))
        .min_by_key(|(steps, _)| *steps)?;
    (steps <= 1 + name.len() / 4).then_some(name)
}
