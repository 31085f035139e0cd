//! Clients of older versions, byte by byte, before a server that follows a
//! script. What bytes mean is written down here, not taken from the codec.

use std::time::Duration;

use entrada::tds::{
    Done, DoneStatus, EnvChange, Feature, FeatureId, Login7, Message, PacketStatus, PacketType,
    ServerMessage, TdsVersion, Token, all_headers,
};
use tokio::io::AsyncReadExt;

use super::scripted::{before, client_with, let_in, login, reply};
use super::warm_pool::{self, until};
use super::{address, azure, config, connection};
use crate::raw_client::{RawClient, soon};
use crate::support::fake_server::{Conn, FakeServer, encode};

const OLD: [(TdsVersion, [u8; 4]); 4] = [
    (TdsVersion::V7_1, [0x07, 0x01, 0x00, 0x00]),
    (TdsVersion::V7_1_REV1, [0x71, 0x00, 0x00, 0x01]),
    (TdsVersion::V7_2, [0x72, 0x09, 0x00, 0x02]),
    (TdsVersion::V7_3A, [0x73, 0x0A, 0x00, 0x03]),
];

/// One nullable int named `n`, in COLMETADATA of 7.4 and of 7.1.
const COLUMNS: &[u8] = &[0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0x26, 4, 1, b'n', 0];
const COLUMNS_7_1: &[u8] = &[0x81, 1, 0, 0, 0, 9, 0, 0x26, 4, 1, b'n', 0];
const ROW: &[u8] = &[0xD1, 4, 1, 2, 3, 4];
/// The same as NULL: from the server, and for a client that knows no NBCROW.
const NULL_ROW: &[u8] = &[0xD2, 1];
const NULL_ROW_OLD: &[u8] = &[0xD1, 0];
/// DONE of 7.1 without a count.
const DONE_7_1: &[u8] = &[0xFD, 0, 0, 0, 0, 0, 0, 0, 0];
const DESCRIPTOR: u64 = 0x1122_3344_5566_7788;

fn old_login(version: TdsVersion) -> Login7 {
    Login7 {
        tds_version: version,
        option_flags3: 0,
        ..login()
    }
}

async fn jtds(proxy: &entrada::proxy::Proxy) -> RawClient {
    client_with(proxy, &old_login(TdsVersion::V7_1_REV1))
        .await
        .0
}

