//! The gateway's manners below SQL: encryption of the login alone, packets, attention, loads.

use entrada::emulator::{Emulator, EmulatorBuilder, EncryptionPolicy};
use entrada::tds::{
    DoneStatus, Encryption, EnvChange, Login7, PacketStatus, PacketType, Prelogin, TdsVersion,
    Token, Version, read_tokens, write_message,
};

use crate::raw_client::{Form, RawClient, base_login, password_login, soon, tls_config};

fn builder() -> EmulatorBuilder {
    Emulator::builder().sql_admin("sa", "s3cret!Pass")
}

fn sa() -> Login7 {
    password_login("sa", "s3cret!Pass", "demo")
}

/// An emulator that does not insist on TLS.
async fn lenient() -> Emulator {
    let builder = builder().encryption(EncryptionPolicy::OnRequest);
    builder.start().await.unwrap()
}

async fn plain(emulator: &Emulator, login: &Login7) -> RawClient {
    let mut client = RawClient::tcp(emulator.sql_addr()).await;
    client.prelogin(Encryption::NOT_SUP, None).await;
    let answer = client.login(login).await;
    assert!(answer.ack.is_some(), "{:?}", answer.errors);
    client
}

fn done(payload: &[u8]) -> Vec<DoneStatus> {
    let tokens = read_tokens(payload, TdsVersion::V7_4).unwrap();
    let status = |token: &Token| match token {
        Token::Done(done) => Some(done.status),
        _ => None,
    };
    tokens.iter().filter_map(status).collect()
}

#[tokio::test]
async fn tls_for_the_login_alone_covers_its_first_packet_or_all_of_it() {
    let emulator = lenient().await;
    for (in_tls, app) in [(1, 1), (1, 2000), (2, 2000), (usize::MAX, 2000)] {
        let mut client = RawClient::tcp(emulator.sql_addr()).await;
        let answer = client.prelogin(Encryption::OFF, None).await;
        assert_eq!(answer.encryption, Encryption::OFF);
        let config = tls_config(&emulator, Form::Tunnelled);
        client.start_tls(config, true).await;
        let mut login = sa();
        // A feature that nobody knows makes the login longer than a packet.
        let padding = entrada::tds::Feature::new(entrada::tds::FeatureId(0x77), vec![7; app * 5]);
        login.features.push(padding);
        let mut payload = Vec::new();
        login.encode(&mut payload).unwrap();
        let mut packets = Vec::new();
        let status = PacketStatus::NORMAL;
        write_message(PacketType::LOGIN7, status, &payload, 4096, &mut packets);
        let in_tls = in_tls.saturating_mul(4096).min(packets.len());
        client.send_raw(&packets[..in_tls]).await;
        client.forget_tls();
        client.send_raw(&packets[in_tls..]).await;
        let answer = soon("the answer", client.receive()).await.unwrap();
        let tokens = read_tokens(&answer.payload, TdsVersion::V7_4).unwrap();
        assert!(
            tokens.iter().any(|t| matches!(t, Token::LoginAck(_))),
            "{tokens:?}"
        );
        client.packet_size = 8000;
        assert_eq!(soon("a batch", client.batch("SELECT 1")).await[0], 0x81);
    }
}

#[tokio::test]
async fn old_clients_and_those_without_prelogin_are_told_in_their_own_version() {
    let emulator = lenient().await;
    for version in [TdsVersion::V7_0, TdsVersion::V7_1, TdsVersion::V7_3B] {
        for greet in [true, false] {
            let mut client = RawClient::tcp(emulator.sql_addr()).await;
            if greet {
                client.prelogin(Encryption::NOT_SUP, None).await;
            }
            let login = Login7 {
                tds_version: version,
                ..base_login("demo")
            };
            client.send_login(&login).await;
            let answer = soon("the refusal", client.receive()).await.unwrap();
            let tokens = read_tokens(&answer.payload, version).unwrap();
            assert!(
                matches!(&tokens[0], Token::Error(e) if e.number == 17895),
                "{tokens:?}"
            );
            assert!(soon("the close", client.receive()).await.is_none());
        }
    }
    // The login itself would do.
    let mut client = RawClient::tcp(emulator.sql_addr()).await;
    assert!(client.login(&sa()).await.ack.is_some());
    let strict = builder().start().await.unwrap();
    let mut client = RawClient::tcp(strict.sql_addr()).await;
    client.send_login(&sa()).await;
    assert!(soon("the close", client.receive()).await.is_none());
}

