//! The SQL gateway: listeners, and one task per connection.

mod authenticate;
mod azure_errors;
mod certificates;
mod error;
mod fed_auth;
mod incoming;
mod judged;
mod load;
mod login;
mod login_only;
mod login_record;
mod login_response;
mod messages;
mod packet_io;
mod prelogin;
mod relay;
mod requests;
mod settings;
mod stream;
mod tls;
mod trouble;

#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use certificates::Certificates;
pub use settings::EncryptionPolicy;
pub(super) use settings::Settings;

use super::backend::Backing;
use super::counters::Counters;
use super::identity::Identity;
use super::recorded::Requests;
use super::sessions::Sessions;
use super::{EmulatorError, Faults, InMemoryDirectory};
use error::ConnectionError;
use login::{LoggedIn, Role};
use stream::ClientStream;
use tls::Acceptors;

/// A request may be as long as SQL Server's longest batch at the default packet size is not: 64 MiB.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// What all connections share.
pub(super) struct Shared {
    settings: Settings,
    acceptors: Acceptors,
    identity: Arc<Identity>,
    directory: InMemoryDirectory,
    backend: Backing,
    faults: Faults,
    counters: Counters,
    sessions: Sessions,
    recorded: Requests,
    /// Where redirected logins go.
    node: SocketAddr,
    max_message: usize,
    places: Arc<Semaphore>,
}

/// The bound but not yet serving gateway.
pub(super) struct Gateway {
    public: TcpListener,
    node: TcpListener,
    address: SocketAddr,
    node_address: SocketAddr,
}

/// What the gateway works with.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) identity: Arc<Identity>,
    pub(super) directory: InMemoryDirectory,
    pub(super) backend: Backing,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
    pub(super) sessions: Sessions,
    pub(super) recorded: Requests,
}

impl Gateway {
    /// Binds the public address, and another port of the same interface for the redirect node.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, EmulatorError> {
        let (public, address) = listen("the SQL gateway", address).await?;
        let (node, node_address) =
            listen("the redirect node", SocketAddr::new(address.ip(), 0)).await?;
        Ok(Self {
            public,
            node,
            address,
            node_address,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, on tasks that `tasks` knows.
    pub(super) fn start(
        self,
        parts: Parts,
        certificates: &Certificates,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<(), EmulatorError> {
        let shared = Arc::new(Shared {
            acceptors: Acceptors::new(certificates)?,
            node: self.node_address,
            max_message: MAX_MESSAGE,
            places: Arc::new(Semaphore::new(parts.settings.max_connections)),
            settings: parts.settings,
            identity: parts.identity,
            directory: parts.directory,
            backend: parts.backend,
            faults: parts.faults,
            counters: parts.counters,
            sessions: parts.sessions,
            recorded: parts.recorded,
        });
        for (listener, role) in [(self.public, Role::Gateway), (self.node, Role::Node)] {
            let accept = accept(
                listener,
                shared.clone(),
                role,
                tasks.clone(),
                shutdown.clone(),
            );
            tasks.spawn(accept);
        }
        Ok(())
    }
}

async fn listen(
    what: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), EmulatorError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source| EmulatorError::Bind {
        what,
        address,
        source,
    })
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    role: Role,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let (shared, shutdown) = (shared.clone(), shutdown.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = connection(tcp, peer, shared, role) => {}
                        () = shutdown.cancelled() => {}
                    }
                });
            }
            // Out of sockets, most likely: those in use must be given back first.
            Err(error) => {
                tracing::warn!(
                    %error,
                    "cannot accept a connection; a session needs about six file descriptors, so raise \
                     their limit (ulimit -n) if it is that"
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(tcp: TcpStream, peer: SocketAddr, shared: Arc<Shared>, role: Role) {
    shared.counters.counts().connections.add_one();
    let Ok(_place) = shared.places.clone().try_acquire_owned() else {
        tracing::warn!(%peer, "too many connections");
        return;
    };
    let _ = tcp.set_nodelay(true);
    if let Err(error) = serve(tcp, peer, &shared, role).await {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::debug!(%peer, ?role, %error, cause, "a connection ended");
    }
}

async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    role: Role,
) -> Result<(), ConnectionError> {
    let stream = ClientStream::new(tcp, shared.faults.take_slow_bytes());
    let login = login::log_in(stream, peer, shared, role);
    let logged_in = tokio::time::timeout(shared.settings.login_timeout, login)
        .await
        .map_err(|_| ConnectionError::LoginDeadline)??;
    let _open = shared.counters.open_session();
    match logged_in {
        LoggedIn::Embedded(established) => requests::serve_until_killed(*established, shared).await,
        LoggedIn::Forwarded(forwarded) => relay::serve_until_killed(*forwarded, shared).await,
    }
}
