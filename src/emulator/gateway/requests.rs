//! The requests of a session: one after the other, each with an answer that streams.

use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Shared;
use super::error::ConnectionError;
use super::incoming::{Incoming, LoadPart};
use super::judged::refuse_request;
use super::load::{Feed, LoadBody, load};
use super::login::{BoxedStream, Established};
use super::login_response::refused;
use super::messages;
use super::packet_io::{PacketIo, PacketReader, PacketWriter};
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

/// Answers requests until the client leaves, or somebody ends the session: then the connection breaks
/// off, as in a failover.
pub(super) async fn serve_until_killed(
    established: Established,
    shared: &Shared,
) -> Result<(), ConnectionError> {
    let (admission, reset) = (established.admission.clone(), established.reset.clone());
    let interrupter = established.session.interrupter();
    let killed = async {
        admission.place.killed().await;
        // Before the stream is dropped, which is when this counts.
        reset.turn_on();
    };
    tokio::select! {
        served = serve(established, shared) => served,
        () = killed => {
            // The thread that runs the request has the other one.
            while Arc::strong_count(&admission) > 1 {
                interrupter();
                tokio::time::sleep(INSIST).await;
            }
            Err(ConnectionError::Killed)
        }
    }
}

/// Answers requests until the client leaves.
pub(super) async fn serve(
    mut established: Established,
    shared: &Shared,
) -> Result<(), ConnectionError> {
    let mut next = None;
    loop {
        let incoming = match next.take() {
            Some(incoming) => incoming,
            None => {
                let idle = shared.settings.idle_timeout;
                let read = timeout(idle, established.io.reader.next()).await;
                match read.map_err(|_| ConnectionError::Idle)?? {
                    Some(incoming) => incoming,
                    None => return Ok(()),
                }
            }
        };
        (established, next) = answer(established, shared, incoming).await?;
    }
}

/// Answers what came. Also gives back what came meanwhile, if the client did not wait.
async fn answer(
    mut established: Established,
    shared: &Shared,
    incoming: Incoming,
) -> Result<(Established, Option<Incoming>), ConnectionError> {
    let version = established.version;
    let writer = &mut established.io.writer;
    let request = match incoming {
        Incoming::Message(message) if message.packet_type == PacketType::ATTENTION => {
            shared.counters.counts().attentions.add_one();
            writer.message(&done(version, DoneStatus::ATTN)?).await?;
            return Ok((established, None));
        }
        Incoming::Message(message) if message.status.contains(PacketStatus::IGNORE) => {
            writer.message(&done(version, DoneStatus::ERROR)?).await?;
            return Ok((established, None));
        }
        Incoming::Message(message) => match message.packet_type {
            PacketType::SQL_BATCH | PacketType::RPC | PacketType::TRANSACTION_MANAGER => {
                Request::Whole(message)
            }
            other => return Err(ConnectionError::Unexpected(other)),
        },
        Incoming::Load(part) if part.first => Request::Load(part),
        // The rest of a load whose answer is out already.
        Incoming::Load(_) => return Ok((established, None)),
    };
    trouble(
        &mut established.io,
        shared,
        &established.reset,
        GatewayStep::Request,
    )
    .await?;
    shared.counters.counts().requests.add_one();
    if request.reset().is_some() {
        shared.counters.counts().resets.add_one();
    }
    let resets = request.reset();
    if let Some(error) = established.admission.refusal(shared, resets.is_some()) {
        let established = refuse_request(established, shared, error, resets).await?;
        return Ok((established, None));
    }
    run(established, shared, request).await
}

/// What a client wants done.
enum Request {
    Whole(Message),
    /// The beginning of a bulk load.
    Load(LoadPart),
}

impl Request {
    /// Some if the session is to be reset first; true if its transaction shall go on.
    fn reset(&self) -> Option<bool> {
        let Self::Whole(message) = self else {
            return None;
        };
        if message.status.contains(PacketStatus::RESET_CONNECTION) {
            return Some(false);
        }
        message
            .status
            .contains(PacketStatus::RESET_CONNECTION_SKIP_TRAN)
            .then_some(true)
    }
}

