//! What users are told when the proxy is ready: what to write into their clients.

use serde_json::{Value, json};

use super::TextOrJson;
use crate::proxy::config::{Admission, Config, ListenAddress, ListenerConfig, TlsMode};
use crate::proxy::{BoundAddress, Proxy};

/// `print_ca` is the command that prints this proxy's CA, and no other.
pub(super) fn message(proxy: &Proxy, format: TextOrJson, print_ca: &str) -> String {
    let config = proxy.config();
    match format {
        TextOrJson::Text => text(proxy, &config, print_ca),
        TextOrJson::Json => record(proxy, &config).to_string(),
    }
}

/// How much there is, for people.
pub(super) fn counts(config: &Config) -> String {
    let count = |many: usize, what: &str| match many {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    };
    let counts = format!(
        "{}, {}, {}",
        count(config.listeners.len(), "listener"),
        count(config.targets.len(), "target"),
        count(config.users.len(), "user")
    );
    if !config.listeners.iter().any(may_be_reached_from_afar) {
        return counts;
    }
    let most = config.limits.connections_per_machine();
    format!("{counts}, at most {most} clients of another machine")
}

fn may_be_reached_from_afar(listener: &ListenerConfig) -> bool {
    match &listener.address {
        ListenAddress::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        ListenAddress::Unix { .. } => false,
        // Whoever opened the socket knows.
        _ => listener.admission == Admission::Password,
    }
}

fn record(proxy: &Proxy, config: &Config) -> Value {
    let listeners: Vec<Value> = bound(proxy, config)
        .map(|(address, listener)| {
            json!({
                "name": listener.name,
                "address": address.to_string(),
                "tls": listener.tls.mode.to_string(),
                "admission": listener.admission.to_string(),
                "target": listener.target,
            })
        })
        .collect();
    json!({
        "listeners": listeners,
        "admin": proxy.admin_address().map(|address| format!("http://{address}")),
    })
}

fn text(proxy: &Proxy, config: &Config, print_ca: &str) -> String {
    let mut lines = Vec::new();
    for (address, listener) in bound(proxy, config) {
        let name = &listener.name;
        lines.push(match &listener.target {
            Some(target) => format!("Listener {name}, for target {target}"),
            None => format!("Listener {name}"),
        });
        lines.push(format!("  server      {}", server(&address)));
        lines.push(format!("  user        {}", user(&listener.admission)));
        lines.push(format!("  encryption  {}", encryption(listener)));
        lines.push(String::new());
    }
    if config.listeners.iter().any(has_local_certificate) {
        lines.push(format!("CA certificate  {print_ca}"));
    }
    if let Some(address) = proxy.admin_address() {
        lines.push(format!("status page     http://{address}/"));
    }
    lines.push("Ready; Ctrl-C ends it.".to_owned());
    lines.join("\n")
}

fn bound<'a>(
    proxy: &Proxy,
    config: &'a Config,
) -> impl Iterator<Item = (BoundAddress, &'a ListenerConfig)> {
    let addresses = proxy.addresses().into_iter();
    addresses.filter_map(|(name, address)| {
        let listener = config.listeners.iter().find(|known| known.name == name)?;
        Some((address, listener))
    })
}

/// As clients write it.
fn server(address: &BoundAddress) -> String {
    match address {
        BoundAddress::Tcp(address) if address.ip().is_unspecified() => {
            format!("this machine's name or address, port {}", address.port())
        }
        BoundAddress::Tcp(address) => format!("{},{}", address.ip(), address.port()),
        BoundAddress::Unix(path) => format!("the socket {}", path.display()),
    }
}

fn user(admission: &Admission) -> &'static str {
    match admission {
        Admission::SameUser => {
            "any, with any password; programs of the proxy's own user are let in"
        }
        Admission::Listed { .. } => {
            "any, with any password; programs of the users listed are let in"
        }
        Admission::Password => "one of the configuration, with its password",
        Admission::Any => "any, with any password; EVERYBODY WHO REACHES THE ADDRESS IS LET IN",
    }
}

fn encryption(listener: &ListenerConfig) -> String {
    let trusting = if has_local_certificate(listener) {
        " with the CA certificate trusted"
    } else {
        ""
    };
    match listener.tls.mode {
        TlsMode::Off => "none: Encrypt=no".to_owned(),
        TlsMode::Optional => format!("as clients like: Encrypt=no, or Encrypt=yes{trusting}"),
        TlsMode::Required => format!("required: Encrypt=yes{trusting}"),
        TlsMode::Strict => format!("TDS 8.0: Encrypt=strict{trusting}"),
    }
}

fn has_local_certificate(listener: &ListenerConfig) -> bool {
    listener.tls.mode != TlsMode::Off && listener.tls.certificate.is_none()
}
