//! What real drivers said, through the transcoder, cut at every place. For the answers see
//! `transcode_captures`.

use entrada::tds::{Collation, PacketStatus, PacketType, RpcCall, TdsVersion, write_message};
use entrada::transcode::{OldVersion, Settings, TranscodeError, Transcoder};

use crate::tds_captures::{Conversation, conversations, login, messages};

#[test]
fn requests_are_the_same_at_every_split() {
    let mut requests = 0;
    for conversation in new_conversations() {
        for request in messages(&conversation.client).into_iter().skip(2) {
            let new = message(request.packet_type, &request.payload);
            assert_same_at_every_split(&conversation, OldVersion::V7_3A, &new);
            let old = message(request.packet_type, content(&request.payload));
            assert_same_at_every_split(&conversation, OldVersion::V7_1Rev1, &old);
            requests += 1;
        }
    }
    assert!(requests > 80, "{requests} requests");
}

#[test]
fn calls_of_new_drivers_stay_as_they_are() {
    let mut calls = 0;
    for conversation in new_conversations() {
        for request in messages(&conversation.client) {
            if request.packet_type != PacketType::RPC {
                continue;
            }
            let meant = content(&request.payload);
            let old = message(PacketType::RPC, meant);
            let sent = requested(OldVersion::V7_1Rev1, &old, &[]).expect(&conversation.name);
            let sent = messages(&sent);
            assert!(content(&sent[0].payload) == meant, "{}", conversation.name);
            let read = RpcCall::decode_all(TdsVersion::V7_4, meant).unwrap();
            calls += read.len();
        }
    }
    assert!(calls > 5, "{calls} calls");
}

#[test]
fn batches_of_old_drivers_get_headers_and_nothing_else() {
    let mut batches = 0;
    for conversation in conversations() {
        let version = login(&conversation).tds_version;
        if version >= TdsVersion::V7_2 {
            continue;
        }
        let version = OldVersion::of(version).unwrap();
        for request in messages(&conversation.client) {
            if request.packet_type != PacketType::SQL_BATCH {
                continue;
            }
            let bytes = message(PacketType::SQL_BATCH, &request.payload);
            let sent = messages(&requested(version, &bytes, &[]).unwrap());
            assert_eq!(sent.len(), 1);
            assert!(content(&sent[0].payload) == request.payload);
            assert_same_at_every_split(&conversation, version, &bytes);
            batches += 1;
        }
    }
    assert!(batches > 4, "{batches} batches");
}

fn assert_same_at_every_split(conversation: &Conversation, version: OldVersion, bytes: &[u8]) {
    let name = &conversation.name;
    let whole = requested(version, bytes, &[]).expect(name);
    assert!(!whole.is_empty());
    for split in 1..bytes.len() {
        let cut = requested(version, bytes, &[split]).expect(name);
        assert!(cut == whole, "{name} for {version:?} at {split}");
    }
    let every_byte: Vec<usize> = (1..bytes.len()).collect();
    let cut = requested(version, bytes, &every_byte).expect(name);
    assert!(cut == whole, "{name} for {version:?}, byte by byte");
}

fn requested(
    version: OldVersion,
    bytes: &[u8],
    splits: &[usize],
) -> Result<Vec<u8>, TranscodeError> {
    let mut made = Vec::new();
    let mut transcoder = transcoder(version);
    for mut piece in cut(bytes, splits) {
        while !piece.is_empty() {
            let taken = transcoder.requests(piece)?;
            made.extend_from_slice(transcoder.to_server());
            transcoder.sent_to_server();
            piece = &piece[taken..];
        }
    }
    Ok(made)
}

fn cut<'a>(bytes: &'a [u8], splits: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let starts = [0].into_iter().chain(splits.iter().copied());
    let ends = splits.iter().copied().chain([bytes.len()]);
    starts.zip(ends).map(|(from, to)| &bytes[from..to])
}

/// Small packets, so that a conversation fills some.
fn transcoder(version: OldVersion) -> Transcoder {
    Transcoder::new(&Settings {
        version,
        client_packet_size: 512,
        server_packet_size: 512,
        collation: Collation::SQL_LATIN1_GENERAL_CP1_CI_AS,
        hold_limit: 1 << 20,
    })
}

/// Those that have the layout of 7.2 and later.
fn new_conversations() -> impl Iterator<Item = Conversation> {
    let all = conversations().into_iter();
    all.filter(|conversation| login(conversation).tds_version >= TdsVersion::V7_2)
}

fn message(packet_type: PacketType, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message(packet_type, PacketStatus::NORMAL, payload, 512, &mut bytes);
    bytes
}

/// What stands after ALL_HEADERS.
fn content(payload: &[u8]) -> &[u8] {
    match payload.first_chunk() {
        Some(length) => &payload[u32::from_le_bytes(*length) as usize..],
        None => payload,
    }
}
