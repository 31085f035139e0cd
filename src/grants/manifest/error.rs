//! Why a manifest cannot be used.

use std::io;
use std::path::PathBuf;

use crate::conn_string::{ParseError, WriteError};
use crate::settings::{Listed, Problem, SourceError};

/// Why a manifest cannot be used.
///
/// No variant shows the value of a variable or a connection string.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read the manifest {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says cannot be done. All that was found is listed.
    #[error("{}", Listed { origin, problems })]
    Mistakes {
        /// The file's name, or another word for where the text comes from.
        origin: String,
        /// At least one, in the order of the text.
        problems: Vec<Problem>,
    },
}

impl ManifestError {
    /// Each mistake; none if the file could not be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Mistakes { problems, .. } => problems,
            Self::File { .. } => &[],
        }
    }
}

/// Why there is no connection string for a database of a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The variable that it stands in is not there.
    #[error("the variable {name} is not set, is empty or is not text")]
    Variable {
        /// Its name.
        name: String,
    },
    /// The file that it stands in cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The whole string is one reference to a vault, so that the name of the
    /// database cannot be put into it.
    #[error(
        "the connection string is a reference to a vault, into which no database name can be put; \
         write a [[database]] for each database, with a reference to a string of its own"
    )]
    WholeReference,
    /// The string cannot be read, so that no database name can be put into it.
    #[error("the connection string cannot be read")]
    Parse {
        /// Why.
        source: ParseError,
    },
    /// The string cannot be written with the name of the database in it.
    #[error("the database's name cannot be put into the connection string")]
    Write {
        /// Why.
        source: WriteError,
    },
}

impl From<SourceError> for ConnectionError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Variable { name } => Self::Variable { name },
            SourceError::File { path, source } => Self::File { path, source },
        }
    }
}
