//! How far it has come, on a terminal: a bar for all, a line for each database
//! that is worked on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::show;
use crate::grants::fleet::Event;

/// Shown on the standard error if that is a terminal, else nowhere.
pub(super) struct Progress {
    lines: MultiProgress,
    all: ProgressBar,
    running: Mutex<BTreeMap<usize, ProgressBar>>,
    labels: Vec<String>,
}

impl Progress {
    /// For databases of these labels; `what` is done to them.
    pub(super) fn new<'l>(what: &'static str, labels: impl IntoIterator<Item = &'l str>) -> Self {
        let labels: Vec<String> = labels.into_iter().map(show::one_line).collect();
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let all = ProgressBar::new(u64::try_from(labels.len()).unwrap_or(u64::MAX));
        let all = lines.add(all);
        all.set_style(style("{msg} [{bar:30}] {pos}/{len} {elapsed}"));
        all.set_message(what);
        Self {
            lines,
            all,
            running: Mutex::default(),
            labels,
        }
    }

    /// Follows a fleet.
    pub(super) fn watch<T, E>(&self, event: Event<'_, T, E>) {
        match event {
            Event::Began(at) => {
                let line = self.lines.add(ProgressBar::new_spinner());
                line.set_style(style("  {spinner} {prefix}  {msg}"));
                line.set_prefix(self.labels.get(at).cloned().unwrap_or_default());
                if !self.lines.is_hidden() {
                    line.enable_steady_tick(Duration::from_millis(120));
                }
                self.running().insert(at, line);
            }
            Event::Ended(at, _) => {
                if let Some(line) = self.running().remove(&at) {
                    line.finish_and_clear();
                }
                self.all.inc(1);
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<usize, ProgressBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what a database is about.
    pub(super) fn say(&self, at: usize, text: impl Into<String>) {
        if let Some(line) = self.running().get(&at) {
            line.set_message(text.into());
        }
    }
}

/// What stands on the terminal is taken away, for the results to stand there.
impl Drop for Progress {
    fn drop(&mut self) {
        self.all.finish_and_clear();
        let _ = self.lines.clear();
    }
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
