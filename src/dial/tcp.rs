//! From a host's name to a connected socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::target::{IpPreference, LoginOptions};

/// How long an address may stay silent before the next one is tried beside it
/// (RFC 8305, 5: "Connection Attempt Delay").
const STAGGER: Duration = Duration::from_millis(250);
/// No more addresses of a name than this are tried; Microsoft's drivers stop
/// at the same number.
const MAX_ADDRESSES: usize = 64;

/// Why no socket could be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TcpError {
    /// The name did not resolve.
    #[error("the name `{host}` cannot be resolved; check its spelling and this machine's DNS")]
    Resolve {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The name resolved to nothing.
    #[error("the name `{host}` has no address; check its DNS records")]
    NoAddress {
        /// The name asked for.
        host: String,
    },
    /// No address took the connection.
    #[error("no address of `{host}` can be reached on port {port}: {}; {}", list(.failures), hint(.failures))]
    Unreachable {
        /// The name asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// Each address that was tried, and what came of it.
        failures: Vec<AddressFailure>,
    },
}

/// One address that did not take a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AddressFailure {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system said.
    pub error: Arc<io::Error>,
}

impl fmt::Display for AddressFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.error)
    }
}

/// How sockets are opened.
#[derive(Debug, Clone)]
pub(super) struct TcpOptions {
    pub(super) preference: IpPreference,
    /// All addresses at once instead of one after the other.
    pub(super) parallel: bool,
    pub(super) keep_alive: Option<Duration>,
    pub(super) keep_alive_interval: Duration,
}

impl From<&LoginOptions> for TcpOptions {
    fn from(login: &LoginOptions) -> Self {
        Self {
            preference: login.ip_preference,
            parallel: login.multi_subnet_failover,
            keep_alive: login.keep_alive,
            keep_alive_interval: login.keep_alive_interval,
        }
    }
}

/// All addresses of a name in the order in which they are to be tried.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    preference: IpPreference,
) -> Result<Vec<SocketAddr>, TcpError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| TcpError::Resolve {
            host: host.to_owned(),
            source: Arc::new(source),
        })?;
    let mut addresses = in_order(found, preference);
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        return Err(TcpError::NoAddress {
            host: host.to_owned(),
        });
    }
    Ok(addresses)
}

/// The first address that takes the connection; the others are let go.
///
/// Addresses start one after the other, each when the one before has failed or
/// has been silent for a quarter of a second, so that a dead address costs
/// little. With `parallel` (MultiSubnetFailover) all start at once.
pub(super) async fn connect(
    host: &str,
    port: u16,
    addresses: &[SocketAddr],
    options: &TcpOptions,
) -> Result<TcpStream, TcpError> {
    let mut waiting = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    if options.parallel {
        attempts.extend(waiting.by_ref().map(|address| attempt(address, options)));
    }
    loop {
        match waiting.next() {
            Some(address) => attempts.push(attempt(address, options)),
            None if attempts.is_empty() => {
                return Err(TcpError::Unreachable {
                    host: host.to_owned(),
                    port,
                    failures,
                });
            }
            None => {}
        }
        // Either way out of here it is the next address's turn.
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(socket) => return Ok(socket),
                Err(failure) => failures.push(failure),
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

pub(super) async fn attempt(
    address: SocketAddr,
    options: &TcpOptions,
) -> Result<TcpStream, AddressFailure> {
    open(address, options)
        .await
        .map_err(|error| AddressFailure {
            address,
            error: Arc::new(error),
        })
}

async fn open(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_nodelay(true)?;
    if let Some(idle) = options.keep_alive {
        let probes = TcpKeepalive::new()
            .with_time(idle)
            .with_interval(options.keep_alive_interval);
        SockRef::from(&socket).set_tcp_keepalive(&probes)?;
    }
    socket.connect(address).await
}

/// Alternates the families, the preferred one first (RFC 8305, 4).
fn in_order(found: impl Iterator<Item = SocketAddr>, preference: IpPreference) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    let v4_first = match preference {
        IpPreference::Ipv4First => true,
        IpPreference::Ipv6First => false,
        _ => all.first().is_none_or(SocketAddr::is_ipv4),
    };
    let (first, second): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|address| address.is_ipv4() == v4_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        match (first.next(), second.next()) {
            (None, None) => return ordered,
            (a, b) => ordered.extend(a.into_iter().chain(b)),
        }
    }
}

