//! Fields that are read in one piece, from bytes cut anywhere.

use crate::tds::{DecodeError, Reader};

/// Bound of a unit in bytes, as the response walker's. Only hostile types come
/// near: values are not held.
const MAX_UNIT: usize = 256 * 1024;

/// Holds the beginning of a unit that goes on in bytes yet to come.
#[derive(Debug)]
pub(super) struct Units {
    what: &'static str,
    pending: Vec<u8>,
    /// How long `pending` must grow before it is worth another look.
    need: usize,
}

impl Units {
    /// Errors name the units `what`.
    pub(super) fn of(what: &'static str) -> Self {
        Self {
            what,
            pending: Vec::new(),
            need: 0,
        }
    }

    /// Reads a unit off what came before and the front of `bytes`; how many of
    /// these are done with, and the unit if it was whole. `read` asks for one
    /// field after the other, and has no effect before it has read them all.
    pub(super) fn read<T>(
        &mut self,
        bytes: &[u8],
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<(usize, Option<T>), DecodeError> {
        if self.pending.is_empty() {
            let mut reader = Reader::named(self.what, bytes);
            let unit = read(&mut reader);
            let unit = self.whole(unit, reader.position())?;
            if unit.is_some() {
                return Ok((reader.position(), unit));
            }
            self.pending.extend_from_slice(bytes);
            return Ok((bytes.len(), None));
        }
        let missing = self.need.saturating_sub(self.pending.len());
        let added = bytes.get(..missing).unwrap_or(bytes);
        self.pending.extend_from_slice(added);
        if added.len() < missing {
            return Ok((added.len(), None));
        }
        let pending = std::mem::take(&mut self.pending);
        let mut reader = Reader::named(self.what, &pending);
        let unit = read(&mut reader);
        let unit = self.whole(unit, reader.position())?;
        self.pending = pending;
        if unit.is_some() {
            self.pending.clear();
        }
        Ok((added.len(), unit))
    }

    /// What the unit that is half read needs and has.
    pub(super) fn missing(&self) -> Option<DecodeError> {
        (!self.pending.is_empty()).then(|| self.cut(self.need - self.pending.len()))
    }

    /// So many bytes more were expected.
    pub(super) fn cut(&self, need: usize) -> DecodeError {
        DecodeError::Truncated {
            what: self.what,
            need,
            have: 0,
        }
    }

    /// A unit that is cut short is none yet. A reader stays before the field that
    /// is cut, which tells what the unit needs to get past it.
    fn whole<T>(
        &mut self,
        unit: Result<T, DecodeError>,
        position: usize,
    ) -> Result<Option<T>, DecodeError> {
        match unit {
            Ok(unit) => Ok(Some(unit)),
            Err(DecodeError::Truncated { need, .. }) => {
                self.need = position.saturating_add(need);
                if self.need <= MAX_UNIT {
                    return Ok(None);
                }
                Err(DecodeError::TooLong {
                    what: self.what,
                    len: self.need as u64,
                    max: MAX_UNIT as u64,
                })
            }
            Err(error) => Err(error),
        }
    }
}
