//! A session as the pool keeps it, and whether it is still good.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::{unconstrained, yield_now};
use tokio::time::Instant;

use super::view::Reason;
use crate::session::{LoginInfo, Session, SessionStream};

/// A session whose credentials are older may be refused at a reset: Azure SQL
/// looks at them again after about ten hours.
const MAX_AGE: Duration = Duration::from_secs(9 * 60 * 60);
/// A session is closed this long before its token expires.
const TOKEN_MARGIN: Duration = Duration::from_secs(10 * 60);
/// A lifetime is shortened by up to this part of it, so that sessions which were
/// opened together do not end together.
const JITTER: f64 = 0.1;

/// A session and what the pool knows of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) stream: SessionStream,
    /// What the login said, but for what is this session's own. One copy for all
    /// that were told the same.
    pub(super) told: Arc<LoginInfo>,
    pub(super) spid: u16,
    /// The target's name, for logs.
    target: Arc<str>,
    pub(super) epoch: u64,
    /// When it is not to be handed out any more, and why.
    due: Option<(Instant, Reason)>,
    pub(super) idle_since: Instant,
}

/// Whether the server is still there, as far as can be told without asking.
#[derive(Debug)]
pub(super) enum Pulse {
    /// Nothing has come, and the socket is open.
    Alive,
    Closed,
    /// It sent something that nobody asked for.
    Unsolicited,
    Broken(io::Error),
}

impl Kept {
    /// A session that has just been opened.
    pub(super) fn new(session: Session, target: Arc<str>, lifetime: Duration, epoch: u64) -> Self {
        let (stream, told) = session.into_parts();
        Self {
            due: due(&told, lifetime),
            spid: told.spid,
            stream,
            told: Arc::new(told),
            target,
            epoch,
            idle_since: Instant::now(),
        }
    }

    /// Shares what the login said with a session that was told the same.
    pub(super) fn liken(&mut self, other: &Arc<LoginInfo>) {
        let told = LoginInfo {
            spid: other.spid,
            opened: other.opened,
            token_expires: other.token_expires,
            ..LoginInfo::clone(&self.told)
        };
        if told == **other {
            self.told = Arc::clone(other);
        }
    }

    /// Why its time is over, if it is.
    pub(super) fn is_due(&self, now: Instant) -> Option<Reason> {
        let (at, reason) = self.due?;
        (at <= now).then_some(reason)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due.map(|(at, _)| at)
    }

    /// Feels whether the server is still there, and has the waker called when
    /// that changes.
    pub(super) fn pulse(&mut self, waker: &Waker) -> Pulse {
        feel(&mut self.stream, waker)
    }

    /// As [`pulse`](Self::pulse), once the runtime has heard of everything that
    /// had come in by now.
    pub(super) async fn current_pulse(&mut self) -> Pulse {
        // A task that yields goes on after the runtime has looked at its sockets.
        yield_now().await;
        self.pulse(Waker::noop())
    }

    pub(super) fn log_closed(&self, reason: Reason) {
        tracing::debug!(
            target_name = %self.target,
            spid = self.spid,
            reason = reason.word(),
            "closing a session"
        );
    }
}

/// The end of a session's time, and what sets it.
fn due(info: &LoginInfo, lifetime: Duration) -> Option<(Instant, Reason)> {
    let aged = lifetime
        .min(MAX_AGE)
        .mul_f64(1.0 - fastrand::f64() * JITTER);
    let aged = info.opened.checked_add(aged).map(|at| (at, Reason::Aged));
    let expires = info.token_expires.map(|at| {
        (
            at.checked_sub(TOKEN_MARGIN).unwrap_or(info.opened),
            Reason::TokenExpiry,
        )
    });
    aged.into_iter().chain(expires).min_by_key(|(at, _)| *at)
}

/// Reads what must not be there. Unconstrained: a task that has used up its
/// budget would see any socket as silent.
fn feel(stream: &mut SessionStream, waker: &Waker) -> Pulse {
    let look = poll_fn(|cx| {
        let mut byte = [0];
        let mut room = ReadBuf::new(&mut byte);
        Poll::Ready(match Pin::new(&mut *stream).poll_read(cx, &mut room) {
            Poll::Pending => Pulse::Alive,
            Poll::Ready(Err(error)) => Pulse::Broken(error),
            Poll::Ready(Ok(())) if room.filled().is_empty() => Pulse::Closed,
            Poll::Ready(Ok(())) => Pulse::Unsolicited,
        })
    });
    match pin!(unconstrained(look)).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(pulse) => pulse,
        Poll::Pending => Pulse::Alive,
    }
}

impl Pulse {
    pub(super) fn is_alive(&self) -> bool {
        matches!(self, Self::Alive)
    }

    pub(super) fn in_words(&self) -> &'static str {
        match self {
            Self::Alive => "an idle session lives",
            Self::Closed => "the server closed an idle session",
            Self::Unsolicited => "the server spoke on an idle session",
            Self::Broken(_) => "an idle session's socket broke",
        }
    }
}
