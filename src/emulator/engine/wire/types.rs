//! T-SQL types as TYPE_INFO, and back.

use super::super::error::{SqlError, SqlResult};
use super::super::types::{MAX, SqlType, limit_text};
use crate::tds::{Collation, TypeId, TypeInfo};

use SqlType as T;

/// The TYPE_INFO of a column or of an output value. All types are the nullable ones.
pub(crate) fn to_wire(ty: SqlType) -> TypeInfo {
    let byte_len = |id, max| TypeInfo::ByteLen { id, max };
    let text = |id, max| TypeInfo::ShortLen {
        id,
        max,
        collation: Some(Collation(super::COLLATION)),
    };
    let bytes = |id, max| TypeInfo::ShortLen {
        id,
        max,
        collation: None,
    };
    let time = |id, scale| TypeInfo::Time { id, scale };
    let doubled = |n: u16| if n == MAX { MAX } else { n * 2 };
    match ty {
        T::Bit => byte_len(TypeId::BITN, 1),
        T::TinyInt => byte_len(TypeId::INTN, 1),
        T::SmallInt => byte_len(TypeId::INTN, 2),
        T::Int => byte_len(TypeId::INTN, 4),
        T::BigInt => byte_len(TypeId::INTN, 8),
        T::Real => byte_len(TypeId::FLTN, 4),
        T::Float => byte_len(TypeId::FLTN, 8),
        T::SmallMoney => byte_len(TypeId::MONEYN, 4),
        T::Money => byte_len(TypeId::MONEYN, 8),
        T::Decimal {
            precision,
            scale,
            numeric,
        } => TypeInfo::Decimal {
            id: decimal_id(numeric),
            max: decimal_length(precision),
            precision,
            scale,
        },
        T::Char(n) => text(TypeId::BIGCHAR, n),
        T::VarChar(n) => text(TypeId::BIGVARCHR, n),
        T::NChar(n) => text(TypeId::NCHAR, doubled(n)),
        T::NVarChar(n) => text(TypeId::NVARCHAR, doubled(n)),
        T::Binary(n) => bytes(TypeId::BIGBINARY, n),
        T::VarBinary(n) => bytes(TypeId::BIGVARBIN, n),
        T::UniqueIdentifier => byte_len(TypeId::GUID, 16),
        T::Date => TypeInfo::Date,
        T::SmallDateTime => byte_len(TypeId::DATETIMN, 4),
        T::DateTime => byte_len(TypeId::DATETIMN, 8),
        T::Time(scale) => time(TypeId::TIMEN, scale),
        T::DateTime2(scale) => time(TypeId::DATETIME2N, scale),
        T::DateTimeOffset(scale) => time(TypeId::DATETIMEOFFSETN, scale),
        T::Text => long(TypeId::TEXT, LONGEST, true),
        T::NText => long(TypeId::NTEXT, LONGEST - 1, true),
        T::Image => long(TypeId::IMAGE, LONGEST, false),
        T::Variant => TypeInfo::Variant { max: 8009 },
        T::RowVersion => bytes(TypeId::BIGBINARY, 8),
        T::Xml => TypeInfo::Xml(None),
    }
}

/// The type of a column that is never NULL: as SQL Server, one of fixed length where there is one,
/// by which Microsoft's ODBC driver knows that it is NOT NULL.
pub(crate) fn to_wire_not_null(ty: SqlType) -> TypeInfo {
    TypeInfo::Fixed(match ty {
        T::Bit => TypeId::BIT,
        T::TinyInt => TypeId::INT1,
        T::SmallInt => TypeId::INT2,
        T::Int => TypeId::INT4,
        T::BigInt => TypeId::INT8,
        T::Real => TypeId::FLT4,
        T::Float => TypeId::FLT8,
        T::SmallMoney => TypeId::MONEY4,
        T::Money => TypeId::MONEY,
        T::SmallDateTime => TypeId::DATETIM4,
        T::DateTime => TypeId::DATETIME,
        _ => return to_wire(ty),
    })
}

/// Most bytes of text and image.
const LONGEST: u32 = 0x7FFF_FFFF;

fn long(id: TypeId, max: u32, text: bool) -> TypeInfo {
    TypeInfo::LongLen {
        id,
        max,
        collation: text.then_some(Collation(super::COLLATION)),
    }
}

