use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::tds::{
    Done, DoneStatus, LoginAck, Message, MessageReader, PacketStatus, PacketType, Put, TdsVersion,
    Version, all_headers, write_message,
};

const SIZE: usize = 512;

fn login_info() -> LoginInfo {
    LoginInfo {
        tds_version: TdsVersion::V7_4,
        packet_size: SIZE,
        database: "app".to_owned(),
        language: "us_english".to_owned(),
        collation: Vec::new(),
        spid: 51,
        ack: LoginAck {
            interface: 1,
            tds_version: TdsVersion::V7_4,
            program_name: LoginAck::PROGRAM_NAME.to_owned(),
            version: [12, 0, 0, 0],
        },
        env_changes: Vec::new(),
        infos: Vec::new(),
        features: Vec::new(),
        server: "s".to_owned(),
        endpoint: "pipe".to_owned(),
        server_version: Version::default(),
        encrypted: false,
        token_expires: None,
        identity: "nobody".to_owned(),
        opened: Instant::now(),
        redirects: 0,
    }
}

/// A link past its login, and the server's end of its pipe, which holds so many
/// bytes.
fn link(capacity: usize) -> (Link, DuplexStream) {
    let (ours, servers) = duplex(capacity);
    let (link, _) = Link::new(Session::new(SessionStream::wrapped(ours), login_info()));
    link.lock().login = None;
    (link, servers)
}

fn batch(text: &str) -> Vec<u8> {
    let mut payload = all_headers(0);
    payload.put_utf16(text);
    let mut bytes = Vec::new();
    write_message(
        PacketType::SQL_BATCH,
        PacketStatus::NORMAL,
        &payload,
        SIZE,
        &mut bytes,
    );
    bytes
}

fn answer() -> Vec<u8> {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    Done::new(DoneStatus::FINAL).encode(TdsVersion::V7_4, &mut payload);
    write_message(
        PacketType::TABULAR_RESULT,
        PacketStatus::NORMAL,
        &payload,
        SIZE,
        &mut bytes,
    );
    bytes
}

/// Reads messages as a server that checks the packets' size.
async fn messages(mut stream: DuplexStream, count: usize) -> Vec<Message> {
    let (mut reader, mut found) = (MessageReader::new(SIZE, 1 << 20), Vec::new());
    let mut bytes = [0; 100];
    while found.len() < count {
        let len = stream.read(&mut bytes).await.unwrap();
        assert!(len > 0, "the stream ended early");
        reader.push(&bytes[..len]);
        while let Some(message) = reader.next().unwrap() {
            found.push(message);
            stream.write_all(&answer()).await.unwrap();
        }
    }
    found
}

#[tokio::test]
async fn requests_go_out_whole_through_any_bottleneck() {
    let long = "x".repeat(1000);
    for capacity in [1, 7, 8, 9, 100, 511, 4096] {
        let (mut link, server) = link(capacity);
        let server = tokio::spawn(messages(server, 2));
        for reset in [false, true] {
            if reset {
                // Copied into a buffer of ours, to set the bit.
                link.with_wire(|wire| wire.arm_reset(false));
            }
            link.write_all(&batch(&long)).await.unwrap();
            link.flush().await.unwrap();
            let mut end = [0; 21];
            link.read_exact(&mut end).await.unwrap();
            assert_eq!(link.with_wire(|wire| wire.doubt()), None);
        }
        let messages = server.await.unwrap();
        for (message, reset) in messages.iter().zip([false, true]) {
            let mut expected = all_headers(0);
            expected.put_utf16(&long);
            assert_eq!(message.payload, expected, "through {capacity} bytes");
            let bit = message.status.contains(PacketStatus::RESET_CONNECTION);
            assert_eq!(bit, reset);
        }
    }
}

#[tokio::test]
async fn a_request_stuck_half_way_keeps_the_session_out() {
    let (mut link, _server) = link(100);
    let bytes = batch(&"x".repeat(1000));
    tokio::select! {
        biased;
        _ = link.write_all(&bytes) => panic!("nobody reads"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(link.with_wire(|wire| wire.doubt()), Some(Doubt::MidRequest));
}

#[tokio::test]
async fn a_server_that_leaves_mid_response_is_seen_to() {
    let (mut link, mut server) = link(4096);
    link.write_all(&batch("SELECT 1")).await.unwrap();
    server.write_all(&answer()[..10]).await.unwrap();
    drop(server);
    let mut rest = Vec::new();
    link.read_to_end(&mut rest).await.unwrap();
    assert!(link.with_wire(|wire| wire.doubt()).is_some());
}

#[tokio::test]
async fn a_pulse_tells_silence_from_speech_and_from_the_end() {
    let pulse =
        async |link: &Link| std::future::poll_fn(|cx| Poll::Ready(link.poll_pulse(cx))).await;
    let (quiet, _server) = link(100);
    assert!(matches!(pulse(&quiet).await, Pulse::Alive));

    let (spoken_to, mut server) = link(100);
    server.write_all(&answer()).await.unwrap();
    assert!(matches!(pulse(&spoken_to).await, Pulse::Unsolicited));

    let (left, server) = link(100);
    drop(server);
    assert!(matches!(pulse(&left).await, Pulse::Closed));

    let (closed, _server) = link(100);
    closed.close();
    assert!(matches!(pulse(&closed).await, Pulse::Closed));
    assert_eq!(closed.with_wire(|wire| wire.doubt()), Some(Doubt::Closed));
}

#[tokio::test]
async fn a_driver_that_waits_for_nothing_is_told_so() {
    let (mut link, _server) = link(100);
    let mut bytes = [0; 10];
    assert_eq!(link.read(&mut bytes).await.unwrap(), 0);
    assert_eq!(link.with_wire(|wire| wire.doubt()), None);
}

#[tokio::test]
async fn a_malformed_request_packet_closes_the_session() {
    let (mut link, _server) = link(100);
    let error = link.write_all(&[1, 1, 0, 3, 0, 0, 1, 0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(link.with_wire(|wire| wire.doubt()), Some(Doubt::Protocol));
}
