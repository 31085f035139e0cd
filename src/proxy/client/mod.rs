//! A client from its first byte to its LOGIN7: PRELOGIN, TLS, the login read.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::admission::Peer;
use super::config::ClientTls;
use crate::front::{Event, Front, FrontError};
use crate::session::SessionStream;
use crate::tds::{Login7, Version};

/// A socket just accepted.
#[derive(Debug)]
pub(super) struct ClientSocket {
    stream: TcpStream,
    peer: Peer,
}

impl ClientSocket {
    pub(super) fn tcp(stream: TcpStream, peer: Peer) -> Self {
        Self { stream, peer }
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// A client that waits for the answer to its LOGIN7.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) stream: SessionStream,
    /// In the state `LoginAsked`.
    pub(super) front: Front,
    pub(super) login: Box<Login7>,
    /// Whether TLS covers the whole connection.
    pub(super) encrypted: bool,
}

/// Why a client never came to ask for a login.
#[derive(Debug, thiserror::Error)]
pub(super) enum GreetError {
    #[error("it closed the connection before its login")]
    Closed,
    #[error("it does not speak TDS as it should")]
    Front(#[from] FrontError),
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

/// Reads a client's login. The caller sets the deadline.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(super) async fn greet(socket: ClientSocket, tls: &ClientTls) -> Result<Greeted, GreetError> {
    let _ = tls;
    let mut stream = SessionStream::plain(socket.stream);
    let mut front = Front::new(Version {
        major: 12,
        minor: 0,
        build: 2000,
        sub_build: 0,
    });
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Err(GreetError::Closed);
        };
        let event = front.receive(bytes)?;
        stream.write_all(&front.take_output()).await?;
        if let Some(Event::LoginRequested(login)) = event {
            return Ok(Greeted {
                stream,
                front,
                login,
                encrypted: false,
            });
        }
    }
}
