//! Bytes of types, values, tokens and requests, in the form of each version.

use super::answer::{Column, Done, Env, Message, Returned, Tok};
use super::bytes::{put_long_text, put_short_text, utf16};
use super::types::{Collation, Place, Ty, fixed_length, id};
use super::version::Version;

/// How a value in pieces is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pieces {
    /// With its length, in one piece.
    Whole,
    /// With its length, in pieces of so many bytes.
    Known(usize),
    /// Without its length, in pieces of so many bytes.
    Unknown(usize),
}

impl Ty {
    /// Appends TYPE_INFO.
    pub(super) fn put(&self, place: Place, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(id) => out.push(*id),
            Self::Byte { id, max } => out.extend([*id, *max]),
            Self::Decimal {
                id,
                max,
                precision,
                scale,
            } => {
                out.extend([*id, *max, *precision, *scale]);
            }
            Self::Date => out.push(id::DATE),
            Self::Scaled { id, scale } => out.extend([*id, *scale]),
            Self::Short { id, max, collation } => {
                out.push(*id);
                out.extend(max.to_le_bytes());
                out.extend(collation.iter().flatten());
            }
            Self::Long { id, max, collation } => {
                out.push(*id);
                out.extend(max.to_le_bytes());
                out.extend(collation.iter().flatten());
            }
            Self::Variant { max } => {
                out.push(id::VARIANT);
                out.extend(max.to_le_bytes());
            }
            Self::Xml(schema) => {
                out.extend([id::XML, u8::from(schema.is_some())]);
                if let Some([database, owner, name]) = schema {
                    put_short_text(database, out);
                    put_short_text(owner, out);
                    put_long_text(name, out);
                }
            }
            Self::Udt {
                max,
                names,
                assembly,
            } => {
                out.push(id::UDT);
                if place == Place::Row {
                    out.extend(max.to_le_bytes());
                }
                names.iter().for_each(|name| put_short_text(name, out));
                if place == Place::Row {
                    put_long_text(assembly, out);
                }
            }
        }
    }

    /// Appends a value.
    pub(super) fn put_value(
        &self,
        place: Place,
        value: Option<&[u8]>,
        how: Pieces,
        out: &mut Vec<u8>,
    ) {
        if self.in_pieces() {
            return put_pieces(value, how, out);
        }
        match (self, value) {
            (Self::Fixed(id), value) => {
                let value = value.unwrap_or_default();
                assert_eq!(fixed_length(*id), Some(value.len()));
                out.extend(value);
            }
            (Self::Long { .. }, value) => put_long(place, value, out),
            (Self::Variant { .. }, value) => {
                let value = value.unwrap_or_default();
                out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
                out.extend(value);
            }
            (Self::Short { .. }, None) => out.extend([0xFF, 0xFF]),
            (Self::Short { .. }, Some(value)) => {
                out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
                out.extend(value);
            }
            (_, None) => out.push(0),
            (_, Some(value)) => {
                out.push(u8::try_from(value.len()).unwrap());
                out.extend(value);
            }
        }
    }
}

fn put_long(place: Place, value: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(value) = value else {
        return match place {
            Place::Row => out.push(0),
            Place::Param => out.extend([0xFF; 4]),
        };
    };
    if place == Place::Row {
        out.push(16);
        out.extend([0xAB; 24]);
    }
    out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    out.extend(value);
}

fn put_pieces(value: Option<&[u8]>, how: Pieces, out: &mut Vec<u8>) {
    let Some(value) = value else {
        return out.extend([0xFF; 8]);
    };
    let length = value.len() as u64;
    let (total, size) = match how {
        Pieces::Whole => (length, usize::MAX),
        Pieces::Known(size) => (length, size),
        Pieces::Unknown(size) => (u64::MAX - 1, size),
    };
    out.extend(total.to_le_bytes());
    for piece in value.chunks(size) {
        out.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
        out.extend(piece);
    }
    out.extend([0; 4]);
}

/// An answer as a 7.4 server sends it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    columns: Vec<Ty>,
    computed: Vec<(u16, Vec<Ty>)>,
    how: Pieces,
    bitmaps: bool,
}

impl Answer {
    pub(super) fn new(how: Pieces) -> Self {
        Self {
            bytes: Vec::new(),
            columns: Vec::new(),
            computed: Vec::new(),
            how,
            bitmaps: false,
        }
    }

    /// Sends rows with a bitmap of their NULLs.
    pub(super) fn with_bitmaps(mut self) -> Self {
        self.bitmaps = true;
        self
    }

    pub(super) fn with(mut self, tokens: &[Tok]) -> Self {
        tokens.iter().for_each(|token| self.put(token));
        self
    }

