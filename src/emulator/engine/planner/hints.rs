//! Table hints of a query.

use sqlparser::ast::Expr;

use super::super::error::{SqlError, SqlResult};
use super::Planner;

/// Hints that change plans or locks, not results.
const WITHOUT_EFFECT: &[&str] = &[
    "FORCESCAN",
    "FORCESEEK",
    "NOEXPAND",
    "NOLOCK",
    "NOWAIT",
    "PAGLOCK",
    "READCOMMITTED",
    "READCOMMITTEDLOCK",
    "READUNCOMMITTED",
    "ROWLOCK",
    "TABLOCK",
];

/// Hints that keep others from changing what was read.
const HOLDING: &[&str] = &[
    "HOLDLOCK",
    "REPEATABLEREAD",
    "SERIALIZABLE",
    "TABLOCKX",
    "UPDLOCK",
    "XLOCK",
];

impl Planner<'_> {
    /// Reads hints; `catalogue` says that they are about a catalogue view.
    pub(super) fn hints(&mut self, hints: &[Expr], catalogue: bool) -> SqlResult<()> {
        for hint in hints {
            let word = hint.to_string().to_uppercase();
            let is_index = matches!(hint, Expr::Function(f) if matches!(f.name.to_string().to_uppercase().as_str(), "INDEX" | "FORCESEEK"));
            if HOLDING.contains(&word.as_str()) {
                self.locks = true;
            } else if catalogue && word == "READPAST" {
                // No row of the catalogue is ever locked here, so that none is skipped.
            } else if !is_index && !WITHOUT_EFFECT.contains(&word.as_str()) {
                return Err(SqlError::unsupported(format!("table hint {word}")));
            }
        }
        Ok(())
    }
}
