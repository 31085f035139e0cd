use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tds::{Done, DoneStatus, EnvChange, Put, TdsVersion, Token, all_headers, write_message};

const SIZE: usize = 512;

fn encoded(token: &Token) -> Vec<u8> {
    let mut bytes = Vec::new();
    token.encode(TdsVersion::V7_4, &mut bytes).unwrap();
    bytes
}

fn done(status: DoneStatus) -> Vec<u8> {
    encoded(&Token::Done(Done::new(status)))
}

fn change(change: EnvChange) -> Vec<u8> {
    encoded(&Token::EnvChange(change))
}

fn error() -> Vec<u8> {
    encoded(&Token::Error(ServerMessage::new(
        208,
        1,
        16,
        "Invalid object name 't'.",
    )))
}

/// One column `n`, and as many rows of it.
fn rows(count: i32) -> Vec<u8> {
    let mut bytes = vec![0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0x38, 1, b'n', 0];
    for row in 0..count {
        bytes.push(0xD1);
        bytes.put_i32_le(row);
    }
    bytes
}

fn response(tokens: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_message(
        PacketType::TABULAR_RESULT,
        PacketStatus::NORMAL,
        &tokens.concat(),
        SIZE,
        &mut bytes,
    );
    bytes
}

fn wire() -> Wire {
    Wire::new(SIZE)
}

/// Sends a request; returns the status byte of its first packet as it left.
fn request_naming(wire: &mut Wire, packet_type: PacketType, transaction: u64) -> PacketStatus {
    let mut payload = all_headers(transaction);
    payload.put_utf16("SELECT 1");
    if packet_type == PacketType::ATTENTION {
        payload.clear();
    }
    let mut bytes = Vec::new();
    write_message(
        packet_type,
        PacketStatus::NORMAL,
        &payload,
        SIZE,
        &mut bytes,
    );
    let (header, payload) = bytes.split_first_chunk().unwrap();
    let mut header = *header;
    wire.begin_request_packet(&mut header).unwrap();
    wire.follow_request(payload);
    PacketStatus(header[1])
}

fn request(wire: &mut Wire) -> PacketStatus {
    request_naming(wire, PacketType::SQL_BATCH, 0)
}

/// One read of the driver's: takes from the front of `received`.
fn read(wire: &mut Wire, received: &mut Vec<u8>, room: usize) -> Result<Vec<u8>, WireFault> {
    let mut space = vec![0; room];
    let mut driver = ReadBuf::new(&mut space);
    let consumed = wire.hand_over(received, &mut driver)?;
    let handed = driver.filled().to_vec();
    received.drain(..consumed);
    Ok(handed)
}

/// Reads like a driver that wants everything.
fn read_all(wire: &mut Wire, received: &[u8]) -> Result<Vec<u8>, WireFault> {
    let mut received = received.to_vec();
    let mut handed = Vec::new();
    loop {
        let bytes = read(wire, &mut received, 8192)?;
        if bytes.is_empty() {
            return Ok(handed);
        }
        handed.extend(bytes);
    }
}

/// The joined payload of a response, and the statuses of its packets.
fn payload(mut packets: &[u8]) -> (Vec<u8>, Vec<PacketStatus>) {
    let (mut payload, mut statuses) = (Vec::new(), Vec::new());
    while let Some((header, rest)) = packets.split_first_chunk() {
        let header = PacketHeader::decode(header).unwrap();
        let (data, rest) = rest.split_at(header.data_len());
        payload.extend_from_slice(data);
        statuses.push(header.status);
        packets = rest;
    }
    (payload, statuses)
}

#[test]
fn the_end_of_a_response_is_handed_over_by_itself() {
    let mut wire = wire();
    request(&mut wire);
    assert_eq!(wire.doubt(), Some(Doubt::MidResponse));
    let mut received = response(&[rows(3), done(DoneStatus::FINAL)]);
    let body = read(&mut wire, &mut received, 8192).unwrap();
    let (rows_only, statuses) = payload(&body);
    assert_eq!(rows_only, rows(3));
    assert_eq!(statuses, [PacketStatus::NORMAL], "more is to come");
    assert_eq!(
        wire.doubt(),
        Some(Doubt::MidResponse),
        "the driver may not have looked at it"
    );
    let end = read(&mut wire, &mut received, 8192).unwrap();
    assert_eq!(
        payload(&end),
        (done(DoneStatus::FINAL), vec![PacketStatus::EOM])
    );
    assert_eq!(wire.doubt(), None);
}

