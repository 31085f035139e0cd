//! Asks the kernel about one connection (sock_diag(7)): the same question as
//! `ss` asks, for a single pair of addresses and ports.

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{
    Emitable, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage, Parseable,
};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DIAG_BY_FAMILY, SockDiagMessage,
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};

use super::canonical;
use super::linux::{End, Ends, Pair};

/// INET_DIAG_NOCOOKIE of `linux/inet_diag.h`: whichever socket it is.
const ANY_COOKIE: [u8; 8] = [0xff; 8];
/// An answer is a header of 72 bytes and a few attributes.
const MAX_ANSWER: usize = 8192;
/// Messages that answer nothing that was asked; there are none in practice.
const MAX_STRAY: usize = 8;

/// Both ends of a connection, or `None` if the client's has ended. That our own
/// end is not found is an error: the kernel answers no such questions then.
///
/// Never waits: the kernel answers within the call that asks, so that the answer
/// is there to be read, or will never be.
pub(super) fn ends(pair: Pair) -> io::Result<Option<Ends>> {
    let Pair { client, server } = pair;
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.set_non_blocking(true)?;
    let Some(ours) = end(&socket, 1, server, client)? else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let theirs = end(&socket, 2, client, server)?;
    Ok(theirs.map(|theirs| Ends {
        client: theirs,
        server: ours,
    }))
}

/// The socket at `local` that is connected to `remote`.
fn end(
    socket: &Socket,
    number: u32,
    local: SocketAddr,
    remote: SocketAddr,
) -> io::Result<Option<End>> {
    let question = question(number, local, remote);
    let kernel = NetlinkAddress::new(0, 0);
    socket.send_to(&question, &kernel, 0)?;
    for _ in 0..MAX_STRAY {
        let mut answer = Vec::with_capacity(MAX_ANSWER);
        let (_, sender) = socket.recv_from(&mut answer, 0)?;
        // Any process may write to a netlink socket; only the kernel is port 0.
        if sender.port_number() != 0 {
            continue;
        }
        if let Some(end) = read(&answer, number, local, remote)? {
            return Ok(end);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn question(number: u32, local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let request = InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: local.ip(),
            destination_address: remote.ip(),
            interface_id: 0,
            cookie: ANY_COOKIE,
        },
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = number;
    let request = SockDiagMessage::InetRequest(request);
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; Emitable::buffer_len(&message)];
    message.serialize(&mut bytes);
    bytes
}

/// What an answer says: `None` if it answers something else, `Some(None)` if
/// there is no such socket.
fn read(
    bytes: &[u8],
    number: u32,
    local: SocketAddr,
    remote: SocketAddr,
) -> io::Result<Option<Option<End>>> {
    let broken = |_| io::Error::from(io::ErrorKind::InvalidData);
    let message = NetlinkBuffer::new_checked(bytes).map_err(broken)?;
    if message.sequence_number() != number {
        return Ok(None);
    }
    match message.message_type() {
        SOCK_DIAG_BY_FAMILY => {}
        // ENOENT mostly; a refusal has the same consequence.
        NLMSG_ERROR => return Ok(Some(None)),
        _ => return Ok(None),
    }
    let found = InetResponseHeader::parse(message.payload()).map_err(broken)?;
    let id = &found.socket_id;
    // For want of the connection the kernel answers with a socket that listens
    // at the address. A client of both families is found by its IPv4 address,
    // and its own addresses are mapped ones.
    let from = canonical(SocketAddr::new(id.source_address, id.source_port));
    let to = canonical(SocketAddr::new(id.destination_address, id.destination_port));
    let is_it = (from, to) == (local, remote) && id.cookie != ANY_COOKIE;
    Ok(Some(is_it.then_some(End {
        state: found.state,
        uid: found.uid,
        inode: u64::from(found.inode),
    })))
}
