//! The front desk: who is asked for, by the host that a request names.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::connect::Tunnels;
use super::hosts::{Played, is_played, played};
use super::listeners::Line;

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

/// The name that a request was sent to.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Host {
    /// Without the port, in lower case.
    pub(in crate::emulator) name: Arc<str>,
    /// With the port, as it was sent.
    pub(in crate::emulator) authority: Arc<str>,
    /// Whether it was sent by HTTPS.
    pub(in crate::emulator) encrypted: bool,
}

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
    let authority = authority_of(&call);
    let line = call.extensions().get::<ConnectInfo<Line>>();
    let host = Host {
        name: name_of(&authority).into(),
        encrypted: line.is_some_and(|ConnectInfo(line)| line.encrypted),
        authority: authority.into(),
    };
    let name = host.name.clone();
    if !host.encrypted && is_played(&name) {
        return unencrypted(&name);
    }
    call.extensions_mut().insert(host);
    let service = match played(&name) {
        Played::Entra => desk.services.entra,
        Played::Issuer(_) => desk.services.issuers,
        Played::Vault(_) => desk.services.vaults,
    };
    service.oneshot(call).await.into_response()
}

/// Nobody gets secrets under a real name in clear, neither from Azure nor here.
fn unencrypted(name: &str) -> Response {
    let words = format!("{name} is there by HTTPS only.\n");
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (StatusCode::FORBIDDEN, plain, words).into_response()
}

fn authority_of(call: &Request) -> String {
    let named = call.headers().get(header::HOST);
    let named = named.and_then(|value| value.to_str().ok());
    let in_uri = call.uri().authority().map(|authority| authority.as_str());
    in_uri.or(named).unwrap_or_default().to_owned()
}

fn name_of(authority: &str) -> String {
    let parsed: Option<Authority> = authority.parse().ok();
    let name = parsed.as_ref().map_or("", |authority| authority.host());
    name.to_ascii_lowercase()
}
