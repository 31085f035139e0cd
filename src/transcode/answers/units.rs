//! Units: a token's head, a small token, a field; what is read in one piece.

use super::plan::{Plan, RawColumn, Typed};
use super::values::Head;
use super::{Answers, At, Of, Pass, Progress, State, To, invalid, say};
use crate::tds::{
    DecodeError, Done, DoneKind, EnvChange, NO_METADATA, Place, Put, Reader, TdsVersion, token_id,
};
use crate::transcode::cutter::Cutter;
use crate::transcode::{OldVersion, Session, TranscodeError};

/// The server's version.
const VERSION: TdsVersion = TdsVersion::V7_4;
/// Bound of the columns that COMPUTE clauses of one result may have in all.
const MAX_ALT_COLUMNS: usize = u16::MAX as usize;

impl Answers {
    /// Reads one unit off the front of `bytes`.
    pub(super) fn unit(
        &mut self,
        bytes: &[u8],
        session: &mut Session,
        out: &mut Cutter,
    ) -> Result<Progress, TranscodeError> {
        let mut reader = Reader::named("the response", bytes);
        let read = match self.state {
            State::Token => Unit::token(&mut reader, self.nulls_len()),
            State::Column { .. } => RawColumn::read(&mut reader).map(Unit::Column),
            State::AltColumn { .. } => alt_column(&mut reader),
            State::Feature => feature(&mut reader),
            State::Value(at) => {
                let slot = self.slot(at)?;
                slot.head(&mut reader).map(|head| Unit::Head(at, head))
            }
            State::Chunk(at) => reader.u32_le().map(|len| Unit::Chunk(at, len)),
        };
        match read {
            Ok(unit) => {
                let raw = bytes.get(..reader.position()).unwrap_or_default();
                self.take(unit, raw, session, out)?;
                Ok(Progress::Read(raw.len()))
            }
            // A reader stays before the field that is cut, so this is what the
            // unit needs to get past it.
            Err(DecodeError::Truncated { need, .. }) => {
                Ok(Progress::Needs(reader.position().saturating_add(need)))
            }
            Err(error) => Err(TranscodeError::Answer(error)),
        }
    }

    /// Acts on a unit; `raw` is all of it.
    fn take(
        &mut self,
        unit: Unit<'_>,
        raw: &[u8],
        session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        self.scratch.clear();
        match unit {
            Unit::Columns(count) => {
                out.put(raw);
                self.begin_columns(count);
            }
            Unit::Column(column) => self.take_column(&column, session, out)?,
            Unit::AltColumns { count, id } => {
                out.put(raw);
                self.begin_alt_columns(count, id)?;
            }
            Unit::AltColumn { head, column } => {
                self.take_alt_column(head, &column, session, out)?
            }
            Unit::Row => self.take_row(None, out)?,
            Unit::NbcRow(nulls) => self.take_row(Some(nulls), out)?,
            Unit::AltRow(id) => self.take_alt_row(id, raw, out)?,
            Unit::ReturnValue(value) => self.take_return_value(&value, session, out)?,
            Unit::Head(at, head) => self.take_head(at, &head, session, out)?,
            Unit::Chunk(at, len) => self.take_chunk(at, len, session, out)?,
            Unit::Features => self.state = State::Feature,
            Unit::EndOfFeatures => self.state = State::Token,
            Unit::Drop(len) => {
                self.pass = Pass {
                    left: len.into(),
                    to: To::Nowhere,
                };
            }
            Unit::Pass(len) => {
                out.put(raw);
                self.pass = Pass {
                    left: len.into(),
                    to: To::Outlet,
                };
            }
            small => self.take_small(&small, raw, session, out)?,
        }
        Ok(())
    }

    /// Acts on a token that is read whole.
    fn take_small(
        &mut self,
        unit: &Unit<'_>,
        raw: &[u8],
        session: &mut Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let made = &mut self.scratch;
        match *unit {
            Unit::Message { token, body } => {
                say::put_message(token, body, session, made).map_err(TranscodeError::Answer)?;
            }
            Unit::EnvChange(body) => {
                say::put_env_change(body, session, made).map_err(TranscodeError::Answer)?;
            }
            Unit::Tables(body) if session.version == OldVersion::V7_1 => {
                say::put_joined_tables(body, made)?;
            }
            Unit::LoginAck(body) => say::put_login_ack(body, session, made)?,
            Unit::Done(done) => say::put_done(done, self.outlet.end_result(), session, made),
            // 7.2 has no such token any more.
            Unit::Offset if !session.version.is_7_1() => {}
            _ => made.put_slice(raw),
        }
        out.put(made);
        Ok(())
    }

