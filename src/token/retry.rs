//! When to ask an identity endpoint again.

#[cfg(test)]
mod matrix;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};

use super::budget::{Budget, Permit, Share};
use super::error::{FetchError, Reply};
use super::http::{HttpReply, HttpRequest, Transport};

/// What an endpoint's rules say about asking again.
///
/// Failures to connect and time-outs are always tried again. The waits are 1, 2,
/// 4, 8, 16 s and so on with up to a quarter more, or what `Retry-After` says.
/// There is no deadline here: a caller that has one drops the future.
#[derive(Debug)]
pub(crate) struct RetryPolicy {
    /// How many times to ask again.
    pub(crate) retries: u32,
    /// Which statuses are worth it.
    pub(crate) statuses: fn(u16) -> bool,
    /// How long a 410 may last, beside the number of retries; zero if a 410
    /// means nothing special.
    pub(crate) gone_budget: Duration,
    /// How much of the endpoint this process may take; each try pays.
    pub(crate) share: Share,
}

impl RetryPolicy {
    /// Instance metadata: 404 while it is updated, 410 for up to 70 s while it
    /// restarts. It throttles beyond 5 requests at once or within a second.
    pub(crate) const IMDS: Self = Self {
        retries: 5,
        statuses: |status| matches!(status, 404 | 408 | 410 | 429 | 500..=599),
        gone_budget: Duration::from_secs(75),
        share: Share {
            concurrent: 5,
            per_second: 5,
        },
    };

    /// App Service and its kin, where a 500 may well be permanent.
    pub(crate) const APP_SERVICE: Self = Self {
        retries: 3,
        statuses: |status| matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
        gone_budget: Duration::ZERO,
        share: LOCAL,
    };

    /// Entra, which throttles an application that asks too often by 429 with
    /// `Retry-After`; a 429 without it is final.
    pub(crate) const ENTRA: Self = Self {
        retries: 3,
        statuses: |status| matches!(status, 429 | 500..=599),
        gone_budget: Duration::ZERO,
        share: Share {
            concurrent: 8,
            per_second: 20,
        },
    };

    /// Endpoints that give a job its assertion; GitHub's own client asks up to ten times.
    pub(super) const ISSUER: Self = Self {
        retries: 5,
        statuses: |status| matches!(status, 408 | 429 | 500..=599),
        gone_budget: Duration::ZERO,
        share: LOCAL,
    };

    /// Key Vault, which allows 4,000 transactions in ten seconds to all of a
    /// vault's clients.
    pub(crate) const KEY_VAULT: Self = Self {
        retries: 5,
        statuses: |status| matches!(status, 408 | 429 | 500..=599),
        gone_budget: Duration::ZERO,
        share: Share {
            concurrent: 16,
            per_second: 50,
        },
    };
}

/// What one process may ask of an endpoint on its own machine whose limits are
/// not documented.
pub(crate) const LOCAL: Share = Share {
    concurrent: 8,
    per_second: 20,
};

tokio::task_local! {
    /// Where [`send`] leaves what a try failed with, for those who cannot wait
    /// for the last one.
    pub(super) static TROUBLE: Trouble;

    /// Set while nobody waits for the token that is fetched.
    pub(super) static IN_BACKGROUND: ();
}

/// The latest failure of a fetch that still goes on.
pub(super) type Trouble = Arc<Mutex<Option<Arc<FetchError>>>>;

/// An exchange with an endpoint whose replies need more than a look at the status.
#[async_trait]
pub(crate) trait Ask: Send + Sync {
    /// Makes the request, anew for each try.
    async fn request(&self) -> Result<HttpRequest, FetchError>;

    /// What a reply that is no success means.
    fn judge(&self, reply: &HttpReply) -> (FetchError, Verdict);

    /// What identical requests have in common, if an endpoint that throttles
    /// one of them must not see another for as long as it says.
    fn identical(&self) -> Option<&str> {
        None
    }
}

/// Whether a reply is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// If the policy says so of its status.
    ByStatus,
    /// Not at all.
    Final,
    /// As after one of the policy's statuses.
    Again,
    /// At once; who judges sees to it that this is said once.
    AtOnce,
    /// Every few seconds for some time.
    While(Duration),
}

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
    ask(transport, policy, &ByStatus { make, judge }).await
}

/// Sends once, by the same rules of how much the process may ask.
pub(crate) async fn once(
    transport: &dyn Transport,
    policy: &RetryPolicy,
    request: HttpRequest,
) -> Result<HttpReply, FetchError> {
    let _permit = turn(transport.budget(), policy, &request).await;
    transport.send(request).await
}