#[tokio::test]
async fn mars_is_refused_and_its_frames_end_the_connection() {
    let emulator = lenient().await;
    let mut client = RawClient::tcp(emulator.sql_addr()).await;
    let mut prelogin = Prelogin::new(Version::default(), Encryption::NOT_SUP);
    prelogin.mars = Some(true);
    let mut payload = Vec::new();
    prelogin.encode(&mut payload).unwrap();
    client
        .send(PacketType::PRELOGIN, PacketStatus::NORMAL, &payload)
        .await;
    let answer = soon("PRELOGIN", client.receive()).await.unwrap();
    assert_eq!(Prelogin::decode(&answer.payload).unwrap().mars, Some(false));
    assert!(client.login(&sa()).await.ack.is_some());
    // SYN of SMP session 0.
    client
        .send_raw(&[0x53, 1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0])
        .await;
    assert!(soon("the close", client.receive()).await.is_none());
}

#[tokio::test]
async fn packets_are_of_the_size_that_was_granted() {
    let emulator = lenient().await;
    for (asked, granted) in [
        (100, 512),
        (512, 512),
        (0, 4096),
        (32767, 32767),
        (40000, 32767),
    ] {
        let login = Login7 {
            packet_size: asked,
            ..sa()
        };
        let mut client = plain(&emulator, &login).await;
        assert_eq!(client.packet_size, granted, "{asked} asked for");
        let long = "x".repeat(40_000);
        let answer = soon("a batch", client.batch(&format!("SELECT '{long}' AS x"))).await;
        assert!(answer.windows(1000).any(|w| w == &long.as_bytes()[..1000]));
        // A packet before the last must be full.
        let mut short = Vec::new();
        let status = PacketStatus::NORMAL;
        write_message(PacketType::SQL_BATCH, status, &[0; 100], 512, &mut short);
        short[1] = 0;
        client.send_raw(&short).await;
        assert!(soon("the close", client.receive()).await.is_none());
    }
}

#[tokio::test]
async fn an_attention_stops_whatever_runs() {
    let emulator = lenient().await;
    let endless = [
        "WITH n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT MAX(v) FROM n OPTION (MAXRECURSION 0)",
        "SELECT COUNT(*) FROM GENERATE_SERIES(1, 100000) a CROSS JOIN GENERATE_SERIES(1, 1000000) b",
        "SELECT a.value FROM GENERATE_SERIES(1, 1000000) a CROSS JOIN GENERATE_SERIES(1, 1000000) b",
        "DECLARE @n int = 0; WHILE 1 = 1 SET @n = 1 - @n",
        "WAITFOR DELAY '01:00:00'",
    ];
    let mut client = plain(&emulator, &sa()).await;
    for sql in endless {
        client.send_batch(sql, PacketStatus::NORMAL).await;
        client
            .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
            .await;
        let answer = soon("the response", client.receive()).await.unwrap();
        let end = answer.payload.len() - 13;
        assert_eq!(answer.payload[end..][..3], [0xFD, 0, 0], "{sql}");
        // The acknowledgement is a message of its own.
        let answer = soon("the attention", client.receive()).await.unwrap();
        assert_eq!(done(&answer.payload), [DoneStatus::ATTN], "{sql}");
        assert_eq!(
            soon("a batch", client.batch("SELECT 1")).await[0],
            0x81,
            "{sql}"
        );
    }
}

