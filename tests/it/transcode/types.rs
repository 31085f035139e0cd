//! TYPE_INFO and values, as strictly as a client of each version reads them.

use super::bytes::{In, Read};
use super::version::Version;

/// Five bytes of a collation.
pub(super) type Collation = [u8; 5];

/// Where a type stands: text is preceded by a text pointer in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Row,
    Param,
}

/// A type as the wire says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    /// No length: int, float, datetime and the like.
    Fixed(u8),
    /// A length of one byte.
    Byte {
        id: u8,
        max: u8,
    },
    Decimal {
        id: u8,
        max: u8,
        precision: u8,
        scale: u8,
    },
    Date,
    /// time, datetime2, datetimeoffset.
    Scaled {
        id: u8,
        scale: u8,
    },
    /// A length of two bytes, or `MAX`.
    Short {
        id: u8,
        max: u16,
        collation: Option<Collation>,
    },
    /// text, ntext, image.
    Long {
        id: u8,
        max: u32,
        collation: Option<Collation>,
    },
    Variant {
        max: u32,
    },
    /// Database, owning schema and name of the schema collection.
    Xml(Option<[String; 3]>),
    /// Parameters have only the names.
    Udt {
        max: u16,
        names: [String; 3],
        assembly: String,
    },
}

/// The `max` of a type with pieces.
pub(super) const MAX: u16 = 0xFFFF;

pub(super) mod id {
    pub(in super::super) const NULL: u8 = 0x1F;
    pub(in super::super) const IMAGE: u8 = 0x22;
    pub(in super::super) const TEXT: u8 = 0x23;
    pub(in super::super) const GUID: u8 = 0x24;
    pub(in super::super) const OLD_VARBINARY: u8 = 0x25;
    pub(in super::super) const INTN: u8 = 0x26;
    pub(in super::super) const OLD_VARCHAR: u8 = 0x27;
    pub(in super::super) const DATE: u8 = 0x28;
    pub(in super::super) const TIME: u8 = 0x29;
    pub(in super::super) const DATETIME2: u8 = 0x2A;
    pub(in super::super) const DATETIMEOFFSET: u8 = 0x2B;
    pub(in super::super) const OLD_BINARY: u8 = 0x2D;
    pub(in super::super) const OLD_CHAR: u8 = 0x2F;
    pub(in super::super) const VARIANT: u8 = 0x62;
    pub(in super::super) const NTEXT: u8 = 0x63;
    pub(in super::super) const BITN: u8 = 0x68;
    pub(in super::super) const DECIMALN: u8 = 0x6A;
    pub(in super::super) const NUMERICN: u8 = 0x6C;
    pub(in super::super) const FLTN: u8 = 0x6D;
    pub(in super::super) const MONEYN: u8 = 0x6E;
    pub(in super::super) const DATETIMN: u8 = 0x6F;
    pub(in super::super) const VARBINARY: u8 = 0xA5;
    pub(in super::super) const VARCHAR: u8 = 0xA7;
    pub(in super::super) const BINARY: u8 = 0xAD;
    pub(in super::super) const CHAR: u8 = 0xAF;
    pub(in super::super) const NVARCHAR: u8 = 0xE7;
    pub(in super::super) const NCHAR: u8 = 0xEF;
    pub(in super::super) const UDT: u8 = 0xF0;
    pub(in super::super) const XML: u8 = 0xF1;
}

/// Bytes of a fixed-length type.
pub(super) fn fixed_length(id: u8) -> Option<usize> {
    Some(match id {
        id::NULL => 0,
        0x30 | 0x32 => 1,
        0x34 => 2,
        0x38 | 0x3A | 0x3B | 0x7A => 4,
        0x3C | 0x3D | 0x3E | 0x7F => 8,
        _ => return None,
    })
}

/// Bytes of a time with so many digits.
pub(super) fn time_length(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3 | 4 => 4,
        _ => 5,
    }
}

