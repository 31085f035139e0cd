//! What has happened, in numbers: one registry per proxy, read by the metrics
//! endpoint, the status page and the admin database.

mod login;
pub(super) mod names;
mod recent;

use std::time::{Duration, SystemTime};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

pub(super) use login::{LoginOutcome, LoginStep, LoginWatch};
pub(super) use recent::RecentError;

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
    ended: IntCounterVec,
    session_times: Histogram,
    first_byte: Histogram,
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
        Self {
            started: SystemTime::now(),
            logins: names::LOGINS.counters(at),
            login_steps: names::LOGIN_SECONDS.histograms(at),
            denials: names::DENIALS.counters(at),
            leases: names::LEASE_SECONDS.histograms(at),
            ended: names::SESSIONS_ENDED.counters(at),
            session_times: names::SESSION_SECONDS.histogram(at),
            first_byte: names::FIRST_BYTE_SECONDS.histogram(at),
            accept_errors: names::ACCEPT_ERRORS.counters(at),
            errors: names::ERRORS.counter(at),
            reloads: names::RELOADS.counters(at),
            last_reload: names::LAST_RELOAD_SUCCESSFUL.gauge(at),
            recent: Recent::default(),
            registry,
        }
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

    /// A client that had got in is gone. Its bytes and requests are counted by
    /// the registry of clients while they happen.
    pub(super) fn session_ended(&self, reason: &'static str, took: Duration) {
        self.ended.with_label_values(&[reason]).inc();
        self.session_times.observe(took.as_secs_f64());
    }

    /// From the end of a request to the first byte of its answer.
    pub(super) fn first_byte(&self, took: Duration) {
        self.first_byte.observe(took.as_secs_f64());
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
