//! The metrics, read by Prometheus's own parser.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use entrada::emulator::Emulator;
use entrada::proxy::Proxy;
use entrada::tds::{Encryption, Login7};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{address, azure, config, sources};
use crate::raw_client::{RawClient, soon};
use crate::support::clients::python;

const QUERY: &str = "SELECT 1";
/// A packet's head, ALL_HEADERS with the transaction descriptor, UTF-16 text.
const QUERY_BYTES: usize = 8 + 22 + 2 * QUERY.len();

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_are_what_happened_also_after_everybody_has_left() {
    let emulator = azure().await;
    let proxy = proxy_with_admin(&emulator).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(client(&proxy).await);
    }
    let work = clients.into_iter().map(|mut client| async move {
        for _ in 0..20 {
            client.batch(QUERY).await;
        }
        client
    });
    let clients = futures_util::future::join_all(work).await;
    drop(TcpStream::connect(address(&proxy)).await.unwrap());
    quiet(&proxy, 10).await;
    let Some(samples) = samples(&proxy).await else {
        return;
    };
    let relaying = sum(&samples, "entrada_proxy_clients", &[("state", "relaying")]);
    assert_eq!(relaying, 10.0);
    judge(&samples);
    drop(clients);
    quiet(&proxy, 0).await;
    let samples = samples_of(&proxy).await;
    assert_eq!(sum(&samples, "entrada_proxy_clients", &[]), 0.0);
    assert_eq!(
        sum(&samples, "entrada_proxy_sessions_ended_total", &[]),
        10.0
    );
    assert_eq!(
        sum(&samples, "entrada_proxy_session_seconds_count", &[]),
        10.0
    );
    judge(&samples);
}

/// Ten clients have sent twenty requests each; one has left without a word.
fn judge(samples: &[Sample]) {
    let sum = |name: &str, labels: &[(&str, &str)]| sum(samples, name, labels);
    assert_eq!(
        sum("entrada_proxy_logins_total", &[("outcome", "accepted")]),
        10.0
    );
    assert_eq!(sum("entrada_proxy_logins_total", &[]), 11.0);
    for (phase, count) in [("total", 11.0), ("admit", 10.0), ("lease", 10.0)] {
        assert_eq!(
            sum("entrada_proxy_login_seconds_count", &[("phase", phase)]),
            count,
            "{phase}"
        );
    }
    assert_eq!(
        sum(
            "entrada_proxy_lease_seconds_count",
            &[("target", "default")]
        ),
        10.0
    );
    assert_eq!(sum("entrada_proxy_requests_total", &[]), 200.0);
    assert_eq!(sum("entrada_proxy_first_byte_seconds_count", &[]), 200.0);
    let from = sum(
        "entrada_proxy_relay_bytes_total",
        &[("direction", "from_client")],
    );
    assert_eq!(from, (200 * QUERY_BYTES) as f64);
    let to = sum(
        "entrada_proxy_relay_bytes_total",
        &[("direction", "to_client")],
    );
    assert!(to > 200.0 * 8.0, "{to}");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!((now - sum("entrada_proxy_start_time_seconds", &[])).abs() < 300.0);
    let expiry = sum(
        "entrada_proxy_token_expiry_timestamp_seconds",
        &[("target", "default")],
    );
    assert!(expiry > now, "{expiry}");
    assert_eq!(sum("entrada_proxy_token_refresh_trouble", &[]), 0.0);
    assert_eq!(sum("entrada_proxy_accept_errors_total", &[]), 0.0);
    buckets_add_up(samples);
}

fn buckets_add_up(samples: &[Sample]) {
    for infinite in samples
        .iter()
        .filter(|sample| sample.labels.get("le").is_some_and(|le| le == "+Inf"))
    {
        let name = infinite.name.replace("_bucket", "_count");
        let mut labels = infinite.labels.clone();
        labels.remove("le");
        let count = samples
            .iter()
            .find(|sample| sample.name == name && sample.labels == labels);
        assert_eq!(
            count.map(|count| count.value),
            Some(infinite.value),
            "{name}"
        );
    }
}

