//! A client's packets in, answers out, and the bounds of both.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Console;
use super::login::{info, login_info};
use crate::front::FrontError;
use crate::proxy::client::Greeted;
use crate::proxy::registry::Entry;
use crate::proxy::relay::farewell;
use crate::proxy::shared::{Live, Shared};
use crate::session::SessionStream;
use crate::tds::{
    DEFAULT_PACKET_SIZE, DecodeError, Done, DoneStatus, LOGIN_FAILED, MAX_PACKET_SIZE, Message,
    MessageReader, PacketStatus, PacketType, ServerMessage, TdsVersion, Token, write_message,
};

/// How a session with the admin database ended.
#[derive(Debug)]
pub(in crate::proxy) enum End {
    /// The client left.
    Left,
    /// The proxy is about to stop; nothing here is worth waiting for.
    Drained,
    /// It asked for nothing for too long.
    Idle,
    /// It took no answer for too long, or the connection broke.
    Broken,
    /// It does not speak the protocol as it should.
    Protocol,
}

impl End {
    /// The word for logs and metrics.
    pub(in crate::proxy) fn word(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Drained => "drained",
            Self::Idle => "idle",
            Self::Broken => "client-broke",
            Self::Protocol => "protocol",
        }
    }
}

/// Most bytes of a request.
const MAX_MESSAGE: usize = 1 << 20;
/// How long a client may ask for nothing, unless the limits say otherwise.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long a client may take to accept [`PIECE`] bytes of an answer.
const WRITE: Duration = Duration::from_secs(60);
/// So many bytes are written at a time.
const PIECE: usize = 64 * 1024;

/// Why a session is over before the client leaves.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the client takes no answer")]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error("the client does not speak TDS as it should")]
    Protocol(#[from] DecodeError),
    #[error("the login cannot be answered")]
    Front(#[from] FrontError),
}

/// Lets the client in and serves it to its end.
pub(super) async fn run(
    greeted: Greeted,
    user: String,
    live: &Live,
    entry: &Entry,
    shared: &Shared,
) -> End {
    match serve(greeted, user, live, entry, shared).await {
        Ok(end) => end,
        Err(fault) => {
            let error: &(dyn std::error::Error + 'static) = &fault;
            tracing::debug!(id = entry.id, error, "the admin database's client is lost");
            match fault {
                Fault::Io(_) | Fault::Slow(_) => End::Broken,
                Fault::Protocol(_) | Fault::Front(_) => End::Protocol,
            }
        }
    }
}

async fn serve(
    greeted: Greeted,
    user: String,
    live: &Live,
    entry: &Entry,
    shared: &Shared,
) -> Result<End, Fault> {
    let Greeted {
        mut stream,
        mut front,
        login,
        encrypted,
        ..
    } = greeted;
    let spid = spid(entry);
    let version = login.tds_version.round_down();
    if version < TdsVersion::V7_1 {
        front.refuse(&too_old())?;
        write(&mut stream, &front.take_output(), entry).await?;
        farewell(&mut stream).await;
        return Ok(End::Protocol);
    }
    front.accept(&login_info(spid, encrypted), DEFAULT_PACKET_SIZE)?;
    write(&mut stream, &front.take_output(), entry).await?;
    let mut reader = MessageReader::new(MAX_PACKET_SIZE, MAX_MESSAGE);
    reader.push(&front.into_rest());
    let idle = live.config.limits.idle_timeout.unwrap_or(IDLE);
    let mut console = Console::new(version, user, &login, live, entry, shared);
    drop(login);
    loop {
        match reader.next() {
            Ok(None) => {}
            Ok(Some(message)) => {
                let answer = answer(&mut console, &message, entry).await;
                send(&mut stream, &answer, spid, entry).await?;
                continue;
            }
            Err(error) => {
                let answer = console.broken(&error);
                send(&mut stream, &answer, spid, entry).await?;
                farewell(&mut stream).await;
                return Err(error.into());
            }
        }
        let mut buffer = [0; 4096];
        let read = tokio::select! {
            read = timeout(idle, stream.read(&mut buffer)) => read,
            () = shared.draining.cancelled() => return Ok(End::Drained),
        };
        let Ok(read) = read else {
            return Ok(End::Idle);
        };
        let Some(bytes) = buffer.get(..read?).filter(|bytes| !bytes.is_empty()) else {
            return Ok(End::Left);
        };
        let count = u64::try_from(bytes.len()).unwrap_or_default();
        entry.traffic.sent.fetch_add(count, Ordering::Relaxed);
        reader.push(bytes);
    }
}

fn too_old() -> ServerMessage {
    let text = "the admin database speaks TDS 7.1 and later; this client asks for 7.0";
    ServerMessage {
        class: 14,
        ..info(LOGIN_FAILED, text.to_owned())
    }
}

/// The tokens that answer a message.
async fn answer(console: &mut Console<'_>, message: &Message, entry: &Entry) -> Vec<u8> {
    let done = |status| {
        let mut out = Vec::new();
        if let Err(error) = Token::Done(Done::new(status)).encode(console.version(), &mut out) {
            tracing::debug!(%error, "a DONE has no form on the wire");
        }
        out
    };
    if message.packet_type == PacketType::ATTENTION {
        // Whatever it meant to cancel has been answered already.
        return done(DoneStatus::ATTN);
    }
    if message.status.contains(PacketStatus::IGNORE) {
        return done(DoneStatus::ERROR);
    }
    entry.traffic.requests.fetch_add(1, Ordering::Relaxed);
    console.answer(message).await
}

async fn send(
    stream: &mut SessionStream,
    tokens: &[u8],
    spid: u16,
    entry: &Entry,
) -> Result<(), Fault> {
    let mut packets = Vec::new();
    write_message(
        PacketType::TABULAR_RESULT,
        PacketStatus::NORMAL,
        tokens,
        DEFAULT_PACKET_SIZE,
        &mut packets,
    );
    for packet in packets.chunks_mut(DEFAULT_PACKET_SIZE) {
        if let Some(field) = packet.get_mut(4..6) {
            field.copy_from_slice(&spid.to_be_bytes());
        }
    }
    write(stream, &packets, entry).await
}

async fn write(stream: &mut SessionStream, bytes: &[u8], entry: &Entry) -> Result<(), Fault> {
    for piece in bytes.chunks(PIECE) {
        timeout(WRITE, stream.write_all(piece)).await??;
        let count = u64::try_from(piece.len()).unwrap_or_default();
        entry.traffic.received.fetch_add(count, Ordering::Relaxed);
    }
    timeout(WRITE, stream.flush()).await??;
    Ok(())
}

/// The session's number as packet headers have it.
fn spid(entry: &Entry) -> u16 {
    u16::try_from(entry.id % 65_536).unwrap_or_default()
}
