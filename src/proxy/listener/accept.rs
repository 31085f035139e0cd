//! Accepting clients, whatever happens.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::socket::{Accepted, Socket};
use crate::proxy::admission::{Crowd, Excess, Peer, Seat, Throttle};
use crate::proxy::client::ClientSocket;
use crate::proxy::config::Admission;
use crate::proxy::conn::{self, Stay};
use crate::proxy::shared::{Live, Shared};

/// How long to wait when the system cannot accept: as long as nothing is closed
/// it will not be able to either, and asking again at once would only heat.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What all listeners of a proxy have in common.
#[derive(Debug)]
pub(super) struct Door {
    crowd: Arc<Crowd>,
    /// Turns at reading the kernel's tables of sockets.
    tables: Semaphore,
    /// What the log says of errors, and of clients that are not even heard.
    errors: Throttle,
    unheard: Throttle,
}

impl Default for Door {
    fn default() -> Self {
        let window = Duration::from_secs(10);
        Self {
            crowd: Arc::default(),
            tables: Semaphore::new(1),
            errors: Throttle::new(3, window),
            unheard: Throttle::new(3, window),
        }
    }
}

/// Accepts clients until told to stop. Each is a task of its own from then on.
pub(super) async fn accept(
    socket: Arc<Socket>,
    name: Arc<str>,
    shared: Arc<Shared>,
    door: Arc<Door>,
    stop: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let error = match accepted {
            Ok(client) => {
                pause = FIRST_PAUSE;
                door.welcome(client, &name, &shared);
                continue;
            }
            Err(error) => error,
        };
        let kind = kind_of(&error);
        shared.stats.accept_error(&name, kind);
        if let Some(left_out) = door.errors.pass() {
            tracing::warn!(listener = &*name, kind, %error, left_out, "a client cannot be accepted");
        }
        if kind == CLIENT_GONE {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Door {
    /// Serves a client if there is room for it.
    fn welcome(self: &Arc<Self>, client: Accepted, name: &Arc<str>, shared: &Arc<Shared>) {
        let live = shared.live.load_full();
        match self.crowd.enter(&live.config.limits) {
            Some((seat, excess)) => {
                let (name, shared) = (Arc::clone(name), Arc::clone(shared));
                let door = Arc::clone(self);
                // What an arrival needs is far more than what a relay does: it is
                // in a box of its own, and gone while the client is idle.
                let arrival = Box::pin(async move {
                    let arrived = door.let_in(client, &name, shared, live, seat, excess);
                    arrived.await
                });
                tokio::spawn(async move {
                    let Some((_seat, stay)) = arrival.await else {
                        return;
                    };
                    stay.relay().await;
                });
            }
            None => self.turn_away(name, shared),
        }
    }

    /// Serves a client until it is in, if it gets there.
    async fn let_in(
        &self,
        client: Accepted,
        name: &Arc<str>,
        shared: Arc<Shared>,
        live: Arc<Live>,
        seat: Seat,
        excess: Option<Excess>,
    ) -> Option<(Seat, Stay)> {
        let (stream, mut peer) = match client {
            Accepted::Tcp(stream, address) => {
                let tables = self.needs_uids(name, &live).then_some(&self.tables);
                let peer = Peer::of_tcp(&stream, address, tables).await;
                (Accepted::Tcp(stream, address), peer)
            }
            #[cfg(unix)]
            Accepted::Unix(stream) => {
                let peer = Peer::of_unix(&stream);
                (Accepted::Unix(stream), peer)
            }
        };
        let Some((seat, more)) = seat.of(&peer, &live.config.limits) else {
            self.turn_away(name, &shared);
            return None;
        };
        // The client's task looks at the configuration for itself; this one
        // must not outlive a reload for as long as the client stays.
        drop(live);
        peer.excess = excess.or(more);
        let socket = match stream {
            Accepted::Tcp(stream, _) => ClientSocket::tcp(stream, peer),
            #[cfg(unix)]
            Accepted::Unix(stream) => ClientSocket::unix(stream, peer),
        };
        let stay = conn::arrive(socket, name, shared).await?;
        Some((seat, stay))
    }

    /// Whether a client's uid is worth reading long tables for.
    fn needs_uids(&self, name: &str, live: &Live) -> bool {
        live.listener(name).is_some_and(|listener| {
            matches!(
                listener.admission,
                Admission::SameUser | Admission::Listed { .. }
            )
        })
    }

    /// Says in the log, as nobody can tell the client, that it was not heard.
    fn turn_away(&self, name: &str, shared: &Shared) {
        shared.stats.denied("too-many-clients");
        if let Some(left_out) = self.unheard.pass() {
            tracing::warn!(
                listener = name,
                reason = "too-many-clients",
                left_out,
                "client closed unheard; raise limits.connections if they are wanted"
            );
        }
    }
}

/// The client gave up before it was accepted; the next one may be waiting.
const CLIENT_GONE: &str = "client-gone";

/// What kind of error accept met, for the metrics.
fn kind_of(error: &io::Error) -> &'static str {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return CLIENT_GONE;
    }
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let kinds = [
            (Errno::MFILE, "descriptors-of-process"),
            (Errno::NFILE, "descriptors-of-system"),
            (Errno::NOBUFS, "memory"),
            (Errno::NOMEM, "memory"),
            // Errors of the connection to come, as accept(2) says of Linux.
            (Errno::PROTO, CLIENT_GONE),
            (Errno::NETDOWN, CLIENT_GONE),
            (Errno::NETUNREACH, CLIENT_GONE),
            (Errno::HOSTUNREACH, CLIENT_GONE),
            (Errno::HOSTDOWN, CLIENT_GONE),
            (Errno::PERM, CLIENT_GONE),
        ];
        let number = error.raw_os_error();
        let known = kinds
            .iter()
            .find(|(errno, _)| Some(errno.raw_os_error()) == number);
        if let Some((_, kind)) = known {
            return kind;
        }
    }
    "other"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_what_lasts_is_waited_for() {
        use rustix::io::Errno;
        let kind = |errno: Errno| kind_of(&io::Error::from(errno));
        for errno in [
            Errno::CONNABORTED,
            Errno::INTR,
            Errno::PROTO,
            Errno::HOSTUNREACH,
        ] {
            assert_eq!(kind(errno), CLIENT_GONE, "{errno:?}");
        }
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::INVAL,
        ] {
            assert_ne!(kind(errno), CLIENT_GONE, "{errno:?}");
        }
    }
}
