use std::io;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::net::UnixStream;
use tokio::time::{Instant, interval};

use super::*;
use crate::proxy::admission::Peer;
use crate::proxy::config::ClientTls;
use crate::proxy::tls::Certificates;
use crate::tds::{
    Encryption, Feature, FeatureId, PacketStatus, PacketType, Prelogin, TdsVersion, write_message,
};

const PATIENCE: Duration = Duration::from_secs(15);

fn listener(mode: TlsMode) -> ListenerTls {
    let config = ClientTls {
        mode,
        ..ClientTls::default()
    };
    Certificates::new(None).listener(&config).unwrap()
}

/// A client's end, and what the proxy accepted.
fn pair() -> (UnixStream, ClientSocket) {
    let (near, far) = UnixStream::pair().unwrap();
    let peer = Peer::tcp(([127, 0, 0, 1], 1).into());
    (near, ClientSocket::unix(far, peer))
}

fn message(packet_type: PacketType, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(packet_type, PacketStatus::NORMAL, payload, 4096, &mut out);
    out
}

fn prelogin(encryption: Encryption) -> Vec<u8> {
    let mut payload = Vec::new();
    let asked = Prelogin::new(Version::default(), encryption);
    asked.encode(&mut payload).unwrap();
    message(PacketType::PRELOGIN, &payload)
}

/// LOGIN7 of about so many bytes.
fn login(padding: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    let login = Login7 {
        tds_version: TdsVersion::V7_4,
        features: vec![Feature::new(FeatureId(0x77), vec![7; padding])],
        ..Login7::default()
    };
    login.encode(&mut payload).unwrap();
    message(PacketType::LOGIN7, &payload)
}

/// What becomes of a client that sends this and then says no more.
async fn fate(mode: TlsMode, bytes: &[u8]) -> Result<Greeted, GreetError> {
    let (mut client, socket) = pair();
    let tls = listener(mode);
    let sending = async {
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        let _ = client.read_to_end(&mut Vec::new()).await;
    };
    let (greeted, ()) = tokio::join!(greet(socket, &tls, PATIENCE), sending);
    greeted
}

fn word(outcome: Result<Greeted, GreetError>) -> &'static str {
    match outcome {
        Ok(_) => "greeted",
        Err(error) => error.reason(),
    }
}

#[tokio::test]
async fn what_is_no_login_has_a_name() {
    let table: [(&[u8], &str); 12] = [
        (b"", "closed"),
        (&[0x12], "closed"),
        (&[0x12, 1, 0, 40, 0, 0, 1, 0], "closed"),
        (&[0x12, 1, 0, 7, 0, 0, 1, 0], "protocol"),
        (&[0x12, 1, 0, 9, 0, 0, 1, 0, 0xFF], "protocol"),
        (&[0x10, 1, 0, 12, 0, 0, 1, 0, 1, 2, 3, 4], "protocol"),
        (&[0x01, 1, 0, 8, 0, 0, 1, 0], "not-tds"),
        (b"GET / HTTP/1.1\r\n\r\n", "not-tds"),
        (&[0x15, 3, 1, 0, 2, 2, 40], "not-tds"),
        (&[0x16, 3, 1], "closed"),
        (&[0x16, 3, 1, 0, 4, 9, 9, 9, 9], "tls"),
        (b"\x16\x03\x01\xFF\xFFGET / HTTP/1.1\r\n", "tls"),
    ];
    for (bytes, expected) in table {
        let outcome = fate(TlsMode::Optional, bytes).await;
        assert_eq!(word(outcome), expected, "{bytes:02x?}");
    }
    let silent = fate(TlsMode::Optional, b"").await.unwrap_err();
    assert!(matches!(silent, GreetError::Silent), "a health check");
}

#[test]
fn a_foreign_protocol_is_recognised() {
    for (bytes, expected) in [
        (b"GET / HT".as_slice(), "HTTP"),
        (b"PUT", "HTTP"),
        (b"PROXY TC", "PROXY"),
        (b"\r\n\r\n\0\r\nQ", "PROXY"),
        (&[0, 0, 0, 8, 4, 210, 22, 47], "PostgreSQL"),
        (&[0x15, 3, 3, 0, 2, 2, 40], "TLS alert"),
        (&[0x02, 0, 2, 0, 0, 0, 0, 0], "before TDS 7"),
        (b"G", "nothing"),
        (&[0xFE, 1, 2, 3], "nothing"),
    ] {
        let GreetError::Foreign { looks_like, .. } = opening::of(bytes).unwrap_err() else {
            panic!("{bytes:02x?}");
        };
        assert!(looks_like.contains(expected), "{bytes:02x?}: {looks_like}");
    }
}

#[tokio::test]
async fn what_follows_a_login_stays_in_the_socket() {
    let (mut client, socket) = pair();
    let mut bytes = prelogin(Encryption::NOT_SUP);
    bytes.extend(login(9000));
    bytes.extend(b"a request");
    client.write_all(&bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let tls = listener(TlsMode::Optional);
    let mut greeted = greet(socket, &tls, PATIENCE).await.unwrap();
    assert!(greeted.stream.is_plain());
    assert!(!greeted.encrypted);
    let mut rest = Vec::new();
    greeted.stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"a request");
    assert!(greeted.front.into_rest().is_empty());
}

