//! The last ten minutes, for charts that are there at once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::proxy::registry::Totals;
use crate::proxy::shared::Shared;
use crate::proxy::stats::LatencyCounts;

const STEP: Duration = Duration::from_secs(5);
const STEPS: usize = 120;

/// What happened in each step of time.
#[derive(Debug)]
pub(super) struct History(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    /// The state at the end of the last step.
    last: Mark,
    steps: VecDeque<Step>,
}

#[derive(Clone, Debug)]
struct Mark {
    latency: LatencyCounts,
    totals: Totals,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    /// p50, p95, p99 in milliseconds.
    quantiles: Option<[f64; 3]>,
    requests: u64,
    bytes: u64,
}

/// The steps as columns, oldest first. The last one is still going on.
#[derive(Debug, Default, Serialize)]
pub(super) struct Columns {
    pub(super) step_ms: u64,
    /// First-byte latency in milliseconds; null where no request was answered.
    pub(super) p50: Vec<Option<f64>>,
    pub(super) p95: Vec<Option<f64>>,
    pub(super) p99: Vec<Option<f64>>,
    pub(super) requests: Vec<u64>,
    pub(super) bytes: Vec<u64>,
}

impl History {
    pub(super) fn new(shared: &Shared) -> Self {
        Self(Mutex::new(Kept {
            last: Mark::now(shared),
            steps: VecDeque::with_capacity(STEPS),
        }))
    }

    /// Notes steps for ever.
    pub(super) async fn keep(&self, shared: &Shared) {
        let mut ticks = interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let now = Mark::now(shared);
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.steps.len() == STEPS {
                kept.steps.pop_front();
            }
            let step = kept.last.until(&now);
            kept.steps.push_back(step);
            kept.last = now;
        }
    }

    pub(super) fn columns(&self, shared: &Shared) -> Columns {
        let now = Mark::now(shared);
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut columns = Columns {
            step_ms: u64::try_from(STEP.as_millis()).unwrap_or_default(),
            ..Columns::default()
        };
        let current = kept.last.until(&now);
        for step in kept.steps.iter().chain([&current]) {
            columns.p50.push(step.quantiles.map(|[p50, ..]| p50));
            columns.p95.push(step.quantiles.map(|[_, p95, _]| p95));
            columns.p99.push(step.quantiles.map(|[.., p99]| p99));
            columns.requests.push(step.requests);
            columns.bytes.push(step.bytes);
        }
        columns
    }
}

impl Mark {
    fn now(shared: &Shared) -> Self {
        Self {
            latency: shared.stats.latency_counts(),
            totals: shared.registry.totals(),
        }
    }

    fn until(&self, later: &Self) -> Step {
        let quantiles = later
            .latency
            .since(&self.latency)
            .quantiles([0.5, 0.95, 0.99]);
        let bytes = |totals: &Totals| totals.sent + totals.received;
        Step {
            quantiles: quantiles
                .map(|seconds| seconds.map(|seconds| (seconds * 1e5).round() / 1e2)),
            requests: later.totals.requests.saturating_sub(self.totals.requests),
            bytes: bytes(&later.totals).saturating_sub(bytes(&self.totals)),
        }
    }
}