#[test]
fn the_driver_gets_every_byte_however_it_comes_and_however_it_reads() {
    let tokens = [rows(150), error(), rows(7), done(DoneStatus::FINAL)];
    let whole = response(&tokens);
    for at in 0..=whole.len() {
        for room in [1, 7, 8, 21, 8192] {
            let mut wire = wire();
            request(&mut wire);
            let (mut received, mut handed) = (Vec::new(), Vec::new());
            for part in [&whole[..at], &whole[at..]] {
                received.extend_from_slice(part);
                loop {
                    let bytes = read(&mut wire, &mut received, room).unwrap();
                    if bytes.is_empty() {
                        break;
                    }
                    handed.extend(bytes);
                }
            }
            let (joined, statuses) = payload(&handed);
            assert_eq!(joined, tokens.concat(), "cut at {at}, read by {room}");
            let (last, others) = statuses.split_last().unwrap();
            assert_eq!(*last, PacketStatus::EOM);
            assert!(others.iter().all(|status| *status == PacketStatus::NORMAL));
            assert_eq!(wire.doubt(), None, "cut at {at}, read by {room}");
        }
    }
}

#[test]
fn responses_that_end_on_any_packet_border_are_whole() {
    // The last packet holds less than a DONE in some of these.
    for count in 95..115 {
        let tokens = [rows(count), done(DoneStatus::FINAL)];
        let mut wire = wire();
        request(&mut wire);
        let handed = read_all(&mut wire, &response(&tokens)).unwrap();
        assert_eq!(payload(&handed).0, tokens.concat(), "{count} rows");
        assert_eq!(wire.doubt(), None);
    }
}

#[test]
fn an_open_transaction_keeps_the_session_out() {
    let mut wire = wire();
    request(&mut wire);
    let begin = response(&[
        change(EnvChange::BeginTransaction(9)),
        done(DoneStatus::FINAL),
    ]);
    read_all(&mut wire, &begin).unwrap();
    assert_eq!(wire.doubt(), Some(Doubt::Transaction));
    for end in [
        EnvChange::CommitTransaction(9),
        EnvChange::RollbackTransaction(9),
    ] {
        request_naming(&mut wire, PacketType::TRANSACTION_MANAGER, 9);
        let answer = response(&[change(end), done(DoneStatus::FINAL)]);
        read_all(&mut wire, &answer).unwrap();
        assert_eq!(wire.doubt(), None);
        request(&mut wire);
        read_all(&mut wire, &begin).unwrap();
    }
}

#[test]
fn a_transaction_that_the_driver_mistakes_keeps_the_session_out() {
    let mut wire = wire();
    request_naming(&mut wire, PacketType::RPC, 5);
    read_all(&mut wire, &response(&[done(DoneStatus::FINAL)])).unwrap();
    assert_eq!(wire.doubt(), Some(Doubt::Descriptor));
}

#[test]
fn a_reset_rides_on_the_first_request_only() {
    let mut wire = wire();
    wire.arm_reset(true);
    assert_eq!(request(&mut wire), PacketStatus(0x09), "EOM and the reset");
    let answer = response(&[
        change(EnvChange::ResetAcknowledged),
        rows(1),
        done(DoneStatus::FINAL),
    ]);
    read_all(&mut wire, &answer).unwrap();
    assert_eq!(wire.doubt(), None);
    assert_eq!(wire.take_reset_outcome(), Some(true));
    assert_eq!(request(&mut wire), PacketStatus::EOM);
}

#[test]
fn an_attention_carries_no_reset() {
    let mut wire = wire();
    wire.arm_reset(true);
    let status = request_naming(&mut wire, PacketType::ATTENTION, 0);
    assert_eq!(status, PacketStatus::EOM);
    read_all(&mut wire, &response(&[done(DoneStatus::ATTN)])).unwrap();
    assert_eq!(request(&mut wire), PacketStatus(0x09), "it waited");
}

#[test]
fn a_result_without_the_acknowledgement_is_withheld() {
    for answer in [
        response(&[rows(1), done(DoneStatus::FINAL)]),
        response(&[done(DoneStatus::FINAL)]),
        response(&[
            rows(0),
            change(EnvChange::ResetAcknowledged),
            done(DoneStatus::FINAL),
        ]),
    ] {
        let mut wire = wire();
        wire.arm_reset(true);
        request(&mut wire);
        assert_eq!(
            read_all(&mut wire, &answer),
            Err(WireFault::ResetNotAcknowledged)
        );
        assert_eq!(wire.take_reset_outcome(), Some(false));
        assert!(wire.doubt().is_some());
    }
}

#[test]
fn an_error_in_place_of_the_acknowledgement_reaches_the_driver() {
    let mut wire = wire();
    wire.arm_reset(true);
    request(&mut wire);
    let tokens = [error(), done(DoneStatus::ERROR)];
    let handed = read_all(&mut wire, &response(&tokens)).unwrap();
    assert_eq!(payload(&handed).0, tokens.concat());
    assert_eq!(wire.doubt(), Some(Doubt::Reset));
}

