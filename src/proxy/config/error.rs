//! Why a configuration cannot be used.

use std::io;
use std::path::PathBuf;

use crate::settings::{Listed, Problem};

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
