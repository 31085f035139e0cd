//! A plain SQL Server on localhost that is an Azure SQL database: clients that
//! know nothing of tokens log in here, and are relayed to a session that was
//! opened with one.
//!
//! ```text
//!  client ──► listener ──► client (PRELOGIN, TLS, LOGIN7) ──► admission ──► rules
//!                                                                            │
//!  client ◄─────────────── relay ◄──────────────────── upstream ◄────────────┘
//! ```
//!
//! `conn.rs` is that path for one client. Nothing is dialled before a client is
//! admitted, and what it sends as user and password never goes upstream.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use entrada::proxy::{Config, Proxy};
//! use entrada::token::{Environment, Sources};
//!
//! # async fn example() -> Result<(), entrada::proxy::ProxyError> {
//! let config = Config::for_connection(
//!     "Server=contoso.database.windows.net;Database=shop;Authentication=ActiveDirectoryMSI",
//! );
//! let proxy = Proxy::start(config, Sources::new(Environment::from_process())).await?;
//! for (name, address) in proxy.addresses() {
//!     println!("{name} listens on {address}");
//! }
//! // Later: clients get 30 seconds to finish.
//! proxy.shutdown(Duration::from_secs(30)).await;
//! # Ok(())
//! # }
//! ```

mod access_log;
mod admin;
mod admin_db;
mod admission;
mod alike;
mod client;
pub mod config;
mod conn;
mod drain;
mod error;
mod inherited;
mod kill;
mod listener;
mod refusal;
mod registry;
mod relay;
mod reload;
mod shared;
mod stats;
mod targets;
mod tls;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

pub use admission::{PasswordError, hash_password};
pub use config::Config;
pub use drain::Drained;
pub use error::ProxyError;
pub use inherited::{Inherited, InheritedSocket};
pub use listener::BoundAddress;
pub use reload::Changes;
pub use tls::{CertificateError, ca_certificate, ca_file};

use crate::token::Sources;
use admin::Admin;
use listener::Listening;
use shared::{Live, Shared};
use targets::Means;

/// A running proxy. Dropping it closes its listeners and ends its clients.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    listening: Listening,
    admin: Option<Admin>,
    /// Held while the configuration is replaced: one at a time.
    reloading: Mutex<()>,
}

impl Proxy {
    /// Opens the listeners and serves from then on. Secrets that connection
    /// strings name in vaults are read; nothing else is dialled yet.
    ///
    /// # Errors
    /// What in the configuration cannot be used, or which address cannot be
    /// listened on.
    ///
    /// # Cancel safety
    /// Dropping the future closes what has been opened.
    pub async fn start(config: Config, sources: Sources) -> Result<Self, ProxyError> {
        Self::start_with(config, sources, Inherited::none()).await
    }

    /// As [`start`](Self::start), with sockets that somebody else has opened, for
    /// listeners with [`ListenAddress::Systemd`](config::ListenAddress::Systemd).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    /// As [`start`](Self::start).
    pub async fn start_with(
        config: Config,
        sources: Sources,
        inherited: Inherited,
    ) -> Result<Self, ProxyError> {
        config.check(&sources)?;
        let shared = Arc::new(Shared::open(config, Means::new(sources), inherited).await?);
        let listening = Listening::open(&shared.live.load().config, &shared).await?;
        let admin_address = shared.live.load().config.admin.listen;
        let admin = match admin_address {
            Some(at) => Some(Admin::start(at, Arc::clone(&shared), listening.addresses()).await?),
            None => None,
        };
        Ok(Self {
            shared,
            listening,
            admin,
            reloading: Mutex::new(()),
        })
    }

    /// Replaces the configuration. Clients that are connected go on as they are.
    /// A listener whose address stays keeps its socket, and clients that connect
    /// from now on are served by what it says now. A target that stays as it was
    /// keeps its sessions; of one that is another now, those in use serve their
    /// clients to the end, and new clients get new ones. Users, limits and
    /// certificates are read anew.
    ///
    /// The state folder and the address of the admin listener stay as they were at
    /// the start.
    ///
    /// # Errors
    /// What in the configuration cannot be used: nothing has changed then.
    ///
    /// # Cancel safety
    /// Dropping the future leaves either the old configuration in force or the new.
    pub async fn reload(&self, config: Config) -> Result<Changes, ProxyError> {
        let _one_at_a_time = self.reloading.lock().await;
        let outcome = self.replace(config).await;
        self.shared.stats.reloaded(outcome.is_ok());
        outcome
    }

    async fn replace(&self, config: Config) -> Result<Changes, ProxyError> {
        let shared = &self.shared;
        config.check(&shared.means.sources)?;
        let before = shared.live.load_full();
        let after = Live::open(config, Some(&before), &shared.means, &shared.certificates).await?;
        let prepared = self
            .listening
            .prepare(&after.config, &shared.inherited)
            .await?;
        let after = Arc::new(after);
        shared.live.store(Arc::clone(&after));
        self.listening.commit(prepared, shared);
        if let Some(admin) = &self.admin {
            admin.listeners_are(self.listening.addresses());
        }
        for entry in reload::gone(&before, &after) {
            shared.upstreams.retire(entry);
        }
        Ok(Changes::between(&before, &after))
    }

    /// The address of each listener, by its name.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, BoundAddress)> {
        self.listening.addresses()
    }

    /// Where metrics, health and the status page are, if anywhere.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.shared.registry.len()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Config {
        self.shared.live.load().config.clone()
    }

    /// Stops listening, lets clients go on for `within`, ends those that are
    /// left, and closes the sessions.
    ///
    /// # Cancel safety
    /// Dropping the future ends everything at once.
    pub async fn shutdown(self, within: Duration) -> Drained {
        self.shared.draining.cancel();
        self.listening.close().await;
        drain::drain(&self.shared, within).await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.draining.cancel();
        self.listening.stop();
        for entry in self.shared.registry.entries() {
            entry.kill.ask();
        }
    }
}
