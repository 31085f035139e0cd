//! The wire's field kinds, appended to a `Vec<u8>`.

use super::EncodeError;

/// Appends fields to a buffer.
///
/// Writes that put a length before their content fail, and leave the buffer as
/// it was, when the content does not fit the length; nothing is cut silently.
/// `what` names the field in that error.
pub trait Put {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// Bytes as they are.
    fn put_slice(&mut self, bytes: &[u8]);
    /// Text as UTF-16LE, without a length.
    fn put_utf16(&mut self, text: &str);
    /// `B_VARCHAR`: a count of UTF-16 units in one byte, then the text.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 255 units.
    fn put_b_varchar(&mut self, what: &'static str, text: &str) -> Result<(), EncodeError>;
    /// `US_VARCHAR`: a count of UTF-16 units in two bytes, then the text.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 65535 units.
    fn put_us_varchar(&mut self, what: &'static str, text: &str) -> Result<(), EncodeError>;
    /// `B_VARBYTE`: a length in one byte, then the bytes.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 255 bytes.
    fn put_b_varbyte(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError>;
    /// `US_VARBYTE`: a length in two bytes, then the bytes.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 65535 bytes.
    fn put_us_varbyte(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError>;
    /// `L_VARBYTE`: a length in four bytes, then the bytes.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 4 GiB.
    fn put_l_varbyte(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError>;
    /// Whatever `content` writes, with its length in two bytes before it.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 65535 bytes, or `content`'s own error.
    fn len_prefixed_u16(
        &mut self,
        what: &'static str,
        content: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError>;
    /// Whatever `content` writes, with its length in four bytes before it.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] beyond 4 GiB, or `content`'s own error.
    fn len_prefixed_u32(
        &mut self,
        what: &'static str,
        content: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError>;

    /// Two bytes, little-endian.
    fn put_u16_le(&mut self, value: u16) {
        self.put_slice(&value.to_le_bytes());
    }
    /// Two bytes, big-endian.
    fn put_u16_be(&mut self, value: u16) {
        self.put_slice(&value.to_be_bytes());
    }
    /// Four bytes, little-endian.
    fn put_u32_le(&mut self, value: u32) {
        self.put_slice(&value.to_le_bytes());
    }
    /// Four bytes, big-endian.
    fn put_u32_be(&mut self, value: u32) {
        self.put_slice(&value.to_be_bytes());
    }
    /// Four bytes, little-endian, signed.
    fn put_i32_le(&mut self, value: i32) {
        self.put_slice(&value.to_le_bytes());
    }
    /// Eight bytes, little-endian.
    fn put_u64_le(&mut self, value: u64) {
        self.put_slice(&value.to_le_bytes());
    }
}

impl Put for Vec<u8> {
    #[inline]
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_utf16(&mut self, text: &str) {
        self.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    }

    fn put_b_varchar(&mut self, what: &'static str, text: &str) -> Result<(), EncodeError> {
        self.put_u8(fit(what, utf16_len(text), u8::MAX.into())?);
        self.put_utf16(text);
        Ok(())
    }

    fn put_us_varchar(&mut self, what: &'static str, text: &str) -> Result<(), EncodeError> {
        self.put_u16_le(fit(what, utf16_len(text), u16::MAX.into())?);
        self.put_utf16(text);
        Ok(())
    }

    fn put_b_varbyte(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
        self.put_u8(fit(what, bytes.len(), u8::MAX.into())?);
        self.put_slice(bytes);
        Ok(())
    }

    fn put_us_varbyte(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
        self.put_u16_le(fit(what, bytes.len(), u16::MAX.into())?);
        self.put_slice(bytes);
        Ok(())
    }

    fn put_l_varbyte(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
        self.put_u32_le(fit(what, bytes.len(), u32::MAX as usize)?);
        self.put_slice(bytes);
        Ok(())
    }

    fn len_prefixed_u16(
        &mut self,
        what: &'static str,
        content: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        prefixed(self, content, |len| {
            fit(what, len, u16::MAX.into()).map(u16::to_le_bytes)
        })
    }

    fn len_prefixed_u32(
        &mut self,
        what: &'static str,
        content: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        prefixed(self, content, |len| {
            fit(what, len, u32::MAX as usize).map(u32::to_le_bytes)
        })
    }
}

/// Length of a text in UTF-16 units, which is how the protocol counts.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `len` as a length field, or the error that it does not fit.
fn fit<T: TryFrom<usize>>(what: &'static str, len: usize, max: usize) -> Result<T, EncodeError> {
    T::try_from(len).map_err(|_| EncodeError::TooLong { what, len, max })
}

/// Writes `N` bytes of room, then `content`, then fills the room in.
fn prefixed<const N: usize>(
    out: &mut Vec<u8>,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    length: impl FnOnce(usize) -> Result<[u8; N], EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; N]);
    let written = content(out).and_then(|()| length(out.len().saturating_sub(start + N)));
    match written {
        Ok(prefix) => {
            if let Some(room) = out.get_mut(start..start + N) {
                room.copy_from_slice(&prefix);
            }
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut out = vec![7];
        let too_long = |len, max| {
            Err(EncodeError::TooLong {
                what: "it",
                len,
                max,
            })
        };
        assert_eq!(
            out.put_b_varchar("it", &"x".repeat(256)),
            too_long(256, 255)
        );
        assert_eq!(
            out.put_us_varbyte("it", &[0; 65_536]),
            too_long(65_536, 65_535)
        );
        let prefixed = out.len_prefixed_u16("it", |out| {
            out.put_slice(&[0; 65_536]);
            Ok(())
        });
        assert_eq!(prefixed, too_long(65_536, 65_535));
        assert_eq!(out, [7]);
    }

    #[test]
    fn a_length_is_filled_in_when_it_is_known() {
        let mut out = vec![7];
        out.len_prefixed_u32("it", |out| {
            out.put_u16_be(0x0102);
            out.put_b_varchar("text", "ä")
        })
        .unwrap();
        assert_eq!(out, [7, 5, 0, 0, 0, 1, 2, 1, 0xE4, 0]);
    }
}
