//! Connections of the two listeners, HTTP and HTTPS, which end when they are told to.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Handshakes that go on at a time; more connections wait to be accepted.
const HANDSHAKES: usize = 256;
/// How long a client may take for a handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a request's connection.
#[derive(Clone, Debug, Default)]
pub(in crate::emulator) struct Line {
    /// Whether it is the HTTPS listener's.
    pub(in crate::emulator) encrypted: bool,
    /// The name that the client greeted in its TLS handshake.
    pub(in crate::emulator) server_name: Option<Arc<str>>,
}

/// A connection that tells about itself.
pub(super) trait Lined {
    fn line(&self) -> Line;
}

pub(super) fn bound_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Windows gives this option another meaning: there it lets others steal the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

pub(super) fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A listener whose connections end when the token is cancelled.
pub(super) struct Plain {
    listener: TcpListener,
    cut: CancellationToken,
}

impl Plain {
    pub(super) fn new(listener: TcpListener, cut: CancellationToken) -> Self {
        Self { listener, cut }
    }
}

impl Listener for Plain {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The TCP listener's own `accept` waits and tries again when the process is out of sockets.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let cut = Box::pin(self.cut.clone().cancelled_owned());
        (Cuttable { stream, cut }, peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Lined for Cuttable {
    fn line(&self) -> Line {
        Line::default()
    }
}

/// A listener that hands out connections whose TLS handshake is done.
pub(super) struct Encrypted {
    plain: Plain,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<Cuttable>, SocketAddr)>>,
}

impl Encrypted {
    pub(super) fn new(plain: Plain, acceptor: TlsAcceptor) -> Self {
        Self {
            plain,
            acceptor,
            handshakes: JoinSet::new(),
        }
    }

    fn greet(&mut self, stream: Cuttable, peer: SocketAddr) {
        let handshake = self.acceptor.accept(stream);
        self.handshakes.spawn(async move {
            match tokio::time::timeout(HANDSHAKE_PATIENCE, handshake).await {
                Ok(Ok(stream)) => Some((stream, peer)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, %peer, "a TLS handshake has failed");
                    None
                }
                Err(_) => None,
            }
        });
    }
}

impl Listener for Encrypted {
    type Io = TlsStream<Cuttable>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, peer) = self.plain.accept(), if self.handshakes.len() < HANDSHAKES => {
                    self.greet(stream, peer);
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.plain.local_addr()
    }
}

impl Lined for TlsStream<Cuttable> {
    fn line(&self) -> Line {
        let (_, tls) = self.get_ref();
        Line {
            encrypted: true,
            server_name: tls.server_name().map(Arc::from),
        }
    }
}

/// A connection that fails once it is cut.
pub(super) struct Cuttable {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
