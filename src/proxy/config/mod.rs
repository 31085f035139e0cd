//! What a proxy is told to do.

mod check;
mod error;
mod file;
#[cfg(test)]
mod tests;
mod words;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use error::ConfigError;

use crate::secret::Secret;
pub use crate::settings::Problem;
use crate::target::PoolDefaults;

/// How long clients may go on after a request to stop, unless the configuration says otherwise.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// So many clients of another machine there may be at least, unless the
/// configuration says otherwise.
const LEAST_PER_MACHINE: usize = 10;

/// The whole configuration. [`Config::for_connection`] is that of
/// `entrada proxy CONN`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where clients connect; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Where they can be taken; at least one, names are unique.
    pub targets: Vec<TargetConfig>,
    /// Whom a listener with [`Admission::Password`] lets in.
    pub users: Vec<UserConfig>,
    /// Bounds against too many and too slow clients.
    pub limits: LimitsConfig,
    /// Metrics, health and the status page; none by default.
    pub admin: AdminConfig,
    /// Where the local CA is kept. Defaults to none, which makes a new one at
    /// each start.
    pub state_dir: Option<PathBuf>,
    /// How long clients may go on after a request to stop. Defaults to 30 s.
    pub drain_timeout: Duration,
}

/// One address and what holds there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// For logs and rules; unique.
    pub name: String,
    /// Where to listen.
    pub address: ListenAddress,
    /// Encryption between client and proxy.
    pub tls: ClientTls,
    /// Who may connect.
    pub admission: Admission,
    /// The target of a client that no rule speaks of; `None` refuses it.
    pub target: Option<String>,
    /// The first rule that fits decides.
    pub rules: Vec<RuleConfig>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket, and the mode of its file.
    Unix {
        /// The socket's file.
        path: PathBuf,
        /// Its permissions, such as `0o600`.
        mode: u32,
    },
    /// A socket that systemd hands over, by its FileDescriptorName.
    Systemd(String),
}

/// Encryption between client and proxy.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientTls {
    /// Whether and how.
    pub mode: TlsMode,
    /// PEM files of certificate chain and key; `None` makes one, signed by the
    /// local CA.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// More names for a certificate made here, beside `localhost`, the loopback
    /// addresses and the machine's name.
    pub names: Vec<String>,
}

/// Whether clients encrypt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// Never: clients that insist are told so.
    Off,
    /// As each client likes.
    #[default]
    Optional,
    /// Those that do not are refused.
    Required,
    /// TDS 8.0 only: TLS comes first.
    Strict,
}

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// Whoever runs as the same user as the proxy, by the socket's peer uid.
    #[default]
    SameUser,
    /// Whoever runs as one of these, by the socket's peer uid and gid.
    Listed {
        /// Numbers of users.
        uids: Vec<u32>,
        /// Numbers of groups: of the peer's primary group, which only Unix
        /// sockets tell.
        gids: Vec<u32>,
    },
    /// Whoever knows the password of a user in [`Config::users`].
    Password,
    /// Everybody who reaches the address.
    Any,
}

/// Maps clients to a target.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RuleConfig {
    /// The login name that the client gives, ignoring case; `None` fits all.
    pub login: Option<String>,
    /// The database that it asks for, ignoring case; `None` fits all.
    pub database: Option<String>,
    /// The target's name.
    pub target: String,
    /// The database to log in to in place of the one asked for.
    pub database_as: Option<String>,
    /// The client id of the user-assigned identity to log in with in place of
    /// the target's own.
    pub identity: Option<String>,
}

/// Where clients are taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TargetConfig {
    /// For logs and rules; unique.
    pub name: String,
    /// A connection string of any dialect.
    pub connection: Secret,
    /// How sessions are kept.
    pub pool: PoolConfig,
}

/// How sessions of a target are kept between clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Most sessions at a time, those in use included. Defaults to 100.
    pub max: usize,
    /// Idle sessions kept open for each set of login properties (application,
    /// host, database, driver and so on) that a client asked for within the
    /// last hour, as far as `max` has room for them. Defaults to 0.
    pub min_idle: usize,
    /// A session older than this is not handed out again. Defaults to 9 h at
    /// most, as Azure SQL rechecks credentials after ten.
    pub lifetime: Duration,
    /// A session idle for longer is closed. Defaults to 5 min.
    pub idle_timeout: Duration,
    /// How long a client waits for a session when all are in use. Defaults to 15 s.
    pub queue_timeout: Duration,
    /// How many clients may wait for a session; more are refused at once.
    /// Defaults to 1,000.
    pub queue: usize,
    /// Whether sessions are kept at all. Defaults to true.
    pub keep: bool,
    /// Whether a reset counts without the server's acknowledgement, for servers
    /// that never send one. Defaults to false.
    pub unacknowledged_reset: bool,
    /// The keys that a file has, so that they count even with the default's value.
    pub(in crate::proxy) stated: Vec<&'static str>,
}