    fn put(&mut self, token: &Tok) {
        let out = &mut self.bytes;
        match token {
            Tok::Columns(columns) => {
                out.push(0x81);
                out.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
                columns.iter().for_each(|column| put_column(column, out));
                self.columns = columns.iter().map(|column| column.ty.clone()).collect();
            }
            Tok::NoColumns => out.extend([0x81, 0xFF, 0xFF]),
            Tok::Row(values) => self.put_row(values),
            Tok::Computed { id, by, columns } => {
                out.push(0x88);
                out.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
                out.extend(id.to_le_bytes());
                out.push(u8::try_from(by.len()).unwrap());
                out.extend(by.iter().flat_map(|column| column.to_le_bytes()));
                for compute in columns {
                    out.push(compute.operator);
                    out.extend(compute.operand.to_le_bytes());
                    put_column(&compute.column, out);
                }
                let types = columns.iter().map(|c| c.column.ty.clone()).collect();
                self.computed.push((*id, types));
            }
            Tok::ComputedRow { id, values } => {
                out.push(0xD3);
                out.extend(id.to_le_bytes());
                let computed = self.computed.iter().rev().find(|(other, _)| other == id);
                for (ty, value) in computed.unwrap().1.iter().zip(values) {
                    ty.put_value(Place::Row, value.as_deref(), self.how, out);
                }
            }
            Tok::Status(status) => {
                out.push(0x79);
                out.extend(status.to_le_bytes());
            }
            Tok::Offset(bytes) => {
                out.push(0x78);
                out.extend(bytes);
            }
            Tok::Returned(returned) => put_returned(returned, self.how, out),
            Tok::Done(done) => put_done(done, out),
            Tok::Opaque(token, bytes) => {
                out.push(*token);
                if *token == 0xE4 {
                    out.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
                }
                out.extend(bytes);
            }
            other => put_sized(other, out),
        }
    }

    fn put_row(&mut self, values: &[Option<Vec<u8>>]) {
        let out = &mut self.bytes;
        out.push(if self.bitmaps { 0xD2 } else { 0xD1 });
        if self.bitmaps {
            for group in values.chunks(8) {
                let bits = group.iter().enumerate();
                out.push(bits.map(|(at, v)| u8::from(v.is_none()) << at).sum());
            }
        }
        for (ty, value) in self.columns.iter().zip(values) {
            if value.is_some() || !self.bitmaps {
                ty.put_value(Place::Row, value.as_deref(), self.how, out);
            }
        }
    }
}

fn put_column(column: &Column, out: &mut Vec<u8>) {
    out.extend(column.user_type.to_le_bytes());
    out.extend(column.flags.to_le_bytes());
    column.ty.put(Place::Row, out);
    if matches!(column.ty, Ty::Long { .. }) {
        out.push(u8::try_from(column.table.len()).unwrap());
        column
            .table
            .iter()
            .for_each(|part| put_long_text(part, out));
    }
    put_short_text(&column.name, out);
}

fn put_returned(returned: &Returned, how: Pieces, out: &mut Vec<u8>) {
    out.push(0xAC);
    out.extend(returned.ordinal.unwrap().to_le_bytes());
    put_short_text(&returned.name, out);
    out.push(returned.status);
    out.extend(returned.user_type.to_le_bytes());
    out.extend(returned.flags.to_le_bytes());
    returned.ty.put(Place::Row, out);
    let value = returned.value.as_deref();
    returned.ty.put_value(Place::Param, value, how, out);
}

fn put_done(done: &Done, out: &mut Vec<u8>) {
    out.push(done.token);
    out.extend(done.status.to_le_bytes());
    out.extend(done.command.to_le_bytes());
    out.extend(done.count.to_le_bytes());
}

/// Tokens with a length of two bytes.
fn put_sized(token: &Tok, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    let id = match token {
        Tok::Tables(tables) => {
            for parts in tables {
                body.push(u8::try_from(parts.len()).unwrap());
                parts.iter().for_each(|part| put_long_text(part, &mut body));
            }
            0xA4
        }
        Tok::ColumnInfo(bytes) => {
            body.extend(bytes);
            0xA5
        }
        Tok::Order(columns) => {
            body.extend(columns.iter().flat_map(|column| column.to_le_bytes()));
            0xA9
        }
        Tok::Message(message) => {
            put_message(message, &mut body);
            if message.is_error { 0xAA } else { 0xAB }
        }
        Tok::Env(changes) => {
            changes
                .iter()
                .for_each(|change| put_change(change, &mut body));
            0xE3
        }
        other => panic!("{other:?} has no length"),
    };
    out.push(id);
    // The length of a promotion counts its type alone.
    let promoted = matches!(token, Tok::Env(changes) if changes[0].kind == 15);
    let length = if promoted { 1 } else { body.len() };
    out.extend(u16::try_from(length).unwrap().to_le_bytes());
    out.extend(body);
}

