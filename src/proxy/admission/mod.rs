//! Who may connect, and where it is taken: decided before anything is dialled.

mod peer;

use std::sync::Arc;

pub(super) use self::peer::Peer;
use super::config::{Config, ListenerConfig};
use super::shared::Live;
use super::targets::TargetEntry;
use crate::tds::Login7;

/// Decides by what the configuration says.
#[derive(Debug)]
pub(super) struct Gate {}

/// A client that is let in.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) route: Route,
    /// Who it is, for logs: the user whose password it knew, else the login
    /// name that it gave. Printable and short.
    pub(super) user: String,
    /// Whether it may use the admin database.
    pub(super) admin: bool,
}

/// Where an admitted client is taken.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// To a target.
    Target {
        target: Arc<TargetEntry>,
        /// In place of the database that the client asks for.
        database: Option<String>,
    },
    /// To the admin database.
    Admin,
}

/// Why a client is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Denial {
    #[error("listener `{listener}` has no target for login `{login}` and database `{database}`")]
    NoTarget {
        listener: String,
        login: String,
        database: String,
    },
}

impl Denial {
    /// The word for logs and metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoTarget { .. } => "no-target",
        }
    }
}

impl Gate {
    pub(super) fn new(_config: &Config) -> Self {
        Self {}
    }

    /// Decides about a login.
    ///
    /// `encrypted` says whether TLS covers the whole connection.
    pub(super) async fn admit(
        &self,
        live: &Live,
        listener: &ListenerConfig,
        peer: &Peer,
        login: &Login7,
        encrypted: bool,
    ) -> Result<Admitted, Denial> {
        let _ = (peer, encrypted);
        let target = listener
            .target
            .as_ref()
            .and_then(|name| live.targets.get(name));
        let target = target.ok_or_else(|| Denial::NoTarget {
            listener: listener.name.clone(),
            login: login.user_name.clone(),
            database: login.database.clone(),
        })?;
        Ok(Admitted {
            route: Route::Target {
                target: Arc::clone(target),
                database: None,
            },
            user: login.user_name.clone(),
            admin: false,
        })
    }
}
