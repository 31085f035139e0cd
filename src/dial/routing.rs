//! Where to log in: the target, or where a server sent us on to (MS-TDS 3.2.5.10).

use crate::target::{Endpoint, Target};
use crate::tds::Routing;

/// A gateway sends a client on once, rarely twice; whoever does it more often
/// runs in a circle. Microsoft's drivers stop at the same number.
const MAX_HOPS: u8 = 10;
/// No host name is longer, and no instance name adds more than this leaves.
const MAX_NAME: usize = 300;
/// MS-TDS 2.2.7.9: the only protocol that a redirect can name.
const TCP: u8 = 0;

/// Why a redirect cannot be followed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// It names no server, or something that cannot be one.
    #[error("it names no server that there could be")]
    NoServer,
    /// It names port 0.
    #[error("it names port 0")]
    NoPort,
    /// It asks for a protocol that is not TCP.
    #[error("it asks for protocol {protocol}; only TCP (0) exists")]
    Protocol {
        /// The protocol's number.
        protocol: u8,
    },
    /// There is no end to it.
    #[error("it is number {} in a row, on to `{next}`; the servers send us in a circle", MAX_HOPS + 1)]
    TooMany {
        /// Where it would go on to.
        next: String,
    },
}

/// A place to log in at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The host to connect to, and the name that its certificate must hold.
    pub(super) host: String,
    pub(super) endpoint: Endpoint,
    /// What LOGIN7 calls the server.
    pub(super) login_name: String,
    /// The database that the redirect put in place of the one asked for.
    pub(super) database: Option<String>,
    pub(super) hops: u8,
}

impl Route {
    /// Where a target says.
    pub(super) fn to(target: &Target) -> Self {
        let server = &target.server;
        Self {
            host: server.name.clone(),
            endpoint: server.endpoint.clone(),
            login_name: match &server.endpoint {
                Endpoint::Instance(instance) => format!("{}\\{instance}", server.name),
                _ => server.name.clone(),
            },
            database: None,
            hops: 0,
        }
    }

    /// Where the server at this route sends us.
    pub(super) fn follow(&self, routing: &Routing) -> Result<Self, RoutingError> {
        let name = routing.server.trim();
        // Some servers write `host\instance`; the port is known, so only the
        // host counts for the connection.
        let host = name.split('\\').next().unwrap_or_default();
        // The name goes into errors and logs, so nothing odd may be in it.
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if host.is_empty() || name.len() > MAX_NAME || name.contains(odd) {
            return Err(RoutingError::NoServer);
        }
        if routing.protocol != TCP {
            return Err(RoutingError::Protocol {
                protocol: routing.protocol,
            });
        }
        if routing.port == 0 {
            return Err(RoutingError::NoPort);
        }
        let login_name = format!("{name},{}", routing.port);
        if self.hops >= MAX_HOPS {
            return Err(RoutingError::TooMany { next: login_name });
        }
        Ok(Self {
            host: host.to_owned(),
            endpoint: Endpoint::Port(routing.port),
            login_name,
            // What an earlier redirect chose does not hold at the next server,
            // unless that one says nothing: it is still the database we want.
            database: routing.database.clone().or_else(|| self.database.clone()),
            hops: self.hops + 1,
        })
    }
}

/// `host,port` or `host\instance`, for errors and logs.
impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.endpoint {
            Endpoint::Instance(instance) => write!(f, "{}\\{instance}", self.host),
            Endpoint::Port(port) => write!(f, "{},{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Auth, Server};

    fn start() -> Route {
        let target = Target::new(Server::new("gate.database.windows.net"), Auth::Callback);
        Route::to(&target)
    }

    fn routing(server: &str, port: u16) -> Routing {
        Routing {
            protocol: TCP,
            port,
            server: server.to_owned(),
            database: None,
        }
    }

    #[test]
    fn a_redirect_names_host_port_and_login_name() {
        let next = start().follow(&routing("node.example", 11001)).unwrap();
        assert_eq!(next.to_string(), "node.example,11001");
        assert_eq!(next.login_name, "node.example,11001");
        assert_eq!(next.hops, 1);
        assert_eq!(next.database, None);
    }

    #[test]
    fn an_instance_is_for_the_login_only() {
        let next = start().follow(&routing("node\\i7", 11001)).unwrap();
        assert_eq!(next.host, "node");
        assert_eq!(next.login_name, "node\\i7,11001");
    }

    #[test]
    fn a_database_overrides_until_another_does() {
        let mut first = routing("a", 1);
        first.database = Some("moved".to_owned());
        let there = start().follow(&first).unwrap();
        assert_eq!(there.database.as_deref(), Some("moved"));
        let on = there.follow(&routing("b", 1)).unwrap();
        assert_eq!(on.database.as_deref(), Some("moved"));
    }

    #[test]
    fn nonsense_is_refused() {
        for name in ["  ", "\\i", "a\u{1b}[2J", "a b", &"a".repeat(400)] {
            assert!(matches!(
                start().follow(&routing(name, 1)),
                Err(RoutingError::NoServer)
            ));
        }
        assert!(matches!(
            start().follow(&routing("a", 0)),
            Err(RoutingError::NoPort)
        ));
        let mut pipes = routing("a", 1);
        pipes.protocol = 1;
        assert!(matches!(
            start().follow(&pipes),
            Err(RoutingError::Protocol { protocol: 1 })
        ));
    }

    #[test]
    fn a_circle_ends() {
        let mut route = start();
        for _ in 0..MAX_HOPS {
            route = route.follow(&routing("a", 1)).unwrap();
        }
        assert!(matches!(
            route.follow(&routing("a", 1)),
            Err(RoutingError::TooMany { .. })
        ));
    }
}