/// Runs a request on a thread that may block, and sends the response as it comes.
async fn run(
    established: Established,
    shared: &Shared,
    request: Request,
) -> Result<(Established, Option<Incoming>), ConnectionError> {
    let Established {
        mut io,
        session,
        version,
        packet_size,
        reset,
        admission,
    } = established;
    let mut meanwhile = Meanwhile::new(session.interrupter(), shared.settings.idle_timeout);
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let sink = ChannelSink {
        sender,
        chunk: Vec::new(),
        size: packet_size,
    };
    let reset_first = request.reset();
    let work = meanwhile.feed(request);
    let stop = StopOnDrop::new(session.interrupter());
    let running = (admission.clone(), stop.running.clone());
    let work = tokio::task::spawn_blocking(move || {
        let _running = running;
        execute(session, work, reset_first, sink, version)
    });
    converse(&mut io, &mut meanwhile, chunks).await?;
    let session = match work.await {
        Ok(session) => session,
        Err(panic) => {
            kill(&mut io.writer, shared, version).await?;
            return Err(ConnectionError::Backend(panic));
        }
    };
    io.writer.finish().await?;
    for _ in 0..meanwhile.attentions {
        // A message of its own, as SQL Server sends it: tedious waits for the next message when it
        // has cancelled a request.
        shared.counters.counts().attentions.add_one();
        io.writer.message(&done(version, DoneStatus::ATTN)?).await?;
    }
    if session.is_over() {
        io.writer.close().await;
        return Err(ConnectionError::SessionOver);
    }
    Ok((
        Established {
            io,
            session,
            version,
            packet_size,
            reset,
            admission,
        },
        meanwhile.next,
    ))
}

/// Sends the response as it comes, and hears the client meanwhile.
async fn converse(
    io: &mut PacketIo<BoxedStream>,
    meanwhile: &mut Meanwhile,
    chunks: mpsc::Receiver<Vec<u8>>,
) -> Result<(), ConnectionError> {
    let mut respond = pin!(respond(&mut io.writer, chunks));
    loop {
        tokio::select! {
            biased;
            // First, or a client that reads as fast as the engine writes is never heard: the
            // response alone uses up all that tokio lets a task do before it must yield.
            event = meanwhile.watch(&mut io.reader) => event?,
            written = &mut respond => return written,
        }
    }
}

/// Tells the client that its session is no more.
async fn kill(
    writer: &mut PacketWriter<WriteHalf<BoxedStream>>,
    shared: &Shared,
    version: TdsVersion,
) -> Result<(), ConnectionError> {
    // Responses are sent in whole tokens, so that one more fits behind whatever came.
    let payload = refused(messages::killed(), &shared.settings.server_name, version)?;
    writer.message(&payload).await?;
    writer.close().await;
    Ok(())
}

/// What the blocking thread does.
enum Work {
    Message(Message),
    Load(LoadBody),
}

/// The part that blocks: the reset that the client asked for, then the request itself.
fn execute(
    mut session: Box<dyn BackendSession>,
    work: Work,
    reset_first: Option<bool>,
    mut sink: ChannelSink,
    version: TdsVersion,
) -> Box<dyn BackendSession> {
    let outcome = match reset_first {
        Some(keep_transaction) => reset(&mut *session, keep_transaction, &mut sink, version),
        None => Ok(()),
    };
    let outcome = outcome.and_then(|()| match work {
        _ if session.is_over() => Ok(()),
        Work::Message(message) => session.execute(&message, &mut sink),
        Work::Load(mut body) => session.load(&mut body, &mut sink),
    });
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
    let changes = match session.reset(keep_transaction) {
        Ok(changes) => changes,
        Err(error) => {
            let mut bytes = Vec::new();
            let dropped = Token::Error(error).encode(version, &mut bytes);
            dropped.map_err(|_| SinkClosed)?;
            bytes.extend(done(version, DoneStatus::ERROR).map_err(|_| SinkClosed)?);
            return sink.send(&bytes);
        }
    };
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

async fn respond(
    writer: &mut PacketWriter<WriteHalf<BoxedStream>>,
    mut chunks: mpsc::Receiver<Vec<u8>>,
) -> Result<(), ConnectionError> {
    while let Some(chunk) = chunks.recv().await {
        writer.write(&chunk).await?;
    }
    Ok(())
}

/// A DONE with that status, as bytes.
pub(super) fn done(version: TdsVersion, status: DoneStatus) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    Token::Done(Done::new(status)).encode(version, &mut bytes)?;
    Ok(bytes)
}

