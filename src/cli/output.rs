//! Where results go: the standard output, and nothing but results.

use std::io::Write;

use super::exit::Failure;

/// Writes a result to the standard output, as it is.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a result and ends its line.
pub(super) fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Whether results may carry colours: on a terminal, and unless `NO_COLOR` is set.
#[cfg(any(feature = "check", feature = "emulator", feature = "grants"))]
pub(super) fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Text or JSON: the choice of the commands that answer with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum TextOrJson {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

/// A text that does not steer the terminal of whoever looks at it, nor turn
/// itself around: such characters are written out.
#[cfg(feature = "grants")]
pub(super) fn one_line(text: &str) -> String {
    plain(text, false)
}

/// The same for a text of several lines.
pub(super) fn lines(text: &str) -> String {
    plain(text, true)
}

fn plain(text: &str, lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        );
        let ends = lines && c == '\n';
        if (c.is_control() && !ends) || turns {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "grants")]
    #[test]
    fn a_name_neither_steers_a_terminal_nor_turns_its_line() {
        let text = one_line("a\u{1b}[2J\u{202e}b\r\n\u{9b}c שלום");
        assert_eq!(text, r"a\u{1b}[2J\u{202e}b\u{d}\u{a}\u{9b}c שלום");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\nb\x1b]0;c\x07"), "a\nb\\u{1b}]0;c\\u{7}");
    }
}
