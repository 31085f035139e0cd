//! A session in use.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::Client;
use super::manager::Manager;
use super::pooled::PooledSession;
use super::stats::{Retired, Stats};
use crate::session::LoginInfo;

/// A [`tiberius::Client`] that goes back to its pool when it is dropped.
///
/// It does not borrow the pool, so it may go to other tasks.
pub struct PooledClient {
    /// Always there until the drop.
    held: Option<Held>,
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
        Self {
            held: Some(held),
            stats,
        }
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
            Some(Held::Kept(session)) => session,
            Some(Held::Own(session)) => session,
            None => unreachable!("the session goes with the drop"),
        }
    }

    fn session_mut(&mut self) -> &mut PooledSession {
        match &mut self.held {
            Some(Held::Kept(session)) => session,
            Some(Held::Own(session)) => session,
            None => unreachable!("the session goes with the drop"),
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
        if let Some(Held::Own(session)) = &mut self.held {
            session.retire(Retired::Discarded);
        }
        // bb8 opens a session in place of one that is closed, for which it
        // needs a runtime; the thread that drops this may have none.
        let runtime = self.session().runtime();
        let _entered = Handle::try_current().is_err().then(|| runtime.enter());
        drop(self.held.take());
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
