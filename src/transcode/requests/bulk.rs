//! Rows that a 7.1 client sends to be inserted (MS-TDS 2.2.6.1).

use super::units::Units;
use crate::tds::{DecodeError, NO_METADATA, Place, Reader, TypeInfo, token_id};
use crate::transcode::cutter::Cutter;

/// Rewrites the columns of a bulk load; its rows look the same in all versions.
/// The DONE behind them does not, but servers take each form of it, and none.
#[derive(Debug)]
pub(super) struct Bulk {
    state: State,
    units: Units,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// COLMETADATA.
    Columns,
    /// So many of its columns.
    Column { left: u16 },
    /// Rows, to the end of the message.
    Rows,
}

impl Default for Bulk {
    fn default() -> Self {
        Self {
            state: State::Columns,
            units: Units::of("the bulk load"),
        }
    }
}

impl Bulk {
    /// Takes what comes next of the message.
    pub(super) fn data(&mut self, mut bytes: &[u8], out: &mut Cutter) -> Result<(), DecodeError> {
        while !bytes.is_empty() {
            let state = self.state;
            let read = |reader: &mut Reader<'_>| match state {
                State::Columns => columns(reader, out),
                State::Column { left } => column(left, reader, out),
                State::Rows => {
                    out.put(reader.take(reader.remaining())?);
                    Ok(State::Rows)
                }
            };
            let (taken, next) = self.units.read(bytes, read)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            self.state = next.unwrap_or(state);
        }
        Ok(())
    }

    /// Confirms that the message may end here. Without rows it may be empty.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        match (self.units.missing(), self.state) {
            (Some(cut), _) => Err(cut),
            (None, State::Column { .. }) => Err(self.units.cut(1)),
            _ => Ok(()),
        }
    }
}

/// The head of COLMETADATA. What begins in another way is for the server to judge.
fn columns(reader: &mut Reader<'_>, out: &mut Cutter) -> Result<State, DecodeError> {
    let token = reader.u8()?;
    if token != token_id::COLMETADATA {
        out.put(&[token]);
        return Ok(State::Rows);
    }
    let count = reader.u16_le()?;
    out.put(&[token]);
    out.put(&count.to_le_bytes());
    Ok(columns_left(if count == NO_METADATA { 0 } else { count }))
}

/// A column. Other than in answers, its table's name has one part in all versions.
fn column(left: u16, reader: &mut Reader<'_>, out: &mut Cutter) -> Result<State, DecodeError> {
    let user_type = reader.u16_le()?;
    let (bytes, start) = (reader.rest(), reader.position());
    reader.skip(2)?;
    if let TypeInfo::LongLen { .. } = TypeInfo::decode(Place::Row, reader)? {
        let units = reader.u16_le()?;
        reader.skip(usize::from(units) * 2)?;
    }
    let units = reader.u8()?;
    reader.skip(usize::from(units) * 2)?;
    out.put(&u32::from(user_type).to_le_bytes());
    out.put(bytes.get(..reader.position() - start).unwrap_or_default());
    Ok(columns_left(left - 1))
}

fn columns_left(left: u16) -> State {
    match left {
        0 => State::Rows,
        left => State::Column { left },
    }
}
