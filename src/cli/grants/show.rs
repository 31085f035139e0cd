//! Plans for people.

use std::fmt::Write as _;

use crate::cli::output;
pub(super) use crate::cli::output::one_line;
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
pub(super) fn plan(heading: &str, plan: &Plan, warnings: &[String], paint: Paint) -> String {
    let mut text = format!("{}\n", paint.bold(&one_line(heading)));
    text.push_str(&self::warnings(warnings, paint));
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

/// What may be a slip, as lines.
pub(super) fn warnings(warnings: &[String], paint: Paint) -> String {
    let line =
        |text: &String| format!("  {}\n", paint.odd(&format!("warning: {}", one_line(text))));
    warnings.iter().map(line).collect()
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
