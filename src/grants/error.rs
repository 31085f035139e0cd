//! Why a database could not be read or changed.

use std::time::Duration;

use super::hint;
use super::plan::{PlanError, Problem};
use crate::pool::tiberius::error::Error as DriverError;
use crate::tsql::Statement;

/// Why a database's rights could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// Who reads may not see everything, and what is not seen would be taken
    /// for missing.
    #[error(
        "who reads database {database:?} may not see all users, roles and permissions in it; \
         it needs {right} there: run as a member of db_owner or as the server's Entra administrator"
    )]
    Hidden {
        /// The database.
        database: String,
        /// The right that is missing.
        right: &'static str,
    },
    /// A query failed, or the connection did.
    #[error("cannot read {what}{}", hint::of(source))]
    Query {
        /// What was asked for.
        what: &'static str,
        /// What the server or the connection said.
        #[source]
        source: DriverError,
    },
    /// The server took too long.
    #[error("the server did not tell {what} within {limit:?}; try again when it has less to do")]
    Timeout {
        /// What was asked for.
        what: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// There are more rows than are read into memory.
    #[error("the database has more than {limit} {what}, more than can be compared")]
    TooMany {
        /// Rows of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// The catalogue has a value that no database should have.
    #[error("the catalogue's {what} cannot be understood")]
    Unreadable {
        /// The column.
        what: &'static str,
    },
}

/// Why a plan was not carried out.
///
/// The database is as it was before, except for [`CommitUnknown`](Self::CommitUnknown),
/// where it may have changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The database's rights are no longer those that the plan was made from.
    #[error(
        "the database has changed since the plan was made; nothing was done: make the plan again"
    )]
    Changed,
    /// The connection broke, or the server failed, while it was told to commit.
    #[error(
        "the connection or the server failed while all {changes} changes were being committed, so \
         they may have been made or not; make the plan again: it is empty if they were"
    )]
    CommitUnknown {
        /// How many statements had run.
        changes: usize,
        /// What happened; `None` if the server fell silent.
        #[source]
        source: Option<DriverError>,
    },
    /// A statement failed.
    #[error(
        "statement {number} of {of} failed and nothing was changed: {statement}{}",
        hint::of(source)
    )]
    Failed {
        /// Which statement, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Its text.
        statement: Statement,
        /// What the server or the connection said.
        #[source]
        source: DriverError,
    },
    /// Somebody else applies a plan.
    #[error(
        "somebody else changes this database's rights: the lock entrada-grants was not free within \
         {waited:?}; wait for the other run to end"
    )]
    Locked {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The plan's statements ran, and the database is not what it should be.
    #[error(
        "the statements ran, but the database would not be as planned, so they were rolled back; \
         left over: {}",
        listed(left)
    )]
    NotThere {
        /// Statements that another plan would hold.
        left: Vec<Statement>,
    },
    /// What was planned makes no sense any more.
    #[error(
        "the statements ran, but the database would not be as planned, so they were rolled back"
    )]
    Plan(#[source] PlanError),
    /// The transaction could not be begun or ended.
    #[error("cannot {what}; nothing was changed{}", hint::of(source))]
    Transaction {
        /// What was tried.
        what: &'static str,
        /// What the server or the connection said.
        #[source]
        source: DriverError,
    },
    /// The database could not be read again.
    #[error("the database could not be read again, so nothing was changed")]
    Read(#[source] GrantsError),
    /// The server took too long.
    #[error("the server did not {what} within {limit:?}; nothing was changed")]
    Timeout {
        /// What it should have done.
        what: &'static str,
        /// How long it had.
        limit: Duration,
    },
}

impl GrantsError {
    /// The server's number, if it refused something.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Query { source, .. } => source.code(),
            _ => None,
        }
    }
}

impl ApplyError {
    /// The server's number, if it refused something.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Failed { source, .. } | Self::Transaction { source, .. } => source.code(),
            Self::Read(source) => source.number(),
            _ => None,
        }
    }

    /// Whether the changes may have been made all the same.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::CommitUnknown { .. })
    }
}

/// All problems in one line.
pub(super) fn problems(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("; ")
}

fn listed(statements: &[Statement]) -> String {
    const SHOWN: usize = 3;
    let mut text: Vec<&str> = statements
        .iter()
        .map(Statement::as_str)
        .take(SHOWN)
        .collect();
    if statements.len() > SHOWN {
        text.push("…");
    }
    text.join("; ")
}