fn put_message(message: &Message, out: &mut Vec<u8>) {
    out.extend(message.number.to_le_bytes());
    out.extend([message.state, message.class]);
    put_long_text(&message.text, out);
    put_short_text(&message.server, out);
    put_short_text(&message.procedure, out);
    out.extend(message.line.to_le_bytes());
}

fn put_change(change: &Env, out: &mut Vec<u8>) {
    out.push(change.kind);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match change.kind {
        1 | 2 | 4 | 13 | 19 => {
            put_short_text(&text(&change.new), out);
            put_short_text(&text(&change.old), out);
            return;
        }
        15 => out.extend(u32::try_from(change.new.len()).unwrap().to_le_bytes()),
        _ => out.push(u8::try_from(change.new.len()).unwrap()),
    }
    out.extend(&change.new);
    out.push(u8::try_from(change.old.len()).unwrap());
    out.extend(&change.old);
}

/// A parameter of a call.
#[derive(Clone, Debug)]
pub(super) struct Param {
    pub(super) name: String,
    pub(super) output: bool,
    pub(super) ty: Ty,
    pub(super) value: Option<Vec<u8>>,
}

/// The headers that requests have since 7.2.
pub(super) fn headers(version: Version, descriptor: u64) -> Vec<u8> {
    if !version.has_max() {
        return Vec::new();
    }
    let mut headers = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0];
    headers.extend(descriptor.to_le_bytes());
    headers.extend([1, 0, 0, 0]);
    headers
}

/// A batch.
pub(super) fn batch(version: Version, descriptor: u64, sql: &str) -> Vec<u8> {
    let mut payload = headers(version, descriptor);
    payload.extend(utf16(sql));
    payload
}

/// Which procedure is called.
#[derive(Clone, Debug)]
pub(super) enum Procedure {
    Id(u16),
    Name(String),
}

/// Calls, one after the other.
pub(super) fn calls(
    version: Version,
    descriptor: u64,
    calls: &[(Procedure, Vec<Param>)],
) -> Vec<u8> {
    let mut payload = headers(version, descriptor);
    for (at, (procedure, params)) in calls.iter().enumerate() {
        if at > 0 {
            payload.push(if version.has_max() { 0xFF } else { 0x80 });
        }
        match procedure {
            Procedure::Id(id) => {
                payload.extend([0xFF, 0xFF]);
                payload.extend(id.to_le_bytes());
            }
            Procedure::Name(name) => put_long_text(name, &mut payload),
        }
        payload.extend([0, 0]);
        for param in params {
            put_short_text(&param.name, &mut payload);
            payload.push(u8::from(param.output));
            param.ty.put(Place::Param, &mut payload);
            let value = param.value.as_deref();
            param
                .ty
                .put_value(Place::Param, value, Pieces::Whole, &mut payload);
        }
    }
    payload
}

/// nvarchar, as long as a version can say it without ntext.
pub(super) fn nvarchar(collation: Collation, text: &str) -> (Ty, Option<Vec<u8>>) {
    let value = utf16(text);
    let ty = if value.len() <= 8000 {
        Ty::Short {
            id: id::NVARCHAR,
            max: 8000,
            collation: Some(collation),
        }
    } else {
        Ty::Long {
            id: id::NTEXT,
            max: 0x7FFF_FFFE,
            collation: Some(collation),
        }
    };
    (ty, Some(value))
}

/// The rows of a bulk load.
pub(super) fn bulk(
    version: Version,
    columns: &[(String, Ty)],
    rows: &[Vec<Option<Vec<u8>>>],
) -> Vec<u8> {
    let mut out = vec![0x81];
    out.extend(u16::try_from(columns.len()).unwrap().to_le_bytes());
    for (name, ty) in columns {
        out.extend(if version.has_max() {
            &[0; 4][..]
        } else {
            &[0; 2]
        });
        out.extend([9, 0]);
        ty.put(Place::Row, &mut out);
        if matches!(ty, Ty::Long { .. }) {
            put_long_text("t", &mut out);
        }
        put_short_text(name, &mut out);
    }
    for row in rows {
        out.push(0xD1);
        for ((_, ty), value) in columns.iter().zip(row) {
            ty.put_value(Place::Row, value.as_deref(), Pieces::Whole, &mut out);
        }
    }
    out
}
