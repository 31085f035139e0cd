//! Who is at the other end of an accepted connection, as far as the system tells.

use std::fmt;
use std::net::SocketAddr;

/// Who is at the other end of an accepted connection.
///
/// What is `None` here the system does not tell: over TCP from another machine
/// there is no uid, and no pid over TCP at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Peer {
    pub(in crate::proxy) address: PeerAddress,
    pub(in crate::proxy) uid: Option<u32>,
    /// The primary group.
    pub(in crate::proxy) gid: Option<u32>,
    pub(in crate::proxy) pid: Option<u32>,
}

/// Where a peer connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum PeerAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket of this machine; clients have no address of their own there.
    Unix,
}

impl Peer {
    /// A TCP peer of which no more than the address is known.
    pub(in crate::proxy) fn tcp(address: SocketAddr) -> Self {
        Self {
            address: PeerAddress::Tcp(address),
            uid: None,
            gid: None,
            pid: None,
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
