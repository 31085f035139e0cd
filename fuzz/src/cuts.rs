//! Bytes cut in pieces, by a number that the fuzzer chooses.

/// Lengths of pieces, the same for the same number.
pub struct Cuts(u64);

impl Cuts {
    /// 0 stands for no cut at all.
    pub fn of(seed: u16) -> Self {
        Self(seed.into())
    }

    /// The next piece off the front of `bytes`, which are not empty; at least a
    /// byte.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> &'a [u8] {
        let length = match self.0 {
            0 => bytes.len(),
            1 => 1,
            _ => {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                let longest = 1_u64 << (self.0 >> 8 & 0xF);
                usize::try_from(1 + self.0 % longest).unwrap_or(1)
            }
        };
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        *bytes = rest;
        piece
    }
}
