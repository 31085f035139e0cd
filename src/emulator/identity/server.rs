//! The routes of the identity endpoints.

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};

use super::faults::{self, TRAP};
use super::watch::Watch;
use super::{Identity, app_service, discovery, imds};
use crate::emulator::recorded::Requests;
use crate::emulator::{Faults, Platform};

/// The identity endpoints and Entra's public documents.
pub(crate) fn router(identity: Arc<Identity>, faults: Faults, recorded: Requests) -> Router {
    let watch = Watch {
        identity: identity.clone(),
        faults,
        recorded,
    };
    platforms(&watch)
        .route(
            "/{tenant}/.well-known/openid-configuration",
            get(discovery::configuration_v1),
        )
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(discovery::configuration_v2),
        )
        .route("/{tenant}/discovery/keys", get(discovery::keys))
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys))
        .route(TRAP, any(faults::trap))
        .with_state(identity)
}

/// The token endpoints of the platforms.
fn platforms(watch: &Watch) -> Router<Arc<Identity>> {
    // Azure's libraries for JavaScript ask with a slash at the end.
    let imds = [
        "/metadata/identity/oauth2/token",
        "/metadata/identity/oauth2/token/",
    ]
    .into_iter()
    .fold(Router::new(), |router, path| {
        router.route(path, get(imds::token).fallback(imds::wrong_method))
    });
    let app_service = Router::new().route("/msi/token", get(app_service::token));
    Router::new()
        .merge(watch.over(Platform::Imds, imds))
        .merge(watch.over(Platform::AppService, app_service))
}
