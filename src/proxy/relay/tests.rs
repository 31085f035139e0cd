use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::proxy::registry::Traffic;
use crate::tds::{
    Collation, Done, DoneStatus, HEADER_LEN, PacketStatus, PacketType, TdsVersion, all_headers,
    read_tokens, write_message,
};
use crate::transcode::{OldVersion, Settings};

const SIZE: usize = 512;

/// A relay between two pipes, which are narrow so that back-pressure shows.
struct Relay {
    client: DuplexStream,
    server: DuplexStream,
    traffic: Arc<Traffic>,
    task: JoinHandle<Outcome>,
}

impl Relay {
    fn new() -> Self {
        Self::with(Vec::new(), None)
    }

    fn with(early: Vec<u8>, idle: Option<Duration>) -> Self {
        Self::over(None, early, idle)
    }

    /// For a client of 7.1.
    fn old(idle: Option<Duration>) -> Self {
        let settings = Settings {
            version: OldVersion::V7_1Rev1,
            client_packet_size: SIZE,
            server_packet_size: SIZE,
            collation: Collation::SQL_LATIN1_GENERAL_CP1_CI_AS,
            hold_limit: 1 << 20,
        };
        Self::over(Some(Box::new(Bridge::new(&settings))), Vec::new(), idle)
    }

    fn over(bridge: Option<Box<Bridge>>, early: Vec<u8>, idle: Option<Duration>) -> Self {
        let (client, near) = duplex(4096);
        let (server, far) = duplex(4096);
        let traffic = Arc::new(Traffic::default());
        let counted = Arc::clone(&traffic);
        let task = tokio::spawn(async move {
            let mut client = SessionStream::wrapped(near);
            let mut server = SessionStream::wrapped(far);
            let stats = Stats::new();
            let meters = (&*counted, &stats);
            let pump = Pump::new(&mut client, &mut server, SIZE, early, meters);
            let mut pump = pump.idle_after(idle);
            pump.bridge = bridge;
            let end = poll_fn(|cx| pump.poll(cx)).await;
            wind_up(&mut pump, end).await
        });
        Self {
            client,
            server,
            traffic,
            task,
        }
    }

    /// The client asks, and the server has got it.
    async fn asked(&mut self) {
        let request = batch("x");
        self.client.write_all(&request).await.unwrap();
        self.expect_at_server(&request).await;
    }

    async fn expect_at_server(&mut self, bytes: &[u8]) {
        let mut seen = vec![0; bytes.len()];
        self.server.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, bytes);
    }

    async fn expect_at_client(&mut self, bytes: &[u8]) {
        let mut seen = vec![0; bytes.len()];
        self.client.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, bytes);
    }

    async fn outcome(self) -> (&'static str, Option<Condition>) {
        let outcome = self.task.await.unwrap();
        (outcome.end.word(), outcome.session)
    }
}

fn message(kind: PacketType, status: PacketStatus, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(kind, status, payload, SIZE, &mut out);
    out
}

fn batch(text: &str) -> Vec<u8> {
    let mut payload = all_headers(0);
    payload.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    message(PacketType::SQL_BATCH, PacketStatus::NORMAL, &payload)
}

fn answer(size: usize, status: DoneStatus) -> Vec<u8> {
    let mut payload = vec![0xD1; size];
    Done::new(status).encode(TdsVersion::V7_4, &mut payload);
    message(PacketType::TABULAR_RESULT, PacketStatus::NORMAL, &payload)
}

