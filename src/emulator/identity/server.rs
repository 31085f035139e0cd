//! The routes of the identity endpoints.

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};

use super::faults::{self, TRAP};
use super::platforms::path;
use super::watch::Watch;
use super::{
    Identity, app_service, app_service_2017, arc, automation, cloud_shell, container_instances,
    discovery, imds, machine_learning, service_fabric,
};
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
    Platform::ALL
        .into_iter()
        .fold(Router::new(), |all, platform| {
            let endpoint = match platform {
                Platform::AppService => get(app_service::token),
                Platform::AppService2017 => get(app_service_2017::token),
                Platform::Arc => get(arc::token),
                Platform::Automation => get(automation::token).post(automation::token),
                Platform::CloudShell => post(cloud_shell::token),
                Platform::ContainerInstancesWindows => get(container_instances::token),
                Platform::Imds => get(imds::token).fallback(imds::wrong_method),
                Platform::MachineLearning => get(machine_learning::token),
                Platform::ServiceFabric => get(service_fabric::token),
            };
            let path = path(platform);
            let mut routes = Router::new().route(path, endpoint.clone());
            if platform == Platform::Imds {
                // Azure's libraries for JavaScript ask with a slash at the end.
                routes = routes.route(&format!("{path}/"), endpoint);
            }
            all.merge(watch.over(platform, routes))
        })
}
