//! The variables by which Azure's platforms say where their endpoints are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entra::mark_of;

/// Where token sources read variables: the process's environment, or given pairs.
///
/// Variables are read when they are needed, since App Service changes
/// `IDENTITY_HEADER` while the process runs. An empty variable counts as absent.
/// `Debug` shows names only, as some of the values are secrets.
///
/// ```
/// use entrada::token::Environment;
///
/// let env = Environment::from_pairs([("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"), ("EMPTY", "")]);
/// assert_eq!(env.var("IDENTITY_ENDPOINT").as_deref(), Some("http://127.0.0.1:1/"));
/// assert_eq!(env.var("EMPTY"), None);
/// ```
#[derive(Clone)]
pub struct Environment(Origin);

impl Environment {
    /// The environment of this process, read anew each time.
    #[must_use]
    pub fn from_process() -> Self {
        Self(Origin::Process)
    }

    /// Only the given variables, and no file at all. A name given twice has its
    /// last value.
    ///
    /// Programs such as the Azure CLI are looked for on the given `PATH` only,
    /// and run with these variables alone.
    #[must_use]
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self(Origin::Given(Arc::new(Given {
            variables: variables.collect(),
            files: BTreeSet::new(),
        })))
    }

    /// Says that a file exists, for the platforms that are known by one.
    ///
    /// It has no effect on the environment of the process, which asks the file system.
    #[must_use]
    pub fn with_file(self, path: impl Into<PathBuf>) -> Self {
        match self.0 {
            Origin::Process => self,
            Origin::Given(given) => {
                let mut given = Arc::unwrap_or_clone(given);
                given.files.insert(path.into());
                Self(Origin::Given(Arc::new(given)))
            }
        }
    }

    /// The value of a variable; `None` if it is absent, empty or not Unicode.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<String> {
        let value = match &self.0 {
            Origin::Process => std::env::var(name).ok(),
            Origin::Given(given) => given.variables.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Whether a variable is present and not empty.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.var(name).is_some()
    }

    /// The folders of `PATH`, as they stand there.
    pub(super) fn path(&self) -> Vec<PathBuf> {
        let path = match &self.0 {
            Origin::Process => std::env::var_os("PATH"),
            Origin::Given(given) => given.variables.get("PATH").map(Into::into),
        };
        path.map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default()
    }

    /// The variables that a program is given instead of the process's own, if it
    /// is not to have these.
    pub(super) fn instead_of_own(&self) -> Option<impl Iterator<Item = (&String, &String)>> {
        match &self.0 {
            Origin::Process => None,
            Origin::Given(given) => Some(given.variables.iter()),
        }
    }

    /// Tells environments apart, by all that is in them: what a source finds may
    /// depend on any of it. Nothing for that of the process, of which there is one.
    pub(super) fn mark(&self) -> String {
        let Origin::Given(given) = &self.0 else {
            return String::new();
        };
        let variables = given.variables.iter();
        let variables = variables.flat_map(|(name, value)| [name.into(), value.into()]);
        let files = given.files.iter().map(|file| file.to_string_lossy());
        let texts: Vec<Cow<'_, str>> = variables.chain(files).collect();
        mark_of(texts.iter().map(|text| &**text))
    }

    pub(super) fn has_file(&self, path: &Path) -> bool {
        match &self.0 {
            Origin::Process => path.exists(),
            Origin::Given(given) => given.files.contains(path),
        }
    }
}

impl Default for Environment {
    /// The environment of this process.
    fn default() -> Self {
        Self::from_process()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Process => f.write_str("Environment(process)"),
            Origin::Given(given) => {
                f.write_str("Environment")?;
                f.debug_set().entries(given.variables.keys()).finish()
            }
        }
    }
}

#[derive(Clone)]
enum Origin {
    Process,
    Given(Arc<Given>),
}

#[derive(Clone)]
struct Given {
    variables: BTreeMap<String, String>,
    files: BTreeSet<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_only() {
        let env = Environment::from_pairs([("IDENTITY_HEADER", "MARKER")]);
        let shown = format!("{env:?}");
        assert!(
            shown.contains("IDENTITY_HEADER") && !shown.contains("MARKER"),
            "{shown}"
        );
    }

    #[test]
    fn environments_are_told_apart_by_all_that_is_in_them() {
        let env = |pairs: &[(&str, &str)]| Environment::from_pairs(pairs.iter().copied());
        let marks = [
            Environment::from_process().mark(),
            env(&[]).mark(),
            env(&[("A", "MARKER")]).mark(),
            env(&[("A", "other")]).mark(),
            env(&[("AM", "ARKER")]).mark(),
            env(&[("A", "MARKER")]).with_file("/x").mark(),
        ];
        for (i, a) in marks.iter().enumerate() {
            assert!(marks.iter().skip(i + 1).all(|b| a != b), "{i}");
            assert!(!a.contains("MARKER"), "{a}");
        }
        assert_eq!(marks[2], env(&[("A", "MARKER")]).mark());
    }

    #[test]
    fn given_pairs_see_no_real_file() {
        let env = Environment::from_pairs([("A", "b")]);
        assert!(!env.has_file(Path::new("/")));
        assert!(env.with_file("/x").has_file(Path::new("/x")));
        assert!(Environment::from_process().has_file(Path::new("/")));
    }
}
