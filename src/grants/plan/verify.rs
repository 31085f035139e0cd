//! Whether a database is as it should be.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Change, Mode, Problem, plan};
use crate::grants::model::Desired;
use crate::grants::observed::Observed;

/// Something that is not as it should be.
///
/// As JSON: a change as in a plan, or `{"kind": "problem", "what": …}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drift {
    /// This change would mend it.
    Change(Box<Change>),
    /// Something is in the way of mending it.
    Problem(Problem),
}

/// What is not as it should be; empty if all is. What counts as too much is up
/// to the mode.
#[must_use]
pub fn verify(desired: &Desired, observed: &Observed, mode: Mode) -> Vec<Drift> {
    match plan(desired, observed, mode) {
        Ok(plan) => {
            let changes = plan.changes().iter().cloned();
            changes
                .map(|change| Drift::Change(Box::new(change)))
                .collect()
        }
        Err(error) => error
            .problems()
            .iter()
            .cloned()
            .map(Drift::Problem)
            .collect(),
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => change.fmt(f),
            Self::Problem(problem) => write!(f, "! {problem}"),
        }
    }
}

impl Serialize for Drift {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape {
            kind: &'static str,
            what: String,
        }
        match self {
            Self::Change(change) => change.serialize(serializer),
            Self::Problem(problem) => Shape {
                kind: "problem",
                what: problem.to_string(),
            }
            .serialize(serializer),
        }
    }
}
