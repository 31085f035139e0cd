//! TLS, login options, limits and pooling, with their defaults.

use std::path::PathBuf;
use std::time::Duration;

use super::Cloud;

/// When the channel is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encrypt {
    /// No TLS at all, not even for the login. Never with a token.
    Disable,
    /// TLS inside PRELOGIN packets, for the whole session.
    #[default]
    Mandatory,
    /// TLS for the login packet; more if the server asks. Never with a token.
    Optional,
    /// TLS before everything else (TDS 8.0).
    Strict,
}

/// Encryption and certificate checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsPolicy {
    /// Defaults to [`Encrypt::Mandatory`].
    pub encrypt: Encrypt,
    /// Takes any certificate. Defaults to `false`; always `false` with a token
    /// and with [`Encrypt::Strict`].
    pub trust_server_certificate: bool,
    /// The name to look for in the certificate instead of the server's.
    pub host_name_in_certificate: Option<String>,
    /// File with the very certificate that the server must show (exact match
    /// in place of chain and name).
    pub server_certificate: Option<PathBuf>,
    /// File with a root certificate to trust beside the platform's.
    pub ca_file: Option<PathBuf>,
    /// Root certificates to trust beside the platform's, in DER form. They
    /// cannot be set by a connection string.
    pub extra_roots: Vec<Vec<u8>>,
}

/// Which addresses of a host are tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpPreference {
    /// IPv4 first.
    #[default]
    Ipv4First,
    /// IPv6 first.
    Ipv6First,
    /// In the order in which the platform gives them.
    PlatformDefault,
}

/// What the login says about this client, and how its socket behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginOptions {
    /// Shown as `program_name` by the server. Defaults to `entrada`.
    pub application_name: String,
    /// Shown as `host_name` by the server; `None` is this machine's name.
    pub workstation_id: Option<String>,
    /// Language of server messages; `None` is the login's default.
    pub language: Option<String>,
    /// Packet size to ask for, in bytes, 512 to 32768. Defaults to 8000.
    pub packet_size: u16,
    /// Asks for a readable secondary (`Application Intent=ReadOnly`).
    pub read_only: bool,
    /// Connects to all addresses at once. Defaults to `false`.
    pub multi_subnet_failover: bool,
    /// Which addresses are tried first.
    pub ip_preference: IpPreference,
    /// Idle time before the first TCP keep-alive probe; `None` is off.
    /// Defaults to 30 seconds.
    pub keep_alive: Option<Duration>,
    /// Time between unanswered probes. Defaults to one second.
    pub keep_alive_interval: Duration,
}

impl Default for LoginOptions {
    fn default() -> Self {
        Self {
            application_name: "entrada".to_owned(),
            workstation_id: None,
            language: None,
            packet_size: 8000,
            read_only: false,
            multi_subnet_failover: false,
            ip_preference: IpPreference::default(),
            keep_alive: Some(Duration::from_secs(30)),
            keep_alive_interval: Duration::from_secs(1),
        }
    }
}

/// Time-outs and retries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Time for a whole connect, retries included; `None` is for ever.
    /// Defaults to 15 seconds.
    pub connect_timeout: Option<Duration>,
    /// Time for one command; `None` is for ever. Defaults to 30 seconds.
    pub command_timeout: Option<Duration>,
    /// How often a transient failure is tried again, 0 to 255. Defaults to 1,
    /// for an Azure host to 2, for serverless Synapse to 5.
    pub connect_retry_count: u8,
    /// Time between two tries, 1 to 60 seconds. Defaults to 10 seconds.
    pub connect_retry_interval: Duration,
}

impl Limits {
    /// The defaults for a server of this name.
    #[must_use]
    pub fn for_host(host: &str) -> Self {
        Self {
            connect_retry_count: default_retries(host),
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(15)),
            command_timeout: Some(Duration::from_secs(30)),
            connect_retry_count: 1,
            connect_retry_interval: Duration::from_secs(10),
        }
    }
}

/// SqlClient's own choice in place of the count 1.
pub(super) fn default_retries(host: &str) -> u8 {
    const SERVERLESS: &str = "-ondemand.sql.azuresynapse.";
    let serverless = host
        .as_bytes()
        .windows(SERVERLESS.len())
        .any(|part| part.eq_ignore_ascii_case(SERVERLESS.as_bytes()));
    match (serverless, Cloud::is_azure_host(host)) {
        (true, _) => 5,
        (false, true) => 2,
        (false, false) => 1,
    }
}

/// Whether a failed login blocks the pool for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolBlocking {
    /// Always.
    Always,
    /// Except for Azure hosts.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// What a connection string says about pooling: the defaults of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolDefaults {
    /// Whether to pool at all. Defaults to `true`.
    pub enabled: bool,
    /// The most sessions at a time, at least 1. Defaults to 100.
    pub max_size: u32,
    /// Sessions to keep even when idle, at most `max_size`. Defaults to 0.
    pub min_size: u32,
    /// Age at which a returned session is closed; `None` is no limit.
    /// Defaults to `None`.
    pub lifetime: Option<Duration>,
    /// Idle time after which a session is closed; `None` is never. Defaults
    /// to 300 seconds.
    pub idle_timeout: Option<Duration>,
    /// Whether a failed login blocks the pool for a while.
    pub blocking: PoolBlocking,
}

impl Default for PoolDefaults {
    fn default() -> Self {
        Self {
            enabled: true,
            max_size: 100,
            min_size: 0,
            lifetime: None,
            idle_timeout: Some(Duration::from_secs(300)),
            blocking: PoolBlocking::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azure_hosts_retry_more() {
        assert_eq!(default_retries("db1"), 1);
        assert_eq!(default_retries("a.Database.windows.net"), 2);
        assert_eq!(default_retries("w-OnDemand.sql.azuresynapse.net"), 5);
    }
}
