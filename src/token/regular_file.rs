//! Files that settings name: read up to a bound, and never waited for.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The path leads to a folder, a pipe, a device.
    NotAFile,
    /// It is larger than the bound.
    TooLarge,
    Io(io::Error),
}

/// Reads a regular file of at most `max` bytes; links are followed.
///
/// A pipe or a terminal would be waited for as long as nobody writes into it,
/// and a device may never end. A file system that hangs is another matter:
/// callers bring a thread that may block.
pub(crate) fn read(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, Unread> {
    // Asked before, since to open some devices is to do something with them, and
    // again of the handle, as the path may lead elsewhere by now.
    if !std::fs::metadata(path).map_err(Unread::Io)?.is_file() {
        return Err(Unread::NotAFile);
    }
    let file = open(path).map_err(Unread::Io)?;
    let about = file.metadata().map_err(Unread::Io)?;
    if !about.is_file() {
        return Err(Unread::NotAFile);
    }
    let length = usize::try_from(about.len()).unwrap_or(usize::MAX);
    if length > max {
        return Err(Unread::TooLarge);
    }
    // Room from the start, and some more for a file that grows: a buffer that is
    // moved leaves copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(max.min(length.max(SOME)) + 2));
    let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound)
        .read_to_end(&mut bytes)
        .map_err(Unread::Io)?;
    match bytes.len() > max {
        true => Err(Unread::TooLarge),
        false => Ok(bytes),
    }
}

/// Waits for nobody to write into what has become a pipe since it was asked.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Most files that hold secrets are smaller.
const SOME: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_exact() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, [b'x'; 100]).unwrap();
        assert_eq!(read(&path, 100).unwrap().len(), 100);
        assert!(matches!(read(&path, 99), Err(Unread::TooLarge)));
        assert!(matches!(read(folder.path(), 9), Err(Unread::NotAFile)));
        let absent = read(&folder.path().join("absent"), 9);
        assert!(matches!(absent, Err(Unread::Io(_))), "{absent:?}");
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        for path in [&*path, Path::new("/dev/zero")] {
            assert!(matches!(read(path, 9), Err(Unread::NotAFile)), "{path:?}");
        }
        // What has become a pipe in between is opened without waiting.
        assert!(!open(&path).unwrap().metadata().unwrap().is_file());
    }
}
