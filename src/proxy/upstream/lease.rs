//! A session in the hands of one client.

use crate::session::{LoginInfo, Session, SessionStream};

/// A session that one client has. Dropping it closes the session.
#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    session: Session,
}

/// What state a client left its session in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(in crate::proxy) enum Condition {
    /// Between requests, every answer read to its end: a reset makes it like new.
    AtRest,
    /// As at rest, but something may be in force that no reset ends, such as an
    /// application role.
    Lasting,
}

/// Where a session came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Origin {
    /// It was idle: no round trip was needed.
    Warm,
    /// It has been opened for this client.
    Cold,
    /// The client waited until one came free, or for its turn to open one.
    Queued,
}

impl Lease {
    pub(in crate::proxy) fn new(session: Session) -> Self {
        Self { session }
    }

    /// What the server said when the session was opened; still true.
    pub(in crate::proxy) fn info(&self) -> &LoginInfo {
        self.session.info()
    }

    pub(in crate::proxy) fn stream_mut(&mut self) -> &mut SessionStream {
        self.session.stream_mut()
    }

    /// Where the session came from.
    pub(in crate::proxy) fn origin(&self) -> Origin {
        Origin::Cold
    }

    /// Gives the session back: it is reset in the background and kept for the
    /// next client that asks for the same. Needs tokio's runtime.
    pub(in crate::proxy) fn give_back(self, _condition: Condition) {}
}

impl Origin {
    /// The word for metrics.
    pub(in crate::proxy) fn word(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
            Self::Queued => "queued",
        }
    }
}
