//! Metrics, health and the status page over HTTP, for whoever is on this machine.
//!
//! Nothing can be changed here and nothing shown is a secret, but it tells who
//! is connected: every local user who reaches the port can read that.

mod guard;
mod health;
mod history;
mod metrics;
mod page;
mod serve;
mod status;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::shared::Shared;
use super::{BoundAddress, ProxyError};
use health::Health;
use history::History;
use status::Status;

/// The running endpoint. Dropping it closes its socket and ends its clients.
#[derive(Debug)]
pub(super) struct Admin {
    address: SocketAddr,
    desk: Desk,
    _stop: DropGuard,
}

/// What the answers are made of.
#[derive(Clone, Debug)]
struct Desk {
    shared: Arc<Shared>,
    listening: Arc<ArcSwap<Vec<(String, BoundAddress)>>>,
    history: Arc<History>,
    health: Arc<Health>,
}

impl Admin {
    /// Listens at the address and serves from then on.
    ///
    /// # Errors
    /// The address is not loopback, or cannot be listened on.
    pub(super) async fn start(
        address: SocketAddr,
        shared: Arc<Shared>,
        listening: Vec<(String, BoundAddress)>,
    ) -> Result<Self, ProxyError> {
        if !address.ip().is_loopback() {
            return Err(ProxyError::AdminNotLoopback { address });
        }
        let bound = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        let (socket, address) = bound.await.map_err(|source| ProxyError::Listen {
            listener: "admin".to_owned(),
            address: address.to_string(),
            source,
        })?;
        let desk = Desk {
            history: Arc::new(History::new(&shared)),
            health: Arc::default(),
            listening: Arc::new(ArcSwap::from_pointee(listening)),
            shared,
        };
        let stop = CancellationToken::new();
        tokio::spawn(serve::serve(socket, router(desk.clone()), stop.clone()));
        let (history, shared) = (Arc::clone(&desk.history), Arc::clone(&desk.shared));
        let sampling = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = sampling.cancelled() => {}
                () = history.keep(&shared) => {}
            }
        });
        Ok(Self {
            address,
            desk,
            _stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A reload has changed where clients connect.
    pub(super) fn listeners_are(&self, listening: Vec<(String, BoundAddress)>) {
        self.desk.listening.store(Arc::new(listening));
    }
}

fn router(desk: Desk) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/status.json", get(status_json))
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "there is /, /status.json, /metrics, /livez and /readyz\n",
            )
        })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "only GET\n") })
        .with_state(desk)
        .layer(from_fn(guard::check))
}

async fn status_page(State(desk): State<Desk>) -> Response {
    page::render(&Status::now(&desk)).into_response()
}

async fn status_json(State(desk): State<Desk>) -> Response {
    Json(Status::now(&desk)).into_response()
}

async fn metrics(State(desk): State<Desk>) -> Response {
    match metrics::text(&desk.shared) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(desk): State<Desk>) -> Response {
    let report = desk.health.check(&desk.shared).await;
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}
