//! One copy of what is equal.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Values of which many owners have equal ones. Those that nobody has any more
/// are forgotten in time.
#[derive(Debug)]
pub(super) struct Alike<T> {
    known: HashSet<Arc<T>>,
    /// With so many, those without an owner are looked for.
    sweep_at: usize,
}

/// So few are never worth looking through.
const FEW: usize = 64;

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            sweep_at: FEW,
        }
    }
}

impl<T: Eq + Hash> Alike<T> {
    /// The copy that others have; this one, if nobody has an equal one.
    pub(super) fn share(&mut self, value: Arc<T>) -> Arc<T> {
        if let Some(known) = self.known.get(&value) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = FEW.max(self.known.len() * 2);
        }
        self.known.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_are_one_and_what_nobody_has_goes() {
        let mut alike = Alike::default();
        let first = alike.share(Arc::new("one".to_owned()));
        let second = alike.share(Arc::new("one".to_owned()));
        assert!(Arc::ptr_eq(&first, &second));
        for number in 0..10_000 {
            alike.share(Arc::new(number.to_string()));
        }
        assert!(alike.known.len() <= 2 * FEW, "{}", alike.known.len());
        let third = alike.share(Arc::new("one".to_owned()));
        assert!(Arc::ptr_eq(&first, &third), "it has owners all the time");
    }
}