fn attention() -> Vec<u8> {
    message(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
}

/// The texts of the errors in what a client read.
fn errors(bytes: &[u8]) -> Vec<String> {
    let tokens = read_tokens(&bytes[HEADER_LEN..], TdsVersion::V7_4).unwrap();
    let texts = tokens.into_iter().filter_map(|token| match token {
        crate::tds::Token::Error(error) => Some(error.to_string()),
        _ => None,
    });
    texts.collect()
}

const AT_REST: Option<Condition> = Some(Condition::AtRest);

#[tokio::test]
async fn a_session_is_at_rest_when_its_client_leaves_between_requests() {
    let mut relay = Relay::new();
    for _ in 0..3 {
        relay.asked().await;
        let reply = answer(2000, DoneStatus::FINAL);
        relay.server.write_all(&reply).await.unwrap();
        relay.expect_at_client(&reply).await;
    }
    let traffic = Arc::clone(&relay.traffic);
    relay.client.shutdown().await.unwrap();
    assert_eq!(relay.outcome().await, ("left", AT_REST));
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let sent = batch("x").len() as u64;
    let received = answer(2000, DoneStatus::FINAL).len() as u64;
    assert_eq!(count(&traffic.requests), 3);
    assert_eq!(count(&traffic.sent), 3 * sent);
    assert_eq!(count(&traffic.received), 3 * received);
}

#[tokio::test]
async fn what_came_behind_the_login_is_a_request_like_any_other() {
    let mut relay = Relay::with(batch("early"), None);
    relay.expect_at_server(&batch("early")).await;
    drop(relay.server);
    let mut told = Vec::new();
    relay.client.read_to_end(&mut told).await.unwrap();
    assert!(errors(&told)[0].contains("the server closed the connection"));
}

#[tokio::test]
async fn a_half_closed_client_gets_its_answer_to_the_end() {
    let mut relay = Relay::new();
    relay.asked().await;
    relay.client.shutdown().await.unwrap();
    let reply = answer(100_000, DoneStatus::FINAL);
    let mut seen = Vec::new();
    let (sent, read) = tokio::join!(
        relay.server.write_all(&reply),
        relay.client.read_to_end(&mut seen)
    );
    sent.unwrap();
    read.unwrap();
    assert_eq!(seen, reply);
    assert_eq!(relay.outcome().await, ("left", AT_REST));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closed_and_is_owed_an_answer_in_vain_has_it_stopped() {
    let mut relay = Relay::new();
    relay.asked().await;
    relay.client.shutdown().await.unwrap();
    let begun = Instant::now();
    relay.expect_at_server(&attention()).await;
    assert_eq!(begun.elapsed().as_secs(), 10);
    let reply = answer(0, DoneStatus::ATTN);
    relay.server.write_all(&reply).await.unwrap();
    assert_eq!(relay.outcome().await, ("deserted", AT_REST));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dies_in_an_answer_has_it_stopped_and_drained() {
    for acknowledged in [true, false] {
        let mut relay = Relay::new();
        relay.asked().await;
        let reply = answer(9000, DoneStatus::FINAL | DoneStatus::MORE);
        relay.server.write_all(&reply[..1000]).await.unwrap();
        relay.expect_at_client(&reply[..1000]).await;
        drop(relay.client);
        let (client, _) = duplex(1);
        relay.client = client;
        // The rest of the answer is not for anybody.
        relay.server.write_all(&reply[1000..]).await.unwrap();
        relay.expect_at_server(&attention()).await;
        if acknowledged {
            let last = answer(0, DoneStatus::ATTN);
            relay.server.write_all(&last).await.unwrap();
            assert_eq!(relay.outcome().await, ("client-broke", AT_REST));
        } else {
            // One that does not stop in time is no use to anybody.
            assert_eq!(relay.outcome().await, ("client-broke", None));
        }
    }
}

#[tokio::test]
async fn a_client_that_dies_in_a_request_has_it_taken_back() {
    let request = batch(&"SELECT 1 ".repeat(200));
    for cut in [SIZE, SIZE + 1, SIZE + 300, 3 * SIZE] {
        let mut relay = Relay::new();
        relay.client.write_all(&request[..cut]).await.unwrap();
        relay.client.shutdown().await.unwrap();
        let whole = cut / SIZE * SIZE;
        relay.expect_at_server(&request[..whole]).await;
        relay
            .expect_at_server(&[0x01, 0x03, 0, 8, 0, 0, 1, 0])
            .await;
        let reply = answer(0, DoneStatus::ERROR);
        relay.server.write_all(&reply).await.unwrap();
        assert_eq!(relay.outcome().await, ("client-broke", AT_REST));
    }
    // Of this one the server has seen nothing.
    let mut relay = Relay::new();
    relay.client.write_all(&request[..300]).await.unwrap();
    relay.client.shutdown().await.unwrap();
    assert_eq!(relay.outcome().await, ("client-broke", AT_REST));
}

#[tokio::test]
async fn half_a_bulk_load_costs_the_session() {
    let rows = message(PacketType::BULK_LOAD, PacketStatus::NORMAL, &[0xD1; 2000]);
    let mut relay = Relay::new();
    relay.client.write_all(&rows[..SIZE]).await.unwrap();
    relay.client.shutdown().await.unwrap();
    assert_eq!(relay.outcome().await, ("client-broke", None));
}

#[tokio::test]
async fn a_session_that_a_reset_cannot_mend_says_so() {
    let mut relay = Relay::new();
    let request = batch("EXEC sp_setapprole 'r', 'p'");
    relay.client.write_all(&request).await.unwrap();
    relay.expect_at_server(&request).await;
    let reply = answer(0, DoneStatus::FINAL);
    relay.server.write_all(&reply).await.unwrap();
    relay.expect_at_client(&reply).await;
    relay.client.shutdown().await.unwrap();
    assert_eq!(relay.outcome().await, ("left", Some(Condition::Lasting)));
}

#[tokio::test]
async fn a_breach_of_the_protocol_is_told_and_passes_nothing_on() {
    let cases = [
        (vec![0x53, 1, 0, 0], "MARS"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "no request"),
        (vec![1, 1, 2, 1, 0, 0, 1, 0], "512 were agreed on"),
    ];
    for (bytes, expected) in cases {
        let mut relay = Relay::new();
        relay.client.write_all(&bytes).await.unwrap();
        let mut told = vec![0; 2048];
        let count = relay.client.read(&mut told).await.unwrap();
        let error = errors(&told[..count]).remove(0);
        assert!(error.contains(expected), "{error}");
        relay.client.shutdown().await.unwrap();
        assert_eq!(relay.outcome().await, ("protocol", AT_REST));
    }
}

#[tokio::test]
async fn a_server_that_goes_is_told_where_the_client_reads_a_message() {
    // Owed an answer of which nothing has come.
    let mut relay = Relay::new();
    relay.asked().await;
    relay.server.shutdown().await.unwrap();
    let mut told = Vec::new();
    relay.client.read_to_end(&mut told).await.unwrap();
    assert!(errors(&told)[0].contains("the server closed the connection (10054"));
    relay.client.shutdown().await.unwrap();
    assert_eq!(relay.outcome().await, ("server-closed", None));

    // In the midst of an answer, and with nothing due: the close says it.
    for half in [100, 0] {
        let mut relay = Relay::new();
        if half > 0 {
            relay.asked().await;
        }
        let reply = answer(600, DoneStatus::FINAL);
        relay.server.write_all(&reply[..half]).await.unwrap();
        relay.server.shutdown().await.unwrap();
        let mut told = Vec::new();
        relay.client.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, &reply[..half]);
        assert_eq!(relay.outcome().await, ("server-closed", None));
    }

    // Garbage in place of an answer.
    let mut relay = Relay::new();
    relay.asked().await;
    relay.server.write_all(b"HTTP/1.1 400\r\n").await.unwrap();
    let mut told = vec![0; 2048];
    let count = relay.client.read(&mut told).await.unwrap();
    assert!(errors(&told[..count])[0].contains("no answer"));
    relay.client.shutdown().await.unwrap();
    assert_eq!(relay.outcome().await, ("server-fault", None));
}

#[tokio::test(start_paused = true)]
async fn silence_is_idleness_only_between_requests() {
    let idle = Duration::from_secs(60);
    let mut relay = Relay::with(Vec::new(), Some(idle));
    let begun = Instant::now();
    relay.asked().await;
    tokio::time::sleep(4 * idle).await;
    let reply = answer(0, DoneStatus::FINAL);
    relay.server.write_all(&reply).await.unwrap();
    relay.expect_at_client(&reply).await;
    let mut rest = Vec::new();
    relay.client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(begun.elapsed(), 5 * idle);
    assert_eq!(relay.outcome().await, ("idle", AT_REST));
}

// The clock stands: time passes only when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn an_attention_overtakes_a_result_that_nobody_reads() {
    let mut relay = Relay::new();
    relay.asked().await;
    // More than all pipes hold: the relay is stuck on the client's side.
    let reply = answer(400_000, DoneStatus::FINAL | DoneStatus::MORE);
    let mut sent = 0;
    loop {
        let more = relay.server.write(&reply[sent..]);
        match timeout(Duration::from_millis(200), more).await {
            Ok(count) => sent += count.unwrap(),
            Err(_) => break,
        }
    }
    assert!(sent < 200_000, "{sent} bytes were taken that nobody reads");
    relay.client.write_all(&attention()).await.unwrap();
    relay.expect_at_server(&attention()).await;
}

/// A batch as a client of 7.1 sends it.
fn old_batch(text: &str) -> Vec<u8> {
    let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    message(PacketType::SQL_BATCH, PacketStatus::NORMAL, &text)
}

/// Columns and rows of one int, in 7.4, without an end.
fn rows(count: usize) -> Vec<u8> {
    let mut payload = vec![0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0x26, 4, 0];
    payload.extend([0xD1, 4, 1, 0, 0, 0].repeat(count));
    payload
}

/// DONE of 7.1 in its packet.
fn old_done(status: DoneStatus) -> Vec<u8> {
    let [low, high] = status.0.to_le_bytes();
    let done = [0xFD, low, high, 0, 0, 0, 0, 0, 0];
    message(PacketType::TABULAR_RESULT, PacketStatus::NORMAL, &done)
}

#[tokio::test(start_paused = true)]
async fn an_old_client_is_idle_only_between_requests() {
    let idle = Duration::from_secs(60);
    let mut relay = Relay::old(Some(idle));
    let begun = Instant::now();
    relay.client.write_all(&old_batch("x")).await.unwrap();
    relay.expect_at_server(&batch("x")).await;
    tokio::time::sleep(4 * idle).await;
    let reply = answer(0, DoneStatus::FINAL);
    relay.server.write_all(&reply).await.unwrap();
    relay.expect_at_client(&old_done(DoneStatus::FINAL)).await;
    let mut rest = Vec::new();
    relay.client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(begun.elapsed(), 5 * idle);
    assert_eq!(relay.outcome().await, ("idle", AT_REST));
}

#[tokio::test]
async fn an_old_client_that_closes_its_half_gets_its_answers_first() {
    let mut relay = Relay::old(None);
    // The second request has to wait for the first one's answer.
    let both = [old_batch("x"), old_batch("y")].concat();
    relay.client.write_all(&both).await.unwrap();
    relay.client.shutdown().await.unwrap();
    for text in ["x", "y"] {
        relay.expect_at_server(&batch(text)).await;
        let reply = answer(0, DoneStatus::FINAL);
        relay.server.write_all(&reply).await.unwrap();
        relay.expect_at_client(&old_done(DoneStatus::FINAL)).await;
    }
    assert_eq!(relay.outcome().await, ("left", AT_REST));
}

#[tokio::test]
async fn an_old_client_that_dies_in_a_request_has_it_taken_back() {
    let request = old_batch(&"SELECT 1 ".repeat(200));
    let mut relay = Relay::old(None);
    relay
        .client
        .write_all(&request[..SIZE + 300])
        .await
        .unwrap();
    relay.client.shutdown().await.unwrap();
    let mut seen = vec![0; SIZE];
    relay.server.read_exact(&mut seen).await.unwrap();
    relay
        .expect_at_server(&[0x01, 0x03, 0, 8, 0, 0, 1, 0])
        .await;
    let reply = answer(0, DoneStatus::ERROR);
    relay.server.write_all(&reply).await.unwrap();
    assert_eq!(relay.outcome().await, ("client-broke", AT_REST));
}

// The clock stands: time passes only when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn an_old_client_that_does_not_read_holds_its_server_back_and_can_cancel() {
    let mut relay = Relay::old(None);
    relay.client.write_all(&old_batch("x")).await.unwrap();
    relay.expect_at_server(&batch("x")).await;
    let kind = PacketType::TABULAR_RESULT;
    let reply = message(kind, PacketStatus::NORMAL, &rows(200_000));
    let mut sent = 0;
    loop {
        let more = relay.server.write(&reply[sent..]);
        match timeout(Duration::from_millis(200), more).await {
            Ok(count) => sent += count.unwrap(),
            Err(_) => break,
        }
    }
    assert!(sent < 300_000, "{sent} bytes were taken that nobody reads");
    relay.client.write_all(&attention()).await.unwrap();
    relay.expect_at_server(&attention()).await;
    // What was held of the server's bytes is followed when the client goes.
    drop(relay.client);
    let (client, _) = duplex(1);
    relay.client = client;
    let last = &reply[sent / SIZE * SIZE..][..SIZE];
    relay.server.write_all(&last[sent % SIZE..]).await.unwrap();
    let end = answer(0, DoneStatus::ATTN);
    relay.server.write_all(&end).await.unwrap();
    assert_eq!(relay.outcome().await, ("client-broke", AT_REST));
}

