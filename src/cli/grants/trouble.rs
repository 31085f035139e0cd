//! Why a database was not read or changed, and what to do about it.

use crate::Error;
use crate::cli::exit::{Exit, Failure};
use crate::grants::{ApplyError, ConnectionError, GrantsError, PlanError};
use crate::pool::PoolError;
use crate::pool::tiberius::error::Error as DriverError;

/// What went wrong in one database.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Apply(Box<ApplyError>),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the manifest names no connection string for it")]
    NoConnection,
    #[error("the connection string names no database, and so would lead to master")]
    NoDatabase,
    #[error("the saved plan has no such database")]
    NotSaved,
    #[error("the saved plan is for {saved}, and this is {now}")]
    OtherPlace { saved: String, now: String },
    #[error("the plan is no longer the saved one, since the database or the manifest has changed")]
    OtherPlan,
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Read(#[from] GrantsError),
}

// Boxed, since it is much larger than the others.
impl From<ApplyError> for Trouble {
    fn from(error: ApplyError) -> Self {
        Self::Apply(Box::new(error))
    }
}

impl Trouble {
    /// The exit code if nothing else went wrong.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Connection(_) | Self::NoConnection | Self::NoDatabase => Exit::Usage,
            Self::NotSaved | Self::OtherPlace { .. } | Self::OtherPlan | Self::Plan(_) => {
                Exit::Failed
            }
            Self::Pool(error) => Failure::from(Error::from(error.clone())).exit(),
            Self::Read(error) => of_read(error),
            Self::Apply(error) => of_apply(error),
        }
    }

    /// Whether the database may have been changed all the same.
    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Apply(error) if error.is_unknown())
    }

    /// The exit code as a word.
    pub(super) fn kind(&self) -> &'static str {
        match self.exit() {
            Exit::Auth => "auth",
            Exit::Network => "network",
            Exit::Server => "server",
            Exit::Usage => "usage",
            _ => "refused",
        }
    }

    /// All causes, in one line.
    pub(super) fn cause(self) -> String {
        Failure::new(self.exit(), self).to_string()
    }

    /// What to do about it, where the cause does not end in that.
    pub(super) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Connection(_) | Self::Plan(_) | Self::Apply(_) | Self::Read(_) => None,
            Self::NoConnection => Some("write one into the manifest, or give it by --target"),
            Self::NoDatabase => Some("add Database=NAME to it; Database=master if that is meant"),
            Self::NotSaved => Some("plan again, with this database among those chosen"),
            Self::OtherPlace { .. } => Some("plan again for this database, and apply that"),
            Self::OtherPlan => Some("plan again, look at the new plan, and apply that"),
            Self::Pool(error) => error.dial_error().and_then(|error| error.advice()).or(Some(
                "`entrada check CONN` goes through the login step by step",
            )),
        }
    }
}

fn of_read(error: &GrantsError) -> Exit {
    match error {
        GrantsError::Query { source, .. } => of_driver(source),
        GrantsError::Timeout { .. } => Exit::Network,
        _ => Exit::Server,
    }
}

fn of_apply(error: &ApplyError) -> Exit {
    match error {
        ApplyError::Failed { source, .. } | ApplyError::Transaction { source, .. } => {
            of_driver(source)
        }
        ApplyError::Read(error) => of_read(error),
        ApplyError::CommitUnknown { .. } | ApplyError::Timeout { .. } => Exit::Network,
        _ => Exit::Failed,
    }
}

fn of_driver(error: &DriverError) -> Exit {
    match error {
        DriverError::Io { .. } => Exit::Network,
        _ => Exit::Server,
    }
}
