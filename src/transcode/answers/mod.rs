//! What the server says, as a client of an older version understands it.
//!
//! Tokens are read in *units*, which are small tokens, heads of longer ones and
//! fields; values pass through in pieces. Where a whole row lies in the bytes at
//! hand it is copied by arithmetic, and rows that need no change in one go.
//!
//! # What is held
//!
//! A unit that is cut, up to [`MAX_UNIT`] bytes, and at 7.1 three things more:
//!
//! * A row with columns of types that become text, ntext or image, whose length
//!   stands before the value. Such a row is held from its beginning, and is sent
//!   as soon as one of these is true: no later column is of such a type; a value
//!   begins that is longer than [`STREAM_FROM`] bytes and says so; what is held
//!   is more than the limit, and not because of a value of unknown length. What
//!   follows then streams.
//! * A value that becomes text, ntext or image and does not say how long it is,
//!   or is at most [`STREAM_FROM`] bytes long, or as long as the limit if that is
//!   less; and one of a small CLR type, of at most 8000 bytes.
//! * A RETURNVALUE, whose length stands before it in two bytes.
//!
//! When what is held of a row grows beyond
//! [`hold_limit`](super::Settings::hold_limit), or a value is too long for any
//! text, and nothing of the row has been sent, then the row does not come: an
//! ERROR stands in its place, the result has no more rows, and its DONE says that
//! it failed. The session stays in step. When some of the row has been sent, the
//! session ends with [`TranscodeError::ValueTooLong`].
//!
//! The total of a value that is held counts for nothing, since MS-TDS calls it a
//! hint; that of a value that streams is the client's, and must hold.

mod hold;
mod plan;
mod rows;
mod say;
mod units;
mod values;

#[cfg(test)]
mod tests;

use self::hold::Outlet;
use self::plan::Plans;
use super::cutter::Cutter;
use super::{ENOUGH, Session, TranscodeError};
use crate::tds::{
    DecodeError, Done, DoneStatus, PacketHeader, PacketStatus, PacketType, ServerMessage, Token,
};

/// Bound of a unit in bytes. Only hostile metadata comes near.
const MAX_UNIT: usize = 256 * 1024;

/// A value of known length streams if it is longer, in bytes.
const STREAM_FROM: usize = 64 * 1024;

/// Rewrites the tokens of answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Whether a message has begun.
    begun: bool,
    state: State,
    /// Bytes that need no look before `state` goes on.
    pass: Pass,
    /// The beginning of a unit that goes on in bytes yet to come, and how long
    /// it must grow before it is worth another look.
    pending: Vec<u8>,
    need: usize,
    plans: Plans,
    /// The null bitmap of the NBCROW at hand, and eight bytes of zeros.
    nulls: Vec<u8>,
    outlet: Outlet,
    /// Room for what is made of a unit, or of values that lie whole in the bytes
    /// at hand.
    scratch: Vec<u8>,
}

/// What comes next in the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A token.
    #[default]
    Token,
    /// A column of COLMETADATA; so many are left.
    Column { left: u16 },
    /// A column of ALTMETADATA; so many are left.
    AltColumn { left: u16 },
    /// A feature of FEATUREEXTACK, or its end.
    Feature,
    /// What stands before a value, or the end of what it is in.
    Value(At),
    /// The length of a PLP value's next chunk.
    Chunk(At),
}

/// Which value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    of: Of,
    column: usize,
}

/// What a value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Row,
    /// A NBCROW, whose bitmap is `nulls`.
    NbcRow,
    /// An ALTROW, of the plan with this index.
    AltRow(usize),
    ReturnValue,
}

/// Bytes on their way.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    left: u64,
    to: To,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum To {
    /// As they are.
    #[default]
    Outlet,
    /// As a part of a value that changes its framing.
    Body,
    /// The client does not get them.
    Nowhere,
}

impl Answers {
    /// A packet of the server's begins.
    pub(super) fn begin_packet(&mut self, header: PacketHeader, out: &mut Cutter) {
        if !self.begun {
            self.begun = true;
            out.begin(
                PacketType::TABULAR_RESULT,
                PacketStatus::NORMAL,
                header.spid,
            );
        }
    }

    /// Takes data of a packet; how much of it. Stops early when enough has been
    /// made.
    pub(super) fn data(
        &mut self,
        data: &[u8],
        session: &mut Session,
        out: &mut Cutter,
    ) -> Result<usize, TranscodeError> {
        let mut taken = 0;
        loop {
            let rest = data.get(taken..).unwrap_or_default();
            taken += self.step(rest, session, out)?;
            // With nothing left a step still does what the end of a value entails.
            if rest.is_empty() || taken < data.len() && has_enough(out) {
                return Ok(taken);
            }
        }
    }

    /// The packet has ended. What was made of it goes to the client now, as the
    /// server may have sent it early on purpose; but not while a token goes on:
    /// servers do not send a part of one in a packet that is not full, and
    /// python-tds cannot read a number whose packet ends before it is full.
    pub(super) fn end_packet(
        &mut self,
        header: PacketHeader,
        _session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        if !header.status.contains(PacketStatus::EOM) {
            if self.client_is_at_border() {
                out.flush();
            }
            return Ok(());
        }
        if let Some((need, have)) = self.missing() {
            return Err(TranscodeError::Answer(DecodeError::Truncated {
                what: "the response",
                need,
                have,
            }));
        }
        *self = Self::default();
        out.end(PacketStatus::EOM);
        Ok(())
    }

