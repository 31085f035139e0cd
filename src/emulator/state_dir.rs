//! The folder in which keys and certificates outlive the emulator.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::EmulatorError;

/// A folder that only its owner can read.
#[derive(Clone, Debug)]
pub(super) struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens the folder, making it if need be.
    pub(super) fn open(path: &Path) -> Result<Self, EmulatorError> {
        let dir = Self {
            path: path.to_owned(),
        };
        create_private_dir(path).map_err(|source| EmulatorError::State {
            path: path.to_owned(),
            source,
        })?;
        Ok(dir)
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The file's text, `None` if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, EmulatorError> {
        match fs::read_to_string(self.path_of(name)) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(EmulatorError::State {
                path: self.path_of(name),
                source,
            }),
        }
    }

    /// Writes a file that others may read: certificates.
    pub(super) fn write_public(&self, name: &str, text: &str) -> Result<(), EmulatorError> {
        self.write(name, text, 0o644)
    }

    /// Writes a file that nobody else may read: keys.
    pub(super) fn write_private(&self, name: &str, text: &str) -> Result<(), EmulatorError> {
        self.write(name, text, 0o600)
    }

    pub(super) fn damaged(&self, name: &str) -> EmulatorError {
        EmulatorError::StateDamaged {
            path: self.path_of(name),
        }
    }

    /// Replaces the file as a whole: a reader sees the old text or the new one.
    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), EmulatorError> {
        let path = self.path_of(name);
        let temporary = self.path_of(&format!(".{name}.{}", std::process::id()));
        write_new(&temporary, text, mode)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| {
                let _ = fs::remove_file(&temporary);
                EmulatorError::State { path, source }
            })
    }
}

#[cfg(unix)]
fn create_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(not(unix))]
fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg_attr(
    not(unix),
    expect(unused_variables, reason = "only Unix has file modes")
)]
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let _ = fs::remove_file(path);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_for_the_owner_only() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("state");
        let state = StateDir::open(&path).unwrap();
        state.write_private("a.key", "first").unwrap();
        state.write_private("a.key", "second").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.path_of("a.key")), 0o600);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(state.read("a.key").unwrap().as_deref(), Some("second"));
        assert_eq!(state.read("b.key").unwrap(), None);
        assert_eq!(
            fs::read_dir(&path).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }
}
