//! What the gateway is told when it starts.

use std::net::IpAddr;
use std::time::Duration;

/// Whether the gateway insists on TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncryptionPolicy {
    /// Everybody encrypts, as at Azure SQL. The default.
    #[default]
    Required,
    /// Whoever asks for TLS gets it, for the login alone if that was asked; others go on in clear, and
    /// cannot log in with a token.
    OnRequest,
}

/// What the gateway is told when it starts.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Settings {
    /// The logical server's name: the first label of its DNS name.
    pub(in crate::emulator) server_name: String,
    /// DNS names that LOGIN7 may carry; `*.` at the start stands for any first label. Empty: any.
    pub(in crate::emulator) accepted_names: Vec<String>,
    pub(in crate::emulator) encryption: EncryptionPolicy,
    /// The resource that tokens must be for.
    pub(in crate::emulator) resource: String,
    /// Time for everything up to the answer to LOGIN7.
    pub(in crate::emulator) login_timeout: Duration,
    /// How long a session may be silent, and a client may take to read.
    pub(in crate::emulator) idle_timeout: Duration,
    pub(in crate::emulator) max_connections: usize,
    /// The age at which a session's reset looks at its token again.
    pub(in crate::emulator) recheck_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_name: "demo".to_owned(),
            accepted_names: Vec::new(),
            encryption: EncryptionPolicy::default(),
            resource: "https://database.windows.net/".to_owned(),
            login_timeout: Duration::from_secs(30),
            // Azure's gateway drops connections that were silent for half an hour.
            idle_timeout: Duration::from_secs(30 * 60),
            max_connections: 4096,
            recheck_after: Duration::from_secs(10 * 60 * 60),
        }
    }
}

impl Settings {
    /// Whether a LOGIN7 for that server is for this one.
    pub(super) fn accepts(&self, server: &str) -> bool {
        let host = host_of(server);
        self.accepted_names.is_empty()
            || host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            || self
                .accepted_names
                .iter()
                .any(|name| match name.strip_prefix('*') {
                    Some(suffix) => host
                        .to_ascii_lowercase()
                        .ends_with(&suffix.to_ascii_lowercase()),
                    None => host.eq_ignore_ascii_case(name),
                })
    }
}

/// The host that a LOGIN7 names. Microsoft's ODBC driver sends the protocol too (`tcp:host`), and
/// drivers may write a port or an instance behind the name.
pub(super) fn host_of(server: &str) -> &str {
    let server = match server.get(..4) {
        Some(protocol) if protocol.eq_ignore_ascii_case("tcp:") => &server[4..],
        _ => server,
    };
    let host = server.split([',', '\\']).next().unwrap_or_default();
    let bare = host.trim_start_matches('[').split(']').next();
    match bare {
        Some(ip) if ip.parse::<IpAddr>().is_ok() => ip,
        _ => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_port_and_case() {
        let settings = Settings {
            accepted_names: vec!["demo.example".into(), "*.database.windows.net".into()],
            ..Settings::default()
        };
        assert!(settings.accepts("DEMO.example,1433"));
        assert!(settings.accepts("a.database.windows.net"));
        assert!(settings.accepts("127.0.0.1,4711"));
        assert!(settings.accepts("127.0.0.1:4711"));
        assert!(settings.accepts("tcp:127.0.0.1"));
        assert!(settings.accepts("TCP:a.database.windows.net,1433"));
        assert!(settings.accepts("::1"));
        assert!(settings.accepts("[::1]:1433"));
        assert!(settings.accepts("Localhost\\any"));
        assert!(!settings.accepts("other.example"));
        assert!(!settings.accepts("tcp:other.example"));
        assert!(!settings.accepts("192.0.2.1"));
        assert!(!settings.accepts("tcp:"));
    }
}
