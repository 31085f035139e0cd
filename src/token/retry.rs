//! When to ask an identity endpoint again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::FetchError;
use super::http::{HttpReply, HttpRequest, Transport};

/// What an endpoint's rules say about asking again.
///
/// Failures to connect and time-outs are always tried again. The waits are 1, 2,
/// 4, 8, 16 s and so on with up to a quarter more, or what `Retry-After` says.
/// There is no deadline here: a caller that has one drops the future.
#[derive(Debug)]
pub(crate) struct RetryPolicy {
    /// How many times to ask again.
    pub(super) retries: u32,
    /// Which statuses are worth it.
    pub(super) statuses: fn(u16) -> bool,
    /// How long a 410 may last, beside the number of retries; zero if a 410
    /// means nothing special.
    pub(super) gone_budget: Duration,
}

impl RetryPolicy {
    /// Instance metadata: 404 while it is updated, 410 for up to 70 s while it restarts.
    pub(super) const IMDS: Self = Self {
        retries: 5,
        statuses: |status| matches!(status, 404 | 408 | 410 | 429 | 500..=599),
        gone_budget: Duration::from_secs(75),
    };

    /// App Service and its kin, where a 500 may well be permanent.
    pub(super) const APP_SERVICE: Self = Self {
        retries: 3,
        statuses: |status| matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
        gone_budget: Duration::ZERO,
    };

    /// Key Vault, which throttles by vault and region.
    pub(crate) const KEY_VAULT: Self = Self {
        retries: 5,
        statuses: |status| matches!(status, 408 | 429 | 500..=599),
        gone_budget: Duration::ZERO,
    };
}

tokio::task_local! {
    /// Where [`send`] leaves what a try failed with, for those who cannot wait
    /// for the last one.
    pub(super) static TROUBLE: Trouble;
}

/// The latest failure of a fetch that still goes on.
pub(super) type Trouble = Arc<Mutex<Option<Arc<FetchError>>>>;

/// Sends until a reply has status 200, the policy ends, or a failure is final.
///
/// `make` is called for each try, as headers may change in between; `judge`
/// turns a reply that is no success into an error.
pub(crate) async fn send(
    transport: &dyn Transport,
    policy: &RetryPolicy,
    make: impl Fn() -> Result<HttpRequest, FetchError> + Send + Sync,
    judge: impl Fn(&HttpReply) -> FetchError + Send + Sync,
) -> Result<HttpReply, FetchError> {
    let start = Instant::now();
    let mut schedule = Schedule {
        policy,
        retried: 0,
        gone_since: None,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let (error, wait) = match transport.send(make()?).await {
            Ok(reply) if reply.status == 200 => return Ok(reply),
            Ok(reply) => (
                judge(&reply),
                schedule.after_status(reply.status, reply.retry_after),
            ),
            Err(error) => {
                let wait = if error.is_transient() {
                    schedule.next()
                } else {
                    None
                };
                (error, wait)
            }
        };
        let Some(wait) = wait else {
            return Err(match tries {
                1 => error,
                _ => FetchError::GaveUp {
                    tries,
                    elapsed: start.elapsed(),
                    last: Arc::new(error),
                },
            });
        };
        tracing::debug!(tries, ?wait, error = %error, "the endpoint cannot answer now; asking again");
        // Nobody listens when the source is used without a cache.
        let _ = TROUBLE.try_with(|trouble| {
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(error));
        });
        sleep(wait).await;
    }
}

struct Schedule<'a> {
    policy: &'a RetryPolicy,
    retried: u32,
    gone_since: Option<Instant>,
}

impl Schedule<'_> {
    fn after_status(&mut self, status: u16, retry_after: Option<Duration>) -> Option<Duration> {
        if !(self.policy.statuses)(status) {
            return None;
        }
        if status == 410 && !self.policy.gone_budget.is_zero() {
            return self.while_gone(retry_after);
        }
        match retry_after {
            // Asking sooner than told would be rude, and waiting that long is
            // for the caller to decide.
            Some(asked) if asked > MAX_RETRY_AFTER => None,
            Some(asked) => self.next().map(|_| with_jitter(asked)),
            None => self.next(),
        }
    }

    fn next(&mut self) -> Option<Duration> {
        if self.retried == self.policy.retries {
            return None;
        }
        self.retried += 1;
        Some(with_jitter(Duration::from_secs(1 << (self.retried - 1))))
    }

    /// A restarting endpoint has a budget of time, not of tries; the last try
    /// falls on its end.
    fn while_gone(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let since = *self.gone_since.get_or_insert_with(Instant::now);
        let left = self.policy.gone_budget.checked_sub(since.elapsed())?;
        if left.is_zero() {
            return None;
        }
        let step = retry_after.unwrap_or_else(|| with_jitter(GONE_STEP));
        Some(step.clamp(Duration::from_secs(1), left.max(Duration::from_secs(1))))
    }
}