fn list(failures: &[AddressFailure]) -> String {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn hint(failures: &[AddressFailure]) -> &'static str {
    let refused =
        |failure: &AddressFailure| failure.error.kind() == io::ErrorKind::ConnectionRefused;
    if !failures.is_empty() && failures.iter().all(refused) {
        "nothing listens there: check the server's name, its port and that it runs"
    } else {
        "check the network, the firewalls between, and the port"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn options(parallel: bool) -> TcpOptions {
        TcpOptions {
            preference: IpPreference::Ipv4First,
            parallel,
            keep_alive: Some(Duration::from_secs(30)),
            keep_alive_interval: Duration::from_secs(1),
        }
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// A port that was free a moment ago, so that nothing listens on it.
    async fn closed() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    #[test]
    fn families_alternate_with_the_preferred_one_first() {
        let found = addresses(&[
            "10.0.0.1:1",
            "10.0.0.2:1",
            "[::1]:1",
            "10.0.0.3:1",
            "10.0.0.1:1",
        ]);
        let v4 = in_order(found.iter().copied(), IpPreference::Ipv4First);
        assert_eq!(
            v4,
            addresses(&["10.0.0.1:1", "[::1]:1", "10.0.0.2:1", "10.0.0.3:1"])
        );
        let v6 = in_order(found.iter().copied(), IpPreference::Ipv6First);
        assert_eq!(
            v6,
            addresses(&["[::1]:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"])
        );
        let platform = in_order(found.into_iter(), IpPreference::PlatformDefault);
        assert_eq!(platform, v4);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let living = listener.local_addr().unwrap();
        for parallel in [false, true] {
            let all = [closed().await, living];
            let socket = connect("db", 1, &all, &options(parallel)).await.unwrap();
            assert_eq!(socket.peer_addr().unwrap(), living);
            assert!(socket.nodelay().unwrap());
            let view = SockRef::from(&socket);
            assert!(view.keepalive().unwrap());
            assert_eq!(view.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
            assert_eq!(
                view.tcp_keepalive_interval().unwrap(),
                Duration::from_secs(1)
            );
        }
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hide_a_living_one() {
        // A listener whose queue is full answers nothing, as a lost packet does.
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = silent.listen(1).unwrap();
        let address = silent.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(socket)) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            held.push(socket);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let living = listener.local_addr().unwrap();
        for parallel in [false, true] {
            let socket = connect("db", 1, &[address, living], &options(parallel))
                .await
                .unwrap();
            assert_eq!(socket.peer_addr().unwrap(), living);
        }
    }

    #[tokio::test]
    async fn every_failing_address_is_named() {
        let all = [closed().await, closed().await];
        let error = connect("db.example", 1433, &all, &options(false))
            .await
            .unwrap_err();
        let text = error.to_string();
        for address in all {
            assert!(text.contains(&address.to_string()), "{text}");
        }
        assert!(text.contains("nothing listens there"), "{text}");
        assert!(matches!(error, TcpError::Unreachable { failures, .. } if failures.len() == 2));
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        let all = resolve("::1", 7, IpPreference::Ipv4First).await.unwrap();
        assert_eq!(all, addresses(&["[::1]:7"]));
    }

    #[tokio::test]
    async fn an_unknown_name_is_named() {
        let error = resolve("no-such-host.invalid", 1433, IpPreference::Ipv4First)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no-such-host.invalid"));
        assert!(std::error::Error::source(&error).is_some());
    }
}
