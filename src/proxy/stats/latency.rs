//! Latencies in buckets fine enough for quantiles of a few seconds.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Eight buckets for each doubling, from a microsecond to over a minute: a
/// quantile is off by an eighth at most.
const BUCKETS: usize = 8 * 24;

/// How often each latency has been seen.
#[derive(Debug)]
pub(super) struct Latency([AtomicU64; BUCKETS]);

/// A copy of [`Latency`].
#[derive(Clone, Debug)]
pub(in crate::proxy) struct LatencyCounts([u64; BUCKETS]);

impl Latency {
    pub(super) fn new() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }

    pub(super) fn observe(&self, took: Duration) {
        if let Some(bucket) = self.0.get(bucket(took)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> LatencyCounts {
        LatencyCounts(
            self.0
                .each_ref()
                .map(|bucket| bucket.load(Ordering::Relaxed)),
        )
    }
}

impl LatencyCounts {
    /// What came after `earlier`.
    pub(in crate::proxy) fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.0;
        for (count, earlier) in counts.iter_mut().zip(earlier.0) {
            *count = count.saturating_sub(earlier);
        }
        Self(counts)
    }

    /// In seconds; `None` if nothing was seen.
    pub(in crate::proxy) fn quantiles<const N: usize>(&self, parts: [f64; N]) -> Option<[f64; N]> {
        let total: u64 = self.0.iter().sum();
        (total > 0).then(|| parts.map(|part| self.quantile(part, total)))
    }

    fn quantile(&self, part: f64, total: u64) -> f64 {
        let rank = part * total as f64;
        let mut seen = 0;
        for (index, count) in self.0.iter().enumerate() {
            seen += count;
            if *count > 0 && seen as f64 >= rank {
                return upper_bound(index).as_secs_f64();
            }
        }
        upper_bound(BUCKETS - 1).as_secs_f64()
    }
}

/// Up to 8 µs a bucket for each microsecond, then eight for each doubling.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if micros < 8 {
        return usize::try_from(micros).unwrap_or_default();
    }
    let doubling = 60 - micros.leading_zeros();
    let eighth = (micros >> doubling) - 8;
    let index = u64::from(doubling + 1) * 8 + eighth;
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

fn upper_bound(bucket: usize) -> Duration {
    let bucket = u64::try_from(bucket).unwrap_or_default();
    let micros = if bucket < 8 {
        bucket + 1
    } else {
        (bucket % 8 + 9) << (bucket / 8 - 1)
    };
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_just_below_its_buckets_bound() {
        for micros in (0..5000).chain([65_536, 1_000_000, 60_000_000]) {
            let took = Duration::from_micros(micros);
            let index = bucket(took);
            assert!(took < upper_bound(index), "{took:?}");
            assert!(index == 0 || took >= upper_bound(index - 1), "{took:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_time_between() {
        let latency = Latency::new();
        latency.observe(Duration::from_secs(10));
        let before = latency.counts();
        assert!(latency.counts().since(&before).quantiles([0.5]).is_none());
        for millis in 1..=100 {
            latency.observe(Duration::from_millis(millis));
        }
        let [p50, p99] = latency
            .counts()
            .since(&before)
            .quantiles([0.5, 0.99])
            .unwrap();
        assert!((0.050..0.057).contains(&p50), "{p50}");
        assert!((0.099..0.112).contains(&p99), "{p99}");
    }
}