fn text(sql: &str) -> Vec<u8> {
    sql.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

async fn ask(client: &mut RawClient, sql: &str) {
    let kind = PacketType::SQL_BATCH;
    client.send(kind, PacketStatus::NORMAL, &text(sql)).await;
}

async fn attention(client: &mut RawClient) {
    let kind = PacketType::ATTENTION;
    client.send(kind, PacketStatus::NORMAL, &[]).await;
}

fn done(status: DoneStatus) -> Vec<u8> {
    encode(&[Token::Done(Done::new(status))])
}

/// A packet of a server's answer that is not its last.
fn part(data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    let [high, low] = length.to_be_bytes();
    [&[4, 0, high, low, 0, 51, 1, 0], data].concat()
}

/// Whether the message ends in DONE of 7.1 with this status.
fn ends_in(message: &Message, status: DoneStatus) -> bool {
    let [low, high] = status.0.to_le_bytes();
    let done = [&[0xFD, low, high], &DONE_7_1[3..]].concat();
    message.payload.ends_with(&done)
}

async fn batch_is(conn: &mut Conn, descriptor: u64, sql: &str) -> PacketStatus {
    let message = conn.message().await.unwrap();
    assert_eq!(message.packet_type, PacketType::SQL_BATCH);
    let expected = [all_headers(descriptor), text(sql)].concat();
    assert_eq!(message.payload, expected, "{sql}");
    message.status
}

#[tokio::test]
async fn each_version_is_granted_what_it_asks_for_and_the_server_hears_7_4() {
    let server = FakeServer::start(OLD.len(), |_, mut conn| async move {
        let login = let_in(&mut conn).await.unwrap();
        assert_eq!(login.tds_version, TdsVersion::V7_4);
        // Those are for the proxy itself; of what changes values none is asked for.
        let ours = [FeatureId::FEDAUTH, FeatureId::ENHANCEDROUTINGSUPPORT];
        let is_ours = |feature: &Feature| ours.contains(&feature.id);
        assert!(login.features.iter().all(is_ours), "{:?}", login.features);
        assert_eq!(login.app_name, "old program");
        conn.until_closed().await;
    })
    .await;
    let proxy = before(&server).await;
    for (version, number) in OLD {
        let mut client = RawClient::tcp(address(&proxy)).await;
        // No PRELOGIN, as jTDS has it.
        client.send_login(&old_login(version)).await;
        let answer = soon("the answer", client.receive()).await.unwrap();
        let mut ack = vec![1];
        ack.extend(number);
        // With two NUL behind the name, as real servers have it.
        ack.push(22);
        let at = |part: &[u8]| answer.payload.windows(part.len()).any(|w| w == part);
        assert!(at(&ack), "{version}: {:02x?}", answer.payload);
        let length = if version < TdsVersion::V7_2 { 9 } else { 13 };
        let done = &answer.payload[answer.payload.len() - length..];
        assert!(done[0] == 0xFD && done[1..].iter().all(|byte| *byte == 0));
        // ENVCHANGE: database, collation, language and packet size, each once.
        for kind in [1, 2, 4, 7] {
            let begins = |w: &[u8]| w[0] == 0xE3 && w[2] == 0 && w[3] == kind;
            let count = answer.payload.windows(4).filter(|w| begins(w)).count();
            assert_eq!(count, 1, "{version}: ENVCHANGE {kind}");
        }
    }
    drop(proxy);
    server.outcomes().await;
}

#[tokio::test]
async fn what_a_new_client_gets_is_no_business_of_the_transcoder() {
    const VERSIONS: [TdsVersion; 3] = [TdsVersion::V7_3B, TdsVersion::V7_4, TdsVersion::V7_3A];
    let server = FakeServer::start(VERSIONS.len(), |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let asked = conn.message().await.unwrap();
        // Rows without columns: no tokens at all.
        conn.raw(&reply(9000, DoneStatus::FINAL)).await.unwrap();
        conn.until_closed().await;
        asked.payload
    })
    .await;
    let proxy = before(&server).await;
    soon("the answers", async {
        for version in VERSIONS {
            let (mut client, _) = client_with(&proxy, &old_login(version)).await;
            let nonsense = b"\x07no headers and no text";
            let kind = PacketType::RPC;
            client.send(kind, PacketStatus::NORMAL, nonsense).await;
            let answer = client.receive().await.unwrap();
            let same = [vec![0xD1; 9000], done(DoneStatus::FINAL)].concat();
            let is_same = answer.payload == same;
            // The last is there to show that the others could fail.
            assert_eq!(is_same, version != TdsVersion::V7_3A, "{version}");
        }
    })
    .await;
    for asked in server.outcomes().await {
        assert_eq!(asked, b"\x07no headers and no text");
    }
}

#[tokio::test]
async fn a_batch_gets_headers_and_its_answer_the_widths_of_7_1() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        batch_is(&mut conn, 0, "SELECT 1").await;
        let mut error = ServerMessage::new(208, 1, 16, "oh");
        error.line = 70_000;
        let count = [0xFD, 0x10, 0, 0xC1, 0, 2, 0, 0, 0, 0, 0, 0, 0];
        let mut said = encode(&[Token::Error(error)]);
        said.extend([COLUMNS, ROW, NULL_ROW, &count].concat());
        conn.answer(&said).await.unwrap();
    })
    .await;
    let proxy = before(&server).await;
    soon("the answer", async {
        let mut client = jtds(&proxy).await;
        ask(&mut client, "SELECT 1").await;
        let answer = client.receive().await.unwrap();
        let mut expected = vec![
            0xAA, 16, 0, 208, 0, 0, 0, 1, 16, 2, 0, b'o', 0, b'h', 0, 0, 0,
        ];
        expected.extend(u16::MAX.to_le_bytes());
        expected.extend([COLUMNS_7_1, ROW, NULL_ROW_OLD].concat());
        expected.extend([0xFD, 0x10, 0, 0xC1, 0, 2, 0, 0, 0]);
        assert_eq!(answer.payload, expected);
    })
    .await;
    server.outcomes().await;
}

