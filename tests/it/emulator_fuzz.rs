//! Clients that have lost their minds: the same ones at every run, unless ENTRADA_FUZZ_SEED says
//! otherwise. ENTRADA_FUZZ_ROUNDS makes it last longer.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use entrada::emulator::{Emulator, EncryptionPolicy, SinkClosed, TokenSink};
use entrada::tds::{
    Encryption, Login7, PacketStatus, PacketType, Prelogin, all_headers, write_message,
};
use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::engine::answer;
use crate::raw_client::{Form, RawClient, password_login, soon};
use crate::tds_captures::{conversations, messages};

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|v| v.parse().ok());
    given.unwrap_or(default)
}

fn rounds(default: u64) -> u64 {
    number("ENTRADA_FUZZ_ROUNDS", 1) * default
}

fn rng() -> Rng {
    Rng::with_seed(number("ENTRADA_FUZZ_SEED", 20_261_122))
}

/// Counts panics in the code under test, wherever they are caught.
fn panics() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info
                .location()
                .is_some_and(|at| at.file().starts_with("src/"))
            {
                COUNT.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
    COUNT.load(Ordering::SeqCst)
}

/// Damages bytes in a few of the ways that matter to decoders.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(0..=bytes.len());
        let rest = bytes.len() - at;
        match rng.u8(0..8) {
            0 | 1 if rest > 0 => bytes[at] ^= 1 << rng.u8(0..8),
            2 if rest > 0 => bytes[at] = *rng.choice(&[0, 1, 0x7F, 0x80, 0xFE, 0xFF]).unwrap(),
            3 => bytes.truncate(at),
            4 => {
                let end = at + rng.usize(0..=rest.min(40));
                bytes.drain(at..end);
            }
            5 => {
                let noise: Vec<u8> = (0..rng.usize(0..40)).map(|_| rng.u8(..)).collect();
                bytes.splice(at..at, noise);
            }
            6 if !other.is_empty() => {
                let from = rng.usize(0..other.len());
                let to = from + rng.usize(0..=(other.len() - from).min(300));
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ if rest >= 4 => {
                let wide = *rng
                    .choice(&[0u32, 1, 0xFFFF, 0x7FFF_FFFF, u32::MAX])
                    .unwrap();
                bytes[at..at + 4].copy_from_slice(&wide.to_le_bytes());
            }
            _ => {}
        }
    }
}

fn first_packet(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))
}

/// The conversation of a client that says it cannot encrypt, as the captured ones did not.
fn in_clear(client: &[u8]) -> Vec<u8> {
    let (first, rest) = client.split_at(first_packet(client));
    let Ok(mut prelogin) = Prelogin::decode(&first[8..]) else {
        return client.to_vec();
    };
    prelogin.encryption = Encryption::NOT_SUP;
    let mut payload = Vec::new();
    prelogin.encode(&mut payload).unwrap();
    let mut bytes = Vec::new();
    let status = PacketStatus::NORMAL;
    write_message(PacketType::PRELOGIN, status, &payload, 4096, &mut bytes);
    bytes.extend_from_slice(rest);
    bytes
}

