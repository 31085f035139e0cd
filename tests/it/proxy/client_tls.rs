//! Encryption between a client and the proxy.

use std::path::Path;
use std::sync::Arc;

use entrada::proxy::config::{ClientTls, Config, TlsMode};
use entrada::proxy::{Proxy, ca_certificate};
use entrada::tds::{
    Encryption, Feature, FeatureId, HEADER_LEN, Login7, PacketStatus, PacketType, Token,
    read_tokens, write_message,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{address, azure, config, sources};
use crate::raw_client::{RawClient, base_login, soon};

/// A proxy whose CA is kept in a folder, and a client's trust in it.
struct Place {
    proxy: Proxy,
    state: TempDir,
    _emulator: entrada::emulator::Emulator,
}

impl Place {
    async fn with(mode: TlsMode) -> Self {
        let emulator = azure().await;
        let state = TempDir::new().unwrap();
        let mut config: Config = config(&emulator);
        config.listeners[0].tls = tls(mode);
        config.state_dir = Some(state.path().to_owned());
        let proxy = Proxy::start(config, sources(&emulator)).await.unwrap();
        Self {
            proxy,
            state,
            _emulator: emulator,
        }
    }

    async fn client(&self) -> RawClient {
        RawClient::tcp(address(&self.proxy)).await
    }

    fn trust(&self) -> ClientConfig {
        trust(self.state.path(), &[&TLS13, &TLS12])
    }
}

fn tls(mode: TlsMode) -> ClientTls {
    let mut tls = ClientTls::default();
    tls.mode = mode;
    tls
}

/// Trusts what `entrada proxy --print-ca` prints, and nobody else.
pub(super) fn trust(
    state: &Path,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let pem = ca_certificate(state, &[]).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn strict(mut config: ClientConfig, protocols: &[&str]) -> ClientConfig {
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config
}

/// That the session at the far end answers.
async fn ask(client: &mut RawClient) {
    client.packet_size = 4096;
    let result = soon("the query", client.batch("SELECT USER_NAME()")).await;
    let name: Vec<u8> = "app".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(result.windows(name.len()).any(|window| window == name));
}

/// What becomes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Clear,
    LoginOnly,
    Whole,
    /// Told, in clear or under TLS, by an error with this number.
    Refused(i32),
}

#[tokio::test]
async fn every_mode_answers_every_client_by_the_table() {
    use Outcome::{Clear, LoginOnly, Refused, Whole};
    const OFF: Encryption = Encryption::OFF;
    const ON: Encryption = Encryption::ON;
    const NOT_SUP: Encryption = Encryption::NOT_SUP;
    const REQ: Encryption = Encryption::REQ;
    // What the client sends, what it is answered, what becomes of it.
    let table = [
        (TlsMode::Off, OFF, NOT_SUP, Clear),
        (TlsMode::Off, ON, NOT_SUP, Refused(18456)),
        (TlsMode::Off, NOT_SUP, NOT_SUP, Clear),
        (TlsMode::Off, REQ, NOT_SUP, Refused(18456)),
        (TlsMode::Optional, OFF, OFF, LoginOnly),
        (TlsMode::Optional, ON, ON, Whole),
        (TlsMode::Optional, NOT_SUP, NOT_SUP, Clear),
        (TlsMode::Optional, REQ, ON, Whole),
        (TlsMode::Required, OFF, REQ, Whole),
        (TlsMode::Required, ON, ON, Whole),
        (TlsMode::Required, NOT_SUP, REQ, Refused(17835)),
        (TlsMode::Required, REQ, ON, Whole),
        (TlsMode::Strict, OFF, REQ, Refused(17835)),
        (TlsMode::Strict, ON, ON, Refused(17835)),
        (TlsMode::Strict, NOT_SUP, REQ, Refused(17835)),
        (TlsMode::Strict, REQ, ON, Refused(17835)),
    ];
    for rows in table.chunks(4) {
        let place = Place::with(rows[0].0).await;
        for (mode, asked, answered, expected) in rows {
            let row = format!("{mode:?} and {asked:?}");
            let mut client = place.client().await;
            let answer = client.prelogin(*asked, None).await;
            assert_eq!(answer.encryption, *answered, "{row}");
            if *answered != NOT_SUP && *asked != NOT_SUP {
                client.start_tls(place.trust(), true).await;
            }
            client.send_login(&base_login("shop")).await;
            if *expected == LoginOnly {
                client.forget_tls();
            }
            let answer = soon(&row, client.receive()).await.expect(&row);
            let answer = client.login_answer(&answer);
            match expected {
                Refused(number) => {
                    let (got, text) = answer.refusal().expect(&row);
                    assert_eq!(got, *number, "{row}: {text}");
                    assert!(text.contains("tls = "), "{row}: {text}");
                    assert!(soon(&row, client.receive()).await.is_none(), "{row}");
                }
                Clear | LoginOnly | Whole => {
                    assert!(answer.ack.is_some(), "{row}: {:?}", answer.errors);
                    ask(&mut client).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn without_prelogin_there_is_clear_text_or_a_refusal() {
    for (mode, served) in [
        (TlsMode::Off, true),
        (TlsMode::Optional, true),
        (TlsMode::Required, false),
        (TlsMode::Strict, false),
    ] {
        let place = Place::with(mode).await;
        let mut client = place.client().await;
        let answer = soon("the answer", client.login(&base_login("shop"))).await;
        assert_eq!(answer.ack.is_some(), served, "{mode:?}");
        if !served {
            assert_eq!(answer.refusal().map(|(number, _)| number), Some(17835));
        }
    }
}

#[tokio::test]
async fn the_prelogin_answer_is_what_old_clients_read_by_position() {
    for mode in [TlsMode::Off, TlsMode::Optional, TlsMode::Required] {
        let place = Place::with(mode).await;
        let mut client = place.client().await;
        let mut payload = Vec::new();
        entrada::tds::Prelogin::new(entrada::tds::Version::default(), Encryption::ON)
            .encode(&mut payload)
            .unwrap();
        client
            .send(PacketType::PRELOGIN, PacketStatus::NORMAL, &payload)
            .await;
        let answer = client.receive().await.unwrap();
        // VERSION, ENCRYPTION, INSTOPT, THREADID, MARS: the table, then the data
        // in the same order.
        let tokens: Vec<u8> = answer
            .payload
            .chunks(5)
            .take(5)
            .map(|entry| entry[0])
            .collect();
        assert_eq!(tokens, [0, 1, 2, 3, 4]);
        assert_eq!(answer.payload[25], 0xFF);
        let encryption = if mode == TlsMode::Off { 2 } else { 1 };
        assert_eq!(
            answer.payload[32], encryption,
            "read at a fixed place by one client"
        );
        assert_eq!(answer.payload[33..], [0, 0], "INSTOPT matches, no MARS");
    }
}

#[tokio::test]
async fn tls_first_is_served_wherever_there_is_tls() {
    for mode in [TlsMode::Optional, TlsMode::Required, TlsMode::Strict] {
        let place = Place::with(mode).await;
        for versions in [&[&TLS13][..], &[&TLS12]] {
            for protocols in [&["tds/8.0"][..], &["h2", "tds/8.0"], &[]] {
                let mut client = place.client().await;
                let config = strict(trust(place.state.path(), versions), protocols);
                client.start_tls(config, false).await;
                let answer = client.prelogin(Encryption::NOT_SUP, None).await;
                assert_eq!(answer.encryption, Encryption::NOT_SUP);
                let answer = soon("the login", client.login(&base_login("shop"))).await;
                assert!(answer.ack.is_some(), "{mode:?}: {:?}", answer.errors);
                ask(&mut client).await;
            }
        }
    }
}

/// Shakes hands and returns what ends it before its time.
async fn failed_handshake(
    socket: &mut TcpStream,
    config: ClientConfig,
    wrapped: bool,
) -> rustls::Error {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    loop {
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        if wrapped && !records.is_empty() {
            let mut packets = Vec::new();
            let status = PacketStatus::NORMAL;
            write_message(PacketType::PRELOGIN, status, &records, 4096, &mut packets);
            records = packets;
        }
        let _ = socket.write_all(&records).await;
        let mut bytes = vec![0; 16 * 1024];
        let count = socket.read(&mut bytes).await.unwrap();
        assert!(count > 0, "closed without a word");
        let mut unread = bytes
            .get(if wrapped { HEADER_LEN } else { 0 }..count)
            .unwrap();
        tls.read_tls(&mut unread).unwrap();
        if let Err(error) = tls.process_new_packets() {
            return error;
        }
        assert!(tls.is_handshaking(), "it was served");
    }
}

#[tokio::test]
async fn the_tunnel_is_pinned_to_tls_1_2() {
    let place = Place::with(TlsMode::Optional).await;
    // Who could do 1.3 is led to 1.2.
    let mut client = place.client().await;
    client.prelogin(Encryption::ON, None).await;
    client.start_tls(place.trust(), true).await;
    assert_eq!(client.tls_version(), Some(ProtocolVersion::TLSv1_2));
    // Who can do nothing else is told.
    let mut client = place.client().await;
    client.prelogin(Encryption::ON, None).await;
    let newest = trust(place.state.path(), &[&TLS13]);
    let error = soon("the alert", failed_handshake(&mut client.tcp, newest, true)).await;
    assert_eq!(
        error,
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
    );
    // Where TLS comes first, the newest is taken.
    let mut client = place.client().await;
    client
        .start_tls(strict(place.trust(), &["tds/8.0"]), false)
        .await;
    assert_eq!(client.tls_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn other_protocols_inside_tls_and_tls_without_a_certificate_are_told_by_an_alert() {
    let place = Place::with(TlsMode::Optional).await;
    let mut socket = TcpStream::connect(address(&place.proxy)).await.unwrap();
    let web = strict(place.trust(), &["h2", "http/1.1"]);
    let error = soon("the alert", failed_handshake(&mut socket, web, false)).await;
    let expected = AlertDescription::NoApplicationProtocol;
    assert_eq!(error, rustls::Error::AlertReceived(expected));

    let place = Place::with(TlsMode::Off).await;
    let mut socket = TcpStream::connect(address(&place.proxy)).await.unwrap();
    let error = soon(
        "the alert",
        failed_handshake(&mut socket, place.trust(), false),
    )
    .await;
    let expected = AlertDescription::HandshakeFailure;
    assert_eq!(error, rustls::Error::AlertReceived(expected));
}

#[tokio::test]
async fn tls_for_the_login_alone_covers_its_first_packet_or_all_of_it() {
    let place = Place::with(TlsMode::Optional).await;
    for (in_tls, padding) in [(1, 5), (1, 10_000), (2, 10_000), (usize::MAX, 10_000)] {
        let mut client = place.client().await;
        client.prelogin(Encryption::OFF, None).await;
        client.start_tls(place.trust(), true).await;
        let login = Login7 {
            // A feature that nobody knows makes the login longer than a packet.
            features: vec![Feature::new(FeatureId(0x77), vec![7; padding])],
            ..base_login("shop")
        };
        let mut payload = Vec::new();
        login.encode(&mut payload).unwrap();
        let mut packets = Vec::new();
        let status = PacketStatus::NORMAL;
        write_message(PacketType::LOGIN7, status, &payload, 4096, &mut packets);
        let in_tls = in_tls.saturating_mul(4096).min(packets.len());
        client.send_raw(&packets[..in_tls]).await;
        client.forget_tls();
        // In two parts, so that the rest comes after a look for it.
        let (first, rest) = packets[in_tls..].split_at((packets.len() - in_tls).min(1));
        client.send_raw(first).await;
        client.send_raw(rest).await;
        let answer = soon("the answer", client.receive()).await.unwrap();
        let tokens = read_tokens(&answer.payload, entrada::tds::TdsVersion::V7_4).unwrap();
        let let_in = tokens
            .iter()
            .any(|token| matches!(token, Token::LoginAck(_)));
        assert!(let_in, "{tokens:?}");
        ask(&mut client).await;
    }
}

#[tokio::test]
async fn a_goodbye_to_tls_within_the_login_is_taken() {
    let place = Place::with(TlsMode::Optional).await;
    let mut client = place.client().await;
    client.prelogin(Encryption::OFF, None).await;
    client.start_tls(place.trust(), true).await;
    let login = Login7 {
        features: vec![Feature::new(FeatureId(0x77), vec![7; 10_000])],
        ..base_login("shop")
    };
    let mut payload = Vec::new();
    login.encode(&mut payload).unwrap();
    let mut packets = Vec::new();
    let status = PacketStatus::NORMAL;
    write_message(PacketType::LOGIN7, status, &payload, 4096, &mut packets);
    let (first, rest) = packets.split_at(4096);
    client.send_raw(first).await;
    client.close_tls().await;
    client.send_raw(rest).await;
    let answer = soon("the answer", client.receive()).await.unwrap();
    assert!(client.login_answer(&answer).ack.is_some());
    ask(&mut client).await;
}

#[tokio::test]
async fn the_authority_outlives_the_proxy() {
    let emulator = azure().await;
    let state = TempDir::new().unwrap();
    let start = async || {
        let mut config = config(&emulator);
        config.listeners[0].tls = tls(TlsMode::Required);
        config.state_dir = Some(state.path().to_owned());
        Proxy::start(config, sources(&emulator)).await.unwrap()
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let proxy = start().await;
        let mut client = RawClient::tcp(address(&proxy)).await;
        client.prelogin(Encryption::ON, None).await;
        client.start_tls(trust(state.path(), &[&TLS12]), true).await;
        seen.push(client.server_certificate().unwrap());
        let answer = soon("the login", client.login(&base_login("shop"))).await;
        assert!(answer.ack.is_some());
    }
    assert_ne!(seen[0], seen[1], "the key of a certificate is never kept");
}

/// A TLS library that is not ours: OpenSSL, by Python.
const SCRIPT: &str = r#"
import socket, ssl, sys
port, ca, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
if hasattr(ssl, "VERIFY_X509_STRICT"):
    context.verify_flags |= ssl.VERIFY_X509_STRICT
context.set_alpn_protocols(["tds/8.0"])
with socket.create_connection(("127.0.0.1", port), 10) as tcp:
    try:
        with context.wrap_socket(tcp, server_hostname=name) as tls:
            print("verified", tls.version(), tls.selected_alpn_protocol())
    except ssl.SSLCertVerificationError as error:
        print("refused", error.verify_message)
"#;

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
async fn openssl_verifies_the_certificate_by_the_printed_ca() {
    let place = Place::with(TlsMode::Strict).await;
    let ca = place.state.path().join("printed.pem");
    std::fs::write(&ca, ca_certificate(place.state.path(), &[]).unwrap()).unwrap();
    for (name, expected) in [
        ("localhost", "verified TLSv1.3 tds/8.0"),
        ("127.0.0.1", "verified TLSv1.3 tds/8.0"),
        ("::1", "verified TLSv1.3 tds/8.0"),
        ("db.test", "refused Hostname mismatch"),
    ] {
        let mut python = Command::new("python3");
        python.args(["-c", SCRIPT, &address(&place.proxy).port().to_string()]);
        python.arg(&ca).arg(name).kill_on_drop(true);
        let output = match soon("Python", python.output()).await {
            Ok(output) => output,
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                    "{error}"
                );
                eprintln!("SKIPPED: python3 is needed to see what OpenSSL says: {error}");
                return;
            }
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.starts_with(expected),
            "{name}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A certificate that is its own authority, in the two files that a listener names.
fn replace_files(folder: &Path) -> CertificateDer<'static> {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("chain.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

fn trusting(root: &CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test]
async fn a_reload_reads_the_certificate_again_and_leaves_clients_alone() {
    let emulator = azure().await;
    let folder = TempDir::new().unwrap();
    let mut config = config(&emulator);
    config.listeners[0].tls = tls(TlsMode::Required);
    config.listeners[0].tls.certificate = Some((
        folder.path().join("chain.pem"),
        folder.path().join("key.pem"),
    ));
    let first = replace_files(folder.path());
    let proxy = Proxy::start(config.clone(), sources(&emulator))
        .await
        .unwrap();
    let connect = async |root: &CertificateDer<'static>| {
        let mut client = RawClient::tcp(address(&proxy)).await;
        client.prelogin(Encryption::ON, None).await;
        client.start_tls(trusting(root), true).await;
        let answer = soon("the login", client.login(&base_login("shop"))).await;
        assert!(answer.ack.is_some());
        client
    };
    let mut before = connect(&first).await;
    let second = replace_files(folder.path());
    connect(&first).await;
    proxy.reload(config.clone()).await.unwrap();
    let mut after = connect(&second).await;
    ask(&mut before).await;
    ask(&mut after).await;
    // What cannot be used changes nothing.
    std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
    proxy.reload(config).await.unwrap_err();
    connect(&second).await;
}
