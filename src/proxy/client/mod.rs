//! A client from its first byte to its LOGIN7: PRELOGIN, TLS, the login read.
//!
//! | First byte | What comes | Who is served |
//! | --- | --- | --- |
//! | 0x12 | PRELOGIN, then TLS inside of it or none | by the table in [`crate::front`] |
//! | 0x10 | LOGIN7 at once: jTDS, TDS 7.0 | where clear text is |
//! | 0x16 | TLS first: TDS 8.0 | where there is TLS |
//!
//! Not a byte is read that belongs to somebody else: what follows the LOGIN7 is
//! still in the socket, and what comes in clear is never taken for decrypted.

mod error;
mod login_only;
mod opening;
mod packets;
mod socket;

#[cfg(all(test, unix))]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(super) use self::error::GreetError;
use self::error::{Refusal, Step};
use self::opening::Opening;
use self::packets::next_event;
pub(super) use self::socket::ClientSocket;
use self::socket::Socket;
use super::config::TlsMode;
use super::tls::ListenerTls;
use crate::dial::tunnel::Tunnel;
use crate::front::{Cover, Event, Front, FrontError, Objection, Offer};
use crate::session::SessionStream;
use crate::tds::{HEADER_LEN, Login7, PacketType, Version};

/// A socket under TLS, by either way.
type Tls = TlsStream<Tunnel<Socket>>;

/// What PRELOGIN reports, as Azure SQL does; clients derive from it what the
/// server can do.
const SERVER_VERSION: Version = Version {
    major: 12,
    minor: 0,
    build: 2000,
    sub_build: 8,
};

/// How much of what a client still sends is read when it is left, and for how
/// long.
const MAX_UNREAD: u64 = 64 * 1024;
const PARTING: Duration = Duration::from_secs(1);

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

/// Reads a client's login, and takes no longer than `within` for it.
///
/// A client that cannot be served as it wants is told so if the protocol has a
/// way; the error then says what it was told.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(super) async fn greet(
    socket: ClientSocket,
    tls: &ListenerTls,
    within: Duration,
) -> Result<Greeted, GreetError> {
    let mut step = Step::FirstByte;
    let greeting = timeout(within, begin(socket.into_socket(), tls, &mut step)).await;
    match greeting {
        Ok(outcome) => outcome,
        Err(_) => Err(GreetError::TooSlow { step, within }),
    }
}

async fn begin(
    mut socket: Socket,
    tls: &ListenerTls,
    step: &mut Step,
) -> Result<Greeted, GreetError> {
    // A header's length: no client's first message is shorter.
    let mut start = [0; HEADER_LEN];
    let count = socket.read(&mut start).await?;
    let start = start.get(..count).unwrap_or_default();
    match opening::of(start)? {
        Opening::Tds => in_clear(socket, start, tls, step).await,
        Opening::Tls => match tls.strict() {
            Some(config) => tls_first(socket, start, config, step).await,
            None => {
                let _ = socket.write_all(&opening::TLS_REFUSED).await;
                part_from(socket).await;
                Err(GreetError::Refused {
                    refusal: Refusal::TlsFirst,
                    told: false,
                })
            }
        },
    }
}

/// TDS 7.x: PRELOGIN comes first and says whether TLS follows.
async fn in_clear(
    mut socket: Socket,
    start: &[u8],
    tls: &ListenerTls,
    step: &mut Step,
) -> Result<Greeted, GreetError> {
    *step = Step::Prelogin;
    let mut front = Front::offering(SERVER_VERSION, offer(tls.mode));
    let event = match next_event(&mut socket, &mut front, start, step).await {
        Err(error) if is_handshake_after_all(&error, &front) => {
            part_from(socket).await;
            return Err(GreetError::Refused {
                refusal: Refusal::NotEncrypted,
                told: false,
            });
        }
        event => event?,
    };
    let greeted = match event {
        Event::LoginRequested(login) => Greeted {
            stream: socket.into_stream(),
            front,
            login,
            encrypted: false,
        },
        Event::StartTls(cover) => {
            *step = Step::Handshake;
            let config = tls.tunnelled().ok_or(GreetError::NoTls)?;
            let mut stream = accept(config, Tunnel::wrapping(socket), &[]).await?;
            let (tunnel, _) = stream.get_mut();
            match cover {
                Cover::Whole => tunnel.unwrap_records()?,
                Cover::LoginOnly => tunnel.unwrap_one_by_one()?,
            }
            *step = Step::Login;
            match cover {
                Cover::Whole => logged_in(stream, front, step).await?,
                Cover::LoginOnly => login_only::read(stream, front).await?,
            }
        }
    };
    let refusal = match greeted.front.objection() {
        Some(Objection::NoneOffered) => Refusal::NoneOffered,
        Some(Objection::NotEncrypted) => Refusal::NotEncrypted,
        None if tls.mode == TlsMode::Strict => Refusal::NotStrict,
        None => return Ok(greeted),
    };
    refuse(greeted, refusal).await
}

