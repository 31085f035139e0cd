//! Plans for people.

use std::fmt::Write as _;

use crate::cli::output;
use crate::grants::{Change, ChangeKind, Plan};

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    /// What the standard output takes.
    pub(super) fn of_output() -> Self {
        Self(output::colours())
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn odd(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A plan: what changes as lines with a sign, what one should know, and the
/// statements as they are sent.
pub(super) fn plan(heading: &str, plan: &Plan, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.bold(&one_line(heading)));
    if plan.is_empty() {
        text.push_str("  nothing to do\n");
    }
    for change in plan.changes() {
        let _ = writeln!(text, "  {}", line(change, paint));
    }
    for note in plan.notes() {
        let note = one_line(&note.to_string());
        let _ = writeln!(text, "  note: {note}");
    }
    if !plan.is_empty() {
        text.push_str("\n  statements:\n");
    }
    for change in plan.changes() {
        let _ = writeln!(text, "    {};", one_line(change.statement.as_str()));
    }
    text.push('\n');
    text
}

/// What stands in front of a change.
pub(super) fn sign(change: &Change) -> char {
    match change.kind {
        _ if change.dangerous.is_some() => '!',
        ChangeKind::RenameUser | ChangeKind::SetDefaultSchema | ChangeKind::TransferOwnership => {
            '~'
        }
        _ if change.takes_away => '-',
        _ => '+',
    }
}

fn line(change: &Change, paint: Paint) -> String {
    let sign = sign(change);
    let mut text = format!("{sign} {}", one_line(&change.what));
    if let Some(why) = change.dangerous {
        let _ = write!(text, " (dangerous: {why})");
    }
    match sign {
        '+' => paint.good(&text),
        '~' => paint.odd(&text),
        _ => paint.bad(&text),
    }
}

/// A text that does not steer the terminal of whoever looks at it, nor turn
/// itself around: such characters are written out.
pub(super) fn one_line(text: &str) -> String {
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
        if c.is_control() || turns {
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

    #[test]
    fn a_name_neither_steers_a_terminal_nor_turns_its_line() {
        let text = one_line("a\u{1b}[2J\u{202e}b\r\n\u{9b}c שלום");
        assert_eq!(text, r"a\u{1b}[2J\u{202e}b\u{d}\u{a}\u{9b}c שלום");
    }
}
