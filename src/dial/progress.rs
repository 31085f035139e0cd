//! How far a dial has come: what a time-out reports.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::DialError;

/// A step of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Getting a token.
    Token,
    /// Resolving the server's name.
    Resolve,
    /// Asking SQL Browser for an instance's port.
    Browser,
    /// Connecting a socket.
    Connect,
    /// The greeting that fixes encryption (PRELOGIN).
    Prelogin,
    /// The TLS handshake.
    Tls,
    /// Waiting for the login's answer.
    Login,
    /// The pause before another try.
    Pause,
}

impl Step {
    pub(super) fn is_network(self) -> bool {
        matches!(
            self,
            Self::Resolve | Self::Browser | Self::Connect | Self::Prelogin | Self::Tls
        )
    }

    pub(super) fn advice(self) -> Option<&'static str> {
        match self {
            Self::Token => Some(
                "the identity endpoint is slow or out of reach; check it on its own by `entrada token`",
            ),
            Self::Connect => Some(
                "no address answers: a firewall may drop the packets, or the port is wrong (Azure SQL: 1433, and 11000 to 11999 after a redirect)",
            ),
            Self::Prelogin => Some(
                "something accepts connections there without speaking TDS; check the port, or use Encrypt=strict for a server that speaks TDS 8.0 only",
            ),
            Self::Login => Some(
                "the server is slow to log in; a serverless database that wakes up takes a minute: raise Connect Timeout",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "getting a token",
            Self::Resolve => "resolving the name",
            Self::Browser => "asking SQL Browser for the port",
            Self::Connect => "connecting",
            Self::Prelogin => "the greeting (PRELOGIN)",
            Self::Tls => "the TLS handshake",
            Self::Login => "waiting for the login's answer",
            Self::Pause => "the pause before another try",
        })
    }
}

/// Where a dial is; shared between it and the watch over its deadline.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    step: Step,
    since: Instant,
    addresses: Vec<SocketAddr>,
    earlier: Option<Arc<DialError>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            step: Step::Token,
            since: Instant::now(),
            addresses: Vec::new(),
            earlier: None,
        }))
    }

    /// Begins a step.
    pub(super) fn enter(&self, step: Step) {
        tracing::trace!(%step, "dial");
        let mut state = self.state();
        state.step = step;
        state.since = Instant::now();
        state.addresses.clear();
    }

    /// Begins to connect to these addresses.
    pub(super) fn connecting(&self, addresses: &[SocketAddr]) {
        self.enter(Step::Connect);
        self.state().addresses.extend_from_slice(addresses);
    }

    pub(super) fn is_at(&self, step: Step) -> bool {
        self.state().step == step
    }

    /// Remembers why a try has failed.
    pub(super) fn failed(&self, error: &DialError) {
        self.state().earlier = Some(Arc::new(error.clone()));
    }

    /// The error that tells how far it came.
    pub(super) fn timed_out(&self, server: String, limit: Duration) -> DialError {
        let state = self.state();
        DialError::Timeout {
            server,
            limit,
            step: state.step,
            waited: state.since.elapsed(),
            addresses: state.addresses.clone(),
            earlier: state.earlier.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
