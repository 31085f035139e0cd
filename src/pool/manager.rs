//! What bb8 asks of us: to open a session, to judge one that is handed out, and
//! to judge one that comes back.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, debug, debug_span, info_span};

use super::blocking::Blocking;
use super::board::{Board, Failure};
use super::error::PoolError;
use super::link::Link;
use super::pooled::PooledSession;
use super::stats::{Retired, Stats};
use super::{Client, ResetPolicy};
use crate::dial::{DialError, Dialer};
use crate::session::Session;

/// After this time of idleness the runtime is given a turn before the socket is
/// looked at, so that it has heard of a close that came in meanwhile.
const STALE_READINESS: Duration = Duration::from_secs(1);

/// Undoes what a reset of the session leaves in force.
const DEFAULT_ISOLATION: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// Asks for nothing but a sign of life.
const SIGN_OF_LIFE: &str = "SELECT 1";

/// Opens sessions. The one real implementation is the [`Dialer`].
#[async_trait]
pub(super) trait Open: fmt::Debug + Send + Sync + 'static {
    async fn open(&self) -> Result<Opened, DialError>;
}

/// A session, and the time that it belongs to.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) era: Era,
}

/// The time during which sessions are to lead to the same place, as the same
/// user and on the same terms. A pool of a target that never changes has one.
///
/// Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Era(Arc<AtomicBool>);

impl Era {
    /// Sessions of this time are not for new users any more.
    pub(super) fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[async_trait]
impl Open for Dialer {
    async fn open(&self) -> Result<Opened, DialError> {
        let era = Era::default();
        self.dial().await.map(|session| Opened { session, era })
    }
}

/// When sessions are checked, reset and closed.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) reset: ResetPolicy,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) check_after_idle: Duration,
    pub(super) check_timeout: Duration,
}

/// bb8's manager; its clones are one.
#[derive(Debug, Clone)]
pub(super) struct Manager(pub(super) Arc<Core>);

/// What all sessions of a pool share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) opener: Arc<dyn Open>,
    pub(super) driver: tiberius::Config,
    pub(super) policy: Policy,
    pub(super) stats: Arc<Stats>,
    pub(super) board: Arc<Board>,
    pub(super) blocking: Blocking,
    /// Whether failed logins also block those that somebody waits for.
    pub(super) blocks_callers: bool,
    pub(super) closed: CancellationToken,
    /// Where the pool was built.
    pub(super) runtime: Handle,
    /// The server and database, for errors and logs.
    pub(super) label: Arc<str>,
}

/// Passes failed logins on to those who wait.
#[derive(Debug, Clone)]
pub(super) struct Sink(pub(super) Arc<Board>);

impl bb8::ErrorSink<Failure> for Sink {
    fn sink(&self, failure: Failure) {
        self.0.post(failure);
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<Failure>> {
        Box::new(self.clone())
    }
}

impl Deref for Manager {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

impl bb8::ManageConnection for Manager {
    // Boxed, since bb8 moves it about.
    type Connection = Box<PooledSession>;
    type Error = Failure;

    async fn connect(&self) -> Result<Box<PooledSession>, Failure> {
        // In this order: whoever waited before the login began is seen.
        let login = self.board.begin();
        let opened = match self.blocked_in_advance() {
            Some(error) => Err(error),
            None => self.open().await,
        };
        opened.map_err(|error| Failure { login, error })
    }

    async fn is_valid(&self, _: &mut Box<PooledSession>) -> Result<(), Failure> {
        // The pool judges for itself, so that it can look through idle sessions
        // without having others opened in their place.
        Ok(())
    }

    fn has_broken(&self, session: &mut Box<PooledSession>) -> bool {
        session.comes_back()
    }
}

impl Manager {
    /// Opens a session and puts the driver on top of it.
    pub(super) async fn open(&self) -> Result<Box<PooledSession>, PoolError> {
        if self.closed.is_cancelled() {
            return Err(self.closed_error());
        }
        let blocked = self.blocking.in_force().filter(|_| self.blocks_callers);
        let opened = match blocked {
            Some(error) => Err(error),
            None => self.dial().await,
        };
        match opened {
            // Closed meanwhile: nobody would ever ask for this session.
            Ok(_) if self.closed.is_cancelled() => Err(self.closed_error()),
            Ok(opened) => self.adopt(opened).await,
            Err(source) => Err(self.dial_error(source)),
        }
    }

