//! A session as the pool keeps it: how it is asked, judged and closed.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::debug;

use super::Client;
use super::link::{Link, Pulse};
use super::manager::{Era, Manager};
use super::stats::Retired;
use crate::session::LoginInfo;
use crate::tds::{PacketStatus, PacketType, Put, all_headers, write_message};

/// A session whose credentials are older may be refused at a reset: Azure SQL
/// looks at them again after about ten hours.
const MAX_AGE: Duration = Duration::from_secs(9 * 60 * 60);
/// A session is closed this long before its token expires.
const TOKEN_MARGIN: Duration = Duration::from_secs(10 * 60);

/// A session with the driver on top.
pub(super) struct PooledSession {
    pub(super) client: Client,
    pub(super) link: Link,
    pub(super) info: Arc<LoginInfo>,
    pub(super) era: Era,
    idle_since: Instant,
    /// Whether it has been handed out before.
    seasoned: bool,
    retired: Option<Retired>,
    manager: Manager,
}

impl PooledSession {
    /// A session that has just been opened.
    pub(super) fn new(
        client: Client,
        link: Link,
        info: Arc<LoginInfo>,
        era: Era,
        manager: Manager,
    ) -> Self {
        Self {
            client,
            link,
            info,
            era,
            idle_since: Instant::now(),
            seasoned: false,
            retired: None,
            manager,
        }
    }

    /// Whether this is asked for the first time, on the first checkout.
    pub(super) fn is_first_use(&mut self) -> bool {
        !std::mem::replace(&mut self.seasoned, true)
    }

    /// The runtime that the pool was built in.
    pub(super) fn runtime(&self) -> Handle {
        self.manager.runtime.clone()
    }

    /// Rules the session out. The first reason counts.
    pub(super) fn retire(&mut self, reason: Retired) {
        self.retired.get_or_insert(reason);
    }

    /// Judges a session that comes back; `true` if it is to be closed.
    pub(super) fn comes_back(&mut self) -> bool {
        self.idle_since = Instant::now();
        let (doubt, reset) = self
            .link
            .with_wire(|wire| (wire.doubt(), wire.take_reset_outcome()));
        if let Some(acknowledged) = reset {
            self.manager.stats.on_reset(acknowledged);
        }
        if let Some(reason) = self.why_not(doubt.map(Retired::InDoubt)) {
            self.retire(reason);
        }
        if let Some(reason) = self.retired {
            debug!(
                pool = %self.manager.label,
                spid = self.info.spid,
                reason = reason.reason(),
                "closing a session"
            );
        }
        self.retired.is_some()
    }

    pub(super) fn idle(&self) -> Duration {
        self.idle_since.elapsed()
    }

    fn why_not(&self, doubt: Option<Retired>) -> Option<Retired> {
        if self.manager.closed.is_cancelled() {
            return Some(Retired::PoolClosed);
        }
        let moved = self.era.has_ended().then_some(Retired::Moved);
        doubt.or(moved).or_else(|| self.is_due())
    }

    /// Why the session's time is over, if it is.
    pub(super) fn is_due(&self) -> Option<Retired> {
        let now = Instant::now();
        let age = now.saturating_duration_since(self.info.opened);
        if let Some(expiry) = self.info.token_expires
            && expiry.saturating_duration_since(now) <= TOKEN_MARGIN
        {
            return Some(Retired::TokenExpiry);
        }
        let limit = self.manager.policy.max_lifetime.unwrap_or(MAX_AGE);
        (age >= limit.min(MAX_AGE)).then_some(Retired::Aged)
    }

    /// Whether the server is still there, as far as can be told without asking.
    pub(super) async fn feel_pulse(&self) -> Result<(), Retired> {
        // Unconstrained: with its budget used up, a task would see any socket
        // as silent.
        let pulse =
            tokio::task::unconstrained(poll_fn(|cx| Poll::Ready(self.link.poll_pulse(cx)))).await;
        let what = match &pulse {
            Pulse::Alive => return Ok(()),
            Pulse::Closed => "the server closed an idle session",
            Pulse::Unsolicited => "the server spoke on an idle session",
            Pulse::Broken(_) => "an idle session's socket broke",
        };
        let error = match &pulse {
            Pulse::Broken(error) => Some(error as &dyn std::error::Error),
            _ => None,
        };
        debug!(pool = %self.manager.label, spid = self.info.spid, error, "{what}");
        Err(Retired::Dead)
    }

    /// Runs a batch without the driver. Dropped half-way, it leaves the session
    /// in doubt.
    pub(super) async fn ask(&self, text: &str) -> io::Result<()> {
        let mut payload = all_headers(0);
        payload.put_utf16(text);
        let mut message = Vec::new();
        write_message(
            PacketType::SQL_BATCH,
            PacketStatus::NORMAL,
            &payload,
            self.info.packet_size,
            &mut message,
        );
        let mut link = self.link.clone();
        link.write_all(&message).await?;
        link.flush().await?;
        let mut answer = [0; 512];
        while !link.with_wire(|wire| wire.is_idle()) {
            if link.read(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        match self.link.with_wire(|wire| wire.response_error().cloned()) {
            Some(error) => Err(io::Error::other(error.message)),
            None => Ok(()),
        }
    }
}

impl Drop for PooledSession {
    fn drop(&mut self) {
        // bb8 closes what was idle too long, or is too old, without a word.
        let idle_for = self.idle();
        let policy = &self.manager.policy;
        let silent = if policy.idle_timeout.is_some_and(|limit| idle_for >= limit) {
            Retired::Idle
        } else {
            self.is_due().unwrap_or(Retired::PoolClosed)
        };
        self.manager.stats.on_closed(self.retired.unwrap_or(silent));
    }
}
