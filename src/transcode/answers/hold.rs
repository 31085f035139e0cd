//! Where rows and values go: to the client, or to be held until what stands
//! before them is known.

use super::STREAM_FROM;
use super::plan::Slot;
use super::say;
use crate::tds::{DUMMY_TEXT_POINTER, DecodeError, Framing, PLP_UNKNOWN};
use crate::transcode::cutter::Cutter;
use crate::transcode::present::{MAX_LONG, Making};
use crate::transcode::{Session, TranscodeError};

/// Where rows and values go.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    mode: Mode,
    held: Vec<u8>,
    body: Body,
    /// Whether the rows of this result are left out, since one could not be said.
    dropping: bool,
    /// Whether the next DONE must say that the statement failed.
    failed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// To the client.
    #[default]
    Through,
    /// Held is a row, from its token on.
    Row,
    /// Held is a value, whose row is half sent.
    Value,
    /// Held is a RETURNVALUE of 7.1, from its token on.
    Output,
    /// The client does not get it.
    Nowhere,
}

/// A value that was PLP and has its length before it.
#[derive(Clone, Copy, Debug)]
struct Body {
    making: Making,
    /// Where it begins in what is held.
    from: usize,
    /// Where its first byte is, behind its length.
    start: usize,
    /// The total that stood before it.
    known: Option<u64>,
    /// What its chunks have announced so far.
    promised: u64,
    /// What is sent while it comes.
    stream: Option<Stream>,
}

/// A value whose length is with the client already.
#[derive(Clone, Copy, Debug)]
struct Stream {
    announced: u64,
    sent: u64,
}

impl Default for Body {
    fn default() -> Self {
        Self {
            making: Making::Same,
            from: 0,
            start: 0,
            known: None,
            promised: 0,
            stream: None,
        }
    }
}

/// A RETURNVALUE of 7.1: token, length, and what the length can say.
const MAX_OUTPUT: usize = 3 + u16::MAX as usize;
/// So much room is kept for the next row, in bytes.
const KEPT_ROOM: usize = 256 * 1024;

impl Outlet {
    /// Bytes as they are.
    pub(super) fn put(&mut self, bytes: &[u8], out: &mut Cutter) {
        match self.mode {
            Mode::Through => out.put(bytes),
            Mode::Nowhere => {}
            Mode::Row | Mode::Value | Mode::Output => self.hold(bytes),
        }
    }

    /// Grows by a quarter and not, as vectors do, to twice the size: what is held
    /// may be much, and there is a limit to it.
    fn hold(&mut self, bytes: &[u8]) {
        let room = self.held.capacity();
        if room - self.held.len() < bytes.len() {
            self.held.reserve_exact(bytes.len().max(room / 4));
        }
        self.held.extend_from_slice(bytes);
    }

    /// Whether all that is put goes to the client.
    pub(super) fn is_through(&self) -> bool {
        self.mode == Mode::Through
    }

    /// Whether rows are left out.
    pub(super) fn is_dropping(&self) -> bool {
        self.dropping
    }

    /// Whether the client has got nothing of the token at hand.
    pub(super) fn holds_whole_token(&self) -> bool {
        matches!(self.mode, Mode::Row | Mode::Output | Mode::Nowhere)
    }

