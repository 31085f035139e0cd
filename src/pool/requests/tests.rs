use super::*;
use crate::tds::{Put, all_headers, write_message};

const SIZE: usize = 512;

/// Runs a message through, in packets, and returns what ended.
fn send(requests: &mut Requests, packet_type: PacketType, payload: &[u8]) -> Option<Sent> {
    let mut bytes = Vec::new();
    write_message(packet_type, PacketStatus::NORMAL, payload, SIZE, &mut bytes);
    let mut ended = None;
    let mut rest = &bytes[..];
    while let Some((header, after)) = rest.split_first_chunk() {
        let header = PacketHeader::decode(header).unwrap();
        requests.begin_packet(&header).unwrap();
        let (payload, after) = after.split_at(header.data_len());
        requests.follow(payload);
        ended = requests.ended();
        rest = after;
    }
    ended
}

fn batch(text: &str) -> Vec<u8> {
    let mut payload = all_headers(0);
    payload.put_utf16(text);
    payload
}

fn traces_of(packet_type: PacketType, payload: &[u8]) -> Traces {
    let mut requests = Requests::new(SIZE);
    assert_eq!(
        send(&mut requests, packet_type, payload),
        Some(Sent::Request)
    );
    requests.traces()
}

#[test]
fn a_batch_that_speaks_of_isolation_is_noticed_in_any_case() {
    for text in [
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "set transaction isolation level snapshot",
        "-- IsOlAtIoN",
        "IISOLATION",
        "ISOLATISOLATION",
    ] {
        assert!(
            traces_of(PacketType::SQL_BATCH, &batch(text)).isolation,
            "{text}"
        );
    }
    for text in [
        "SELECT 1",
        "ISOLATIO",
        "I SOLATION",
        "ISOLATIONS".split_at(5).1,
    ] {
        assert!(
            !traces_of(PacketType::SQL_BATCH, &batch(text)).isolation,
            "{text}"
        );
    }
}

#[test]
fn the_word_is_found_wherever_packets_are_cut() {
    for before in 0..SIZE {
        let text = format!("{}isolation", "x".repeat(before));
        let traces = traces_of(PacketType::SQL_BATCH, &batch(&text));
        assert!(traces.isolation, "after {before} characters");
    }
}

#[test]
fn the_word_is_found_at_an_odd_offset_of_an_rpc() {
    let mut payload = all_headers(0);
    payload.put_u8(0);
    payload.put_utf16("Isolation");
    assert!(traces_of(PacketType::RPC, &payload).isolation);
}

#[test]
fn bulk_rows_are_not_searched() {
    let mut payload = Vec::new();
    payload.put_utf16("ISOLATION");
    assert!(!traces_of(PacketType::BULK_LOAD, &payload).isolation);
}

#[test]
fn a_begun_transaction_sets_isolation_only_if_it_says_so() {
    let request = |kind: u16, rest: &[u8]| {
        let mut payload = all_headers(0);
        payload.put_u16_le(kind);
        payload.put_slice(rest);
        traces_of(PacketType::TRANSACTION_MANAGER, &payload).isolation
    };
    assert!(!request(5, &[0, 0]), "begin, level unchanged");
    assert!(request(5, &[4, 0]), "begin, serializable");
    assert!(!request(7, &[0, 0]), "commit");
    assert!(request(7, &[0, 1, 4, 0]), "commit and begin anew");
    assert!(!request(8, &[2, b'a', 0, 0]), "rollback by name");
    assert!(
        request(8, &[2, b'a', 0, 1, 5, 0]),
        "rollback by name and begin anew"
    );
    assert!(!request(9, &[2, b'a', 0]), "savepoint");
    assert!(request(7, &[]), "what cannot be told counts as yes");
}

#[test]
fn announced_bulk_rows_are_awaited_until_they_come() {
    let mut requests = Requests::new(SIZE);
    send(
        &mut requests,
        PacketType::SQL_BATCH,
        &batch("  insert BULK t ([id] int)"),
    );
    assert!(requests.traces().awaits_rows);
    send(&mut requests, PacketType::BULK_LOAD, &[0x81]);
    assert!(!requests.traces().awaits_rows);

    let insert = traces_of(PacketType::SQL_BATCH, &batch("INSERT BULKY VALUES (1)"));
    assert!(!insert.awaits_rows);
}

#[test]
fn an_application_role_stays_noted() {
    let mut requests = Requests::new(SIZE);
    send(
        &mut requests,
        PacketType::SQL_BATCH,
        &batch("EXEC sp_setapprole 'r', 'p'"),
    );
    send(&mut requests, PacketType::SQL_BATCH, &batch("SELECT 1"));
    requests.forget_isolation();
    assert!(requests.traces().app_role);
}

#[test]
fn the_named_transaction_is_that_of_the_last_request() {
    let mut requests = Requests::new(SIZE);
    let mut payload = all_headers(77);
    payload.put_utf16("SELECT 1");
    send(&mut requests, PacketType::SQL_BATCH, &payload);
    assert_eq!(requests.descriptor(), Some(77));
    send(&mut requests, PacketType::BULK_LOAD, &[0x81]);
    assert_eq!(requests.descriptor(), None);
}

#[test]
fn every_packet_but_the_last_must_be_full() {
    let header = |length: u16, status| PacketHeader {
        packet_type: PacketType::SQL_BATCH,
        status,
        length,
        spid: 0,
        packet_id: 1,
        window: 0,
    };
    let begin = |header: &PacketHeader| Requests::new(SIZE).begin_packet(header);
    assert!(begin(&header(512, PacketStatus::NORMAL)).is_ok());
    assert!(begin(&header(40, PacketStatus::EOM)).is_ok());
    for wrong in [
        header(511, PacketStatus::NORMAL),
        header(513, PacketStatus::NORMAL),
        header(513, PacketStatus::EOM),
    ] {
        assert!(
            matches!(begin(&wrong), Err(WireFault::RequestPacketSize { .. })),
            "{wrong:?}"
        );
    }
}
