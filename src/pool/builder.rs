//! How a pool is set up.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tiberius::{AuthMethod, EncryptionLevel};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::blocking::Blocking;
use super::board::Board;
use super::following::Following;
use super::manager::{Core, Manager, Open, Policy, Sink};
use super::stats::Stats;
use super::{Inner, Keeper, Pool, PoolError};
use crate::dial::{Dialer, token_source};
use crate::key_vault::Resolved;
use crate::target::{PoolBlocking, Target};
use crate::token::{Environment, Sources, TokenCache, TokenSlot, TokenSource};

/// A login ends this much before the wait for it, so that its failure is still
/// reported as what it is; a tenth of the wait if that is less.
const DIAL_MARGIN: Duration = Duration::from_millis(500);
/// A login without a limit of its own ends here: it takes up a place in the pool
/// even when nobody waits for it any more.
const LONGEST_LOGIN: Duration = Duration::from_secs(10 * 60);
/// How often bb8 looks for sessions that are idle or old.
const REAP_EVERY: Duration = Duration::from_secs(30);
/// bb8's own limits, which ours always precede.
const BEYOND_OURS: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is done so that a session handed out again is like a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetPolicy {
    /// The first request asks for a reset, and its response must begin with the
    /// server's acknowledgement; without it the request fails and the session
    /// is closed.
    #[default]
    Acknowledged,
    /// The first request asks for a reset, which is taken for granted. For
    /// servers that reset sessions and do not say so.
    Unacknowledged,
    /// No reset. What a user leaves behind, such as temporary tables, `SET`
    /// options or another database, the next user finds; so, on a server that
    /// does not report transactions begun in a batch, is the transaction. Only
    /// for servers that know no resets (pysqlbridge 2.1 is one), and users that
    /// trust each other.
    Off,
}

/// Settings of a [`Pool`] in the making.
///
/// The defaults are what the target's connection string says. Of `Pool Blocking
/// Period`, only `AlwaysBlock` blocks: a service is better off with a server
/// that is tried again.
#[derive(Debug, Clone)]
pub struct PoolBuilder {
    target: Target,
    max_size: u32,
    min_idle: u32,
    pooling: bool,
    acquire_timeout: Option<Duration>,
    policy: Policy,
    cache: Option<TokenCache>,
    source: Option<Arc<dyn TokenSource>>,
    sources: Sources,
    certificate_problem: Option<&'static str>,
    following: Option<Resolved>,
}

impl PoolBuilder {
    pub(super) fn new(target: Target) -> Self {
        let defaults = &target.pool;
        Self {
            max_size: defaults.max_size,
            min_idle: defaults.min_size,
            pooling: defaults.enabled,
            acquire_timeout: target.limits.connect_timeout,
            policy: Policy {
                reset: ResetPolicy::default(),
                max_lifetime: defaults.lifetime,
                idle_timeout: defaults.idle_timeout,
                check_after_idle: Duration::from_secs(60),
                check_timeout: Duration::from_secs(5),
            },
            cache: None,
            source: None,
            sources: Sources::new(Environment::from_process()),
            certificate_problem: None,
            following: None,
            target,
        }
    }

    /// The most sessions at a time, at least 1.
    ///
    /// Defaults to `Max Pool Size`, which defaults to 100.
    #[must_use]
    pub fn max_size(mut self, sessions: u32) -> Self {
        self.max_size = sessions;
        self
    }

    /// Idle sessions to keep ready, at most [`max_size`](Self::max_size).
    /// After a login that failed, none is opened in advance for 5 seconds, and
    /// for up to a minute if it goes on like that.
    ///
    /// Defaults to `Min Pool Size`, which defaults to 0.
    #[must_use]
    pub fn min_idle(mut self, sessions: u32) -> Self {
        self.min_idle = sessions;
        self
    }

    /// Whether sessions are kept at all. If not, each [`get`](Pool::get) logs
    /// in anew, and [`max_size`](Self::max_size) is no limit.
    ///
    /// Defaults to `Pooling`, which defaults to true.
    #[must_use]
    pub fn pooling(mut self, keep: bool) -> Self {
        self.pooling = keep;
        self
    }