#[test]
fn an_unacknowledged_reset_is_let_pass_where_that_is_allowed() {
    let mut wire = wire();
    wire.arm_reset(false);
    assert_eq!(request(&mut wire), PacketStatus(0x09));
    read_all(&mut wire, &response(&[rows(1), done(DoneStatus::FINAL)])).unwrap();
    assert_eq!(wire.doubt(), None);
}

#[test]
fn an_attention_is_outstanding_until_it_is_acknowledged() {
    let mut wire = wire();
    request(&mut wire);
    let mut received = response(&[rows(2), done(DoneStatus::FINAL)]);
    read(&mut wire, &mut received, 8192).unwrap();
    request_naming(&mut wire, PacketType::ATTENTION, 0);
    assert_eq!(wire.doubt(), Some(Doubt::Attention));

    // The response had ended before the attention arrived: the driver must not
    // take its end for the end of all.
    received.extend(response(&[done(DoneStatus::ATTN)]));
    let mut handed = Vec::new();
    for _ in 0..4 {
        handed.extend(read(&mut wire, &mut received, 8192).unwrap());
    }
    let (joined, statuses) = payload(&handed);
    assert_eq!(
        joined,
        [done(DoneStatus::FINAL), done(DoneStatus::ATTN)].concat()
    );
    assert_eq!(statuses, [PacketStatus::NORMAL, PacketStatus::EOM]);
    assert_eq!(wire.doubt(), None);
}

#[test]
fn an_attention_acknowledged_in_the_response_itself_ends_it() {
    let mut wire = wire();
    request(&mut wire);
    request_naming(&mut wire, PacketType::ATTENTION, 0);
    let cut_short = response(&[rows(2), done(DoneStatus::ATTN)]);
    read_all(&mut wire, &cut_short).unwrap();
    assert_eq!(wire.doubt(), None);
}

#[test]
fn what_answers_no_request_is_a_fault() {
    let mut wire = wire();
    assert_eq!(
        read_all(&mut wire, &response(&[done(DoneStatus::FINAL)])),
        Err(WireFault::Unsolicited)
    );
    assert_eq!(wire.doubt(), Some(Doubt::Protocol));
}

#[test]
fn a_response_beyond_understanding_is_passed_on_and_not_trusted() {
    let mut wire = wire();
    request(&mut wire);
    let tokens = [vec![0x42; 40], done(DoneStatus::FINAL)];
    let handed = read_all(&mut wire, &response(&tokens)).unwrap();
    assert_eq!(payload(&handed).0, tokens.concat());
    assert_eq!(wire.doubt(), Some(Doubt::Protocol));
}

#[test]
fn an_attention_is_seen_to_end_even_in_a_response_beyond_understanding() {
    let mut wire = wire();
    request(&mut wire);
    request_naming(&mut wire, PacketType::ATTENTION, 0);
    let tokens = [vec![0x42; 40], done(DoneStatus::ATTN)];
    let handed = read_all(&mut wire, &response(&tokens)).unwrap();
    assert_eq!(payload(&handed).1.last(), Some(&PacketStatus::EOM));
}

#[test]
fn a_request_on_top_of_an_unread_response_is_not_trusted() {
    let mut wire = wire();
    request(&mut wire);
    request(&mut wire);
    read_all(&mut wire, &response(&[done(DoneStatus::FINAL)])).unwrap();
    assert_eq!(wire.doubt(), Some(Doubt::MidResponse));
}

#[test]
fn half_a_request_keeps_the_session_out() {
    let mut wire = wire();
    let mut header = PacketHeader {
        packet_type: PacketType::RPC,
        status: PacketStatus::EOM,
        length: 40,
        spid: 0,
        packet_id: 1,
        window: 0,
    }
    .encode();
    wire.begin_request_packet(&mut header).unwrap();
    wire.follow_request(&[0; 10]);
    assert_eq!(wire.doubt(), Some(Doubt::MidRequest));
}

proptest! {
    #[test]
    fn whatever_a_server_sends_ends_in_bytes_or_a_fault(
        parts in vec(vec(any::<u8>(), 0..300), 0..8),
        armed in any::<bool>(),
    ) {
        let mut wire = wire();
        if armed {
            wire.arm_reset(true);
        }
        request(&mut wire);
        for part in parts {
            if read_all(&mut wire, &part).is_err() {
                prop_assert!(wire.doubt().is_some());
                break;
            }
        }
    }

    #[test]
    fn whatever_tokens_a_response_holds_reach_the_driver_as_they_are(
        tokens in vec(any::<u8>(), 0..2000),
    ) {
        let mut wire = wire();
        request(&mut wire);
        let handed = read_all(&mut wire, &response(std::slice::from_ref(&tokens))).unwrap();
        prop_assert_eq!(payload(&handed).0, tokens);
    }
}