/// Stops a request that nobody waits for any more, because the client has gone or the emulator ends:
/// its thread would keep the runtime from ending, for hours if it waits.
struct StopOnDrop {
    interrupter: Interrupter,
    /// The thread has the other one.
    running: Arc<()>,
}

impl StopOnDrop {
    fn new(interrupter: Interrupter) -> Self {
        Self {
            interrupter,
            running: Arc::new(()),
        }
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if Arc::strong_count(&self.running) == 1 {
            return;
        }
        (self.interrupter)();
        let (interrupter, running) = (self.interrupter.clone(), self.running.clone());
        let insist = move || {
            while Arc::strong_count(&running) > 1 {
                interrupter();
                thread::park_timeout(INSIST);
            }
        };
        // No task: a runtime that ends drops its tasks, and then waits for the request's thread.
        let spawned = thread::Builder::new().name("stop".into()).spawn(insist);
        if let Err(error) = spawned {
            tracing::warn!(error = %error, "cannot insist on the end of a request");
        }
    }
}

/// What the client does while its request runs.
struct Meanwhile {
    interrupter: Interrupter,
    /// How long a load may stand still.
    patience: Duration,
    attentions: u32,
    /// Where the parts of a load go.
    feed: Option<Feed>,
    next: Option<Incoming>,
}

impl Meanwhile {
    fn new(interrupter: Interrupter, patience: Duration) -> Self {
        Self {
            interrupter,
            patience,
            attentions: 0,
            feed: None,
            next: None,
        }
    }

    /// The work of a request; that of a load is fed with what comes from now on.
    fn feed(&mut self, request: Request) -> Work {
        match request {
            Request::Whole(message) => Work::Message(message),
            Request::Load(first) => {
                let (feed, body) = load(first);
                self.feed = Some(feed);
                Work::Load(body)
            }
        }
    }

    /// Waits for the client to say something, and acts on it. An error ends the connection, and
    /// with it the request.
    ///
    /// # Cancel safety
    /// Safe, since reading a message is, and passing one on.
    async fn watch(
        &mut self,
        reader: &mut PacketReader<ReadHalf<BoxedStream>>,
    ) -> Result<(), ConnectionError> {
        if let Some(feed) = self.feed.as_mut().filter(|feed| feed.is_full()) {
            feed.pass_on().await;
            return Ok(());
        }
        let loading = self.feed.as_ref().is_some_and(Feed::is_open);
        let incoming = tokio::select! {
            // One early request is kept; whatever follows it stays in the socket.
            incoming = reader.next(), if self.next.is_none() => incoming,
            // An interrupt that comes before the request has begun to run is lost, so it is said
            // again until the response ends.
            () = tokio::time::sleep(INSIST), if self.attentions > 0 => {
                (self.interrupter)();
                return Ok(());
            }
            () = tokio::time::sleep(self.patience), if loading => Err(ConnectionError::Idle),
            else => std::future::pending().await,
        };
        match (incoming, &mut self.feed) {
            (Ok(Some(Incoming::Message(message))), feed)
                if message.packet_type == PacketType::ATTENTION =>
            {
                self.attentions += 1;
                (self.interrupter)();
                feed.iter_mut().for_each(Feed::cancel);
                Ok(())
            }
            (Ok(Some(Incoming::Load(part))), Some(feed)) if !part.first => {
                feed.put(part);
                Ok(())
            }
            (Ok(Some(incoming)), _) => {
                self.next = Some(incoming);
                Ok(())
            }
            (gone, _) => {
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
