//! Walks over a response without reading its rows.

mod rows;
#[cfg(test)]
mod tests;
mod units;

use super::{DecodeError, Done, EnvChange, Framing, ServerMessage};
use rows::ValueAt;

/// Something in a response that matters to whoever owns the session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalkEvent {
    /// A result begins, with this many columns.
    ColMetadata {
        /// 0 if the server sent no metadata.
        columns: u16,
    },
    /// A statement or procedure has ended.
    Done(Done),
    /// A setting of the session has changed.
    EnvChange(EnvChange),
    /// Something failed.
    Error(ServerMessage),
    /// A message for the user.
    Info(ServerMessage),
    /// A procedure's return value.
    ReturnStatus(i32),
}

/// Reads a tabular response as it passes by, in TDS 7.4 or 8.0.
///
/// [`feed`](Self::feed) takes the data of the response's packets, cut anywhere.
/// Values are skipped and never held: memory does not grow with rows, and a row
/// that lies whole in the bytes at hand costs no allocation. Reset the walker,
/// or check [`finish`](Self::finish), between messages.
///
/// The session must not have negotiated COLUMNENCRYPTION or DATACLASSIFICATION,
/// which change the layout of tokens.
///
/// ```
/// use entrada::tds::{Done, DoneStatus, ResponseWalker, TdsVersion, WalkEvent};
///
/// let mut response = Vec::new();
/// Done::new(DoneStatus::FINAL).encode(TdsVersion::V7_4, &mut response);
///
/// let mut walker = ResponseWalker::new();
/// let mut events = Vec::new();
/// for byte in response {
///     walker.feed(&[byte], &mut |event| events.push(event))?;
/// }
/// walker.finish()?;
/// assert_eq!(events, [WalkEvent::Done(Done::new(DoneStatus::FINAL))]);
/// # Ok::<(), entrada::tds::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResponseWalker {
    state: State,
    /// Bytes to skip before `state` goes on.
    skip: u64,
    /// How the values of the current result's columns are framed.
    columns: Vec<Framing>,
    /// The null bitmap of the NBCROW at hand.
    nulls: Vec<u8>,
    /// The beginning of a unit that goes on in bytes yet to come, and how long
    /// it must grow before it is worth another look.
    pending: Vec<u8>,
    need: usize,
}

/// What comes next in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A token.
    Token,
    /// A column of COLMETADATA.
    Column { count: u16, left: u16 },
    /// A feature of FEATUREEXTACK, or its end.
    Feature,
    /// What stands before a value.
    Value(ValueAt),
    /// The length of a PLP value's next chunk.
    Chunk(ValueAt),
}

/// How far a unit, which is a field or a whole small token, could be read.
enum Progress {
    /// It is read; so long was it.
    Read(usize),
    /// It needs so many bytes in all.
    Needs(usize),
}

/// Bound of a unit in bytes. Only hostile metadata comes near: everything that
/// may be long is skipped, not held.
const MAX_UNIT: usize = 256 * 1024;

impl Default for ResponseWalker {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseWalker {
    /// A walker that stands before a response.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Token,
            skip: 0,
            columns: Vec::new(),
            nulls: Vec::new(),
            pending: Vec::new(),
            need: 0,
        }
    }

    /// Takes the next bytes of the response and reports what they complete.
    ///
    /// # Errors
    /// [`DecodeError`] if the stream makes no sense; nothing after that point
    /// can be read, so later calls are of no use before a
    /// [`reset`](Self::reset).
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        on_event: &mut impl FnMut(WalkEvent),
    ) -> Result<(), DecodeError> {
        loop {
            bytes = self.skipped(bytes);
            if bytes.is_empty() {
                return Ok(());
            }
            let walked = if self.pending.is_empty() {
                bytes = self.walk_rows(bytes);
                self.walk_unit(bytes, on_event)?
            } else {
                self.walk_pending(bytes, on_event)?
            };
            bytes = bytes.get(walked..).unwrap_or_default();
        }
    }

    /// Whether no token is half read.
    #[must_use]
    pub fn is_at_token_border(&self) -> bool {
        self.state == State::Token && self.skip == 0 && self.pending.is_empty()
    }

    /// Confirms that the message may end here, and makes ready for another.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if a token is half read.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        let cut = self.missing();
        self.reset();
        match cut {
            None => Ok(()),
            Some((need, have)) => Err(DecodeError::Truncated {
                what: "the response",
                need,
                have,
            }),
        }
    }

    /// Forgets everything, to stand before a response again.
    pub fn reset(&mut self) {
        self.state = State::Token;
        self.skip = 0;
        self.columns.clear();
        self.pending.clear();
        self.need = 0;
    }

    /// What the field that comes next needs and has, if a token is half read.
    fn missing(&self) -> Option<(usize, usize)> {
        if self.is_at_token_border() {
            return None;
        }
        if self.skip > 0 {
            return Some((usize::try_from(self.skip).unwrap_or(usize::MAX), 0));
        }
        match self.pending.len() {
            0 => Some((1, 0)),
            have => Some((self.need, have)),
        }
    }

    /// The bytes after what was to be skipped.
    fn skipped<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let (skipped, rest) = bytes.split_at(skip.min(bytes.len()));
        self.skip -= skipped.len() as u64;
        rest
    }

    /// Reads one unit off the front of `bytes`, or keeps them if it goes on
    /// beyond. Returns how many bytes are done with.
    fn walk_unit(
        &mut self,
        bytes: &[u8],
        on_event: &mut impl FnMut(WalkEvent),
    ) -> Result<usize, DecodeError> {
        if bytes.is_empty() || self.skip > 0 {
            return Ok(0);
        }
        match self.unit(bytes, on_event)? {
            Progress::Read(len) => Ok(len),
            Progress::Needs(need) => {
                self.need = bounded(need)?;
                self.pending.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    /// Adds to the unit that was kept as many bytes as it is known to need, and
    /// reads it if they are enough. Returns how many bytes are done with.
    fn walk_pending(
        &mut self,
        bytes: &[u8],
        on_event: &mut impl FnMut(WalkEvent),
    ) -> Result<usize, DecodeError> {
        let missing = self.need.saturating_sub(self.pending.len());
        let added = missing.min(bytes.len());
        self.pending
            .extend_from_slice(bytes.get(..added).unwrap_or_default());
        if added < missing {
            return Ok(added);
        }
        let mut pending = std::mem::take(&mut self.pending);
        match self.unit(&pending, on_event)? {
            // A unit asks for one field after the other, so nothing is left.
            Progress::Read(len) => {
                debug_assert_eq!(len, pending.len());
                pending.clear();
            }
            Progress::Needs(need) => self.need = bounded(need)?,
        }
        self.pending = pending;
        Ok(added)
    }
}

fn bounded(need: usize) -> Result<usize, DecodeError> {
    if need > MAX_UNIT {
        return Err(DecodeError::TooLong {
            what: "a token of the response",
            len: need as u64,
            max: MAX_UNIT as u64,
        });
    }
    Ok(need)
}
