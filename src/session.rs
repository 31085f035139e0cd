//! A session: a stream on which somebody is logged in, and what the login said.

mod scratch;

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::Instant;

pub(crate) use self::scratch::Scratch;
use crate::tds::{EnvChange, Feature, LoginAck, ServerMessage, TdsVersion, Version};

/// A logged-in connection to a server.
///
/// The login's answer has been read to its end: the server waits for the first
/// request, and the next byte read belongs to the answer to it.
///
/// Dropping a session closes its socket. No TDS message says goodbye; a server
/// takes the close for the end and rolls back what was open.
#[derive(Debug)]
pub struct Session {
    stream: SessionStream,
    info: LoginInfo,
}

impl Session {
    /// Joins a stream and what was said at the login on it.
    #[must_use]
    pub fn new(stream: SessionStream, info: LoginInfo) -> Self {
        Self { stream, info }
    }

    /// What the login said.
    #[must_use]
    pub fn info(&self) -> &LoginInfo {
        &self.info
    }

    /// The stream, to be read from or written to in place.
    pub fn stream_mut(&mut self) -> &mut SessionStream {
        &mut self.stream
    }

    /// The stream and what the login said, each for itself.
    #[must_use]
    pub fn into_parts(self) -> (SessionStream, LoginInfo) {
        (self.stream, self.info)
    }
}

/// What a server said while it let us in, and what we knew of it by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginInfo {
    /// The version that the server granted (LOGINACK).
    pub tds_version: TdsVersion,
    /// The packet size in force from now on, in bytes, header included.
    pub packet_size: usize,
    /// The database that the session is in.
    pub database: String,
    /// The session's language, such as `us_english`.
    pub language: String,
    /// The database's collation: five bytes, or none when the server sent none.
    pub collation: Vec<u8>,
    /// The server's number for this session, from its packet headers.
    pub spid: u16,
    /// The server's name for itself, its version and the TDS version.
    pub ack: LoginAck,
    /// Every ENVCHANGE of the login's answer, in order.
    pub env_changes: Vec<EnvChange>,
    /// Every INFO of the login's answer, in order.
    pub infos: Vec<ServerMessage>,
    /// The features that the server acknowledged.
    pub features: Vec<Feature>,
    /// The server's name: the one asked for, or the one that it sent us to.
    pub server: String,
    /// The address that the socket is connected to, such as `10.0.0.4:11001`.
    pub endpoint: String,
    /// The server's version as its PRELOGIN answer told it.
    pub server_version: Version,
    /// Whether TLS covers the whole session, not only the login.
    pub encrypted: bool,
    /// When the token that was used ends, for a login by token.
    pub token_expires: Option<Instant>,
    /// Who logged in, for logs. Holds no secret.
    pub identity: String,
    /// When the login was complete.
    pub opened: Instant,
    /// How many times the server sent us on to another one.
    pub redirects: u8,
}

/// The bytes of a session: plain TCP, or TLS.
///
/// TLS is already peeled off: what is read and written here are TDS packets.
pub struct SessionStream {
    transport: Transport,
}

impl SessionStream {
    /// A session on a bare socket.
    #[must_use]
    pub fn plain(socket: TcpStream) -> Self {
        Self {
            transport: Transport::Plain(socket),
        }
    }

    /// A session on a bare Unix socket.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(socket: UnixStream) -> Self {
        Self {
            transport: Transport::Unix(socket),
        }
    }

    /// A session on anything else: a TLS stream, or one end of a pipe in a test.
    #[must_use]
    pub fn wrapped(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            transport: Transport::Wrapped(Box::new(stream)),
        }
    }

    /// Whether the bytes go over a bare socket, unencrypted.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !matches!(self.transport, Transport::Wrapped(_))
    }

    fn transport(self: Pin<&mut Self>) -> Pin<&mut dyn Duplex> {
        match &mut self.get_mut().transport {
            Transport::Plain(socket) => Pin::new(socket),
            #[cfg(unix)]
            Transport::Unix(socket) => Pin::new(socket),
            Transport::Wrapped(stream) => Pin::new(stream.as_mut()),
        }
    }
}

impl AsyncRead for SessionStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.transport().poll_read(cx, buf)
    }
}

impl AsyncWrite for SessionStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.transport().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transport().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(socket) => socket.is_write_vectored(),
            #[cfg(unix)]
            Transport::Unix(socket) => socket.is_write_vectored(),
            Transport::Wrapped(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport().poll_shutdown(cx)
    }
}

impl fmt::Debug for SessionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Plain(socket) => f.debug_tuple("Plain").field(socket).finish(),
            #[cfg(unix)]
            Transport::Unix(socket) => f.debug_tuple("Unix").field(socket).finish(),
            Transport::Wrapped(_) => f.write_str("Wrapped(..)"),
        }
    }
}

enum Transport {
    Plain(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Wrapped(Box<dyn Duplex>),
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
