//! The proxy between clients and the emulator.

mod admin_db;
mod admin_db_clients;
mod admission;
mod cancel;
#[cfg(all(feature = "cli", unix))]
mod cli_proxy;
mod client_tls;
pub(crate) mod clients;
#[cfg(all(feature = "cli", unix))]
mod drain;
mod endings;
mod health;
#[cfg(all(feature = "cli", unix))]
mod listeners;
mod metrics;
mod old_clients;
#[cfg(all(feature = "cli", unix))]
mod program;
mod properties;
mod refusals;
mod relay;
#[cfg(all(feature = "cli", unix))]
mod reload;
#[cfg(all(feature = "cli", unix))]
mod resilience;
mod scripted;
mod smoke;
mod status_page;
#[cfg(all(feature = "cli", unix))]
mod systemd;
mod vault;
mod warm_pool;

use std::net::{Ipv4Addr, SocketAddr};

use entrada::emulator::{Emulator, ManagedIdentity};
use entrada::proxy::config::{Config, ListenAddress};
use entrada::proxy::{BoundAddress, Proxy};
use entrada::token::{Environment, Sources};

/// An emulator with the database `shop`, which the identity `app` owns.
pub(crate) async fn azure() -> Emulator {
    Emulator::builder()
        .identity(ManagedIdentity::user_assigned("app"))
        .database("shop")
        .user("shop", "app", &["db_owner"])
        .start()
        .await
        .unwrap()
}

/// The connection string for `app` in `shop`.
pub(crate) fn connection(emulator: &Emulator) -> String {
    let identities = emulator.identities();
    let app = identities.iter().find(|identity| identity.name == "app");
    emulator.connection_strings("shop", app).ado_net
}

/// Sources of tokens that find the emulator.
pub(crate) fn sources(emulator: &Emulator) -> Sources {
    Sources::new(Environment::from_pairs(emulator.imds_environment()))
}

/// One listener on a free port for the emulator's `shop`.
pub(crate) fn config(emulator: &Emulator) -> Config {
    let mut config = Config::for_connection(connection(emulator));
    config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    config
}

/// A proxy with [`config`].
pub(crate) async fn proxy(emulator: &Emulator) -> Proxy {
    Proxy::start(config(emulator), sources(emulator))
        .await
        .unwrap()
}

/// Where its only listener listens.
pub(crate) fn address(proxy: &Proxy) -> SocketAddr {
    match &proxy.addresses()[..] {
        [(_, BoundAddress::Tcp(address))] => *address,
        other => panic!("one TCP listener is expected, not {other:?}"),
    }
}
