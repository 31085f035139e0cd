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
//! [`conn`] is that path for one client. Nothing is dialled before a client is
//! admitted, and what it sends as user and password never goes upstream.

mod admission;
mod client;
pub mod config;
mod conn;
mod error;
mod listener;
mod refusal;
mod registry;
mod relay;
mod shared;
mod stats;
mod targets;
mod tls;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

pub use config::Config;
pub use error::ProxyError;
pub use listener::BoundAddress;
pub use tls::{CertificateError, ca_certificate, ca_file};

use crate::token::Sources;
use listener::Listening;
use shared::Shared;

/// A running proxy. Dropping it closes its listeners and ends its clients.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    listening: Listening,
}

impl Proxy {
    /// Opens the listeners and serves from then on. Nothing is dialled yet.
    ///
    /// # Errors
    /// What in the configuration cannot be used, or which address cannot be
    /// listened on.
    pub async fn start(config: Config, sources: Sources) -> Result<Self, ProxyError> {
        let shared = Arc::new(Shared::new(&config, &sources)?);
        let listening = Listening::open(&config, &shared).await?;
        Ok(Self { shared, listening })
    }

    /// The address of each listener, by its name.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, BoundAddress)> {
        self.listening.addresses()
    }

    /// Stops listening, lets clients go on for `within`, then ends those that
    /// are left.
    pub async fn shutdown(self, within: Duration) {
        self.listening.close().await;
        self.shared.registry.drained(within).await;
    }
}
