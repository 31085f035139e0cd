//! Requests and answers on their way: large ones, ones that are given up, bulk loads, pools.

use entrada::emulator::{Emulator, ManagedIdentity};
use entrada::pool::Pool;
use entrada::target::Target;
use entrada::tds::{DoneStatus, PacketStatus, PacketType, TdsVersion, Token, read_tokens};
use entrada::token::Environment;

use super::{Pair, backend, server};
use crate::raw_client::{Form, RawClient, base_login, soon, token_login};

const NUMBERS: &str = "INSERT n SELECT a.id * 1000 + b.id FROM d AS a CROSS JOIN d AS b";

/// Fills a table with a million numbers' worth of rows, less three zeros a step.
async fn fill(pair: &Pair) {
    let mut admin = pair.admin().await;
    admin
        .run("CREATE TABLE d (id int); CREATE TABLE n (id int)")
        .await;
    let values: Vec<String> = (0..200).map(|n| format!("({n})")).collect();
    admin
        .run(&format!("INSERT d VALUES {}", values.join(",")))
        .await;
    admin.run(NUMBERS).await;
    admin.run("GRANT SELECT ON n TO [demo-app]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_arrive_whole_at_any_packet_size() {
    let pair = Pair::with_reader().await;
    fill(&pair).await;
    let sql = "SELECT id, REPLICATE('x', 1250) AS filler FROM n";
    for packet_size in [512, 8000, 16383] {
        let token = pair
            .gateway
            .issue_token("demo-app", super::SQL)
            .unwrap()
            .token;
        let mut client = RawClient::ready(&pair.gateway, Form::Tunnelled).await;
        let mut login = token_login(&token, "shop");
        login.packet_size = packet_size;
        soon("the login", client.login(&login)).await;
        assert_eq!(client.packet_size, usize::try_from(packet_size).unwrap());
        let bounded = match packet_size {
            8000 => sql.to_owned(),
            _ => sql.replace("SELECT", "SELECT TOP 2000"),
        };
        let expected = if packet_size == 8000 { 40_000 } else { 2000 };
        client.send_batch(&bounded, PacketStatus::NORMAL).await;
        let mut walker = entrada::tds::ResponseWalker::new();
        let message = tokio::time::timeout(
            std::time::Duration::from_secs(120),
            client.receive_long(1 << 27),
        );
        let message = message.await.expect("the result").unwrap();
        let mut rows = None;
        walker
            .feed(&message.payload, &mut |event| {
                if let entrada::tds::WalkEvent::Done(done) = event {
                    rows = Some(done.row_count);
                }
            })
            .unwrap();
        assert_eq!(rows, Some(expected));
        assert!(message.payload.len() as u64 > expected * 1250);
    }
}

#[tokio::test]
async fn an_attention_stops_a_statement_of_the_server() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    let endless = "DECLARE @n int = 0; WHILE 1 = 1 SET @n = 1 - @n";
    app.0.send_batch(endless, PacketStatus::NORMAL).await;
    app.0
        .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    assert_attention(&mut app.0).await;
    assert_eq!(app.one("SELECT 1").await, "1");
    // After the answer, or before any request.
    app.0
        .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    assert_attention(&mut app.0).await;
    assert_eq!(app.one("SELECT USER_NAME()").await, "demo-app");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attention_in_the_middle_of_a_result_ends_it() {
    let pair = Pair::with_reader().await;
    fill(&pair).await;
    let mut app = pair.app().await;
    let sql = "SELECT id, REPLICATE('x', 2000) AS filler FROM n";
    app.0.send_batch(sql, PacketStatus::NORMAL).await;
    let first = soon("the first rows", app.0.plain()).await.unwrap();
    app.0.keep(&first);
    app.0
        .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    let mut length = 0;
    loop {
        let message = soon("the rest", app.0.receive_long(1 << 27)).await.unwrap();
        length += message.payload.len();
        // The acknowledgement is the last token, in this message or one of its own.
        let at = message.payload.len() - 13;
        let status = u16::from_le_bytes([message.payload[at + 1], message.payload[at + 2]]);
        if message.payload[at] == 0xFD && status & DoneStatus::ATTN.0 != 0 {
            break;
        }
    }
    assert!(length < 80_000_000, "the result was cut short: {length}");
    assert_eq!(app.one("SELECT 1").await, "1");
}

#[tokio::test]
async fn requests_that_are_taken_back_are_not_run() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    let long = format!("SELECT 1 --{}", "x".repeat(20_000));
    app.0.send_batch(&long, PacketStatus::IGNORE).await;
    let message = soon("the answer", app.0.receive()).await.unwrap();
    let tokens = read_tokens(&message.payload, TdsVersion::V7_4).unwrap();
    let [Token::Done(done)] = &tokens[..] else {
        panic!("{tokens:?}")
    };
    assert!(done.status.contains(DoneStatus::ERROR));
    // An attention in the middle of the request.
    let mut payload = entrada::tds::all_headers(0);
    payload.extend(long.encode_utf16().flat_map(u16::to_le_bytes));
    let mut packets = Vec::new();
    let size = app.0.packet_size;
    entrada::tds::write_message(
        PacketType::SQL_BATCH,
        PacketStatus::NORMAL,
        &payload,
        size,
        &mut packets,
    );
    app.0.send_raw(&packets[..size]).await;
    app.0
        .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    assert_attention(&mut app.0).await;
    assert_eq!(app.one("SELECT 1").await, "1");
}

