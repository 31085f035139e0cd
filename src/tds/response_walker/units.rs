//! Units: a token's head, a small token, a field; what is read in one piece.

use super::rows::{ValueAt, next_value};
use super::{Progress, ResponseWalker, State, WalkEvent};
use crate::tds::value::PLP_NULL;
use crate::tds::{
    DecodeError, Done, DoneKind, EnvChange, Framing, NO_METADATA, Place, Reader, ServerMessage,
    TdsVersion, TypeInfo, token_id,
};

/// The walker reads this version and 8.0, which has the same tokens.
const VERSION: TdsVersion = TdsVersion::V7_4;

impl ResponseWalker {
    /// Reads one unit off the front of `bytes`.
    pub(super) fn unit(
        &mut self,
        bytes: &[u8],
        on_event: &mut impl FnMut(WalkEvent),
    ) -> Result<Progress, DecodeError> {
        let mut reader = Reader::named("the response", bytes);
        let read = match self.state {
            State::Token => Piece::token(&mut reader, self.nulls_len()),
            State::Column { .. } => column(&mut reader).map(Piece::Column),
            State::Feature => feature(&mut reader),
            State::Value(value) => match self.framing_at(value) {
                Some(framing) => prefix(framing, &mut reader),
                None => Err(invalid("a row has more values than columns")),
            },
            State::Chunk(_) => reader.u32_le().map(Piece::Chunk),
        };
        match read {
            Ok(piece) => {
                self.take(piece, on_event)?;
                Ok(Progress::Read(reader.position()))
            }
            // A reader stays before the field that is cut, so this is what the
            // unit needs to get past it.
            Err(DecodeError::Truncated { need, .. }) => {
                Ok(Progress::Needs(reader.position().saturating_add(need)))
            }
            Err(error) => Err(error),
        }
    }

    /// Acts on what was read.
    fn take(
        &mut self,
        piece: Piece<'_>,
        on_event: &mut impl FnMut(WalkEvent),
    ) -> Result<(), DecodeError> {
        match piece {
            Piece::Columns(count) => self.start_columns(count, on_event),
            Piece::Column(framing) => self.add_column(framing, on_event),
            Piece::Row => self.start_row_at(ValueAt::Row { column: 0 })?,
            Piece::NbcRow(nulls) => {
                self.nulls.clear();
                self.nulls.extend_from_slice(nulls);
                let column = next_value(nulls, 0, self.columns.len());
                self.start_row_at(ValueAt::NbcRow { column })?;
            }
            Piece::ReturnValue(framing) => {
                self.state = State::Value(ValueAt::ReturnValue(framing));
            }
            Piece::Value { len } => self.end_value(len.into()),
            Piece::Plp { null } => self.start_plp(null),
            Piece::Chunk(len) => self.take_chunk(len),
            Piece::Features => self.state = State::Feature,
            Piece::EndOfFeatures => self.state = State::Token,
            Piece::Skip(len) => self.skip = len.into(),
            Piece::Message { error, body } => {
                let message = ServerMessage::decode(VERSION, error, body)?;
                on_event(if error {
                    WalkEvent::Error(message)
                } else {
                    WalkEvent::Info(message)
                });
            }
            Piece::EnvChange(body) => {
                let mut reader = Reader::named("ENVCHANGE", body);
                let changes = EnvChange::decode_all(&mut reader)?;
                changes
                    .into_iter()
                    .map(WalkEvent::EnvChange)
                    .for_each(on_event);
            }
            Piece::Done(done) => on_event(WalkEvent::Done(done)),
            Piece::ReturnStatus(value) => on_event(WalkEvent::ReturnStatus(value)),
        }
        Ok(())
    }

    fn start_columns(&mut self, count: u16, on_event: &mut impl FnMut(WalkEvent)) {
        self.columns.clear();
        if matches!(count, 0 | NO_METADATA) {
            on_event(WalkEvent::ColMetadata { columns: 0 });
        } else {
            self.state = State::Column { count, left: count };
        }
    }

    fn add_column(&mut self, framing: Framing, on_event: &mut impl FnMut(WalkEvent)) {
        self.columns.push(framing);
        match self.state {
            State::Column { count, left } if left > 1 => {
                self.state = State::Column {
                    count,
                    left: left - 1,
                };
            }
            State::Column { count, .. } => {
                self.state = State::Token;
                on_event(WalkEvent::ColMetadata { columns: count });
            }
            _ => {}
        }
    }

    fn start_row_at(&mut self, value: ValueAt) -> Result<(), DecodeError> {
        if self.columns.is_empty() {
            return Err(invalid("a row comes without columns before it"));
        }
        self.state = match value {
            ValueAt::NbcRow { column } => self.after(column, |column| ValueAt::NbcRow { column }),
            value => State::Value(value),
        };
        Ok(())
    }

