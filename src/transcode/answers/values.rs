//! Values that do not lie whole in the bytes at hand, and what becomes of values.

use super::hold::Outlet;
use super::plan::{Slot, null};
use super::{Answers, At, Pass, State, To, invalid};
use crate::tds::{DecodeError, Framing, PLP_NULL, Put, Reader};
use crate::transcode::cutter::Cutter;
use crate::transcode::present::{self, Making};
use crate::transcode::{Session, TranscodeError};

/// What stands before a value, or all of a value that changes.
pub(super) enum Head<'a> {
    /// To be copied, with so many bytes that follow.
    Same { head: &'a [u8], len: u64 },
    /// A text pointer and timestamp, and so many bytes that follow.
    Pointer {
        pointer: &'a [u8],
        rest: &'a [u8],
        len: u64,
    },
    /// The total of a PLP value.
    Plp(u64),
    /// A whole value without its length.
    Whole(&'a [u8]),
}

impl Slot {
    /// Reads what stands before the value.
    pub(super) fn head<'a>(&self, reader: &mut Reader<'a>) -> Result<Head<'a>, DecodeError> {
        match self.making {
            Making::DateText(_) => return reader.b_varbyte().map(Head::Whole),
            Making::Variant => return variant_head(reader),
            Making::Same | Making::Long { .. } | Making::Short { .. } => {}
        }
        let (before, from) = (reader.rest(), reader.position());
        if self.framing == Framing::TextPointer && reader.peek() != Some(0) {
            let pointer = reader.b_varbyte()?;
            let rest = reader.rest();
            reader.skip(TIMESTAMP_LEN)?;
            let len = reader.long_len()?.into();
            let rest = rest.get(..TIMESTAMP_LEN + 4).unwrap_or_default();
            return Ok(Head::Pointer { pointer, rest, len });
        }
        let Some(len) = self.framing.read_len(reader)? else {
            return reader.u64_le().map(Head::Plp);
        };
        let head = before.get(..reader.position() - from).unwrap_or_default();
        Ok(Head::Same {
            head,
            len: len.into(),
        })
    }

    /// Appends what the client gets for a value without its length, with its
    /// length; nothing if that cannot be said.
    pub(super) fn make(
        &self,
        value: &[u8],
        made: &mut Vec<u8>,
        session: &Session,
    ) -> Result<(), TranscodeError> {
        if value.is_empty() {
            made.put_slice(self.null()?);
            return Ok(());
        }
        match self.making {
            Making::DateText(text) => {
                let start = made.len();
                made.put_u16_le(text.len());
                let written = text.write(value, made);
                written.inspect_err(|_| made.truncate(start))
            }
            _ => present::write_variant(value, session.collation, made),
        }
        .map_err(TranscodeError::Answer)
    }

    /// Puts a PLP value that lies whole in `value`, with its length before it.
    pub(super) fn reframe(
        &self,
        value: &[u8],
        outlet: &mut Outlet,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let mut reader = Reader::named("the response", value);
        let total = reader.u64_le().map_err(TranscodeError::Answer)?;
        if !self.begin(total, outlet, session, out)? {
            return Ok(());
        }
        loop {
            let len = reader.u32_le().map_err(TranscodeError::Answer)?;
            if len == 0 {
                return outlet.end_body(session, out);
            }
            outlet.begin_chunk(len, session)?;
            let chunk = reader.take(usize::try_from(len).unwrap_or(usize::MAX));
            let chunk = chunk.map_err(TranscodeError::Answer)?;
            outlet.body(chunk, session, out)?;
        }
    }

    /// Begins a PLP value that has its length before it; `false` if it is NULL.
    fn begin(
        &self,
        total: u64,
        outlet: &mut Outlet,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<bool, TranscodeError> {
        if total == PLP_NULL {
            outlet.put(self.null()?, out);
            return Ok(false);
        }
        outlet.begin_body(self, total, session, out)?;
        Ok(true)
    }

    fn null(&self) -> Result<&'static [u8], TranscodeError> {
        null(self.shown).ok_or(invalid("a value is NULL that cannot be"))
    }
}

/// Timestamp after a text pointer, in bytes.
const TIMESTAMP_LEN: usize = 8;
/// Text pointer, in bytes.
const POINTER_LEN: usize = 16;

impl Answers {
    /// How the value is to be dealt with.
    pub(super) fn slot(&self, at: At) -> Result<Slot, TranscodeError> {
        let slot = self
            .plans
            .of(at.of)
            .and_then(|plan| plan.slots.get(at.column));
        slot.copied()
            .ok_or(invalid("a row has more values than columns"))
    }

    /// Acts on what stands before a value.
    pub(super) fn take_head(
        &mut self,
        at: At,
        head: &Head<'_>,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let slot = self.slot(at)?;
        self.state = State::Value(At {
            column: at.column + 1,
            ..at
        });
        match *head {
            Head::Same { head, len } => self.begin_same(head, len, session, out)?,
            Head::Pointer { pointer, rest, len } => {
                // jTDS counts on 16 bytes.
                let mut head = vec![0; 1 + POINTER_LEN];
                head.splice(..1, [16]);
                for (to, from) in head.iter_mut().skip(1).zip(pointer) {
                    *to = *from;
                }
                head.extend_from_slice(rest);
                self.begin_same(&head, len, session, out)?;
            }
            Head::Plp(total) if slot.making == Making::Same => {
                self.outlet.put(&total.to_le_bytes(), out);
                if total != PLP_NULL {
                    self.state = State::Chunk(at);
                }
            }
            Head::Plp(total) => {
                if slot.begin(total, &mut self.outlet, session, out)? {
                    self.state = State::Chunk(at);
                }
            }
            Head::Whole(value) => {
                self.scratch.clear();
                slot.make(value, &mut self.scratch, session)?;
                self.outlet.put(&self.scratch, out);
            }
        }
        Ok(())
    }

    fn begin_same(
        &mut self,
        head: &[u8],
        len: u64,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        self.outlet.before_value(len, session, out)?;
        self.outlet.put(head, out);
        self.pass = Pass {
            left: len,
            to: To::Outlet,
        };
        Ok(())
    }

    /// Acts on the length of a chunk.
    pub(super) fn take_chunk(
        &mut self,
        at: At,
        len: u32,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let same = self.slot(at)?.making == Making::Same;
        if same {
            self.outlet.put(&len.to_le_bytes(), out);
        }
        if len > 0 && !same {
            self.outlet.begin_chunk(len, session)?;
        }
        if len == 0 {
            if !same {
                self.outlet.end_body(session, out)?;
            }
            self.state = State::Value(At {
                column: at.column + 1,
                ..at
            });
        }
        self.pass = Pass {
            left: len.into(),
            to: if same { To::Outlet } else { To::Body },
        };
        Ok(())
    }
}

/// Of a variant that is to be changed, all of it.
fn variant_head<'a>(reader: &mut Reader<'a>) -> Result<Head<'a>, DecodeError> {
    let before = reader.rest();
    let len = reader.long_len()?;
    let base = match len {
        0 => return Ok(Head::Whole(&[])),
        _ => reader.u8()?,
    };
    if present::variant_changes(base) {
        let whole = usize::try_from(len).unwrap_or(usize::MAX);
        reader.skip(whole.saturating_sub(1))?;
        let value = before.get(4..).and_then(|value| value.get(..whole));
        return Ok(Head::Whole(value.unwrap_or_default()));
    }
    Ok(Head::Same {
        head: before.get(..5).unwrap_or_default(),
        len: u64::from(len) - 1,
    })
}
