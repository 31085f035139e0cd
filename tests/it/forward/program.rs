//! The program with a backend, and how much memory it takes.

use std::process::Stdio;
use std::sync::Arc;

use entrada::tds::{Encryption, PacketStatus};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{ADMIN, Client, PASSWORD, backend, server};
use crate::raw_client::{RawClient, password_login, soon};

/// How much more memory a large result may take at its peak.
const MOST: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_result_takes_little_memory_even_if_nobody_reads_it() {
    let server = server().await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_entrada"))
        .args(["emulator", "--format", "json", "--listen", "127.0.0.1:0"])
        .args([
            "--identity-listen",
            "127.0.0.1:0",
            "--backend",
            "env:BACKEND",
        ])
        .env("BACKEND", backend(&server))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    soon("the first line", output.read_line(&mut line))
        .await
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = format!("127.0.0.1,{}", server.sql_addr().port());
    assert_eq!(ready["backend"], Value::String(address));
    assert_eq!(ready["databases"], Value::Null);

    let mut client = Client(log_in(&ready).await);
    client.run("CREATE TABLE d (id int)").await;
    let values: Vec<String> = (0..200).map(|n| format!("({n})")).collect();
    client
        .run(&format!("INSERT d VALUES {}", values.join(",")))
        .await;
    let sql = "SELECT REPLICATE('x', 2000) FROM d AS a CROSS JOIN d AS b";
    let before = peak(&program);
    client.0.send_batch(sql, PacketStatus::NORMAL).await;
    // Time in which a relay that reads ahead would do so.
    let first = soon("the first rows", client.0.plain()).await.unwrap();
    client.0.keep(&first);
    for _ in 0..20 {
        client.one_elsewhere(&ready).await;
    }
    let message = client.0.receive_long(1 << 27).await.unwrap();
    assert!(message.payload.len() > 80_000_000);
    let grown = peak(&program) - before;
    assert!(grown < MOST, "{grown} KiB more than before");
}

impl Client {
    /// A request on another connection.
    async fn one_elsewhere(&self, ready: &Value) {
        let mut other = Client(log_in(ready).await);
        assert_eq!(other.one("SELECT 1").await, "1");
    }
}

async fn log_in(ready: &Value) -> RawClient {
    let mut client = RawClient::tcp(ready["sql"].as_str().unwrap().parse().unwrap()).await;
    let answer = client.prelogin(Encryption::ON, None).await;
    assert_eq!(answer.encryption, Encryption::ON);
    let ca = std::fs::read(ready["ca_certificate"].as_str().unwrap()).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    soon("TLS", client.start_tls(config, true)).await;
    let login = password_login(ADMIN, PASSWORD, "shop");
    let answer = soon("the login", client.login(&login)).await;
    assert!(answer.ack.is_some(), "{answer:?}");
    client
}

/// The most memory that the process has had, in KiB.
fn peak(program: &Child) -> u64 {
    let path = format!("/proc/{}/status", program.id().unwrap());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let digits = line.unwrap().split_whitespace().nth(1).unwrap();
    digits.parse().unwrap()
}
