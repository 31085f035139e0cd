//! From settings to a target.

use std::time::Duration;

use super::credentials::{self, path, text};
use super::options::default_retries;
use super::{
    Auth, Cloud, Encrypt, Endpoint, IpPreference, Limits, LoginOptions, Note, PoolBlocking,
    PoolDefaults, Server, Target, TargetError, TlsPolicy,
};
use crate::conn_string::{ConnectionString, Dialect, Key, ParseError, Value};

/// The target of a string that names its identity.
pub(super) fn resolve(string: &ConnectionString) -> Result<Target, TargetError> {
    refuse_losses(string)?;
    let auth = credentials::auth(string)?;
    build(string, auth)
}

/// The target of a string whose token the caller has.
pub(super) fn with_auth(string: &ConnectionString, auth: Auth) -> Result<Target, TargetError> {
    refuse_losses(string)?;
    for key in [Key::Authentication, Key::UserId, Key::Password] {
        if string.get(key).is_some() {
            return Err(TargetError::TwoIdentities {
                keyword: key.name(),
            });
        }
    }
    if string.flag(Key::IntegratedSecurity) == Some(true) {
        return Err(TargetError::TwoIdentities {
            keyword: Key::IntegratedSecurity.name(),
        });
    }
    build(string, auth)
}

fn build(string: &ConnectionString, auth: Auth) -> Result<Target, TargetError> {
    let server = server(string)?;
    let mut notes = Vec::new();
    let tls = tls(string, &auth, &mut notes);
    unused(string, &auth, &mut notes);
    Ok(Target {
        database: text(string, Key::InitialCatalog),
        cloud: Cloud::of_host(&server.name),
        login: login(string),
        limits: limits(string, &server.name),
        pool: pool(string),
        server,
        auth,
        tls,
        notes,
        dialect: Some(string.dialect()),
    })
}

/// Refuses what the driver would go on without although it decides who logs
/// in, or over what channel.
fn refuse_losses(string: &ConnectionString) -> Result<(), TargetError> {
    // A reference is nobody's password: no server may be sent one.
    if let Some(place) = string.references().first() {
        return Err(TargetError::ConnectionString(
            ParseError::UnresolvedReference {
                column: place.column,
                keyword: Some(place.key.name()),
            },
        ));
    }
    let decisive = [
        Key::Encrypt,
        Key::TrustServerCertificate,
        Key::Authentication,
        Key::UserId,
        Key::Password,
    ];
    for warning in string.warnings() {
        let lost = decisive
            .iter()
            .find(|key| warning.lost.contains(&key.name()));
        if let Some(key) = lost {
            return Err(TargetError::LostSetting {
                column: warning.column,
                keyword: key.name(),
            });
        }
    }
    Ok(())
}

fn server(string: &ConnectionString) -> Result<Server, TargetError> {
    const OVER_TCP: &str = "write 'host,port', which is reached by TCP";
    let protocol = match string.text(Key::Protocol) {
        Some("np") => Some(("a named pipe", OVER_TCP)),
        Some("admin") => Some((
            "the dedicated administrator connection",
            "log in as usual, or use sqlcmd for administration",
        )),
        _ => None,
    };
    if let Some((protocol, instead)) = protocol {
        return Err(TargetError::Protocol { protocol, instead });
    }
    let host = string.text(Key::Host).unwrap_or("localhost");
    if host.eq_ignore_ascii_case("(localdb)") {
        return Err(TargetError::Protocol {
            protocol: "LocalDB",
            instead: OVER_TCP,
        });
    }
    let name = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let name = if name == "." { "localhost" } else { name }.to_owned();
    let port = string
        .number(Key::Port)
        .and_then(|port| u16::try_from(port).ok());
    let endpoint = match (port, text(string, Key::Instance)) {
        (Some(port), _) => Endpoint::Port(port),
        (None, Some(_)) if Cloud::is_azure_host(&name) => return Err(TargetError::InstanceOnAzure),
        (None, Some(instance)) => Endpoint::Instance(instance),
        (None, None) => Endpoint::Port(super::server::DEFAULT_PORT),
    };
    Ok(Server { name, endpoint })
}

