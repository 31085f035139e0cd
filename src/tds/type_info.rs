//! TYPE_INFO: the type of a column or parameter (MS-TDS 2.2.5.4 to 2.2.5.6), in
//! the form of 7.2 and later.

use std::fmt;

use super::{DecodeError, EncodeError, Put, Reader};

/// The type byte (MS-TDS 2.2.5.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(pub u8);

/// Names, in the specification's spelling without "TYPE".
macro_rules! type_ids {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl TypeId {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The specification's name, if it is a known type.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

type_ids! {
    /// No type, in parameters without a value.
    NULL = 0x1F;
    /// tinyint.
    INT1 = 0x30;
    /// bit.
    BIT = 0x32;
    /// smallint.
    INT2 = 0x34;
    /// int.
    INT4 = 0x38;
    /// bigint.
    INT8 = 0x7F;
    /// real.
    FLT4 = 0x3B;
    /// float.
    FLT8 = 0x3E;
    /// smallmoney.
    MONEY4 = 0x7A;
    /// money.
    MONEY = 0x3C;
    /// smalldatetime.
    DATETIM4 = 0x3A;
    /// datetime.
    DATETIME = 0x3D;
    /// uniqueidentifier.
    GUID = 0x24;
    /// An integer that may be NULL.
    INTN = 0x26;
    /// A bit that may be NULL.
    BITN = 0x68;
    /// real or float that may be NULL.
    FLTN = 0x6D;
    /// smallmoney or money that may be NULL.
    MONEYN = 0x6E;
    /// smalldatetime or datetime that may be NULL.
    DATETIMN = 0x6F;
    /// decimal, as old clients send it.
    DECIMAL = 0x37;
    /// numeric, as old clients send it.
    NUMERIC = 0x3F;
    /// decimal.
    DECIMALN = 0x6A;
    /// numeric.
    NUMERICN = 0x6C;
    /// date.
    DATEN = 0x28;
    /// time.
    TIMEN = 0x29;
    /// datetime2.
    DATETIME2N = 0x2A;
    /// datetimeoffset; on the wire in UTC.
    DATETIMEOFFSETN = 0x2B;
    /// char, as old clients send it.
    CHAR = 0x2F;
    /// varchar, as old clients send it.
    VARCHAR = 0x27;
    /// binary, as old clients send it.
    BINARY = 0x2D;
    /// varbinary, as old clients send it.
    VARBINARY = 0x25;
    /// varbinary.
    BIGVARBIN = 0xA5;
    /// binary, rowversion.
    BIGBINARY = 0xAD;
    /// varchar.
    BIGVARCHR = 0xA7;
    /// char.
    BIGCHAR = 0xAF;
    /// nvarchar.
    NVARCHAR = 0xE7;
    /// nchar.
    NCHAR = 0xEF;
    /// text.
    TEXT = 0x23;
    /// ntext.
    NTEXT = 0x63;
    /// image.
    IMAGE = 0x22;
    /// `sql_variant`.
    SSVARIANT = 0x62;
    /// xml.
    XML = 0xF1;
    /// A type of the CLR: hierarchyid, geometry, geography and the like.
    UDT = 0xF0;
    /// A table-valued parameter; its layout is not described here.
    TVP = 0xF3;
    /// json.
    JSON = 0xF4;
    /// vector.
    VECTOR = 0xF5;
}

impl fmt::Debug for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

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
        if fixed_len(id).is_some() {
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

/// Length in bytes of a type that has no length on the wire.
pub(super) fn fixed_len(id: TypeId) -> Option<u8> {
    Some(match id {
        TypeId::NULL => 0,
        TypeId::INT1 | TypeId::BIT => 1,
        TypeId::INT2 => 2,
        TypeId::INT4 | TypeId::FLT4 | TypeId::MONEY4 | TypeId::DATETIM4 => 4,
        TypeId::INT8 | TypeId::FLT8 | TypeId::MONEY | TypeId::DATETIME => 8,
        _ => return None,
    })
}

fn has_collation(id: TypeId) -> bool {
    matches!(
        id,
        TypeId::BIGVARCHR
            | TypeId::BIGCHAR
            | TypeId::NVARCHAR
            | TypeId::NCHAR
            | TypeId::TEXT
            | TypeId::NTEXT
    )
}

fn collation(id: TypeId, reader: &mut Reader<'_>) -> Result<Option<Collation>, DecodeError> {
    if !has_collation(id) {
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
