//! Answers read in one go, in the layout of a version, and compared.

use crate::tds::{DecodeError, DoneKind, Framing, Place, Reader, TypeId, TypeInfo, token_id};
use crate::transcode::VALUE_TOO_LONG;

/// What a client makes of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Columns(Vec<(TypeInfo, Vec<u8>)>),
    Row(Vec<Value>),
    Returned(Value),
    Message {
        token: u8,
        /// Number, state, class and the three texts.
        body: Vec<u8>,
        line: u32,
    },
    Done {
        token: u8,
        status: u16,
        command: u16,
        count: u64,
    },
    Status(i32),
}

/// A value and its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    info: TypeInfo,
    bytes: Option<Vec<u8>>,
}

/// Which layout tokens have, and what may occur in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    V7_1,
    V7_2,
    V7_3A,
    V7_4,
}

/// Reads all of an answer.
pub fn read(layout: Layout, payload: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut reader = Reader::new(payload);
    let mut columns = Vec::new();
    let mut events = Vec::new();
    while !reader.is_empty() {
        if let Some(event) = token(layout, &mut columns, &mut reader)? {
            events.push(event);
        }
    }
    Ok(events)
}

/// The client is told what the server said.
pub fn assert_same(layout: Layout, said: &[Event], told: &[Event]) {
    let is_replaced = |event: &Event| match event {
        Event::Message { body, .. } => body.starts_with(&VALUE_TOO_LONG.to_le_bytes()),
        _ => false,
    };
    if told.iter().any(is_replaced) {
        return;
    }
    assert_eq!(said.len(), told.len(), "{said:?}\n{told:?}");
    for (said, told) in said.iter().zip(told) {
        assert!(is_same(layout, said, told), "{said:?}\n{told:?}");
    }
}

fn is_same(layout: Layout, said: &Event, told: &Event) -> bool {
    match (said, told) {
        (Event::Columns(said), Event::Columns(told)) => {
            let names = |columns: &[(_, Vec<u8>)]| -> Vec<Vec<u8>> {
                columns.iter().map(|(_, name)| name.clone()).collect()
            };
            names(said) == names(told) && told.iter().all(|(info, _)| knows(layout, info))
        }
        (Event::Row(said), Event::Row(told)) => {
            said.len() == told.len()
                && said
                    .iter()
                    .zip(told)
                    .all(|(said, told)| is_same_value(layout, said, told))
        }
        (Event::Returned(said), Event::Returned(told)) => {
            knows(layout, &told.info) && is_same_value(layout, said, told)
        }
        (
            Event::Message { token, body, line },
            Event::Message {
                token: told_token,
                body: told_body,
                line: told_line,
            },
        ) => {
            let line = if layout == Layout::V7_1 {
                *line.min(&0xFFFF)
            } else {
                *line
            };
            (token, body, &line) == (told_token, told_body, told_line)
        }
        (
            Event::Done {
                token,
                status,
                command,
                count,
            },
            Event::Done {
                token: told_token,
                status: told_status,
                command: told_command,
                count: told_count,
            },
        ) => {
            (token, status, command) == (told_token, told_status, told_command)
                && (count == told_count || layout == Layout::V7_1 && *count > 0x7FFF_FFFF)
        }
        (said, told) => said == told,
    }
}

/// A value is NULL or not; it is the same if it is of a type that the client has.
fn is_same_value(layout: Layout, said: &Value, told: &Value) -> bool {
    let (Some(said_bytes), Some(told_bytes)) = (&said.bytes, &told.bytes) else {
        return said.bytes.is_none() && told.bytes.is_none();
    };
    match said.info.id() {
        TypeId::DATEN | TypeId::TIMEN | TypeId::DATETIME2N | TypeId::DATETIMEOFFSETN
            if layout <= Layout::V7_2 =>
        {
            told.info.id() == TypeId::NVARCHAR && told_bytes.len().is_multiple_of(2)
        }
        // A date inside becomes text.
        TypeId::SSVARIANT if layout <= Layout::V7_2 => {
            said_bytes == told_bytes || matches!(said_bytes.first(), Some(0x28..=0x2B))
        }
        TypeId::XML if layout == Layout::V7_1 => {
            let text = said_bytes.strip_prefix(&[0xFF, 0xFE]);
            text.unwrap_or(said_bytes) == told_bytes
        }
        _ => said_bytes == told_bytes,
    }
}

/// Whether clients know the type.
fn knows(layout: Layout, info: &TypeInfo) -> bool {
    let is_plp = info.framing(Place::Row) == Framing::Plp;
    match info {
        TypeInfo::Date | TypeInfo::Time { .. } => layout >= Layout::V7_3A,
        TypeInfo::Json | TypeInfo::Vector { .. } => false,
        TypeInfo::Udt(udt) if udt.max == u16::MAX => layout >= Layout::V7_3A,
        _ => !is_plp || layout >= Layout::V7_2,
    }
}

