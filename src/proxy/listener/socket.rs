//! A listening socket of either family.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::BoundAddress;
use super::tcp;
#[cfg(unix)]
use super::unix::{self, SocketFile};
use crate::proxy::ProxyError;
use crate::proxy::config::{ListenAddress, ListenerConfig};
use crate::proxy::inherited::{Inherited, InheritedSocket};

/// A listening socket. Its file, if it is ours, goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    kind: Kind,
    address: BoundAddress,
    #[cfg(unix)]
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connection just accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Listens where a listener is to: at one place, or on all sockets that were
    /// inherited under a name.
    pub(super) async fn open(
        listener: &ListenerConfig,
        inherited: &Inherited,
    ) -> Result<Vec<Arc<Self>>, ProxyError> {
        let opened = match &listener.address {
            ListenAddress::Tcp(address) => {
                tcp::listen(*address).and_then(|socket| Ok(vec![Self::tcp(socket)?]))
            }
            #[cfg(unix)]
            ListenAddress::Unix { path, mode } => unix::listen(path, *mode)
                .await
                .map(|(socket, file)| vec![Self::unix(socket, Some(file), path.clone())]),
            #[cfg(not(unix))]
            ListenAddress::Unix { .. } => Err(io::ErrorKind::Unsupported.into()),
            ListenAddress::Systemd(name) => adopt(name, inherited),
        };
        let sockets = opened.map_err(|source| ProxyError::Listen {
            listener: listener.name.clone(),
            address: listener.address.to_string(),
            source,
        })?;
        Ok(sockets.into_iter().map(Arc::new).collect())
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &BoundAddress {
        &self.address
    }

    /// Gives a Unix socket's file the mode that its listener has.
    pub(super) fn allow(&self, place: &ListenAddress) {
        #[cfg(unix)]
        if let (Some(file), ListenAddress::Unix { path, mode }) = (&self.file, place)
            && let Err(error) = file.allow(*mode)
        {
            tracing::warn!(path = %path.display(), %error, "the mode of the socket cannot be set");
        }
        #[cfg(not(unix))]
        let _ = place;
    }

    /// Waits for the next client.
    ///
    /// # Cancel safety
    /// No connection is lost.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.kind {
            Kind::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                Ok(Accepted::Tcp(stream, address))
            }
            #[cfg(unix)]
            Kind::Unix(socket) => Ok(Accepted::Unix(socket.accept().await?.0)),
        }
    }

    fn tcp(socket: TcpListener) -> io::Result<Self> {
        let address = BoundAddress::Tcp(socket.local_addr()?);
        Ok(Self {
            kind: Kind::Tcp(socket),
            address,
            #[cfg(unix)]
            file: None,
        })
    }

    #[cfg(unix)]
    fn unix(socket: UnixListener, file: Option<SocketFile>, path: std::path::PathBuf) -> Self {
        Self {
            kind: Kind::Unix(socket),
            address: BoundAddress::Unix(path),
            file,
        }
    }
}

/// Takes over all sockets that were inherited under a name. Their files, if any,
/// are not ours to remove.
fn adopt(name: &str, inherited: &Inherited) -> io::Result<Vec<Socket>> {
    let sockets = inherited.named(name)?;
    if sockets.is_empty() {
        let known = inherited.names().join(", ");
        let known = if known.is_empty() { "none" } else { &known };
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "no socket of that name was inherited; there are: {known} (FileDescriptorName= in \
                 the socket unit)"
            ),
        ));
    }
    sockets
        .into_iter()
        .map(|socket| match socket {
            InheritedSocket::Tcp(socket) => Socket::tcp(TcpListener::from_std(socket)?),
            #[cfg(unix)]
            InheritedSocket::Unix(socket) => {
                let address = socket.local_addr()?;
                let path = address.as_pathname().unwrap_or("(no path)".as_ref());
                let path = path.to_owned();
                Ok(Socket::unix(UnixListener::from_std(socket)?, None, path))
            }
        })
        .collect()
}
