//! Why a program gave no token.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::token::error::Coarse;

/// Why a program gave no token.
///
/// No variant holds what the program wrote to its standard output, and what it
/// wrote to its standard error is held without anything that looks like a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It ended with an error.
    #[error("{name} ended with {}{}", Status(*status), Said(said))]
    Failed {
        /// The program.
        name: String,
        /// Its exit code; `None` if a signal ended it.
        status: Option<i32>,
        /// What it wrote to its standard error, shortened.
        said: String,
    },
    /// Its output broke off.
    #[error("cannot read what {name} prints")]
    Io {
        /// The program.
        name: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// There is no such program.
    #[error("{name} is not installed, or not in a folder that PATH names by its full path")]
    NotFound {
        /// The program.
        name: String,
    },
    /// The program is named by a relative path.
    #[error(
        "the program {name:?} is named by a relative path; give its full path, or a name on PATH"
    )]
    Relative {
        /// As it was given.
        name: String,
    },
    /// It cannot be started.
    #[error("cannot start {name}")]
    Start {
        /// The program.
        name: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// It took too long, and was ended.
    #[error("{name} did not finish within {}; try it by hand, as it may wait for an answer", Coarse(*after))]
    Timeout {
        /// The program.
        name: String,
        /// The time that it may take.
        after: Duration,
    },
    /// It printed more than a token can be, and was ended.
    #[error("{name} printed more than {max} bytes, so it is not a token")]
    TooLarge {
        /// The program.
        name: String,
        /// The limit.
        max: usize,
    },
}

impl ProgramError {
    /// Whether the same call may succeed soon with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Io { .. })
    }
}

struct Status(Option<i32>);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, "exit code {code}"),
            None => f.write_str("a signal"),
        }
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}
