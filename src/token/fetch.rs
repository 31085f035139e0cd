//! One call of a source, watched: spans, metrics, and a net for panics.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::error::FetchError;
use super::retry::{IN_BACKGROUND, TROUBLE};
use super::schedule::FETCH_LIMIT;
use super::slot::Shared;
use super::{AccessToken, TokenError};

/// Why a token is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A caller waits for it.
    Miss,
    /// The one in hand is getting old.
    Refresh,
    /// The one in hand was refused by a server.
    Refused,
}

/// Asks the slot's source; a panic in it becomes an error, and so does silence:
/// all who want a token wait for this one call.
pub(super) async fn fetch(slot: &Shared, reason: Reason) -> Result<AccessToken, TokenError> {
    let span = tracing::info_span!(
        "token.fetch",
        source = %slot.key,
        resource = %slot.resource,
        reason = ?reason,
    );
    async {
        let start = Instant::now();
        slot.clear_trouble();
        let asked = TROUBLE.scope(slot.trouble.clone(), slot.source.token(&slot.resource));
        let asked = async {
            match reason {
                Reason::Refresh => IN_BACKGROUND.scope((), asked).await,
                Reason::Miss | Reason::Refused => asked.await,
            }
        };
        // The source is not used any further within this call, and what a
        // source shares between calls it has to guard itself.
        let call = AssertUnwindSafe(asked).catch_unwind();
        let outcome = match timeout(FETCH_LIMIT, call).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(TokenError::Panicked {
                origin: slot.key.clone(),
            }),
            Err(_) => {
                let silent = FetchError::Silent { after: FETCH_LIMIT };
                Err(TokenError::fetch(slot.key.clone(), &slot.resource, silent))
            }
        };
        report(slot, &outcome, start);
        outcome
    }
    .instrument(span)
    .await
}

fn report(slot: &Shared, outcome: &Result<AccessToken, TokenError>, start: Instant) {
    let source = slot.key.source().to_owned();
    let (word, elapsed) = (
        if outcome.is_ok() { "ok" } else { "error" },
        start.elapsed(),
    );
    metrics::counter!("entrada_token_fetches_total", "source" => source.clone(), "outcome" => word)
        .increment(1);
    metrics::histogram!("entrada_token_fetch_seconds", "source" => source.clone(), "outcome" => word)
        .record(elapsed.as_secs_f64());
    match outcome {
        Ok(token) => {
            let expires = token.expires_on().duration_since(std::time::UNIX_EPOCH);
            metrics::gauge!(
                "entrada_token_expires_timestamp_seconds",
                "source" => source,
                "identity" => slot.key.identity().to_owned(),
                "resource" => slot.resource.to_string(),
            )
            .set(expires.unwrap_or_default().as_secs_f64());
            tracing::debug!(?elapsed, remaining = ?token.remaining(), "received a token");
        }
        Err(error) => {
            let error: &(dyn std::error::Error + 'static) = error;
            // Whoever waits is told; a refresh in the background warns by itself.
            tracing::debug!(?elapsed, error, "could not get a token");
        }
    }
}
