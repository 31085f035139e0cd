//! Follows the server's responses on their way to the driver.
//!
//! The driver reads ahead, and may be dropped with half a response in its
//! buffer; nothing it offers tells so. Therefore a response's last token, which
//! is always a DONE (MS-TDS 2.2.7.6), is cut off into a packet of its own and
//! handed over only when the driver asks for more: it does that when it has used
//! up everything before.

use tokio::io::ReadBuf;

use super::wire::WireFault;
use crate::tds::{
    DecodeError, DoneStatus, EnvChange, HEADER_LEN, PacketHeader, PacketStatus, PacketType, Reader,
    ResponseWalker, ServerMessage, TdsVersion, Token, WalkEvent, read_token,
};

/// Length of DONE and DONEPROC with their token byte, from 7.2 on (MS-TDS
/// 2.2.7.6).
const DONE_LEN: usize = 13;

/// Reads responses as they come in. Sans-IO.
#[derive(Debug)]
pub(super) struct Responses {
    walker: ResponseWalker,
    phase: Phase,
    header: PacketHeader,
    /// Payload bytes of the current packet that the driver may have at once.
    body: usize,
    /// Set in a response's last packet: its payload bytes to be kept apart.
    ending: Option<usize>,
    staged: Staged,
    seen: Seen,
    /// Whether the response went beyond what the walker reads.
    blind: bool,
}

/// Where the response stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// None is expected.
    Idle,
    /// One is expected.
    Waiting,
    /// One has begun.
    Reading,
    /// One is here whole, and the driver has not asked for its end.
    Held,
}

/// What the tokens told.
#[derive(Debug, Default)]
struct Seen {
    /// The open transaction's descriptor; 0 is none.
    transaction: u64,
    /// Whether an attention waits for its acknowledgement.
    attention: bool,
    /// Whether the response must acknowledge a reset before anything else.
    reset_demanded: bool,
    /// The first error of the current response.
    error: Option<ServerMessage>,
    /// A result came before the demanded acknowledgement.
    result_too_early: bool,
    /// Whether the server acknowledged the last reset, as long as nobody asked.
    reset_outcome: Option<bool>,
}

