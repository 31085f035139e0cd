//! The requests of a session: one after the other, each with an answer that streams.

use std::pin::pin;
use std::time::Duration;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Shared;
use super::error::ConnectionError;
use super::login::{BoxedStream, Established};
use super::packet_io::{PacketReader, PacketWriter};
use super::trouble::trouble;
use crate::emulator::GatewayStep;
use crate::emulator::backend::{BackendSession, Interrupter};
use crate::emulator::engine::{SinkClosed, TokenSink};
use crate::tds::{
    Done, DoneStatus, EncodeError, EnvChange, Message, PacketStatus, PacketType, TdsVersion, Token,
};

/// Chunks of a response that wait for the client to read; the backend blocks when it is full.
const CHUNKS: usize = 4;
/// How often a running request is told again to stop.
const INSIST: Duration = Duration::from_millis(50);

/// Answers requests until the client leaves.
pub(super) async fn serve(
    mut established: Established,
    shared: &Shared,
) -> Result<(), ConnectionError> {
    let mut next = None;
    loop {
        let message = match next.take() {
            Some(message) => message,
            None => {
                let idle = shared.settings.idle_timeout;
                let read = timeout(idle, established.io.reader.next()).await;
                match read.map_err(|_| ConnectionError::Idle)?? {
                    Some(message) => message,
                    None => return Ok(()),
                }
            }
        };
        (established, next) = answer(established, shared, message).await?;
    }
}

/// Answers one message. Also gives back the one that came meanwhile, if the client did not wait.
async fn answer(
    mut established: Established,
    shared: &Shared,
    message: Message,
) -> Result<(Established, Option<Message>), ConnectionError> {
    let version = established.version;
    let writer = &mut established.io.writer;
    match message.packet_type {
        PacketType::ATTENTION => {
            shared.counters.counts().attentions.add_one();
            writer.message(&done(version, DoneStatus::ATTN)?).await?;
            return Ok((established, None));
        }
        _ if message.status.contains(PacketStatus::IGNORE) => {
            writer.message(&done(version, DoneStatus::ERROR)?).await?;
            return Ok((established, None));
        }
        PacketType::SQL_BATCH
        | PacketType::RPC
        | PacketType::BULK_LOAD
        | PacketType::TRANSACTION_MANAGER => {}
        other => return Err(ConnectionError::Unexpected(other)),
    }
    trouble(
        &mut established.io,
        shared,
        &established.reset,
        GatewayStep::Request,
    )
    .await?;
    shared.counters.counts().requests.add_one();
    if reset_of(&message).is_some() {
        shared.counters.counts().resets.add_one();
    }
    run(established, shared, message).await
}

/// Runs a request on a thread that may block, and sends the response as it comes.
async fn run(
    established: Established,
    shared: &Shared,
    message: Message,
) -> Result<(Established, Option<Message>), ConnectionError> {
    let Established {
        mut io,
        session,
        version,
        packet_size,
        reset,
    } = established;
    let interrupter = session.interrupter();
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let sink = ChannelSink {
        sender,
        chunk: Vec::new(),
        size: packet_size,
    };
    let work = tokio::task::spawn_blocking(move || execute(session, &message, sink, version));
    let mut meanwhile = Meanwhile::new(interrupter);
    {
        let mut respond = pin!(respond(&mut io.writer, chunks));
        loop {
            tokio::select! {
                biased;
                written = &mut respond => break written?,
                event = meanwhile.watch(&mut io.reader) => event?,
            }
        }
    }
    let session = work.await.map_err(ConnectionError::Backend)?;
    for _ in 0..meanwhile.attentions {
        shared.counters.counts().attentions.add_one();
        io.writer.write(&done(version, DoneStatus::ATTN)?).await?;
    }
    io.writer.finish().await?;
    Ok((
        Established {
            io,
            session,
            version,
            packet_size,
            reset,
        },
        meanwhile.next,
    ))
}

