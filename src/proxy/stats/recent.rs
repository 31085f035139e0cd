//! The last errors, for people.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const KEPT: usize = 50;
const MAX_CHARACTERS: usize = 500;

/// The last errors, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<RecentError>>);

/// Something that went wrong.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct RecentError {
    pub(in crate::proxy) at: SystemTime,
    pub(in crate::proxy) text: String,
}

impl Recent {
    pub(super) fn note(&self, text: String) {
        let error = RecentError {
            at: SystemTime::now(),
            text: text.chars().take(MAX_CHARACTERS).collect(),
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(error);
    }

    pub(super) fn latest_first(&self) -> Vec<RecentError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fifty_are_kept_and_cut() {
        let recent = Recent::default();
        for number in 0..60 {
            recent.note(format!("{number} {}", "ä".repeat(1000)));
        }
        let kept = recent.latest_first();
        assert_eq!(kept.len(), KEPT);
        assert!(kept[0].text.starts_with("59 ") && kept[49].text.starts_with("10 "));
        assert!(kept.iter().all(|error| error.text.chars().count() == 500));
    }
}
