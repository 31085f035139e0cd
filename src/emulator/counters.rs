//! What the emulator counts, for tests that must know how often something was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::Platform;

/// Live counters. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    counts: Arc<Counts>,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CountersSnapshot {
    /// HTTP requests for a token at the IMDS address, answered or refused, injected faults included.
    pub imds_requests: u64,
    /// HTTP requests for a token at the App Service address, likewise.
    pub app_service_requests: u64,
    /// HTTP requests for a token at the endpoints of the other platforms, likewise; both legs of
    /// Azure Arc's.
    pub other_platform_requests: u64,
    /// Requests at Entra's token endpoint, likewise.
    pub entra_requests: u64,
    /// Requests at Key Vault, challenged ones included.
    pub vault_requests: u64,
    /// Requests for an assertion at a pipeline's endpoint.
    pub issuer_requests: u64,
    /// Access tokens that an identity endpoint or Entra gave out, repeated ones included.
    pub tokens_issued: u64,
    /// How many of these had been given out before.
    pub tokens_repeated: u64,
    /// TCP connections that the SQL gateway accepted, the redirect node's included.
    pub connections: u64,
    /// Logins that ended with a session.
    pub logins_accepted: u64,
    /// Logins answered with an error, injected ones included.
    pub logins_refused: u64,
    /// Logins that were sent on to the redirect node.
    pub logins_redirected: u64,
    /// Requests that the backend was given.
    pub requests: u64,
    /// Requests whose first packet asked for a reset of the session.
    pub resets: u64,
    /// Attentions that were acknowledged.
    pub attentions: u64,
    /// SQL sessions that are open now.
    pub open_sessions: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) imds_requests: Counter,
    pub(super) app_service_requests: Counter,
    pub(super) other_platform_requests: Counter,
    pub(super) entra_requests: Counter,
    pub(super) vault_requests: Counter,
    pub(super) issuer_requests: Counter,
    pub(super) tokens_issued: Counter,
    pub(super) tokens_repeated: Counter,
    pub(super) connections: Counter,
    pub(super) logins_accepted: Counter,
    pub(super) logins_refused: Counter,
    pub(super) logins_redirected: Counter,
    pub(super) requests: Counter,
    pub(super) resets: Counter,
    pub(super) attentions: Counter,
    pub(super) open_sessions: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

/// Counts one open session for as long as it lives.
#[derive(Debug)]
pub(super) struct OpenSession(Counters);

impl Counters {
    /// The numbers now.
    #[must_use]
    pub fn snapshot(&self) -> CountersSnapshot {
        let c = &*self.counts;
        CountersSnapshot {
            imds_requests: c.imds_requests.value(),
            app_service_requests: c.app_service_requests.value(),
            other_platform_requests: c.other_platform_requests.value(),
            entra_requests: c.entra_requests.value(),
            vault_requests: c.vault_requests.value(),
            issuer_requests: c.issuer_requests.value(),
            tokens_issued: c.tokens_issued.value(),
            tokens_repeated: c.tokens_repeated.value(),
            connections: c.connections.value(),
            logins_accepted: c.logins_accepted.value(),
            logins_refused: c.logins_refused.value(),
            logins_redirected: c.logins_redirected.value(),
            requests: c.requests.value(),
            resets: c.resets.value(),
            attentions: c.attentions.value(),
            open_sessions: c.open_sessions.value(),
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn open_session(&self) -> OpenSession {
        self.counts.open_sessions.0.fetch_add(1, Ordering::Relaxed);
        OpenSession(self.clone())
    }
}

impl Counts {
    /// Token requests at the platform's endpoint.
    pub(super) fn requests_at(&self, platform: Platform) -> &Counter {
        match platform {
            Platform::Imds => &self.imds_requests,
            Platform::AppService => &self.app_service_requests,
            _ => &self.other_platform_requests,
        }
    }
}

impl Counter {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0
            .counts
            .open_sessions
            .0
            .fetch_sub(1, Ordering::Relaxed);
    }
}
