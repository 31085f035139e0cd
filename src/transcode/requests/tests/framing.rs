//! Packets, status bits, attention, and what is no request.

use super::*;

const BATCH: PacketType = PacketType::SQL_BATCH;
const TRANSACTION: PacketType = PacketType::TRANSACTION_MANAGER;

/// What goes to the server for these packets.
fn sent(version: OldVersion, bytes: &[u8]) -> Vec<u8> {
    let (sent, ended) = sent_by(&mut transcoder(version), bytes, &[]);
    ended.unwrap();
    sent
}

fn error_of(bytes: &[u8]) -> TranscodeError {
    sent_by(&mut transcoder(OldVersion::V7_1Rev1), bytes, &[])
        .1
        .expect_err("an error")
}

#[test]
fn batches_and_transactions_get_headers() {
    let text = utf16("select 1 -- \u{1F600}");
    for payload in [&text[..], &[]] {
        assert_eq!(
            rewritten(BATCH, payload),
            [&headers(0)[..], payload].concat()
        );
    }
    for payload in [[0, 0, 0, 0], [1, 0, 0, 0]] {
        assert_eq!(
            rewritten(TRANSACTION, &payload),
            [&headers(0)[..], &payload].concat()
        );
    }
}

#[test]
fn the_headers_name_the_transaction_until_a_reset_ends_it() {
    const RESET: u8 = 0x08;
    const SKIP_TRAN: u8 = 0x10;
    let mut transcoder = transcoder(OldVersion::V7_1Rev1);
    transcoder.session.descriptor = 9;
    let mut batch = |status: u8| {
        let bytes = packet(BATCH, status, b"");
        let (sent, _) = sent_by(&mut transcoder, &bytes, &[]);
        let packets = packets(&sent);
        (packets[0].0.status.0, packets[0].1.clone())
    };
    assert_eq!(batch(1), (1, headers(9)));
    assert_eq!(batch(1 | SKIP_TRAN), (1 | SKIP_TRAN, headers(9)));
    assert_eq!(batch(3 | RESET), (3 | RESET, headers(0)), "taken back");
    assert_eq!(batch(1), (1, headers(9)));
    assert_eq!(batch(1 | RESET), (1 | RESET, headers(0)));
    assert_eq!(batch(1), (1, headers(0)));
}

#[test]
fn later_packets_reset_nothing() {
    let bytes = [packet(BATCH, 0, &[0; 600]), packet(BATCH, 9, &[0; 600])].concat();
    let mut transcoder = transcoder(OldVersion::V7_1);
    transcoder.session.descriptor = 9;
    let (sent, _) = sent_by(&mut transcoder, &bytes, &[]);
    let status: Vec<u8> = packets(&sent)
        .iter()
        .map(|(header, _)| header.status.0)
        .collect();
    assert_eq!(status, [0, 0, 1]);
    assert_eq!(transcoder.session.descriptor, 9);
}

#[test]
fn newer_clients_requests_are_only_cut_anew() {
    for version in [OldVersion::V7_2, OldVersion::V7_3A] {
        for kind in [BATCH, PacketType::RPC, TRANSACTION, PacketType::BULK_LOAD] {
            // No call, no columns: nothing is read.
            let payload: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
            let mut bytes = message(kind, &payload);
            bytes[1] |= 0x08;
            let sent = sent(version, &bytes);
            assert_eq!(messages(&sent), [(kind, payload)]);
            assert_eq!(packets(&sent)[0].0.status.0, 0x08);
        }
    }
}

#[test]
fn an_attention_takes_back_what_was_not_sent_yet() {
    let attention = packet(PacketType::ATTENTION, 1, &[]);
    assert_eq!(sent(OldVersion::V7_1, &attention), attention);

    let cancelled = [packet(BATCH, 8, &[0; 600]), attention.clone()].concat();
    for version in [OldVersion::V7_1, OldVersion::V7_3A] {
        let sent = sent(version, &cancelled);
        let packets = packets(&sent[..SERVER_PACKET]);
        assert_eq!(packets[0].0.status.0, 8, "one packet was full");
        assert_eq!(sent[SERVER_PACKET..], attention);
    }
    // A call that is half read is taken back, too.
    let half = packet(
        PacketType::RPC,
        0,
        &[0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0x38, 1],
    );
    let whole = message(BATCH, b"");
    let sent = sent(OldVersion::V7_1, &[half, attention.clone(), whole].concat());
    assert_eq!(sent[..8], attention);
    assert_eq!(messages(&sent[8..]), [(BATCH, headers(0))]);
}

#[test]
fn a_request_that_is_to_be_ignored_may_be_half() {
    let half = [0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0x38, 1];
    let bytes = [
        packet(PacketType::RPC, 0, &half),
        packet(PacketType::RPC, 3, &[]),
    ];
    let sent = sent(OldVersion::V7_1, &bytes.concat());
    let packets = packets(&sent);
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].0.status.0, 3);
    assert!(packets[0].1.starts_with(&headers(0)));
}

#[test]
fn what_is_no_request_ends_the_session() {
    assert!(matches!(
        error_of(&packet(PacketType::ATTENTION, 1, b"x")),
        TranscodeError::LongAttention { length: 9 }
    ));
    assert!(matches!(
        error_of(&[0x53, 1, 0, 0, 16, 0, 0, 0]),
        TranscodeError::Multiplexed
    ));
    for kind in [PacketType::LOGIN7, PacketType::PRELOGIN, PacketType(0)] {
        assert!(matches!(
            error_of(&packet(kind, 1, b"")),
            TranscodeError::NotARequest(found) if found == kind
        ));
    }
    assert!(matches!(
        error_of(&[packet(BATCH, 0, b"x"), packet(PacketType::RPC, 1, b"")].concat()),
        TranscodeError::MixedTypes {
            first: BATCH,
            then: PacketType::RPC
        }
    ));
    assert!(matches!(
        error_of(&packet(BATCH, 1, &[0; CLIENT_PACKET])),
        TranscodeError::PacketLength {
            negotiated: CLIENT_PACKET,
            ..
        }
    ));
    assert!(matches!(
        error_of(&[1, 1, 0, 7, 0, 0, 0, 0]),
        TranscodeError::PacketLength { length: 7, .. }
    ));
}

#[test]
fn nothing_is_held_between_requests() {
    let mut transcoder = transcoder(OldVersion::V7_1);
    for bytes in [
        message(BATCH, &utf16("insert bulk t")),
        message(PacketType::BULK_LOAD, &[0x81, 0, 0]),
        message(PacketType::RPC, &[0xFF, 0xFF, 10, 0, 0, 0]),
        [
            packet(PacketType::RPC, 0, &[0xFF]),
            packet(PacketType::ATTENTION, 1, &[]),
        ]
        .concat(),
    ] {
        sent_by(&mut transcoder, &bytes, &[1, 9]).1.unwrap();
        assert!(transcoder.requests.request.is_none());
        assert!(!transcoder.to_server.in_message());
    }
}