    /// Ends the answer with an error, if what the client has got of it ends
    /// between tokens.
    pub(super) fn tell(
        &mut self,
        error: &ServerMessage,
        session: &Session,
        out: &mut Cutter,
    ) -> bool {
        let mut tokens = Vec::new();
        let version = session.version.tds_version();
        let said = Token::Error(error.clone()).encode(version, &mut tokens);
        if said.is_err() || !self.client_is_at_border() {
            return false;
        }
        Done::new(DoneStatus::ERROR).encode(version, &mut tokens);
        if !out.in_message() {
            out.begin(PacketType::TABULAR_RESULT, PacketStatus::NORMAL, 0);
        }
        out.put(&tokens);
        out.end(PacketStatus::EOM);
        *self = Self::default();
        true
    }

    /// Whether no token is half sent to the client.
    fn client_is_at_border(&self) -> bool {
        let held_back = self.pass.left == 0 || self.pass.to == To::Nowhere;
        match self.state {
            State::Token | State::Feature => held_back,
            State::Value(_) | State::Chunk(_) => self.outlet.holds_whole_token(),
            State::Column { .. } | State::AltColumn { .. } => false,
        }
    }

    /// What the field that comes next needs and has, if a token is half read.
    fn missing(&self) -> Option<(usize, usize)> {
        if self.pass.left > 0 {
            return Some((usize::try_from(self.pass.left).unwrap_or(usize::MAX), 0));
        }
        match (self.pending.len(), self.state) {
            (0, State::Token) => None,
            (0, _) => Some((1, 0)),
            (have, _) => Some((self.need, have)),
        }
    }

    /// Does one thing, and returns how many bytes are done with.
    fn step(
        &mut self,
        bytes: &[u8],
        session: &mut Session,
        out: &mut Cutter,
    ) -> Result<usize, TranscodeError> {
        let mut at = self.pass_on(bytes, session, out)?;
        if self.pass.left > 0 {
            return Ok(at);
        }
        if !self.pending.is_empty() {
            let rest = bytes.get(at..).unwrap_or_default();
            return Ok(at + self.grow_pending(rest, session, out)?);
        }
        let walked = self.walk_rows(bytes.get(at..).unwrap_or_default(), session, out)?;
        at += walked;
        let rest = bytes.get(at..).unwrap_or_default();
        // Rows are left standing when enough is made, and no unit is one.
        if rest.is_empty() || walked > 0 || has_enough(out) {
            return Ok(at);
        }
        match self.unit(rest, session, out)? {
            Progress::Read(len) => at += len,
            Progress::Needs(need) => {
                self.need = bounded(need)?;
                self.pending.extend_from_slice(rest);
                at += rest.len();
            }
        }
        Ok(at)
    }

    fn pass_on(
        &mut self,
        bytes: &[u8],
        session: &Session,
        out: &mut Cutter,
    ) -> Result<usize, TranscodeError> {
        let left = usize::try_from(self.pass.left).unwrap_or(usize::MAX);
        let part = bytes.get(..left).unwrap_or(bytes);
        match self.pass.to {
            To::Outlet => self.outlet.put(part, out),
            To::Body if part.is_empty() => {}
            To::Body => self.outlet.body(part, session, out)?,
            To::Nowhere => {}
        }
        self.pass.left -= part.len() as u64;
        Ok(part.len())
    }

    /// Adds to the unit that was kept as many bytes as it is known to need, and
    /// reads it if they are enough. Returns how many bytes are done with.
    fn grow_pending(
        &mut self,
        bytes: &[u8],
        session: &mut Session,
        out: &mut Cutter,
    ) -> Result<usize, TranscodeError> {
        let missing = self.need.saturating_sub(self.pending.len());
        let added = bytes.get(..missing).unwrap_or(bytes);
        self.pending.extend_from_slice(added);
        if added.len() < missing {
            return Ok(added.len());
        }
        let mut pending = std::mem::take(&mut self.pending);
        match self.unit(&pending, session, out)? {
            // A unit asks for one field after the other, so nothing is left.
            Progress::Read(len) => {
                debug_assert_eq!(len, pending.len());
                pending.clear();
            }
            Progress::Needs(need) => self.need = bounded(need)?,
        }
        self.pending = pending;
        Ok(added.len())
    }
}

/// How far a unit could be read.
enum Progress {
    /// It is read; so long was it.
    Read(usize),
    /// It needs so many bytes in all.
    Needs(usize),
}

fn has_enough(out: &Cutter) -> bool {
    out.finished().len() >= ENOUGH
}

fn bounded(need: usize) -> Result<usize, TranscodeError> {
    if need > MAX_UNIT {
        return Err(TranscodeError::Answer(DecodeError::TooLong {
            what: "a token of the response",
            len: need as u64,
            max: MAX_UNIT as u64,
        }));
    }
    Ok(need)
}

fn invalid(problem: &'static str) -> TranscodeError {
    TranscodeError::Answer(DecodeError::Invalid {
        what: "the response",
        problem,
    })
}
