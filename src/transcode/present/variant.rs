//! `sql_variant`: a value that brings its type along (MS-TDS 2.2.5.5.4).

use super::DateText;
use crate::tds::{Collation, DecodeError, Put, Reader, TypeId, TypeInfo};

/// Whether a variant whose first byte, the type of what it holds, is `base`
/// changes below 7.3.
pub(in crate::transcode) fn variant_changes(base: u8) -> bool {
    matches!(
        TypeId(base),
        TypeId::DATEN | TypeId::TIMEN | TypeId::DATETIME2N | TypeId::DATETIMEOFFSETN
    )
}

/// Appends a variant with its length of 4 bytes, as a client below 7.3 gets it:
/// a date type as nvarchar, whose collation is the database's. `bytes` is the
/// value without its length, and not empty, which would be NULL.
///
/// # Errors
/// When what it holds cannot be read; nothing is appended then.
pub(in crate::transcode) fn write_variant(
    bytes: &[u8],
    collation: Collation,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::named(WHAT, bytes);
    let base = TypeId(reader.u8()?);
    if !variant_changes(base.0) {
        out.put_u32_le(u32::try_from(bytes.len()).map_err(|_| TOO_LONG)?);
        out.put_slice(bytes);
        return Ok(());
    }
    let properties = reader.b_varbyte()?;
    let info = match (base, properties) {
        (TypeId::DATEN, []) => TypeInfo::Date,
        (TypeId::TIMEN | TypeId::DATETIME2N | TypeId::DATETIMEOFFSETN, &[scale]) => {
            TypeInfo::Time { id: base, scale }
        }
        _ => return Err(PROPERTIES),
    };
    let text = DateText::of(&info).ok_or(PROPERTIES)?;
    let start = out.len();
    let Collation(collation) = collation;
    // Type, length of the properties, the properties, the text.
    out.put_u32_le(2 + u32::from(NVARCHAR_PROPERTIES) + u32::from(text.len()));
    out.put_slice(&[TypeId::NVARCHAR.0, NVARCHAR_PROPERTIES]);
    out.put_slice(&collation);
    out.put_u16_le(text.len());
    text.write(reader.rest(), out)
        .inspect_err(|_| out.truncate(start))
}

/// Collation and greatest length.
const NVARCHAR_PROPERTIES: u8 = 7;

const WHAT: &str = "the variant";
const TOO_LONG: DecodeError = DecodeError::Invalid {
    what: WHAT,
    problem: "it is longer than 4 GiB",
};
const PROPERTIES: DecodeError = DecodeError::Invalid {
    what: WHAT,
    problem: "the type that it holds has other properties",
};
