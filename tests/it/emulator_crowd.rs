//! A thousand clients of the gateway at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use entrada::emulator::{Emulator, EncryptionPolicy};
use entrada::tds::Encryption;
use tokio::sync::Barrier;

use crate::raw_client::{RawClient, password_login};

const CLIENTS: usize = 1000;
/// File descriptors that a client costs: its socket, the gateway's, and the engine's files.
const DESCRIPTORS: usize = 8;

/// As many clients as the machine allows files for.
fn crowd() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok());
    CLIENTS.min(soft.unwrap_or(256) / DESCRIPTORS)
}

async fn logged_in(emulator: &Emulator) -> RawClient {
    let mut client = RawClient::tcp(emulator.sql_addr()).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let answer = client
        .login(&password_login("sa", "s3cret!Pass", "demo"))
        .await;
    assert!(answer.ack.is_some(), "{:?}", answer.errors);
    client
}

/// The session's number, as it stands in the header of an answer.
async fn spid(client: &mut RawClient) -> u16 {
    client
        .send_batch("SELECT @@SPID", entrada::tds::PacketStatus::NORMAL)
        .await;
    let answer = client.receive().await.expect("an answer");
    assert_eq!(answer.payload[0], entrada::tds::token_id::COLMETADATA);
    answer.spid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_come_stay_and_go() {
    let emulator = Emulator::builder()
        .sql_admin("sa", "s3cret!Pass")
        .encryption(EncryptionPolicy::OnRequest)
        .start()
        .await
        .unwrap();
    let emulator = Arc::new(emulator);
    let clients = crowd();
    let together = Arc::new(Barrier::new(clients + 1));
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (emulator, together) = (emulator.clone(), together.clone());
            tokio::spawn(async move {
                let mut client = logged_in(&emulator).await;
                let first = spid(&mut client).await;
                together.wait().await;
                together.wait().await;
                assert_eq!(spid(&mut client).await, first);
                first
            })
        })
        .collect();
    together.wait().await;
    // Everybody is idle: whatever they cost, it is not a thread each.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let line = status.lines().find(|line| line.starts_with("Threads:"));
        let threads = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
        assert!(threads.unwrap() < CLIENTS * 3 / 4, "{threads:?} threads");
    }
    together.wait().await;
    let mut spids = BTreeSet::new();
    for task in tasks {
        spids.insert(task.await.unwrap());
    }
    assert_eq!(spids.len(), clients, "no session is mixed up with another");
    let gone = async {
        while !emulator.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    crate::raw_client::soon("the end of the sessions", gone).await;
    spid(&mut logged_in(&emulator).await).await;
}
