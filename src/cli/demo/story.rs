//! How the demo tells what it does: numbered steps, each with the time that it took.

use std::fmt::Display;

use tokio::time::Instant;

use crate::cli::exit::Failure;
use crate::cli::output;

/// Prints the steps as they end.
pub(super) struct Story {
    steps: u32,
    colours: bool,
}

/// A step that goes on; its time runs from when it began.
pub(super) struct Step {
    title: &'static str,
    began: Instant,
    lines: Vec<String>,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            steps: 0,
            colours: output::colours(),
        }
    }

    /// Prints a step with everything that it noted.
    pub(super) fn tell(&mut self, step: Step) -> Result<(), Failure> {
        self.steps += 1;
        let took = step.began.elapsed();
        let (bold, plain) = if self.colours {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        };
        let heading = format!("{}. {}", self.steps, step.title);
        let took = format!("{:.1} ms", took.as_secs_f64() * 1000.0);
        output::print_line(&format!("{bold}{heading:<64}{plain}{took:>12}"))?;
        for line in step.lines {
            output::print_line(&format!("   {line}"))?;
        }
        output::print_line("")
    }
}

impl Step {
    pub(super) fn begin(title: &'static str) -> Self {
        Self {
            title,
            began: Instant::now(),
            lines: Vec::new(),
        }
    }

    /// Adds lines that are printed below the step's title.
    pub(super) fn note(&mut self, text: impl Display) {
        self.lines
            .extend(text.to_string().lines().map(str::to_owned));
    }
}