#[tokio::test]
async fn requests_longer_than_any_translated_one_arrive() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    let length = 1_200_000;
    let sql = format!("SELECT DATALENGTH(N'{}')", "ä".repeat(length));
    assert_eq!(app.one(&sql).await, (length * 2).to_string());
}

#[tokio::test]
async fn a_client_may_leave_at_any_time() {
    let pair = Pair::with_reader().await;
    let mut app = pair.app().await;
    app.0
        .send_batch("WHILE 1 = 1 SELECT 1", PacketStatus::NORMAL)
        .await;
    drop(app);
    let sessions = async {
        while pair.server.counters().open_sessions > 0 {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the server's session", sessions).await;
    // And the server: what the client sees then is the end.
    let mut app = pair.app().await;
    pair.server.shutdown().await;
    assert!(soon("the end", app.0.receive()).await.is_none() || app.is_gone().await);
}

#[tokio::test]
async fn pooled_clients_prepare_load_and_reset() {
    let server = server().await;
    let gateway = Emulator::builder()
        .identity(ManagedIdentity::system_assigned("app"))
        .backend(backend(&server))
        .start()
        .await
        .unwrap();
    let pair = Pair { server, gateway };
    pair.admin()
        .await
        .run("CREATE USER app FROM EXTERNAL PROVIDER; ALTER ROLE db_owner ADD MEMBER app")
        .await;
    let text = pair.gateway.connection_string("shop");
    let pool = Pool::builder(Target::parse(&text).unwrap())
        .environment(Environment::from_pairs(pair.gateway.imds_environment()))
        .max_size(1)
        .build()
        .unwrap();
    for round in 0..3 {
        let mut client = pool.get().await.unwrap();
        let row = client
            .query("SELECT USER_NAME(), @P1 + 1", &[&41])
            .await
            .unwrap();
        let row = row.into_row().await.unwrap().unwrap();
        assert_eq!(
            (row.get::<&str, _>(0), row.get::<i32, _>(1)),
            (Some("app"), Some(42))
        );
        let mut load = client.bulk_insert("t").await.unwrap();
        for id in 0..1000_i32 {
            let mut row = entrada::pool::tiberius::TokenRow::new();
            row.push(entrada::pool::tiberius::IntoSql::into_sql(Some(id)));
            load.send(row).await.unwrap();
        }
        assert_eq!(load.finalize().await.unwrap().total(), 1000);
        let row = client.query("SELECT COUNT(*) FROM t", &[]).await.unwrap();
        let row = row.into_row().await.unwrap().unwrap();
        assert_eq!(row.get::<i32, _>(0), Some(1001 + round * 1000));
    }
    assert_eq!(pair.gateway.counters().resets, 2);
    pool.close().await;
}

#[tokio::test]
async fn a_login_without_database_is_in_the_strings() {
    let pair = Pair::with_reader().await;
    let token = pair
        .gateway
        .issue_token("demo-app", super::SQL)
        .unwrap()
        .token;
    let mut client = RawClient::ready(&pair.gateway, Form::Strict).await;
    let mut login = token_login(&token, "");
    login.tds_version = TdsVersion::V8_0;
    assert_eq!(base_login("").database, "");
    let answer = soon("the login", client.login(&login)).await;
    assert_eq!(answer.database(), Some("shop"));
}

/// Reads up to the acknowledgement, which comes in a message of its own or at the end of one.
async fn assert_attention(client: &mut RawClient) {
    loop {
        let message = soon("the attention", client.receive()).await.unwrap();
        let tokens = read_tokens(&message.payload, TdsVersion::V7_4).unwrap();
        let Some(Token::Done(done)) = tokens.last() else {
            panic!("{tokens:?}")
        };
        if done.status.contains(DoneStatus::ATTN) {
            return;
        }
    }
}
