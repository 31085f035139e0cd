//! Rows: copied by arithmetic where they lie whole in the bytes at hand.

use super::hold::Outlet;
use super::plan::Slot;
use super::{Answers, At, Of, State, has_enough, invalid};
use crate::tds::{Framing, token_id};
use crate::transcode::cutter::Cutter;
use crate::transcode::present::{Making, variant_changes};
use crate::transcode::{ENOUGH, Session, TranscodeError};

/// Bytes that are walked over; some in front are not copied yet.
pub(super) struct Run<'a> {
    bytes: &'a [u8],
    copied: usize,
    at: usize,
    /// What was made of those before, and small runs between: it takes time to
    /// put each for itself.
    made: Vec<u8>,
}

/// No more than this is copied to what was made, in bytes.
const SMALL: usize = 512;
/// As much is made before it is put, in bytes, and one thing more: a text for a
/// date, or NULLs of neighbouring columns.
const MADE: usize = 4096;

impl<'a> Run<'a> {
    /// What has not been walked over.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// What is not copied yet.
    fn uncopied(&self) -> &'a [u8] {
        self.bytes.get(self.copied..self.at).unwrap_or_default()
    }

    /// How much is not put yet.
    fn len(&self) -> usize {
        self.made.len() + self.at - self.copied
    }

    /// Puts what is not put yet.
    fn flush(&mut self, outlet: &mut Outlet, out: &mut Cutter) {
        if !self.made.is_empty() {
            outlet.put(&self.made, out);
            self.made.clear();
        }
        outlet.put(self.uncopied(), out);
        self.copied = self.at;
    }

    /// Gives what comes next a place behind all before it.
    fn make(&mut self, outlet: &mut Outlet, out: &mut Cutter) -> &mut Vec<u8> {
        let uncopied = self.uncopied();
        if uncopied.len() > SMALL || self.made.len() > MADE {
            self.flush(outlet, out);
        } else {
            self.made.extend_from_slice(uncopied);
            self.copied = self.at;
        }
        &mut self.made
    }

    /// Walks over bytes that are not to be copied. All before them must be.
    fn leave_out(&mut self, len: usize) {
        self.at += len;
        self.copied = self.at;
    }
}

impl Answers {
    /// Copies whole rows, and whole values of a row that goes on, up to the
    /// first byte that needs a closer look, and ends the row that has no more
    /// values. Returns how many bytes are done with.
    pub(super) fn walk_rows(
        &mut self,
        bytes: &[u8],
        session: &Session,
        out: &mut Cutter,
    ) -> Result<usize, TranscodeError> {
        let mut run = Run {
            bytes,
            copied: 0,
            at: 0,
            made: std::mem::take(&mut self.scratch),
        };
        run.made.clear();
        let walked = self.walk(&mut run, session, out);
        run.flush(&mut self.outlet, out);
        self.scratch = run.made;
        walked.map(|()| run.at)
    }

