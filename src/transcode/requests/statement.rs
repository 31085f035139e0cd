//! What a batch says of the bulk load that comes after it.

/// Finds INSERT BULK in the text of a batch: as words of the language, which are
/// in no comment, string or name. It need not be the batch's first statement.
///
/// WRITETEXT BULK and UPDATETEXT BULK announce a message of the same type, but
/// that is the bytes of one value.
#[derive(Debug, Default)]
pub(super) struct InsertBulk {
    place: Place,
    /// The first byte of a unit that is cut in two.
    half: Option<u8>,
    word: Word,
    after_insert: bool,
    found: bool,
}

/// Where in the text a unit stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In what is not one of the others.
    #[default]
    Code,
    /// After a `-` or `/` that may begin a comment.
    Maybe(u8),
    LineComment,
    /// Comments nest; `last` is the unit before.
    BlockComment {
        depth: u32,
        last: u8,
    },
    /// In a string or a quoted name, up to this character. That it stands doubled
    /// for itself makes no difference: the next one begins at once.
    Quoted(u8),
}

/// The word at hand as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    letters: [u8; Word::LONGEST],
    /// May be more than there is room for.
    length: usize,
}

impl Word {
    const LONGEST: usize = 6;

    fn push(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(self.length) {
            *place = letter.to_ascii_uppercase();
        }
        self.length = self.length.saturating_add(1);
    }

    fn is(&self, word: &[u8]) -> bool {
        self.letters.get(..self.length) == Some(word)
    }
}

impl InsertBulk {
    /// Takes text, in UTF-16LE.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if let (Some(half), Some((&byte, rest))) = (self.half, bytes.split_first()) {
            self.half = None;
            self.unit(u16::from_le_bytes([half, byte]));
            bytes = rest;
        }
        let (units, half) = bytes.as_chunks::<2>();
        for &unit in units {
            self.unit(u16::from_le_bytes(unit));
        }
        if let [half] = half {
            self.half = Some(*half);
        }
    }

    /// Whether the text so far has the words; it has ended.
    pub(super) fn found(mut self) -> bool {
        self.end_word();
        self.found
    }

    fn unit(&mut self, unit: u16) {
        // Beyond ASCII there are only letters and spaces, as far as it matters.
        let byte = match unit {
            0xA0 | 0x2000..=0x200B | 0x3000 => b' ',
            unit => u8::try_from(unit).unwrap_or(0xFF),
        };
        match self.place {
            Place::Code => self.code(byte),
            Place::Maybe(b'-') if byte == b'-' => self.place = Place::LineComment,
            Place::Maybe(b'/') if byte == b'*' => {
                self.place = Place::BlockComment { depth: 1, last: 0 };
            }
            Place::Maybe(_) => {
                self.after_insert = false;
                self.place = Place::Code;
                self.code(byte);
            }
            Place::LineComment if byte == b'\n' => self.place = Place::Code,
            Place::Quoted(end) if byte == end => self.place = Place::Code,
            Place::LineComment | Place::Quoted(_) => {}
            Place::BlockComment { depth, last } => self.place = in_comment(depth, last, byte),
        }
    }

    fn code(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_@#$".contains(&byte) {
            self.word.push(byte);
            return;
        }
        self.end_word();
        match byte {
            b'-' | b'/' => self.place = Place::Maybe(byte),
            b'\'' | b'"' => self.quoted(byte),
            b'[' => self.quoted(b']'),
            byte if byte.is_ascii_whitespace() || byte.is_ascii_control() => {}
            _ => self.after_insert = false,
        }
    }

    fn quoted(&mut self, end: u8) {
        self.after_insert = false;
        self.place = Place::Quoted(end);
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if word.length > 0 {
            self.found |= self.after_insert && word.is(b"BULK");
            self.after_insert = word.is(b"INSERT");
        }
    }
}

fn in_comment(depth: u32, last: u8, byte: u8) -> Place {
    let (depth, last) = match (last, byte) {
        (b'*', b'/') => (depth - 1, 0),
        (b'/', b'*') => (depth.saturating_add(1), 0),
        _ => (depth, byte),
    };
    match depth {
        0 => Place::Code,
        depth => Place::BlockComment { depth, last },
    }
}
