//! Bytes in and out, without the crate's own codec.

/// Why bytes are not what a client of this version can read.
pub(super) type Read<T> = Result<T, String>;

/// Reads from the front.
pub(super) struct In<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> In<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count);
        let part = end.and_then(|end| self.bytes.get(self.at..end));
        let part = part.ok_or_else(|| {
            let left = self.bytes.len() - self.at;
            format!("{count} bytes wanted at {}, {left} are left", self.at)
        })?;
        self.at += count;
        Ok(part)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        Ok(self.take(N)?.try_into().unwrap())
    }

    pub(super) fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn text(&mut self, units: usize) -> Read<String> {
        let bytes = self.take(units * 2)?;
        let units: Vec<u16> = bytes
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16(&units).map_err(|_| format!("no UTF-16 before {}", self.at))
    }

    /// Text with a count of one byte.
    pub(super) fn short_text(&mut self) -> Read<String> {
        let units = self.u8()?;
        self.text(units.into())
    }

    /// Text with a count of two bytes.
    pub(super) fn long_text(&mut self) -> Read<String> {
        let units = self.u16()?;
        self.text(units.into())
    }

    /// A part with a length of two bytes, to be read in full.
    pub(super) fn part(&mut self) -> Read<In<'a>> {
        let length = self.u16()?;
        Ok(In::new(self.take(length.into())?))
    }

    /// Complains about what is left.
    pub(super) fn end(&self, what: &str) -> Read<()> {
        if self.is_empty() {
            return Ok(());
        }
        let left = self.bytes.len() - self.at;
        Err(format!("{left} bytes too many in {what}"))
    }
}

/// UTF-16 as it goes over the wire.
pub(super) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Appends text with a count of one byte.
pub(super) fn put_short_text(text: &str, out: &mut Vec<u8>) {
    let bytes = utf16(text);
    out.push(u8::try_from(bytes.len() / 2).unwrap());
    out.extend(bytes);
}

/// Appends text with a count of two bytes.
pub(super) fn put_long_text(text: &str, out: &mut Vec<u8>) {
    let bytes = utf16(text);
    out.extend(u16::try_from(bytes.len() / 2).unwrap().to_le_bytes());
    out.extend(bytes);
}
