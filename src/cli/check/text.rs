//! Findings for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::check::{CHECKS, Finding, Outcome, Report, Trouble};

/// How findings are printed.
pub(super) struct Style {
    colours: bool,
    /// The longest name of a check.
    width: usize,
}

impl Style {
    pub(super) fn new(colours: bool) -> Self {
        let width = CHECKS.iter().map(|check| check.len()).max();
        Self {
            colours,
            width: width.unwrap_or_default(),
        }
    }

    /// A line, and more below it if something is wrong.
    pub(super) fn finding(&self, finding: &Finding) -> String {
        let (mark, word, colour) = match finding.outcome {
            Outcome::Pass => ("✓", "ok  ", "32"),
            Outcome::Warn => ("!", "warn", "33"),
            Outcome::Skip => ("-", "skip", "2"),
            _ => ("✗", "FAIL", "31"),
        };
        let head = self.coloured(&format!("{mark} {word}"), colour);
        let (check, width) = (finding.check, self.width);
        let took = took(finding.took);
        let mut text = String::new();
        let _ = writeln!(text, "{head}  {check:width$}  {took:>8}  {}", finding.what);
        for trouble in &finding.troubles {
            self.trouble(trouble, finding.outcome == Outcome::Fail, &mut text);
        }
        text
    }

    /// What it all comes to, in one line.
    pub(super) fn summary(&self, report: &Report) -> String {
        let line = match (report.failure(), report.warnings()) {
            (Some(failed), _) => {
                let left = report.not_made().count();
                format!(
                    "failed at {}{}",
                    failed.check,
                    if left == 0 {
                        String::new()
                    } else {
                        format!("; {left} more checks were not made")
                    }
                )
            }
            (None, 0) => "all is well".to_owned(),
            (None, 1) => "it works, with 1 warning".to_owned(),
            (None, many) => format!("it works, with {many} warnings"),
        };
        format!("\n{line}\n")
    }

    fn trouble(&self, trouble: &Trouble, failed: bool, text: &mut String) {
        let (cause, fix) = if failed {
            ("cause", "fix")
        } else {
            ("warning", "better")
        };
        for (name, value) in [(cause, &trouble.cause), (fix, &trouble.fix)] {
            if !value.is_empty() {
                let name = self.coloured(&format!("{name:>9}:"), "1");
                let _ = writeln!(text, "{name} {value}");
            }
        }
        if let Some(script) = &trouble.script {
            let _ = writeln!(text, "\n{}", script.trim_end());
        }
    }

    fn coloured(&self, text: &str, colour: &str) -> String {
        match self.colours {
            true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

fn took(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        0 => "<1 ms".to_owned(),
        1..10_000 => format!("{millis} ms"),
        _ => format!("{} s", time.as_secs()),
    }
}