const DESCRIPTOR: u64 = 0x1122_3344_5566_7788;

/// An answer of 7.4 in one packet, which one pipe holds: rows of NULLs in columns
/// of sql_variant, of which an older client gets more than all pipes hold, and
/// behind them the begin of a transaction.
fn growing_answer() -> Vec<u8> {
    let mut payload = vec![0x81, 64, 0];
    payload.extend([0, 0, 0, 0, 9, 0, 0x62, 0x49, 0x1F, 0, 0, 0].repeat(64));
    payload.extend([&[0xD2][..], &[0xFF; 8]].concat().repeat(330));
    payload.extend([0xE3, 11, 0, 8, 8]);
    payload.extend(DESCRIPTOR.to_le_bytes());
    payload.push(0);
    Done::new(DoneStatus::FINAL).encode(TdsVersion::V7_4, &mut payload);
    let [high, low] = ((HEADER_LEN + payload.len()) as u16).to_be_bytes();
    assert!(payload.len() < 4000);
    [&[4, 1, high, low, 0, 0, 1, 0], &payload[..]].concat()
}

#[tokio::test]
async fn a_request_waits_for_all_that_was_said_before_though_nobody_reads_it() {
    let mut relay = Relay::old(None);
    let both = [old_batch("x"), old_batch("y")].concat();
    relay.client.write_all(&both).await.unwrap();
    relay.expect_at_server(&batch("x")).await;
    relay.server.write_all(&growing_answer()).await.unwrap();
    let mut next = vec![0; batch("y").len()];
    let mut some = vec![0; 70_000];
    let (asked, read) = tokio::join!(
        relay.server.read_exact(&mut next),
        relay.client.read_exact(&mut some)
    );
    asked.unwrap();
    read.unwrap();
    let text: Vec<u8> = "y".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let expected = [all_headers(DESCRIPTOR), text].concat();
    assert_eq!(next[HEADER_LEN..], expected);
}

