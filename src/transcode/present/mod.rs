//! Types that an older client does not have, as SQL Server presents them to it.
//!
//! | Type | up to 7.1 | 7.2 |
//! | --- | --- | --- |
//! | date, time, datetime2, datetimeoffset | nvarchar | nvarchar |
//! | varchar(max), nvarchar(max), varbinary(max) | text, ntext, image | |
//! | xml | ntext | |
//! | CLR type up to 8000 bytes | varbinary | |
//! | larger CLR type | image | varbinary(max) |
//! | `sql_variant` of a date type | of nvarchar | of nvarchar |
//!
//! 7.3.A has them all. Sources: for the dates Microsoft's pages "Enhanced
//! Date/Time Type Behavior with Previous SQL Server Versions", where the text is
//! the type's literal and the length that of the longest; for the others the
//! conversions of `Type System Version` in ADO.NET, which are the server's, and
//! "Large CLR User-Defined Types".

mod date_text;
mod variant;

#[cfg(test)]
mod tests;

pub(super) use self::date_text::DateText;
pub(super) use self::variant::{variant_changes, write_variant};

use super::OldVersion;
use crate::tds::{Collation, EncodeError, TypeId, TypeInfo, column_flags};

/// The longest text, ntext or image, in bytes; `TYPE_INFO` says it of text and
/// image.
pub(super) const MAX_LONG: u32 = 0x7FFF_FFFF;

/// What `TYPE_INFO` says of ntext, whose bytes are even in number.
const MAX_NTEXT: u32 = 0x7FFF_FFFE;

/// The sparse column set of a table; below 7.3.B the column is plain xml.
const SPARSE_COLUMN_SET: u16 = 0x0400;
/// Encrypted with a key that only clients of 7.4 can have.
const ENCRYPTED: u16 = 0x0800;
/// A CLR type of fixed length.
const FIXED_LEN_CLR: u16 = 0x0100;
/// The flags that 7.1 has: nullable, case sensitive, updatable, identity.
const FLAGS_OF_7_1: u16 = 0x001F;

/// What an older client gets in the place of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The type that it is told.
    pub(super) type_info: TypeInfo,
    /// What becomes of the values.
    pub(super) making: Making,
}

/// What becomes of a type's values. NULL stays NULL, in the framing of the type
/// that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// They stay as they are, with their framing.
    Same,
    /// A text that says the same; see [`DateText::write`].
    DateText(DateText),
    /// PLP becomes a length and the bytes, behind a text pointer.
    Long {
        /// Whether a byte order mark, `FF FE`, is no part of the text.
        drop_bom: bool,
    },
    /// PLP becomes a length of 2 bytes and the bytes.
    Short {
        /// The most bytes that the type may have.
        max: u16,
    },
    /// See [`write_variant`].
    Variant,
}

/// How a client of `version` is shown a type, in COLMETADATA and RETURNVALUE.
/// `collation` is the database's, for texts that replace something else.
///
/// # Errors
/// [`EncodeError::Unsupported`] for a type that no session of 7.4 may send
/// unless it was asked to: json and vector, for which older clients get texts
/// from the server itself; and for what is no type of a column.
pub(super) fn shown(
    version: OldVersion,
    info: &TypeInfo,
    collation: Collation,
) -> Result<Shown, EncodeError> {
    if matches!(info, TypeInfo::Json | TypeInfo::Vector { .. }) {
        return Err(EncodeError::Unsupported {
            what: "a value of type json or vector",
            problem: "the session did not ask for such types",
        });
    }
    let (type_info, making) = replaced(version, info, collation)?
        .unwrap_or_else(|| (info.clone(), making_of_kept(version, info)));
    Ok(Shown { type_info, making })
}

