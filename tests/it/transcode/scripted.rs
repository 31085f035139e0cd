//! Old clients through the proxy, on a server that sends what no emulator does.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use entrada::proxy::Proxy;
use entrada::proxy::config::{Config, ListenAddress};
use entrada::tds::{Encryption, Login7, PacketStatus, PacketType};
use entrada::token::{Environment, Sources};
use tokio::io::AsyncReadExt;
use tracing::Level;

use super::answer::{self, Done, Env, Tok};
use super::answers::same;
use super::cases::{Case, column, done, end, large, small};
use super::client::Client;
use super::direct::{messages, packets};
use super::samples::{LATIN1, filled, short};
use super::show::View;
use super::types::{MAX, Ty, id};
use super::version::Version;
use super::write::{Answer, Pieces, batch, headers};
use crate::proxy::address;
use crate::raw_client::soon;
use crate::support::fake_server::{Conn, FakeServer, granted};
use crate::support::log::Log;

/// A proxy in front of the script, for sessions that are not kept.
async fn before<T: Send + 'static>(server: &FakeServer<T>, hold: usize) -> Proxy {
    let port = server.address.port();
    let connection = format!("sqlserver://u:p@127.0.0.1:{port}?database=shop&encrypt=disable");
    let mut config = Config::for_connection(connection);
    config.listeners[0].address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    config.targets[0].pool.keep = false;
    config.limits.transcode_buffer = hold;
    let sources = Sources::new(Environment::from_pairs::<&str, &str>([]));
    Proxy::start(config, sources).await.unwrap()
}

/// The server's side of a login.
async fn let_in(conn: &mut Conn) -> io::Result<Login7> {
    conn.prelogin(Encryption::NOT_SUP, None).await?;
    let login = conn.login().await?;
    conn.tokens(&granted(&login)).await?;
    Ok(login)
}

const ROOM: usize = 1 << 20;

async fn client(proxy: &Proxy, version: Version) -> Client {
    Client::login(address(proxy), version, 4096).await
}

/// A server that answers each request with the next of the payloads, again for
/// each connection.
async fn answering(connections: usize, payloads: Vec<Vec<u8>>) -> FakeServer<()> {
    let payloads = Arc::new(payloads);
    FakeServer::start(connections, move |_, mut conn| {
        let payloads = Arc::clone(&payloads);
        async move {
            let_in(&mut conn).await.unwrap();
            for payload in payloads.iter() {
                conn.message().await.unwrap();
                conn.answer(payload).await.unwrap();
            }
            conn.until_closed().await;
        }
    })
    .await
}

#[tokio::test]
async fn each_version_sees_what_it_knows() {
    let cases: Vec<Case> = small()
        .into_iter()
        .chain(large().into_iter().step_by(3))
        .collect();
    let payloads = cases.iter().map(|case| case.payload.clone()).collect();
    let server = answering(Version::OLD.len(), payloads).await;
    let proxy = before(&server, ROOM).await;
    for version in Version::OLD {
        let mut client = client(&proxy, version).await;
        assert_eq!(client.collation, LATIN1);
        for case in &cases {
            let original = answer::read(Version::V74, &case.payload).unwrap();
            let what = format!("{} at {version:?}", case.name);
            let shown = soon(&what, client.batch("SELECT")).await;
            same(&what, &shown, &client.view().of(&original));
        }
    }
}

/// What the server gets of the session's first requests, message by message.
async fn listening(requests: usize) -> FakeServer<Vec<u8>> {
    FakeServer::start(1, move |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let start = conn.seen.len();
        let descriptor = [7, 6, 5, 4, 3, 2, 1, 0];
        for number in 0..requests {
            conn.message().await.unwrap();
            let change = Env {
                kind: 8,
                new: descriptor.into(),
                old: vec![],
            };
            let back = Env {
                kind: 9,
                new: vec![],
                old: descriptor.into(),
            };
            let tokens = match number {
                0 => vec![Tok::Env(vec![change]), end()],
                2 => vec![Tok::Env(vec![back]), end()],
                _ => vec![end()],
            };
            conn.answer(&Answer::new(Pieces::Whole).with(&tokens).bytes)
                .await
                .unwrap();
        }
        conn.until_closed().await;
        conn.seen.split_off(start)
    })
    .await
}

