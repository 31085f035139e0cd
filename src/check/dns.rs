//! The server's name: where it leads, and by which names.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::advice::plain;
use super::finding::{Failed, Finding, Kind};
use super::{Options, names};
use crate::causes::below;
use crate::dial::walk::Walk;
use crate::dial::{DialError, TcpError};
use crate::target::Cloud;

pub(super) async fn check(
    walk: &Walk,
    options: &Options,
    finding: &mut Finding,
) -> Result<Vec<SocketAddr>, Failed> {
    let host = walk.host();
    let addresses = walk
        .addresses()
        .await
        .map_err(|error| failed(&error, host))?;
    let scopes: Vec<Scope> = addresses.iter().map(|at| Scope::of(at.ip())).collect();
    let shown: Vec<String> = addresses
        .iter()
        .zip(&scopes)
        .map(|(at, scope)| format!("{} ({})", at.ip(), scope.name()))
        .collect();
    finding.fact(
        "addresses",
        addresses
            .iter()
            .map(|at| at.ip().to_string())
            .collect::<Vec<_>>(),
    );
    let words: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
    finding.fact("scopes", words);
    if host.parse::<IpAddr>().is_ok() {
        finding.saw(format!("{}: an address, no name", shown.join(", ")));
        return Ok(addresses);
    }
    let chain = names::chain(host, options.nameserver).await;
    finding.fact("names", chain.clone());
    let mut what = format!("{host} is {}", shown.join(", "));
    if !chain.is_empty() {
        what = format!("{what}, by {}", chain.join(", "));
    }
    finding.saw(what);
    judge(&chain, &scopes, finding);
    Ok(addresses)
}

/// Whether the way past a private endpoint is taken.
fn judge(chain: &[String], scopes: &[Scope], finding: &mut Finding) {
    if by_private_link(chain) && scopes.contains(&Scope::Public) {
        finding.warn(
            "the server has a private endpoint, and this machine is led to the public address past it",
            "link the private DNS zone (privatelink…) to this machine's network, or forward the zone to 168.63.129.16 from your own DNS servers",
        );
    }
}

fn failed(error: &DialError, host: &str) -> Failed {
    let DialError::Tcp {
        source: TcpError::Resolve { .. } | TcpError::NoAddress { .. },
        ..
    } = error
    else {
        return plain(
            error,
            "write the server as host,port, which needs no SQL Browser",
        );
    };
    let fix = if Cloud::is_azure_host(host) {
        "check the server's name (Azure portal: SQL server, Overview); if only private DNS knows it, link that zone to this machine's network"
    } else if host.contains('.') {
        "check the server's name for a slip, and this machine's DNS servers"
    } else {
        "write the server's full name: for Azure SQL that is NAME.database.windows.net"
    };
    Failed::new(Kind::Network, below(error), fix)
}

fn by_private_link(chain: &[String]) -> bool {
    chain.iter().any(|name| name.contains(".privatelink."))
}

/// Who can reach an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Loopback,
    LinkLocal,
    Private,
    Public,
}

impl Scope {
    fn of(address: IpAddr) -> Self {
        match address {
            _ if address.is_loopback() => Self::Loopback,
            IpAddr::V4(v4) if v4.is_link_local() => Self::LinkLocal,
            // RFC 6598: shared by a provider's customers, and by some clouds.
            IpAddr::V4(v4)
                if v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64) =>
            {
                Self::Private
            }
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => Self::of(v4.into()),
                None => Self::of_v6(v6),
            },
            IpAddr::V4(_) => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_unicast_link_local() {
            Self::LinkLocal
        } else if address.is_unique_local() {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_endpoint_that_is_passed_by_is_a_warning() {
        let chain = ["app.privatelink.database.windows.net".to_owned()];
        for (chain, scope, warnings) in [
            (&chain[..], Scope::Public, 1),
            (&chain, Scope::Private, 0),
            (&[], Scope::Public, 0),
        ] {
            let mut finding = Finding::new("dns");
            judge(chain, &[scope], &mut finding);
            assert_eq!(finding.troubles.len(), warnings, "{scope:?}");
        }
    }

    #[test]
    fn addresses_are_public_unless_they_are_known_not_to_be() {
        for (text, scope) in [
            ("127.0.0.1", "loopback"),
            ("::1", "loopback"),
            ("10.1.2.3", "private"),
            ("172.31.0.1", "private"),
            ("100.64.0.1", "private"),
            ("fd00::1", "private"),
            ("::ffff:192.168.0.1", "private"),
            ("169.254.169.254", "link-local"),
            ("fe80::1", "link-local"),
            ("20.62.132.19", "public"),
            ("100.128.0.1", "public"),
            ("2603:1030::1", "public"),
        ] {
            assert_eq!(Scope::of(text.parse().unwrap()).name(), scope, "{text}");
        }
    }
}
