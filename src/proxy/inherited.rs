//! Listening sockets that somebody else has opened, such as systemd.

use std::io;
use std::net::TcpListener;
#[cfg(unix)]
use std::os::unix::net::UnixListener;

/// Listening sockets that the program was given by name: systemd's socket units
/// do, by `FileDescriptorName=`. A name may stand for several.
///
/// They stay open as long as the proxy runs, whatever a reload says.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(String, InheritedSocket)>);

/// A listening socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum InheritedSocket {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket. Its file is not ours to remove.
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Inherited {
    /// No sockets.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a socket under a name.
    ///
    /// # Errors
    /// What the system says if it cannot be used without blocking.
    pub fn add(&mut self, name: impl Into<String>, socket: InheritedSocket) -> io::Result<()> {
        match &socket {
            InheritedSocket::Tcp(socket) => socket.set_nonblocking(true)?,
            #[cfg(unix)]
            InheritedSocket::Unix(socket) => socket.set_nonblocking(true)?,
        }
        self.0.push((name.into(), socket));
        Ok(())
    }

    /// The sockets of that name, as handles of the caller's own.
    pub(super) fn named(&self, name: &str) -> io::Result<Vec<InheritedSocket>> {
        let fitting = self.0.iter().filter(|(known, _)| known == name);
        fitting
            .map(|(_, socket)| {
                Ok(match socket {
                    InheritedSocket::Tcp(socket) => InheritedSocket::Tcp(socket.try_clone()?),
                    #[cfg(unix)]
                    InheritedSocket::Unix(socket) => InheritedSocket::Unix(socket.try_clone()?),
                })
            })
            .collect()
    }

    /// The names that there are, for those who look for another.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}
