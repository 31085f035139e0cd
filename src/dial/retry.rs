//! Whether to try again, and when.

use std::time::Duration;

use tokio::time::Instant;

use super::DialError;
use crate::target::Limits;
use crate::tds::{self, LoginRetry};

/// A broken connection is tried again sooner than a server that said no.
const AFTER_NETWORK: Duration = Duration::from_secs(1);
/// What a server that is short of something wants (error 40501).
const BACK_OFF: Duration = Duration::from_secs(10);

/// No pause is longer, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(3600);

/// The retries that one dial has left.
#[derive(Debug)]
pub(super) struct Retries {
    left: u8,
    interval: Duration,
    tries: u32,
    token_renewed: bool,
}

impl Retries {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            left: limits.connect_retry_count,
            interval: limits.connect_retry_interval,
            tries: 0,
            token_renewed: false,
        }
    }

    /// The pause before another try, after one that ended so; `None` if there
    /// is to be none: the failure will not pass, the retries are used up, or
    /// the pause would outlast the deadline.
    pub(super) fn pause(
        &mut self,
        error: &DialError,
        deadline: Option<Instant>,
    ) -> Option<Duration> {
        self.tries += 1;
        if self.left == 0 || !error.is_transient() {
            return None;
        }
        let pause = with_jitter(self.wanted(error).min(LONGEST));
        if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
            return None;
        }
        self.left -= 1;
        Some(pause)
    }

    /// Whether a refused token may be exchanged for a fresh one: once.
    pub(super) fn may_renew_token(&mut self) -> bool {
        !std::mem::replace(&mut self.token_renewed, true)
    }

    /// The error to report in the end.
    pub(super) fn give_up(&self, server: String, error: DialError) -> DialError {
        if self.tries < 2 {
            return error;
        }
        DialError::GaveUp {
            server,
            tries: self.tries,
            source: error.into(),
        }
    }

    fn wanted(&self, error: &DialError) -> Duration {
        let known = error.server_error().and_then(|m| tds::known(m.number));
        match known {
            Some(known) if known.login_retry == LoginRetry::BackOff => self.interval.max(BACK_OFF),
            Some(_) => self.interval,
            None => self.interval.min(AFTER_NETWORK),
        }
    }
}

/// Up to a fifth more, so that a crowd that failed together does not come back
/// together.
fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + fastrand::f64() / 5.0)
}

#[cfg(test)]
mod tests {
    use super::super::login_error::LoginError;
    use super::super::prelogin::PreloginError;
    use super::super::wire::WireError;
    use super::*;
    use crate::tds::ServerMessage;

    fn refused(number: i32) -> DialError {
        DialError::Login {
            server: "db".to_owned(),
            source: Box::new(LoginError::Rejected {
                message: ServerMessage::new(number, 1, 14, "no"),
                others: Vec::new(),
                by_token: true,
            }),
        }
    }

    fn broken() -> DialError {
        DialError::Prelogin {
            server: "db".to_owned(),
            source: PreloginError::Wire(WireError::Closed),
        }
    }

    fn retries(count: u8, interval: u64) -> Retries {
        Retries::new(&Limits {
            connect_retry_count: count,
            connect_retry_interval: Duration::from_secs(interval),
            ..Limits::default()
        })
    }

    fn in_seconds(pause: Option<Duration>, low: u64, high: u64) {
        let pause = pause.expect("a retry");
        let range = Duration::from_secs(low)..=Duration::from_secs(high);
        assert!(range.contains(&pause), "{pause:?}");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert_eq!(retries(3, 5).pause(&refused(18456), None), None);
        assert_eq!(retries(3, 5).pause(&refused(40615), None), None);
        in_seconds(retries(3, 5).pause(&refused(40613), None), 5, 6);
        in_seconds(retries(3, 5).pause(&broken(), None), 1, 2);
    }

    #[test]
    fn a_busy_service_is_given_ten_seconds() {
        in_seconds(retries(1, 2).pause(&refused(40501), None), 10, 12);
        in_seconds(retries(1, 30).pause(&refused(40501), None), 30, 36);
    }

    #[test]
    fn no_pause_is_beyond_the_clock() {
        in_seconds(
            retries(1, u64::MAX).pause(&refused(40613), None),
            3600,
            4320,
        );
    }

    #[test]
    fn the_count_is_kept() {
        let mut twice = retries(2, 1);
        assert!(twice.pause(&refused(40613), None).is_some());
        assert!(twice.pause(&refused(40613), None).is_some());
        assert!(twice.pause(&refused(40613), None).is_none());
        let error = twice.give_up("db".to_owned(), refused(40613));
        assert!(matches!(error, DialError::GaveUp { tries: 3, .. }));
        assert!(error.is_transient());
        assert_eq!(error.server_error().map(|m| m.number), Some(40613));
        assert!(retries(0, 1).pause(&refused(40613), None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_outlasts_the_deadline() {
        let deadline = Instant::now() + Duration::from_secs(9);
        assert!(
            retries(3, 10)
                .pause(&refused(40613), Some(deadline))
                .is_none()
        );
        in_seconds(retries(3, 5).pause(&refused(40613), Some(deadline)), 5, 6);
    }

    #[test]
    fn a_token_is_renewed_once() {
        let mut retries = retries(0, 1);
        assert!(retries.may_renew_token());
        assert!(!retries.may_renew_token());
    }
}
