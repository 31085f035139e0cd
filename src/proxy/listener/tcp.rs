//! Listening on TCP.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::proxy::admission::canonical;

/// Connections that the system completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Listens at an address, and at no address of the other family: whether `::`
/// means IPv4 too depends on the system's settings otherwise, and who listens is
/// to know where.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let address = canonical(address);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Elsewhere it would let two processes listen at the same address; here it
    // only does not wait for connections of a former one to be forgotten.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
