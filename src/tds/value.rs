//! How values are framed: where one ends, and whether it is NULL
//! (MS-TDS 2.2.5.2).

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::{DecodeError, EncodeError, Place, Put, Reader, TypeInfo};

/// What stands before a value and tells where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// Nothing: this many bytes follow, and there is no NULL.
    Fixed(u8),
    /// A length of 1 byte; 0 is NULL.
    ByteLen,
    /// A length of 2 bytes; 0xFFFF is NULL.
    ShortLen,
    /// A length of 4 bytes; 0 is NULL. `sql_variant`.
    Variant,
    /// A length of 4 bytes; 0xFFFFFFFF is NULL. text, ntext and image in
    /// parameters.
    LongLen,
    /// A text pointer with its length of 1 byte, where 0 is NULL; a timestamp
    /// of 8 bytes, and a length of 4 bytes. text, ntext and image in rows.
    TextPointer,
    /// Partially length-prefixed: a total of 8 bytes, which is a hint or NULL,
    /// and chunks up to an empty one.
    Plp,
}

/// The total of a PLP value that is NULL.
pub const PLP_NULL: u64 = 0xFFFF_FFFF_FFFF_FFFF;
/// The total of a PLP value whose length is not known beforehand.
pub const PLP_UNKNOWN: u64 = 0xFFFF_FFFF_FFFF_FFFE;

impl Framing {
    /// Reads what stands before a value, and returns how many bytes follow: none
    /// for NULL. `None` for PLP, of which nothing is read: its chunks say it.
    pub(crate) fn read_len(self, reader: &mut Reader<'_>) -> Result<Option<u32>, DecodeError> {
        Ok(Some(match self {
            Self::Fixed(len) => len.into(),
            Self::ByteLen => reader.u8()?.into(),
            Self::ShortLen => match reader.u16_le()? {
                u16::MAX => 0,
                len => len.into(),
            },
            Self::Variant => reader.long_len()?,
            Self::LongLen => match reader.clone().u32_le()? {
                u32::MAX => reader.skip(4).map(|()| 0)?,
                _ => reader.long_len()?,
            },
            Self::TextPointer => match reader.b_varbyte()? {
                [] => 0,
                _ => {
                    reader.skip(TIMESTAMP_LEN)?;
                    reader.long_len()?
                }
            },
            Self::Plp => return Ok(None),
        }))
    }

    /// The bytes after a value that lies whole in `bytes`. A length that is out
    /// of order counts as not whole.
    #[inline]
    pub(crate) fn skip(self, bytes: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Fixed(len) => bytes.get(usize::from(len)..),
            Self::ByteLen => {
                let (&len, rest) = bytes.split_first()?;
                rest.get(usize::from(len)..)
            }
            Self::ShortLen => {
                let (&len, rest) = bytes.split_first_chunk()?;
                match u16::from_le_bytes(len) {
                    u16::MAX => Some(rest),
                    len => rest.get(usize::from(len)..),
                }
            }
            Self::Variant => skip_long(bytes),
            Self::LongLen => match bytes.split_first_chunk()? {
                ([0xFF, 0xFF, 0xFF, 0xFF], rest) => Some(rest),
                _ => skip_long(bytes),
            },
            Self::TextPointer => {
                let (&len, rest) = bytes.split_first()?;
                if len == 0 {
                    return Some(rest);
                }
                skip_long(rest.get(usize::from(len) + TIMESTAMP_LEN..)?)
            }
            Self::Plp => skip_plp(bytes),
        }
    }
}

impl TypeInfo {
    /// How values of this type are framed.
    #[must_use]
    pub fn framing(&self, place: Place) -> Framing {
        match self {
            Self::Fixed(id) => Framing::Fixed(id.fixed_len().unwrap_or_default()),
            Self::ByteLen { .. } | Self::Decimal { .. } | Self::Date | Self::Time { .. } => {
                Framing::ByteLen
            }
            Self::ShortLen { max: Self::MAX, .. } => Framing::Plp,
            Self::ShortLen { .. } | Self::Vector { .. } => Framing::ShortLen,
            Self::LongLen { .. } if place == Place::Row => Framing::TextPointer,
            Self::LongLen { .. } => Framing::LongLen,
            Self::Variant { .. } => Framing::Variant,
            Self::Xml(_) | Self::Udt(_) | Self::Json => Framing::Plp,
        }
    }