/// The part that blocks: the reset that the client asked for, then the request itself.
fn execute(
    mut session: Box<dyn BackendSession>,
    message: &Message,
    mut sink: ChannelSink,
    version: TdsVersion,
) -> Box<dyn BackendSession> {
    let outcome = match reset_of(message) {
        Some(keep_transaction) => reset(&mut *session, keep_transaction, &mut sink, version),
        None => Ok(()),
    };
    let outcome = outcome.and_then(|()| session.execute(message, &mut sink));
    // A client that has gone is noticed by the reading side.
    let _ = outcome.and_then(|()| sink.flush());
    session
}

fn reset(
    session: &mut dyn BackendSession,
    keep_transaction: bool,
    sink: &mut ChannelSink,
    version: TdsVersion,
) -> Result<(), SinkClosed> {
    let changes = session.reset(keep_transaction);
    for change in std::iter::once(EnvChange::ResetAcknowledged).chain(changes) {
        let mut bytes = Vec::new();
        // All of them hold names that came in fields of the same width.
        Token::EnvChange(change)
            .encode(version, &mut bytes)
            .map_err(|_| SinkClosed)?;
        sink.send(&bytes)?;
    }
    Ok(())
}

/// Some if the session is to be reset first; true if its transaction shall go on.
fn reset_of(message: &Message) -> Option<bool> {
    if message.packet_type == PacketType::BULK_LOAD {
        return None;
    }
    if message.status.contains(PacketStatus::RESET_CONNECTION) {
        return Some(false);
    }
    message
        .status
        .contains(PacketStatus::RESET_CONNECTION_SKIP_TRAN)
        .then_some(true)
}

async fn respond(
    writer: &mut PacketWriter<WriteHalf<BoxedStream>>,
    mut chunks: mpsc::Receiver<Vec<u8>>,
) -> Result<(), ConnectionError> {
    while let Some(chunk) = chunks.recv().await {
        writer.write(&chunk).await?;
    }
    Ok(())
}

fn done(version: TdsVersion, status: DoneStatus) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    Token::Done(Done::new(status)).encode(version, &mut bytes)?;
    Ok(bytes)
}

/// What the client does while its request runs.
struct Meanwhile {
    interrupter: Interrupter,
    attentions: u32,
    next: Option<Message>,
}

impl Meanwhile {
    fn new(interrupter: Interrupter) -> Self {
        Self {
            interrupter,
            attentions: 0,
            next: None,
        }
    }

    /// Waits for the client to say something, and acts on it. An error ends the connection, and
    /// with it the request.
    ///
    /// # Cancel safety
    /// Safe, since reading a message is.
    async fn watch(
        &mut self,
        reader: &mut PacketReader<ReadHalf<BoxedStream>>,
    ) -> Result<(), ConnectionError> {
        let message = tokio::select! {
            // One early request is kept; whatever follows it stays in the socket.
            message = reader.next(), if self.next.is_none() => message,
            // An interrupt that comes before the request has begun to run is lost, so it is said
            // again until the response ends.
            () = tokio::time::sleep(INSIST), if self.attentions > 0 => {
                (self.interrupter)();
                return Ok(());
            }
            else => std::future::pending().await,
        };
        match message {
            Ok(Some(message)) if message.packet_type == PacketType::ATTENTION => {
                self.attentions += 1;
                (self.interrupter)();
                Ok(())
            }
            Ok(Some(message)) => {
                self.next = Some(message);
                Ok(())
            }
            gone => {
                (self.interrupter)();
                Err(gone.err().unwrap_or(ConnectionError::Eof))
            }
        }
    }
}

/// Collects tokens to chunks of about a packet and hands them to the writing side.
struct ChannelSink {
    sender: mpsc::Sender<Vec<u8>>,
    chunk: Vec<u8>,
    size: usize,
}

impl ChannelSink {
    fn flush(&mut self) -> Result<(), SinkClosed> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(self.size));
        self.sender.blocking_send(chunk).map_err(|_| SinkClosed)
    }
}

impl TokenSink for ChannelSink {
    fn send(&mut self, bytes: &[u8]) -> Result<(), SinkClosed> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() < self.size {
            Ok(())
        } else {
            self.flush()
        }
    }
}
