//! Clients through the proxy to a server that others wrote, whose password the proxy keeps.

use std::net::Ipv4Addr;

use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, ListenAddress, TlsMode};
use entrada::token::{Environment, Sources};
use serde_json::json;

use super::Judge;
use crate::proxy::address;
use crate::support::judges::{PySqlBridge, pysqlbridge};

/// What every judge shows at pysqlbridge, which knows a part of T-SQL only.
const FEATURES: [&str; 5] = [
    "bridge: a query",
    "bridge: parameters",
    "bridge: temporary tables, and a transaction that is rolled back",
    "bridge: an error, after which the connection lives on",
    "bridge: a new connection again and again",
];

#[tokio::test]
async fn pysqlbridge_is_reached_without_its_password() {
    let Some(bridge) = pysqlbridge().await else {
        return;
    };
    let proxy = Proxy::start(
        config(&bridge),
        Sources::new(Environment::from_pairs(Vec::<(String, String)>::new())),
    )
    .await
    .unwrap();
    let told = json!({
        "proxy": true,
        "bridge": true,
        "encryption": "off",
        "host": "localhost",
        "port": address(&proxy).port(),
        "user": "anybody",
        "password": "anything",
        "ca": bridge.certificate,
        "other_ca": bridge.certificate,
        "ca_pem": std::fs::read_to_string(&bridge.certificate).unwrap(),
        "server_certificate": bridge.certificate,
        "user_name": "bridge",
        "identities": [{}, {}],
    });
    for judge in [
        Judge::Python("pymssql_judge.py"),
        Judge::Python("pytds_judge.py"),
        Judge::Node("tedious_judge.js"),
        Judge::Rust("tiberius"),
    ] {
        let Some(lines) = judge.run(&FEATURES, &told).await else {
            return;
        };
        for feature in FEATURES {
            let line = lines.iter().find(|line| line["feature"] == feature);
            let line = line.unwrap_or_else(|| panic!("{feature} was not tried: {lines:?}"));
            assert_eq!(line["ok"], true, "{line}");
        }
    }
}

fn config(bridge: &PySqlBridge) -> Config {
    let mut config = Config::for_connection(format!(
        "Server=localhost,{};User ID={};Password=\"{}\";Encrypt=Mandatory;ServerCertificate={}",
        bridge.judge.port,
        bridge.user,
        bridge.password,
        bridge.certificate.display(),
    ));
    config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    config.listeners[0].tls.mode = TlsMode::Off;
    // It never acknowledges a reset.
    config.targets[0].pool.unacknowledged_reset = true;
    config
}
