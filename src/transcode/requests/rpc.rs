//! Procedure calls of a 7.1 client (MS-TDS 2.2.6.6).

use super::rpc_param::{Value, read_head};
use super::units::Units;
use crate::tds::{Collation, DecodeError, Reader};
use crate::transcode::cutter::Cutter;

/// Rewrites the calls of one message. How many parameters a call has is said
/// nowhere: every one must be read to find the next call.
#[derive(Debug)]
pub(super) struct Rpc {
    state: State,
    /// Bytes that pass before `state` goes on.
    left: u64,
    units: Units,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A procedure. Behind a separator there need not be one.
    Procedure { first: bool },
    /// A parameter or a separator.
    Param,
    /// What stands before a value.
    Value(Value),
    /// The length of a PLP value's next chunk.
    Chunk,
}

impl Default for Rpc {
    fn default() -> Self {
        Self {
            state: State::Procedure { first: true },
            left: 0,
            units: Units::of(WHAT),
        }
    }
}

impl Rpc {
    /// Takes what comes next of the message.
    pub(super) fn data(
        &mut self,
        mut bytes: &[u8],
        collation: Collation,
        out: &mut Cutter,
    ) -> Result<(), DecodeError> {
        loop {
            bytes = self.pass(bytes, out);
            if bytes.is_empty() {
                return Ok(());
            }
            let state = self.state;
            let read = |reader: &mut Reader<'_>| match state {
                State::Procedure { .. } => procedure(reader, out),
                State::Param => param(reader, collation, out),
                State::Value(value) => value_start(value, reader, out),
                State::Chunk => chunk(reader, out),
            };
            let (taken, next) = self.units.read(bytes, read)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            if let Some((state, left)) = next {
                (self.state, self.left) = (state, left);
            }
        }
    }

    /// Confirms that the message may end here.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        if let Some(cut) = self.units.missing() {
            return Err(cut);
        }
        let need = match self.state {
            State::Param | State::Procedure { first: false } => self.left,
            _ => self.left.max(1),
        };
        match usize::try_from(need).unwrap_or(usize::MAX) {
            0 => Ok(()),
            need => Err(self.units.cut(need)),
        }
    }

    /// Passes what belongs to a value; the bytes behind it.
    fn pass<'a>(&mut self, bytes: &'a [u8], out: &mut Cutter) -> &'a [u8] {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (passed, rest) = bytes.split_at(left.min(bytes.len()));
        out.put(passed);
        self.left -= passed.len() as u64;
        rest
    }
}

const WHAT: &str = "the procedure call";
/// Stands between calls, up to 7.1 and from 7.2 on.
const OLD_SEPARATOR: u8 = 0x80;
const SEPARATOR: u8 = 0xFF;

/// What comes after a unit, and after how many bytes that pass.
type Next = (State, u64);

/// The procedure and the call's options.
fn procedure(reader: &mut Reader<'_>, out: &mut Cutter) -> Result<Next, DecodeError> {
    const OPTIONS_LEN: usize = 2;
    let bytes = reader.rest();
    let start = reader.position();
    let name_len = match reader.u16_le()? {
        u16::MAX => 2,
        units => usize::from(units) * 2,
    };
    reader.skip(name_len + OPTIONS_LEN)?;
    out.put(bytes.get(..reader.position() - start).unwrap_or_default());
    Ok((State::Param, 0))
}

/// What stands before a parameter's value, or a separator.
fn param(
    reader: &mut Reader<'_>,
    collation: Collation,
    out: &mut Cutter,
) -> Result<Next, DecodeError> {
    match reader.peek() {
        Some(OLD_SEPARATOR) => {
            reader.skip(1)?;
            out.put(&[SEPARATOR]);
            Ok((State::Procedure { first: false }, 0))
        }
        Some(byte) if byte > OLD_SEPARATOR => Err(DecodeError::Invalid {
            what: WHAT,
            problem: "where a parameter or a further call may begin stands neither the length \
                      of a name nor the separator of TDS 7.1",
        }),
        _ => Ok(match read_head(reader, collation, out)? {
            Value::Fixed(length) => (State::Param, length.into()),
            value => (State::Value(value), 0),
        }),
    }
}

/// What stands before a value.
fn value_start(
    value: Value,
    reader: &mut Reader<'_>,
    out: &mut Cutter,
) -> Result<Next, DecodeError> {
    Ok(match value.read_start(reader, out)? {
        Some(left) => (State::Param, left),
        None => (State::Chunk, 0),
    })
}

/// The length of a chunk; an empty one is the last.
fn chunk(reader: &mut Reader<'_>, out: &mut Cutter) -> Result<Next, DecodeError> {
    let length = reader.u32_le()?;
    out.put(&length.to_le_bytes());
    let after = if length == 0 {
        State::Param
    } else {
        State::Chunk
    };
    Ok((after, length.into()))
}