/// Like [`send`], for an endpoint whose replies say more by their bodies.
///
/// # Cancel safety
/// Dropping the future ends the request under way and the waiting.
pub(crate) async fn ask(
    transport: &dyn Transport,
    policy: &RetryPolicy,
    exchange: &dyn Ask,
) -> Result<HttpReply, FetchError> {
    let start = Instant::now();
    let mut schedule = Schedule {
        policy,
        retried: 0,
        since: None,
    };
    let mut tries = 0;
    loop {
        respect_hold(transport.budget(), exchange).await?;
        let request = exchange.request().await?;
        let permit = turn(transport.budget(), policy, &request).await;
        let sent = transport.send(request).await;
        drop(permit);
        tries += 1;
        let (error, wait) = match sent {
            Ok(reply) if reply.status == 200 => return Ok(reply),
            Ok(reply) => {
                let (error, verdict) = exchange.judge(&reply);
                if let (Some(asked), Some(name)) = (error.retry_after(), exchange.identical()) {
                    transport.budget().hold(name, asked);
                }
                (error, schedule.after(&reply, verdict))
            }
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
        remember(error);
        sleep(wait).await;
    }
}

/// Waits for this process's turn at the endpoint, and says so if it takes long.
async fn turn(budget: &Budget, policy: &RetryPolicy, request: &HttpRequest) -> Permit {
    let mut entering = std::pin::pin!(budget.enter(&request.url, policy.share));
    if let Ok(permit) = timeout(LONG_QUEUE, &mut entering).await {
        return permit;
    }
    remember(FetchError::Queued {
        endpoint: super::http::endpoint_name(&request.url),
        concurrent: policy.share.concurrent,
        per_second: policy.share.per_second,
    });
    entering.await
}

/// Does not send what the endpoint said that it does not want to see yet.
async fn respect_hold(budget: &Budget, exchange: &dyn Ask) -> Result<(), FetchError> {
    while let Some(left) = exchange.identical().and_then(|name| budget.held(name)) {
        let held = FetchError::Throttled {
            reply: Reply {
                status: 429,
                code: None,
                message: Some("an identical request was throttled before".to_owned()),
            },
            retry_after: Some(left),
        };
        if left > MAX_RETRY_AFTER.mul_f64(1.25) {
            return Err(held);
        }
        tracing::debug!(wait = ?left, "holding back a request that was throttled before");
        remember(held);
        sleep(left).await;
    }
    Ok(())
}

/// Leaves a failure for those who cannot wait for the last one.
pub(super) fn remember(error: FetchError) {
    // Nobody listens when the source is used without a cache.
    let _ = TROUBLE.try_with(|trouble| {
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(error));
    });
}

/// An exchange that the status says everything about.
struct ByStatus<M, J> {
    make: M,
    judge: J,
}

#[async_trait]
impl<M, J> Ask for ByStatus<M, J>
where
    M: Fn() -> Result<HttpRequest, FetchError> + Send + Sync,
    J: Fn(&HttpReply) -> FetchError + Send + Sync,
{
    async fn request(&self) -> Result<HttpRequest, FetchError> {
        (self.make)()
    }

    fn judge(&self, reply: &HttpReply) -> (FetchError, Verdict) {
        ((self.judge)(reply), Verdict::ByStatus)
    }
}

struct Schedule<'a> {
    policy: &'a RetryPolicy,
    retried: u32,
    /// When a trouble that has a budget of time began.
    since: Option<Instant>,
}

impl Schedule<'_> {
    fn after(&mut self, reply: &HttpReply, verdict: Verdict) -> Option<Duration> {
        match verdict {
            Verdict::Final => return None,
            Verdict::AtOnce => return Some(Duration::ZERO),
            Verdict::While(budget) => return self.for_some_time(budget, reply.retry_after),
            Verdict::ByStatus if !(self.policy.statuses)(reply.status) => return None,
            Verdict::ByStatus if reply.status == 410 && !self.policy.gone_budget.is_zero() => {
                return self.for_some_time(self.policy.gone_budget, reply.retry_after);
            }
            Verdict::ByStatus | Verdict::Again => {}
        }
        match reply.retry_after {
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
    fn for_some_time(
        &mut self,
        budget: Duration,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = budget.checked_sub(since.elapsed())?;
        if left.is_zero() {
            return None;
        }
        let step = retry_after.unwrap_or_else(|| with_jitter(STEP));
        Some(step.clamp(Duration::from_secs(1), left.max(Duration::from_secs(1))))
    }
}

fn with_jitter(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + 0.25 * fastrand::f64())
}

/// The longest `Retry-After` that is waited out.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How often an endpoint is asked that needs some time.
const STEP: Duration = Duration::from_secs(8);

/// After how much queueing it is worth a word.
const LONG_QUEUE: Duration = Duration::from_secs(1);

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
