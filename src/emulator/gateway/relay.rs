//! The requests of a session on a real server: packets go to and fro, cut anew to the size of either
//! side, and no more of a message is held than a packet.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::Shared;
use super::azure_errors::ends_connection;
use super::error::ConnectionError;
use super::login::{BoxedStream, Forwarded};
use super::login_response::refused;
use super::messages;
use super::packet_io::{PacketReader, PacketWriter};
use super::requests::done;
use super::trouble::trouble;
use crate::emulator::GatewayStep;
use crate::emulator::forward::{ForwardError, ForwardSession, Tracker, WireReader, WireWriter};
use crate::tds::{DoneStatus, PacketHeader, PacketStatus, PacketType, ServerMessage, TdsVersion};

/// The bits that ask for a reset.
const RESETS: u8 = PacketStatus::RESET_CONNECTION.0 | PacketStatus::RESET_CONNECTION_SKIP_TRAN.0;

/// Requests up to this length are looked through for statements to translate.
const LONGEST_TRANSLATED: usize = 1024 * 1024;

/// A packet of the client.
type Packet = (PacketHeader, Vec<u8>);

/// Relays requests and their answers until the client leaves, or somebody ends the session.
pub(super) async fn serve_until_killed(
    forwarded: Forwarded,
    shared: &Shared,
) -> Result<(), ConnectionError> {
    let (admission, reset) = (forwarded.admission.clone(), forwarded.reset.clone());
    let killed = async {
        admission.place.killed().await;
        reset.turn_on();
    };
    tokio::select! {
        served = serve(forwarded, shared) => served,
        () = killed => Err(ConnectionError::Killed),
    }
}

/// Relays requests and their answers until the client leaves.
async fn serve(mut forwarded: Forwarded, shared: &Shared) -> Result<(), ConnectionError> {
    let idle = shared.settings.idle_timeout;
    let mut early = None;
    loop {
        let first = match early.take() {
            Some(packet) => packet,
            None => {
                let said = tokio::select! {
                    said = next(&mut forwarded.io.reader, idle) => said?,
                    // A server that speaks without being asked says goodbye at best.
                    gone = forwarded.session.wire.reader.packet() => {
                        gone?;
                        return Err(ForwardError::Unasked.into());
                    }
                };
                match said {
                    Some(packet) => packet,
                    None => return Ok(()),
                }
            }
        };
        early = request(&mut forwarded, shared, first).await?;
    }
}

/// Relays one request, which begins with this packet, and its answer. Returns a packet of the next
/// request if that came early.
async fn request(
    forwarded: &mut Forwarded,
    shared: &Shared,
    (header, mut data): Packet,
) -> Result<Option<Packet>, ConnectionError> {
    let Forwarded {
        io,
        session,
        reset,
        version,
        admission,
    } = forwarded;
    match header.packet_type {
        PacketType::ATTENTION => {
            acknowledge(&mut io.writer, shared, *version).await?;
            return Ok(None);
        }
        PacketType::SQL_BATCH
        | PacketType::RPC
        | PacketType::BULK_LOAD
        | PacketType::TRANSACTION_MANAGER => {}
        other => return Err(ConnectionError::Unexpected(other)),
    }
    trouble(io, shared, reset, GatewayStep::Request).await?;
    shared.counters.counts().requests.add_one();
    let mut bits = PacketStatus(header.status.0 & RESETS);
    if header.packet_type == PacketType::BULK_LOAD {
        bits = PacketStatus::NORMAL;
    }
    let wants_reset = bits != PacketStatus::NORMAL;
    if wants_reset {
        shared.counters.counts().resets.add_one();
    }
    if let Some(error) = admission.refusal(shared, wants_reset) {
        return refuse(forwarded, shared, header, bits, error).await;
    }
    if wants_reset && session.has_context() {
        let told = session.reset(bits).await?;
        io.writer.write(&told).await?;
        if session.is_outside_transaction() {
            forget_transaction(&mut data);
        }
        bits = PacketStatus::NORMAL;
    }
    match ready(forwarded, shared, (header, data)).await? {
        Some(packet) => pass_on(forwarded, shared, packet, bits).await,
        None => Ok(None),
    }
}

/// The beginning of the request as it is to be passed on; `None` if it has been answered here.
async fn ready(
    forwarded: &mut Forwarded,
    shared: &Shared,
    first: Packet,
) -> Result<Option<Packet>, ConnectionError> {
    let Forwarded {
        io,
        session,
        version,
        ..
    } = forwarded;
    let Some((header, data)) = collected(&mut io.reader, first, shared).await? else {
        acknowledge(&mut io.writer, shared, *version).await?;
        return Ok(None);
    };
    let error = match admitted(session, header, data) {
        Ok(data) => return Ok(Some((header, data))),
        Err(error) => error,
    };
    let (ends, number) = (ends_connection(&error), error.number);
    let payload = refused(error, &shared.settings.server_name, *version)?;
    io.writer.message(&payload).await?;
    if !ends {
        return Ok(None);
    }
    io.writer.close().await;
    Err(ConnectionError::RequestRefused(number))
}

