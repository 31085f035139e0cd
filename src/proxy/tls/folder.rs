//! Where the local authority outlives the proxy: one file, in a folder for it
//! alone, that nobody else can write.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::CertificateError;
use crate::token::regular_file::{self, Unread};

const FOLDER: &str = "tls";
/// Key and certificate in one file, so that no two of different origin meet.
const FILE: &str = "ca.pem";
/// A key and a certificate are two kilobytes.
const MAX_FILE: usize = 64 * 1024;

/// The file below the state folder.
pub(super) fn path_of(state_dir: &Path) -> PathBuf {
    state_dir.join(FOLDER).join(FILE)
}

/// Key and certificate as kept; `None` if nothing is.
///
/// # Errors
/// When others could have written them.
pub(super) fn read(state_dir: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, CertificateError> {
    let path = path_of(state_dir);
    if !path.try_exists().map_err(|source| file(&path, source))? {
        return Ok(None);
    }
    only_ours(&state_dir.join(FOLDER))?;
    only_ours(&path)?;
    match regular_file::read(&path, MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Unread::Io(source)) => Err(file(&path, source)),
        Err(Unread::NotAFile | Unread::TooLarge) => Err(CertificateError::Damaged { path }),
    }
}

/// Keeps key and certificate, in place of an authority that has ended or of
/// nothing. Returns false, and keeps nothing, if another process was faster.
pub(super) fn write(state_dir: &Path, text: &str, replace: bool) -> Result<bool, CertificateError> {
    let folder = state_dir.join(FOLDER);
    create_private(&folder).map_err(|source| file(&folder, source))?;
    only_ours(&folder)?;
    let path = path_of(state_dir);
    // Written whole before it has its name: no reader ever sees half of it.
    let temporary = folder.join(format!(".{FILE}.{:016x}", fastrand::u64(..)));
    let kept = write_new(&temporary, text).and_then(|()| {
        if replace {
            return fs::rename(&temporary, &path).map(|()| true);
        }
        match fs::hard_link(&temporary, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // A file system without links: the last of two writers wins.
            Err(_) => fs::rename(&temporary, &path).map(|()| true),
        }
    });
    let _ = fs::remove_file(&temporary);
    kept.map_err(|source| file(&path, source))
}

fn file(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::File {
        path: path.to_owned(),
        source,
    }
}

/// That nobody but us and root can have put there what is there.
#[cfg(unix)]
fn only_ours(path: &Path) -> Result<(), CertificateError> {
    use std::os::unix::fs::MetadataExt;
    // Of the link itself if it is one: whose it is decides where it leads.
    let about = fs::symlink_metadata(path).map_err(|source| file(path, source))?;
    let us = rustix::process::geteuid().as_raw();
    if (about.uid() != us && about.uid() != 0) || about.mode() & 0o002 != 0 {
        return Err(CertificateError::OpenToOthers {
            path: path.to_owned(),
        });
    }
    if about.mode() & 0o077 != 0 {
        let path = path.display();
        tracing::warn!(%path, "the local CA is open to more than the proxy's user; take their permissions away");
    }
    Ok(())
}

#[cfg(not(unix))]
fn only_ours(_path: &Path) -> Result<(), CertificateError> {
    Ok(())
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