#[tokio::test]
async fn a_request_says_in_which_transaction_it_is_even_if_it_came_early() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let change = |change| [encode(&[Token::EnvChange(change)]), done(DoneStatus::FINAL)];
        batch_is(&mut conn, 0, "BEGIN TRAN").await;
        let begun = change(EnvChange::BeginTransaction(DESCRIPTOR));
        conn.answer(&begun.concat()).await.unwrap();
        batch_is(&mut conn, DESCRIPTOR, "COMMIT").await;
        let ended = change(EnvChange::CommitTransaction(DESCRIPTOR));
        conn.answer(&ended.concat()).await.unwrap();
        batch_is(&mut conn, 0, "SELECT 1").await;
        conn.answer(&done(DoneStatus::FINAL)).await.unwrap();
    })
    .await;
    let proxy = before(&server).await;
    soon("the answers", async {
        let mut client = jtds(&proxy).await;
        for sql in ["BEGIN TRAN", "COMMIT", "SELECT 1"] {
            ask(&mut client, sql).await;
        }
        for _ in 0..3 {
            assert_eq!(client.receive().await.unwrap().payload, DONE_7_1);
        }
    })
    .await;
    server.outcomes().await;
}

#[tokio::test]
async fn a_reset_reaches_the_server_and_its_acknowledgement_nobody() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let long = "x".repeat(5000);
        let status = batch_is(&mut conn, 0, &long).await;
        assert!(status.contains(PacketStatus::RESET_CONNECTION));
        let reset = encode(&[Token::EnvChange(EnvChange::ResetAcknowledged)]);
        let said = [reset, done(DoneStatus::FINAL)].concat();
        conn.answer(&said).await.unwrap();
    })
    .await;
    let proxy = before(&server).await;
    soon("the answer", async {
        let mut client = jtds(&proxy).await;
        let (kind, status) = (PacketType::SQL_BATCH, PacketStatus::RESET_CONNECTION);
        client.send(kind, status, &text(&"x".repeat(5000))).await;
        assert_eq!(client.receive().await.unwrap().payload, DONE_7_1);
    })
    .await;
    server.outcomes().await;
}

#[tokio::test]
async fn an_attention_is_acknowledged_before_within_and_after_an_answer() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        for so_far in [&[][..], COLUMNS, &[COLUMNS, ROW, NULL_ROW].concat()] {
            batch_is(&mut conn, 0, "SELECT 1").await;
            if !so_far.is_empty() {
                conn.raw(&part(so_far)).await.unwrap();
            }
            let kind = conn.message().await.unwrap().packet_type;
            assert_eq!(kind, PacketType::ATTENTION);
            conn.answer(&done(DoneStatus::ATTN)).await.unwrap();
        }
        // The answer is over when the attention comes.
        batch_is(&mut conn, 0, "SELECT 1").await;
        conn.answer(&done(DoneStatus::FINAL)).await.unwrap();
        conn.message().await.unwrap();
        conn.answer(&done(DoneStatus::ATTN)).await.unwrap();
    })
    .await;
    let proxy = before(&server).await;
    soon("cancelling", async {
        let mut client = jtds(&proxy).await;
        for _ in 0..3 {
            ask(&mut client, "SELECT 1").await;
            attention(&mut client).await;
            let answer = client.receive().await.unwrap();
            assert!(ends_in(&answer, DoneStatus::ATTN), "{answer:?}");
        }
        ask(&mut client, "SELECT 1").await;
        attention(&mut client).await;
        assert_eq!(client.receive().await.unwrap().payload, DONE_7_1);
        let answer = client.receive().await.unwrap();
        assert!(ends_in(&answer, DoneStatus::ATTN));
    })
    .await;
    server.outcomes().await;
}

/// The beginning of a batch, in a packet that is not its last.
fn half(data: usize) -> Vec<u8> {
    let [high, low] = ((8 + data) as u16).to_be_bytes();
    let mut packet = vec![1, 0, high, low, 0, 0, 1, 0];
    packet.resize(8 + data, b' ');
    packet
}

