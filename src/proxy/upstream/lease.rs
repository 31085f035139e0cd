//! A session in the hands of one client.

use super::kept::Kept;
use super::slot::Slot;
use super::view::Reason;
use crate::session::{LoginInfo, SessionStream};

/// A session that one client has. Dropping it closes the session.
#[derive(Debug)]
pub(in crate::proxy) struct Lease {
    kept: Kept,
    // Dropped after the session: the next is opened when this one's socket is
    // closed.
    slot: Slot,
    origin: Origin,
    /// Whether it can serve others.
    shared: bool,
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
    pub(super) fn new(kept: Kept, slot: Slot, origin: Origin, shared: bool) -> Self {
        Self {
            kept,
            slot,
            origin,
            shared,
        }
    }

    /// What the server said when the session was opened; still true. When that
    /// was and until when the token holds are no matter of a client's, and may be
    /// those of another session that was told the same.
    pub(in crate::proxy) fn told(&self) -> LoginInfo {
        LoginInfo {
            spid: self.kept.spid,
            ..LoginInfo::clone(&self.kept.told)
        }
    }

    /// The packet size in force, in bytes, and the session's number at the server.
    pub(in crate::proxy) fn packet_size_and_spid(&self) -> (usize, u16) {
        (self.kept.told.packet_size, self.kept.spid)
    }

    pub(in crate::proxy) fn stream_mut(&mut self) -> &mut SessionStream {
        &mut self.kept.stream
    }

    /// Whether neither holds a copy of its own of what is the same for both.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        let told = std::sync::Arc::ptr_eq(&self.kept.told, &other.kept.told);
        told && self.slot.key().is_same_copy(other.slot.key())
    }

    /// Where the session came from.
    pub(in crate::proxy) fn origin(&self) -> Origin {
        self.origin
    }

    /// Gives the session back: it is reset in the background and kept for the
    /// next client that asks for the same. Needs tokio's runtime.
    pub(in crate::proxy) fn give_back(self, condition: Condition) {
        let Self {
            kept, slot, shared, ..
        } = self;
        match condition {
            Condition::Lasting => slot.close(kept, Reason::Lasting),
            Condition::AtRest if !shared => slot.close(kept, Reason::NotKept),
            Condition::AtRest => {
                let pool = std::sync::Arc::clone(slot.pool());
                pool.take_back(kept, slot);
            }
        }
    }
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