    /// The value at hand has `len` more bytes.
    fn end_value(&mut self, len: u64) {
        if let State::Value(value) = self.state {
            self.skip = len;
            self.state = self.after_value(value);
        }
    }

    fn start_plp(&mut self, null: bool) {
        match self.state {
            State::Value(_) if null => self.end_value(0),
            State::Value(value) => self.state = State::Chunk(value),
            _ => {}
        }
    }

    fn take_chunk(&mut self, len: u32) {
        match self.state {
            State::Chunk(value) if len == 0 => self.state = self.after_value(value),
            _ => self.skip = len.into(),
        }
    }
}

/// A unit that was read; what is in it has not been looked at.
enum Piece<'a> {
    Columns(u16),
    Column(Framing),
    Row,
    NbcRow(&'a [u8]),
    ReturnValue(Framing),
    Value { len: u32 },
    Plp { null: bool },
    Chunk(u32),
    Features,
    EndOfFeatures,
    Skip(u32),
    Message { error: bool, body: &'a [u8] },
    EnvChange(&'a [u8]),
    Done(Done),
    ReturnStatus(i32),
}

impl<'a> Piece<'a> {
    /// Reads a token, or the head of one whose content is skipped or read piece
    /// by piece.
    fn token(reader: &mut Reader<'a>, nulls_len: usize) -> Result<Self, DecodeError> {
        let token = reader.u8()?;
        if let Some(kind) = DoneKind::from_token(token) {
            return Done::decode(kind, VERSION, reader).map(Self::Done);
        }
        Ok(match token {
            token_id::COLMETADATA => Self::Columns(reader.u16_le()?),
            token_id::ROW => Self::Row,
            token_id::NBCROW => Self::NbcRow(reader.take(nulls_len)?),
            token_id::RETURNVALUE => Self::ReturnValue(return_value(reader)?),
            token_id::ERROR | token_id::INFO => Self::Message {
                error: token == token_id::ERROR,
                body: reader.us_varbyte()?,
            },
            token_id::ENVCHANGE => Self::EnvChange(EnvChange::take(reader)?),
            token_id::RETURNSTATUS => Self::ReturnStatus(reader.i32_le()?),
            token_id::ORDER
            | token_id::TABNAME
            | token_id::COLINFO
            | token_id::LOGINACK
            | token_id::SSPI => Self::Skip(reader.u16_le()?.into()),
            token_id::SESSIONSTATE | token_id::FEDAUTHINFO => Self::Skip(reader.u32_le()?),
            token_id::FEATUREEXTACK => Self::Features,
            token => return Err(DecodeError::UnknownToken { token }),
        })
    }
}

/// A column of COLMETADATA: all that matters is how its values are framed.
fn column(reader: &mut Reader<'_>) -> Result<Framing, DecodeError> {
    reader.skip(6)?;
    let type_info = TypeInfo::decode(Place::Row, reader)?;
    if matches!(type_info, TypeInfo::LongLen { .. }) {
        for _ in 0..reader.u8()? {
            let units = reader.u16_le()?;
            reader.skip(usize::from(units) * 2)?;
        }
    }
    skip_b_varchar(reader)?;
    with_values(type_info.framing(Place::Row))
}

/// RETURNVALUE up to its value (MS-TDS 2.2.7.19): ordinal, name, status, user
/// type, flags, type.
fn return_value(reader: &mut Reader<'_>) -> Result<Framing, DecodeError> {
    reader.skip(2)?;
    skip_b_varchar(reader)?;
    reader.skip(1 + 4 + 2)?;
    let type_info = TypeInfo::decode(Place::Row, reader)?;
    with_values(type_info.framing(Place::Parameter))
}

/// A value without any byte would have no place in the stream.
fn with_values(framing: Framing) -> Result<Framing, DecodeError> {
    match framing {
        Framing::Fixed(0) => Err(invalid("a result has the null type")),
        framing => Ok(framing),
    }
}

fn feature<'a>(reader: &mut Reader<'a>) -> Result<Piece<'a>, DecodeError> {
    match reader.u8()? {
        0xFF => Ok(Piece::EndOfFeatures),
        _ => reader.u32_le().map(Piece::Skip),
    }
}

/// What stands before a value.
fn prefix<'a>(framing: Framing, reader: &mut Reader<'a>) -> Result<Piece<'a>, DecodeError> {
    if let Some(len) = framing.read_len(reader)? {
        return Ok(Piece::Value { len });
    }
    let null = reader.u64_le()? == PLP_NULL;
    Ok(Piece::Plp { null })
}

fn skip_b_varchar(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let units = reader.u8()?;
    reader.skip(usize::from(units) * 2)
}

fn invalid(problem: &'static str) -> DecodeError {
    DecodeError::Invalid {
        what: "the response",
        problem,
    }
}