#[test]
fn nothing_that_runs_keeps_the_runtime_from_ending() {
    use std::sync::mpsc;
    use std::time::Duration;

    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let emulator = lenient().await;
            let mut clients = Vec::new();
            for waits in ["WAITFOR DELAY '10:00:00'", "WHILE 1 = 1 PRINT 'x'"] {
                let mut client = plain(&emulator, &sa()).await;
                let sql = format!("SELECT REPLICATE(CAST('x' AS varchar(max)), 100000); {waits}");
                client.send_batch(&sql, PacketStatus::NORMAL).await;
                assert!(soon("the begin", client.plain()).await.is_some());
                clients.push(client);
            }
            // One whose client has gone.
            drop(clients.pop());
            emulator.shutdown().await;
        });
        drop(runtime);
        done.send(()).unwrap();
    });
    let patience = Duration::from_secs(60);
    ended.recv_timeout(patience).expect("the runtime ends");
}

#[tokio::test]
async fn a_load_may_be_larger_than_memory_and_an_attention_undoes_it() {
    let emulator = lenient().await;
    let mut client = plain(&emulator, &sa()).await;
    client.batch("CREATE TABLE t(v varchar(8000))").await;
    let columns = [
        &[
            0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0xA7, 0x40, 0x1F, 9, 4, 0xD0, 0, 0x34,
        ][..],
        &[1, b'v', 0],
    ]
    .concat();
    let mut row = vec![0xD1, 0x40, 0x1F];
    row.extend([b'x'; 8000]);
    let mut load = columns;
    for _ in 0..300 {
        load.extend_from_slice(&row);
    }
    let mut packets = Vec::new();
    write_message(
        PacketType::BULK_LOAD,
        PacketStatus::NORMAL,
        &load,
        client.packet_size,
        &mut packets,
    );
    assert_eq!(
        done(&client.batch("INSERT BULK t(v varchar(8000))").await),
        [DoneStatus::FINAL]
    );
    client.send_raw(&packets).await;
    let answer = soon("the load", client.receive()).await.unwrap();
    assert_eq!(done(&answer.payload), [DoneStatus::COUNT]);

    client.batch("INSERT BULK t(v varchar(8000))").await;
    let half = packets.len() / client.packet_size / 2 * client.packet_size;
    client.send_raw(&packets[..half]).await;
    client
        .send(PacketType::ATTENTION, PacketStatus::NORMAL, &[])
        .await;
    for wanted in [DoneStatus::ERROR, DoneStatus::ATTN] {
        let answer = soon("the attention", client.receive()).await.unwrap();
        assert_eq!(done(&answer.payload), [wanted]);
    }
    let answer = client
        .batch("IF (SELECT COUNT(*) FROM t) = 300 PRINT 'all and no more'")
        .await;
    let tokens = read_tokens(&answer, TdsVersion::V7_4).unwrap();
    assert!(matches!(&tokens[0], Token::Info(_)), "{tokens:?}");
}

#[tokio::test]
async fn a_reset_says_what_it_changes() {
    let emulator = lenient().await;
    let mut client = plain(&emulator, &sa()).await;
    let set_up = "SELECT 1 AS x INTO #t; SET ROWCOUNT 1; BEGIN TRAN";
    client.batch(set_up).await;
    let reset = PacketStatus::RESET_CONNECTION;
    client
        .send_batch("IF @@TRANCOUNT = 0 AND DB_NAME() = 'demo' AND OBJECT_ID('tempdb..#t') IS NULL PRINT 'clean'", reset)
        .await;
    let answer = soon("the reset", client.receive()).await.unwrap();
    let tokens = read_tokens(&answer.payload, TdsVersion::V7_4).unwrap();
    assert_eq!(tokens[0], Token::EnvChange(EnvChange::ResetAcknowledged));
    assert!(
        tokens
            .iter()
            .any(|t| matches!(t, Token::Info(info) if info.message == "clean")),
        "{tokens:?}"
    );
}
