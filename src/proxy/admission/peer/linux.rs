//! The uid behind a TCP connection of this machine.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{canonical, proc_net, sock_diag};

/// Bound for reading the tables, the wait for a turn included.
const DEADLINE: Duration = Duration::from_secs(2);

/// A connection, as seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

/// One end of a connection, as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) state: u8,
    pub(super) uid: u32,
    /// 0 when no process holds the socket any more.
    pub(super) inode: u64,
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) client: End,
    pub(super) server: End,
}

/// The user who made the client's socket, if that is beyond doubt.
pub(super) async fn owner(
    stream: &TcpStream,
    client: SocketAddr,
    tables: Option<&Semaphore>,
) -> Option<u32> {
    let server = canonical(stream.local_addr().ok()?);
    let pair = Pair { client, server };
    let ours = rustix::fs::fstat(stream).ok()?.st_ino;
    let ends = match (sock_diag::ends(pair), tables) {
        (Ok(ends), _) => ends,
        (Err(_), Some(turns)) => timeout(DEADLINE, proc_net::ends(pair, turns)).await.ok()?,
        (Err(_), None) => None,
    };
    judge(ends?, ours)
}

/// Believes what is said about a connection only if
/// - the end that we hold is the socket that we hold: a listening socket can
///   come from another network namespace, where the same addresses and ports are
///   another connection;
/// - the client's end is established and somebody holds it: what is left of a
///   closed socket (TIME_WAIT, FIN_WAIT and the like) says uid 0, which would
///   make everybody root who closes fast enough.
pub(super) fn judge(ends: Ends, ours: u64) -> Option<u32> {
    /// TCP_ESTABLISHED of `net/tcp_states.h`.
    const ESTABLISHED: u8 = 1;
    let Ends { client, server } = ends;
    let is_ours = server.inode == ours && ours != 0;
    let is_held = client.state == ESTABLISHED && client.inode != 0;
    (is_ours && is_held).then_some(client.uid)
}
