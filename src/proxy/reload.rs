//! What another configuration changes.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::config::Config;
use super::shared::Live;
use super::targets::TargetEntry;

/// What a reload has changed, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Listeners that were not there before.
    pub listeners_added: Vec<String>,
    /// Listeners that are no more.
    pub listeners_removed: Vec<String>,
    /// Targets that were not there before.
    pub targets_added: Vec<String>,
    /// Targets that mean something else now: new clients get new sessions.
    pub targets_changed: Vec<String>,
    /// Targets that are no more.
    pub targets_removed: Vec<String>,
}

impl Changes {
    pub(super) fn between(before: &Live, after: &Live) -> Self {
        let listeners = |config: &Config| -> Vec<String> {
            config.listeners.iter().map(|l| l.name.clone()).collect()
        };
        let (old, new) = (listeners(&before.config), listeners(&after.config));
        let (listeners_added, listeners_removed) = difference(&old, &new);
        let targets = |config: &Config| -> Vec<String> {
            config.targets.iter().map(|t| t.name.clone()).collect()
        };
        let (old, new) = (targets(&before.config), targets(&after.config));
        let (targets_added, targets_removed) = difference(&old, &new);
        let is_other = |name: &&String| {
            let was = before.targets.get(*name);
            let is = after.targets.get(*name);
            matches!((was, is), (Some(was), Some(is)) if !Arc::ptr_eq(was, is))
        };
        Self {
            listeners_added,
            listeners_removed,
            targets_added,
            targets_changed: new.iter().filter(is_other).cloned().collect(),
            targets_removed,
        }
    }
}

/// What is in `new` only, and what is in `old` only.
fn difference(old: &[String], new: &[String]) -> (Vec<String>, Vec<String>) {
    let only = |some: &[String], others: &[String]| -> Vec<String> {
        let others: HashSet<_> = others.iter().collect();
        some.iter()
            .filter(|name| !others.contains(name))
            .cloned()
            .collect()
    };
    (only(new, old), only(old, new))
}

/// The targets of `before` that `after` does not have as they were.
pub(super) fn gone<'a>(
    before: &'a Live,
    after: &'a Live,
) -> impl Iterator<Item = &'a Arc<TargetEntry>> {
    let kept: HashSet<_> = after.entries().map(Arc::as_ptr).collect();
    before
        .entries()
        .filter(move |entry| !kept.contains(&Arc::as_ptr(entry)))
}

/// Such as `listeners +reports -old, targets ~shop`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marked = |mark: char, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!(" {mark}{name}")).collect()
        };
        let listeners = [
            marked('+', &self.listeners_added),
            marked('-', &self.listeners_removed),
        ]
        .concat();
        let targets = [
            marked('+', &self.targets_added),
            marked('~', &self.targets_changed),
            marked('-', &self.targets_removed),
        ]
        .concat();
        match (listeners.concat(), targets.concat()) {
            (a, b) if a.is_empty() && b.is_empty() => f.write_str("the same listeners and targets"),
            (a, b) if a.is_empty() => write!(f, "targets{b}"),
            (a, b) if b.is_empty() => write!(f, "listeners{a}"),
            (a, b) => write!(f, "listeners{a}, targets{b}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_at_a_glance() {
        let mut changes = Changes::default();
        assert_eq!(changes.to_string(), "the same listeners and targets");
        changes.targets_changed = vec!["shop".to_owned()];
        assert_eq!(changes.to_string(), "targets ~shop");
        changes.listeners_added = vec!["reports".to_owned()];
        changes.listeners_removed = vec!["old".to_owned()];
        assert_eq!(
            changes.to_string(),
            "listeners +reports -old, targets ~shop"
        );
    }
}
