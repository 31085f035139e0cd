//! What is to be done with the values of a result, worked out when its columns
//! are read.

use super::Of;
use crate::tds::{DecodeError, Framing, Place, Put, Reader, TypeInfo};
use crate::transcode::present::{self, Making, Shown};
use crate::transcode::{Session, TranscodeError};

/// The plans of a response.
#[derive(Debug, Default)]
pub(super) struct Plans {
    /// Of the result at hand.
    pub(super) row: Plan,
    /// Of its COMPUTE clauses.
    pub(super) alts: Vec<Plan>,
    /// Of the RETURNVALUE at hand.
    pub(super) output: Plan,
}

impl Plans {
    /// The one that values follow.
    pub(super) fn of(&self, of: Of) -> Option<&Plan> {
        match of {
            Of::Row | Of::NbcRow => Some(&self.row),
            Of::AltRow(index) => self.alts.get(index),
            Of::ReturnValue => Some(&self.output),
        }
    }
}

/// What is to be done with values that stand one after the other.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) slots: Vec<Slot>,
    /// NULL in each of them, one after the other; see [`Slot::null_at`].
    pub(super) nulls: Vec<u8>,
    /// The columns that have no NULL, in the order of a NBCROW's bitmap; empty if
    /// there are none.
    pub(super) never_null: Vec<u8>,
    /// Beginning with this column, nothing can turn out to be too long.
    pub(super) undecided: usize,
    /// Whether some value may need more than to be copied.
    pub(super) changes: bool,
    /// Tells the plans of COMPUTE clauses apart.
    pub(super) id: u16,
}

/// What is to be done with one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// How the server frames it.
    pub(super) framing: Framing,
    /// How the client finds it framed.
    pub(super) shown: Framing,
    pub(super) making: Making,
    /// Where its NULL begins in those of the plan.
    null_at: usize,
}

impl Plan {
    /// Forgets the columns.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.nulls.clear();
        self.never_null.clear();
        self.undecided = 0;
        self.changes = false;
    }

    /// One more.
    pub(super) fn push(&mut self, mut slot: Slot) {
        slot.null_at = self.nulls.len();
        match null(slot.shown) {
            Some(null) => self.nulls.extend_from_slice(null),
            None => self.forbid_null(self.slots.len()),
        }
        self.slots.push(slot);
        if matches!(slot.making, Making::Long { .. }) {
            self.undecided = self.slots.len();
        }
        // A text pointer may be of an unusual length.
        self.changes |= slot.making != Making::Same || slot.framing == Framing::TextPointer;
    }

    fn forbid_null(&mut self, column: usize) {
        self.never_null.resize(column / 8 + 1, 0);
        if let Some(byte) = self.never_null.last_mut() {
            *byte |= 1 << (column % 8);
        }
    }

    /// Whether a bitmap says NULL of a value that cannot be.
    pub(super) fn forbids(&self, nulls: &[u8]) -> bool {
        let mut both = self.never_null.iter().zip(nulls);
        both.any(|(never, null)| never & null != 0)
    }

    /// NULL in all columns from one to before another, as the client finds it.
    pub(super) fn nulls(&self, from: usize, to: usize) -> &[u8] {
        let at = |column: usize| self.slots.get(column).map(|slot| slot.null_at);
        let range = at(from).unwrap_or_default()..at(to).unwrap_or(self.nulls.len());
        self.nulls.get(range).unwrap_or_default()
    }
}

impl Slot {
    fn new(info: &TypeInfo, shown: &Shown, place: Place) -> Result<Self, TranscodeError> {
        // MS-TDS has text pointers in rows only, and SQL Server has no outputs of
        // such types; but FreeTDS, jTDS and tedious read a pointer wherever a
        // text stands.
        let shown_place = match shown.making {
            Making::Long { .. } => Place::Row,
            _ => place,
        };
        match info.framing(place) {
            // A value without any byte would have no place in the stream.
            Framing::Fixed(0) => Err(super::invalid("a result has the null type")),
            framing => Ok(Self {
                framing,
                shown: shown.type_info.framing(shown_place),
                making: shown.making,
                null_at: 0,
            }),
        }
    }
}

