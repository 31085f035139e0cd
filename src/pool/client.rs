//! A session in use.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Client;
use super::manager::Manager;
use super::pooled::PooledSession;
use super::stats::{Retired, Stats};
use crate::session::LoginInfo;

/// A [`tiberius::Client`] that goes back to its pool when it is dropped.
///
/// It does not borrow the pool, so it may go to other tasks.
pub struct PooledClient {
    held: Held,
    stats: Arc<Stats>,
}

/// Who keeps the session afterwards.
pub(super) enum Held {
    /// The pool.
    Kept(bb8::PooledConnection<'static, Manager>),
    /// Nobody.
    Own(Box<PooledSession>),
}

impl PooledClient {
    pub(super) fn new(held: Held, stats: Arc<Stats>) -> Self {
        Self { held, stats }
    }

    /// What the server said when this session was opened.
    #[must_use]
    pub fn info(&self) -> &LoginInfo {
        &self.session().info
    }

    /// Closes the session instead of giving it back, for instance after an
    /// `sp_setapprole` in a procedure, which nothing else tells.
    pub fn discard(mut self) {
        let session = self.session_mut();
        session.retire(Retired::Discarded);
        session.link.close();
    }

    fn session(&self) -> &PooledSession {
        match &self.held {
            Held::Kept(session) => session,
            Held::Own(session) => session,
        }
    }

    fn session_mut(&mut self) -> &mut PooledSession {
        match &mut self.held {
            Held::Kept(session) => session,
            Held::Own(session) => session,
        }
    }
}

impl Deref for PooledClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.session().client
    }
}

impl DerefMut for PooledClient {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.session_mut().client
    }
}

impl Drop for PooledClient {
    fn drop(&mut self) {
        self.stats.on_given_back();
        if let Held::Own(session) = &mut self.held {
            session.retire(Retired::Discarded);
        }
    }
}

impl fmt::Debug for PooledClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the driver: its `Debug` shows the data in its buffers.
        f.debug_struct("PooledClient")
            .field("info", self.info())
            .finish_non_exhaustive()
    }
}
