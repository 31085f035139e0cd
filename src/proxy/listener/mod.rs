//! Listening sockets, and the tasks that accept on them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Peer;
use super::client::ClientSocket;
use super::config::{Config, ListenAddress, ListenerConfig};
use super::shared::Shared;
use super::{ProxyError, conn};

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
    bound: Vec<(String, BoundAddress)>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Listening {
    pub(super) async fn open(config: &Config, shared: &Arc<Shared>) -> Result<Self, ProxyError> {
        let mut listening = Self {
            bound: Vec::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        for listener in &config.listeners {
            listening.listen(listener, shared).await?;
        }
        Ok(listening)
    }

    pub(super) fn addresses(&self) -> Vec<(String, BoundAddress)> {
        self.bound.clone()
    }

    /// Has the sockets closed, without waiting for it.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Closes the sockets.
    pub(super) async fn close(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn listen(
        &mut self,
        config: &ListenerConfig,
        shared: &Arc<Shared>,
    ) -> Result<(), ProxyError> {
        let wrong = |address: &dyn fmt::Display, source| ProxyError::Listen {
            listener: config.name.clone(),
            address: address.to_string(),
            source,
        };
        let ListenAddress::Tcp(address) = &config.address else {
            return Err(wrong(
                &"this address",
                std::io::ErrorKind::Unsupported.into(),
            ));
        };
        let socket = TcpListener::bind(address)
            .await
            .map_err(|source| wrong(address, source))?;
        let bound = socket
            .local_addr()
            .map_err(|source| wrong(address, source))?;
        self.bound
            .push((config.name.clone(), BoundAddress::Tcp(bound)));
        let accepting = accept(
            socket,
            config.name.clone(),
            Arc::clone(shared),
            self.stop.clone(),
        );
        self.tasks.spawn(accepting);
        Ok(())
    }
}

async fn accept(socket: TcpListener, name: String, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        if let Ok((stream, peer)) = accepted {
            let socket = ClientSocket::tcp(stream, Peer::tcp(peer));
            tokio::spawn(conn::serve(socket, name.clone(), Arc::clone(&shared)));
        }
    }
}
