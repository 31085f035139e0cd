//! A connection between agreement and login: encrypted as far as it will be.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::prelogin::{self, Agreed, Ask};
use super::progress::{Progress, Step};
use super::tls::{Mode, Tls, TlsStream};
use super::wire::{self, WireError};
use super::{DialError, Route};
use crate::session::SessionStream;
use crate::target::Encrypt;
use crate::tds::DEFAULT_PACKET_SIZE;

/// A connection on which LOGIN7 is the next thing to be said.
pub(super) enum Line {
    /// What is said from here on is all encrypted, or all in clear.
    Even(SessionStream),
    /// The login's first packet is encrypted, and nothing else.
    LoginOnly(Box<TlsStream>),
}

impl Line {
    /// Whether TLS covers the whole session.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Even(stream) if !stream.is_plain())
    }

    /// Sends the packets of a LOGIN7.
    pub(super) async fn send_login(self, packets: &[u8]) -> Result<SessionStream, WireError> {
        match self {
            Self::Even(mut stream) => {
                wire::send(&mut stream, packets).await?;
                Ok(stream)
            }
            Self::LoginOnly(mut tls) => {
                // MS-TDS 3.2.5.3: the first packet only. No close_notify follows:
                // TLS is just forgotten, and `into_inner` says nothing.
                let (first, rest) = packets.split_at(packets.len().min(DEFAULT_PACKET_SIZE));
                wire::send(tls.as_mut(), first).await?;
                let mut socket: TcpStream = tls.into_inner().0.into_inner();
                wire::send(&mut socket, rest).await?;
                socket.flush().await.map_err(WireError::from_io)?;
                Ok(SessionStream::plain(socket))
            }
        }
    }
}

/// Agrees with the server on encryption, and encrypts: PRELOGIN and TLS in the
/// order that the target asks for.
pub(super) async fn secure(
    mut socket: TcpStream,
    tls: &Tls,
    ask: Ask<'_>,
    route: &Route,
    progress: &Progress,
) -> Result<(Line, Agreed), DialError> {
    if ask.encrypt == Encrypt::Strict {
        let stream = encrypt(socket, tls, Mode::Strict, route, progress).await?;
        let mut stream = SessionStream::wrapped(stream);
        let agreed = greet(&mut stream, ask, route, progress).await?;
        return Ok((Line::Even(stream), agreed));
    }
    let agreed = greet(&mut socket, ask, route, progress).await?;
    let Some(mode) = agreed.tls else {
        return Ok((Line::Even(SessionStream::plain(socket)), agreed));
    };
    let stream = encrypt(socket, tls, mode, route, progress).await?;
    let line = match mode {
        Mode::LoginOnly => Line::LoginOnly(Box::new(stream)),
        Mode::Strict | Mode::Tunnelled => Line::Even(SessionStream::wrapped(stream)),
    };
    Ok((line, agreed))
}

/// PRELOGIN.
pub(super) async fn greet<S>(
    stream: &mut S,
    ask: Ask<'_>,
    route: &Route,
    progress: &Progress,
) -> Result<Agreed, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    progress.enter(Step::Prelogin);
    prelogin::exchange(stream, ask)
        .await
        .map_err(|source| DialError::Prelogin {
            server: route.to_string(),
            source,
        })
}

/// The TLS handshake.
pub(super) async fn encrypt(
    socket: TcpStream,
    tls: &Tls,
    mode: Mode,
    route: &Route,
    progress: &Progress,
) -> Result<TlsStream, DialError> {
    progress.enter(Step::Tls);
    tls.handshake(mode, socket, &route.host)
        .await
        .map_err(|source| DialError::Tls {
            server: route.to_string(),
            source,
        })
}