    fn walk(
        &mut self,
        run: &mut Run<'_>,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        loop {
            match self.state {
                State::Value(at) => {
                    if !self.walk_values(at, run, session, out)? {
                        return Ok(());
                    }
                }
                State::Token => {
                    let enough = has_enough(out) || run.len() >= ENOUGH;
                    if enough || !self.start_row(run, out)? {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Walks over the beginning of a row; `false` if none begins here, or a
    /// bitmap is cut.
    fn start_row(&mut self, run: &mut Run<'_>, out: &mut Cutter) -> Result<bool, TranscodeError> {
        let Some((&token, rest)) = run.rest().split_first() else {
            return Ok(false);
        };
        if self.plans.row.slots.is_empty() {
            return Ok(false);
        }
        let of = match token {
            token_id::ROW => {
                self.hold_row(run, out);
                run.at += 1;
                Of::Row
            }
            token_id::NBCROW => {
                let Some(nulls) = rest.get(..self.nulls_len()) else {
                    return Ok(false);
                };
                self.take_nulls(nulls)?;
                self.hold_row(run, out);
                run.make(&mut self.outlet, out).push(token_id::ROW);
                run.leave_out(1 + nulls.len());
                Of::NbcRow
            }
            _ => return Ok(false),
        };
        self.state = State::Value(At { of, column: 0 });
        Ok(true)
    }

    /// Lets the outlet know that a row begins, if not all rows simply pass.
    fn hold_row(&mut self, run: &mut Run<'_>, out: &mut Cutter) {
        if self.plans.row.undecided > 0 || self.outlet.is_dropping() {
            run.flush(&mut self.outlet, out);
            self.outlet.begin_row(self.plans.row.undecided > 0);
        }
    }

    /// Keeps the bitmap of a NBCROW, with room behind it to read words.
    pub(super) fn take_nulls(&mut self, nulls: &[u8]) -> Result<(), TranscodeError> {
        if self.plans.row.forbids(nulls) {
            return Err(invalid("a value is NULL that cannot be"));
        }
        self.nulls.clear();
        self.nulls.extend_from_slice(nulls);
        self.nulls.extend_from_slice(&[0; 8]);
        Ok(())
    }

    /// Begins a ROW.
    pub(super) fn begin_row(&mut self, out: &mut Cutter) {
        self.outlet.begin_row(self.plans.row.undecided > 0);
        self.outlet.put(&[token_id::ROW], out);
    }

    /// Length of a NBCROW's bitmap in bytes.
    pub(super) fn nulls_len(&self) -> usize {
        self.plans.row.slots.len().div_ceil(8)
    }

    /// Copies values that lie whole in the bytes at hand; whether they were the
    /// last ones.
    fn walk_values(
        &mut self,
        at: At,
        run: &mut Run<'_>,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<bool, TranscodeError> {
        let Self {
            plans,
            outlet,
            nulls,
            ..
        } = self;
        let Some(plan) = plans.of(at.of) else {
            return Err(invalid("a row comes without columns before it"));
        };
        let mut column = at.column;
        let nulls = match at.of {
            Of::NbcRow => &nulls[..],
            _ => &[],
        };
        loop {
            if outlet.row_is_decided(column >= plan.undecided, run.len(), session) {
                run.flush(outlet, out);
                outlet.release(out);
            }
            let Some(slot) = plan.slots.get(column) else {
                break;
            };
            let null = columns_alike(nulls, true, column);
            if null > 0 {
                let made = run.make(outlet, out);
                made.extend_from_slice(plan.nulls(column, column + null));
                column += null;
            } else if plan.changes {
                if !slot.walk(run, outlet, session, out)? {
                    break;
                }
                column += 1;
            } else {
                let same = columns_alike(nulls, false, column);
                let slots = plan.slots.get(column..).unwrap_or_default();
                let slots = slots.get(..same).unwrap_or(slots);
                let whole = skip_values(slots, run);
                column += whole;
                if whole < slots.len() {
                    break;
                }
            }
        }
        if column < plan.slots.len() {
            self.state = State::Value(At { column, ..at });
            return Ok(false);
        }
        if !outlet.is_through() {
            run.flush(outlet, out);
            outlet.end(session, out)?;
        }
        self.state = State::Token;
        Ok(true)
    }
}

impl Slot {
    /// Copies the value that stands next, or what it becomes; `false` if it is
    /// cut or unusual.
    fn walk(
        &self,
        run: &mut Run<'_>,
        outlet: &mut Outlet,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<bool, TranscodeError> {
        let bytes = run.rest();
        let Some(rest) = self.framing.skip(bytes) else {
            return Ok(false);
        };
        let len = bytes.len() - rest.len();
        let value = bytes.get(..len).unwrap_or_default();
        match self.making {
            Making::Same => {
                let pointer = self.framing == Framing::TextPointer;
                if pointer && !matches!(value.first(), Some(0 | 16)) {
                    return Ok(false);
                }
                run.at += len;
            }
            Making::Variant if !value.get(4).is_some_and(|&base| variant_changes(base)) => {
                run.at += len;
            }
            Making::DateText(_) | Making::Variant => {
                let head = if self.framing == Framing::Variant {
                    4
                } else {
                    1
                };
                let value = value.get(head..).unwrap_or_default();
                self.make(value, run.make(outlet, out), session)?;
                run.leave_out(len);
            }
            Making::Long { .. } | Making::Short { .. } => {
                run.flush(outlet, out);
                self.reframe(value, outlet, session, out)?;
                run.leave_out(len);
            }
        }
        Ok(true)
    }
}

/// Walks over values that are to be copied; how many lie whole in what is left.
fn skip_values(slots: &[Slot], run: &mut Run<'_>) -> usize {
    let bytes = run.rest();
    let mut rest = bytes;
    let mut count = 0;
    for slot in slots {
        let Some(after) = slot.framing.skip(rest) else {
            break;
        };
        rest = after;
        count += 1;
    }
    run.at += bytes.len() - rest.len();
    count
}

/// How many columns from this one on are NULL by a bitmap with its padding, or are
/// not; many more than there are if that goes for all. Without a bitmap none is.
#[inline]
fn columns_alike(bitmap: &[u8], null: bool, column: usize) -> usize {
    let mut at = column;
    while let Some(word) = bitmap.get(at / 8..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*word);
        let bits = if null { word } else { !word };
        let (left, alike) = (64 - at % 8, (bits >> (at % 8)).trailing_ones() as usize);
        at += alike;
        if alike < left {
            return at - column;
        }
    }
    if null { 0 } else { usize::MAX }
}