/// An emulator that knows the logins of the captured conversations.
async fn for_captures() -> Emulator {
    let logins = conversations().into_iter().flat_map(|conversation| {
        let login = messages(&conversation.client)
            .into_iter()
            .find(|message| message.packet_type == PacketType::LOGIN7);
        login.and_then(|login| Login7::decode(&login.payload).ok())
    });
    let login = logins
        .into_iter()
        .find(|login| !login.user_name.is_empty())
        .expect("a captured SQL login");
    Emulator::builder()
        .sql_admin(login.user_name, login.password)
        .encryption(EncryptionPolicy::OnRequest)
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_conversations_end_and_harm_nobody() {
    let before = panics();
    let emulator = for_captures().await;
    let address = emulator.sql_addr();
    let captures: Vec<Vec<u8>> = conversations()
        .iter()
        .map(|c| in_clear(&c.client))
        .collect();
    let mut rng = rng();
    for round in 0..rounds(40) {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let mut bytes = rng.choice(&captures).unwrap().clone();
                let other = rng.choice(&captures).unwrap().clone();
                // PRELOGIN stays whole now and then, and the login too, so that what follows is read.
                let greeting = first_packet(&bytes);
                let greets = rng.u8(0..4) > 0;
                let whole = match rng.bool() {
                    true => rng.usize(0..bytes.len()),
                    false => 0,
                };
                let mut tail = bytes.split_off(if greets { whole.max(greeting) } else { 0 });
                mutate(&mut rng, &mut tail, &other);
                bytes.extend(tail);
                tokio::spawn(soon("a damaged conversation", async move {
                    let mut tcp = TcpStream::connect(address).await.unwrap();
                    let mut answer = vec![0; 4096];
                    // The gateway may hang up at any time.
                    if greets {
                        tcp.write_all(&bytes.drain(..greeting).collect::<Vec<_>>())
                            .await
                            .unwrap();
                        let _ = tcp.read(&mut answer).await;
                    }
                    let _ = tcp.write_all(&bytes).await;
                    let _ = tcp.shutdown().await;
                    let _ = tcp.read_to_end(&mut answer).await;
                }))
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(panics(), before, "in round {round}");
    }
    assert!(emulator.counters().logins_accepted > 0, "some got through");
    let gone = async {
        while !emulator.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the sessions", gone).await;
    let mut client = RawClient::tcp(address).await;
    assert_eq!(
        client.prelogin(Encryption::NOT_SUP, None).await.encryption,
        Encryption::NOT_SUP
    );
}

/// What a session may be asked, in every kind of message.
fn requests() -> Vec<(PacketType, Vec<u8>)> {
    let captured = conversations()
        .into_iter()
        .flat_map(|c| messages(&c.client));
    let mut requests: Vec<_> = captured
        .filter(|m| {
            let kinds = [
                PacketType::SQL_BATCH,
                PacketType::RPC,
                PacketType::TRANSACTION_MANAGER,
            ];
            kinds.contains(&m.packet_type)
        })
        .map(|m| (m.packet_type, m.payload))
        .collect();
    let mut batch = all_headers(0);
    let sql = "IF OBJECT_ID('f') IS NULL CREATE TABLE f(a int, b nvarchar(max)); INSERT BULK f(a int, b nvarchar(max))";
    batch.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
    let mut load = vec![0x81, 2, 0];
    load.extend([0, 0, 0, 0, 9, 0, 0x26, 4, 1, b'a', 0]);
    load.extend([
        0, 0, 0, 0, 9, 0, 0xE7, 0xFF, 0xFF, 9, 4, 0xD0, 0, 0x34, 1, b'b', 0,
    ]);
    for _ in 0..3 {
        load.extend([0xD1, 4, 1, 0, 0, 0]);
        load.extend([0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        load.extend([4, 0, 0, 0, b'x', 0, b'y', 0, 0, 0, 0, 0]);
    }
    load.extend([0xFD, 0, 0, 0, 0, 0, 0, 0, 0]);
    for _ in 0..10 {
        requests.push((PacketType::SQL_BATCH, batch.clone()));
        requests.push((PacketType::BULK_LOAD, load.clone()));
    }
    requests
}

/// Sends damaged requests until the gateway hangs up, or forty.
async fn nag(emulator: &Emulator, mut rng: Rng, requests: Arc<Vec<(PacketType, Vec<u8>)>>) {
    let mut client = RawClient::ready(emulator, Form::Tunnelled).await;
    let login = password_login("sa", "s3cret!Pass", "demo");
    assert!(client.login(&login).await.ack.is_some());
    for _ in 0..40 {
        let (kind, mut payload) = rng.choice(&requests[..]).unwrap().clone();
        let other = rng.choice(&requests[..]).unwrap().1.clone();
        if rng.u8(0..4) > 0 {
            mutate(&mut rng, &mut payload, &other);
        }
        let status = *rng.choice(&[0, 0, 0, 0, 0, 0x02, 0x08, 0x10]).unwrap();
        let mut packets = Vec::new();
        write_message(
            kind,
            PacketStatus(status),
            &payload,
            client.packet_size,
            &mut packets,
        );
        if rng.u8(0..40) == 0 {
            mutate(&mut rng, &mut packets, &[]);
            client.send_raw(&packets).await;
            return;
        }
        client.send_raw(&packets).await;
        let Some(answer) = client.receive().await else {
            return;
        };
        assert_eq!(answer.packet_type, PacketType::TABULAR_RESULT);
    }
    let answer = client.batch("IF @@TRANCOUNT > 0 ROLLBACK SELECT 1").await;
    assert!(!answer.is_empty(), "the session is of use still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_requests_inside_of_tls_are_answered_or_end_their_session() {
    let before = panics();
    let emulator = Emulator::builder()
        .sql_admin("sa", "s3cret!Pass")
        .start()
        .await
        .unwrap();
    let emulator = Arc::new(emulator);
    let requests = Arc::new(requests());
    let mut rng = rng();
    for round in 0..rounds(6) {
        let clients: Vec<_> = (0..6)
            .map(|_| {
                let (emulator, requests, rng) = (emulator.clone(), requests.clone(), rng.fork());
                tokio::spawn(soon("a damaged request", async move {
                    nag(&emulator, rng, requests).await;
                }))
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(panics(), before, "in round {round}");
    }
}

/// Statements of the T-SQL cases.
fn statements() -> Vec<String> {
    fn gather(value: &toml::Value, into: &mut Vec<String>) {
        match value {
            toml::Value::String(text) => into.push(text.clone()),
            toml::Value::Array(items) => items.iter().for_each(|item| gather(item, into)),
            _ => {}
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/emulator/tsql");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let parsed: toml::Table = text.parse().unwrap();
        for case in parsed["case"].as_array().unwrap() {
            for key in ["setup", "sql"] {
                if let Some(value) = case.get(key) {
                    gather(value, &mut all);
                }
            }
        }
    }
    all
}

/// Words and signs of a statement.
fn words(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut joined = false;
    for c in sql.chars() {
        let in_word = c.is_alphanumeric() || c == '_' || c == '@' || c == '#';
        match words.last_mut() {
            Some(word) if joined && in_word => word.push(c),
            _ => words.push(c.to_string()),
        }
        joined = in_word;
    }
    words
}

fn damaged(rng: &mut Rng, sql: &str, other: &str) -> String {
    const STRANGE: &[&str] = &[
        " NULL ",
        "(",
        ")",
        "''",
        " SELECT ",
        ",",
        "-",
        " * ",
        "9999999999999999999999",
        "1e308",
        "0x",
        " CASE ",
        " END ",
        " AS ",
        "@x",
        "N'\u{1F642}'",
        "[",
        "\"",
        " FROM ",
        " NOT ",
        ";",
        " OVER (",
        " UNION ",
        "1=1",
        "/*",
        "--",
        "\0",
        "%",
        " IN ",
        " BEGIN ",
        " COLLATE ",
    ];
    let (mut words, other) = (words(sql), words(other));
    for _ in 0..rng.usize(1..5) {
        let at = rng.usize(0..=words.len());
        match rng.u8(0..5) {
            0 if at < words.len() => drop(words.remove(at)),
            1 => words.insert(at, (*rng.choice(STRANGE).unwrap()).to_owned()),
            2 if at < words.len() => words[at] = rng.choice(&other).cloned().unwrap_or_default(),
            3 if at < words.len() => {
                let with = rng.usize(0..words.len());
                words.swap(at, with);
            }
            _ => {
                let from = rng.usize(0..=other.len());
                let to = from + rng.usize(0..=(other.len() - from).min(6));
                words.splice(at..at, other[from..to].iter().cloned());
            }
        }
    }
    words.concat()
}

/// Keeps an answer, up to a point: some damage asks for very much.
#[derive(Default)]
struct Limited(Vec<u8>);

impl TokenSink for Limited {
    fn send(&mut self, bytes: &[u8]) -> Result<(), SinkClosed> {
        if self.0.len() > 1 << 20 {
            return Err(SinkClosed);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn damaged_statements_are_answered() {
    let corpus = statements();
    assert!(corpus.len() > 20, "{} statements", corpus.len());
    let mut rng = rng();
    let (engine, mut session) = answer::session();
    for _ in 0..rounds(1500) {
        let sql = rng.choice(&corpus).unwrap();
        let other = rng.choice(&corpus).unwrap();
        let sql = damaged(&mut rng, sql, other);
        // Damage makes these endless.
        let upper = sql.to_uppercase();
        if ["WHILE", "WAITFOR", "SERIES", "REPLICATE", "SPACE"]
            .iter()
            .any(|word| upper.contains(word))
        {
            continue;
        }
        let mut sink = Limited::default();
        let run = AssertUnwindSafe(|| session.execute(&answer::batch(&sql), &mut sink));
        match std::panic::catch_unwind(run) {
            Ok(Ok(())) => drop(answer::read(&sink.0)),
            Ok(Err(SinkClosed)) => {}
            Err(_) => panic!("this panics: {sql}"),
        }
        // A context that was not left refuses the reset, and ends the connection.
        if session.reset().is_err() {
            session = answer::admin(&engine);
        }
    }
    assert_eq!(answer::one(&mut session, "SELECT 1"), "1");
}