fn tls(string: &ConnectionString, auth: &Auth, notes: &mut Vec<Note>) -> TlsPolicy {
    let mut note = |key: Key, text| {
        notes.push(Note {
            keyword: key.name(),
            text,
        })
    };
    let go = string.dialect() == Dialect::SqlServerUrl;
    let written = string.text(Key::Encrypt);
    let mut encrypt = match written {
        Some("strict") => Encrypt::Strict,
        Some("optional") => Encrypt::Optional,
        Some("disable") => Encrypt::Disable,
        Some(_) => Encrypt::Mandatory,
        None if go => Encrypt::Optional,
        None => Encrypt::Mandatory,
    };
    let trust_written = string.flag(Key::TrustServerCertificate);
    let mut trust = trust_written.unwrap_or(go && written.is_none());
    if auth.uses_token() {
        if matches!(encrypt, Encrypt::Optional | Encrypt::Disable) {
            encrypt = Encrypt::Mandatory;
            note(
                Key::Encrypt,
                match written {
                    Some(_) => {
                        "a token travels over verified TLS only, so the channel is encrypted all the same"
                    }
                    None => {
                        "go-mssqldb would not encrypt by default; a token travels over verified TLS only"
                    }
                },
            );
        }
        if trust && trust_written.is_some() {
            note(
                Key::TrustServerCertificate,
                "a token travels over verified TLS only, so the certificate is checked \
                 all the same; name a private one with Server Certificate",
            );
        }
        trust = false;
    } else if go && written.is_none() {
        note(
            Key::Encrypt,
            "as go-mssqldb does by default, only the login is encrypted and any certificate is taken",
        );
    }
    if encrypt == Encrypt::Strict {
        trust = false;
    }
    TlsPolicy {
        encrypt,
        trust_server_certificate: trust,
        host_name_in_certificate: text(string, Key::HostNameInCertificate),
        server_certificate: path(string, Key::ServerCertificate),
        ca_file: path(string, Key::CaCertificate),
        extra_roots: Vec::new(),
    }
}

/// The longest idle time that sockets take.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(32767);

fn login(string: &ConnectionString) -> LoginOptions {
    let defaults = LoginOptions::default();
    let go = string.dialect() == Dialect::SqlServerUrl;
    let servers_size = if go || string.dialect() == Dialect::Odbc {
        4096
    } else {
        defaults.packet_size
    };
    let size = string
        .number(Key::PacketSize)
        .map(|size| if size == 0 { 4096 } else { size });
    let seconds = |key| seconds(string, key);
    LoginOptions {
        application_name: text(string, Key::ApplicationName).unwrap_or(defaults.application_name),
        workstation_id: text(string, Key::WorkstationId),
        language: text(string, Key::CurrentLanguage),
        packet_size: size.map_or(servers_size, |size| {
            u16::try_from(size).unwrap_or(32768).clamp(512, 32768)
        }),
        read_only: string.text(Key::ApplicationIntent) == Some("ReadOnly"),
        multi_subnet_failover: string.flag(Key::MultiSubnetFailover).unwrap_or(go),
        ip_preference: match string.text(Key::IpAddressPreference) {
            Some("IPv6First") => IpPreference::Ipv6First,
            Some("UsePlatformDefault") => IpPreference::PlatformDefault,
            _ => IpPreference::Ipv4First,
        },
        keep_alive: match seconds(Key::KeepAlive) {
            Some(idle) => Some(idle.min(MAX_KEEP_ALIVE)).filter(|idle| !idle.is_zero()),
            None => defaults.keep_alive,
        },
        keep_alive_interval: seconds(Key::KeepAliveInterval)
            .unwrap_or(defaults.keep_alive_interval),
    }
}

/// A time of a setting. What is over 68 years is as good as that, and can be
/// added to a clock.
fn seconds(string: &ConnectionString, key: Key) -> Option<Duration> {
    let seconds = u64::try_from(string.number(key)?).ok()?;
    Some(Duration::from_secs(
        seconds.min(i32::MAX.unsigned_abs().into()),
    ))
}

fn limits(string: &ConnectionString, host: &str) -> Limits {
    let seconds = |key| seconds(string, key);
    let unless_zero = |time: Duration| Some(time).filter(|time| !time.is_zero());
    let default_connect = Duration::from_secs(if string.dialect() == Dialect::Jdbc {
        30
    } else {
        15
    });
    let written = seconds(Key::ConnectTimeout).or_else(|| seconds(Key::DialTimeout));
    let connect_timeout = match written {
        Some(Duration::ZERO) if string.dialect() == Dialect::Jdbc => Some(default_connect),
        Some(time) => unless_zero(time),
        None => Some(default_connect),
    };
    let command_timeout = match string.number(Key::CommandTimeout) {
        Some(_) => seconds(Key::CommandTimeout).and_then(unless_zero),
        None if string.dialect() == Dialect::AdoNet => Limits::default().command_timeout,
        None => None,
    };
    // SqlClient reads a written 1 as the default, too.
    let connect_retry_count = match string.number(Key::ConnectRetryCount) {
        Some(1) if string.dialect() == Dialect::AdoNet => default_retries(host),
        Some(count) => u8::try_from(count).unwrap_or(u8::MAX),
        None => default_retries(host),
    };
    let interval = seconds(Key::ConnectRetryInterval);
    Limits {
        connect_timeout,
        command_timeout,
        connect_retry_count,
        connect_retry_interval: interval.unwrap_or(Limits::default().connect_retry_interval),
    }
}