#[tokio::test]
async fn only_this_machine_is_answered_and_only_what_it_may_ask() {
    let emulator = azure().await;
    let proxy = proxy_with_admin(&emulator).await;
    let admin = proxy.admin_address().unwrap();
    for (head, status) in [
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\n", "200"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n", "403"),
        ("GET /metrics HTTP/1.1\r\n", "403"),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n",
            "403",
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
            "405",
        ),
        ("GET /etc/passwd HTTP/1.1\r\nHost: localhost\r\n", "404"),
    ] {
        let answer = ask(admin, head).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}: {answer}"
        );
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(header), "{head}: {header}");
        }
        assert!(!answer.contains("access-control-allow"), "{head}");
    }
    let answer = ask(admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n").await;
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_address_that_others_could_reach_is_refused() {
    let emulator = azure().await;
    let mut config = config(&emulator);
    config.admin.listen = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    let refused = Proxy::start(config, sources(&emulator)).await.unwrap_err();
    assert!(refused.to_string().contains("loopback"), "{refused}");
}

/// A proxy with an admin endpoint on a free port.
pub(super) async fn proxy_with_admin(emulator: &Emulator) -> Proxy {
    let mut config = config(emulator);
    config.admin.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    Proxy::start(config, sources(emulator)).await.unwrap()
}

pub(super) async fn client(proxy: &Proxy) -> RawClient {
    client_of(proxy, "counted").await
}

/// A client that is logged in, and says that it is this application.
pub(super) async fn client_of(proxy: &Proxy, application: &str) -> RawClient {
    let mut client = RawClient::tcp(address(proxy)).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let login = Login7 {
        app_name: application.to_owned(),
        ..Login7::default()
    };
    assert_eq!(client.login(&login).await.database(), Some("shop"));
    client
}

pub(super) async fn scrape(proxy: &Proxy) -> String {
    get(proxy, "metrics").await.text().await.unwrap()
}

pub(super) async fn get(proxy: &Proxy, path: &str) -> reqwest::Response {
    let url = format!("http://{}/{path}", proxy.admin_address().unwrap());
    reqwest::get(url).await.unwrap()
}

/// Sends the head, and reads to the end of the connection.
async fn ask(admin: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let head = format!("{head}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    answer
}

/// Waits until so many clients are there and all others are counted as gone.
async fn quiet(proxy: &Proxy, clients: usize) {
    soon("the others have left", async {
        loop {
            let status: Value = get(proxy, "status.json").await.json().await.unwrap();
            let logins = &status["totals"];
            let counted = logins["logins"].as_u64().unwrap()
                + logins["logins_not_accepted"].as_u64().unwrap();
            if logins["clients"] == clients && counted == 11 {
                return;
            }
        }
    })
    .await;
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

async fn samples_of(proxy: &Proxy) -> Vec<Sample> {
    samples(proxy)
        .await
        .expect("the parser has been there before")
}

/// What an independent parser reads; `None` if there is none.
async fn samples(proxy: &Proxy) -> Option<Vec<Sample>> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("metrics");
    std::fs::write(&file, scrape(proxy).await).unwrap();
    let lines = python(
        "metrics_judge.py",
        &[],
        [("METRICS", file.display().to_string())],
    )
    .await?;
    let read = |line: &Value| Sample {
        name: line["name"].as_str().unwrap().to_owned(),
        labels: serde_json::from_value(line["labels"].clone()).unwrap(),
        value: line["value"].as_f64().unwrap(),
    };
    Some(lines.iter().map(read).collect())
}

fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |sample: &&Sample| {
        let has =
            |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|has| has == value);
        sample.name == name && labels.iter().all(has)
    };
    samples.iter().filter(fits).map(|sample| sample.value).sum()
}
