//! COLMETADATA: the columns of a result (MS-TDS 2.2.7.4), in the form of 7.2
//! and later if nothing else is said, without column encryption.

use super::{DecodeError, EncodeError, Place, Put, Reader, TdsVersion, TypeInfo};

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// 0x50 for rowversion, the number of an alias type above 0xFF, else 0.
    pub user_type: u32,
    /// [`column_flags`] bits.
    pub flags: u16,
    /// The type of its values.
    pub type_info: TypeInfo,
    /// The parts of the table's name; for text, ntext and image only.
    pub table_name: Vec<String>,
    /// The column's name.
    pub name: String,
}

/// Bits of [`Column::flags`].
pub mod column_flags {
    /// Values may be NULL.
    pub const NULLABLE: u16 = 0x0001;
    /// Comparisons are case-sensitive.
    pub const CASE_SENSITIVE: u16 = 0x0002;
    /// The column can be updated.
    pub const UPDATABLE: u16 = 0x0004;
    /// Whether the column can be updated is not known.
    pub const UPDATABLE_UNKNOWN: u16 = 0x0008;
    /// An identity column.
    pub const IDENTITY: u16 = 0x0010;
    /// A computed column.
    pub const COMPUTED: u16 = 0x0020;
    /// Hidden; with FOR BROWSE.
    pub const HIDDEN: u16 = 0x2000;
    /// Part of the key; with FOR BROWSE.
    pub const KEY: u16 = 0x4000;
    /// Whether values may be NULL is not known.
    pub const NULLABLE_UNKNOWN: u16 = 0x8000;
}

impl Column {
    /// A nullable column that can be updated, as from a plain table.
    #[must_use]
    pub fn new(name: impl Into<String>, type_info: TypeInfo) -> Self {
        Self {
            user_type: 0,
            flags: column_flags::NULLABLE | column_flags::UPDATABLE_UNKNOWN,
            type_info,
            table_name: Vec::new(),
            name: name.into(),
        }
    }

    /// Appends the column's part of COLMETADATA.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a name beyond 255 UTF-16 units.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.put_u32_le(self.user_type);
        out.put_u16_le(self.flags);
        self.type_info.encode(Place::Row, out)?;
        if has_table_name(&self.type_info) {
            let parts = self.table_name.len();
            out.put_u8(u8::try_from(parts).map_err(|_| EncodeError::TooLong {
                what: "the table name, in parts",
                len: parts,
                max: u8::MAX.into(),
            })?);
            for part in &self.table_name {
                out.put_us_varchar("the table name", part)?;
            }
        }
        out.put_b_varchar("the column name", &self.name)
    }

    /// Reads the column's part of COLMETADATA.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`], or [`DecodeError::Truncated`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (user_type, flags) = (reader.u32_le()?, reader.u16_le()?);
        let type_info = TypeInfo::decode(Place::Row, reader)?;
        let mut table_name = Vec::new();
        if has_table_name(&type_info) {
            for _ in 0..reader.u8()? {
                table_name.push(reader.us_varchar()?);
            }
        }
        Ok(Self {
            user_type,
            flags,
            type_info,
            table_name,
            name: reader.b_varchar()?,
        })
    }
}

/// Appends what follows COLMETADATA's token byte.
///
/// # Errors
/// [`EncodeError::TooLong`] beyond 65534 columns, or for a name.
pub fn encode_columns(columns: &[Column], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    const MAX: usize = NO_METADATA as usize - 1;
    if columns.len() > MAX {
        return Err(EncodeError::TooLong {
            what: "the result, in columns",
            len: columns.len(),
            max: MAX,
        });
    }
    out.put_u16_le(u16::try_from(columns.len()).unwrap_or(NO_METADATA));
    columns.iter().try_for_each(|column| column.encode(out))
}

/// As [`encode_columns`], in the form of a version: up to 7.1 the user type has
/// two bytes. No column may be text, ntext or image there.
///
/// # Errors
/// As [`encode_columns`], and [`EncodeError::Unsupported`] for those types.
pub fn encode_columns_for(
    version: TdsVersion,
    columns: &[Column],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if version >= TdsVersion::V7_2 {
        return encode_columns(columns, out);
    }
    let count = u16::try_from(columns.len()).ok();
    let count = count.filter(|&count| count < NO_METADATA);
    out.put_u16_le(count.ok_or(EncodeError::TooLong {
        what: "the result, in columns",
        len: columns.len(),
        max: NO_METADATA as usize - 1,
    })?);
    for column in columns {
        if has_table_name(&column.type_info) {
            return Err(EncodeError::Unsupported {
                what: "the column",
                problem: "its type names its table, which old versions do in another way",
            });
        }
        out.put_u16_le(u16::try_from(column.user_type).unwrap_or_default());
        out.put_u16_le(column.flags);
        column.type_info.encode(Place::Row, out)?;
        out.put_b_varchar("the column name", &column.name)?;
    }
    Ok(())
}

/// Reads what follows COLMETADATA's token byte; no columns for "no metadata".
///
/// # Errors
/// As [`Column::decode`].
pub fn decode_columns(reader: &mut Reader<'_>) -> Result<Vec<Column>, DecodeError> {
    let count = match reader.u16_le()? {
        NO_METADATA => 0,
        count => count,
    };
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push(Column::decode(reader)?);
    }
    Ok(columns)
}

/// The count that says: no metadata.
pub const NO_METADATA: u16 = 0xFFFF;

/// Only these types name their table.
fn has_table_name(type_info: &TypeInfo) -> bool {
    matches!(type_info, TypeInfo::LongLen { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tds::TypeId;

    #[test]
    fn the_user_type_is_shorter_up_to_7_1() {
        let id = TypeId::INTN;
        let column = Column::new("n", TypeInfo::ByteLen { id, max: 8 });
        let encoded = |version| {
            let mut out = Vec::new();
            encode_columns_for(version, std::slice::from_ref(&column), &mut out).unwrap();
            out
        };
        assert_eq!(
            encoded(TdsVersion::V7_1),
            [1, 0, 0, 0, 9, 0, 0x26, 8, 1, b'n', 0]
        );
        assert_eq!(
            encoded(TdsVersion::V7_2),
            [1, 0, 0, 0, 0, 0, 9, 0, 0x26, 8, 1, b'n', 0]
        );
    }
}
