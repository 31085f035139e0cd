//! Answers, as strictly as a client of each version reads them.

use super::bytes::{In, Read};
use super::types::{Place, Ty, id};
use super::version::Version;

/// A token of an answer, in the form that it has in no version.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tok {
    Columns(Vec<Column>),
    /// COLMETADATA that says that there is none.
    NoColumns,
    Row(Vec<Option<Vec<u8>>>),
    Computed {
        id: u16,
        by: Vec<u16>,
        columns: Vec<Compute>,
    },
    ComputedRow {
        id: u16,
        values: Vec<Option<Vec<u8>>>,
    },
    Tables(Vec<Vec<String>>),
    ColumnInfo(Vec<u8>),
    Order(Vec<u16>),
    Offset([u8; 4]),
    Status(i32),
    Returned(Box<Returned>),
    Message(Message),
    Env(Vec<Env>),
    Done(Done),
    LoginAck {
        version: [u8; 4],
        program: String,
        /// The server's own version.
        server: [u8; 4],
    },
    /// Features and session state, by their token.
    Opaque(u8, Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) user_type: u32,
    pub(super) flags: u16,
    pub(super) ty: Ty,
    /// The table of a text, by its parts.
    pub(super) table: Vec<String>,
    pub(super) name: String,
}

/// A column of a COMPUTE clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compute {
    pub(super) operator: u8,
    pub(super) operand: u16,
    pub(super) column: Column,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Returned {
    /// Not told to clients before 7.2.
    pub(super) ordinal: Option<u16>,
    pub(super) name: String,
    pub(super) status: u8,
    pub(super) user_type: u32,
    pub(super) flags: u16,
    pub(super) ty: Ty,
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) is_error: bool,
    pub(super) number: i32,
    pub(super) state: u8,
    pub(super) class: u8,
    pub(super) text: String,
    pub(super) server: String,
    pub(super) procedure: String,
    pub(super) line: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Env {
    pub(super) kind: u8,
    pub(super) new: Vec<u8>,
    pub(super) old: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) token: u8,
    pub(super) status: u16,
    pub(super) command: u16,
    pub(super) count: u64,
}

impl Done {
    pub(super) const MORE: u16 = 0x01;
    pub(super) const ERROR: u16 = 0x02;
    pub(super) const COUNT: u16 = 0x10;
    pub(super) const ATTN: u16 = 0x20;
}

/// The longest that the first field of RETURNVALUE can say at 7.1.
const LONGEST: usize = 0xFFFF;

/// Reads all of an answer.
pub(super) fn read(version: Version, payload: &[u8]) -> Read<Vec<Tok>> {
    let mut reader = Reader {
        version,
        bytes: In::new(payload),
        columns: None,
        computed: Vec::new(),
    };
    let mut tokens = Vec::new();
    while !reader.bytes.is_empty() {
        let at = reader.bytes.at();
        let token = reader.token();
        let token = token.map_err(|e| {
            let id = payload[at];
            format!(
                "{version:?}: token {} ({id:#04x}) at {at}: {e}",
                tokens.len()
            )
        })?;
        tokens.push(token);
    }
    Ok(tokens)
}

struct Reader<'a> {
    version: Version,
    bytes: In<'a>,
    columns: Option<Vec<Ty>>,
    computed: Vec<(u16, Vec<Ty>)>,
}

