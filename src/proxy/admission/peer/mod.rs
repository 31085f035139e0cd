//! Who is at the other end of an accepted connection, as far as the system tells.
//!
//! What a uid proves: over TCP, that the client's socket was *created* by a
//! process of that user, and over a Unix socket, that `connect` was called by
//! one. It does not prove who holds the socket now (a process can hand it to
//! another, or forward for others, as `ssh -L` does). That is why the question
//! is asked once, at the beginning; asking again would prove nothing more.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod proc_net;
#[cfg(target_os = "linux")]
mod sock_diag;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::crowd::Excess;

/// Who is at the other end of an accepted connection.
///
/// What is `None` here the system does not tell: over TCP from another machine
/// there is no uid, and no gid and pid over TCP at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Peer {
    pub(in crate::proxy) address: PeerAddress,
    pub(in crate::proxy) uid: Option<u32>,
    /// The primary group.
    pub(in crate::proxy) gid: Option<u32>,
    pub(in crate::proxy) pid: Option<u32>,
    /// It is one too many, and is only listened to in order to be told so.
    pub(in crate::proxy) excess: Option<Excess>,
}

/// Where a peer connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum PeerAddress {
    /// TCP. An IPv4 address is one even where a socket of both families got it.
    Tcp(SocketAddr),
    /// A Unix socket of this machine; clients have no address of their own there.
    Unix,
}

/// Whom connections and failed logins are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// A user of this machine.
    Uid(u32),
    /// A machine; for IPv6 the network of 64 bits that one machine can have for
    /// itself.
    Host(IpAddr),
    /// Somebody on this machine.
    Local,
    /// One of those for whom there was no room to be counted alone.
    Other,
}

impl Peer {
    /// A TCP peer of which no more than the address is known.
    pub(in crate::proxy) fn tcp(address: SocketAddr) -> Self {
        Self {
            address: PeerAddress::Tcp(canonical(address)),
            uid: None,
            gid: None,
            pid: None,
            excess: None,
        }
    }

    /// The peer of an accepted TCP connection, with its uid if it is on this
    /// machine and the system tells.
    ///
    /// `tables`, if given, allows the kernel's tables to be read as text where
    /// it does not answer questions: they are long, and it lets few do so at a
    /// time.
    pub(in crate::proxy) async fn of_tcp(
        stream: &TcpStream,
        address: SocketAddr,
        tables: Option<&Semaphore>,
    ) -> Self {
        let mut peer = Self::tcp(address);
        if peer.is_on_loopback() {
            peer.uid = owner(stream, canonical(address), tables).await;
        }
        peer
    }

    /// The peer of an accepted connection to a Unix socket.
    #[cfg(unix)]
    pub(in crate::proxy) fn of_unix(stream: &UnixStream) -> Self {
        let credentials = stream.peer_cred().ok();
        Self {
            address: PeerAddress::Unix,
            uid: credentials.and_then(|it| known_uid(it.uid())),
            gid: credentials.map(|it| it.gid()),
            pid: credentials.and_then(|it| it.pid()?.try_into().ok()),
            excess: None,
        }
    }

    /// Whether it is on this machine for sure.
    pub(super) fn is_on_loopback(&self) -> bool {
        match self.address {
            PeerAddress::Tcp(address) => address.ip().is_loopback(),
            PeerAddress::Unix => true,
        }
    }

    /// Whom it is counted for.
    pub(super) fn who(&self) -> Who {
        match (self.uid, self.address) {
            (Some(uid), _) => Who::Uid(uid),
            (None, PeerAddress::Tcp(address)) => Who::Host(network(address.ip())),
            (None, PeerAddress::Unix) => Who::Local,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            PeerAddress::Tcp(address) => address.fmt(f)?,
            PeerAddress::Unix => f.write_str("unix")?,
        }
        match (self.uid, self.pid) {
            (Some(uid), Some(pid)) => write!(f, " (uid {uid}, pid {pid})"),
            (Some(uid), None) => write!(f, " (uid {uid})"),
            (None, _) => Ok(()),
        }
    }
}

/// An IPv4 address that came as an IPv6 one (`::ffff:127.0.0.1`) as what it is.
pub(in crate::proxy) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(target_os = "linux")]
async fn owner(stream: &TcpStream, client: SocketAddr, tables: Option<&Semaphore>) -> Option<u32> {
    linux::owner(stream, client, tables)
        .await
        .and_then(known_uid)
}

/// Other systems have no such question; clients use a Unix socket there.
#[cfg(not(target_os = "linux"))]
async fn owner(_: &TcpStream, _: SocketAddr, _: Option<&Semaphore>) -> Option<u32> {
    None
}

/// Within a user namespace the kernel shows every user whom the namespace does
/// not know as one and the same; nobody is to be taken for that one.
#[cfg(target_os = "linux")]
fn known_uid(uid: u32) -> Option<u32> {
    const USUAL: u32 = 65534;
    let stand_in = std::fs::read_to_string("/proc/sys/kernel/overflowuid")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(USUAL);
    (uid != stand_in || knows_everybody()).then_some(uid)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn known_uid(uid: u32) -> Option<u32> {
    Some(uid)
}

/// Whether this is the namespace that all users belong to.
#[cfg(target_os = "linux")]
fn knows_everybody() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let mut fields = map.split_ascii_whitespace();
        (fields.next(), fields.nth(1)) == (Some("0"), Some("4294967295"))
    })
}
