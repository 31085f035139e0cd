//! How often each peer has failed to log in, lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::peer::Who;

/// Peers that are remembered one by one; those beyond are counted together.
const MAX_PEERS: usize = 10_000;

/// A budget of failed logins per peer, which fills up again by the minute.
#[derive(Debug)]
pub(super) struct Failures {
    per_minute: u32,
    /// Those of all configurations since the start: a reload forgives nothing.
    buckets: Arc<Mutex<HashMap<Who, Bucket>>>,
}

/// A login that is being checked; it has cost its peer one failure in advance,
/// so that many at a time are no way around the bound.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    failures: &'a Failures,
    who: Who,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Failures {
    /// At least one per minute.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_minute: per_minute.max(1),
            buckets: Arc::default(),
        }
    }

    /// The same with another budget.
    pub(super) fn with_budget(&self, per_minute: u32) -> Self {
        Self {
            buckets: Arc::clone(&self.buckets),
            ..Self::new(per_minute)
        }
    }

    /// Begins a login; `None` if the peer has failed too often.
    pub(super) fn begin(&self, who: Who) -> Option<Attempt<'_>> {
        let who = self.change(who, |bucket| {
            let may = bucket.left >= 1.0;
            if may {
                bucket.left -= 1.0;
            }
            may
        })?;
        Some(Attempt {
            failures: self,
            who,
        })
    }

    /// Brings a peer's bucket up to date and changes it. Returns under whom it
    /// is counted if the change says so.
    fn change(&self, who: Who, change: impl FnOnce(&mut Bucket) -> bool) -> Option<Who> {
        let full = f64::from(self.per_minute);
        let now = Instant::now();
        let filled = |bucket: &Bucket| {
            let gained = now.duration_since(bucket.at).as_secs_f64() * full / 60.0;
            (bucket.left + gained).min(full)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_PEERS && !buckets.contains_key(&who) {
            // A full bucket is as good as none.
            buckets.retain(|_, bucket| filled(bucket) < full);
        }
        let who = if buckets.len() >= MAX_PEERS && !buckets.contains_key(&who) {
            Who::Other
        } else {
            who
        };
        let bucket = buckets.entry(who).or_insert(Bucket {
            left: full,
            at: now,
        });
        bucket.left = filled(bucket);
        bucket.at = now;
        change(bucket).then_some(who)
    }
}

impl Attempt<'_> {
    /// It did not fail.
    pub(super) fn succeeded(self) {
        self.failures.change(self.who, |bucket| {
            bucket.left += 1.0;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn another_budget_forgives_nothing() {
        let failures = Failures::new(2);
        let who = Who::Uid(1);
        for _ in 0..2 {
            assert!(failures.begin(who).is_some());
        }
        let more = failures.with_budget(60);
        assert!(more.begin(who).is_none());
        advance(Duration::from_secs(1)).await;
        assert!(more.begin(who).is_some(), "it fills up by the new budget");
        assert!(failures.begin(who).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_may_fail_so_often_per_minute() {
        let failures = Failures::new(3);
        let who = Who::Uid(1);
        for _ in 0..3 {
            assert!(failures.begin(who).is_some());
        }
        assert!(failures.begin(who).is_none());
        assert!(failures.begin(Who::Uid(2)).is_some(), "others may go on");
        advance(Duration::from_secs(21)).await;
        assert!(failures.begin(who).is_some());
        assert!(failures.begin(who).is_none());
        advance(Duration::from_secs(3600)).await;
        for _ in 0..3 {
            assert!(failures.begin(who).is_some());
        }
        assert!(failures.begin(who).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn success_costs_nothing() {
        let failures = Failures::new(1);
        for _ in 0..100 {
            failures.begin(Who::Local).unwrap().succeeded();
        }
        assert!(failures.begin(Who::Local).is_some());
        assert!(failures.begin(Who::Local).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn many_peers_are_no_way_to_fill_the_memory_or_to_be_forgotten() {
        let failures = Failures::new(1);
        let crowd = u32::try_from(MAX_PEERS).unwrap();
        for uid in 0..crowd {
            assert!(failures.begin(Who::Uid(uid)).is_some());
        }
        assert!(failures.begin(Who::Uid(crowd)).is_some());
        assert!(
            failures.begin(Who::Uid(crowd + 1)).is_none(),
            "counted together"
        );
        assert!(failures.begin(Who::Uid(5)).is_none(), "not forgotten");
        assert!(failures.buckets.lock().unwrap().len() <= MAX_PEERS + 1);
        advance(Duration::from_secs(61)).await;
        assert!(failures.begin(Who::Uid(crowd + 1)).is_some());
        assert_eq!(failures.buckets.lock().unwrap().len(), 1);
    }
}