/// Whether a client said that it cannot encrypt, heard that it must, and begins a
/// handshake, as FreeTDS does with `encryption = off`. The specification has the
/// connection end there.
fn is_handshake_after_all(error: &GreetError, front: &Front) -> bool {
    let unexpected = matches!(
        error,
        GreetError::Front(FrontError::Unexpected { packet_type, .. })
            if *packet_type == PacketType::PRELOGIN
    );
    unexpected && front.objection() == Some(Objection::NotEncrypted)
}

/// TDS 8.0: everything is inside TLS.
async fn tls_first(
    socket: Socket,
    start: &[u8],
    config: Arc<ServerConfig>,
    step: &mut Step,
) -> Result<Greeted, GreetError> {
    *step = Step::Handshake;
    let stream = accept(config, Tunnel::bare(socket), start).await?;
    *step = Step::Prelogin;
    let front = Front::offering(SERVER_VERSION, Offer::Underway);
    logged_in(stream, front, step).await
}

/// Shakes hands with a client of which `start` has been read already.
async fn accept(
    config: Arc<ServerConfig>,
    tunnel: Tunnel<Socket>,
    mut start: &[u8],
) -> Result<Tls, GreetError> {
    let mut taken = Ok(0);
    let accepting = TlsAcceptor::from(config).accept_with(tunnel, |connection| {
        // To read nothing would be to read the end of the stream.
        if !start.is_empty() {
            taken = connection.read_tls(&mut start);
        }
    });
    taken?;
    match accepting.into_fallible().await {
        Ok(stream) => Ok(stream),
        Err((error, mut tunnel)) => {
            // An alert that says why may wait to be wrapped.
            let _ = tunnel.flush().await;
            part_from(tunnel).await;
            Err(GreetError::of_handshake(error))
        }
    }
}

/// Closes in a way that leaves the peer the time to read what it was told: a
/// close with something unread would take that away from it.
async fn part_from(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let parting = async {
        stream.shutdown().await?;
        let mut unread = stream.take(MAX_UNREAD);
        tokio::io::copy(&mut unread, &mut tokio::io::sink()).await
    };
    let _ = timeout(PARTING, parting).await;
}

/// The login of a client that is under TLS for good.
async fn logged_in(
    mut stream: Tls,
    mut front: Front,
    step: &mut Step,
) -> Result<Greeted, GreetError> {
    stream.get_mut().0.read_ahead();
    match next_event(&mut stream, &mut front, &[], step).await? {
        Event::LoginRequested(login) => Ok(Greeted {
            stream: SessionStream::wrapped(stream),
            front,
            login,
            encrypted: true,
        }),
        Event::StartTls(_) => Err(GreetError::NoTls),
    }
}

/// Tells the client by an ERROR, which every driver shows, and closes.
async fn refuse(mut greeted: Greeted, refusal: Refusal) -> Result<Greeted, GreetError> {
    greeted.front.refuse(&refusal.message())?;
    let answer = greeted.front.take_output();
    let told = greeted.stream.write_all(&answer).await.is_ok();
    part_from(greeted.stream).await;
    Err(GreetError::Refused { refusal, told })
}

fn offer(mode: TlsMode) -> Offer {
    match mode {
        TlsMode::Off => Offer::None,
        TlsMode::Optional => Offer::Optional,
        // A client that comes by the older way is told so once its login is
        // encrypted.
        TlsMode::Required | TlsMode::Strict => Offer::Required,
    }
}
