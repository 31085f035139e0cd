//! Sessions kept open and handed out again, with [`tiberius`] as their driver.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use entrada::pool::Pool;
//!
//! let pool = Pool::connect(
//!     "Server=app.database.windows.net;Database=app;Authentication=ActiveDirectoryMSI",
//! )
//! .await?;
//! let mut client = pool.get().await?;
//! let row = client.simple_query("SELECT 1").await?.into_row().await?;
//! assert_eq!(row.and_then(|row| row.get::<i32, _>(0)), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! # What a session is worth when it comes back
//!
//! Nobody has to clean up: a session given back is reset by the server before
//! its next request (RESETCONNECTION, MS-TDS 2.2.3.1.2), which costs no round
//! trip. The server's acknowledgement is required, or the session is closed and
//! the request fails. SQL Server does not reset the transaction isolation
//! level; a session whose requests spoke of it is set back to READ COMMITTED
//! first, which costs one.
//!
//! A session is closed instead of kept if anything is left open in it: a
//! request begun, a response not read to its end, a transaction, an attention
//! without its acknowledgement, a bulk load, an application role. So a future
//! that is dropped half-way costs a login and does no harm. Read responses to
//! their end (`into_results`, `into_row`, or a stream until it yields `None`),
//! and finish transactions, to keep sessions.
//!
//! # When sessions end
//!
//! At the age that the connection string sets (`Load Balance Timeout`), after
//! 9 hours at the latest, and 10 minutes before the token that they logged in
//! with expires; and when idle for too long (`Connection Idle Timeout`). So do
//! those of a connection string in a vault that has come to lead elsewhere: see
//! [`Pool::following`].
//!
//! # Metrics
//!
//! By the [`metrics`] facade, labelled with `pool`, the server and database.
//! Install the recorder before the pool is built.
//!
//! | Name | Kind | Meaning |
//! | --- | --- | --- |
//! | `entrada_pool_sessions` | gauge | sessions open |
//! | `entrada_pool_sessions_in_use`, `entrada_pool_sessions_idle` | gauges | of these, held and waiting |
//! | `entrada_pool_wait_seconds` | histogram | time a caller waited for a session |
//! | `entrada_pool_dials_total` | counter | logins, by `outcome` (`ok`, `error`) |
//! | `entrada_pool_resets_total` | counter | resets of pooled sessions, by `outcome` |
//! | `entrada_pool_retired_total` | counter | sessions closed, by `reason` |

#[cfg(feature = "check")]
mod begun;
mod blocking;
mod board;
mod builder;
mod client;
mod error;
mod following;
mod link;
mod manager;
mod pooled;
mod requests;
mod responses;
mod stats;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use tokio_util::compat::Compat;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, debug_span};

use bb8::PooledConnection;
pub use tiberius;

pub use self::builder::{PoolBuilder, ResetPolicy};
pub use self::client::PooledClient;
pub use self::error::{Exhausted, PoolError};
pub use self::link::Link;
pub use self::stats::PoolStatus;

use self::client::Held;
use self::manager::Manager;
use self::pooled::PooledSession;
use crate::key_vault::{KeyVault, Resolved};
use crate::target::Target;
use crate::token::{Environment, Sources};

/// The driver's client, over a session of the pool.
pub type Client = tiberius::Client<Compat<Link>>;

/// What keeps the sessions.
type Keeper = bb8::Pool<Manager>;

/// A pool of sessions to one database, all logged in as one identity.
///
/// Clones are one pool. Sessions in use outlive it.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` if sessions are not kept (`Pooling=false`).
    kept: Option<Keeper>,
    manager: Manager,
    application: String,
    acquire_timeout: Option<Duration>,
    /// Follows a connection string in a vault.
    follower: Option<AbortOnDropHandle<()>>,
}

impl Pool {
    /// A pool for what a connection string names, in any dialect, with one
    /// session already open: a string or a server that does not work says so
    /// here. Key Vault references in it are followed, see
    /// [`key_vault`](crate::key_vault).
    ///
    /// Settings that have no keyword are made on a [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// [`PoolError::Target`] for a string without a usable meaning,
    /// [`PoolError::KeyVault`] for a reference that gave no secret, and whatever
    /// [`build`](PoolBuilder::build) and [`get`](Self::get) report.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the pool.
    pub async fn connect(connection_string: &str) -> Result<Self, PoolError> {
        let sources = Sources::new(Environment::from_process());
        let resolved = KeyVault::new(sources).resolve(connection_string).await;
        let pool = Self::following(resolved?).build()?;
        drop(pool.get().await?);
        Ok(pool)
    }

