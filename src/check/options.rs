//! What is to be checked, and how.

use std::net::SocketAddr;
use std::time::Duration;

use crate::secret::Secret;
use crate::target::Target;
use crate::token::{Environment, Sources};

/// The longest that one step takes unless somebody says otherwise and the
/// connection string sets no limit.
const LIMIT: Duration = Duration::from_secs(15);

/// What is to be checked, and how.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) text: Secret,
    pub(super) sources: Sources,
    pub(super) database: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) nameserver: Option<SocketAddr>,
    pub(super) admin: Option<Secret>,
    pub(super) no_login: bool,
}

impl Options {
    /// To check a connection string of any dialect; it may hold Key Vault
    /// references.
    pub fn new(connection_string: impl Into<Secret>) -> Self {
        Self {
            text: connection_string.into(),
            sources: Sources::new(Environment::from_process()),
            database: None,
            timeout: None,
            nameserver: None,
            admin: None,
            no_login: false,
        }
    }

    /// How token sources are made. Defaults to the variables of this process,
    /// and nothing special permitted.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// Another database than the connection string names.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// The longest that one step may take. Defaults to the connection string's
    /// Connect Timeout, which defaults to 15 seconds.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The DNS server that is asked for the chain of names. Defaults to the
    /// first of `/etc/resolv.conf`; where that does not exist, the chain is not
    /// looked at. Addresses come from the system's resolver in any case.
    #[must_use]
    pub fn nameserver(mut self, address: SocketAddr) -> Self {
        self.nameserver = Some(address);
        self
    }

    /// A connection string of somebody who may look into the database's
    /// catalogue. It is used only if the login is refused, to tell why.
    /// Defaults to none.
    #[must_use]
    pub fn admin(mut self, connection_string: impl Into<Secret>) -> Self {
        self.admin = Some(connection_string.into());
        self
    }

    /// Stops before a token is asked for. Defaults to going on.
    #[must_use]
    pub fn without_login(mut self) -> Self {
        self.no_login = true;
        self
    }

    pub(super) fn limit(&self, target: &Target) -> Duration {
        let own = self.timeout.or(target.limits.connect_timeout);
        own.unwrap_or(LIMIT)
    }
}