/// The nullable type of decimal or numeric.
pub(super) fn decimal_id(numeric: bool) -> TypeId {
    if numeric {
        TypeId::NUMERICN
    } else {
        TypeId::DECIMALN
    }
}

/// Bytes of a decimal's value with its sign.
pub(crate) fn decimal_length(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

/// The T-SQL type of a parameter.
pub(crate) fn from_wire(info: &TypeInfo) -> SqlResult<SqlType> {
    let refuse = || SqlError::unsupported(format!("parameters of type {:?}", info.id()));
    Ok(match info {
        TypeInfo::Fixed(id) => fixed(*id).ok_or_else(refuse)?,
        TypeInfo::ByteLen { id, max } => match (*id, max) {
            (TypeId::INTN, 1) => T::TinyInt,
            (TypeId::INTN, 2) => T::SmallInt,
            (TypeId::INTN, 4) => T::Int,
            (TypeId::INTN, 8) => T::BigInt,
            (TypeId::BITN, _) => T::Bit,
            (TypeId::FLTN, 4) => T::Real,
            (TypeId::FLTN, 8) => T::Float,
            (TypeId::MONEYN, 4) => T::SmallMoney,
            (TypeId::MONEYN, 8) => T::Money,
            (TypeId::DATETIMN, 4) => T::SmallDateTime,
            (TypeId::DATETIMN, 8) => T::DateTime,
            (TypeId::GUID, _) => T::UniqueIdentifier,
            // Types of the 1990s, which old clients send still.
            (TypeId::VARCHAR | TypeId::CHAR, n) => T::VarChar(u16::from(*n).max(1)),
            (TypeId::VARBINARY | TypeId::BINARY, n) => T::VarBinary(u16::from(*n).max(1)),
            _ => return Err(refuse()),
        },
        TypeInfo::Decimal {
            id,
            precision,
            scale,
            ..
        } if (1..=38).contains(precision) && scale <= precision => T::Decimal {
            precision: *precision,
            scale: *scale,
            numeric: matches!(*id, TypeId::NUMERIC | TypeId::NUMERICN),
        },
        TypeInfo::Date => T::Date,
        TypeInfo::Time { id, scale } if *scale <= 7 => match *id {
            TypeId::TIMEN => T::Time(*scale),
            TypeId::DATETIME2N => T::DateTime2(*scale),
            _ => T::DateTimeOffset(*scale),
        },
        TypeInfo::ShortLen { id, max, collation } => {
            short(*id, *max, *collation).ok_or_else(refuse)?
        }
        TypeInfo::LongLen { id, .. } => match *id {
            TypeId::NTEXT => T::NText,
            TypeId::TEXT => T::Text,
            _ => T::Image,
        },
        TypeInfo::Variant { .. } => T::Variant,
        TypeInfo::Xml(None) => T::Xml,
        _ => return Err(refuse()),
    })
}

fn fixed(id: TypeId) -> Option<SqlType> {
    Some(match id {
        // A NULL without a type may be read as any.
        TypeId::NULL | TypeId::INT4 => T::Int,
        TypeId::INT1 => T::TinyInt,
        TypeId::INT2 => T::SmallInt,
        TypeId::INT8 => T::BigInt,
        TypeId::BIT => T::Bit,
        TypeId::FLT4 => T::Real,
        TypeId::FLT8 => T::Float,
        TypeId::MONEY => T::Money,
        TypeId::MONEY4 => T::SmallMoney,
        TypeId::DATETIME => T::DateTime,
        TypeId::DATETIM4 => T::SmallDateTime,
        _ => return None,
    })
}

fn short(id: TypeId, max: u16, collation: Option<Collation>) -> Option<SqlType> {
    if collation.is_some_and(Collation::is_utf8) {
        return None;
    }
    let units = if max == MAX {
        MAX
    } else {
        limit_text(max / 2, true)
    };
    let bytes = if max == MAX {
        MAX
    } else {
        limit_text(max, false)
    };
    Some(match id {
        TypeId::NVARCHAR => T::NVarChar(units),
        TypeId::NCHAR => T::NChar(units),
        TypeId::BIGVARCHR => T::VarChar(bytes),
        TypeId::BIGCHAR => T::Char(bytes),
        TypeId::BIGVARBIN => T::VarBinary(bytes),
        TypeId::BIGBINARY => T::Binary(bytes),
        _ => return None,
    })
}
