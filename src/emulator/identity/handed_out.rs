//! The tokens that endpoints hand out again, as Azure's do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::IssuedToken;

/// More than all identities and resources of a test; beyond it the memory begins anew.
const MOST: usize = 1000;

/// Tokens by identity (object id) and resource, each good for repeating until half of its life is
/// over, or until the time that the endpoint tells clients to refresh at.
#[derive(Debug, Default)]
pub(super) struct HandedOut {
    tokens: Mutex<HashMap<(Uuid, String), Kept>>,
}

#[derive(Debug)]
struct Kept {
    token: IssuedToken,
    since: i64,
    until: i64,
}

impl HandedOut {
    /// The token to hand out again, its `expires_in` as of now.
    pub(super) fn again(&self, identity: Uuid, resource: &str, now: i64) -> Option<IssuedToken> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tokens.get(&(identity, resource.to_owned()))?;
        // A clock that was turned back must not find a token of the future.
        (kept.since <= now && now < kept.until).then(|| IssuedToken {
            expires_in: kept.token.expires_on.saturating_sub(now),
            ..kept.token.clone()
        })
    }

    pub(super) fn keep(
        &self,
        (identity, resource): (Uuid, &str),
        token: &IssuedToken,
        (since, until): (i64, i64),
    ) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST {
            tokens.clear();
        }
        let kept = Kept {
            token: token.clone(),
            since,
            until,
        };
        tokens.insert((identity, resource.to_owned()), kept);
    }

    pub(super) fn forget(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
    }
}
