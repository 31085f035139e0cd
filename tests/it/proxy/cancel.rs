//! Requests that are cancelled, in each way that there is.

use entrada::tds::{DoneStatus, PacketStatus, PacketType};

use super::scripted::{before, client, ends_in, let_in, reply};
use super::{azure, proxy};
use crate::raw_client::soon;
use crate::support::fake_server::FakeServer;

const IGNORED: PacketStatus = PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0);

/// The types of the requests that the script got, answered by `answers` in turn.
async fn answering(answers: &'static [DoneStatus]) -> FakeServer<Vec<(PacketType, bool)>> {
    FakeServer::start(1, move |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let mut seen = Vec::new();
        for status in answers {
            let message = conn.message().await.unwrap();
            let ignored = message.status.contains(PacketStatus::IGNORE);
            seen.push((message.packet_type, ignored));
            conn.raw(&reply(20, *status)).await.unwrap();
        }
        seen
    })
    .await
}

#[tokio::test]
async fn an_attention_before_within_and_after_an_answer_is_acknowledged_once() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let half = reply(10_000, DoneStatus::MORE);
        for before in [0, half.len() / 2, half.len()] {
            assert_eq!(
                conn.message().await.unwrap().packet_type,
                PacketType::SQL_BATCH
            );
            // Packets are never left half sent: what follows begins with a header.
            let whole = before / 4096 * 4096;
            conn.raw(&half[..whole.min(2 * 4096)]).await.unwrap();
            assert_eq!(
                conn.message().await.unwrap().packet_type,
                PacketType::ATTENTION
            );
            conn.raw(&reply(0, DoneStatus::ATTN)).await.unwrap();
        }
    })
    .await;
    let proxy = before(&server).await;
    soon("cancelling", async {
        let mut client = client(&proxy).await;
        for _ in 0..3 {
            client.send_batch("SELECT 1", PacketStatus::NORMAL).await;
            let kind = PacketType::ATTENTION;
            client.send(kind, PacketStatus::NORMAL, &[]).await;
            let answer = client.receive().await.unwrap();
            assert!(ends_in(&answer, DoneStatus::ATTN));
        }
    })
    .await;
    server.outcomes().await;
}

#[tokio::test]
async fn a_request_taken_back_by_the_ignore_bit_is_answered_by_the_server() {
    let server = answering(&[DoneStatus::ERROR, DoneStatus::FINAL]).await;
    let proxy = before(&server).await;
    soon("taking back", async {
        let mut client = client(&proxy).await;
        client.send_batch(&"SELECT 1 ".repeat(900), IGNORED).await;
        assert!(ends_in(&client.receive().await.unwrap(), DoneStatus::ERROR));
        client.send_batch("SELECT 1", PacketStatus::NORMAL).await;
        assert!(ends_in(&client.receive().await.unwrap(), DoneStatus::FINAL));
    })
    .await;
    let batch = PacketType::SQL_BATCH;
    assert_eq!(
        server.outcomes().await,
        [vec![(batch, true), (batch, false)]]
    );
}

#[tokio::test]
async fn an_attention_inside_a_request_reaches_the_server_as_the_ignore_bit() {
    let server = answering(&[DoneStatus::ERROR, DoneStatus::FINAL]).await;
    let proxy = before(&server).await;
    soon("cancelling", async {
        let mut client = client(&proxy).await;
        // The first packet of a request that does not end with it.
        let mut packet = vec![0x01, 0x00, 0x10, 0x00, 0, 0, 1, 0];
        packet.resize(4096, b' ');
        client.send_raw(&packet).await;
        let kind = PacketType::ATTENTION;
        client.send(kind, PacketStatus::NORMAL, &[]).await;
        assert!(ends_in(&client.receive().await.unwrap(), DoneStatus::ATTN));
        client.send_batch("SELECT 1", PacketStatus::NORMAL).await;
        assert!(ends_in(&client.receive().await.unwrap(), DoneStatus::FINAL));
    })
    .await;
    let batch = PacketType::SQL_BATCH;
    assert_eq!(
        server.outcomes().await,
        [vec![(batch, true), (batch, false)]]
    );
}

#[tokio::test]
async fn the_emulator_stops_what_a_client_cancels() {
    let emulator = azure().await;
    let proxy = proxy(&emulator).await;
    soon("the cancelled query", async {
        let mut client = client(&proxy).await;
        client
            .send_batch("WAITFOR DELAY '00:01:00'", PacketStatus::NORMAL)
            .await;
        let kind = PacketType::ATTENTION;
        client.send(kind, PacketStatus::NORMAL, &[]).await;
        // The answer may be over before, and the acknowledgement be one more.
        while !ends_in(&client.receive().await.unwrap(), DoneStatus::ATTN) {}
        let rows = client.batch("SELECT 'still here'").await;
        let text: Vec<u8> = b"still here".iter().flat_map(|c| [*c, 0]).collect();
        let plain = rows.windows(10).any(|part| part == b"still here");
        assert!(plain || rows.windows(text.len()).any(|part| part == text));
    })
    .await;
}