#[tokio::test]
async fn a_request_that_is_half_sent_can_be_cancelled() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let message = conn.message().await.unwrap();
            let ignored = message.status.contains(PacketStatus::IGNORE);
            seen.push((message.packet_type, ignored));
            let status = match message.packet_type {
                PacketType::ATTENTION => DoneStatus::ATTN,
                _ => DoneStatus::ERROR,
            };
            conn.answer(&done(status)).await.unwrap();
        }
        batch_is(&mut conn, 0, "SELECT 1").await;
        conn.answer(&done(DoneStatus::FINAL)).await.unwrap();
        seen
    })
    .await;
    let proxy = before(&server).await;
    soon("cancelling", async {
        let mut client = jtds(&proxy).await;
        // By an attention, when the server has seen some of it and when it has
        // seen nothing; and by the ignore bit.
        for length in [4088, 100] {
            client.send_raw(&half(length)).await;
            attention(&mut client).await;
            let answer = client.receive().await.unwrap();
            assert!(ends_in(&answer, DoneStatus::ATTN), "{answer:?}");
        }
        client.send_raw(&half(4088)).await;
        client.send_raw(&[1, 3, 0, 8, 0, 0, 2, 0]).await;
        let answer = client.receive().await.unwrap();
        assert!(ends_in(&answer, DoneStatus::ERROR), "{answer:?}");
        ask(&mut client, "SELECT 1").await;
        assert_eq!(client.receive().await.unwrap().payload, DONE_7_1);
    })
    .await;
    let batch = PacketType::SQL_BATCH;
    let expected = vec![(batch, true), (PacketType::ATTENTION, false), (batch, true)];
    assert_eq!(server.outcomes().await, [expected]);
}

#[tokio::test]
async fn a_server_that_dies_in_an_answer_is_told_between_two_tokens() {
    let server = FakeServer::start(2, |number, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.message().await.unwrap();
        if number == 0 {
            let so_far = [COLUMNS, ROW, ROW].concat();
            conn.raw(&part(&so_far)).await.unwrap();
        }
    })
    .await;
    let proxy = before(&server).await;
    soon("the errors", async {
        for so_far in [[COLUMNS_7_1, ROW, ROW].concat(), Vec::new()] {
            let mut client = jtds(&proxy).await;
            ask(&mut client, "SELECT 1").await;
            let answer = client.receive().await.unwrap();
            let error = answer.payload.strip_prefix(&so_far[..]).unwrap();
            // ERROR 10054, of state 1 and class 20.
            let [0xAA, low, high, number @ ..] = error else {
                panic!("no error but {error:02x?}");
            };
            assert_eq!(number[..6], [0x46, 0x27, 0, 0, 1, 20]);
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            assert_eq!(error.len(), 3 + length + DONE_7_1.len());
            assert!(ends_in(&answer, DoneStatus::ERROR));
            assert!(client.receive().await.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_breaks_its_protocol_is_told_in_its_version() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.until_closed().await
    })
    .await;
    let proxy = before(&server).await;
    soon("the error", async {
        let mut client = jtds(&proxy).await;
        // A call of a procedure that ends within its name.
        let kind = PacketType::RPC;
        client
            .send(kind, PacketStatus::NORMAL, &[9, 0, b'x', 0])
            .await;
        let answer = client.receive().await.unwrap();
        assert_eq!(answer.payload[3..7], 4002_u32.to_le_bytes());
        assert!(ends_in(&answer, DoneStatus::ERROR), "{answer:?}");
        assert!(client.receive().await.is_none());
    })
    .await;
    server.outcomes().await;
}

#[tokio::test]
async fn a_client_that_dies_in_an_answer_has_it_cancelled() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.message().await.unwrap();
        conn.raw(&part(COLUMNS)).await.unwrap();
        let rows = part(&ROW.repeat(5000));
        loop {
            tokio::select! {
                message = conn.message() => return message.unwrap().packet_type,
                () = tokio::task::yield_now() => {}
            }
            if conn.raw(&rows).await.is_err() {
                return PacketType(0);
            }
        }
    })
    .await;
    let proxy = before(&server).await;
    soon("the end", async {
        let mut client = jtds(&proxy).await;
        ask(&mut client, "SELECT 1").await;
        let mut some = vec![0; 10_000];
        client.tcp.read_exact(&mut some).await.unwrap();
        client.tcp.set_zero_linger().unwrap();
        drop(client);
        assert_eq!(server.outcomes().await, [PacketType::ATTENTION]);
    })
    .await;
}