fn token(
    layout: Layout,
    columns: &mut Vec<(TypeInfo, Vec<u8>)>,
    reader: &mut Reader<'_>,
) -> Result<Option<Event>, DecodeError> {
    let token = reader.u8()?;
    Ok(Some(match token {
        token_id::COLMETADATA => {
            let count = reader.u16_le()?;
            columns.clear();
            if count != 0xFFFF {
                for _ in 0..count {
                    columns.push(column(layout, reader)?);
                }
            }
            Event::Columns(columns.clone())
        }
        token_id::ROW => Event::Row(row(columns, &[], reader)?),
        token_id::NBCROW if layout == Layout::V7_4 => {
            let nulls = reader.take(columns.len().div_ceil(8))?;
            Event::Row(row(columns, nulls, reader)?)
        }
        token_id::RETURNVALUE => Event::Returned(returned(layout, reader)?),
        token_id::ERROR | token_id::INFO => message(layout, token, reader)?,
        token_id::RETURNSTATUS => Event::Status(reader.i32_le()?),
        token_id::ENVCHANGE => return env_change(layout, reader).map(|()| None),
        token_id::ORDER
        | token_id::TABNAME
        | token_id::COLINFO
        | token_id::LOGINACK
        | token_id::SSPI => return reader.us_varbyte().map(|_| None),
        token_id::SESSIONSTATE | token_id::FEDAUTHINFO if layout == Layout::V7_4 => {
            return reader.l_varbyte().map(|_| None);
        }
        _ if DoneKind::from_token(token).is_some() => Event::Done {
            token,
            status: reader.u16_le()?,
            command: reader.u16_le()?,
            count: match layout {
                Layout::V7_1 => reader.u32_le()?.into(),
                _ => reader.u64_le()?,
            },
        },
        token => return Err(DecodeError::UnknownToken { token }),
    }))
}

fn column(layout: Layout, reader: &mut Reader<'_>) -> Result<(TypeInfo, Vec<u8>), DecodeError> {
    reader.skip(if layout == Layout::V7_1 { 4 } else { 6 })?;
    let info = TypeInfo::decode(Place::Row, reader)?;
    if let TypeInfo::LongLen { .. } = info {
        let parts = if layout == Layout::V7_1 {
            1
        } else {
            reader.u8()?
        };
        for _ in 0..parts {
            let units = reader.u16_le()?;
            reader.skip(usize::from(units) * 2)?;
        }
    }
    Ok((with_values(info)?, name(reader)?))
}

fn name(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let units = reader.u8()?;
    reader.take(usize::from(units) * 2).map(<[u8]>::to_vec)
}

fn row(
    columns: &[(TypeInfo, Vec<u8>)],
    nulls: &[u8],
    reader: &mut Reader<'_>,
) -> Result<Vec<Value>, DecodeError> {
    if columns.is_empty() {
        return Err(invalid("a row without columns"));
    }
    let mut values = Vec::new();
    for (index, (info, _)) in columns.iter().enumerate() {
        let bitmap = nulls.get(index / 8).copied().unwrap_or(0);
        let bytes = if bitmap >> (index % 8) & 1 != 0 {
            if let TypeInfo::Fixed(_) = info {
                return Err(invalid("NULL of a type that has none"));
            }
            None
        } else {
            value(info, Place::Row, reader)?
        };
        let info = info.clone();
        values.push(Value { info, bytes });
    }
    Ok(values)
}

fn value(
    info: &TypeInfo,
    place: Place,
    reader: &mut Reader<'_>,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let bytes = info.read_value(place, reader)?;
    Ok(bytes.map(std::borrow::Cow::into_owned))
}

fn returned(layout: Layout, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let first = reader.u16_le()?;
    let start = reader.position();
    name(reader)?;
    reader.skip(if layout == Layout::V7_1 { 5 } else { 7 })?;
    let info = with_values(TypeInfo::decode(Place::Row, reader)?)?;
    let ends = |place| {
        let mut ahead = reader.clone();
        value(&info, place, &mut ahead).is_ok() && ahead.position() - start == usize::from(first)
    };
    // At 7.1 what becomes a text has a text pointer; what the server calls one has none.
    let place = match info {
        TypeInfo::LongLen { .. } if layout == Layout::V7_1 && ends(Place::Row) => Place::Row,
        _ => Place::Parameter,
    };
    let bytes = value(&info, place, reader)?;
    if layout == Layout::V7_1 && reader.position() - start != usize::from(first) {
        return Err(invalid("RETURNVALUE with another length"));
    }
    Ok(Value { info, bytes })
}

fn message(layout: Layout, token: u8, reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    let mut body = Reader::new(reader.us_varbyte()?);
    let whole = body.rest();
    body.skip(4 + 1 + 1)?;
    let units = body.u16_le()?;
    body.skip(usize::from(units) * 2)?;
    name(&mut body)?;
    name(&mut body)?;
    let texts = whole.get(..body.position()).unwrap_or_default().to_vec();
    let line = match layout {
        Layout::V7_1 => body.u16_le()?.into(),
        _ => body.u32_le()?,
    };
    if !body.is_empty() {
        return Err(invalid("more in a message than there is to it"));
    }
    let body = texts;
    Ok(Event::Message { token, body, line })
}

/// Those of 7.2 and later must not reach a client of 7.1.
fn env_change(layout: Layout, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let body = reader.us_varbyte()?;
    match (layout, body.first()) {
        (Layout::V7_4, Some(15)) => Err(invalid("its length lies; not judged")),
        (Layout::V7_1, Some(8..)) => Err(invalid("an ENVCHANGE that 7.1 does not have")),
        _ => Ok(()),
    }
}

fn with_values(info: TypeInfo) -> Result<TypeInfo, DecodeError> {
    match info.framing(Place::Row) {
        Framing::Fixed(0) => Err(invalid("the null type")),
        _ => Ok(info),
    }
}

fn invalid(problem: &'static str) -> DecodeError {
    DecodeError::Invalid {
        what: "the answer",
        problem,
    }
}