// The clock stands: time passes only when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn what_an_old_client_did_not_read_is_followed_once_though_it_is_told_in_vain() {
    let mut relay = Relay::old(None);
    relay.client.write_all(&old_batch("x")).await.unwrap();
    relay.expect_at_server(&batch("x")).await;
    let mut reply = growing_answer();
    // More is to come.
    reply[1] = 0;
    relay.server.write_all(&reply).await.unwrap();
    // It is on its way, and most of it is stuck.
    relay.client.read_exact(&mut [0; HEADER_LEN]).await.unwrap();
    // Only attentions are looked at meanwhile, and they have no data.
    let breach = [PacketType::ATTENTION.0, 1, 0, 9, 0, 0, 1, 0, 0];
    relay.client.write_all(&breach).await.unwrap();
    relay.expect_at_server(&attention()).await;
    let end = answer(0, DoneStatus::ATTN);
    relay.server.write_all(&end).await.unwrap();
    assert_eq!(relay.outcome().await, ("protocol", AT_REST));
}

#[tokio::test]
async fn an_old_client_that_ends_inside_of_its_first_packet_has_not_just_left() {
    let mut relay = Relay::old(None);
    let request = old_batch("x");
    let half = &request[..request.len() - 1];
    relay.client.write_all(half).await.unwrap();
    relay.client.shutdown().await.unwrap();
    let mut seen = Vec::new();
    assert_eq!(relay.server.read_to_end(&mut seen).await.unwrap(), 0);
    assert_eq!(relay.outcome().await, ("client-broke", AT_REST));
}