/// Relays a request that begins so, and its answer. With `bits` the server resets the session.
async fn pass_on(
    forwarded: &mut Forwarded,
    shared: &Shared,
    (header, data): Packet,
    bits: PacketStatus,
) -> Result<Option<Packet>, ConnectionError> {
    let Forwarded {
        io,
        session,
        version,
        ..
    } = forwarded;
    session.wire.writer.begin(header.packet_type, bits);
    let given_up = AtomicBool::new(false);
    let mut upward = Upward {
        writer: &mut session.wire.writer,
        packet_type: header.packet_type,
        complete: false,
        attention: false,
        given_up: &given_up,
        early: None,
        idle: shared.settings.idle_timeout,
    };
    upward.take((header, data))?;
    let mut downward = Downward {
        reader: &mut session.wire.reader,
        writer: &mut io.writer,
        tracker: &mut session.tracker,
        may_reset: bits != PacketStatus::NORMAL,
        given_up: &given_up,
        version: *version,
        acknowledged: false,
    };
    converse(&mut upward, &mut downward, &mut io.reader).await?;
    if downward.acknowledged {
        shared.counters.counts().attentions.add_one();
    }
    Ok(upward.early)
}

/// Acknowledges an attention of which the server knows nothing.
async fn acknowledge(
    writer: &mut PacketWriter<WriteHalf<BoxedStream>>,
    shared: &Shared,
    version: TdsVersion,
) -> Result<(), ConnectionError> {
    shared.counters.counts().attentions.add_one();
    writer.message(&done(version, DoneStatus::ATTN)?).await
}

/// The beginning of a request, and all of it if it is short enough to be translated, as if it were
/// one packet. `None` if the client takes it back.
async fn collected(
    client: &mut PacketReader<ReadHalf<BoxedStream>>,
    (mut header, mut data): Packet,
    shared: &Shared,
) -> Result<Option<Packet>, ConnectionError> {
    let translatable = [PacketType::SQL_BATCH, PacketType::RPC].contains(&header.packet_type);
    while translatable
        && !header.status.contains(PacketStatus::EOM)
        && data.len() < LONGEST_TRANSLATED
    {
        let packet = next(client, shared.settings.idle_timeout).await?;
        let (more, rest) = packet.ok_or(ConnectionError::Eof)?;
        match more.packet_type {
            PacketType::ATTENTION => return Ok(None),
            same if same == header.packet_type => {}
            other => return Err(ConnectionError::Unexpected(other)),
        }
        data.extend(rest);
        header.status.insert(more.status);
    }
    Ok(Some((header, data)))
}

/// What is passed on for a request that begins so, or what is said in its place.
fn admitted(
    session: &ForwardSession,
    header: PacketHeader,
    data: Vec<u8>,
) -> Result<Vec<u8>, ServerMessage> {
    if session.is_escape(header.packet_type, &data) {
        return Err(messages::reset_inside_context());
    }
    let whole = header.status.contains(PacketStatus::EOM);
    if !whole || header.status.contains(PacketStatus::IGNORE) {
        return Ok(data);
    }
    let translated = session.translated(header.packet_type, &data)?;
    Ok(translated.unwrap_or(data))
}

/// Answers a request with an error in place of passing it on.
async fn refuse(
    forwarded: &mut Forwarded,
    shared: &Shared,
    header: PacketHeader,
    bits: PacketStatus,
    error: ServerMessage,
) -> Result<Option<Packet>, ConnectionError> {
    let Forwarded {
        io,
        session,
        version,
        ..
    } = forwarded;
    let mut last = header;
    while !last.status.contains(PacketStatus::EOM) {
        let packet = next(&mut io.reader, shared.settings.idle_timeout).await?;
        last = packet.ok_or(ConnectionError::Eof)?.0;
    }
    let wants_reset = bits != PacketStatus::NORMAL;
    // Outside of a user's context a reset comes with a request, and this one does not go out.
    let ends = ends_connection(&error) || (wants_reset && !session.has_context());
    let number = error.number;
    if wants_reset && !ends {
        let told = session.reset(bits).await?;
        io.writer.write(&told).await?;
    }
    let payload = refused(error, &shared.settings.server_name, *version)?;
    io.writer.message(&payload).await?;
    if ends {
        io.writer.close().await;
        return Err(ConnectionError::RequestRefused(number));
    }
    Ok(None)
}

