//! How long the way to the server and back takes.

use std::time::Duration;

use tokio::time::Instant;

use super::advice::span;
use super::finding::{Failed, Finding};
use super::session::Entered;

const ROUND_TRIPS: usize = 7;
/// A service that is this far from its database, or a database that is this
/// busy, is felt in every request.
const SLOW: Duration = Duration::from_millis(50);

pub(super) async fn check(entered: &mut Entered, finding: &mut Finding) -> Result<(), Failed> {
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    let begin = Instant::now();
    while times.len() < ROUND_TRIPS && begin.elapsed() < entered.limit() {
        let start = Instant::now();
        entered.rows("SELECT 1").await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let least = times.first().copied().unwrap_or_default();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let most = times.last().copied().unwrap_or_default();
    finding.saw(format!(
        "{} at least, {} in the middle, {} at most, of {} round trips",
        span(least),
        span(median),
        span(most),
        times.len()
    ));
    let millis = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
    finding.fact("min_ms", millis(least));
    finding.fact("median_ms", millis(median));
    finding.fact("max_ms", millis(most));
    if median >= SLOW {
        finding.warn(
            format!("each round trip takes about {}", span(median)),
            "run the service in the database's region; if it is there, look at the database's load",
        );
    }
    Ok(())
}
