//! Entra's token endpoint for applications, and what libraries ask before they use it.

mod application;
mod assertion;
mod discovery;
mod form;
mod jwt;
mod refusal;
mod scope;
mod token;

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::routing::{get, post};
use uuid::Uuid;

pub use application::{Application, FederatedCredential};
pub(super) use token::BINDING_AUDIENCE;

use super::Faults;
use super::identity::{EXCHANGE_AUDIENCE, Identity};
use super::recorded::Requests;

/// The applications of one tenant. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Applications {
    all: Arc<RwLock<Vec<Application>>>,
}

impl Applications {
    pub(super) fn new(all: Vec<Application>) -> Self {
        Self {
            all: Arc::new(RwLock::new(all)),
        }
    }

    pub(super) fn all(&self) -> Vec<Application> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }

    /// Adds an application, in place of one with the same client id.
    pub(super) fn insert(&self, application: Application) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.client_id != application.client_id);
        all.push(application);
    }

    fn find(&self, client_id: Uuid) -> Option<Application> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .find(|known| known.client_id == client_id)
            .cloned()
    }
}

/// What the token endpoint works with.
#[derive(Clone, Debug)]
pub(super) struct Entra {
    pub(super) identity: Arc<Identity>,
    pub(super) applications: Applications,
    pub(super) faults: Faults,
    pub(super) recorded: Requests,
}

/// The routes of the login hosts that the identity endpoints' do not have.
pub(super) fn router(entra: Entra) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token::token))
        .route("/common/discovery/instance", get(discovery::instance))
        .with_state(entra)
}
