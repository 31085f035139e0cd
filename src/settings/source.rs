//! Where a text comes from that may be a secret.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::secret::Secret;

/// The longest text of a variable or a file: more than any connection string has.
const MAX_TEXT: u64 = 64 * 1024;

/// A text as a file of settings gives it: `env:NAME`, `file:PATH`, or the text itself.
#[derive(Clone, Debug)]
pub(crate) enum TextSource {
    Env(String),
    File(PathBuf),
    Text(Secret),
}

/// Why a text is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("the variable {name} is not set, is empty or is not text")]
    Variable { name: String },
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: io::Error },
}

impl TextSource {
    /// Paths are relative to `folder`.
    pub(crate) fn of(text: &str, folder: &Path) -> Self {
        if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name.to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(folder.join(path))
        } else {
            Self::Text(Secret::new(text))
        }
    }

    /// The text, without what editors and shells add to it.
    pub(crate) fn read(
        &self,
        var: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Secret, SourceError> {
        let text = match self {
            Self::Env(name) => var(name).map(Secret::new).ok_or_else(|| {
                let name = name.clone();
                SourceError::Variable { name }
            })?,
            Self::File(path) => read_bounded(path, MAX_TEXT).map_err(|source| {
                let path = path.clone();
                SourceError::File { path, source }
            })?,
            Self::Text(text) => text.clone(),
        };
        let bare = text.expose().trim_start_matches('\u{feff}');
        Ok(Secret::new(bare.trim_end_matches(['\r', '\n'])))
    }
}

/// A file's text, which may not be longer than so many bytes.
pub(crate) fn read_bounded(path: &Path, most: u64) -> io::Result<Secret> {
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let what = format!("it holds more than {most} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, what));
    }
    Ok(Secret::new(text))
}
