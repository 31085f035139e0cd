//! The login, against servers that behave and servers that do not.

mod cancel;
mod captured;
mod faults;
mod judges;
mod login;
mod refusals;
mod tenant;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use entrada::Secret;
use entrada::dial::Dialer;
use entrada::target::{Auth, Server, Target};
use entrada::token::{FixedToken, Resource, TokenSlot};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::support::certificates::Certificates;

/// Marks the token in whatever is searched for it.
pub(super) const TOKEN: &str = "header.MARKED-TOKEN.signature";
pub(super) const RESOURCE: &str = "https://database.windows.net/";

/// A target on loopback that logs in by token and fails fast.
pub(super) fn target(port: u16, certificates: &Certificates) -> Target {
    let server = Server::with_port("localhost", port);
    let mut target = Target::new(server, Auth::Callback).with_database("app");
    target.tls.extra_roots = vec![certificates.ca.to_vec()];
    target.limits.connect_retry_count = 0;
    target
}

/// The same, but by SQL login.
pub(super) fn sql_target(port: u16, certificates: &Certificates) -> Target {
    let mut target = target(port, certificates);
    target.auth = Auth::SqlPassword {
        user: "sa".to_owned(),
        password: Secret::new("MARKED-PASSWORD"),
    };
    target
}

pub(super) fn slot() -> TokenSlot {
    let source = FixedToken::from_secret(Secret::new(TOKEN));
    TokenSlot::new(Arc::new(source), Resource::new(RESOURCE))
}

pub(super) fn dialer(target: Target) -> Dialer {
    Dialer::new(target, Some(slot())).unwrap()
}

pub(super) fn localhost() -> Certificates {
    Certificates::for_names(&["localhost"])
}

pub(super) fn tls12(certificates: &Certificates) -> Arc<ServerConfig> {
    certificates.server_config(&[&TLS12])
}

pub(super) fn tls_strict(certificates: &Certificates) -> Arc<ServerConfig> {
    let mut config = certificates.server_config(&[&TLS12, &TLS13]);
    Arc::get_mut(&mut config).unwrap().alpn_protocols = vec![b"tds/8.0".to_vec()];
    config
}

/// Long enough for a healthy login, short enough for a test.
pub(super) const SOON: Duration = Duration::from_millis(500);
