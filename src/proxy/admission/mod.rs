//! Who may connect, and where it is taken: decided before anything is dialled.

use std::sync::Arc;

use super::config::{Config, ListenerConfig};
use super::shared::Live;
use super::targets::TargetEntry;
use crate::tds::Login7;

/// Decides by what the configuration says.
#[derive(Debug)]
pub(super) struct Gate {}

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
    pub(super) async fn admit(
        &self,
        live: &Live,
        listener: &ListenerConfig,
        login: &Login7,
    ) -> Result<Route, Denial> {
        let target = listener
            .target
            .as_ref()
            .and_then(|name| live.targets.get(name));
        let target = target.ok_or_else(|| Denial::NoTarget {
            listener: listener.name.clone(),
            login: login.user_name.clone(),
            database: login.database.clone(),
        })?;
        Ok(Route::Target {
            target: Arc::clone(target),
            database: None,
        })
    }
}