    /// Prepares a pool for what a connection string with Key Vault references
    /// names. Sessions are opened with the secrets as they are then; a login
    /// that is refused is repeated if a secret has changed.
    ///
    /// The secrets are read again whenever they are due. When one comes to lead
    /// to another server or database, identity, encryption or login option,
    /// sessions opened before are handed out no more: idle ones are closed at
    /// once, those in use when they are given back. A new password, or another
    /// proof of the same identity, closes nothing: the server lets sessions live
    /// that logged in with the old one.
    ///
    /// What concerns the pool itself, such as its size, its name in logs and
    /// metrics and the time for one command, is what the string said at first.
    #[must_use]
    pub fn following(resolved: Resolved) -> PoolBuilder {
        PoolBuilder::new((*resolved.target()).clone()).follow(resolved)
    }

    /// Prepares a pool for `target`, whose pooling keywords are its defaults.
    #[must_use]
    pub fn builder(target: Target) -> PoolBuilder {
        PoolBuilder::new(target)
    }

    /// Takes a session: an idle one that is fit, or a new one, or the next that
    /// is given back.
    ///
    /// # Errors
    ///
    /// - [`PoolError::Dial`] when a login that began during the wait failed. The
    ///   failure is reported at once and as what it is.
    /// - [`PoolError::Exhausted`] when the time was up: all sessions are in use,
    ///   or the login under way takes too long.
    /// - [`PoolError::Closed`] after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Safe: a login that has been begun goes on, and its session will be idle
    /// in the pool.
    pub async fn get(&self) -> Result<PooledClient, PoolError> {
        let span = debug_span!("pool.get", pool = %self.inner.manager.label);
        self.acquire().instrument(span).await
    }

    /// The pool at this moment.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        self.inner.manager.stats.status()
    }

    /// Ends the pool: idle sessions are closed now, those in use when they are
    /// given back, and whoever waits is told so.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed as soon as the future is polled, and it never waits.
    pub async fn close(&self) {
        self.inner.manager.closed.cancel();
        if let Some(kept) = &self.inner.kept {
            look_through(kept);
        }
    }

    async fn acquire(&self) -> Result<PooledClient, PoolError> {
        let stats = &self.inner.manager.stats;
        let begun = Instant::now();
        let waiting = stats.waiting();
        let held = match self.inner.acquire_timeout {
            Some(limit) => timeout(limit, self.next_session())
                .await
                .unwrap_or_else(|_| Err(self.exhausted(begun.elapsed()))),
            None => self.next_session().await,
        }?;
        drop(waiting);
        stats.on_taken(begun.elapsed());
        Ok(PooledClient::new(held, Arc::clone(stats)))
    }

    async fn next_session(&self) -> Result<Held, PoolError> {
        let manager = &self.inner.manager;
        let Some(kept) = &self.inner.kept else {
            return manager.open().await.map(Held::Own);
        };
        let mut watcher = manager.board.watch();
        loop {
            tokio::select! {
                // In this order, so that an idle session costs no look at the
                // rest. A closed pool finds none of its sessions fit.
                biased;
                got = next_fit(kept, manager) => if let Some(session) = got {
                    return Ok(Held::Kept(session));
                },
                () = manager.closed.cancelled() => return Err(manager.closed_error()),
                // A failure that is not ours leaves us without a login of our
                // own; asking anew begins one.
                failure = watcher.failure() => if let Some(error) = failure {
                    return Err(error);
                },
            }
        }
    }

    fn exhausted(&self, waited: Duration) -> PoolError {
        let manager = &self.inner.manager;
        PoolError::Exhausted(Box::new(Exhausted {
            server: manager.label.to_string(),
            application: self.inner.application.clone(),
            waited,
            status: manager.stats.status(),
            last_error: manager.stats.last_error(),
        }))
    }
}

/// bb8's next session; none if it is not fit to be handed out, or bb8's own
/// time-out ends, which is set beyond ours: ask again.
async fn next_fit(kept: &Keeper, manager: &Manager) -> Option<PooledConnection<'static, Manager>> {
    let mut session = kept.get_owned().await.ok()?;
    match manager.make_ready(&mut session).await {
        Ok(()) => Some(session),
        Err(reason) => {
            session.retire(reason);
            None
        }
    }
}

/// Gives each idle session back once more, which closes those that are not to be
/// kept.
fn look_through(kept: &Keeper) {
    let mut taken = Vec::new();
    // All before the first goes back, or it would be the next again.
    while kept.state().idle_connections > 0 {
        match kept.get_owned().now_or_never() {
            Some(Ok(session)) => taken.push(session),
            // Somebody was faster.
            _ => break,
        }
    }
    // The last first, so that they are in the same order as before.
    while let Some(session) = taken.pop() {
        drop(session);
    }
}

/// Kept so that a change which makes sessions unfit for tasks shows here.
const fn _is_send<T: Send>() {}
const _: () = _is_send::<PooledSession>();
