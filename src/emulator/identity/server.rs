//! The routes of the identity endpoints, and injected faults.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;

use super::faults::{self, Endpoint};
use super::query::Query;
use super::{Identity, app_service, discovery, imds};
use crate::emulator::recorded::Requests;
use crate::emulator::{Faults, IdentityRequest, RequestKind};

/// The identity endpoints and Entra's public documents.
pub(crate) fn router(identity: Arc<Identity>, faults: Faults, recorded: Requests) -> Router {
    let shared = |endpoint| Shared {
        identity: identity.clone(),
        faults: faults.clone(),
        recorded: recorded.clone(),
        endpoint,
    };
    // Azure's libraries for JavaScript ask with a slash at the end.
    let imds = [
        "/metadata/identity/oauth2/token",
        "/metadata/identity/oauth2/token/",
    ]
    .into_iter()
    .fold(Router::new(), |router, path| {
        router.route(path, get(imds::token).fallback(imds::wrong_method))
    })
    .layer(from_fn_with_state(shared(Endpoint::Imds), watched));
    let app_service = Router::new()
        .route("/msi/token", get(app_service::token))
        .layer(from_fn_with_state(shared(Endpoint::AppService), watched));
    Router::new()
        .merge(imds)
        .merge(app_service)
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
        .with_state(identity)
}

#[derive(Clone)]
struct Shared {
    identity: Arc<Identity>,
    faults: Faults,
    recorded: Requests,
    endpoint: Endpoint,
}

/// Counts and records a token request around what answers it.
async fn watched(State(shared): State<Shared>, call: Request, next: Next) -> Response {
    let counts = shared.identity.counters.counts();
    match shared.endpoint {
        Endpoint::Imds => counts.imds_requests.add_one(),
        Endpoint::AppService => counts.app_service_requests.add_one(),
    }
    let ticket = shared.recorded.begin(describe(shared.endpoint, &call));
    let response = answer(&shared, call, next).await;
    shared.recorded.amend(ticket, |kind| {
        if let RequestKind::Identity(request) = kind {
            request.status = Some(response.status().as_u16());
        }
    });
    response
}

async fn answer(shared: &Shared, call: Request, next: Next) -> Response {
    let _place = match (shared.endpoint, shared.identity.admit()) {
        (Endpoint::Imds, Err(_)) => {
            return faults::status(Endpoint::Imds, StatusCode::TOO_MANY_REQUESTS, None);
        }
        (_, place) => place.ok().flatten(),
    };
    match shared.faults.take_identity() {
        None => next.run(call).await,
        Some(fault) => faults::perform(shared.endpoint, fault, call, next).await,
    }
}

fn describe(endpoint: Endpoint, call: &Request) -> RequestKind {
    const SELECTORS: [&str; 6] = [
        "client_id",
        "object_id",
        "principal_id",
        "msi_res_id",
        "mi_res_id",
        "clientid",
    ];
    let query = Query::parse(call.uri().query()).unwrap_or_default();
    let of = |name: &str| query.filled(name).map(str::to_owned);
    let agent = call.headers().get(header::USER_AGENT);
    RequestKind::Identity(IdentityRequest {
        endpoint: match endpoint {
            Endpoint::Imds => "imds",
            Endpoint::AppService => "app-service",
        },
        method: call.method().to_string(),
        resource: of("resource"),
        api_version: of("api-version"),
        selector: SELECTORS
            .iter()
            .find_map(|name| Some(((*name).to_owned(), of(name)?))),
        user_agent: agent.and_then(|v| v.to_str().ok()).map(str::to_owned),
        status: None,
    })
}
