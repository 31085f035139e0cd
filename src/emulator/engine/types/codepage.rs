//! Windows-1252, the code page of `varchar` under SQL_Latin1_General_CP1_CI_AS.

/// The characters of bytes 0x80 to 0x9F; undefined bytes map to the control of the same number.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The byte of a character, if the code page has it.
pub(crate) fn to_byte(c: char) -> Option<u8> {
    let code = u32::from(c);
    if code < 0x80 || (0xA0..=0xFF).contains(&code) {
        return u8::try_from(code).ok();
    }
    let at = HIGH.iter().position(|h| *h == c)?;
    u8::try_from(0x80 + at).ok()
}

/// The character of a byte.
pub(crate) fn from_byte(byte: u8) -> char {
    byte.checked_sub(0x80)
        .and_then(|at| HIGH.get(usize::from(at)).copied())
        .unwrap_or_else(|| char::from(byte))
}

/// Replaces what the code page lacks by `?`.
pub(crate) fn squeeze(text: String) -> String {
    if text.is_ascii() {
        return text;
    }
    text.chars()
        .map(|c| if to_byte(c).is_some() { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        for byte in 0..=u8::MAX {
            assert_eq!(to_byte(from_byte(byte)), Some(byte));
        }
        assert_eq!(squeeze("a€日".into()), "a€?");
    }
}
