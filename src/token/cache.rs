//! One slot per token that is wanted.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Resource, SourceKey, TokenSlot, TokenSource};

/// Holds the tokens of a process, in memory only.
///
/// There is one [`TokenSlot`] for each combination of source, identity, tenant,
/// authority and resource. Clones are the same cache. Slots that only the cache
/// itself still knows and that hold no usable token are forgotten whenever a
/// new one is made.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use entrada::token::{AccessToken, FixedToken, Resource, TokenCache};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let source = FixedToken::new(AccessToken::new("secret", Duration::from_secs(3600)));
/// let slot = TokenCache::new().slot(Arc::new(source), Resource::new("https://database.windows.net/"));
/// assert_eq!(slot.get().await.unwrap().secret().expose(), "secret");
/// # });
/// ```
#[derive(Clone, Default)]
pub struct TokenCache(Arc<Mutex<HashMap<Key, TokenSlot>>>);

impl TokenCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot for the source's identity and a resource, made if there is none.
    ///
    /// No token is fetched yet. If there is such a slot, the source in it stays.
    #[must_use]
    pub fn slot(&self, source: Arc<dyn TokenSource>, resource: impl Into<Resource>) -> TokenSlot {
        let key = Key {
            source: source.key(),
            resource: resource.into(),
        };
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return slot.clone();
        }
        slots.retain(|_, slot| !slot.is_forgotten());
        let slot = TokenSlot::new(source, key.resource.clone());
        slots.insert(key, slot.clone());
        slot
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is no slot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("slots", &self.len())
            .finish()
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    source: SourceKey,
    resource: Resource,
}
