//! When to refresh a token, and when to try again after that failed.

use std::time::Duration;

/// A token with less than this left is not handed out while a better one can
/// be had. One minute.
pub const MIN_REMAINING: Duration = Duration::from_secs(60);

/// How long before its end a token of up to two hours is refreshed. Ten
/// minutes: Azure SQL logins and pooled sessions want at least that much left.
pub const REFRESH_MARGIN: Duration = Duration::from_secs(600);

/// The least time between a background refresh and the next, whether the first
/// one failed or brought nothing new. Thirty seconds.
pub const RETRY_FLOOR: Duration = Duration::from_secs(30);

/// The longest wait between two background refreshes that fail. Ten minutes.
pub const RETRY_CEILING: Duration = Duration::from_secs(600);

/// How long a source may take for one answer, its retries included. Ten
/// minutes: more than any endpoint's own rules add up to.
pub const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// Tokens that live longer than this are refreshed at half of their life.
const LONG_LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// How long after it was received a token should be refreshed.
pub(super) fn refresh_after(lifetime: Duration, refresh_in: Option<Duration>) -> Duration {
    let latest = lifetime.saturating_sub(REFRESH_MARGIN).max(lifetime / 2);
    match refresh_in {
        Some(after) => after.min(latest),
        None if lifetime > LONG_LIFETIME => lifetime / 2,
        None => latest,
    }
}

/// A moment up to a tenth earlier, so that a fleet that started together does
/// not refresh together.
pub(super) fn with_jitter(after: Duration) -> Duration {
    after.mul_f64(1.0 - 0.1 * fastrand::f64())
}

/// How long to wait after the `failures`-th background refresh in a row that
/// failed: what the endpoint asks for, if that is more than our own back-off.
///
/// It may ask for more than the clock can tell, but a token's end is the end of
/// its refreshing.
pub(super) fn next_try(failures: u32, remaining: Duration, asked: Option<Duration>) -> Duration {
    let asked = asked.unwrap_or_default().min(remaining);
    back_off(failures, remaining).max(asked)
}

/// How long to wait after the `failures`-th background refresh in a row that
/// failed, with `remaining` validity in hand.
///
/// The wait is random between the floor and a bound that doubles with each
/// failure, and never so long that no tries are left before the token ends.
fn back_off(failures: u32, remaining: Duration) -> Duration {
    let doubled = RETRY_FLOOR.saturating_mul(1 << failures.min(10));
    let bound = doubled.min(RETRY_CEILING).min(remaining / 4);
    let spread = bound.saturating_sub(RETRY_FLOOR);
    RETRY_FLOOR + spread.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn long_tokens_refresh_at_half_and_short_ones_ten_minutes_early() {
        assert_eq!(refresh_after(24 * HOUR, None), 12 * HOUR);
        assert_eq!(refresh_after(2 * HOUR, None), 110 * MINUTE);
        assert_eq!(refresh_after(HOUR, None), 50 * MINUTE);
        // With under 20 minutes in all, ten before the end would be too early.
        assert_eq!(refresh_after(10 * MINUTE, None), 5 * MINUTE);
        assert_eq!(refresh_after(Duration::ZERO, None), Duration::ZERO);
        assert_eq!(refresh_after(HOUR, Some(20 * MINUTE)), 20 * MINUTE);
        assert_eq!(refresh_after(HOUR, Some(59 * MINUTE)), 50 * MINUTE);
    }

    #[test]
    fn jitter_spreads_over_a_tenth_and_only_forwards() {
        let draws: Vec<_> = (0..1000).map(|_| with_jitter(100 * MINUTE)).collect();
        assert!(
            draws
                .iter()
                .all(|d| *d <= 100 * MINUTE && *d >= 90 * MINUTE)
        );
        let (min, max) = (draws.iter().min().unwrap(), draws.iter().max().unwrap());
        assert!(*max - *min > 8 * MINUTE, "1000 draws span {min:?}..{max:?}");
    }

    #[test]
    fn an_endpoint_is_left_alone_as_long_as_it_asks_and_the_token_lives() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(next_try(1, HOUR, asked(1200)), 20 * MINUTE);
        assert!(next_try(1, HOUR, asked(1)) >= RETRY_FLOOR);
        assert!(next_try(1, HOUR, None) >= RETRY_FLOOR);
        assert_eq!(next_try(1, HOUR, asked(u64::MAX)), HOUR);
    }

    #[test]
    fn back_off_grows_is_capped_and_leaves_time_to_try() {
        let longest = |failures, remaining| {
            (0..1000)
                .map(|_| back_off(failures, remaining))
                .max()
                .unwrap()
        };
        let shortest = |failures, remaining| {
            (0..1000)
                .map(|_| back_off(failures, remaining))
                .min()
                .unwrap()
        };
        let mut previous = RETRY_FLOOR;
        for failures in 1..=4 {
            let bound = RETRY_FLOOR * (1 << failures);
            let seen = longest(failures, 24 * HOUR);
            assert!(seen > previous && seen <= bound, "{failures}: {seen:?}");
            previous = bound.mul_f64(0.8);
        }
        for failures in [5, 11, 100, u32::MAX] {
            assert!(longest(failures, 24 * HOUR) <= RETRY_CEILING);
            assert!(shortest(failures, 24 * HOUR) >= RETRY_FLOOR);
        }
        assert!(longest(20, 4 * MINUTE) <= MINUTE);
        assert_eq!(longest(20, MINUTE), RETRY_FLOOR);
    }
}
