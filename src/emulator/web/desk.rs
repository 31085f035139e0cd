//! The front desk: who is asked for, by the host that a request names.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::connect::Tunnels;
use super::hosts::{Played, played};

/// The longest request is a form with an assertion that carries a chain of certificates.
const MAX_BODY: usize = 256 * 1024;

/// What is behind the front desk.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Services {
    /// Identity endpoints and Entra.
    pub(in crate::emulator) entra: Router,
    /// Those who issue tokens for pipelines and pods.
    pub(in crate::emulator) issuers: Router,
    /// Key Vault.
    pub(in crate::emulator) vaults: Router,
}

/// The name that a request was sent to, without the port, in lower case.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Host(pub(in crate::emulator) Arc<str>);

#[derive(Clone)]
struct Desk {
    services: Services,
    tunnels: Tunnels,
}

pub(super) fn router(services: Services, https: SocketAddr, cut: CancellationToken) -> Router {
    let desk = Desk {
        services,
        tunnels: Tunnels::new(https, cut),
    };
    Router::new()
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(from_fn_with_state(desk, direct))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn direct(State(desk): State<Desk>, mut call: Request, _: Next) -> Response {
    if call.method() == Method::CONNECT {
        return desk.tunnels.open(call);
    }
    let host = host_of(&call);
    call.extensions_mut().insert(Host(host.as_str().into()));
    let service = match played(&host) {
        Played::Entra => desk.services.entra,
        Played::Issuer(_) => desk.services.issuers,
        Played::Vault(_) => desk.services.vaults,
    };
    service.oneshot(call).await.into_response()
}

fn host_of(call: &Request) -> String {
    let named = call.headers().get(header::HOST);
    let named = named.and_then(|value| value.to_str().ok());
    let host = call.uri().host().map(str::to_owned).or_else(|| {
        let authority: Uri = named?.parse().ok()?;
        authority.host().map(str::to_owned)
    });
    host.unwrap_or_default().to_ascii_lowercase()
}
