//! What the text of a request tells without being parsed.

/// What follows ALL_HEADERS, which begin with their own total length.
pub(crate) fn after_headers(payload: &[u8]) -> Option<&[u8]> {
    let (total, _) = payload.split_first_chunk::<4>()?;
    payload.get(usize::try_from(u32::from_le_bytes(*total)).ok()?..)
}

/// Whether a batch is `INSERT BULK ..`, whose rows come in a message of their
/// own. The beginning of its payload is enough.
pub(crate) fn announces_rows(payload: &[u8]) -> bool {
    /// As much text as is ever looked at, in bytes.
    const BEGINNING: usize = 128;

    let Some(text) = after_headers(payload) else {
        return false;
    };
    let text = text.get(..BEGINNING).unwrap_or(text);
    let units = text.as_chunks::<2>().0.iter().copied();
    let words: String = char::decode_utf16(units.map(u16::from_le_bytes))
        .map_while(Result::ok)
        .collect();
    let mut words = words.split_whitespace();
    words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("INSERT"))
        && words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("BULK"))
}

/// Finds an ASCII word in UTF-16LE text, in any case and across any split.
///
/// Requests are searched as bytes, since the text of an RPC may begin at an odd
/// offset; a word found where no text is costs a round trip or a session, no more.
#[derive(Debug)]
pub(crate) struct WordFinder {
    word: &'static [u8],
    /// How many bytes of the word's UTF-16 form the latest bytes match.
    matched: usize,
}

impl WordFinder {
    /// `word` is not empty, and in upper case.
    pub(crate) fn new(word: &'static [u8]) -> Self {
        Self { word, matched: 0 }
    }

    /// Forgets the beginning of a word.
    pub(crate) fn restart(&mut self) {
        self.matched = 0;
    }

    /// Whether the word ends in these bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let goal = self.word.len() * 2;
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.matched == 0 {
                // Most bytes are skipped here, which is what keeps long
                // parameters cheap.
                let first = self.unit(0);
                let Some(at) = bytes
                    .iter()
                    .position(|byte| byte.to_ascii_uppercase() == first)
                else {
                    return false;
                };
                bytes = bytes.get(at + 1..).unwrap_or_default();
                self.matched = 1;
                continue;
            }
            if byte.to_ascii_uppercase() == self.unit(self.matched) {
                self.matched += 1;
                bytes = rest;
                if self.matched == goal {
                    self.matched = 0;
                    return true;
                }
            } else {
                self.matched = self.fall_back();
            }
        }
        false
    }

    /// The byte at this place of the word's UTF-16 form.
    fn unit(&self, place: usize) -> u8 {
        if place % 2 == 1 {
            return 0;
        }
        self.word.get(place / 2).copied().unwrap_or_default()
    }

    /// The longest shorter match that the bytes matched so far also end in.
    fn fall_back(&self) -> usize {
        (1..self.matched)
            .rev()
            .find(|&shorter| {
                (0..shorter).all(|at| self.unit(at) == self.unit(self.matched - shorter + at))
            })
            .unwrap_or(0)
    }
}