#[tokio::test]
async fn the_server_gets_what_a_new_client_would_send() {
    for version in Version::OLD {
        let server = listening(4).await;
        let proxy = before(&server, ROOM).await;
        let texts = ["BEGIN TRAN", "SELECT 1", "COMMIT", "SELECT 2"].map(|text| text.repeat(900));
        let mut client = client(&proxy, version).await;
        for text in &texts {
            let answer = soon("an answer", client.batch(text)).await;
            let ended = matches!(answer.last(), Some(Tok::Done(_)));
            assert!(ended, "{answer:?}");
        }
        drop(client);
        let seen = server.outcomes().await.remove(0);
        let got = messages(&seen, 4096).unwrap();
        let descriptors = [0, 0x0001_0203_0405_0607, 0x0001_0203_0405_0607, 0];
        assert_eq!(got.len(), 4);
        for ((got, text), descriptor) in got.iter().zip(&texts).zip(descriptors) {
            assert!(
                got.payload == batch(Version::V74, descriptor, text),
                "{version:?}"
            );
            let (_, full) = got.lengths.split_last().unwrap();
            assert!(
                full.iter().all(|length| *length == 4096),
                "{:?}",
                got.lengths
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_is_taken_back_or_cancelled_leaves_the_session_in_step() {
    for version in Version::OLD {
        let server = FakeServer::start(1, |_, mut conn| async move {
            let_in(&mut conn).await.unwrap();
            let say = |status| {
                Answer::new(Pieces::Whole)
                    .with(&[done(0xFD, status, 0)])
                    .bytes
            };
            let mut kinds = Vec::new();
            for answer in [say(Done::ERROR), say(Done::ERROR), say(0)] {
                let message = conn.message().await.unwrap();
                let kind = message.packet_type;
                kinds.push((kind, message.status.contains(PacketStatus::IGNORE)));
                // A server that has got nothing of the request is idle, and says so.
                let attention = kind == PacketType::ATTENTION;
                let answer = if attention { say(Done::ATTN) } else { answer };
                conn.answer(&answer).await.unwrap();
            }
            kinds
        })
        .await;
        let proxy = before(&server, ROOM).await;
        let mut client = client(&proxy, version).await;
        // By the ignore bit, which the server answers by itself.
        let long = batch(version, 0, &"SELECT 1 ".repeat(900));
        client.raw.send_raw(&packets(1, 0x02, &long, 4096)).await;
        let answer = soon("an answer", client.answer()).await;
        assert_eq!(answer, [done(0xFD, Done::ERROR, 0)]);
        // By an attention within the request, which must be acknowledged.
        client
            .raw
            .send_raw(&packets(1, 0, &long, 4096)[..4096])
            .await;
        client.send(PacketType::ATTENTION, &[]).await;
        let answer = soon("an acknowledgement", client.answer()).await;
        let Some(Tok::Done(last)) = answer.last() else {
            panic!("{answer:?}")
        };
        assert_eq!(
            last.status & Done::ATTN,
            Done::ATTN,
            "{version:?}: {answer:?}"
        );
        let answer = soon("an answer", client.batch("SELECT 2")).await;
        assert_eq!(answer, [end()]);
        let batch = PacketType::SQL_BATCH;
        let kinds = server.outcomes().await.remove(0);
        assert_eq!((kinds[0], kinds[2]), ((batch, true), (batch, false)));
        let cancelled = [(batch, true), (PacketType::ATTENTION, false)];
        assert!(cancelled.contains(&kinds[1]), "{version:?}: {:?}", kinds[1]);
    }
}

#[tokio::test]
async fn a_transaction_that_ends_while_an_attention_drains_is_over() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        let descriptor = [9, 0, 0, 0, 0, 0, 0, 1];
        let columns = Tok::Columns(vec![column("d", Ty::Date)]);
        let row = Tok::Row(vec![Some(vec![1, 2, 3])]);
        let begun = Tok::Env(vec![Env {
            kind: 8,
            new: descriptor.into(),
            old: vec![],
        }]);
        let ended = Tok::Env(vec![Env {
            kind: 10,
            new: vec![],
            old: descriptor.into(),
        }]);
        conn.message().await.unwrap();
        let half = Answer::new(Pieces::Whole)
            .with(&[begun, columns, row])
            .bytes;
        let mut packet = packets(4, 0, &half, 4096);
        packet[1] = 0;
        conn.raw(&packet).await.unwrap();
        assert_eq!(
            conn.message().await.unwrap().packet_type,
            PacketType::ATTENTION
        );
        let rest = [ended, done(0xFD, Done::ATTN, 0)];
        conn.answer(&Answer::new(Pieces::Whole).with(&rest).bytes)
            .await
            .unwrap();
        let next = conn.message().await.unwrap().payload;
        conn.answer(&Answer::new(Pieces::Whole).with(&[end()]).bytes)
            .await
            .unwrap();
        next
    })
    .await;
    let proxy = before(&server, ROOM).await;
    let mut client = client(&proxy, Version::V71r1).await;
    client
        .send(PacketType::SQL_BATCH, &batch(Version::V71r1, 0, "SELECT"))
        .await;
    // The first packet has come when some of it is there.
    let first = soon("the first packet", client.raw.plain()).await.unwrap();
    client.raw.keep(&first);
    client.send(PacketType::ATTENTION, &[]).await;
    let answer = soon("the acknowledgement", client.answer()).await;
    assert_eq!(answer.last(), Some(&done(0xFD, Done::ATTN, 0)));
    soon("the next answer", client.batch("SELECT 2")).await;
    assert_eq!(
        server.outcomes().await,
        [batch(Version::V74, 0, "SELECT 2")]
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_held_is_told_and_the_session_goes_on() {
    let columns = Tok::Columns(vec![column("b", short(id::NVARCHAR, MAX))]);
    let row = |size| Tok::Row(vec![Some(filled(size))]);
    let too_much = [
        columns,
        row(2),
        row(100_000),
        row(2),
        done(0xFD, Done::COUNT, 3),
    ];
    let payload = Answer::new(Pieces::Unknown(4000)).with(&too_much).bytes;
    let last = Answer::new(Pieces::Whole).with(&[end()]).bytes;
    let server = answering(2, vec![payload, last]).await;
    let proxy = before(&server, 65_536).await;
    for version in [Version::V71, Version::V71r1] {
        let mut client = client(&proxy, version).await;
        let shown = soon("the error", client.batch("SELECT")).await;
        let [_, Tok::Row(first), Tok::Message(error), Tok::Done(cut)] = &shown[..] else {
            panic!("{shown:?}")
        };
        assert_eq!(first[0], Some(filled(2)));
        assert!(error.is_error && error.class == 16, "{error:?}");
        assert!(error.text.contains("transcode_buffer"), "{error:?}");
        assert_eq!(cut.status, Done::ERROR);
        let next = soon("the next answer", client.batch("SELECT 2")).await;
        assert_eq!(next, [end()]);
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_ends_the_session_and_is_logged() {
    let log = Log::start(Level::INFO);
    let columns = Tok::Columns(vec![column(
        "a",
        Ty::Byte {
            id: id::INTN,
            max: 4,
        },
    )]);
    let columns = Answer::new(Pieces::Whole).with(&[columns]).bytes;
    let nonsense = [
        vec![0x42, 1, 2, 3],
        vec![0xD1, 4, 1, 2, 3, 4],
        [&columns[..], &[0xD1, 4, 1]].concat(),
        vec![0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0x99, 0],
        vec![0xAA, 3, 0, 1, 2],
        vec![0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0xF4, 1, b'j', 0],
    ];
    for payload in nonsense {
        for version in [Version::V71r1, Version::V73a] {
            let server = answering(1, vec![payload.clone()]).await;
            let proxy = before(&server, ROOM).await;
            let mut client = client(&proxy, version).await;
            let sent = batch(version, 0, "SELECT");
            client.send(PacketType::SQL_BATCH, &sent).await;
            let already = log.text().len();
            let what = format!("the end of {payload:02x?} at {version:?}");
            soon(&what, async { while client.raw.plain().await.is_some() {} }).await;
            proxy.shutdown(Duration::ZERO).await;
            let logged = log.text().split_off(already);
            assert!(logged.contains("WARN"), "{what}: {logged}");
            server.stop();
        }
    }
}

#[tokio::test]
async fn a_slow_reader_of_one_long_value_holds_the_server_back() {
    const LENGTH: usize = 50 << 20;
    for version in [Version::V71r1, Version::V72] {
        let (progress, mut sent) = tokio::sync::watch::channel(0_usize);
        let server = FakeServer::start(1, move |_, mut conn| {
            let progress = progress.clone();
            async move {
                let_in(&mut conn).await.unwrap();
                conn.message().await.unwrap();
                let columns = Tok::Columns(vec![
                    column("d", Ty::Date),
                    column("b", short(id::VARBINARY, MAX)),
                ]);
                let row = Tok::Row(vec![Some(vec![0; 3]), Some(filled(LENGTH))]);
                let answer = Answer::new(Pieces::Known(100_000)).with(&[columns, row, end()]);
                for part in packets(4, 0, &answer.bytes, 4096).chunks(1 << 16) {
                    conn.raw(part).await.unwrap();
                    progress.send_modify(|sent| *sent += part.len());
                }
                conn.until_closed().await;
            }
        })
        .await;
        let proxy = before(&server, ROOM).await;
        let mut client = client(&proxy, version).await;
        client
            .send(PacketType::SQL_BATCH, &headers(version, 0))
            .await;
        // Until the server has been stuck for a while: all buffers are full.
        let quiet = Duration::from_millis(500);
        while tokio::time::timeout(quiet, sent.changed()).await.is_ok() {}
        let taken = *sent.borrow();
        assert!(
            taken < LENGTH / 2,
            "{taken} bytes were taken from the server"
        );
        let shown = soon("the value", client.answer()).await;
        let Tok::Row(values) = &shown[1] else {
            panic!("{:?}", shown[0])
        };
        assert!(
            values[1].as_deref() == Some(&filled(LENGTH)[..]),
            "{version:?}"
        );
        drop(client);
        server.outcomes().await;
    }
}

#[tokio::test]
async fn rows_arrive_before_their_result_ends() {
    let server = FakeServer::start(1, |_, mut conn| async move {
        let_in(&mut conn).await.unwrap();
        conn.message().await.unwrap();
        let columns = Tok::Columns(vec![column("d", Ty::Date)]);
        let tokens = [columns, Tok::Row(vec![Some(vec![1, 2, 3])])];
        let mut packet = packets(4, 0, &Answer::new(Pieces::Whole).with(&tokens).bytes, 4096);
        packet[1] = 0;
        conn.raw(&packet).await.unwrap();
        // Nothing more until the client leaves.
        conn.until_closed().await;
    })
    .await;
    let proxy = before(&server, ROOM).await;
    let mut client = client(&proxy, Version::V71r1).await;
    client.send(PacketType::SQL_BATCH, &[]).await;
    let mut header = [0; 8];
    soon("the row", client.raw.tcp.read_exact(&mut header))
        .await
        .unwrap();
    let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - 8;
    let mut data = vec![0; length];
    soon("the row", client.raw.tcp.read_exact(&mut data))
        .await
        .unwrap();
    let shown = answer::read(Version::V71r1, &data).unwrap();
    assert!(
        matches!(&shown[..], [Tok::Columns(_), Tok::Row(_)]),
        "{shown:?}"
    );
    let view = View {
        version: Version::V71r1,
        collation: LATIN1,
    };
    let value = view.value(&Ty::Date, Some(&[1, 2, 3]));
    let Tok::Row(values) = &shown[1] else {
        unreachable!()
    };
    assert_eq!(values[0], value);
    drop(client);
    server.outcomes().await;
}
