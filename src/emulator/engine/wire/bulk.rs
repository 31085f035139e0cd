//! The rows of a bulk load, read as they come (MS-TDS 2.2.6.1).

use rusqlite::types::Value as Stored;

use super::super::error::{SqlError, SqlResult};
use super::super::session::RequestBody;
use super::super::types::SqlType;
use super::{types, values};
use crate::tds::{DecodeError, Place, Reader, TypeInfo, token_id};

/// A row may be as long as any other request.
const MAX_ROW: usize = 64 << 20;
/// The token that ends the rows, if anything does.
const DONE: u8 = 0xFD;
/// Consumed bytes are forgotten when there are so many.
const FORGET: usize = 64 << 10;

/// Reads columns, then rows.
pub(crate) struct Rows<'b> {
    body: &'b mut dyn RequestBody,
    buffer: Vec<u8>,
    consumed: usize,
    ended: bool,
    columns: Vec<(TypeInfo, SqlType)>,
}

impl<'b> Rows<'b> {
    /// Reads up to the first row.
    pub(crate) fn begin(body: &'b mut dyn RequestBody) -> SqlResult<Self> {
        let mut rows = Self {
            body,
            buffer: Vec::new(),
            consumed: 0,
            ended: false,
            columns: Vec::new(),
        };
        let infos = rows.read(columns)?;
        for info in infos {
            let ty = types::from_wire(&info)?;
            rows.columns.push((info, ty));
        }
        Ok(rows)
    }

    /// The types of the values.
    pub(crate) fn types(&self) -> Vec<SqlType> {
        self.columns.iter().map(|(_, ty)| *ty).collect()
    }

    /// The next row, or `None` at the end.
    pub(crate) fn next(&mut self) -> SqlResult<Option<Vec<Stored>>> {
        if self.consumed == self.buffer.len() && !self.fill()? {
            return Ok(None);
        }
        match self.read(|reader| reader.u8().map(Ok))? {
            token_id::ROW => {
                let columns = std::mem::take(&mut self.columns);
                let row = self.read(|reader| row(reader, &columns));
                self.columns = columns;
                row.map(Some)
            }
            // Drivers do not agree on its length: what follows is nobody's.
            DONE => {
                self.ended = true;
                drain(self.body).map(|()| None)
            }
            other => Err(incorrect(format!("token {other:#04x} in a bulk load"))),
        }
    }

    /// Reads something that may not have come in full yet.
    fn read<T>(
        &mut self,
        mut read: impl FnMut(&mut Reader<'_>) -> Result<Outcome<T>, DecodeError>,
    ) -> SqlResult<T> {
        loop {
            let mut reader = Reader::new(self.buffer.get(self.consumed..).unwrap_or_default());
            match read(&mut reader) {
                Ok(outcome) => {
                    self.consumed += reader.position();
                    return outcome;
                }
                Err(DecodeError::Truncated { .. }) => {
                    if !self.fill()? {
                        return Err(premature_end());
                    }
                }
                Err(error) => return Err(incorrect(error)),
            }
        }
    }

    /// Takes in more: as much again as there is, so that a long row is not looked at too often.
    fn fill(&mut self) -> SqlResult<bool> {
        if self.consumed >= FORGET || self.consumed == self.buffer.len() {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
        let before = self.buffer.len();
        let unread = before - self.consumed;
        while !self.ended && self.buffer.len() - before <= unread {
            match self.body.next() {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) => self.ended = true,
                Err(_) => return Err(SqlError::interrupted()),
            }
            if self.buffer.len() - self.consumed > MAX_ROW {
                return Err(SqlError::unsupported("bulk load of a row above 64 MiB"));
            }
        }
        Ok(self.buffer.len() > before)
    }
}

/// What was read in full may still be refused.
type Outcome<T> = SqlResult<T>;

/// Takes in a request without looking at it.
pub(crate) fn drain(body: &mut dyn RequestBody) -> SqlResult<()> {
    loop {
        match body.next() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(_) => return Err(SqlError::interrupted()),
        }
    }
}

/// COLMETADATA as it stands in a bulk load: the table's name of a text has no count of parts.
fn columns(reader: &mut Reader<'_>) -> Result<Outcome<Vec<TypeInfo>>, DecodeError> {
    if reader.u8()? != token_id::COLMETADATA {
        return Ok(Err(incorrect(
            "a bulk load that does not begin with COLMETADATA",
        )));
    }
    let mut infos = Vec::new();
    for _ in 0..reader.u16_le()? {
        reader.skip(6)?;
        let info = match TypeInfo::decode(Place::Row, reader) {
            Err(error @ DecodeError::UnknownType { .. }) => {
                let what = format!("bulk load of this type ({error})");
                return Ok(Err(SqlError::unsupported(what)));
            }
            other => other?,
        };
        if matches!(info, TypeInfo::LongLen { .. }) {
            reader.us_varchar()?;
        }
        reader.b_varchar()?;
        infos.push(info);
    }
    Ok(Ok(infos))
}

fn row(
    reader: &mut Reader<'_>,
    columns: &[(TypeInfo, SqlType)],
) -> Result<Outcome<Vec<Stored>>, DecodeError> {
    let mut row = Vec::with_capacity(columns.len());
    for (index, (info, ty)) in columns.iter().enumerate() {
        let Some(bytes) = info.read_value(Place::Row, reader)? else {
            row.push(Stored::Null);
            continue;
        };
        if too_long(info, bytes.len()) {
            let text = format!(
                "Received an invalid column length from the bcp client for colid {}.",
                index + 1
            );
            return Ok(Err(SqlError::new(4815, text)));
        }
        match values::read(&padded(bytes, *ty), *ty) {
            Ok(value) => row.push(value.into_stored()),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(row))
}

/// A client may send less of a value than its type is long.
fn padded(bytes: impl Into<Vec<u8>>, ty: SqlType) -> Vec<u8> {
    let mut bytes = bytes.into();
    let (length, unit): (u16, &[u8]) = match ty {
        SqlType::Char(length) => (length, b" "),
        SqlType::NChar(length) => (length, b" \0"),
        SqlType::Binary(length) => (length, b"\0"),
        _ => return bytes,
    };
    let missing = usize::from(length).saturating_sub(bytes.len() / unit.len());
    bytes.extend(unit.repeat(missing));
    bytes
}

fn too_long(info: &TypeInfo, len: usize) -> bool {
    match info {
        TypeInfo::ShortLen { max, .. } => *max != TypeInfo::MAX && len > usize::from(*max),
        TypeInfo::ByteLen { max, .. } | TypeInfo::Decimal { max, .. } => len > usize::from(*max),
        _ => false,
    }
}

fn premature_end() -> SqlError {
    SqlError::new(
        4804,
        "While reading current row from host, a premature end-of-message was encountered--an \
         incoming data stream was interrupted when the server expected to see more data. The host \
         program may have terminated. Ensure that you are using a supported client application \
         programming interface (API).",
    )
}

fn incorrect(problem: impl std::fmt::Display) -> SqlError {
    SqlError::new(
        4002,
        format!("The incoming tabular data stream (TDS) protocol stream is incorrect: {problem}."),
    )
}