    /// Reads a value: its bytes without the framing, or `None` for NULL. Bytes
    /// are copied only if a PLP value comes in several chunks.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn read_value<'a>(
        &self,
        place: Place,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Cow<'a, [u8]>>, DecodeError> {
        let bytes = match self.framing(place) {
            Framing::Fixed(0) => None,
            Framing::Fixed(len) => Some(reader.take(len.into())?),
            Framing::ByteLen => Some(reader.b_varbyte()?).filter(|bytes| !bytes.is_empty()),
            Framing::ShortLen => match reader.u16_le()? {
                u16::MAX => None,
                len => Some(reader.take(len.into())?),
            },
            Framing::Variant => Some(reader.l_varbyte()?).filter(|bytes| !bytes.is_empty()),
            Framing::LongLen => long(reader)?,
            Framing::TextPointer => match reader.b_varbyte()? {
                [] => None,
                _ => {
                    reader.skip(TIMESTAMP_LEN)?;
                    Some(reader.l_varbyte()?)
                }
            },
            Framing::Plp => return plp(reader),
        };
        Ok(bytes.map(Cow::Borrowed))
    }

    /// Appends a value with its framing; `None` is NULL.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`] for NULL in a type that has none or bytes
    /// of another length than the type's; [`EncodeError::TooLong`] if the
    /// length does not fit the framing.
    pub fn write_value(
        &self,
        place: Place,
        value: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        const WHAT: &str = "the value";
        match (self.framing(place), value) {
            (Framing::Fixed(len), value) => {
                let value = value.unwrap_or_default();
                if value.len() != usize::from(len) {
                    return Err(EncodeError::Unsupported {
                        what: WHAT,
                        problem: "its type has another, fixed length",
                    });
                }
                out.put_slice(value);
            }
            (Framing::ByteLen | Framing::TextPointer, None) => out.put_u8(0),
            (Framing::ByteLen, Some(value)) => out.put_b_varbyte(WHAT, value)?,
            (Framing::ShortLen, None) => out.put_u16_le(u16::MAX),
            (Framing::ShortLen, Some(value)) if value.len() >= usize::from(u16::MAX) => {
                return Err(EncodeError::TooLong {
                    what: WHAT,
                    len: value.len(),
                    max: usize::from(u16::MAX) - 1,
                });
            }
            (Framing::ShortLen, Some(value)) => out.put_us_varbyte(WHAT, value)?,
            (Framing::Variant, value) => out.put_l_varbyte(WHAT, value.unwrap_or_default())?,
            (Framing::LongLen, None) => out.put_u32_le(u32::MAX),
            (Framing::LongLen, Some(value)) => out.put_l_varbyte(WHAT, value)?,
            (Framing::TextPointer, Some(value)) => {
                out.put_slice(DUMMY_TEXT_POINTER);
                out.put_l_varbyte(WHAT, value)?;
            }
            (Framing::Plp, None) => out.put_u64_le(PLP_NULL),
            (Framing::Plp, Some(value)) => {
                out.put_u64_le(value.len() as u64);
                for chunk in value.chunks(PLP_CHUNK) {
                    out.put_l_varbyte(WHAT, chunk)?;
                }
                out.put_u32_le(0);
            }
        }
        Ok(())
    }
}

/// What stands before the length of a text, ntext or image in a row that is in no
/// table: a pointer with its length, and a timestamp. That length is always 16:
/// jTDS counts on it.
pub const DUMMY_TEXT_POINTER: &[u8; 25] = b"\x10dummy textptr\0\0\0dummyTS\0";
/// Timestamp after a text pointer, in bytes.
pub(super) const TIMESTAMP_LEN: usize = 8;
/// Longest PLP chunk that we write, in bytes.
const PLP_CHUNK: usize = 0x4000_0000;

fn long<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    match reader.u32_le()? {
        u32::MAX => Ok(None),
        len => reader
            .take(usize::try_from(len).unwrap_or(usize::MAX))
            .map(Some),
    }
}

/// Reads chunk after chunk; the total is no more than a hint.
fn plp<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, [u8]>>, DecodeError> {
    if reader.u64_le()? == PLP_NULL {
        return Ok(None);
    }
    let mut value = Cow::Borrowed(&[][..]);
    loop {
        match reader.l_varbyte()? {
            [] => return Ok(Some(value)),
            chunk if value.is_empty() => value = Cow::Borrowed(chunk),
            chunk => value.to_mut().extend_from_slice(chunk),
        }
    }
}

fn skip_long(bytes: &[u8]) -> Option<&[u8]> {
    let (&len, rest) = bytes.split_first_chunk()?;
    rest.get(usize::try_from(u32::from_le_bytes(len)).ok()?..)
}

fn skip_plp(bytes: &[u8]) -> Option<&[u8]> {
    let (&total, mut rest) = bytes.split_first_chunk()?;
    if u64::from_le_bytes(total) == PLP_NULL {
        return Some(rest);
    }
    loop {
        let (&len, chunk) = rest.split_first_chunk()?;
        match u32::from_le_bytes(len) {
            0 => return Some(chunk),
            len => rest = chunk.get(usize::try_from(len).ok()?..)?,
        }
    }
}