impl Responses {
    pub(super) fn new() -> Self {
        Self {
            walker: ResponseWalker::new(),
            phase: Phase::Idle,
            header: PacketHeader {
                packet_type: PacketType::TABULAR_RESULT,
                status: PacketStatus::EOM,
                length: 0,
                spid: 0,
                packet_id: 0,
                window: 0,
            },
            body: 0,
            ending: None,
            staged: Staged::default(),
            seen: Seen::default(),
            blind: false,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// The open transaction's descriptor; 0 if there is none.
    pub(super) fn transaction(&self) -> u64 {
        self.seen.transaction
    }

    /// Whether an attention waits for its acknowledgement.
    pub(super) fn attention(&self) -> bool {
        self.seen.attention
    }

    /// The first error that the latest response held.
    pub(super) fn error(&self) -> Option<&ServerMessage> {
        self.seen.error.as_ref()
    }

    /// Whether a result came where a reset's acknowledgement was due.
    pub(super) fn is_unreset(&self) -> bool {
        self.seen.result_too_early
    }

    /// Whether the last reset was acknowledged; each outcome is told once.
    pub(super) fn take_reset_outcome(&mut self) -> Option<bool> {
        self.seen.reset_outcome.take()
    }

    /// Whether a response could not be read, so that what it did is unknown.
    pub(super) fn is_blind(&self) -> bool {
        self.blind
    }

    /// Demands that the next response acknowledges a reset.
    pub(super) fn demand_acknowledgement(&mut self, demanded: bool) {
        self.seen.reset_demanded = demanded;
    }

    /// A request has gone out.
    pub(super) fn begin(&mut self) {
        self.phase = Phase::Waiting;
        self.seen.error = None;
    }

    /// An attention has gone out. The server always acknowledges it, in the
    /// response under way or in a message after it (MS-TDS 2.2.4.3).
    pub(super) fn await_attention(&mut self) {
        self.seen.attention = true;
        match self.phase {
            Phase::Idle => self.phase = Phase::Waiting,
            // The driver takes the end of a message for the end of all.
            Phase::Held => self.staged.clear_eom(),
            Phase::Waiting | Phase::Reading => {}
        }
    }

    /// Copies to the driver what it may have of `received`, and returns how
    /// many bytes of that are done with.
    ///
    /// A response's last token is handed over on a call of its own, before
    /// which nothing else was put into `driver`.
    pub(super) fn hand_over(
        &mut self,
        received: &[u8],
        driver: &mut ReadBuf<'_>,
    ) -> Result<usize, WireFault> {
        let before = driver.filled().len();
        let mut unread = received;
        loop {
            if !self.staged.is_empty() {
                if self.phase == Phase::Held && driver.filled().len() > before {
                    break;
                }
                self.staged.drain_into(driver);
                if self.staged.is_empty() && self.phase == Phase::Held {
                    self.after_the_end();
                    break;
                }
                if driver.remaining() == 0 {
                    break;
                }
            } else if self.body > 0 {
                let len = self.body.min(unread.len()).min(driver.remaining());
                let Some((bytes, rest)) = unread.split_at_checked(len).filter(|_| len > 0) else {
                    break;
                };
                self.walk(bytes)?;
                driver.put_slice(bytes);
                self.body -= len;
                unread = rest;
            } else if let Some(len) = self.ending {
                let Some((bytes, rest)) = unread.split_at_checked(len) else {
                    break;
                };
                self.walk(bytes)?;
                self.stage_end(bytes);
                unread = rest;
            } else {
                let Some((header, rest)) = unread.split_first_chunk() else {
                    break;
                };
                self.begin_packet(header)?;
                unread = rest;
            }
        }
        Ok(received.len() - unread.len())
    }

    fn begin_packet(&mut self, header: &[u8; HEADER_LEN]) -> Result<(), WireFault> {
        let header = PacketHeader::decode(header).map_err(WireFault::ResponsePacket)?;
        match self.phase {
            Phase::Idle | Phase::Held => return Err(WireFault::Unsolicited),
            Phase::Waiting => {
                self.walker.reset();
                self.phase = Phase::Reading;
            }
            Phase::Reading => {}
        }
        if header.packet_type != PacketType::TABULAR_RESULT {
            return Err(WireFault::ResponseType {
                packet_type: header.packet_type,
            });
        }
        self.header = header;
        self.body = header.data_len();
        if header.status.contains(PacketStatus::EOM) {
            let kept = self.body.min(DONE_LEN);
            self.body -= kept;
            self.ending = Some(kept);
            self.header.status.remove(PacketStatus::EOM);
        }
        if self.body > 0 {
            self.staged.put(&self.packet(self.body), &[]);
        }
        Ok(())
    }

    /// The current packet's header, for `len` bytes of payload.
    fn packet(&self, len: usize) -> [u8; HEADER_LEN] {
        PacketHeader {
            // `len` is at most what the header that came said.
            length: u16::try_from(HEADER_LEN + len).unwrap_or(u16::MAX),
            ..self.header
        }
        .encode()
    }

    fn stage_end(&mut self, bytes: &[u8]) {
        self.ending = None;
        self.phase = Phase::Held;
        if self.blind {
            self.seen.attention &= !acknowledges_attention(bytes);
        } else if let Err(error) = self.walker.finish() {
            self.lose_sight(&error);
        }
        if !self.seen.attention {
            self.header.status.insert(PacketStatus::EOM);
        }
        self.staged.put(&self.packet(bytes.len()), bytes);
    }

    fn after_the_end(&mut self) {
        self.phase = if self.seen.attention {
            Phase::Waiting
        } else {
            Phase::Idle
        };
    }

    fn walk(&mut self, payload: &[u8]) -> Result<(), WireFault> {
        if !self.blind {
            let seen = &mut self.seen;
            if let Err(error) = self.walker.feed(payload, &mut |event| seen.note(event)) {
                self.lose_sight(&error);
            }
        }
        let unacknowledged = self.seen.result_too_early || (self.blind && self.seen.reset_demanded);
        // An error in place of the acknowledgement says more than we could.
        if unacknowledged && self.seen.error.is_none() {
            self.seen.reset_outcome = Some(false);
            return Err(WireFault::ResetNotAcknowledged);
        }
        Ok(())
    }

    /// The driver reads on by its own lights; only the session's state is lost.
    fn lose_sight(&mut self, error: &DecodeError) {
        self.blind = true;
        tracing::debug!(
            error = error as &dyn std::error::Error,
            "a response cannot be followed; the session will not be reused"
        );
    }
}

/// ENVCHANGE 11: a distributed transaction was entered; 12 and 17 end one.
const ENLISTED: u8 = 11;
/// Stands for a transaction whose descriptor was not told.
const UNKNOWN_TRANSACTION: u64 = u64::MAX;

/// For a response that could not be followed: whether its last token is a DONE
/// that acknowledges an attention.
fn acknowledges_attention(end: &[u8]) -> bool {
    let token = read_token(&mut Reader::new(end), TdsVersion::V7_4);
    matches!(token, Ok(Token::Done(done)) if done.status.contains(DoneStatus::ATTN))
}

impl Seen {
    fn note(&mut self, event: WalkEvent) {
        match event {
            WalkEvent::EnvChange(change) => self.note_change(&change),
            WalkEvent::Error(error) => {
                self.error.get_or_insert(error);
            }
            WalkEvent::Info(_) => {}
            WalkEvent::Done(done) => {
                self.on_result();
                if done.status.contains(DoneStatus::ATTN) {
                    self.attention = false;
                }
            }
            _ => self.on_result(),
        }
    }

    fn on_result(&mut self) {
        if self.reset_demanded {
            self.reset_demanded = false;
            self.result_too_early = true;
            self.reset_outcome = Some(false);
        }
    }

    fn note_change(&mut self, change: &EnvChange) {
        match change {
            EnvChange::BeginTransaction(descriptor) => self.transaction = *descriptor,
            EnvChange::CommitTransaction(_) | EnvChange::RollbackTransaction(_) => {
                self.transaction = 0;
            }
            EnvChange::Distributed { env_type, new, old } => {
                // Which side holds the descriptor is not certain.
                self.transaction = if *env_type == ENLISTED {
                    new.or(*old).unwrap_or(UNKNOWN_TRANSACTION)
                } else {
                    0
                };
            }
            EnvChange::ResetAcknowledged => {
                self.reset_demanded = false;
                self.reset_outcome = Some(true);
            }
            _ => {}
        }
    }
}

/// Bytes of our own making that wait for the driver: a header, or a response's
/// last packet.
#[derive(Debug, Default)]
struct Staged {
    bytes: [u8; HEADER_LEN + DONE_LEN],
    at: usize,
    len: usize,
}

impl Staged {
    fn is_empty(&self) -> bool {
        self.at == self.len
    }

    fn put(&mut self, header: &[u8; HEADER_LEN], payload: &[u8]) {
        let len = HEADER_LEN + payload.len();
        self.bytes[..HEADER_LEN].copy_from_slice(header);
        self.bytes[HEADER_LEN..len].copy_from_slice(payload);
        (self.at, self.len) = (0, len);
    }

    fn drain_into(&mut self, driver: &mut ReadBuf<'_>) {
        let len = (self.len - self.at).min(driver.remaining());
        driver.put_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
    }

    /// Makes the staged packet one that others follow, if it has not been
    /// handed over yet.
    fn clear_eom(&mut self) {
        let (Some(header), 0) = (self.bytes.first_chunk(), self.at) else {
            return;
        };
        if let Ok(mut header) = PacketHeader::decode(header) {
            header.status.remove(PacketStatus::EOM);
            self.bytes[..HEADER_LEN].copy_from_slice(&header.encode());
        }
    }
}
