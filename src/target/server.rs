//! A server's name and the way to its port.

use std::fmt;

/// The port of a default instance, and of Azure SQL.
pub(crate) const DEFAULT_PORT: u16 = 1433;

/// A server: its name, and the way to its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Server {
    /// Host name or IP address, without brackets. It is resolved, checked
    /// against the certificate and sent in the login.
    pub name: String,
    /// The way to the port.
    pub endpoint: Endpoint,
}

/// The way to a server's port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A named instance; SQL Browser tells its port.
    Instance(String),
    /// A TCP port.
    Port(u16),
}

impl Server {
    /// A server on port 1433.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self::with_port(name, DEFAULT_PORT)
    }

    /// A server on a port of its own.
    #[must_use]
    pub fn with_port(name: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            endpoint: Endpoint::Port(port),
        }
    }

    /// A named instance, to be found by SQL Browser.
    #[must_use]
    pub fn with_instance(name: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            endpoint: Endpoint::Instance(instance.into()),
        }
    }
}

/// `host,port` or `host\instance`, as in a connection string.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Instance(instance) => write!(f, "{}\\{instance}", self.name),
            Endpoint::Port(port) => write!(f, "{},{port}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_in_a_connection_string() {
        assert_eq!(Server::new("db").to_string(), "db,1433");
        assert_eq!(Server::with_port("::1", 5).to_string(), "::1,5");
        assert_eq!(Server::with_instance("db", "x").to_string(), r"db\x");
    }
}
