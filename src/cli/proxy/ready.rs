//! What users are told when the proxy is ready: what to write into their clients.

use serde_json::{Value, json};

use super::TextOrJson;
use crate::proxy::config::{Admission, Config, ListenerConfig, TlsMode};
use crate::proxy::{BoundAddress, Proxy};

pub(super) fn message(proxy: &Proxy, format: TextOrJson) -> String {
    let config = proxy.config();
    match format {
        TextOrJson::Text => text(proxy, &config),
        TextOrJson::Json => record(proxy, &config).to_string(),
    }
}

/// How much there is, for people.
pub(super) fn counts(config: &Config) -> String {
    let count = |many: usize, what: &str| match many {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    };
    format!(
        "{}, {}, {}",
        count(config.listeners.len(), "listener"),
        count(config.targets.len(), "target"),
        count(config.users.len(), "user")
    )
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
    json!({ "listeners": listeners })
}

fn text(proxy: &Proxy, config: &Config) -> String {
    let mut lines = Vec::new();
    for (address, listener) in bound(proxy, config) {
        lines.push(format!("Listener {}", listener.name));
        lines.push(format!("  server      {}", server(&address)));
        lines.push(format!("  user        {}", user(&listener.admission)));
        lines.push(format!("  encryption  {}", encryption(listener.tls.mode)));
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
        Admission::SameUser => "any user and password; programs of your user are let in",
        Admission::Listed { .. } => {
            "any user and password; programs of the users listed are let in"
        }
        Admission::Password => "a user of the configuration, and its password",
        Admission::Any => "any user and password; EVERYBODY WHO REACHES THE ADDRESS IS LET IN",
    }
}

fn encryption(mode: TlsMode) -> &'static str {
    match mode {
        TlsMode::Off => "off: Encrypt=no",
        TlsMode::Optional => "optional: Encrypt=no, or Encrypt=yes with the CA certificate trusted",
        TlsMode::Required => "required: Encrypt=yes with the CA certificate trusted",
        TlsMode::Strict => "strict: Encrypt=strict with the CA certificate trusted",
    }
}
