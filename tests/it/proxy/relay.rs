//! Requests and results between a client and a scripted server.

use std::time::Duration;

use entrada::tds::{DoneStatus, Encryption, Login7, PacketStatus, PacketType, Prelogin, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::scripted::{before, client, client_with, ends_in, let_in, login, reply};
use super::{address, azure, proxy};
use crate::raw_client::{RawClient, soon};
use crate::support::fake_server::FakeServer;

#[tokio::test]
async fn a_login_without_prelogin_is_served() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the query", async {
        let mut client = RawClient::tcp(address(&proxy)).await;
        let answer = client.login(&login()).await;
        assert_eq!(answer.database(), Some("shop"));
        assert!(!client.batch("SELECT 1").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn mars_is_declined_and_its_frames_are_a_breach() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.until_closed().await
    })
    .await;
    let proxy = before(&server).await;
    soon("the refusal", async {
        let mut client = RawClient::tcp(address(&proxy)).await;
        let mut asked = Prelogin::new(Version::default(), Encryption::NOT_SUP);
        asked.mars = Some(true);
        let mut payload = Vec::new();
        asked.encode(&mut payload).unwrap();
        client
            .send(PacketType::PRELOGIN, PacketStatus::NORMAL, &payload)
            .await;
        let answer = client.receive().await.unwrap();
        assert_eq!(Prelogin::decode(&answer.payload).unwrap().mars, Some(false));
        client.login(&login()).await;
        let syn = [0x53, 1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
        client.send_raw(&syn).await;
        let told = client.receive().await.unwrap();
        let error = &super::scripted::errors(&told)[0];
        assert!(error.message.contains("MARS"), "{error}");
        assert!(client.receive().await.is_none());
    })
    .await;
    assert_eq!(server.outcomes().await, [b""]);
}

#[tokio::test]
async fn bulk_rows_and_long_requests_reach_the_server_byte_for_byte() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let mut payloads = Vec::new();
        for _ in 0..3 {
            let message = conn.message().await.unwrap();
            payloads.push((message.packet_type, message.status, message.payload));
            conn.raw(&reply(0, DoneStatus::FINAL)).await.unwrap();
        }
        payloads
    })
    .await;
    let proxy = before(&server).await;
    let payload = |seed: u8, size: usize| -> Vec<u8> {
        let bytes = (0..size).map(|at| (at as u8).wrapping_mul(seed));
        bytes.collect()
    };
    let sent = [
        (PacketType::SQL_BATCH, PacketStatus::NORMAL, payload(3, 100)),
        (
            PacketType::BULK_LOAD,
            PacketStatus::NORMAL,
            payload(5, 200_000),
        ),
        (
            PacketType::RPC,
            PacketStatus::RESET_CONNECTION,
            payload(7, 50_000),
        ),
    ];
    soon("the requests", async {
        let mut client = client(&proxy).await;
        for (kind, status, payload) in &sent {
            client.send(*kind, *status, payload).await;
            let answer = client.receive().await.unwrap();
            assert!(ends_in(&answer, DoneStatus::FINAL));
        }
    })
    .await;
    let got = server.outcomes().await.remove(0);
    for ((kind, status, payload), sent) in got.into_iter().zip(sent) {
        assert_eq!((kind, payload == sent.2), (sent.0, true));
        // A reset bit of the client's is its own business.
        let reset = PacketStatus::RESET_CONNECTION;
        assert_eq!(status.contains(reset), sent.1.contains(reset));
    }
}

#[tokio::test]
async fn the_packet_size_granted_is_the_servers_own() {
    for size in [512, 8000, 16_000] {
        let server = FakeServer::start(1, |_, mut conn| async move {
            let login = let_in(&mut conn).await.unwrap();
            let message = conn.message().await.unwrap();
            conn.raw(&reply(0, DoneStatus::FINAL)).await.unwrap();
            (login.packet_size, message.payload.len())
        })
        .await;
        let proxy = before(&server).await;
        let asked = Login7 {
            packet_size: size,
            ..login()
        };
        soon("the request", async {
            let (mut client, _) = client_with(&proxy, &asked).await;
            assert_eq!(client.packet_size, size as usize);
            client
                .send_batch(&"x".repeat(20_000), PacketStatus::NORMAL)
                .await;
            client.receive().await.unwrap();
        })
        .await;
        assert_eq!(server.outcomes().await, [(size, 40_022)]);
    }
}

#[tokio::test]
async fn a_slow_reader_holds_the_server_back_and_loses_nothing() {
    const RESULT: usize = 50 << 20;
    let (progress, mut sent) = tokio::sync::watch::channel(0_usize);
    let server = FakeServer::start(1, move |_, mut conn| {
        let progress = progress.clone();
        async move {
            let_in(&mut conn).await.unwrap();
            conn.message().await.unwrap();
            let result = reply(RESULT, DoneStatus::FINAL);
            for part in result.chunks(1 << 16) {
                conn.raw(part).await.unwrap();
                progress.send_modify(|sent| *sent += part.len());
            }
            result.len()
        }
    })
    .await;
    let proxy = before(&server).await;
    let received = soon("the result", async {
        let mut client = client(&proxy).await;
        client.send_batch("SELECT", PacketStatus::NORMAL).await;
        // Until the server has been stuck for a while: all buffers are full.
        let quiet = Duration::from_millis(500);
        while tokio::time::timeout(quiet, sent.changed()).await.is_ok() {}
        let taken = *sent.borrow();
        assert!(
            taken < RESULT / 2,
            "{taken} bytes were taken from the server"
        );
        let mut received = 0;
        let mut buffer = vec![0; 1 << 16];
        let whole = reply(RESULT, DoneStatus::FINAL).len();
        while received < whole {
            let count = client.tcp.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the end came after {received} bytes");
            received += count;
        }
        received
    })
    .await;
    assert_eq!(server.outcomes().await, [received]);
}

#[tokio::test]
async fn a_half_closed_client_gets_its_answer_and_then_the_end() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the answer", async {
        let mut client = client(&proxy).await;
        client.send_batch("SELECT 1", PacketStatus::NORMAL).await;
        client.tcp.shutdown().await.unwrap();
        assert!(client.receive().await.is_some());
        assert!(client.receive().await.is_none());
    })
    .await;
}
