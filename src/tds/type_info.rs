//! TYPE_INFO: the type of a column or parameter (MS-TDS 2.2.5.4 to 2.2.5.6), in
//! the form of 7.2 and later.

use std::fmt;

use super::{DecodeError, EncodeError, Put, Reader, TypeId};

/// How a text compares and which code page it is in (MS-TDS 2.2.5.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Collation(pub [u8; 5]);

impl Collation {
    /// `SQL_Latin1_General_CP1_CI_AS`, the default of Azure SQL databases.
    pub const SQL_LATIN1_GENERAL_CP1_CI_AS: Self = Self([0x09, 0x04, 0xD0, 0x00, 0x34]);

    /// Whether its code page is UTF-8.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        let [.., flags, _] = self.0;
        flags & 0x04 != 0
    }
}

impl fmt::Debug for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, sort_id] = self.0;
        let bits = u32::from_le_bytes([a, b, c, d]);
        write!(f, "Collation({bits:#010x}, {sort_id})")
    }
}

/// The type of a column or parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeInfo {
    /// A type of fixed length, which cannot be NULL.
    Fixed(TypeId),
    /// A value with a length of one byte: GUID, the types that end in N, and
    /// the legacy texts. `max` is the greatest length in bytes.
    ByteLen {
        /// Which of them.
        id: TypeId,
        /// Greatest length in bytes.
        max: u8,
    },
    /// decimal and numeric.
    Decimal {
        /// Which of the four.
        id: TypeId,
        /// Greatest length in bytes: 5, 9, 13 or 17.
        max: u8,
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// date.
    Date,
    /// time, datetime2 and datetimeoffset.
    Time {
        /// Which of the three.
        id: TypeId,
        /// Digits of the second's fraction.
        scale: u8,
    },
    /// char, varchar, nchar, nvarchar, binary and varbinary.
    ShortLen {
        /// Which of them.
        id: TypeId,
        /// Greatest length in bytes; [`TypeInfo::MAX`] for the max types.
        max: u16,
        /// The texts have one.
        collation: Option<Collation>,
    },
    /// text, ntext and image.
    LongLen {
        /// Which of them.
        id: TypeId,
        /// Greatest length in bytes.
        max: u32,
        /// The texts have one.
        collation: Option<Collation>,
    },
    /// `sql_variant`; `max` is 8009.
    Variant {
        /// Greatest length in bytes.
        max: u32,
    },
    /// xml, maybe bound to a schema collection.
    Xml(Option<XmlSchema>),
    /// A type of the CLR.
    Udt(Udt),
    /// json, in UTF-8.
    Json,
    /// vector.
    Vector {
        /// Greatest length in bytes.
        max: u16,
        /// 0 for float32.
        dimension_type: u8,
    },
}

/// The schema collection of a typed xml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlSchema {
    /// The database that has it.
    pub database: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub collection: String,
}

/// What a column tells of a CLR type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udt {
    /// Greatest length in bytes; 0xFFFF for large ones. Parameters lack it.
    pub max: u16,
    /// The database that has it.
    pub database: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The assembly-qualified name of its class. Parameters lack it.
    pub assembly: String,
}

/// Where a type and its value stand; a few types look different in parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// COLMETADATA and ROW.
    Row,
    /// RPC parameters and, for the value, RETURNVALUE.
    Parameter,
}

impl TypeInfo {
    /// The `max` of varchar(max), nvarchar(max) and varbinary(max).
    pub const MAX: u16 = 0xFFFF;

    /// The type byte.
    #[must_use]
    pub fn id(&self) -> TypeId {
        match self {
            Self::Fixed(id)
            | Self::ByteLen { id, .. }
            | Self::Decimal { id, .. }
            | Self::Time { id, .. }
            | Self::ShortLen { id, .. }
            | Self::LongLen { id, .. } => *id,
            Self::Date => TypeId::DATEN,
            Self::Variant { .. } => TypeId::SSVARIANT,
            Self::Xml(_) => TypeId::XML,
            Self::Udt(_) => TypeId::UDT,
            Self::Json => TypeId::JSON,
            Self::Vector { .. } => TypeId::VECTOR,
        }
    }

    /// Appends the type byte and what belongs to it.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if a name of an xml or CLR type is too long.
    pub fn encode(&self, place: Place, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.put_u8(self.id().0);
        match self {
            Self::Fixed(_) | Self::Date | Self::Json => {}
            Self::ByteLen { max, .. } => out.put_u8(*max),
            Self::Decimal {
                max,
                precision,
                scale,
                ..
            } => out.put_slice(&[*max, *precision, *scale]),
            Self::Time { scale, .. } => out.put_u8(*scale),
            Self::ShortLen { max, collation, .. } => {
                out.put_u16_le(*max);
                put_collation(*collation, out);
            }
            Self::LongLen { max, collation, .. } => {
                out.put_u32_le(*max);
                put_collation(*collation, out);
            }
            Self::Variant { max } => out.put_u32_le(*max),
            Self::Xml(schema) => put_xml_schema(schema.as_ref(), out)?,
            Self::Udt(udt) => udt.encode(place, out)?,
            Self::Vector {
                max,
                dimension_type,
            } => {
                out.put_u16_le(*max);
                out.put_u8(*dimension_type);
            }
        }
        Ok(())
    }