/// Bytes of a value of a type with a scale.
pub(super) fn scaled_length(id: u8, scale: u8) -> usize {
    time_length(scale)
        + match id {
            id::TIME => 0,
            id::DATETIME2 => 3,
            _ => 5,
        }
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Read<()> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Ty {
    /// Reads the type of a column or of an output value.
    pub(super) fn read(version: Version, bytes: &mut In<'_>) -> Read<Self> {
        let id = bytes.u8()?;
        if id != id::NULL && fixed_length(id).is_some() {
            return Ok(Self::Fixed(id));
        }
        let since = |had: bool| require(had, || format!("type {id:#04x} for {version:?}"));
        Ok(match id {
            id::GUID | id::INTN | id::BITN | id::FLTN | id::MONEYN | id::DATETIMN => {
                Self::byte(id, bytes.u8()?)?
            }
            id::DECIMALN | id::NUMERICN => {
                let [max, precision, scale] = bytes.array()?;
                let fits = (1..=38).contains(&precision) && scale <= precision;
                let bytes = match precision {
                    0..=9 => 5,
                    10..=19 => 9,
                    20..=28 => 13,
                    _ => 17,
                };
                require(fits && max >= bytes && max <= 17, || {
                    format!("decimal({precision}, {scale}) of {max}")
                })?;
                Self::Decimal {
                    id,
                    max,
                    precision,
                    scale,
                }
            }
            id::DATE => {
                since(version.has_dates())?;
                Self::Date
            }
            id::TIME | id::DATETIME2 | id::DATETIMEOFFSET => {
                since(version.has_dates())?;
                let scale = bytes.u8()?;
                require(scale <= 7, || format!("a scale of {scale}"))?;
                Self::Scaled { id, scale }
            }
            id::VARBINARY | id::BINARY | id::VARCHAR | id::CHAR | id::NVARCHAR | id::NCHAR => {
                Self::short(version, id, bytes)?
            }
            id::TEXT | id::NTEXT | id::IMAGE => {
                let max = bytes.u32()?;
                let collation = (id != id::IMAGE).then(|| bytes.array()).transpose()?;
                Self::Long { id, max, collation }
            }
            id::VARIANT => Self::Variant { max: bytes.u32()? },
            id::XML => {
                since(version.has_max())?;
                Self::xml(bytes)?
            }
            id::UDT => {
                since(version.has_max())?;
                Self::udt(version, bytes)?
            }
            _ => return Err(format!("type {id:#04x} is unknown to {version:?}")),
        })
    }

    fn byte(id: u8, max: u8) -> Read<Self> {
        let sizes: &[u8] = match id {
            id::GUID => &[16],
            id::INTN => &[1, 2, 4, 8],
            id::BITN => &[1],
            _ => &[4, 8],
        };
        require(sizes.contains(&max), || format!("type {id:#04x} of {max}"))?;
        Ok(Self::Byte { id, max })
    }

    fn short(version: Version, id: u8, bytes: &mut In<'_>) -> Read<Self> {
        let max = bytes.u16()?;
        let may_be_max = matches!(id, id::VARBINARY | id::VARCHAR | id::NVARCHAR);
        let fits = max <= 8000 || max == MAX && may_be_max && version.has_max();
        require(fits, || format!("{id:#04x} of {max} for {version:?}"))?;
        let plain = matches!(id, id::VARBINARY | id::BINARY);
        let collation = (!plain).then(|| bytes.array()).transpose()?;
        Ok(Self::Short { id, max, collation })
    }

    fn xml(bytes: &mut In<'_>) -> Read<Self> {
        Ok(Self::Xml(match bytes.u8()? {
            0 => None,
            1 => Some([bytes.short_text()?, bytes.short_text()?, bytes.long_text()?]),
            other => return Err(format!("xml with {other} for a schema")),
        }))
    }

    fn udt(version: Version, bytes: &mut In<'_>) -> Read<Self> {
        let max = bytes.u16()?;
        let fits = max <= 8000 || max == MAX && version.has_dates();
        require(fits, || format!("a UDT of {max} for {version:?}"))?;
        let names = [
            bytes.short_text()?,
            bytes.short_text()?,
            bytes.short_text()?,
        ];
        let assembly = bytes.long_text()?;
        Ok(Self::Udt {
            max,
            names,
            assembly,
        })
    }

    /// Whether values come in pieces.
    pub(super) fn in_pieces(&self) -> bool {
        match self {
            Self::Short { max, .. } => *max == MAX,
            Self::Xml(_) | Self::Udt { .. } => true,
            _ => false,
        }
    }

    /// Reads a value, or `None` for NULL.
    pub(super) fn read_value(
        &self,
        version: Version,
        place: Place,
        bytes: &mut In<'_>,
    ) -> Read<Option<Vec<u8>>> {
        if self.in_pieces() {
            return pieces(bytes);
        }
        match self {
            Self::Fixed(id) => {
                let length = fixed_length(*id).unwrap();
                Ok(Some(bytes.take(length)?.to_vec()))
            }
            Self::Long { id, max, .. } => {
                let value = long_value(place, bytes)?;
                let length = value.as_ref().map_or(0, Vec::len);
                require(length <= *max as usize, || {
                    format!("{length} bytes in {max}")
                })?;
                require(*id != id::NTEXT || length % 2 == 0, || "half a unit".into())?;
                Ok(value)
            }
            Self::Variant { max } => match bytes.u32()? {
                0 => Ok(None),
                length => {
                    require(length <= *max, || format!("a variant of {length} in {max}"))?;
                    let value = bytes.take(length as usize)?;
                    check_variant(version, value)?;
                    Ok(Some(value.to_vec()))
                }
            },
            Self::Short { id, max, .. } => match bytes.u16()? {
                0xFFFF => Ok(None),
                length => {
                    require(length <= *max, || format!("{length} bytes in {max}"))?;
                    let wide = matches!(*id, id::NVARCHAR | id::NCHAR);
                    require(!wide || length % 2 == 0, || "half a unit".into())?;
                    Ok(Some(bytes.take(length.into())?.to_vec()))
                }
            },
            _ => self.read_small(bytes),
        }
    }

    /// Values with a length of one byte.
    fn read_small(&self, bytes: &mut In<'_>) -> Read<Option<Vec<u8>>> {
        let length = bytes.u8()?;
        if length == 0 {
            return Ok(None);
        }
        let fits = match self {
            Self::Byte { max, .. } => length == *max,
            Self::Decimal { max, .. } => length <= *max && [5, 9, 13, 17].contains(&length),
            Self::Date => length == 3,
            Self::Scaled { id, scale } => usize::from(length) == scaled_length(*id, *scale),
            _ => false,
        };
        require(fits, || format!("{length} bytes of {self:?}"))?;
        Ok(Some(bytes.take(length.into())?.to_vec()))
    }
}

/// A value with its pieces joined.
fn pieces(bytes: &mut In<'_>) -> Read<Option<Vec<u8>>> {
    let total = bytes.u64()?;
    if total == u64::MAX {
        return Ok(None);
    }
    let mut value = Vec::new();
    loop {
        match bytes.u32()? {
            0 => break,
            length => value.extend(bytes.take(length as usize)?),
        }
    }
    let right = total == u64::MAX - 1 || total == value.len() as u64;
    require(right, || format!("{} bytes came of {total}", value.len()))?;
    Ok(Some(value))
}

/// text, ntext and image. jTDS skips 24 bytes after the length of the pointer,
/// whatever that is: it must be 16.
fn long_value(place: Place, bytes: &mut In<'_>) -> Read<Option<Vec<u8>>> {
    let length = if place == Place::Row {
        match bytes.u8()? {
            0 => return Ok(None),
            16 => bytes.take(24)?,
            other => return Err(format!("a text pointer of {other} bytes")),
        };
        bytes.u32()?
    } else {
        match bytes.u32()? {
            u32::MAX => return Ok(None),
            length => length,
        }
    };
    Ok(Some(bytes.take(length as usize)?.to_vec()))
}

/// Whether a client of this version knows what is in a sql_variant.
fn check_variant(version: Version, value: &[u8]) -> Read<()> {
    let mut bytes = In::new(value);
    let (id, properties) = (bytes.u8()?, bytes.u8()?);
    let expected = match id {
        id::GUID => 0,
        id::DATE if version.has_dates() => 0,
        id::TIME | id::DATETIME2 | id::DATETIMEOFFSET if version.has_dates() => 1,
        id::VARBINARY | id::BINARY | id::DECIMALN | id::NUMERICN => 2,
        id::VARCHAR | id::CHAR | id::NVARCHAR | id::NCHAR => 7,
        id if id != id::NULL && fixed_length(id).is_some() => 0,
        _ => return Err(format!("a variant of type {id:#04x} for {version:?}")),
    };
    require(properties == expected, || {
        format!("{properties} bytes of properties for {id:#04x}")
    })?;
    let properties = bytes.take(properties.into())?;
    let left = value.len() - bytes.at();
    let fits = match id {
        id::GUID => left == 16,
        id::DATE => left == 3,
        id::TIME | id::DATETIME2 | id::DATETIMEOFFSET => left == scaled_length(id, properties[0]),
        id::DECIMALN | id::NUMERICN => [5, 9, 13, 17].contains(&left),
        id::VARBINARY | id::BINARY => left <= word(properties),
        id::VARCHAR | id::CHAR | id::NVARCHAR | id::NCHAR => left <= word(&properties[5..]),
        _ => fixed_length(id) == Some(left),
    };
    require(fits, || format!("{left} bytes in a variant of {id:#04x}"))
}

fn word(bytes: &[u8]) -> usize {
    u16::from_le_bytes([bytes[0], bytes[1]]).into()
}
