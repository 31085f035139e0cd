//! A cursor over received bytes that cannot run past their end.

use super::DecodeError;

/// Reads fields off the front of a slice.
///
/// Every method either returns the field and moves past it, or returns
/// [`DecodeError::Truncated`] and stays before the part that is missing.
///
/// ```
/// use entrada::tds::Reader;
///
/// let mut reader = Reader::new(&[0x01, 0x61, 0x00, 0x2a]);
/// assert_eq!(reader.b_varchar()?, "a");
/// assert_eq!(reader.u8()?, 0x2a);
/// assert!(reader.u8().is_err());
/// # Ok::<(), entrada::tds::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// A reader whose errors speak of "the message".
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::named("the message", bytes)
    }

    /// A reader whose errors name the structure being read.
    #[must_use]
    pub fn named(what: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            what,
            bytes,
            position: 0,
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// All that is left, without moving.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// The next byte, without moving.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left; so too for the other reads.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.rest().get(..n).ok_or(DecodeError::Truncated {
            what: self.what,
            need: n,
            have: self.remaining(),
        })?;
        self.position += n;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Moves past `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn skip(&mut self, n: usize) -> Result<(), DecodeError> {
        self.take(n).map(drop)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u16_le(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u16_be(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u32_le(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u32_be(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Four bytes, little-endian, signed.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn i32_le(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }

    /// A length in four bytes, which are signed.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] if it is negative, or [`DecodeError::Truncated`].
    pub fn long_len(&mut self) -> Result<u32, DecodeError> {
        let len = self.u32_le()?;
        match i32::try_from(len) {
            Ok(_) => Ok(len),
            Err(_) => Err(DecodeError::Invalid {
                what: self.what,
                problem: "a value has a negative length",
            }),
        }
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u64_le(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Text of `units` UTF-16 units. SQL Server lets a surrogate stand alone;
    /// such a unit becomes U+FFFD.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn utf16(&mut self, units: usize) -> Result<String, DecodeError> {
        self.take(units.saturating_mul(2)).map(decode_utf16_lossy)
    }

    /// `B_VARCHAR`: a count of UTF-16 units in one byte, then the text.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn b_varchar(&mut self) -> Result<String, DecodeError> {
        let units = self.u8()?;
        self.utf16(units.into())
    }

    /// `US_VARCHAR`: a count of UTF-16 units in two bytes, then the text.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn us_varchar(&mut self) -> Result<String, DecodeError> {
        let units = self.u16_le()?;
        self.utf16(units.into())
    }

    /// `B_VARBYTE`: a length in one byte, then the bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn b_varbyte(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// `US_VARBYTE`: a length in two bytes, then the bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn us_varbyte(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16_le()?;
        self.take(len.into())
    }

    /// `L_VARBYTE`: a length in four bytes, then the bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn l_varbyte(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u32_le()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }
}

/// UTF-16LE to text; an odd last byte is dropped.
pub(crate) fn decode_utf16_lossy(bytes: &[u8]) -> String {
    let units = bytes
        .as_chunks::<2>()
        .0
        .iter()
        .copied()
        .map(u16::from_le_bytes);
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_cut_is_not_begun() {
        let mut reader = Reader::named("a test", &[1, 2, 3]);
        let cut = DecodeError::Truncated {
            what: "a test",
            need: 4,
            have: 3,
        };
        assert_eq!(reader.u32_le(), Err(cut));
        assert_eq!((reader.position(), reader.remaining()), (0, 3));
        assert_eq!(reader.u16_be(), Ok(0x0102));
        assert_eq!((reader.rest(), reader.peek()), (&[3][..], Some(3)));
        assert!(reader.take(usize::MAX).is_err() && reader.utf16(usize::MAX).is_err());
    }

    #[test]
    fn a_lone_surrogate_is_replaced() {
        let mut reader = Reader::new(&[3, 0, b'a', 0, 0x00, 0xD8, b'b', 0]);
        assert_eq!(reader.us_varchar().unwrap(), "a\u{FFFD}b");
    }
}