    /// Reads the type byte and what belongs to it.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`], or [`DecodeError::Truncated`].
    pub fn decode(place: Place, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = TypeId(reader.u8()?);
        if id.fixed_len().is_some() {
            return Ok(Self::Fixed(id));
        }
        Ok(match id {
            TypeId::GUID
            | TypeId::INTN
            | TypeId::BITN
            | TypeId::FLTN
            | TypeId::MONEYN
            | TypeId::DATETIMN
            | TypeId::CHAR
            | TypeId::VARCHAR
            | TypeId::BINARY
            | TypeId::VARBINARY => Self::ByteLen {
                id,
                max: reader.u8()?,
            },
            TypeId::DECIMAL | TypeId::NUMERIC | TypeId::DECIMALN | TypeId::NUMERICN => {
                let [max, precision, scale] = reader.array()?;
                Self::Decimal {
                    id,
                    max,
                    precision,
                    scale,
                }
            }
            TypeId::DATEN => Self::Date,
            TypeId::TIMEN | TypeId::DATETIME2N | TypeId::DATETIMEOFFSETN => Self::Time {
                id,
                scale: reader.u8()?,
            },
            TypeId::BIGVARBIN
            | TypeId::BIGBINARY
            | TypeId::BIGVARCHR
            | TypeId::BIGCHAR
            | TypeId::NVARCHAR
            | TypeId::NCHAR => Self::ShortLen {
                id,
                max: reader.u16_le()?,
                collation: collation(id, reader)?,
            },
            TypeId::TEXT | TypeId::NTEXT | TypeId::IMAGE => Self::LongLen {
                id,
                max: reader.u32_le()?,
                collation: collation(id, reader)?,
            },
            TypeId::SSVARIANT => Self::Variant {
                max: reader.u32_le()?,
            },
            TypeId::XML => Self::Xml(xml_schema(reader)?),
            TypeId::UDT => Self::Udt(Udt::decode(place, reader)?),
            TypeId::JSON => Self::Json,
            TypeId::VECTOR => Self::Vector {
                max: reader.u16_le()?,
                dimension_type: reader.u8()?,
            },
            TypeId(type_id) => return Err(DecodeError::UnknownType { type_id }),
        })
    }
}

impl Udt {
    fn encode(&self, place: Place, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if place == Place::Row {
            out.put_u16_le(self.max);
        }
        out.put_b_varchar("the type's database", &self.database)?;
        out.put_b_varchar("the type's schema", &self.schema)?;
        out.put_b_varchar("the type's name", &self.name)?;
        if place == Place::Row {
            out.put_us_varchar("the type's assembly", &self.assembly)?;
        }
        Ok(())
    }

    fn decode(place: Place, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let in_row = place == Place::Row;
        Ok(Self {
            max: if in_row { reader.u16_le()? } else { 0xFFFF },
            database: reader.b_varchar()?,
            schema: reader.b_varchar()?,
            name: reader.b_varchar()?,
            assembly: if in_row {
                reader.us_varchar()?
            } else {
                String::new()
            },
        })
    }
}

fn collation(id: TypeId, reader: &mut Reader<'_>) -> Result<Option<Collation>, DecodeError> {
    if !id.has_collation() {
        return Ok(None);
    }
    reader.array().map(Collation).map(Some)
}

fn put_collation(collation: Option<Collation>, out: &mut Vec<u8>) {
    if let Some(Collation(bytes)) = collation {
        out.put_slice(&bytes);
    }
}

fn xml_schema(reader: &mut Reader<'_>) -> Result<Option<XmlSchema>, DecodeError> {
    if reader.u8()? == 0 {
        return Ok(None);
    }
    Ok(Some(XmlSchema {
        database: reader.b_varchar()?,
        schema: reader.b_varchar()?,
        collection: reader.us_varchar()?,
    }))
}

fn put_xml_schema(schema: Option<&XmlSchema>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.put_u8(schema.is_some().into());
    let Some(schema) = schema else {
        return Ok(());
    };
    out.put_b_varchar("the collection's database", &schema.database)?;
    out.put_b_varchar("the collection's schema", &schema.schema)?;
    out.put_us_varchar("the collection's name", &schema.collection)
}