    /// How long [`get`](Pool::get) waits at most, for a login as for a session
    /// to become free; `None` is for ever. A login gets a little less, so that
    /// its failure is reported instead of the end of the wait; without any limit
    /// it gets ten minutes.
    ///
    /// Defaults to `Connect Timeout`, which defaults to 15 seconds.
    #[must_use]
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.acquire_timeout = limit.into();
        self
    }

    /// The age at which sessions are closed; `None` is 9 hours, which is also
    /// the highest.
    ///
    /// Defaults to `Load Balance Timeout`, which defaults to no limit.
    #[must_use]
    pub fn max_lifetime(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.policy.max_lifetime = age.into();
        self
    }

    /// The time after which an idle session is closed; `None` is never.
    ///
    /// Defaults to `Connection Idle Timeout`, which defaults to 300 seconds.
    #[must_use]
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.policy.idle_timeout = limit.into();
        self
    }

    /// The time of idleness after which a session is asked for a sign of life
    /// before it is handed out. Before that, it is enough that its socket is
    /// open and silent.
    ///
    /// Defaults to 60 seconds.
    #[must_use]
    pub fn check_after_idle(mut self, idle: Duration) -> Self {
        self.policy.check_after_idle = idle;
        self
    }

    /// How long an idle session may take to answer a check.
    ///
    /// Defaults to 5 seconds.
    #[must_use]
    pub fn check_timeout(mut self, limit: Duration) -> Self {
        self.policy.check_timeout = limit;
        self
    }

    /// How a session is made like new for its next user.
    ///
    /// Defaults to [`ResetPolicy::Acknowledged`].
    #[must_use]
    pub fn reset(mut self, policy: ResetPolicy) -> Self {
        self.policy.reset = policy;
        self
    }

    /// Keeps the token where others can use it too: pools of one identity that
    /// share a cache share the token, and one request gets it for all of them.
    ///
    /// A process best makes one [`TokenCache`] and hands a clone to each of its
    /// pools (and, with the feature `azure-core`, to its `SourceCredential`s): they
    /// then fetch, refresh and wait as one.
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use entrada::pool::Pool;
    /// use entrada::target::Target;
    /// use entrada::token::TokenCache;
    ///
    /// let cache = TokenCache::new();
    /// let login = "Server=app.database.windows.net;Authentication=Active Directory MSI";
    /// let shop = Target::parse(login)?.with_database("shop");
    /// let stock = Target::parse(login)?.with_database("stock");
    /// let shop = Pool::builder(shop).token_cache(cache.clone()).build()?;
    /// let stock = Pool::builder(stock).token_cache(cache).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Defaults to a cache of the pool's own.
    #[must_use]
    pub fn token_cache(mut self, cache: TokenCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Where tokens come from, instead of what the target's authentication
    /// names. A target that logs in by user and password has no use for it, and
    /// [`build`](Self::build) says so.
    ///
    /// Defaults to the source that `Authentication` names.
    #[must_use]
    pub fn token_source(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// How a token source is made for the target's authentication: which variables
    /// it reads, and what it is permitted.
    ///
    /// Defaults to the variables of this process, and nothing special permitted.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// What the token source takes for the platform's variables: short for
    /// [`sources`](Self::sources) with nothing special permitted.
    #[must_use]
    pub fn environment(self, environment: Environment) -> Self {
        self.sources(Sources::new(environment))
    }

    /// Trusts the certificates of this PEM text as roots, beside the platform's.
    /// What is wrong with it is reported by [`build`](Self::build).
    #[must_use]
    pub fn trust_root_pem(mut self, pem: &[u8]) -> Self {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match certificates {
            Ok(found) if !found.is_empty() => {
                let roots = found.iter().map(|root| root.as_ref().to_vec());
                self.target.tls.extra_roots.extend(roots);
            }
            Ok(_) => self.certificate_problem = Some("the text holds no CERTIFICATE block"),
            Err(_) => self.certificate_problem = Some("the text is not PEM"),
        }
        self
    }

    /// Trusts this certificate as a root, beside the platform's.
    #[must_use]
    pub fn trust_root_der(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.target.tls.extra_roots.push(der.into());
        self
    }

    /// Makes the pool. No login is waited for: sessions that
    /// [`min_idle`](Self::min_idle) asks for are opened in the background, the
    /// others by [`get`](Pool::get).
    ///
    /// # Errors
    ///
    /// [`PoolError::Setting`] or [`PoolError::Certificate`] for a setting that
    /// makes no sense, [`PoolError::NoRuntime`] outside of a tokio runtime,
    /// [`PoolError::Token`] if no token source fits the
    /// target's authentication, [`PoolError::Dial`] if its TLS settings cannot
    /// be used.
    pub fn build(mut self) -> Result<Pool, PoolError> {
        // Tokens of one pool are in one cache, whatever becomes of its target.
        self.cache.get_or_insert_default();
        let inner = match self.following.take() {
            Some(resolved) if resolved.has_references() => {
                let following = Arc::new(Following::new(resolved, self.clone())?);
                let mut inner = self.build_with(Arc::clone(&following) as Arc<dyn Open>)?;
                inner.follower = Some(following.follow(inner.kept.clone(), &inner.manager));
                inner
            }
            _ => {
                let dialer = self.dialer()?;
                self.build_with(Arc::new(dialer))?
            }
        };
        Ok(Pool {
            inner: Arc::new(inner),
        })
    }

    pub(super) fn follow(mut self, resolved: Resolved) -> Self {
        self.following = Some(resolved);
        self
    }

    /// The same settings for what the connection string says now.
    pub(super) fn with_target(&self, target: &Target) -> Self {
        let mut other = self.clone();
        let trusted = std::mem::take(&mut other.target.tls.extra_roots);
        other.target = target.clone();
        other.target.tls.extra_roots = trusted;
        other
    }

    pub(super) fn dialer(&self) -> Result<Dialer, PoolError> {
        let label = self.label();
        let slot = self.slot(&label)?;
        let mut target = self.target.clone();
        target.limits.connect_timeout = self.dial_timeout();
        Dialer::new(target, slot).map_err(|source| PoolError::Dial {
            server: label,
            source: Arc::new(source),
        })
    }

    pub(super) fn build_with(self, opener: Arc<dyn Open>) -> Result<Inner, PoolError> {
        self.check()?;
        let runtime = Handle::try_current().map_err(|_| PoolError::NoRuntime)?;
        let label = self.label();
        let board = Arc::new(Board::new());
        let manager = Manager(Arc::new(Core {
            opener,
            driver: self.driver(),
            policy: self.policy.clone(),
            stats: Arc::new(Stats::new(label.clone(), self.max_size)),
            board: Arc::clone(&board),
            blocking: Blocking::default(),
            blocks_callers: self.target.pool.blocking == PoolBlocking::Always,
            closed: CancellationToken::new(),
            runtime,
            label: label.into(),
        }));
        let kept = self.pooling.then(|| self.keep(manager.clone(), board));
        Ok(Inner {
            kept,
            manager,
            application: self.target.login.application_name,
            acquire_timeout: self.acquire_timeout,
            follower: None,
        })
    }

    fn keep(&self, manager: Manager, board: Arc<Board>) -> Keeper {
        let reap_every = self
            .policy
            .idle_timeout
            .map_or(REAP_EVERY, |limit| limit.min(REAP_EVERY));
        bb8::Pool::builder()
            .max_size(self.max_size)
            .min_idle(Some(self.min_idle).filter(|sessions| *sessions > 0))
            .max_lifetime(self.policy.max_lifetime)
            .idle_timeout(self.policy.idle_timeout)
            .reaper_rate(reap_every)
            .connection_timeout(BEYOND_OURS)
            // A login retries by the rules of the connection string.
            .retry_connection(false)
            // What is taken is judged by us.
            .test_on_check_out(false)
            // The sessions used last are the warmest; the others may idle out.
            .queue_strategy(bb8::QueueStrategy::Lifo)
            .error_sink(Box::new(Sink(board)))
            .build_unchecked(manager)
    }

    fn check(&self) -> Result<(), PoolError> {
        if let Some(problem) = self.certificate_problem {
            return Err(PoolError::Certificate { problem });
        }
        let wrong = |setting, value: String, problem| {
            Err(PoolError::Setting {
                setting,
                value,
                problem,
            })
        };
        let zero = Some(Duration::ZERO);
        if self.source.is_some() && !self.target.auth.uses_token() {
            let problem = "the target logs in by user and password; drop one or the other";
            return wrong("token_source", "given".to_owned(), problem);
        }
        if self.max_size == 0 {
            return wrong("max_size", "0".to_owned(), "it must be at least 1");
        }
        if self.min_idle > self.max_size {
            let value = format!("{} (max_size is {})", self.min_idle, self.max_size);
            return wrong("min_idle", value, "it must not exceed max_size");
        }
        for (setting, value) in [
            ("acquire_timeout", self.acquire_timeout),
            ("check_timeout", Some(self.policy.check_timeout)),
            ("idle_timeout", self.policy.idle_timeout),
            ("max_lifetime", self.policy.max_lifetime),
        ] {
            if value == zero {
                return wrong(setting, "0".to_owned(), "it must be longer than nothing");
            }
        }
        Ok(())
    }

    /// The server and database, for errors, logs and metrics.
    fn label(&self) -> String {
        match &self.target.database {
            Some(database) => format!("{}/{database}", self.target.server),
            None => self.target.server.to_string(),
        }
    }

    /// One slot for all of the pool's sessions, so that one token serves them.
    fn slot(&self, label: &str) -> Result<Option<TokenSlot>, PoolError> {
        if !self.target.auth.uses_token() {
            return Ok(None);
        }
        let source = match &self.source {
            Some(source) => Arc::clone(source),
            None => {
                token_source(&self.target, &self.sources).map_err(|source| PoolError::Token {
                    server: label.to_owned(),
                    source: Arc::new(source),
                })?
            }
        };
        let cache = self.cache.clone().unwrap_or_default();
        Ok(Some(cache.slot(source, self.target.cloud)))
    }

    /// The time for one login: what the string says, but less than the wait.
    pub(super) fn dial_timeout(&self) -> Option<Duration> {
        let shortened = self
            .acquire_timeout
            .map(|limit| limit - DIAL_MARGIN.min(limit / 10));
        match (self.target.limits.connect_timeout, shortened) {
            (Some(own), Some(shortened)) => Some(own.min(shortened)),
            (own, shortened) => own.or(shortened).or(Some(LONGEST_LOGIN)),
        }
    }

    /// The driver's settings. Its login never reaches the server; the names are
    /// for its own log lines.
    fn driver(&self) -> tiberius::Config {
        let mut config = tiberius::Config::new();
        config.host(&self.target.server.name);
        if let Some(database) = &self.target.database {
            config.database(database);
        }
        config.application_name(&self.target.login.application_name);
        config.authentication(AuthMethod::None);
        config.encryption(EncryptionLevel::NotSupported);
        config.handshake_timeout(None);
        config.command_timeout(self.target.limits.command_timeout);
        config
    }
}
