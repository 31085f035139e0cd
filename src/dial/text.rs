//! Text from elsewhere, made fit for errors and logs.

/// Text is shown up to this length, in bytes.
const MAX_SHOWN: usize = 1_000;

/// A server's text, fit for a terminal and a log: bounded, in one line, with
/// nothing in it that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        if safe.len() >= MAX_SHOWN {
            safe.push('…');
            break;
        }
        match c {
            '\r' => {}
            '\n' | '\t' => safe.push(' '),
            c if c.is_control() || is_invisible(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe
}

/// Marks that turn the direction of text around, or have no width.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_harmless_and_bounded() {
        assert_eq!(printable("a\r\nb\tc"), "a b c");
        assert_eq!(printable("\u{1b}[2Jx"), "\\u{1b}[2Jx");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(printable("Größe"), "Größe");
        let long = printable(&"ä".repeat(100_000));
        assert!(long.len() < MAX_SHOWN + 10 && long.ends_with('…'));
    }
}
