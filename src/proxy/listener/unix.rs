//! Listening on a Unix socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// Connections that the system completes before they are accepted.
const BACKLOG: i32 = 1024;
/// How long another process may take to answer at a socket's path.
const PROBE: Duration = Duration::from_secs(2);

/// The file of a socket; removed when dropped, if it is still that file.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// Listens at a path with a mode. A socket there that nobody listens on any more
/// is replaced; anything else is not.
pub(super) async fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    warn_of_parent(path);
    clear(path).await?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::at(path)?;
    // The file is there with the mode that the umask leaves, but nobody can
    // connect before `listen`; so the mode is right before anybody can. Changing
    // the umask instead would change it for every thread.
    file.allow(mode)?;
    socket.listen(BACKLOG)?;
    let listener = UnixListener::from_std(std::os::unix::net::UnixListener::from(
        std::os::fd::OwnedFd::from(socket),
    ))?;
    Ok((listener, file))
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }

    /// Gives the file a mode.
    pub(super) fn allow(&self, mode: u32) -> io::Result<()> {
        // By path, as a socket's descriptor has a mode of its own. If somebody
        // has put something else there, its mode is left alone.
        if identity(&self.path)? != self.identity {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "somebody else has replaced the socket's file",
            ));
        }
        fs::set_permissions(&self.path, Permissions::from_mode(mode & 0o777))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes the socket of a process that is gone.
async fn clear(path: &Path) -> io::Result<()> {
    let taken = |what: String| io::Error::new(io::ErrorKind::AddrInUse, what);
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(taken(
            "the file there is no socket; remove it, or listen elsewhere".to_owned(),
        ));
    }
    match timeout(PROBE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Removed in this very moment.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(Ok(stream)) => {
            let who = stream.peer_cred().ok();
            let pid = who.and_then(|who| who.pid());
            let pid = pid.map_or_else(String::new, |pid| format!(" {pid}"));
            let uid = who.map_or_else(String::new, |who| format!(" of uid {}", who.uid()));
            Err(taken(format!("process{pid}{uid} listens there")))
        }
        // Somebody listens whose queue is full, or whom we may not ask.
        Ok(Err(error)) => Err(taken(format!(
            "there is a socket that cannot be asked whether it is in use ({error})"
        ))),
        Err(_) => Err(taken(
            "somebody listens there and does not answer".to_owned(),
        )),
    }
}

/// Where everybody can write, everybody can be there first, or put a socket of
/// their own in place of ours, and be sent what clients send.
fn warn_of_parent(path: &Path) {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if fs::metadata(parent).is_ok_and(|it| it.mode() & 0o002 != 0) {
        tracing::warn!(
            path = %path.display(),
            "everybody can write to the socket's folder, and pose as this proxy there"
        );
    }
}