impl PoolConfig {
    /// With what a connection string says about pooling in place of the defaults
    /// of this, as far as nothing else has been said here.
    pub(in crate::proxy) fn with_defaults(&self, of: &PoolDefaults) -> Self {
        let or = Self::default();
        let is_open = |key, is_default| is_default && !self.stated.contains(&key);
        let mut pool = self.clone();
        if is_open("max", self.max == or.max) {
            pool.max = usize::try_from(of.max_size).unwrap_or(usize::MAX);
        }
        if is_open("min_idle", self.min_idle == or.min_idle) {
            pool.min_idle = usize::try_from(of.min_size).unwrap_or(usize::MAX);
        }
        if is_open("lifetime", self.lifetime == or.lifetime) {
            pool.lifetime = of.lifetime.unwrap_or(or.lifetime);
        }
        if is_open("idle_timeout", self.idle_timeout == or.idle_timeout) {
            // Without end is until the lifetime's.
            pool.idle_timeout = of.idle_timeout.unwrap_or(pool.lifetime);
        }
        if is_open("keep", self.keep == or.keep) {
            pool.keep = of.enabled;
        }
        // String and file have each agreed with themselves, not with each other.
        pool.min_idle = pool.min_idle.min(pool.max);
        pool
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max: 100,
            min_idle: 0,
            lifetime: Duration::from_secs(9 * 3600),
            idle_timeout: Duration::from_secs(300),
            queue_timeout: Duration::from_secs(15),
            queue: 1000,
            keep: true,
            unacknowledged_reset: false,
            stated: Vec::new(),
        }
    }
}

/// A user of [`Admission::Password`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserConfig {
    /// The login name, compared without case.
    pub name: String,
    /// The password's argon2id hash in PHC form, as `entrada proxy
    /// hash-password` prints it.
    pub password_hash: Secret,
    /// Whether it may use the admin database.
    pub admin: bool,
}

impl UserConfig {
    /// A user who may not use the admin database.
    #[must_use]
    pub fn new(name: impl Into<String>, password_hash: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            password_hash: password_hash.into(),
            admin: false,
        }
    }
}

/// Bounds against too many and too slow clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Clients at a time. Defaults to 10,000.
    pub connections: usize,
    /// Clients at a time of one peer (address or uid). Defaults to a tenth of
    /// `connections`, at least 10, for peers on other machines, and to no bound
    /// on this one.
    pub connections_per_peer: Option<usize>,
    /// Failed logins of one peer per minute; more are refused unheard.
    /// Defaults to 30.
    pub failed_logins_per_minute: u32,
    /// How long a client may take from connecting to the end of its LOGIN7.
    /// Defaults to 15 s.
    pub login_timeout: Duration,
    /// How long a client may be silent after its login. Defaults to no bound.
    pub idle_timeout: Option<Duration>,
    /// The most bytes that are held of one row for a client of TDS 7.1, which
    /// must get the length of a text before the text, where the server tells it
    /// after. A longer row is replaced by an error. Defaults to 16 MiB.
    pub transcode_buffer: usize,
}

impl LimitsConfig {
    /// Clients at a time of one other machine.
    #[must_use]
    pub fn connections_per_machine(&self) -> usize {
        let default = (self.connections / 10).max(LEAST_PER_MACHINE);
        self.connections_per_peer.unwrap_or(default)
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_peer: None,
            failed_logins_per_minute: 30,
            login_timeout: Duration::from_secs(15),
            idle_timeout: None,
            transcode_buffer: 16 * 1024 * 1024,
        }
    }
}

/// Metrics, health and the status page over HTTP, and who may use the admin
/// database.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Where to listen; loopback only.
    pub listen: Option<SocketAddr>,
    /// Whether clients of the proxy's own user may use the admin database.
    /// Users of [`Admission::Password`] have a mark of their own.
    pub same_user: bool,
}

impl Config {
    /// One listener on 127.0.0.1:1433 for one target, everything else as by
    /// default.
    #[must_use]
    pub fn for_connection(connection: impl Into<Secret>) -> Self {
        Self {
            listeners: vec![ListenerConfig {
                name: "default".to_owned(),
                address: ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 1433).into()),
                tls: ClientTls::default(),
                admission: Admission::default(),
                target: Some("default".to_owned()),
                rules: Vec::new(),
            }],
            targets: vec![TargetConfig {
                name: "default".to_owned(),
                connection: connection.into(),
                pool: PoolConfig::default(),
            }],
            users: Vec::new(),
            limits: LimitsConfig::default(),
            admin: AdminConfig {
                listen: None,
                same_user: true,
            },
            state_dir: None,
            drain_timeout: DRAIN_TIMEOUT,
        }
    }
}