    /// Bytes that could be held without asking for more memory.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.held.capacity()
    }

    /// A result begins.
    pub(super) fn begin_result(&mut self) {
        self.dropping = false;
    }

    /// A row begins, and is to be held if some value's length may not be known.
    pub(super) fn begin_row(&mut self, hold: bool) {
        self.mode = match hold {
            _ if self.dropping => Mode::Nowhere,
            true => Mode::Row,
            false => Mode::Through,
        };
    }

    /// A RETURNVALUE of 7.1 begins.
    pub(super) fn begin_output(&mut self) {
        self.mode = Mode::Output;
    }

    /// A statement ends; whether it failed for want of a way to say its result.
    pub(super) fn end_result(&mut self) -> bool {
        self.dropping = false;
        std::mem::take(&mut self.failed)
    }

    /// Whether a row that is held should be sent: because no value can prevent
    /// that any more, or because it grows too large, with `more` to come.
    pub(super) fn row_is_decided(&self, decided: bool, more: usize, session: &Session) -> bool {
        self.mode == Mode::Row && (decided || self.held.len() + more > session.hold_limit)
    }

    /// A value of this length is about to pass.
    pub(super) fn before_value(
        &mut self,
        len: u64,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        match self.mode {
            Mode::Row if len > STREAM_FROM as u64 => {
                self.release(out);
                Ok(())
            }
            Mode::Output if len > MAX_OUTPUT as u64 => self.too_long(session, out),
            _ => Ok(()),
        }
    }

    /// Sends what is held; what follows goes to the client.
    pub(super) fn release(&mut self, out: &mut Cutter) {
        out.put(&self.held);
        self.forget();
        self.mode = Mode::Through;
    }

    /// The row or RETURNVALUE ends.
    pub(super) fn end(
        &mut self,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        match self.mode {
            Mode::Output => match u16::try_from(self.held.len().saturating_sub(3)) {
                Ok(len) => {
                    patch(&mut self.held, 1, &len.to_le_bytes());
                    self.release(out);
                }
                Err(_) => self.too_long(session, out)?,
            },
            Mode::Row | Mode::Value => self.release(out),
            Mode::Through | Mode::Nowhere => {}
        }
        self.mode = Mode::Through;
        Ok(())
    }

    /// A PLP value begins that is to have its length before it.
    pub(super) fn begin_body(
        &mut self,
        slot: &Slot,
        total: u64,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let known = (total != PLP_UNKNOWN).then_some(total);
        let long = matches!(slot.making, Making::Long { .. });
        if long && known.is_some_and(|total| total > MAX_LONG.into()) {
            return self.too_long(session, out);
        }
        if self.mode == Mode::Through {
            self.mode = Mode::Value;
        }
        let from = self.held.len();
        let head: &[u8] = match slot.shown {
            Framing::TextPointer => DUMMY_TEXT_POINTER,
            _ => &[],
        };
        self.put(head, out);
        let length: &[u8] = if long { &[0; 4] } else { &[0; 2] };
        self.put(length, out);
        self.body = Body {
            making: slot.making,
            from,
            start: self.held.len(),
            known,
            promised: 0,
            stream: None,
        };
        Ok(())
    }

    /// A chunk of the value begins. It is judged here already, so that what is
    /// said of it does not depend on how its bytes come.
    pub(super) fn begin_chunk(
        &mut self,
        len: u32,
        session: &Session,
    ) -> Result<(), TranscodeError> {
        if self.mode == Mode::Nowhere {
            return Ok(());
        }
        let body = &mut self.body;
        body.promised += u64::from(len);
        match (body.making, body.known) {
            (Making::Short { max }, _) if body.promised > max.into() => {
                Err(TranscodeError::Answer(DecodeError::TooLong {
                    what: "a value of a CLR type",
                    len: body.promised,
                    max: max.into(),
                }))
            }
            (Making::Long { .. }, Some(total))
                if self.mode != Mode::Output && total > stream_from(session) =>
            {
                wrong_total(body.promised > total, total, body.promised)
            }
            _ => Ok(()),
        }
    }

    /// Some of the value's bytes.
    pub(super) fn body(
        &mut self,
        bytes: &[u8],
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        if self.mode == Mode::Nowhere {
            return Ok(());
        }
        if let Some(stream) = &mut self.body.stream {
            stream.sent += bytes.len() as u64;
            out.put(bytes);
            return Ok(());
        }
        self.hold(bytes);
        match self.body.making {
            Making::Short { .. } => Ok(()),
            _ => self.judge(session, out),
        }
    }

    /// Whether the value can go, or can be held any longer.
    fn judge(&mut self, session: &Session, out: &mut Cutter) -> Result<(), TranscodeError> {
        let limit = session.hold_limit;
        let len = self.held.len().saturating_sub(self.body.start);
        match (self.mode, self.body.known) {
            (Mode::Output, _) if self.held.len() > MAX_OUTPUT => self.too_long(session, out),
            (Mode::Output, _) => Ok(()),
            // The first two bytes may be a byte order mark.
            (_, Some(total)) if total > stream_from(session) && len >= 2 => {
                self.stream(total, out);
                Ok(())
            }
            (Mode::Row, known) if self.held.len() > limit => {
                if known.is_none() {
                    return self.too_long(session, out);
                }
                self.send_before_body(out);
                self.judge(session, out)
            }
            // One byte may always be held, since it takes two to judge the next.
            (Mode::Value, _) if len > limit.max(1) => self.too_long(session, out),
            _ => Ok(()),
        }
    }

    /// Sends what stands before the value, which stays held.
    fn send_before_body(&mut self, out: &mut Cutter) {
        out.put(self.held.get(..self.body.from).unwrap_or_default());
        self.held.drain(..self.body.from);
        self.body.start -= self.body.from;
        self.body.from = 0;
        self.mode = Mode::Value;
    }

    /// Sends the value's length, and from now on what comes of it.
    fn stream(&mut self, total: u64, out: &mut Cutter) {
        let announced = total.saturating_sub(self.drop_bom() as u64);
        let sent = self.held.len().saturating_sub(self.body.start) as u64;
        // `begin_body` has seen to it that it fits.
        let length = u32::try_from(announced).unwrap_or(MAX_LONG);
        patch(&mut self.held, self.body.start - 4, &length.to_le_bytes());
        self.release(out);
        self.body.stream = Some(Stream { announced, sent });
    }

    /// The value ends.
    pub(super) fn end_body(
        &mut self,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        if self.mode == Mode::Nowhere {
            return Ok(());
        }
        if let Some(stream) = self.body.stream.take() {
            let wrong = stream.sent != stream.announced;
            return wrong_total(wrong, stream.announced, stream.sent);
        }
        self.drop_bom();
        let len = self.held.len().saturating_sub(self.body.start);
        if let Making::Short { .. } = self.body.making {
            // `begin_chunk` has seen to it that it fits.
            let length = u16::try_from(len).unwrap_or(u16::MAX);
            patch(&mut self.held, self.body.start - 2, &length.to_le_bytes());
        } else {
            let Some(length) = u32::try_from(len).ok().filter(|&len| len <= MAX_LONG) else {
                return self.too_long(session, out);
            };
            patch(&mut self.held, self.body.start - 4, &length.to_le_bytes());
        }
        if self.mode == Mode::Value {
            self.release(out);
        }
        Ok(())
    }

    /// Drops the byte order mark in front of the value, if that is to be; how
    /// long it was.
    fn drop_bom(&mut self) -> usize {
        let start = self.body.start;
        let marked = self
            .held
            .get(start..)
            .is_some_and(|value| value.starts_with(&[0xFF, 0xFE]));
        if !marked || self.body.making != (Making::Long { drop_bom: true }) {
            return 0;
        }
        self.held.drain(start..start + 2);
        2
    }

    /// The value at hand cannot be said. If the client has seen nothing of what
    /// it is in, an ERROR takes its place.
    fn too_long(&mut self, session: &Session, out: &mut Cutter) -> Result<(), TranscodeError> {
        let error = match self.mode {
            Mode::Row => {
                self.dropping = true;
                say::row_too_long(session)
            }
            Mode::Output => say::output_too_long(session),
            Mode::Nowhere => return Ok(()),
            Mode::Through | Mode::Value => {
                return Err(TranscodeError::ValueTooLong {
                    limit: session.hold_limit,
                });
            }
        };
        self.failed = true;
        self.forget();
        self.mode = Mode::Nowhere;
        out.put(&error?);
        Ok(())
    }

    fn forget(&mut self) {
        self.held.clear();
        self.held.shrink_to(KEPT_ROOM);
    }
}

fn wrong_total(wrong: bool, announced: u64, sent: u64) -> Result<(), TranscodeError> {
    if wrong {
        return Err(TranscodeError::WrongTotal { announced, sent });
    }
    Ok(())
}

/// A value of known length streams if it is longer.
fn stream_from(session: &Session) -> u64 {
    STREAM_FROM.min(session.hold_limit) as u64
}

fn patch(held: &mut [u8], at: usize, length: &[u8]) {
    if let Some(place) = held.get_mut(at..at + length.len()) {
        place.copy_from_slice(length);
    }
}
