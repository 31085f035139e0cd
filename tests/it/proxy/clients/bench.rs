//! A proxy in front of an emulator, and what clients are told of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use entrada::emulator::{Emulator, LoginRequest, ManagedIdentity, RequestKind};
use entrada::proxy::config::{Config, ListenAddress, TlsMode};
use entrada::proxy::{BoundAddress, Proxy, ca_certificate};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::list::Encryption;
use crate::clients_python::coordinates;
use crate::proxy::sources;
use crate::support::certificates::Certificates;

/// What clients log in with. Neither is known to anybody.
pub(crate) const LOGIN: (&str, &str) = ("legacy-program", "Stays-On-This-Side-1");

/// A proxy in front of an emulator, with a listener for each kind of encryption.
pub(crate) struct Bench {
    emulator: Emulator,
    proxy: Proxy,
    files: TempDir,
}

impl Bench {
    pub(crate) async fn with_fault(fault: Option<&str>) -> Self {
        Self::start(fault, "app").await
    }

    /// The proxy logs in as an identity that no database has a user for.
    pub(crate) async fn with_a_stranger() -> Self {
        Self::start(None, "stranger").await
    }

    async fn start(fault: Option<&str>, identity: &str) -> Self {
        let mut builder = Emulator::builder()
            .identity(ManagedIdentity::system_assigned("vm"))
            .identity(ManagedIdentity::user_assigned("app"))
            .identity(ManagedIdentity::user_assigned("stranger"))
            .user("demo", "app", &["db_owner"]);
        if let Some(fault) = fault {
            builder = builder.fault(fault.parse().unwrap());
        }
        let emulator = builder.start().await.unwrap();
        let files = TempDir::new().unwrap();
        let state = files.path().join("state");
        let ca = ca_certificate(&state, &[]).unwrap();
        std::fs::write(files.path().join("ca.pem"), ca).unwrap();
        let other = Certificates::for_names(&["localhost"]).ca_pem;
        std::fs::write(files.path().join("other.pem"), other).unwrap();
        let identities = emulator.identities();
        let identity = identities.iter().find(|one| one.name == identity);
        let strings = emulator.connection_strings("demo", identity);
        let mut config = Config::for_connection(strings.ado_net);
        config.state_dir = Some(state);
        let proxy = Proxy::start(with_listeners(config), sources(&emulator))
            .await
            .unwrap();
        Self {
            emulator,
            proxy,
            files,
        }
    }

    /// Where the listener for this is, whom to trust, and who a client is there.
    pub(crate) fn told(&self, encryption: Encryption) -> Value {
        let ca = self.file("ca.pem");
        let identities = self.emulator.identities();
        let app = identities.iter().find(|one| one.name == "app").unwrap();
        let mut told = coordinates(&self.emulator);
        let more = json!({
            "proxy": true,
            "encryption": encryption.of_client(),
            "host": "localhost",
            "port": self.address(encryption).port(),
            "user": LOGIN.0,
            "password": LOGIN.1,
            "ca_pem": std::fs::read_to_string(&ca).unwrap(),
            "ca": ca,
            "other_ca": self.file("other.pem"),
            "user_name": "app",
            "login_name": format!("{}@{}", app.client_id, self.emulator.tenant_id()),
            "token": "none is needed",
            "expired_token": "none is needed",
        });
        let more = more.as_object().unwrap().clone();
        told.as_object_mut().unwrap().extend(more);
        told
    }

    /// The logins at the emulator so far.
    pub(crate) fn logins(&self) -> Vec<LoginRequest> {
        let requests = self.emulator.requests().into_iter();
        let logins = requests.filter_map(|request| match request.kind {
            RequestKind::Login(login) => Some(login),
            _ => None,
        });
        logins.collect()
    }

    /// Nothing of what clients prove themselves with came to the emulator.
    pub(crate) fn no_password_went_upstream(&self) {
        let logins = self.logins();
        assert!(!logins.is_empty());
        for login in logins {
            assert_eq!((login.authentication, &login.user), ("token", &None));
            assert!(login.encrypted, "{login:?}");
        }
        let all = serde_json::to_string(&self.emulator.requests()).unwrap();
        assert!(!all.contains(LOGIN.0) && !all.contains(LOGIN.1), "{all}");
    }

    /// The server behind the proxy.
    pub(crate) fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Where the listener for this is.
    pub(crate) fn address(&self, encryption: Encryption) -> SocketAddr {
        let name = format!("{encryption:?}");
        match self
            .proxy
            .addresses()
            .into_iter()
            .find(|(of, _)| *of == name)
        {
            Some((_, BoundAddress::Tcp(address))) => address,
            other => panic!("{name} listens on {other:?}"),
        }
    }
}

fn with_listeners(mut config: Config) -> Config {
    let first = config.listeners.remove(0);
    config.listeners = Encryption::ALL
        .into_iter()
        .map(|encryption| {
            let mut listener = first.clone();
            listener.name = format!("{encryption:?}");
            listener.address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
            listener.tls.mode = match encryption {
                Encryption::Off => TlsMode::Off,
                Encryption::Unwanted => TlsMode::Optional,
                Encryption::On => TlsMode::Required,
                Encryption::Strict => TlsMode::Strict,
            };
            listener
        })
        .collect();
    config
}
