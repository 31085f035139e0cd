//! Rows: copied by arithmetic where they lie whole in the bytes at hand.

use super::hold::Outlet;
use super::plan::Slot;
use super::{Answers, At, Of, STREAM_FROM, State, has_enough, invalid};
use crate::tds::{Framing, token_id};
use crate::transcode::cutter::Cutter;
use crate::transcode::present::{Making, variant_changes};
use crate::transcode::{ENOUGH, Session, TranscodeError};

/// Bytes that are walked over; some in front are not copied yet.
pub(super) struct Run<'a> {
    bytes: &'a [u8],
    copied: usize,
    at: usize,
}

impl<'a> Run<'a> {
    /// What has not been walked over.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// How much is not copied yet.
    fn len(&self) -> usize {
        self.at - self.copied
    }

    /// Copies what is not copied yet.
    fn flush(&mut self, outlet: &mut Outlet, out: &mut Cutter) {
        outlet.put(
            self.bytes.get(self.copied..self.at).unwrap_or_default(),
            out,
        );
        self.copied = self.at;
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
        };
        let walked = self.walk(&mut run, session, out);
        run.flush(&mut self.outlet, out);
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
                    if enough || !self.start_row(run, out) {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Walks over the beginning of a row; `false` if none begins here, or a
    /// bitmap is cut.
    fn start_row(&mut self, run: &mut Run<'_>, out: &mut Cutter) -> bool {
        let Some((&token, rest)) = run.rest().split_first() else {
            return false;
        };
        if self.plans.row.slots.is_empty() {
            return false;
        }
        let of = match token {
            token_id::ROW => {
                if self.holds_rows() {
                    run.flush(&mut self.outlet, out);
                    self.outlet.begin_row(self.plans.row.undecided > 0);
                }
                run.at += 1;
                Of::Row
            }
            token_id::NBCROW => {
                let Some(nulls) = rest.get(..self.nulls_len()) else {
                    return false;
                };
                run.flush(&mut self.outlet, out);
                run.leave_out(1 + nulls.len());
                self.nulls.clear();
                self.nulls.extend_from_slice(nulls);
                self.begin_row(out);
                Of::NbcRow
            }
            _ => return false,
        };
        self.state = State::Value(At { of, column: 0 });
        true
    }

    /// Whether rows do not simply pass.
    fn holds_rows(&self) -> bool {
        self.plans.row.undecided > 0 || self.outlet.is_dropping()
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
            scratch,
            ..
        } = self;
        let Some(plan) = plans.of(at.of) else {
            return Err(invalid("a row comes without columns before it"));
        };
        let mut column = at.column;
        if !plan.changes && at.of == Of::Row {
            column += skip_values(plan.slots.get(column..).unwrap_or_default(), run);
        }
        loop {
            if outlet.row_is_decided(column >= plan.undecided, run.len(), session) {
                run.flush(outlet, out);
                outlet.release(out);
            }
            let Some(slot) = plan.slots.get(column) else {
                break;
            };
            if at.of == Of::NbcRow && is_null(nulls, column) {
                run.flush(outlet, out);
                let next = after_nulls(&plan.slots, nulls, column)?;
                outlet.put(plan.nulls(column, next), out);
                column = next;
                continue;
            }
            if !slot.walk(run, outlet, scratch, session, out)? {
                break;
            }
            column += 1;
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
        scratch: &mut Vec<u8>,
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
                let unusual = pointer && !matches!(value.first(), Some(0 | 16));
                if unusual || len > STREAM_FROM {
                    return Ok(false);
                }
                run.at += len;
            }
            Making::Variant if !value.get(4).is_some_and(|&base| variant_changes(base)) => {
                if len > STREAM_FROM {
                    return Ok(false);
                }
                run.at += len;
            }
            Making::DateText(_) | Making::Variant => {
                run.flush(outlet, out);
                let head = if self.framing == Framing::Variant {
                    4
                } else {
                    1
                };
                let value = value.get(head..).unwrap_or_default();
                self.make(value, scratch, session)?;
                outlet.put(scratch, out);
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

/// The first column behind this one that is not NULL.
fn after_nulls(slots: &[Slot], nulls: &[u8], mut column: usize) -> Result<usize, TranscodeError> {
    while let Some(slot) = slots.get(column).filter(|_| is_null(nulls, column)) {
        if matches!(slot.shown, Framing::Fixed(_)) {
            return Err(invalid("a value is NULL that cannot be"));
        }
        column += 1;
    }
    Ok(column)
}

fn is_null(nulls: &[u8], column: usize) -> bool {
    nulls
        .get(column / 8)
        .is_some_and(|byte| byte >> (column % 8) & 1 != 0)
}