/// The length of a message's data, which is forgotten as it comes.
async fn data_length(client: &mut RawClient) -> usize {
    let (mut data, mut left, mut last) = (0, 0, false);
    let mut header = Vec::new();
    while !last || left > 0 {
        let bytes = client.plain().await.expect("more of the answer");
        // The proxy is faster than this client.
        tokio::task::yield_now().await;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let wanted = if left > 0 { left } else { 8 - header.len() };
            let (now, later) = rest.split_at(wanted.min(rest.len()));
            rest = later;
            if left > 0 {
                left -= now.len();
                data += now.len();
                continue;
            }
            header.extend_from_slice(now);
            if let [4, status, high, low, _, _, _, _] = header[..] {
                left = usize::from(u16::from_be_bytes([high, low])) - 8;
                last = status & 1 == 1;
                header.clear();
            }
        }
    }
    data
}

#[tokio::test]
async fn a_result_of_50_mb_reaches_a_slow_reader_whole() {
    const ROWS: usize = 10_000_000;
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.message().await.unwrap();
        conn.raw(&part(COLUMNS)).await.unwrap();
        let rows = part(&[ROW, NULL_ROW].concat().repeat(2000));
        for _ in 0..ROWS / 4000 {
            conn.raw(&rows).await.unwrap();
        }
        conn.answer(&done(DoneStatus::FINAL)).await.unwrap();
    })
    .await;
    let proxy = before(&server).await;
    let whole = async {
        let mut client = jtds(&proxy).await;
        ask(&mut client, "SELECT 1").await;
        data_length(&mut client).await
    };
    let data = tokio::time::timeout(Duration::from_secs(120), whole).await;
    let rows = ROWS / 2 * (ROW.len() + NULL_ROW_OLD.len());
    assert_eq!(data.unwrap(), COLUMNS_7_1.len() + rows + DONE_7_1.len());
    server.outcomes().await;
}

#[tokio::test]
async fn a_session_serves_an_old_client_and_then_a_new_one() {
    let emulator = azure().await;
    let mut config = config(&emulator);
    config.targets[0].pool.max = 1;
    let proxy = warm_pool::start(config, &emulator).await;
    let versions = [TdsVersion::V7_1_REV1, TdsVersion::V7_4, TdsVersion::V7_2];
    for (index, version) in versions.into_iter().enumerate() {
        let login = Login7 {
            option_flags3: 0,
            tds_version: version,
            ..warm_pool::login("till")
        };
        let mut client = soon("the login", warm_pool::client(&proxy, &login)).await;
        let headers = match version {
            TdsVersion::V7_1_REV1 => Vec::new(),
            _ => all_headers(0),
        };
        let batch = [headers, text("SELECT CONCAT(N'in ', DB_NAME())")].concat();
        let kind = PacketType::SQL_BATCH;
        client.send(kind, PacketStatus::NORMAL, &batch).await;
        let answer = soon("the answer", client.receive()).await.unwrap();
        let said = text("in shop");
        assert!(answer.payload.windows(said.len()).any(|w| w == said));
        drop(client);
        until("the reset", || emulator.counters().resets > index as u64).await;
    }
    assert_eq!(emulator.counters().logins_accepted, 1);
    assert!(!connection(&emulator).is_empty());
}

#[tokio::test]
async fn a_proxy_that_stops_lets_an_old_client_finish_and_closes_idle_ones() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        batch_is(&mut conn, 0, "SELECT 1").await;
        conn.answer(&done(DoneStatus::FINAL)).await.unwrap();
        conn.until_closed().await
    })
    .await;
    let proxy = before(&server).await;
    soon("the end", async {
        let mut client = jtds(&proxy).await;
        ask(&mut client, "SELECT 1").await;
        assert_eq!(client.receive().await.unwrap().payload, DONE_7_1);
        proxy.shutdown(Duration::from_millis(50)).await;
        assert!(client.receive().await.is_none());
        assert!(server.outcomes().await[0].is_empty());
    })
    .await;
}
