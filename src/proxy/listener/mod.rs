//! Listening sockets, and the tasks that accept on them.

mod accept;
mod socket;
mod tcp;
#[cfg(unix)]
mod unix;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::accept::{Door, accept};
use self::socket::Socket;
use super::ProxyError;
use super::admission::guard;
use super::config::{Config, ListenAddress, ListenerConfig};
use super::inherited::Inherited;
use super::shared::Shared;

/// Where a listener really listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoundAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The listeners of a proxy.
#[derive(Debug)]
pub(super) struct Listening {
    open: Mutex<Vec<Open>>,
    door: Arc<Door>,
    tasks: TaskTracker,
}

/// Sockets for a configuration that is not in force yet. Dropping it closes
/// those that are new.
#[derive(Debug)]
pub(super) struct Prepared(Vec<Ready>);

/// A socket, and for whom it is.
#[derive(Clone, Debug)]
struct Ready {
    name: String,
    place: ListenAddress,
    socket: Arc<Socket>,
}

#[derive(Debug)]
struct Open {
    ready: Ready,
    stop: CancellationToken,
}

impl Listening {
    /// Listens wherever a configuration says.
    pub(super) async fn open(config: &Config, shared: &Arc<Shared>) -> Result<Self, ProxyError> {
        let listening = Self {
            open: Mutex::default(),
            door: Arc::default(),
            tasks: TaskTracker::new(),
        };
        let prepared = listening.prepare(config, &shared.inherited).await?;
        listening.commit(prepared, shared);
        Ok(listening)
    }

    /// Opens the sockets that a new configuration has and the one in force has
    /// not. An error leaves everything as it was.
    ///
    /// # Errors
    /// Which address cannot be listened on, or must not be for want of TLS and
    /// passwords.
    pub(super) async fn prepare(
        &self,
        config: &Config,
        inherited: &Inherited,
    ) -> Result<Prepared, ProxyError> {
        let mut kept: Vec<_> = self.lock().iter().map(|open| open.ready.clone()).collect();
        let mut prepared = Vec::new();
        for listener in &config.listeners {
            let place = &listener.address;
            let sockets = match take(&mut kept, place) {
                sockets if !sockets.is_empty() => sockets,
                _ => {
                    if let ListenAddress::Tcp(address) = place {
                        // Before the socket is there: nobody gets as far as
                        // connecting to what must not be open.
                        guard(listener, &BoundAddress::Tcp(*address), None, 1)?;
                    }
                    Socket::open(listener, inherited).await?
                }
            };
            for socket in sockets {
                check(listener, &socket, config)?;
                prepared.push(Ready {
                    name: listener.name.clone(),
                    place: place.clone(),
                    socket,
                });
            }
        }
        Ok(Prepared(prepared))
    }

    /// Accepts on the sockets of a configuration that has come into force, and
    /// on no other. Clients that are connected go on.
    pub(super) fn commit(&self, prepared: Prepared, shared: &Arc<Shared>) {
        let mut open = self.lock();
        let mut before = std::mem::take(&mut *open);
        for ready in prepared.0 {
            ready.socket.allow(&ready.place);
            let same = |it: &Open| {
                Arc::ptr_eq(&it.ready.socket, &ready.socket) && it.ready.name == ready.name
            };
            let stop = match before.iter().position(same) {
                Some(place) => before.swap_remove(place).stop,
                None => self.accept(&ready, shared),
            };
            open.push(Open { ready, stop });
        }
        for gone in before {
            gone.stop.cancel();
        }
    }

    /// The address of each listener, by its name.
    pub(super) fn addresses(&self) -> Vec<(String, BoundAddress)> {
        let open = self.lock();
        let address = |open: &Open| (open.ready.name.clone(), open.ready.socket.address().clone());
        open.iter().map(address).collect()
    }

    /// Has the sockets closed and their files removed, without waiting for it.
    pub(super) fn stop(&self) {
        for open in std::mem::take(&mut *self.lock()) {
            open.stop.cancel();
        }
    }

    /// Closes the sockets and removes their files.
    ///
    /// # Cancel safety
    /// Everything is closed, if a moment later.
    pub(super) async fn close(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn accept(&self, ready: &Ready, shared: &Arc<Shared>) -> CancellationToken {
        let stop = CancellationToken::new();
        self.tasks.spawn(accept(
            Arc::clone(&ready.socket),
            ready.name.as_str().into(),
            Arc::clone(shared),
            Arc::clone(&self.door),
            stop.clone(),
        ));
        stop
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes out what is open at a place already: the one socket, or all those that
/// were inherited under its name.
fn take(kept: &mut Vec<Ready>, place: &ListenAddress) -> Vec<Arc<Socket>> {
    let here = |ready: &mut Ready| match (&ready.place, place) {
        (ListenAddress::Unix { path: one, .. }, ListenAddress::Unix { path: other, .. }) => {
            one == other
        }
        (one, other) => one == other,
    };
    if matches!(place, ListenAddress::Systemd(_)) {
        return kept
            .extract_if(.., here)
            .map(|ready| ready.socket)
            .collect();
    }
    let first = kept.iter_mut().position(here);
    first
        .map(|index| kept.remove(index).socket)
        .into_iter()
        .collect()
}

/// Refuses a socket that is too open for its listener, and warns of what is
/// risky.
fn check(listener: &ListenerConfig, socket: &Socket, config: &Config) -> Result<(), ProxyError> {
    let mode = match &listener.address {
        ListenAddress::Unix { mode, .. } => Some(*mode),
        _ => None,
    };
    let risk = guard(listener, socket.address(), mode, config.users.len())?;
    if let Some(risk) = risk {
        tracing::warn!(listener = listener.name, address = %socket.address(), "{risk}");
    }
    Ok(())
}
