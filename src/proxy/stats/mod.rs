//! What has happened, in numbers: one registry per proxy, read by the metrics
//! endpoint, the status page and the admin database.

mod latency;
mod login;
pub(super) mod names;
mod recent;

use std::time::{Duration, SystemTime};

use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

pub(super) use latency::LatencyCounts;
pub(super) use login::{LoginOutcome, LoginStep, LoginWatch};
pub(super) use recent::RecentError;

use latency::Latency;
use recent::Recent;

/// The numbers of one proxy. Every method may be called by any number of tasks
/// at once, and nothing gets lost.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) started: SystemTime,
    registry: Registry,
    logins: IntCounterVec,
    login_steps: HistogramVec,
    denials: IntCounterVec,
    leases: HistogramVec,
    transcoded: IntCounterVec,
    ended: IntCounterVec,
    session_times: Histogram,
    first_byte: Histogram,
    /// The same in finer buckets, for the chart.
    latency: Latency,
    accept_errors: IntCounterVec,
    errors: IntCounter,
    reloads: IntCounterVec,
    last_reload: IntGauge,
    recent: Recent,
}

impl Stats {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let at = &registry;
        let last_reload = names::LAST_RELOAD_SUCCESSFUL.gauge(at);
        // The one read at the start is in force.
        last_reload.set(1);
        Self {
            started: SystemTime::now(),
            logins: names::LOGINS.counters(at),
            login_steps: names::LOGIN_SECONDS.histograms(at),
            denials: names::DENIALS.counters(at),
            leases: names::LEASE_SECONDS.histograms(at),
            transcoded: names::TRANSCODED.counters(at),
            ended: names::SESSIONS_ENDED.counters(at),
            session_times: names::SESSION_SECONDS.histogram(at),
            first_byte: names::FIRST_BYTE_SECONDS.histogram(at),
            latency: Latency::new(),
            accept_errors: names::ACCEPT_ERRORS.counters(at),
            errors: names::ERRORS.counter(at),
            reloads: names::RELOADS.counters(at),
            last_reload,
            recent: Recent::default(),
            registry,
        }
    }

    /// What has been counted here.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Lets the listener's logins be seen before there is one: a rate needs a
    /// zero to begin at.
    pub(super) fn expect_logins(&self, listener: &str) {
        for outcome in LoginOutcome::ALL {
            self.logins.with_label_values(&[listener, outcome.word()]);
        }
    }

    /// Logins by how they ended, of all listeners.
    pub(super) fn logins(&self, which: impl Fn(&str) -> bool) -> u64 {
        let families = prometheus::core::Collector::collect(&self.logins);
        let metrics = families.iter().flat_map(|family| family.get_metric());
        let fits = |metric: &&prometheus::proto::Metric| {
            metric
                .get_label()
                .iter()
                .any(|label| label.name() == "outcome" && which(label.value()))
        };
        metrics
            .filter(fits)
            .map(|metric| whole(metric.get_counter().get_value()))
            .sum()
    }

    /// How many errors there have been.
    pub(super) fn errors(&self) -> u64 {
        self.errors.get()
    }

    /// First-byte latencies by now.
    pub(super) fn latency_counts(&self) -> LatencyCounts {
        self.latency.counts()
    }

    /// A client has connected. What this returns counts its login, however
    /// that ends: dropped without a word it is [`LoginOutcome::Abandoned`].
    pub(super) fn login(&self, listener: &str) -> LoginWatch<'_> {
        LoginWatch::new(self, listener)
    }

    /// A client was not let in. Its login's outcome is counted by its watch.
    pub(super) fn denied(&self, reason: &'static str) {
        self.denials.with_label_values(&[reason]).inc();
    }

    /// A client got a session of the target. `origin` is `warm`, `cold` or `queued`.
    pub(super) fn lease(&self, target: &str, origin: &'static str, took: Duration) {
        let leases = self.leases.with_label_values(&[target, origin]);
        leases.observe(took.as_secs_f64());
    }

    /// A client has got in whose version must be rewritten.
    pub(super) fn transcoded(&self, version: &str) {
        self.transcoded.with_label_values(&[version]).inc();
    }

    /// A client that had got in is gone. Its bytes and requests are counted by
    /// the registry of clients while they happen.
    pub(super) fn session_ended(&self, reason: &'static str, took: Duration) {
        self.ended.with_label_values(&[reason]).inc();
        self.session_times.observe(took.as_secs_f64());
    }

    /// From the end of a request to the first byte of its answer.
    pub(super) fn first_byte(&self, took: Duration) {
        self.first_byte.observe(took.as_secs_f64());
        self.latency.observe(took);
    }

    /// A listener could not take a connection: `kind` is a word such as `emfile`.
    pub(super) fn accept_error(&self, listener: &str, kind: &'static str) {
        self.accept_errors
            .with_label_values(&[listener, kind])
            .inc();
    }

    /// Something went wrong that people should see on the status page. The text
    /// holds no secret; it is cut at 500 characters.
    pub(super) fn recent_error(&self, text: impl Into<String>) {
        self.errors.inc();
        self.recent.note(text.into());
    }

    /// The last errors, latest first.
    pub(super) fn recent_errors(&self) -> Vec<RecentError> {
        self.recent.latest_first()
    }

    /// The configuration was read again.
    pub(super) fn reloaded(&self, successfully: bool) {
        let outcome = if successfully { "applied" } else { "refused" };
        self.reloads.with_label_values(&[outcome]).inc();
        self.last_reload.set(i64::from(successfully));
    }
}

/// Prometheus gives counts as floats, whole and not negative.
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_many_count_at_once() {
        let stats = Stats::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        stats.login("a").done(LoginOutcome::Accepted);
                        drop(stats.login("a"));
                        stats.first_byte(Duration::from_millis(1));
                        stats.recent_error("x");
                    }
                });
            }
        });
        let count = |outcome| stats.logins.with_label_values(&["a", outcome]).get();
        assert_eq!((count("accepted"), count("abandoned")), (8000, 8000));
        assert_eq!(stats.first_byte.get_sample_count(), 8000);
        assert_eq!(stats.errors.get(), 8000);
    }
}
