//! One value, and its form in SQLite.

use rusqlite::types::{Value as Stored, ValueRef};

use super::datetime::Offset;
use super::variant::Variant;
use super::{Decimal, SqlType, Storage};

/// A value of some [`SqlType`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Float(f64),
    Decimal(Decimal),
    Text(String),
    Bytes(Vec<u8>),
    /// In the order of the wire: the first three groups little-endian.
    Guid([u8; 16]),
    /// Days since 0001-01-01.
    Date(i64),
    /// 100 ns since midnight.
    Time(i64),
    /// 100 ns since 0001-01-01.
    DateTime(i64),
    DateTimeOffset(Offset),
    Variant(Box<Variant>),
}

/// The order in which SQL Server compares the bytes of a GUID.
const GUID_ORDER: [usize; 16] = [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3];

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What SQLite keeps.
    pub(crate) fn into_stored(self) -> Stored {
        match self {
            Self::Null => Stored::Null,
            Self::Int(v) | Self::Date(v) | Self::Time(v) | Self::DateTime(v) => Stored::Integer(v),
            Self::Float(v) => Stored::Real(v),
            Self::Decimal(v) => Stored::Blob(v.to_sortable()),
            Self::Text(v) => Stored::Text(v),
            Self::Bytes(v) => Stored::Blob(v),
            Self::Guid(v) => Stored::Blob(guid_to_stored(&v).to_vec()),
            Self::DateTimeOffset(v) => Stored::Text(v.to_text()),
            Self::Variant(v) => Stored::Text(v.into_text()),
        }
    }

    /// Reads what SQLite kept of a value of the type. A form that the type does not have is `None`.
    pub(crate) fn from_stored(stored: ValueRef<'_>, ty: SqlType) -> Option<Self> {
        Some(match (ty.storage(), stored) {
            (_, ValueRef::Null) => Self::Null,
            (Storage::Int, ValueRef::Integer(v)) => Self::Int(v),
            (Storage::Float, ValueRef::Real(v)) => Self::Float(v),
            (Storage::Decimal, ValueRef::Blob(v)) => Self::Decimal(Decimal::from_sortable(v)?),
            (Storage::Text, ValueRef::Text(v)) => Self::Text(String::from_utf8_lossy(v).into()),
            (Storage::Bytes, ValueRef::Blob(v)) => Self::Bytes(v.to_vec()),
            (Storage::Guid, ValueRef::Blob(v)) => Self::Guid(guid_from_stored(v)?),
            (Storage::Date, ValueRef::Integer(v)) => Self::Date(v),
            (Storage::Time, ValueRef::Integer(v)) => Self::Time(v),
            (Storage::DateTime, ValueRef::Integer(v)) => Self::DateTime(v),
            (Storage::DateTimeOffset, ValueRef::Text(v)) => {
                Self::DateTimeOffset(Offset::from_text(std::str::from_utf8(v).ok()?)?)
            }
            (Storage::Variant, ValueRef::Text(v)) => {
                Self::Variant(Box::new(Variant::from_text(std::str::from_utf8(v).ok()?)?))
            }
            _ => return None,
        })
    }
}

pub(crate) fn guid_to_stored(guid: &[u8; 16]) -> [u8; 16] {
    GUID_ORDER.map(|at| guid.get(at).copied().unwrap_or(0))
}

pub(crate) fn guid_from_stored(stored: &[u8]) -> Option<[u8; 16]> {
    let stored: [u8; 16] = stored.try_into().ok()?;
    let mut guid = [0; 16];
    for (byte, at) in stored.iter().zip(GUID_ORDER) {
        *guid.get_mut(at)? = *byte;
    }
    Some(guid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_survives_and_sorts_by_its_last_group() {
        let guid: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let stored = guid_to_stored(&guid);
        assert_eq!(guid_from_stored(&stored), Some(guid));
        assert_eq!(stored.first(), Some(&10));
    }
}
