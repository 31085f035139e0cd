//! A client's socket, of whatever family.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::super::admission::Peer;
use crate::session::SessionStream;

/// After this much silence the peer is asked whether it is still there, and
/// again and again until the system gives it up.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A socket just accepted.
#[derive(Debug)]
pub(in super::super) struct ClientSocket {
    socket: Socket,
    peer: Peer,
}

/// What a client's bytes come through.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl ClientSocket {
    /// A TCP client. Requests are small and wait for answers, so that nothing
    /// is held back on the way; a peer that vanished is noticed.
    pub(in super::super) fn tcp(stream: TcpStream, peer: Peer) -> Self {
        // A socket that takes no options is on its way out; reading will tell.
        let _ = stream.set_nodelay(true);
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE_INTERVAL);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        Self {
            socket: Socket::Tcp(stream),
            peer,
        }
    }

    /// A client on a Unix socket.
    #[cfg(unix)]
    pub(in super::super) fn unix(stream: UnixStream, peer: Peer) -> Self {
        Self {
            socket: Socket::Unix(stream),
            peer,
        }
    }

    /// Who is at the other end.
    pub(in super::super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}

impl Socket {
    /// As the relay sees it: nothing stands between it and the system.
    pub(super) fn into_stream(self) -> SessionStream {
        match self {
            Self::Tcp(socket) => SessionStream::plain(socket),
            #[cfg(unix)]
            Self::Unix(socket) => SessionStream::unix(socket),
        }
    }
}

/// Does the same with whichever socket it is.
macro_rules! with {
    ($socket:expr, $name:ident => $what:expr) => {
        match $socket {
            Socket::Tcp($name) => $what,
            #[cfg(unix)]
            Socket::Unix($name) => $what,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with!(self.get_mut(), socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        with!(self.get_mut(), socket => Pin::new(socket).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(self.get_mut(), socket => Pin::new(socket).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        with!(self, socket => socket.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self.get_mut(), socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self.get_mut(), socket => Pin::new(socket).poll_shutdown(cx))
    }
}