    fn begin_columns(&mut self, count: u16) {
        // Without metadata the rows are as before.
        if matches!(count, 0 | NO_METADATA) {
            return;
        }
        self.plans.row.clear();
        self.plans.alts.clear();
        self.outlet.begin_result();
        self.state = State::Column { left: count };
    }

    fn take_column(
        &mut self,
        column: &RawColumn<'_>,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let slot = column.write(session, &mut self.scratch)?;
        out.put(&self.scratch);
        self.plans.row.push(slot);
        self.state = match self.state {
            State::Column { left } if left > 1 => State::Column { left: left - 1 },
            _ => State::Token,
        };
        Ok(())
    }

    fn begin_alt_columns(&mut self, count: u16, id: u16) -> Result<(), TranscodeError> {
        let alts = &mut self.plans.alts;
        alts.retain(|plan| plan.id != id);
        let held: usize = alts.iter().map(|plan| plan.slots.len() + 1).sum();
        if held + usize::from(count) > MAX_ALT_COLUMNS {
            return Err(TranscodeError::Answer(DecodeError::TooLong {
                what: "the result's COMPUTE clauses, in columns",
                len: (held + usize::from(count)) as u64,
                max: MAX_ALT_COLUMNS as u64,
            }));
        }
        if count > 0 {
            alts.push(Plan {
                id,
                ..Plan::default()
            });
            self.state = State::AltColumn { left: count };
        }
        Ok(())
    }

    fn take_alt_column(
        &mut self,
        head: &[u8],
        column: &RawColumn<'_>,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        self.scratch.put_slice(head);
        let slot = column.write(session, &mut self.scratch)?;
        out.put(&self.scratch);
        if let Some(plan) = self.plans.alts.last_mut() {
            plan.push(slot);
        }
        self.state = match self.state {
            State::AltColumn { left } if left > 1 => State::AltColumn { left: left - 1 },
            _ => State::Token,
        };
        Ok(())
    }

    fn take_row(&mut self, nulls: Option<&[u8]>, out: &mut Cutter) -> Result<(), TranscodeError> {
        if self.plans.row.slots.is_empty() {
            return Err(invalid("a row comes without columns before it"));
        }
        let of = match nulls {
            None => Of::Row,
            Some(nulls) => {
                self.take_nulls(nulls)?;
                Of::NbcRow
            }
        };
        self.begin_row(out);
        self.state = State::Value(At { of, column: 0 });
        Ok(())
    }

    fn take_alt_row(
        &mut self,
        id: u16,
        raw: &[u8],
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let index = self.plans.alts.iter().position(|plan| plan.id == id);
        let plan = index.and_then(|index| Some((index, self.plans.alts.get(index)?)));
        let (index, plan) = plan.ok_or(invalid("an ALTROW comes without ALTMETADATA before it"))?;
        self.outlet.begin_row(plan.undecided > 0);
        self.outlet.put(raw, out);
        self.state = State::Value(At {
            of: Of::AltRow(index),
            column: 0,
        });
        Ok(())
    }

    fn take_return_value(
        &mut self,
        value: &RawReturnValue<'_>,
        session: &Session,
        out: &mut Cutter,
    ) -> Result<(), TranscodeError> {
        let made = &mut self.scratch;
        made.put_u8(token_id::RETURNVALUE);
        made.put_slice(value.ordinal);
        made.put_slice(value.name_and_status);
        let (slot, _) = value.typed.write(Place::Parameter, session, made)?;
        if session.version.is_7_1() {
            // The length of the rest takes the ordinal's place in the end.
            self.outlet.begin_output();
        }
        self.outlet.put(made, out);
        self.plans.output.clear();
        self.plans.output.push(slot);
        self.state = State::Value(At {
            of: Of::ReturnValue,
            column: 0,
        });
        Ok(())
    }
}

