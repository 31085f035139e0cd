//! Requests to the engine and a reader of its answers.

use std::sync::Arc;

use entrada::emulator::{Engine, EngineOptions, EngineSession, InMemoryDirectory, Principal};
use entrada::tds::{
    Column, Done, Message, PacketStatus, PacketType, Place, Reader, ServerMessage, TdsVersion,
    Token, TypeId, TypeInfo, all_headers, decode_columns, read_token, token_id,
};

/// What an answer holds, in order.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) results: Vec<(Vec<Column>, Vec<Vec<String>>)>,
    pub(crate) errors: Vec<ServerMessage>,
    pub(crate) infos: Vec<ServerMessage>,
    pub(crate) dones: Vec<Done>,
    pub(crate) tokens: Vec<Token>,
    /// Output parameters: name and value.
    pub(crate) outputs: Vec<(String, String)>,
}

impl Answer {
    /// Rows of the only result, with no error.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        assert!(self.errors.is_empty(), "{:?}", self.errors);
        assert_eq!(self.results.len(), 1, "{self:?}");
        self.results[0].1.clone()
    }

    /// The number of the only error.
    pub(crate) fn error(&self) -> i32 {
        assert_eq!(self.errors.len(), 1, "{self:?}");
        self.errors[0].number
    }
}

pub(crate) fn engine() -> (Engine, InMemoryDirectory) {
    let directory = InMemoryDirectory::new();
    let mut options = EngineOptions::default();
    options.directory = Arc::new(directory.clone());
    let engine = Engine::in_memory(options).unwrap();
    engine.create_database("app").unwrap();
    (engine, directory)
}

pub(crate) fn admin(engine: &Engine) -> EngineSession {
    admin_of(engine, "app")
}

/// A session of the administrator in this database.
pub(crate) fn admin_of(engine: &Engine, database: &str) -> EngineSession {
    let admin = Principal::ServerAdmin {
        name: "admin".into(),
    };
    engine.connect(&admin, Some(database)).unwrap()
}

/// A session of the administrator in an engine of its own.
pub(crate) fn session() -> (Engine, EngineSession) {
    let (engine, _) = engine();
    let session = admin(&engine);
    (engine, session)
}

pub(crate) fn message(packet_type: PacketType, body: &[u8]) -> Message {
    let mut payload = all_headers(0);
    payload.extend_from_slice(body);
    Message {
        packet_type,
        status: PacketStatus::EOM,
        spid: 0,
        payload,
    }
}

pub(crate) fn batch(sql: &str) -> Message {
    let text: Vec<u8> = sql.encode_utf16().flat_map(u16::to_le_bytes).collect();
    message(PacketType::SQL_BATCH, &text)
}

pub(crate) fn ask(session: &mut EngineSession, sql: &str) -> Answer {
    send(session, &batch(sql))
}

pub(crate) fn send(session: &mut EngineSession, message: &Message) -> Answer {
    let mut bytes = Vec::new();
    session.execute(message, &mut bytes).unwrap();
    read(&bytes)
}

/// The values of a query's only row, joined by `|`.
pub(crate) fn one(session: &mut EngineSession, sql: &str) -> String {
    let answer = ask(session, sql);
    assert!(answer.errors.is_empty(), "{sql}: {:?}", answer.errors);
    let rows = answer.rows();
    assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
    rows[0].join("|")
}

pub(crate) fn read(bytes: &[u8]) -> Answer {
    read_with(bytes, show)
}

