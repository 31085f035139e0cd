//! What a check has found.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::dial::printable;

/// What one check has found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// Which check: one of [`CHECKS`](super::CHECKS).
    pub check: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What it saw, in one line. The wording is not part of the API.
    pub what: String,
    /// How long it took.
    pub took: Duration,
    /// What it saw, for programs; the names are listed in `docs/check.md`.
    pub facts: Map<String, Value>,
    /// What is wrong: one if the check failed, any number of warnings if not.
    pub troubles: Vec<Trouble>,
    /// What a failure is about; `None` unless it failed.
    pub kind: Option<Kind>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// All is well.
    Pass,
    /// It works, and something should be looked at.
    Warn,
    /// It does not work; no further check was made.
    Fail,
    /// It does not apply here.
    Skip,
}

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// The connection string or the options.
    Usage,
    /// Who logs in: no token, or one that is refused.
    Auth,
    /// The way to the server.
    Network,
    /// What the server says.
    Server,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Trouble {
    /// Why it is so.
    pub cause: String,
    /// What to do about it.
    pub fix: String,
    /// T-SQL that does it, for somebody with the right to run it.
    pub script: Option<String>,
}

/// Why a check failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    pub(super) trouble: Trouble,
}

impl Failed {
    pub(super) fn new(kind: Kind, cause: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self {
            kind,
            trouble: Trouble::new(cause, fix),
        }
    }

    /// Adds the T-SQL that mends it. What a terminal would obey does not get out:
    /// such a script is left out, since another one would not do.
    pub(super) fn with_script(mut self, script: Option<String>) -> Self {
        let obeyed = |c: char| c.is_control() && c != '\n';
        self.trouble.script = script.filter(|text| !text.contains(obeyed));
        self
    }

    /// Adds to the fix.
    pub(super) fn and(mut self, more: impl AsRef<str>) -> Self {
        let fix = &mut self.trouble.fix;
        fix.push_str("; ");
        fix.push_str(&printable(more.as_ref()));
        self
    }
}

impl Trouble {
    fn new(cause: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self {
            cause: printable(cause.as_ref()),
            fix: printable(fix.as_ref()),
            script: None,
        }
    }
}

impl Finding {
    pub(super) fn new(check: &'static str) -> Self {
        Self {
            check,
            outcome: Outcome::Pass,
            what: String::new(),
            took: Duration::ZERO,
            facts: Map::new(),
            troubles: Vec::new(),
            kind: None,
        }
    }

    /// Tells what was seen.
    pub(super) fn saw(&mut self, what: impl AsRef<str>) {
        self.what = printable(what.as_ref());
    }

    /// Notes something for programs. Texts are made printable.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.to_owned(), harmless(value.into()));
    }

    /// Notes that there is nothing to look at.
    pub(super) fn skip(&mut self, why: impl AsRef<str>) {
        self.saw(why);
        self.outcome = Outcome::Skip;
    }

    /// Notes what works and should be looked at.
    pub(super) fn warn(&mut self, cause: impl AsRef<str>, fix: impl AsRef<str>) {
        self.troubles.push(Trouble::new(cause, fix));
        self.outcome = Outcome::Warn;
    }

    pub(super) fn fail(&mut self, failed: Failed) {
        self.outcome = Outcome::Fail;
        self.kind = Some(failed.kind);
        // One cause: what was odd on the way is not the point now.
        self.troubles = vec![failed.trouble];
    }
}

fn harmless(value: Value) -> Value {
    match value {
        Value::String(text) => printable(&text).into(),
        Value::Array(list) => list.into_iter().map(harmless).collect(),
        other => other,
    }
}
