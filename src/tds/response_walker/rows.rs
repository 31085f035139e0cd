//! Rows: skipped by arithmetic where they lie whole in the bytes at hand.

use super::{ResponseWalker, State};
use crate::tds::{Framing, token_id};

/// Which value stands next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueAt {
    /// That of a column, in a ROW.
    Row { column: usize },
    /// That of a column, in a NBCROW whose bitmap is `nulls`.
    NbcRow { column: usize },
    /// That of a RETURNVALUE.
    ReturnValue(Framing),
}

impl ResponseWalker {
    /// Skips whole rows, and whole values of a row that goes on, up to the
    /// first byte that needs a closer look. Returns the bytes from there.
    pub(super) fn walk_rows<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        loop {
            let walked = match self.state {
                State::Value(ValueAt::Row { column }) => {
                    let walked = skip_values(&self.columns, column, bytes);
                    self.state = self.after(walked.column, |column| ValueAt::Row { column });
                    walked.len
                }
                State::Value(ValueAt::NbcRow { column }) => {
                    let walked = skip_nbc_values(&self.columns, &self.nulls, column, bytes);
                    self.state = self.after(walked.column, |column| ValueAt::NbcRow { column });
                    walked.len
                }
                State::Token => match self.start_row(bytes) {
                    Some(len) => len,
                    None => return bytes,
                },
                _ => return bytes,
            };
            bytes = bytes.get(walked..).unwrap_or_default();
            if bytes.is_empty() || self.state != State::Token {
                return bytes;
            }
        }
    }

    /// Skips a row's token and as many of its values as there are; `None` if no
    /// row begins here, or a bitmap is cut.
    fn start_row(&mut self, bytes: &[u8]) -> Option<usize> {
        let (&token, values) = bytes.split_first()?;
        if self.columns.is_empty() {
            return None;
        }
        match token {
            token_id::ROW => {
                let walked = skip_values(&self.columns, 0, values);
                self.state = self.after(walked.column, |column| ValueAt::Row { column });
                Some(walked.len + 1)
            }
            token_id::NBCROW => {
                let (nulls, values) = values.split_at_checked(self.nulls_len())?;
                let walked = skip_nbc_values(&self.columns, nulls, 0, values);
                if walked.column < self.columns.len() {
                    self.nulls.clear();
                    self.nulls.extend_from_slice(nulls);
                }
                self.state = self.after(walked.column, |column| ValueAt::NbcRow { column });
                Some(walked.len + nulls.len() + 1)
            }
            _ => None,
        }
    }

    /// Length of a NBCROW's bitmap in bytes.
    pub(super) fn nulls_len(&self) -> usize {
        self.columns.len().div_ceil(8)
    }

    /// How the value is framed; `None` beyond the last column.
    pub(super) fn framing_at(&self, value: ValueAt) -> Option<Framing> {
        match value {
            ValueAt::Row { column } | ValueAt::NbcRow { column } => {
                self.columns.get(column).copied()
            }
            ValueAt::ReturnValue(framing) => Some(framing),
        }
    }

    /// What comes after the value.
    pub(super) fn after_value(&self, value: ValueAt) -> State {
        match value {
            ValueAt::Row { column } => self.after(column + 1, |column| ValueAt::Row { column }),
            ValueAt::NbcRow { column } => {
                let column = next_value(&self.nulls, column + 1, self.columns.len());
                self.after(column, |column| ValueAt::NbcRow { column })
            }
            ValueAt::ReturnValue(_) => State::Token,
        }
    }

    /// The state before this column, or after the row.
    pub(super) fn after(&self, column: usize, value: impl FnOnce(usize) -> ValueAt) -> State {
        if column < self.columns.len() {
            State::Value(value(column))
        } else {
            State::Token
        }
    }
}

/// The first column from `column` on that is not NULL, or `columns`.
pub(super) fn next_value(nulls: &[u8], column: usize, columns: usize) -> usize {
    (column..columns)
        .find(|&column| !is_null(nulls, column))
        .unwrap_or(columns)
}

fn is_null(nulls: &[u8], column: usize) -> bool {
    nulls
        .get(column / 8)
        .is_some_and(|byte| byte >> (column % 8) & 1 != 0)
}

/// How far a row was skipped: the column that stands next, and the bytes.
struct Walked {
    column: usize,
    len: usize,
}

fn skip_values(columns: &[Framing], from: usize, bytes: &[u8]) -> Walked {
    let mut rest = bytes;
    let mut column = from;
    for &framing in columns.get(from..).unwrap_or_default() {
        let Some(after) = framing.skip(rest) else {
            break;
        };
        rest = after;
        column += 1;
    }
    Walked {
        column,
        len: bytes.len() - rest.len(),
    }
}

fn skip_nbc_values(columns: &[Framing], nulls: &[u8], from: usize, bytes: &[u8]) -> Walked {
    let mut rest = bytes;
    let mut column = from;
    for &framing in columns.get(from..).unwrap_or_default() {
        if !is_null(nulls, column) {
            let Some(after) = framing.skip(rest) else {
                break;
            };
            rest = after;
        }
        column += 1;
    }
    Walked {
        column,
        len: bytes.len() - rest.len(),
    }
}