impl Reader<'_> {
    fn token(&mut self) -> Read<Tok> {
        let token = self.bytes.u8()?;
        let newest = self.version == Version::V74;
        Ok(match token {
            0x78 if !self.version.has_max() => Tok::Offset(self.bytes.array()?),
            0x79 => Tok::Status(i32::from_le_bytes(self.bytes.array()?)),
            0x81 => self.columns()?,
            0x88 => self.computed()?,
            0xA4 => self.tables()?,
            0xA5 => self.column_info()?,
            0xA9 => self.order()?,
            0xAA | 0xAB => self.message(token == 0xAA)?,
            0xAC => self.returned()?,
            0xAD => self.login_ack()?,
            0xAE if newest => self.features()?,
            0xD1 => Tok::Row(self.row()?),
            0xD2 if self.version.has_null_bitmaps() => Tok::Row(self.row_with_bitmap()?),
            0xD3 => self.computed_row()?,
            0xE3 => self.env()?,
            0xE4 if newest => {
                let length = self.bytes.u32()?;
                Tok::Opaque(token, self.bytes.take(length as usize)?.to_vec())
            }
            0xFD..=0xFF => self.done(token)?,
            _ => return Err("is unknown to such a client".into()),
        })
    }

    fn user_type(&mut self) -> Read<u32> {
        if self.version.has_max() {
            self.bytes.u32()
        } else {
            Ok(self.bytes.u16()?.into())
        }
    }

    fn columns(&mut self) -> Read<Tok> {
        let count = self.bytes.u16()?;
        if count == 0xFFFF {
            return Ok(Tok::NoColumns);
        }
        let columns = (0..count)
            .map(|_| self.column())
            .collect::<Read<Vec<_>>>()?;
        self.columns = Some(columns.iter().map(|column| column.ty.clone()).collect());
        Ok(Tok::Columns(columns))
    }

    fn column(&mut self) -> Read<Column> {
        let user_type = self.user_type()?;
        let flags = self.bytes.u16()?;
        self.check_flags(flags)?;
        let ty = Ty::read(self.version, &mut self.bytes)?;
        let table = match &ty {
            Ty::Long { .. } => self.table(self.version.has_max())?,
            _ => Vec::new(),
        };
        let name = self.bytes.short_text()?;
        Ok(Column {
            user_type,
            flags,
            ty,
            table,
            name,
        })
    }

    fn check_flags(&self, flags: u16) -> Read<()> {
        let known = match self.version {
            Version::V71 | Version::V71r1 => 0x00DF,
            Version::V72 | Version::V73a => 0xF3FF,
            Version::V73b => 0xF7FF,
            Version::V74 => 0xFFFF,
        };
        match flags & !known {
            0 => Ok(()),
            other => Err(format!("flags {other:#06x} are not known")),
        }
    }

    /// A table's name in parts, or in one that is not split.
    fn table(&mut self, parts: bool) -> Read<Vec<String>> {
        let count = if parts { self.bytes.u8()? } else { 1 };
        (0..count).map(|_| self.bytes.long_text()).collect()
    }

    fn values(
        &mut self,
        types: &[Ty],
        is_null: impl Fn(usize) -> bool,
    ) -> Read<Vec<Option<Vec<u8>>>> {
        let values = types.iter().enumerate().map(|(at, ty)| {
            if is_null(at) {
                return Ok(None);
            }
            let value = ty.read_value(self.version, Place::Row, &mut self.bytes);
            value.map_err(|e| format!("value {at}, {ty:?}: {e}"))
        });
        values.collect()
    }

    fn row(&mut self) -> Read<Vec<Option<Vec<u8>>>> {
        let types = self.columns.clone().ok_or("a row without columns")?;
        self.values(&types, |_| false)
    }

    fn row_with_bitmap(&mut self) -> Read<Vec<Option<Vec<u8>>>> {
        let types = self.columns.clone().ok_or("a row without columns")?;
        let bitmap = self.bytes.take(types.len().div_ceil(8))?;
        self.values(&types, |at| bitmap[at / 8] >> (at % 8) & 1 == 1)
    }

    fn computed(&mut self) -> Read<Tok> {
        let count = self.bytes.u16()?;
        let id = self.bytes.u16()?;
        let by = self.bytes.u8()?;
        let by = (0..by).map(|_| self.bytes.u16()).collect::<Read<_>>()?;
        let columns = (0..count).map(|_| {
            Ok(Compute {
                operator: self.bytes.u8()?,
                operand: self.bytes.u16()?,
                column: self.column()?,
            })
        });
        let columns = columns.collect::<Read<Vec<_>>>()?;
        let types = columns.iter().map(|c| c.column.ty.clone()).collect();
        self.computed.retain(|(other, _)| *other != id);
        self.computed.push((id, types));
        Ok(Tok::Computed { id, by, columns })
    }

    fn computed_row(&mut self) -> Read<Tok> {
        let id = self.bytes.u16()?;
        let types = self.computed.iter().find(|(other, _)| *other == id);
        let types = types.ok_or("a computed row without columns")?.1.clone();
        let values = self.values(&types, |_| false)?;
        Ok(Tok::ComputedRow { id, values })
    }

    fn tables(&mut self) -> Read<Tok> {
        let mut part = self.bytes.part()?;
        let mut tables = Vec::new();
        while !part.is_empty() {
            let count = if self.version == Version::V71 {
                1
            } else {
                part.u8()?
            };
            if !(1..=4).contains(&count) {
                return Err(format!("a table's name of {count} parts"));
            }
            tables.push((0..count).map(|_| part.long_text()).collect::<Read<_>>()?);
        }
        Ok(Tok::Tables(tables))
    }

    fn column_info(&mut self) -> Read<Tok> {
        let length = self.bytes.u16()?;
        let whole = self.bytes.take(length.into())?;
        let mut part = In::new(whole);
        while !part.is_empty() {
            if part.array::<3>()?[2] & 0x20 != 0 {
                part.short_text()?;
            }
        }
        Ok(Tok::ColumnInfo(whole.to_vec()))
    }

    fn order(&mut self) -> Read<Tok> {
        let mut part = self.bytes.part()?;
        let mut columns = Vec::new();
        while !part.is_empty() {
            columns.push(part.u16()?);
        }
        Ok(Tok::Order(columns))
    }

    fn message(&mut self, is_error: bool) -> Read<Tok> {
        let mut part = self.bytes.part()?;
        let number = i32::from_le_bytes(part.array()?);
        let [state, class] = part.array()?;
        let text = part.long_text()?;
        let server = part.short_text()?;
        let procedure = part.short_text()?;
        let line = if self.version.has_max() {
            part.u32()?
        } else {
            part.u16()?.into()
        };
        part.end("a message")?;
        Ok(Tok::Message(Message {
            is_error,
            number,
            state,
            class,
            text,
            server,
            procedure,
            line,
        }))
    }

    fn returned(&mut self) -> Read<Tok> {
        let first = self.bytes.u16()?;
        let start = self.bytes.at();
        let name = self.bytes.short_text()?;
        let status = self.bytes.u8()?;
        if !matches!(status, 1 | 2) {
            return Err(format!("an output value of status {status}"));
        }
        let user_type = self.user_type()?;
        let flags = self.bytes.u16()?;
        let ty = Ty::read(self.version, &mut self.bytes)?;
        // What becomes a text has a text pointer, as in a row: so drivers read it.
        let place = if self.version.has_max() {
            Place::Param
        } else {
            Place::Row
        };
        let value = ty.read_value(self.version, place, &mut self.bytes)?;
        let length = self.bytes.at() - start;
        let ordinal = self.version.has_max().then_some(first);
        if ordinal.is_none() && length <= LONGEST && length != usize::from(first) {
            return Err(format!("{length} bytes of an output value of {first}"));
        }
        Ok(Tok::Returned(Box::new(Returned {
            ordinal,
            name,
            status,
            user_type,
            flags,
            ty,
            value,
        })))
    }

    fn login_ack(&mut self) -> Read<Tok> {
        let mut part = self.bytes.part()?;
        if part.u8()? != 1 {
            return Err("no T-SQL".into());
        }
        let version = part.array()?;
        let program = part.short_text()?;
        let server = part.array()?;
        part.end("LOGINACK")?;
        Ok(Tok::LoginAck {
            version,
            program,
            server,
        })
    }

    fn features(&mut self) -> Read<Tok> {
        let mut all = Vec::new();
        loop {
            let id = self.bytes.u8()?;
            all.push(id);
            if id == 0xFF {
                return Ok(Tok::Opaque(0xAE, all));
            }
            let length = self.bytes.array()?;
            all.extend(length);
            all.extend(self.bytes.take(u32::from_le_bytes(length) as usize)?);
        }
    }

    fn env(&mut self) -> Read<Tok> {
        let length = self.bytes.u16()?;
        let start = self.bytes.at();
        let mut changes = Vec::new();
        loop {
            let kind = self.bytes.u8()?;
            let change = self.change(kind)?;
            let promoted = kind == 15;
            changes.push(change);
            let read = self.bytes.at() - start;
            // The length of a promotion counts its type alone.
            if read == usize::from(length) || promoted && length == 1 {
                return Ok(Tok::Env(changes));
            }
            if read > usize::from(length) {
                return Err(format!("{read} bytes of changes in {length}"));
            }
        }
    }

    fn change(&mut self, kind: u8) -> Read<Env> {
        let allowed = match kind {
            1 | 2 | 4 | 7 => true,
            8..=12 | 15..=19 => self.version.has_max(),
            // Proxies keep it to themselves.
            13 => self.version == Version::V74,
            _ => false,
        };
        if !allowed {
            return Err(format!("a change of type {kind} for {:?}", self.version));
        }
        let (new, old) = match kind {
            1 | 2 | 4 | 13 | 19 => (self.chars()?, self.chars()?),
            15 => {
                let length = self.bytes.u32()?;
                (self.bytes.take(length as usize)?.to_vec(), self.short()?)
            }
            _ => (self.short()?, self.short()?),
        };
        let sizes: &[usize] = match kind {
            7 => &[0, 5],
            8..=12 | 17 => &[0, 8],
            _ => return Ok(Env { kind, new, old }),
        };
        if !sizes.contains(&new.len()) || !sizes.contains(&old.len()) {
            return Err(format!("a change of type {kind} from {old:?} to {new:?}"));
        }
        Ok(Env { kind, new, old })
    }

    fn chars(&mut self) -> Read<Vec<u8>> {
        Ok(self.bytes.short_text()?.into_bytes())
    }

    fn short(&mut self) -> Read<Vec<u8>> {
        let length = self.bytes.u8()?;
        Ok(self.bytes.take(length.into())?.to_vec())
    }

    fn done(&mut self, token: u8) -> Read<Tok> {
        let status = self.bytes.u16()?;
        let command = self.bytes.u16()?;
        let count = if self.version.has_max() {
            self.bytes.u64()?
        } else {
            self.bytes.u32()?.into()
        };
        if status & !0x01B7 != 0 {
            return Err(format!("the status of DONE is {status:#06x}"));
        }
        Ok(Tok::Done(Done {
            token,
            status,
            command,
            count,
        }))
    }
}

/// Whether the type's NULL could be said at all.
pub(super) fn may_be_null(ty: &Ty) -> bool {
    !matches!(ty, Ty::Fixed(fixed) if *fixed != id::NULL)
}
