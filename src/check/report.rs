//! All findings together.

use serde_json::{Value, json};

use super::CHECKS;
use super::finding::{Finding, Kind, Outcome};
use crate::dial::printable;

/// What all checks have found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// The server that the connection string names, or an empty text.
    pub server: String,
    /// The database that it names.
    pub database: Option<String>,
    /// Each check that was made, in order. If one failed, it is the last.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The check that failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Finding> {
        self.findings
            .last()
            .filter(|finding| finding.outcome == Outcome::Fail)
    }

    /// What the failure is about.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.failure()?.kind
    }

    /// How many checks ended with a warning.
    #[must_use]
    pub fn warnings(&self) -> usize {
        let warned = |finding: &&Finding| finding.outcome == Outcome::Warn;
        self.findings.iter().filter(warned).count()
    }

    /// The checks that were not made.
    pub fn not_made(&self) -> impl Iterator<Item = &'static str> {
        let made = |check: &&str| !self.findings.iter().any(|finding| finding.check == *check);
        CHECKS.into_iter().filter(made)
    }

    /// The report for programs, as `docs/check.md` describes it.
    #[must_use]
    pub fn json(&self) -> Value {
        let outcome = match self.failure() {
            Some(_) => Outcome::Fail,
            None if self.warnings() > 0 => Outcome::Warn,
            None => Outcome::Pass,
        };
        let or_null = |text: &str| (!text.is_empty()).then(|| printable(text));
        json!({
            "version": 1,
            "outcome": outcome,
            "kind": self.kind(),
            "server": or_null(&self.server),
            "database": self.database.as_deref().map(printable),
            "checks": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
            "not_made": self.not_made().collect::<Vec<_>>(),
        })
    }
}

impl Finding {
    fn json(&self) -> Value {
        json!({
            "check": self.check,
            "outcome": self.outcome,
            "what": self.what,
            "took_ms": (self.took.as_secs_f64() * 10_000.0).round() / 10.0,
            "facts": self.facts,
            "troubles": self.troubles,
        })
    }
}
