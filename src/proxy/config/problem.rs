//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a configuration cannot be used.
///
/// No variant shows a value that could be a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says cannot be done. All that was found is listed.
    #[error("{}", Listed { origin, problems })]
    Mistakes {
        /// The file's name, or another word for where the settings come from.
        origin: String,
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// Each mistake; none if the file could not be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Mistakes { problems, .. } => problems,
            Self::File { .. } => &[],
        }
    }
}

/// One mistake in a configuration.
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

struct Listed<'a> {
    origin: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin;
        match self.problems {
            [only] if only.place.is_some() => write!(f, "{origin}, {only}"),
            [only] => write!(f, "{origin}: {only}"),
            several => {
                write!(f, "{origin} has {} mistakes", several.len())?;
                several
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The nearest of some names, if it is near enough to have been meant.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&written.to_lowercase(), name);
    let (steps, name) = known
        .into_iter()
        .map(|name| (distance(&name.to_lowercase()), name))
        .min_by_key(|(steps, _)| *steps)?;
    (steps <= 1 + name.len() / 4).then_some(name)
}