#[tokio::test]
async fn what_comes_in_clear_never_passes_for_decrypted() {
    let mut bytes = prelogin(Encryption::ON);
    bytes.extend(login(0));
    let error = fate(TlsMode::Optional, &bytes).await.unwrap_err();
    assert_eq!(
        error.reason(),
        "protocol",
        "LOGIN7 is no handshake: {error:?}"
    );
}

#[tokio::test]
async fn a_handshake_that_was_declined_is_a_matter_of_encryption() {
    // As FreeTDS with `encryption = off`: it cannot, and does when it hears that it must.
    let mut bytes = prelogin(Encryption::NOT_SUP);
    bytes.extend(message(PacketType::PRELOGIN, &[0x16, 3, 1, 0, 1, 1]));
    let error = fate(TlsMode::Required, &bytes).await.unwrap_err();
    assert_eq!(error.reason(), "encryption", "{error:?}");
    assert!(error.to_string().contains("turn encryption on"), "{error}");
    // Where nothing was objected to, it is a fault of the client's.
    assert_eq!(word(fate(TlsMode::Optional, &bytes).await), "protocol");
}

#[tokio::test]
async fn a_login_beyond_bounds_ends_at_the_bound() {
    let mut bytes = prelogin(Encryption::NOT_SUP);
    let mut packet = vec![PacketType::LOGIN7.0, 0, 0x10, 0, 0, 0, 1, 0];
    packet.resize(4096, 0);
    bytes.extend(packet.repeat(1000));
    assert_eq!(word(fate(TlsMode::Optional, &bytes).await), "protocol");
    // PRELOGIN is far shorter.
    packet[0] = PacketType::PRELOGIN.0;
    let mut bytes = packet.repeat(2);
    packet[1] = PacketStatus::EOM.0;
    bytes.extend(&packet);
    assert_eq!(word(fate(TlsMode::Optional, &bytes).await), "protocol");
}

#[tokio::test]
async fn a_handshake_without_end_ends() {
    // A message of 16 MiB, in records of 16 KiB.
    let mut record = vec![0x16, 3, 3, 0x40, 0, 1, 0xFF, 0xFF, 0xFF];
    record.resize(5 + 0x4000, 0);
    let records = record.repeat(20);
    assert_eq!(word(fate(TlsMode::Strict, &records).await), "tls");
    let mut wrapped = prelogin(Encryption::ON);
    wrapped.extend(message(PacketType::PRELOGIN, &records));
    let outcome = fate(TlsMode::Optional, &wrapped).await;
    assert!(["tls", "protocol"].contains(&word(outcome)));
    // And one that says nothing at all, again and again.
    let mut empty = prelogin(Encryption::ON);
    empty.extend([0x12, 1, 0, 8, 0, 0, 1, 0].repeat(40_000));
    let outcome = fate(TlsMode::Optional, &empty).await.unwrap_err();
    assert!(
        matches!(outcome, GreetError::Handshake { .. }),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_stalls_is_given_up_at_the_deadline() {
    let whole = [prelogin(Encryption::NOT_SUP), login(0)].concat();
    let encrypted = [prelogin(Encryption::ON), vec![0x12, 1, 0, 40, 0, 0]].concat();
    for (sent, expected) in [
        (&[][..], Step::FirstByte),
        (&whole[..5], Step::Prelogin),
        (&whole[..20], Step::Prelogin),
        (&whole[..whole.len() - 1], Step::Login),
        (&encrypted, Step::Handshake),
        (&[0x16, 3, 1, 1, 0], Step::Handshake),
    ] {
        let (mut client, socket) = pair();
        client.write_all(sent).await.unwrap();
        let tls = listener(TlsMode::Optional);
        let began = Instant::now();
        let error = greet(socket, &tls, PATIENCE).await.unwrap_err();
        let GreetError::TooSlow { step, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!((step, began.elapsed()), (expected, PATIENCE));
        drop(client);
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_wins_no_time() {
    let (mut client, socket) = pair();
    let dribble = async {
        let mut second = interval(Duration::from_secs(1));
        for byte in prelogin(Encryption::NOT_SUP) {
            second.tick().await;
            client.write_all(&[byte]).await?;
        }
        io::Result::Ok(())
    };
    let tls = listener(TlsMode::Optional);
    let (error, sent) = tokio::join!(greet(socket, &tls, PATIENCE), dribble);
    assert_eq!(error.unwrap_err().reason(), "too-slow");
    assert!(sent.is_err(), "the connection is closed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client sends before its login, it is answered or let go.
    #[test]
    fn any_bytes_come_to_an_end(
        mode in prop::sample::select(vec![
            TlsMode::Off, TlsMode::Optional, TlsMode::Required, TlsMode::Strict,
        ]),
        start in prop::sample::select(vec![
            vec![],
            vec![0x12],
            vec![0x16, 3, 1],
            vec![0x10, 1],
            prelogin(Encryption::OFF),
            prelogin(Encryption::ON),
            prelogin(Encryption::NOT_SUP),
            [prelogin(Encryption::ON), vec![0x12, 1, 0, 200, 0, 0, 0, 0, 0x16, 3, 1]].concat(),
        ]),
        rest in vec(any::<u8>(), 0..600),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let bytes = [start, rest].concat();
        let outcome = runtime.block_on(fate(mode, &bytes));
        let waited = matches!(outcome, Err(GreetError::TooSlow { .. }));
        prop_assert!(!waited, "the client has closed and is still waited for");
    }
}
