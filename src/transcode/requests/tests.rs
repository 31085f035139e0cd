//! What an older client asks, byte for byte.

mod bulk;
mod calls;
mod framing;
mod random;

use crate::tds::{
    Collation, HEADER_LEN, MessageReader, PacketHeader, PacketStatus, PacketType, write_message,
};
use crate::transcode::{OldVersion, Settings, TranscodeError, Transcoder};

/// What the server granted; small, so that a few bytes fill several packets.
const SERVER_PACKET: usize = 512;
const CLIENT_PACKET: usize = 4096;

fn transcoder(version: OldVersion) -> Transcoder {
    Transcoder::new(&Settings {
        version,
        client_packet_size: CLIENT_PACKET,
        server_packet_size: SERVER_PACKET,
        collation: Collation::SQL_LATIN1_GENERAL_CP1_CI_AS,
        hold_limit: 1 << 20,
    })
}

/// The collation above, as it stands on the wire.
const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// ALL_HEADERS with this transaction.
fn headers(descriptor: u8) -> Vec<u8> {
    let mut headers = vec![0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0];
    headers.extend_from_slice(&[descriptor, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    headers
}

/// A packet of the client's.
fn packet(packet_type: PacketType, status: u8, data: &[u8]) -> Vec<u8> {
    let header = PacketHeader {
        packet_type,
        status: PacketStatus(status),
        length: u16::try_from(HEADER_LEN + data.len()).unwrap(),
        spid: 0,
        packet_id: 1,
        window: 0,
    };
    [&header.encode()[..], data].concat()
}

/// A message of the client's.
fn message(packet_type: PacketType, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message(
        packet_type,
        PacketStatus::NORMAL,
        payload,
        CLIENT_PACKET,
        &mut bytes,
    );
    bytes
}

/// All that goes to the server for bytes that come cut at `splits`.
fn sent_by(
    transcoder: &mut Transcoder,
    bytes: &[u8],
    splits: &[usize],
) -> (Vec<u8>, Result<(), TranscodeError>) {
    let mut sent = Vec::new();
    let mut from = 0;
    for &to in splits.iter().chain([&bytes.len()]) {
        let mut rest = &bytes[from..to];
        while !rest.is_empty() {
            let taken = transcoder.requests(rest);
            sent.extend_from_slice(transcoder.to_server());
            transcoder.sent_to_server();
            match taken {
                Ok(taken) => rest = &rest[taken..],
                Err(error) => return (sent, Err(error)),
            }
        }
        from = to;
    }
    (sent, Ok(()))
}

/// The payload of the one message that a 7.1 client's message becomes.
fn rewritten(packet_type: PacketType, payload: &[u8]) -> Vec<u8> {
    let bytes = message(packet_type, payload);
    let (sent, ended) = sent_by(&mut transcoder(OldVersion::V7_1Rev1), &bytes, &[]);
    ended.unwrap();
    let [(kind, payload)] = &messages(&sent)[..] else {
        panic!("one message")
    };
    assert_eq!(*kind, packet_type);
    payload.clone()
}

/// Why a 7.1 client's message is refused; that its end is not sent is checked.
fn refused(packet_type: PacketType, payload: &[u8]) -> TranscodeError {
    let bytes = message(packet_type, payload);
    let (sent, ended) = sent_by(&mut transcoder(OldVersion::V7_1Rev1), &bytes, &[]);
    let packets = packets(&sent);
    let last = packets.last().map(|(header, _)| header.status);
    assert!(!last.unwrap_or_default().contains(PacketStatus::EOM));
    ended.expect_err("a message that cannot be read")
}

/// Packets, each of which is as it must be for a server of 7.3 and later.
fn packets(bytes: &[u8]) -> Vec<(PacketHeader, Vec<u8>)> {
    let mut reader = MessageReader::new(SERVER_PACKET, 1 << 20);
    reader.push(bytes);
    let mut packets = Vec::new();
    while let Some((header, data)) = reader.next_packet().unwrap() {
        let last = header.status.contains(PacketStatus::EOM);
        assert!(last || usize::from(header.length) == SERVER_PACKET);
        packets.push((header, data.to_vec()));
    }
    assert_eq!(reader.buffered(), 0, "only whole packets");
    packets
}

fn messages(bytes: &[u8]) -> Vec<(PacketType, Vec<u8>)> {
    let mut messages = Vec::new();
    let mut payload = Vec::new();
    for (header, data) in packets(bytes) {
        payload.extend_from_slice(&data);
        if header.status.contains(PacketStatus::EOM) {
            messages.push((header.packet_type, std::mem::take(&mut payload)));
        }
    }
    assert!(payload.is_empty(), "whole messages");
    messages
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
