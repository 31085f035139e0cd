//! One login, from the accepted socket to the answer.

use tokio::time::Instant;

use super::Stats;

/// Counts one login and the time of its steps.
#[derive(Debug)]
pub(in crate::proxy) struct LoginWatch<'a> {
    stats: &'a Stats,
    listener: String,
    begun: Instant,
    step_begun: Instant,
    outcome: LoginOutcome,
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum LoginOutcome {
    /// The client is connected to a session, or to the admin database.
    Accepted,
    /// The client left, or was ended, before it had an answer.
    Abandoned,
    /// Admission refused it.
    Denied,
    /// There was no session for it.
    Failed,
    /// It does not speak TDS as it should, or not encrypted as it must.
    Protocol,
    /// It took too long until its LOGIN7.
    TimedOut,
}

/// A step of a login that has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum LoginStep {
    /// PRELOGIN, TLS, LOGIN7 read.
    Greet,
    /// Admission has decided.
    Admit,
    /// There is a session, warm or dialled, or an error in its place.
    Lease,
}

impl<'a> LoginWatch<'a> {
    pub(super) fn new(stats: &'a Stats, listener: &str) -> Self {
        let now = Instant::now();
        Self {
            stats,
            listener: listener.to_owned(),
            begun: now,
            step_begun: now,
            outcome: LoginOutcome::Abandoned,
        }
    }

    /// The step which began with the end of the last one is over.
    pub(in crate::proxy) fn step(&mut self, step: LoginStep) {
        let now = Instant::now();
        self.observe(step.word(), now.duration_since(self.step_begun));
        self.step_begun = now;
    }

    /// The client has its answer, or will get none.
    pub(in crate::proxy) fn done(mut self, outcome: LoginOutcome) {
        self.outcome = outcome;
    }

    fn observe(&self, phase: &str, took: std::time::Duration) {
        let times = self.stats.login_steps.with_label_values(&[phase]);
        times.observe(took.as_secs_f64());
    }
}

impl Drop for LoginWatch<'_> {
    fn drop(&mut self) {
        let labels = [self.listener.as_str(), self.outcome.word()];
        self.stats.logins.with_label_values(&labels).inc();
        self.observe("total", self.begun.elapsed());
    }
}

impl LoginOutcome {
    pub(in crate::proxy) const ALL: [Self; 6] = [
        Self::Accepted,
        Self::Abandoned,
        Self::Denied,
        Self::Failed,
        Self::Protocol,
        Self::TimedOut,
    ];

    /// The word for metrics.
    pub(in crate::proxy) fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Abandoned => "abandoned",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Protocol => "protocol",
            Self::TimedOut => "timeout",
        }
    }
}

impl LoginStep {
    fn word(self) -> &'static str {
        match self {
            Self::Greet => "greet",
            Self::Admit => "admit",
            Self::Lease => "lease",
        }
    }
}
