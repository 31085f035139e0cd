//! Parameters of a 7.1 client's calls: their types and what stands before their
//! values (MS-TDS 2.2.5.4, 2.2.5.5).

use crate::tds::{Collation, DecodeError, Framing, PLP_NULL, Place, Put, Reader, TypeId, TypeInfo};
use crate::transcode::cutter::Cutter;

/// How a parameter's value goes on: what stands before its bytes, from the client
/// and to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, and so many bytes follow. What the server needs before them was
    /// written with the type.
    Fixed(u8),
    /// 1 byte, as the server's.
    Byte,
    /// 1 byte, which becomes two; 0 is NULL.
    Widened,
    /// 2 bytes; 0xFFFF is NULL.
    Short,
    /// 4 bytes; 0xFFFFFFFF is NULL.
    Long,
    /// 4 bytes, and no NULL but the empty value.
    Variant,
    /// Partially length-prefixed.
    Plp,
}

/// Reads a parameter up to its type, and writes it as a 7.4 server takes it.
pub(super) fn read_head(
    reader: &mut Reader<'_>,
    collation: Collation,
    out: &mut Cutter,
) -> Result<Value, DecodeError> {
    const ENCRYPTED: u8 = 8;
    let (bytes, start) = (reader.rest(), reader.position());
    let units = reader.u8()?;
    reader.skip(usize::from(units) * 2)?;
    let status = reader.u8()?;
    if status & ENCRYPTED != 0 {
        return Err(DecodeError::Invalid {
            what: "the procedure call",
            problem: "a parameter is encrypted, which TDS 7.1 does not know",
        });
    }
    let name_end = reader.position() - start;
    let info = TypeInfo::decode(Place::Parameter, reader)?;
    let type_end = reader.position() - start;
    out.put(bytes.get(..name_end).unwrap_or_default());
    let (value, renewed) = renewed(&info, collation);
    match renewed {
        Some(info) => out.put(&info),
        None => out.put(bytes.get(name_end..type_end).unwrap_or_default()),
    }
    Ok(value)
}

/// How values of a type go on, and the type's new form if it has one. Servers
/// since 2005 take no fixed-length type in a parameter, and the old texts,
/// binaries and decimals are not to be sent by anything newer than 6.5.
fn renewed(info: &TypeInfo, collation: Collation) -> (Value, Option<Vec<u8>>) {
    let value = match info.framing(Place::Parameter) {
        Framing::ByteLen => Value::Byte,
        Framing::ShortLen => Value::Short,
        Framing::Variant => Value::Variant,
        Framing::Plp => Value::Plp,
        Framing::Fixed(_) | Framing::LongLen | Framing::TextPointer => Value::Long,
    };
    match *info {
        TypeInfo::Fixed(id) => fixed(id),
        TypeInfo::ByteLen { id, max } => match new_text(id) {
            Some((id, collated)) => {
                let mut info = vec![id.0];
                // No type has the length 0; an old client may say it of NULL.
                info.put_u16_le(u16::from(max.max(1)));
                if collated {
                    info.put_slice(&collation.0);
                }
                (Value::Widened, Some(info))
            }
            None => (value, None),
        },
        TypeInfo::Decimal {
            id: old @ (TypeId::DECIMAL | TypeId::NUMERIC),
            max,
            precision,
            scale,
        } => {
            let new = match old {
                TypeId::DECIMAL => TypeId::DECIMALN,
                _ => TypeId::NUMERICN,
            };
            (value, Some(vec![new.0, max, precision, scale]))
        }
        _ => (value, None),
    }
}

/// A type of fixed length becomes the one that may be NULL; the length that its
/// value then has is written with it.
fn fixed(id: TypeId) -> (Value, Option<Vec<u8>>) {
    let (new, length) = match id {
        TypeId::INT1 => (TypeId::INTN, 1),
        TypeId::INT2 => (TypeId::INTN, 2),
        TypeId::INT4 => (TypeId::INTN, 4),
        TypeId::INT8 => (TypeId::INTN, 8),
        TypeId::BIT => (TypeId::BITN, 1),
        TypeId::FLT4 => (TypeId::FLTN, 4),
        TypeId::FLT8 => (TypeId::FLTN, 8),
        TypeId::MONEY4 => (TypeId::MONEYN, 4),
        TypeId::MONEY => (TypeId::MONEYN, 8),
        TypeId::DATETIM4 => (TypeId::DATETIMN, 4),
        TypeId::DATETIME => (TypeId::DATETIMN, 8),
        // The null type has no value and stays what it is.
        _ => return (Value::Fixed(0), None),
    };
    (Value::Fixed(length), Some(vec![new.0, length, length]))
}

/// What one of the old texts and binaries is called today, and whether it has a
/// collation then.
fn new_text(id: TypeId) -> Option<(TypeId, bool)> {
    Some(match id {
        TypeId::CHAR => (TypeId::BIGCHAR, true),
        TypeId::VARCHAR => (TypeId::BIGVARCHR, true),
        TypeId::BINARY => (TypeId::BIGBINARY, false),
        TypeId::VARBINARY => (TypeId::BIGVARBIN, false),
        _ => return None,
    })
}

impl Value {
    /// Reads and writes what stands before a value; the bytes that follow, or
    /// `None` if they come in chunks.
    pub(super) fn read_start(
        self,
        reader: &mut Reader<'_>,
        out: &mut Cutter,
    ) -> Result<Option<u64>, DecodeError> {
        Ok(Some(match self {
            Value::Fixed(length) => length.into(),
            Value::Byte => {
                let length = reader.u8()?;
                out.put(&[length]);
                length.into()
            }
            Value::Widened => {
                let length = reader.u8()?;
                let widened = match length {
                    0 => u16::MAX,
                    length => length.into(),
                };
                out.put(&widened.to_le_bytes());
                length.into()
            }
            Value::Short => {
                let length = reader.u16_le()?;
                out.put(&length.to_le_bytes());
                match length {
                    u16::MAX => 0,
                    length => length.into(),
                }
            }
            Value::Long | Value::Variant => {
                let length = reader.u32_le()?;
                let null = self == Value::Long && length == u32::MAX;
                let follow = if null { 0 } else { not_negative(length)? };
                out.put(&length.to_le_bytes());
                follow
            }
            Value::Plp => {
                let total = reader.u64_le()?;
                out.put(&total.to_le_bytes());
                return Ok((total == PLP_NULL).then_some(0));
            }
        }))
    }
}

/// A length of four bytes is signed.
fn not_negative(length: u32) -> Result<u64, DecodeError> {
    match i32::try_from(length) {
        Ok(_) => Ok(length.into()),
        Err(_) => Err(DecodeError::Invalid {
            what: "the procedure call",
            problem: "a value has a negative length",
        }),
    }
}
