//! The file whose content Azure Arc's agent wants to be shown.
//!
//! Whoever could make this process read a file of his choice would be sent it.
//! Hence the rules: one folder, one ending, a regular file and no link, of root or
//! of whom the folder belongs to, and not much in it.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use super::super::Environment;
use super::super::error::FetchError;
use super::PlatformError;
use crate::secret::Secret;

/// The folder of the agent's keys on this system.
pub(super) fn folder(env: &Environment) -> Result<PathBuf, FetchError> {
    if cfg!(windows) {
        let variable = "ProgramData";
        let data = env.var(variable);
        let data = data.ok_or(FetchError::MissingVariable { variable })?;
        return Ok(Path::new(&data).join(r"AzureConnectedMachineAgent\Tokens"));
    }
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/var/opt/azcmagent/tokens"));
    }
    Err(FetchError::NoEndpoint {
        sign: "Azure Arc has an agent for Linux and for Windows only",
        advice: "give an access token or a callback",
    })
}

/// The file that a challenge names: `WWW-Authenticate: Basic realm=<path>`, with
/// or without quotes.
pub(super) fn file_named(headers: &HeaderMap) -> Result<PathBuf, &'static str> {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter().peekable();
    if challenges.peek().is_none() {
        return Err("the header WWW-Authenticate is missing");
    }
    let named = challenges.find_map(|value| realm(value.to_str().ok()?));
    let named = named.ok_or("WWW-Authenticate does not say `Basic realm=` and a path")?;
    // `to_str` lets a tab pass, and nothing else that is not visible.
    if named.is_empty() || named.contains('\t') {
        return Err("the path in WWW-Authenticate is empty or holds a control character");
    }
    Ok(PathBuf::from(named))
}

fn realm(challenge: &str) -> Option<&str> {
    let (scheme, rest) = challenge.trim().split_once(' ')?;
    let (name, value) = rest.split_once('=')?;
    let is_it = scheme.eq_ignore_ascii_case("basic") && name.trim().eq_ignore_ascii_case("realm");
    let value = value.trim();
    match value.strip_prefix('"') {
        _ if !is_it => None,
        Some(quoted) => Some(quoted.split_once('"')?.0),
        None => Some(value),
    }
}

/// Reads the key if the file obeys the rules; see there.
pub(super) async fn read(file: PathBuf, folder: PathBuf) -> Result<Secret, FetchError> {
    let path = within(&file, &folder).map_err(|problem| refused(&file, problem))?;
    // A file of some bytes is read in no time, but the disk may hang.
    match tokio::task::spawn_blocking(move || read_now(&path)).await {
        Ok(read) => read,
        Err(died) => Err(FetchError::Client(died.into())),
    }
}

fn read_now(path: &Path) -> Result<Secret, FetchError> {
    let failed = |cause| unreadable(path, cause);
    let file = match open(path) {
        Err(cause) if is_link(&cause) => return Err(refused(path, "it is a symbolic link")),
        opened => opened.map_err(failed)?,
    };
    // The handle is asked, not the path, which may name another file by now.
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(refused(path, "it is no regular file"));
    }
    if !is_the_agents(&about, path).map_err(failed)? {
        let problem = "it belongs neither to root nor to the owner of its folder";
        return Err(refused(path, problem));
    }
    if about.len() > MAX_KEY {
        return Err(refused(path, "it is larger than 4096 bytes"));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(4097));
    let read = file.take(MAX_KEY + 1).read_to_end(&mut content);
    if read.map_err(failed)? > 4096 {
        return Err(refused(path, "it is larger than 4096 bytes"));
    }
    let text = std::str::from_utf8(&content).unwrap_or_default().trim_end();
    if text.is_empty() || text.contains(|c: char| c.is_control() || !c.is_ascii()) {
        return Err(refused(path, "it holds nothing that fits into a header"));
    }
    Ok(Secret::new(text))
}

/// The file's path, put together anew, if it lies in the folder and not deeper.
fn within(file: &Path, folder: &Path) -> Result<PathBuf, &'static str> {
    let plain = |path: &Path| {
        path.is_absolute() && path.components().all(|part| part != Component::ParentDir)
    };
    if !plain(file) {
        return Err("its path is not absolute, or has `..` in it");
    }
    let parent = file.parent().unwrap_or(Path::new(""));
    if !same(parent, folder) {
        return Err("it is not in the folder of the agent's keys");
    }
    let ending = file.extension().and_then(|ending| ending.to_str());
    match (file.file_name(), ending) {
        (Some(name), Some("key")) => Ok(folder.join(name)),
        _ => Err("its name does not end in .key"),
    }
}

/// Names of folders have no case on Windows.
fn same(a: &Path, b: &Path) -> bool {
    let (mut a, mut b) = (a.components(), b.components());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y))
                if cfg!(windows) && x.as_os_str().eq_ignore_ascii_case(y.as_os_str()) => {}
            _ => return false,
        }
    }
}

/// Whether nobody but root or the agent's own user can have made the file.
#[cfg(unix)]
fn is_the_agents(file: &Metadata, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = path.parent().unwrap_or(path).metadata()?;
    Ok(is_trusted(file.uid(), folder.uid()))
}

#[cfg(unix)]
pub(super) fn is_trusted(file_owner: u32, folder_owner: u32) -> bool {
    const ROOT: u32 = 0;
    [ROOT, folder_owner].contains(&file_owner)
}

/// The folder's access list, which administrators alone can change, is what
/// Windows has for this.
#[cfg(windows)]
fn is_the_agents(_: &Metadata, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Opens no link, and waits for nobody to write into a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let handle = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?;
    Ok(handle.into())
}

/// Opens a link itself and not what it points to, so that it is seen to be one.
#[cfg(windows)]
fn open(path: &Path) -> io::Result<File> {
    use std::fs::OpenOptions;
    use std::os::windows::fs::OpenOptionsExt as _;
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    OpenOptions::new()
        .read(true)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

pub(super) fn unreadable(path: &Path, cause: io::Error) -> FetchError {
    let advice = match cause.kind() {
        io::ErrorKind::PermissionDenied => PERMISSION,
        _ => "check that the agent is well, by `azcmagent show`",
    };
    let path = path.to_owned();
    let unreadable = PlatformError::KeyFileUnreadable {
        path,
        advice,
        cause,
    };
    unreadable.into()
}

/// What `O_NOFOLLOW` fails with.
#[cfg(unix)]
fn is_link(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(windows)]
fn is_link(_: &io::Error) -> bool {
    false
}

fn refused(path: &Path, problem: &'static str) -> FetchError {
    let path = path.to_owned();
    PlatformError::KeyFileRefused { path, problem }.into()
}

const MAX_KEY: u64 = 4096;

#[cfg(windows)]
const PERMISSION: &str = "let this process run as a local administrator or a member of the group \
                          `Hybrid agent extension applications`";

#[cfg(not(windows))]
const PERMISSION: &str = "add this process's user to the group himds, and start it anew";