    /// The failure that keeps a session from being opened in advance.
    fn blocked_in_advance(&self) -> Option<PoolError> {
        if self.stats.anyone_waits() {
            return None;
        }
        self.blocking.in_force().map(|error| self.dial_error(error))
    }

    fn dial_error(&self, source: Arc<DialError>) -> PoolError {
        PoolError::Dial {
            server: self.label.to_string(),
            source,
        }
    }

    async fn dial(&self) -> Result<Opened, Arc<DialError>> {
        let _dialing = self.stats.dialing();
        let span = info_span!("dial", pool = %self.label);
        match self.opener.open().instrument(span).await {
            Ok(opened) => {
                self.blocking.on_success();
                Ok(opened)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.stats.on_dial_failed(&error);
                self.blocking.on_failure(&error);
                Err(error)
            }
        }
    }

    async fn adopt(&self, opened: Opened) -> Result<Box<PooledSession>, PoolError> {
        let (link, info) = Link::new(opened.session);
        // The driver would warn that nothing is encrypted, which it cannot
        // know: the encryption is ours, below it.
        let client = Client::connect(self.driver.clone(), link.clone().compat())
            .with_subscriber(tracing::Dispatch::none())
            .await
            .map_err(|source| PoolError::Driver {
                server: self.label.to_string(),
                source: Arc::new(source),
            })?;
        self.stats.on_opened();
        let session = PooledSession::new(client, link, info, opened.era, self.clone());
        Ok(Box::new(session))
    }

    pub(super) fn closed_error(&self) -> PoolError {
        PoolError::Closed {
            server: self.label.to_string(),
        }
    }

    /// Makes an idle session fit for its next user, or says why it is not.
    ///
    /// It costs no round trip if the session was used a short while ago and
    /// cannot have another isolation level than a new one.
    pub(super) async fn make_ready(&self, session: &mut PooledSession) -> Result<(), Retired> {
        if self.closed.is_cancelled() {
            return Err(Retired::PoolClosed);
        }
        if session.era.has_ended() {
            return Err(Retired::Moved);
        }
        if session.is_first_use() && session.idle() < STALE_READINESS {
            // It has just been opened. To turn it down would only open another,
            // again and again, if that is how the server or the token are.
            return Ok(());
        }
        if let Some(reason) = session.is_due() {
            return Err(reason);
        }
        let idle = session.idle();
        if idle >= STALE_READINESS {
            tokio::task::yield_now().await;
        }
        session.feel_pulse().await?;
        let (used, isolation) = session
            .link
            .with_wire(|wire| (wire.used(), wire.isolation_touched()));
        if used && self.policy.reset != ResetPolicy::Off {
            let acknowledged = self.policy.reset == ResetPolicy::Acknowledged;
            session.link.with_wire(|wire| wire.arm_reset(acknowledged));
        }
        if isolation {
            self.round_trip(session, DEFAULT_ISOLATION).await
        } else if idle >= self.policy.check_after_idle {
            self.round_trip(session, SIGN_OF_LIFE).await
        } else {
            Ok(())
        }
    }

    /// Asks the server for something of our own, with the reset if that is due,
    /// within the time allowed for it.
    async fn round_trip(&self, session: &PooledSession, text: &str) -> Result<(), Retired> {
        let span = debug_span!("reset", pool = %self.label, spid = session.info.spid);
        let outcome = timeout(self.policy.check_timeout, session.ask(text))
            .instrument(span)
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        match outcome {
            Ok(()) => {
                session.link.with_wire(|wire| wire.mark_fresh());
                Ok(())
            }
            Err(error) => {
                debug!(
                    pool = %self.label,
                    error = &error as &dyn std::error::Error,
                    "an idle session failed its check"
                );
                Err(Retired::Dead)
            }
        }
    }
}