/// The type in the place of `info` and what becomes of its values, if the
/// version does not have it.
fn replaced(
    version: OldVersion,
    info: &TypeInfo,
    collation: Collation,
) -> Result<Option<(TypeInfo, Making)>, EncodeError> {
    if version >= OldVersion::V7_3A {
        return Ok(None);
    }
    if matches!(info, TypeInfo::Date | TypeInfo::Time { .. }) {
        let text = DateText::of(info).ok_or(EncodeError::Unsupported {
            what: "a date or time",
            problem: "its type has no such scale",
        })?;
        let nvarchar = TypeInfo::ShortLen {
            id: TypeId::NVARCHAR,
            max: text.len(),
            collation: Some(collation),
        };
        return Ok(Some((nvarchar, Making::DateText(text))));
    }
    Ok(if version.is_7_1() {
        replaced_at_7_1(info, collation)
    } else {
        match info {
            TypeInfo::Udt(udt) if udt.max == TypeInfo::MAX => {
                Some((varbinary(TypeInfo::MAX), Making::Same))
            }
            _ => None,
        }
    })
}

/// The types that came with 7.2 and are made of chunks.
fn replaced_at_7_1(info: &TypeInfo, database: Collation) -> Option<(TypeInfo, Making)> {
    let (id, max, collation) = match info {
        TypeInfo::ShortLen {
            id,
            max: TypeInfo::MAX,
            collation,
        } => match *id {
            TypeId::NVARCHAR | TypeId::NCHAR => (TypeId::NTEXT, MAX_NTEXT, *collation),
            TypeId::BIGVARCHR | TypeId::BIGCHAR => (TypeId::TEXT, MAX_LONG, *collation),
            _ => (TypeId::IMAGE, MAX_LONG, None),
        },
        TypeInfo::Xml(_) => (TypeId::NTEXT, MAX_NTEXT, Some(database)),
        TypeInfo::Udt(udt) if udt.max == TypeInfo::MAX => (TypeId::IMAGE, MAX_LONG, None),
        TypeInfo::Udt(udt) => return Some((varbinary(udt.max), Making::Short { max: udt.max })),
        _ => return None,
    };
    let drop_bom = matches!(info, TypeInfo::Xml(_));
    let long = TypeInfo::LongLen { id, max, collation };
    Some((long, Making::Long { drop_bom }))
}

/// A type that the version has may hold one that it has not.
fn making_of_kept(version: OldVersion, info: &TypeInfo) -> Making {
    match info {
        TypeInfo::Variant { .. } if version < OldVersion::V7_3A => Making::Variant,
        _ => Making::Same,
    }
}

fn varbinary(max: u16) -> TypeInfo {
    TypeInfo::ShortLen {
        id: TypeId::BIGVARBIN,
        max,
        collation: None,
    }
}

/// A column's flags for a client of `version`, where `from` is shown as `shown`.
pub(super) fn flags(version: OldVersion, flags: u16, from: &TypeInfo, shown: &Shown) -> u16 {
    let mut flags = flags & !(SPARSE_COLUMN_SET | ENCRYPTED);
    if shown.type_info != *from {
        flags &= !FIXED_LEN_CLR;
        // A text of another collation than the column had, which was none.
        if let TypeInfo::ShortLen { collation, .. } | TypeInfo::LongLen { collation, .. } =
            &shown.type_info
            && !matches!(from, TypeInfo::ShortLen { .. })
        {
            flags &= !column_flags::CASE_SENSITIVE;
            if collation.is_some_and(is_case_sensitive) {
                flags |= column_flags::CASE_SENSITIVE;
            }
        }
    }
    if version.is_7_1() {
        flags &= FLAGS_OF_7_1;
    }
    flags
}

/// Bit 20 of a collation: case is ignored (MS-TDS 2.2.5.1.2).
fn is_case_sensitive(Collation([_, _, byte, ..]): Collation) -> bool {
    byte & 0x10 == 0
}

/// A column's user type for a client of `version`, where `from` is shown as
/// `shown`: 0 for a type that is replaced, and at 7.1 for a number beyond its
/// two bytes.
pub(super) fn user_type(
    version: OldVersion,
    user_type: u32,
    from: &TypeInfo,
    shown: &Shown,
) -> u32 {
    let too_large = version.is_7_1() && user_type > u32::from(u16::MAX);
    if too_large || shown.type_info != *from {
        return 0;
    }
    user_type
}

/// The name of a text column's table for 7.1, where it is one text.
pub(super) fn table_name(parts: &[String]) -> String {
    parts.join(".")
}
