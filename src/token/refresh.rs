//! The background task of a slot: a successor for each token, ahead of its end.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::AccessToken;
use super::schedule::{RETRY_FLOOR, next_try, with_jitter};
use super::slot::Shared;

/// Refreshes the slot's token until nobody wants it any more.
///
/// Ends when the token ends: because it was unused, or because every refresh
/// failed. Either way the next caller's own fetch starts a new task.
pub(super) async fn keep_fresh(slot: Arc<Shared>, mut token: AccessToken) {
    let mut failures = 0;
    let mut due = first_try(&token);
    loop {
        sleep_until(due.min(token.expires_at())).await;
        // A token in hand that is not ours was fetched because ours was refused.
        if !slot.is_current(&token) {
            return;
        }
        tokio::select! {
            biased;
            () = sleep_until(token.expires_at()) => return slot.retire(&token),
            () = slot.used() => {}
        }
        match slot.refresh().await {
            Ok(successor) => {
                token = successor;
                failures = 0;
                due = first_try(&token);
            }
            Err(error) => {
                failures += 1;
                let wait = next_try(failures, token.remaining(), error.retry_after());
                due = Instant::now() + wait;
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(
                    source = %slot.key, error, failures, retry_in = ?wait,
                    remaining = ?token.remaining(),
                    "refreshing a token failed; the one in hand is served meanwhile"
                );
            }
        }
    }
}

/// When to refresh a token that has just come.
///
/// A source may give the same token again, whose time to be refreshed has
/// passed: that must not become a loop without pause.
fn first_try(token: &AccessToken) -> Instant {
    let after = token
        .refresh_at()
        .saturating_duration_since(token.obtained_at());
    let planned = token.obtained_at() + with_jitter(after);
    planned.max(Instant::now() + RETRY_FLOOR)
}