fn with_jitter(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + 0.25 * fastrand::f64())
}

/// The longest `Retry-After` that is waited out.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How often a restarting endpoint is asked.
const GONE_STEP: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, ScriptedHttp};
    use super::*;
    use url::Url;

    async fn run(policy: &RetryPolicy, script: Vec<Answer>) -> (Result<u16, FetchError>, Vec<f64>) {
        let http = ScriptedHttp::new(script);
        let start = Instant::now();
        let url = Url::parse("http://h/").unwrap();
        let outcome = send(
            &http,
            policy,
            || Ok(HttpRequest::get(url.clone())),
            super::super::reply::not_a_token_endpoint,
        )
        .await;
        let times = http
            .seen()
            .iter()
            .map(|(at, _)| (*at - start).as_secs_f64())
            .collect();
        (outcome.map(|reply| reply.status), times)
    }

    fn gaps(times: &[f64]) -> Vec<f64> {
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_schedule_doubles_with_jitter_and_ends() {
        let (outcome, times) = run(&RetryPolicy::IMDS, vec![Answer::status(503); 6]).await;
        assert!(
            matches!(outcome, Err(FetchError::GaveUp { tries: 6, .. })),
            "{outcome:?}"
        );
        for (gap, base) in gaps(&times).iter().zip([1.0, 2.0, 4.0, 8.0, 16.0]) {
            assert!(*gap >= base && *gap <= base * 1.25 + 0.01, "{times:?}");
        }
        assert_eq!(times.len(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_listed_statuses_are_tried_again() {
        for (policy, retried) in [
            (
                &RetryPolicy::IMDS,
                &[404, 408, 429, 500, 501, 502, 503, 504, 511][..],
            ),
            (
                &RetryPolicy::APP_SERVICE,
                &[408, 429, 500, 502, 503, 504][..],
            ),
        ] {
            for status in (200..600).filter(|status| ![200, 410].contains(status)) {
                let script = vec![Answer::status(status), Answer::token("t", 3600)];
                let (outcome, times) = run(policy, script).await;
                let expected = retried.contains(&status)
                    || (policy.retries == 5 && (500..600).contains(&status));
                assert_eq!(outcome.is_ok(), expected, "{status}");
                assert_eq!(times.len(), if expected { 2 } else { 1 }, "{status}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_of_imds_is_sat_out_for_75_seconds() {
        let (outcome, times) = run(&RetryPolicy::IMDS, vec![Answer::status(410); 100]).await;
        assert!(outcome.is_err());
        let (last, count) = (*times.last().unwrap(), times.len());
        assert!((70.0..=76.0).contains(&last), "{times:?}");
        assert!((8..=12).contains(&count), "{times:?}");
        // On App Service a 410 is nothing special.
        let (_, times) = run(&RetryPolicy::APP_SERVICE, vec![Answer::status(410)]).await;
        assert_eq!(times.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_uses_up_no_retries() {
        let mut script = vec![Answer::status(410); 8];
        script.extend(vec![Answer::status(500); 5]);
        script.push(Answer::token("t", 3600));
        assert!(run(&RetryPolicy::IMDS, script).await.0.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_obeyed_up_to_a_minute() {
        let script = vec![Answer::retry_after(429, 30), Answer::token("t", 3600)];
        let (outcome, times) = run(&RetryPolicy::IMDS, script).await;
        assert!(outcome.is_ok());
        assert!((30.0..=37.6).contains(&times[1]), "{times:?}");
        let (outcome, times) = run(&RetryPolicy::IMDS, vec![Answer::retry_after(429, 61)]).await;
        assert!(outcome.is_err());
        assert_eq!(times.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn connect_errors_and_time_outs_are_tried_again_but_nothing_else() {
        let script = vec![Answer::Refused, Answer::TimedOut, Answer::token("t", 3600)];
        let (outcome, times) = run(&RetryPolicy::APP_SERVICE, script).await;
        assert_eq!((outcome.unwrap(), times.len()), (200, 3));
        let (outcome, times) = run(&RetryPolicy::IMDS, vec![Answer::TooLarge]).await;
        assert!(matches!(outcome, Err(FetchError::TooLarge { .. })));
        assert_eq!(times.len(), 1);
    }
}
