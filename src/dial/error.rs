//! Why no session could be opened.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::browser::BrowserError;
use super::login_error::LoginError;
use super::prelogin::PreloginError;
use super::progress::Step;
use super::routing::RoutingError;
use super::tcp::TcpError;
use super::tls::TlsError;
use super::wire::WireError;
use crate::tds::{self, ServerMessage};
use crate::token::TokenError;

/// Why no session could be opened.
///
/// Each variant is a step of the way and names the server; its source says
/// what went wrong there. Clones share what they hold, so that a pool can hand
/// one failure to everybody who waits for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// A named instance's port is not known.
    #[error("cannot find `{server}`")]
    Browser {
        /// The server, as `host\instance`.
        server: String,
        /// What went wrong.
        source: BrowserError,
    },
    /// The same failure after each of several tries.
    #[error("gave up on `{server}` after {tries} tries")]
    GaveUp {
        /// The server asked for.
        server: String,
        /// How many logins were tried.
        tries: u32,
        /// The last one's failure.
        source: Arc<DialError>,
    },
    /// The server did not let us in, or its answer made no sense.
    #[error("cannot log in to `{server}`")]
    Login {
        /// The server.
        server: String,
        /// What went wrong.
        source: Box<LoginError>,
    },
    /// A token is needed, and there is nothing to get one from.
    #[error(
        "`{server}` wants a token, and no token source was given; pass a `TokenSlot` to `Dialer::new`"
    )]
    NoTokenSource {
        /// The server asked for.
        server: String,
    },
    /// No agreement on how to log in.
    #[error("cannot agree with `{server}` on a login")]
    Prelogin {
        /// The server.
        server: String,
        /// What went wrong.
        source: PreloginError,
    },
    /// A server sent us on to where we cannot go.
    #[error("cannot follow the redirect of `{server}`")]
    Routing {
        /// The server that sent us on.
        server: String,
        /// What is wrong with it.
        source: RoutingError,
    },
    /// No socket.
    #[error("cannot connect to `{server}`")]
    Tcp {
        /// The server.
        server: String,
        /// What went wrong.
        source: TcpError,
    },
    /// The time is up.
    #[error("`{server}` did not let us in within {}; the last {} went into {step}{}", seconds(*.limit), seconds(*.waited), at(.addresses))]
    Timeout {
        /// The server asked for.
        server: String,
        /// The time that was allowed for everything (Connect Timeout).
        limit: Duration,
        /// What was being done when it ended.
        step: Step,
        /// For how long that had been going on.
        waited: Duration,
        /// The addresses that were being tried, if it was about a connection.
        addresses: Vec<SocketAddr>,
        /// The failure that an earlier try had ended in.
        #[source]
        earlier: Option<Arc<DialError>>,
    },
    /// The connection is not secure.
    #[error("cannot secure the connection to `{server}`")]
    Tls {
        /// The server.
        server: String,
        /// What went wrong.
        source: TlsError,
    },
    /// There is no token to log in with.
    #[error("cannot get a token for `{server}`")]
    Token {
        /// The server.
        server: String,
        /// What went wrong.
        source: TokenError,
    },
}

impl DialError {
    /// Whether the same dial may well succeed in a while: a server that is
    /// moving, waking up or busy, or a network that has just failed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::GaveUp { source, .. } => source.is_transient(),
            Self::Login { source, .. } => match source.rejection() {
                Some(message) => tds::is_transient(message.number),
                None => source.wire().is_some_and(WireError::is_network),
            },
            Self::Tcp { source, .. } => matches!(source, TcpError::Unreachable { .. }),
            Self::Prelogin { .. } | Self::Tls { .. } => self.is_network(),
            Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// Whether it is about who we are: no token, or a login refused for its
    /// credentials.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        match self {
            Self::GaveUp { source, .. } => source.is_auth(),
            Self::Login { source, .. } => source.is_auth(),
            Self::NoTokenSource { .. } | Self::Token { .. } => true,
            _ => false,
        }
    }

    /// Whether the server could not be reached, or the connection broke.
    #[must_use]
    pub fn is_network(&self) -> bool {
        match self {
            Self::Browser { .. } | Self::Tcp { .. } => true,
            Self::GaveUp { source, .. } => source.is_network(),
            Self::Login { source, .. } => source.wire().is_some_and(WireError::is_network),
            Self::Prelogin { source, .. } => {
                matches!(source, PreloginError::Wire(wire) if wire.is_network())
            }
            Self::Timeout { step, .. } => step.is_network(),
            Self::Tls { source, .. } => {
                matches!(source, TlsError::Closed { .. } | TlsError::Io { .. })
            }
            _ => false,
        }
    }

    /// Whether the time was up (Connect Timeout).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether a token was refused that a fresh one may replace.
    pub(super) fn refuses_token(&self) -> bool {
        matches!(self, Self::Login { source, .. } if source.refuses_token())
    }

    /// What the server said, if it was the server that refused.
    #[must_use]
    pub fn server_error(&self) -> Option<&ServerMessage> {
        match self {
            Self::GaveUp { source, .. } => source.server_error(),
            Self::Login { source, .. } => source.rejection(),
            Self::Timeout { earlier, .. } => earlier.as_ref()?.server_error(),
            _ => None,
        }
    }

    /// What to do about it, where that is known and the message does not say so
    /// already.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::GaveUp { source, .. } => source.advice(),
            Self::Login { source, .. } => source.advice(),
            Self::Timeout { step, earlier, .. } => earlier
                .as_ref()
                .and_then(|earlier| earlier.advice())
                .or_else(|| step.advice()),
            _ => None,
        }
    }
}

/// A duration to the millisecond, without noise behind it.
fn seconds(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    format!("{:?}", Duration::from_millis(millis))
}

fn at(addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        return String::new();
    }
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(" ({})", texts.join(", "))
}