/// Reads an answer, with values as `show` writes them.
pub(crate) fn read_with(bytes: &[u8], show: fn(&TypeInfo, Option<&[u8]>) -> String) -> Answer {
    let mut answer = Answer::default();
    let mut reader = Reader::new(bytes);
    while let Some(id) = reader.peek() {
        match id {
            token_id::COLMETADATA => {
                reader.skip(1).unwrap();
                let columns = decode_columns(&mut reader).unwrap();
                answer.results.push((columns, Vec::new()));
            }
            token_id::ROW | token_id::NBCROW => {
                reader.skip(1).unwrap();
                let (columns, rows) = answer.results.last_mut().expect("rows come after columns");
                let nulls = match id {
                    token_id::NBCROW => reader.take(columns.len().div_ceil(8)).unwrap(),
                    _ => &[],
                };
                let is_null = |index: usize| {
                    nulls
                        .get(index / 8)
                        .is_some_and(|b| b >> (index % 8) & 1 == 1)
                };
                let row = columns.iter().enumerate().map(|(index, c)| {
                    if is_null(index) {
                        return show(&c.type_info, None);
                    }
                    let value = c.type_info.read_value(Place::Row, &mut reader).unwrap();
                    assert!(
                        value.is_some() || nulls.is_empty(),
                        "NULL outside of the bitmap"
                    );
                    show(&c.type_info, value.as_deref())
                });
                rows.push(row.collect());
            }
            token_id::RETURNVALUE => {
                reader.skip(3).unwrap();
                let name = reader.b_varchar().unwrap();
                reader.skip(7).unwrap();
                let info = TypeInfo::decode(Place::Parameter, &mut reader).unwrap();
                let value = info.read_value(Place::Parameter, &mut reader).unwrap();
                answer.outputs.push((name, show(&info, value.as_deref())));
            }
            _ => match read_token(&mut reader, TdsVersion::V7_4).unwrap() {
                Token::Error(error) => answer.errors.push(error),
                Token::Info(info) => answer.infos.push(info),
                Token::Done(done) => answer.dones.push(done),
                other => answer.tokens.push(other),
            },
        }
    }
    assert!(answer.dones.last().expect("a final DONE").is_final());
    answer
}

fn number(bytes: &[u8]) -> i64 {
    let fill = if bytes.len() > 1 && bytes[bytes.len() - 1] & 0x80 != 0 {
        0xFF
    } else {
        0
    };
    let mut wide = [fill; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(wide)
}

/// A value as text; dates as the hexadecimal digits of the wire.
fn show(info: &TypeInfo, value: Option<&[u8]>) -> String {
    let Some(bytes) = value else {
        return "NULL".into();
    };
    match info {
        TypeInfo::ByteLen {
            id: TypeId::INTN | TypeId::BITN,
            ..
        }
        | TypeInfo::Fixed(
            TypeId::INT1 | TypeId::INT2 | TypeId::INT4 | TypeId::INT8 | TypeId::BIT,
        ) => number(bytes).to_string(),
        TypeInfo::Fixed(TypeId::FLT8)
        | TypeInfo::ByteLen {
            id: TypeId::FLTN,
            max: 8,
        } => f64::from_le_bytes(bytes.try_into().unwrap()).to_string(),
        TypeInfo::Fixed(TypeId::FLT4)
        | TypeInfo::ByteLen {
            id: TypeId::FLTN, ..
        } => f32::from_le_bytes(bytes.try_into().unwrap()).to_string(),
        TypeInfo::Decimal { scale, .. } => {
            let mut wide = [0; 16];
            wide[..bytes.len() - 1].copy_from_slice(&bytes[1..]);
            let digits = format!(
                "{:0>1$}",
                u128::from_le_bytes(wide),
                usize::from(*scale) + 1
            );
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(*scale));
            let sign = if bytes[0] == 0 { "-" } else { "" };
            let point = if *scale > 0 { "." } else { "" };
            format!("{sign}{whole}{point}{fraction}")
        }
        TypeInfo::ShortLen {
            id: TypeId::NVARCHAR | TypeId::NCHAR,
            ..
        } => {
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|p| u16::from_le_bytes([p[0], p[1]]))
                .collect();
            String::from_utf16(&units).unwrap()
        }
        TypeInfo::ShortLen {
            id: TypeId::BIGVARCHR | TypeId::BIGCHAR,
            ..
        } => String::from_utf8_lossy(bytes).into(),
        _ => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    }
}