/// NULL in a framing; `None` where there is none.
pub(super) fn null(framing: Framing) -> Option<&'static [u8]> {
    Some(match framing {
        Framing::ByteLen | Framing::TextPointer => &[0],
        Framing::ShortLen => &[0xFF; 2],
        Framing::Variant => &[0; 4],
        Framing::LongLen => &[0xFF; 4],
        Framing::Plp => &[0xFF; 8],
        _ => return None,
    })
}

/// User type, flags and type, of a column or an output value.
pub(super) struct Typed<'a> {
    user_type: u32,
    flags: u16,
    info: TypeInfo,
    /// `info` as it came.
    raw: &'a [u8],
}

impl<'a> Typed<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (user_type, flags) = (reader.u32_le()?, reader.u16_le()?);
        let (rest, from) = (reader.rest(), reader.position());
        let info = TypeInfo::decode(Place::Row, reader)?;
        let raw = rest.get(..reader.position() - from).unwrap_or_default();
        Ok(Self {
            user_type,
            flags,
            info,
            raw,
        })
    }

    /// Appends them for the client. Values will stand in `place`.
    pub(super) fn write(
        &self,
        place: Place,
        session: &Session,
        out: &mut Vec<u8>,
    ) -> Result<(Slot, Shown), TranscodeError> {
        let version = session.version;
        let shown = present::shown(version, &self.info, session.collation)
            .map_err(TranscodeError::Unsayable)?;
        let user_type = present::user_type(version, self.user_type, &self.info, &shown);
        if version.is_7_1() {
            out.put_u16_le(u16::try_from(user_type).unwrap_or_default());
        } else {
            out.put_u32_le(user_type);
        }
        out.put_u16_le(present::flags(version, self.flags, &self.info, &shown));
        if shown.type_info == self.info {
            out.put_slice(self.raw);
        } else {
            let encoded = shown.type_info.encode(Place::Row, out);
            encoded.map_err(TranscodeError::Unsayable)?;
        }
        Ok((Slot::new(&self.info, &shown, place)?, shown))
    }
}

/// A column of COLMETADATA or ALTMETADATA.
pub(super) struct RawColumn<'a> {
    typed: Typed<'a>,
    /// Text, ntext and image have one.
    table: Option<RawName<'a>>,
    /// With its length.
    name: &'a [u8],
}

impl<'a> RawColumn<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let typed = Typed::read(reader)?;
        let table = match typed.info {
            TypeInfo::LongLen { .. } => Some(RawName::read(reader)?),
            _ => None,
        };
        let rest = reader.rest();
        let len = usize::from(reader.u8()?) * 2;
        reader.skip(len)?;
        Ok(Self {
            typed,
            table,
            name: rest.get(..=len).unwrap_or_default(),
        })
    }

    /// Appends it for the client.
    pub(super) fn write(
        &self,
        session: &Session,
        out: &mut Vec<u8>,
    ) -> Result<Slot, TranscodeError> {
        let (slot, shown) = self.typed.write(Place::Row, session, out)?;
        let has_table = matches!(shown.type_info, TypeInfo::LongLen { .. });
        match &self.table {
            Some(table) => table.write(session.version.is_7_1(), out)?,
            // What becomes a text is of no table, which only 7.1 can see.
            None if has_table => out.put_u16_le(0),
            None => {}
        }
        out.put_slice(self.name);
        Ok(slot)
    }
}

/// A table's name, in parts.
pub(super) struct RawName<'a> {
    parts: Vec<String>,
    /// All of it as it came.
    raw: &'a [u8],
}

impl<'a> RawName<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (rest, from) = (reader.rest(), reader.position());
        let count = reader.u8()?;
        let mut parts = Vec::new();
        for _ in 0..count {
            parts.push(reader.us_varchar()?);
        }
        let raw = rest.get(..reader.position() - from).unwrap_or_default();
        Ok(Self { parts, raw })
    }

    /// Appends it: `joined`, or as it came.
    pub(super) fn write(&self, joined: bool, out: &mut Vec<u8>) -> Result<(), TranscodeError> {
        if !joined {
            out.put_slice(self.raw);
            return Ok(());
        }
        let name = present::table_name(&self.parts);
        let put = out.put_us_varchar("the table name", &name);
        put.map_err(TranscodeError::Unsayable)
    }
}