/// Passes the rest of the request on and the answer back, and attentions between them.
async fn converse(
    upward: &mut Upward<'_>,
    downward: &mut Downward<'_>,
    client: &mut PacketReader<ReadHalf<BoxedStream>>,
) -> Result<(), ConnectionError> {
    loop {
        {
            let mut message = pin!(downward.message());
            loop {
                tokio::select! {
                    biased;
                    relayed = &mut message => break relayed?,
                    step = upward.step(client) => step?,
                }
            }
        }
        // An answer that comes before its request's end stands; the rest is still passed on.
        while !upward.is_done() {
            upward.step(client).await?;
        }
        // The server may have been at the end of its answer when the attention came, which it
        // then acknowledges in a message of its own.
        if !upward.attention || downward.acknowledged {
            return Ok(());
        }
    }
}

/// What goes to the server: the request, then attentions.
struct Upward<'a> {
    writer: &'a mut WireWriter,
    packet_type: PacketType,
    /// The request has been read to its end.
    complete: bool,
    /// The server has been asked to stop.
    attention: bool,
    /// The client has taken back a request that it had not sent to its end.
    given_up: &'a AtomicBool,
    early: Option<Packet>,
    idle: Duration,
}

impl Upward<'_> {
    /// Passes on what is there to pass on, or else waits for the client to say more.
    ///
    /// # Cancel safety
    /// Safe: what was read is in the writer at once, and the writer goes on where it was.
    async fn step(
        &mut self,
        client: &mut PacketReader<ReadHalf<BoxedStream>>,
    ) -> Result<(), ConnectionError> {
        if !self.writer.is_drained() {
            let drained = timeout(self.idle, self.writer.drain()).await;
            return Ok(drained.map_err(|_| ConnectionError::Idle)??);
        }
        if self.early.is_some() {
            // One early packet is kept; whatever follows it stays in the socket.
            return std::future::pending().await;
        }
        let packet = match self.complete {
            true => client.packet().await?,
            false => next(client, self.idle).await?,
        };
        self.take(packet.ok_or(ConnectionError::Eof)?)
    }

    fn take(&mut self, (header, data): Packet) -> Result<(), ConnectionError> {
        match header.packet_type {
            // In the middle of a request, where drivers should set the ignore bit instead: the
            // server is told what it knows, and the client what it waits for.
            PacketType::ATTENTION if !self.complete => {
                self.writer.end(true);
                self.complete = true;
                self.given_up.store(true, Ordering::Relaxed);
            }
            PacketType::ATTENTION => {
                if !self.attention {
                    self.writer.attention();
                }
                self.attention = true;
            }
            _ if self.complete => self.early = Some((header, data)),
            same if same == self.packet_type => {
                self.writer.put(&data);
                if header.status.contains(PacketStatus::EOM) {
                    self.writer
                        .end(header.status.contains(PacketStatus::IGNORE));
                    self.complete = true;
                }
            }
            other => return Err(ConnectionError::Unexpected(other)),
        }
        Ok(())
    }

    /// Whether the whole request has been passed on.
    fn is_done(&self) -> bool {
        self.complete && self.writer.is_drained()
    }
}

/// What comes from the server.
struct Downward<'a> {
    reader: &'a mut WireReader,
    writer: &'a mut PacketWriter<WriteHalf<BoxedStream>>,
    tracker: &'a mut Tracker,
    may_reset: bool,
    given_up: &'a AtomicBool,
    version: TdsVersion,
    /// The server has acknowledged an attention.
    acknowledged: bool,
}

impl Downward<'_> {
    /// Passes one message on. A packet is looked at before the client gets it.
    async fn message(&mut self) -> Result<(), ConnectionError> {
        loop {
            let packet = self.reader.packet().await?;
            self.tracker.take(&packet.data, self.may_reset)?;
            let given_up = self.given_up.load(Ordering::Relaxed);
            if !given_up {
                self.writer.write(&packet.data).await?;
            }
            if packet.last && given_up {
                let acknowledged = done(self.version, DoneStatus::ATTN)?;
                self.writer.write(&acknowledged).await?;
                self.acknowledged = true;
            }
            if packet.last {
                break;
            }
            if packet.hurried {
                self.writer.flush_packet().await?;
            }
        }
        self.tracker.finish()?;
        self.acknowledged |= self.tracker.attention_acknowledged();
        self.writer.finish().await
    }
}

/// The client's next packet, for which there is a limit.
async fn next(
    client: &mut PacketReader<ReadHalf<BoxedStream>>,
    idle: Duration,
) -> Result<Option<Packet>, ConnectionError> {
    let read = timeout(idle, client.packet()).await;
    read.map_err(|_| ConnectionError::Idle)?
}

/// Takes the transaction out of a request's ALL_HEADERS (MS-TDS 2.2.5.3.2): the reset that came
/// first has ended it, whatever the client knew of it.
fn forget_transaction(data: &mut [u8]) {
    /// Total length, length of the only header, its type.
    const USUAL: [u8; 10] = [22, 0, 0, 0, 18, 0, 0, 0, 2, 0];
    if data.starts_with(&USUAL)
        && let Some(descriptor) = data.get_mut(10..18)
    {
        descriptor.fill(0);
    }
}