/// A unit that was read; what is in it has not been looked at.
enum Unit<'a> {
    Columns(u16),
    Column(RawColumn<'a>),
    AltColumns {
        count: u16,
        id: u16,
    },
    AltColumn {
        head: &'a [u8],
        column: RawColumn<'a>,
    },
    Row,
    NbcRow(&'a [u8]),
    AltRow(u16),
    ReturnValue(RawReturnValue<'a>),
    Head(At, Head<'a>),
    Chunk(At, u32),
    Features,
    EndOfFeatures,
    /// So much follows that the client does not get.
    Drop(u32),
    /// So much follows that the client gets.
    Pass(u16),
    Message {
        token: u8,
        body: &'a [u8],
    },
    EnvChange(&'a [u8]),
    Tables(&'a [u8]),
    LoginAck(&'a [u8]),
    Done(Done),
    Offset,
    ReturnStatus,
}

/// RETURNVALUE up to its value (MS-TDS 2.2.7.19).
struct RawReturnValue<'a> {
    ordinal: &'a [u8],
    name_and_status: &'a [u8],
    typed: Typed<'a>,
}

impl<'a> RawReturnValue<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let ordinal = reader.take(2)?;
        let rest = reader.rest();
        let name_and_status = usize::from(reader.u8()?) * 2 + 1;
        reader.skip(name_and_status)?;
        Ok(Self {
            ordinal,
            name_and_status: rest.get(..=name_and_status).unwrap_or_default(),
            typed: Typed::read(reader)?,
        })
    }
}

impl<'a> Unit<'a> {
    /// Reads a token, or the head of one whose content passes or is read piece
    /// by piece.
    fn token(reader: &mut Reader<'a>, nulls_len: usize) -> Result<Self, DecodeError> {
        let token = reader.u8()?;
        if let Some(kind) = DoneKind::from_token(token) {
            return Done::decode(kind, VERSION, reader).map(Self::Done);
        }
        Ok(match token {
            token_id::COLMETADATA => Self::Columns(reader.u16_le()?),
            token_id::ALTMETADATA => alt_columns(reader)?,
            token_id::ROW => Self::Row,
            token_id::NBCROW => Self::NbcRow(reader.take(nulls_len)?),
            token_id::ALTROW => Self::AltRow(reader.u16_le()?),
            token_id::RETURNVALUE => Self::ReturnValue(RawReturnValue::read(reader)?),
            token_id::ERROR | token_id::INFO => Self::Message {
                token,
                body: reader.us_varbyte()?,
            },
            token_id::ENVCHANGE => Self::EnvChange(EnvChange::take(reader)?),
            token_id::TABNAME => Self::Tables(reader.us_varbyte()?),
            token_id::LOGINACK => Self::LoginAck(reader.us_varbyte()?),
            token_id::RETURNSTATUS => reader.skip(4).map(|()| Self::ReturnStatus)?,
            token_id::OFFSET => reader.skip(4).map(|()| Self::Offset)?,
            token_id::ORDER | token_id::COLINFO | token_id::SSPI => Self::Pass(reader.u16_le()?),
            token_id::SESSIONSTATE | token_id::FEDAUTHINFO => Self::Drop(reader.u32_le()?),
            token_id::FEATUREEXTACK => Self::Features,
            token => return Err(DecodeError::UnknownToken { token }),
        })
    }
}

/// ALTMETADATA up to its columns (MS-TDS 2.2.7.1): their number, the clause's id,
/// and the columns that it groups by.
fn alt_columns<'a>(reader: &mut Reader<'a>) -> Result<Unit<'a>, DecodeError> {
    let (count, id) = (reader.u16_le()?, reader.u16_le()?);
    let by = reader.u8()?;
    reader.skip(usize::from(by) * 2)?;
    Ok(Unit::AltColumns { count, id })
}

/// A column of ALTMETADATA: the aggregate, what it is of, and a column.
fn alt_column<'a>(reader: &mut Reader<'a>) -> Result<Unit<'a>, DecodeError> {
    let head = reader.take(3)?;
    let column = RawColumn::read(reader)?;
    Ok(Unit::AltColumn { head, column })
}

fn feature<'a>(reader: &mut Reader<'a>) -> Result<Unit<'a>, DecodeError> {
    match reader.u8()? {
        0xFF => Ok(Unit::EndOfFeatures),
        _ => reader.u32_le().map(Unit::Drop),
    }
}
