//! The admin endpoint: HTTP on loopback that changes the emulator while it runs.
//!
//! It can do what the handle can, so it is well guarded: it listens on loopback only, takes requests
//! from no browser, and wants a key with each.

mod answers;
mod guard;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::counters::Counters;
use super::identity::Identity;
use super::recorded::Requests;
use super::sessions::Sessions;
use super::state_dir::StateDir;
use super::{EmulatorError, Engine, Faults};
use crate::Secret;
use guard::Guard;

/// The longest request is a list of faults.
const MAX_BODY: usize = 64 * 1024;
const KEY_FILE: &str = "admin.key";

/// What the endpoint acts on.
#[derive(Clone, Debug)]
pub(super) struct Controls {
    pub(super) sql_address: SocketAddr,
    /// The databases to name in states; `None` if a real server has them.
    pub(super) engine: Option<Engine>,
    pub(super) identity: Arc<Identity>,
    pub(super) faults: Faults,
    pub(super) sessions: Sessions,
    pub(super) recorded: Requests,
    pub(super) counters: Counters,
}

/// Where the endpoint is, and what opens it.
#[derive(Clone, Debug)]
pub(super) struct AdminAccess {
    pub(super) address: SocketAddr,
    pub(super) key: Secret,
}

/// The bound but not yet serving endpoint.
#[derive(Debug)]
pub(super) struct AdminServer {
    listener: TcpListener,
    pub(super) access: AdminAccess,
}

impl AdminServer {
    /// Binds the address, which must be loopback.
    pub(super) async fn bind(
        address: SocketAddr,
        state: Option<&StateDir>,
    ) -> Result<Self, EmulatorError> {
        if !address.ip().is_loopback() {
            return Err(EmulatorError::AdminNotLoopback { address });
        }
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bound.await.map_err(|source| EmulatorError::Bind {
            what: "the admin endpoint",
            address,
            source,
        })?;
        let key = key(state)?;
        Ok(Self {
            listener,
            access: AdminAccess { address, key },
        })
    }

    /// Serves until `shutdown`.
    pub(super) async fn run(self, controls: Controls, shutdown: CancellationToken) {
        let guard = Guard::new(self.access);
        let router = Router::new()
            .route("/status", get(answers::status))
            .route(
                "/faults",
                get(answers::faults)
                    .post(answers::add_faults)
                    .delete(answers::clear_faults),
            )
            .route("/faults/{id}", delete(answers::remove_fault))
            .route("/clock", get(answers::clock).post(answers::turn_clock))
            .route("/identity/down", post(answers::identity_down))
            .route("/identity/up", post(answers::identity_up))
            .route(
                "/databases/{name}/state",
                get(answers::state).post(answers::set_state),
            )
            .route("/sessions", get(answers::sessions))
            .route("/sessions/{spid}/kill", post(answers::kill))
            .route("/platforms", get(answers::platforms))
            .route("/platforms/{platform}/rotate", post(answers::rotate))
            .route("/tokens/revoke", post(answers::revoke))
            .route(
                "/requests",
                get(answers::requests).delete(answers::forget_requests),
            )
            .route("/reset", post(answers::reset))
            .fallback(answers::nothing_here)
            .method_not_allowed_fallback(answers::wrong_method)
            .with_state(controls)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(from_fn_with_state(Arc::new(guard), guard::check));
        tokio::select! {
            served = axum::serve(self.listener, router).into_future() => {
                if let Err(error) = served {
                    tracing::error!(%error, "the admin endpoint has ended");
                }
            }
            () = shutdown.cancelled() => {}
        }
    }
}

/// The key of the state folder, or a new one, which is kept there if there is a folder.
fn key(state: Option<&StateDir>) -> Result<Secret, EmulatorError> {
    let Some(state) = state else {
        return Ok(new_key());
    };
    if let Some(key) = state.read(KEY_FILE)? {
        let key = key.trim();
        if key.len() < 32 || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(state.damaged(KEY_FILE));
        }
        return Ok(Secret::new(key));
    }
    let key = new_key();
    state.write_private(KEY_FILE, key.expose())?;
    Ok(key)
}

fn new_key() -> Secret {
    Secret::new(format!(
        "{}{}",
        Uuid::new_v4().simple(),
        Uuid::new_v4().simple()
    ))
}
