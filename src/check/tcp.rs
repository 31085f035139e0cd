//! TCP: which of the server's addresses take a connection.

use std::io;
use std::net::SocketAddr;

use super::advice::span;
use super::finding::{Failed, Finding, Kind};
use crate::dial::walk::{Channel, Reached, Unreached, Walk};

/// More addresses than this are not tried.
const MAX_ADDRESSES: usize = 16;
/// Azure SQL's port.
const AZURE: u16 = 1433;

pub(super) async fn check(
    walk: &Walk,
    addresses: &[SocketAddr],
    finding: &mut Finding,
) -> Result<Channel, Failed> {
    let tried = addresses.get(..MAX_ADDRESSES).unwrap_or(addresses);
    let reached = walk.connect(tried).await;
    let shown: Vec<String> = reached.iter().map(shown).collect();
    finding.fact("addresses", shown.clone());
    finding.saw(shown.join(", "));
    let silent = reached
        .iter()
        .any(|one| matches!(one.outcome, Err(Unreached::Silent)));
    let refused = !reached.is_empty() && reached.iter().all(is_refused);
    let some_failed = reached.iter().any(|one| one.outcome.is_err());
    let first = reached.into_iter().find_map(|one| one.outcome.ok());
    let Some(socket) = first else {
        let port = tried.first().map_or(0, SocketAddr::port);
        return Err(failed(&walk.place(), port, refused, silent));
    };
    if some_failed {
        finding.warn(
            "not every address of the name takes connections, so some logins start late",
            "take addresses that are not in use out of DNS, or let the firewall pass all of them",
        );
    }
    Ok(Channel::Bare(socket))
}

fn failed(place: &str, port: u16, refused: bool, silent: bool) -> Failed {
    if refused {
        let fix = if port == AZURE {
            "check that the server's name is right and that it runs; a firewall that rejects says the same".to_owned()
        } else {
            format!(
                "check the port: Azure SQL and most servers use {AZURE}, and the connection string says {port}"
            )
        };
        let cause = format!("nothing listens at {place}: the connection is refused");
        return Failed::new(Kind::Network, cause, fix);
    }
    if silent {
        return Failed::new(
            Kind::Network,
            format!(
                "no answer from {place}: a firewall drops the packets, or nothing is at that address"
            ),
            format!(
                "let this machine out to port {port} of the server (company firewall, network security group, proxy); Azure SQL's own firewall would answer with error 40615"
            ),
        );
    }
    Failed::new(
        Kind::Network,
        format!("{place} cannot be reached from this machine"),
        "check this machine's network and routes (VPN, private endpoint, IPv6 without a way out)",
    )
}

fn is_refused(one: &Reached) -> bool {
    matches!(&one.outcome, Err(Unreached::Failed(failure)) if failure.error.kind() == io::ErrorKind::ConnectionRefused)
}

fn shown(one: &Reached) -> String {
    let (address, took) = (one.address, span(one.took));
    match &one.outcome {
        Ok(_) => format!("{address} connected in {took}"),
        Err(Unreached::Silent) => format!("{address} silent for {took}"),
        Err(Unreached::Failed(failure)) => format!("{address} failed: {}", failure.error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::check::Outcome;
    use crate::target::{Auth, Server, Target};

    #[tokio::test]
    async fn one_address_of_two_that_fails_is_a_warning() {
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bad = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [bad.local_addr().unwrap(), good.local_addr().unwrap()];
        drop(bad);
        let target = Target::new(Server::new("localhost"), Auth::Callback);
        let walk = Walk::new(target, Duration::from_secs(15)).unwrap();
        let mut finding = Finding::new("tcp");
        let channel = check(&walk, &addresses, &mut finding).await.ok().unwrap();
        let Channel::Bare(socket) = channel else {
            panic!("TLS before anybody asked for it")
        };
        assert_eq!(socket.peer_addr().unwrap(), addresses[1]);
        assert_eq!(finding.outcome, Outcome::Warn);
    }
}
