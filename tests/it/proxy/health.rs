//! Whether probes are told the truth, and how little they cost.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, ListenAddress};
use entrada::token::{Environment, Sources};
use reqwest::StatusCode;
use serde_json::Value;

use super::azure;
use super::metrics::{client, get, proxy_with_admin};
use crate::raw_client::soon;

#[tokio::test]
async fn many_probes_cost_one_login() {
    let emulator = azure().await;
    let proxy = proxy_with_admin(&emulator).await;
    let probes = (0..30).map(|_| get(&proxy, "readyz"));
    for answer in futures_util::future::join_all(probes).await {
        assert_eq!(answer.status(), StatusCode::OK);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["ready"], true);
        assert_eq!(body["targets"][0]["name"], "default");
    }
    assert_eq!(emulator.counters().logins_accepted, 1);
}

#[tokio::test]
async fn a_target_that_cannot_be_reached_is_named_with_the_cause() {
    // Bound and then closed: nothing listens there.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let connection = format!(
        "Server=127.0.0.1,{port};User ID=sa;Password=Hidden-1;TrustServerCertificate=true;Connect Timeout=2"
    );
    let mut config = Config::for_connection(connection);
    config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    config.admin.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    let nothing: [(String, String); 0] = [];
    let proxy = Proxy::start(config, Sources::new(Environment::from_pairs(nothing)))
        .await
        .unwrap();
    let answer = get(&proxy, "readyz").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["ready"], false);
    assert_eq!(body["targets"][0]["ready"], false);
    let cause = body["targets"][0]["error"].as_str().unwrap();
    assert!(cause.contains(&port.to_string()), "{cause}");
    for path in ["readyz", "status.json", "metrics", ""] {
        let text = get(&proxy, path).await.text().await.unwrap();
        assert!(!text.contains("Hidden-1"), "/{path}");
    }
    assert_eq!(get(&proxy, "livez").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_proxy_that_drains_is_alive_and_not_ready() {
    let emulator = azure().await;
    let proxy = proxy_with_admin(&emulator).await;
    let client = client(&proxy).await;
    assert_eq!(get(&proxy, "readyz").await.status(), StatusCode::OK);
    let admin = proxy.admin_address().unwrap();
    let ask = |path| async move {
        reqwest::get(format!("http://{admin}/{path}"))
            .await
            .unwrap()
    };
    let ending = tokio::spawn(proxy.shutdown(Duration::from_secs(60)));
    soon("it says so", async {
        while ask("readyz").await.status() == StatusCode::OK {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let body: Value = ask("readyz").await.json().await.unwrap();
    assert_eq!(
        (&body["ready"], &body["draining"]),
        (&false.into(), &true.into())
    );
    assert_eq!(ask("livez").await.status(), StatusCode::OK);
    drop(client);
    soon("it ends", ending).await.unwrap();
    assert!(reqwest::get(format!("http://{admin}/livez")).await.is_err());
}