fn pool(string: &ConnectionString) -> PoolDefaults {
    let defaults = PoolDefaults::default();
    let number = |key| string.number(key).and_then(|n| u32::try_from(n).ok());
    let time = |key| {
        let seconds = number(key)?;
        Some((seconds > 0).then(|| Duration::from_secs(u64::from(seconds))))
    };
    PoolDefaults {
        enabled: string.flag(Key::Pooling).unwrap_or(defaults.enabled),
        max_size: number(Key::MaxPoolSize).unwrap_or(defaults.max_size),
        min_size: number(Key::MinPoolSize).unwrap_or(defaults.min_size),
        lifetime: time(Key::LoadBalanceTimeout).unwrap_or(defaults.lifetime),
        idle_timeout: time(Key::ConnectionIdleTimeout).unwrap_or(defaults.idle_timeout),
        blocking: match string.text(Key::PoolBlockingPeriod) {
            Some("AlwaysBlock") => PoolBlocking::Always,
            Some("NeverBlock") => PoolBlocking::Never,
            _ => PoolBlocking::Auto,
        },
    }
}

/// Notes what the string asks for in vain.
fn unused(string: &ConnectionString, auth: &Auth, notes: &mut Vec<Note>) {
    let mut note = |key: Key, text| {
        notes.push(Note {
            keyword: key.name(),
            text,
        })
    };
    if string.get(Key::TenantId).is_some() && !has_tenant(auth) {
        note(Key::TenantId, "this method has no use for a tenant");
    }
    let managed = matches!(
        auth,
        Auth::ManagedIdentity(_) | Auth::ManagedIdentityOn { .. }
    );
    if string.get(Key::ResourceId).is_some() && !managed {
        note(
            Key::ResourceId,
            "this method has no use for a resource id, so the token is for whom it finds",
        );
    }
    let certificate_key = matches!(auth, Auth::ServicePrincipalCertificate { .. });
    let spends_password = matches!(
        auth,
        Auth::AccessToken(_) | Auth::ServicePrincipalSecret { .. } | Auth::SqlPassword { .. }
    ) || certificate_key;
    if string.get(Key::Password).is_some() && !spends_password {
        note(
            Key::Password,
            "this method needs no password, and none is sent",
        );
    }
    let without_user = matches!(
        auth,
        Auth::Integrated
            | Auth::AzureCli { .. }
            | Auth::AzureDeveloperCli { .. }
            | Auth::AzurePowerShell { .. }
            | Auth::Environment
    ) || matches!(auth, Auth::Default { client_id: None });
    for key in [Key::UserId, Key::ClientId] {
        if string.get(key).is_none() || !without_user {
            continue;
        }
        note(key, "this method has no use for a user");
    }
    for (key, text) in IGNORED {
        let asked = match string.get(*key) {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Text(word)) => word != "Disabled" && word != "tcp",
            Some(_) => true,
        };
        if asked && !(certificate_key && *key == Key::ClientCertificate) {
            note(*key, text);
        }
    }
}

/// Whether the method can be told its tenant.
fn has_tenant(auth: &Auth) -> bool {
    matches!(
        auth,
        Auth::AzureCli { .. }
            | Auth::AzureDeveloperCli { .. }
            | Auth::AzurePipelines { .. }
            | Auth::AzurePowerShell { .. }
            | Auth::ClientAssertion { .. }
            | Auth::Federated { .. }
            | Auth::ServicePrincipalCertificate { .. }
            | Auth::ServicePrincipalSecret { .. }
            | Auth::WorkloadIdentity { .. }
    )
}

/// Settings that have no effect here, and why.
const IGNORED: &[(Key, &str)] = &[
    (Key::AttachDbFilename, "databases are not attached at login"),
    (
        Key::ClientCertificate,
        "the login shows no client certificate",
    ),
    (
        Key::ColumnEncryption,
        "Always Encrypted is not supported; such columns come as ciphertext",
    ),
    (
        Key::Dsn,
        "data sources are not read; what the string itself says is all there is",
    ),
    (
        Key::FailoverPartner,
        "mirroring is not supported; only the server itself is tried",
    ),
    (
        Key::MultipleActiveResultSets,
        "a session runs one request at a time",
    ),
    (Key::NetworkLibrary, "the server is reached by TCP"),
    (Key::Replication, "it is not a replication login"),
    (
        Key::ServerSpn,
        "there is no Kerberos login that would need it",
    ),
    (Key::UserInstance, "there are no user instances"),
];
