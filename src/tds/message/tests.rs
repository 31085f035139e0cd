use zeroize::Zeroizing;

use super::*;
use crate::tds::DEFAULT_PACKET_SIZE;

fn reader() -> MessageReader {
    MessageReader::new(DEFAULT_PACKET_SIZE, 10_000)
}

fn packet(packet_type: PacketType, status: u8, data: &[u8]) -> Vec<u8> {
    let header = PacketHeader {
        packet_type,
        status: PacketStatus(status),
        length: (HEADER_LEN + data.len()).try_into().unwrap(),
        spid: 51,
        packet_id: 1,
        window: 0,
    };
    [&header.encode()[..], data].concat()
}

#[test]
fn a_header_is_big_endian() {
    // MS-TDS 4.10: an attention.
    let bytes = [0x06, 0x01, 0x00, 0x08, 0x00, 0x33, 0x01, 0x00];
    let header = PacketHeader::decode(&bytes).unwrap();
    assert_eq!(header.packet_type, PacketType::ATTENTION);
    assert_eq!(
        (header.length, header.spid, header.data_len()),
        (8, 0x33, 0)
    );
    assert_eq!(header.encode(), bytes);
}

#[test]
fn a_length_below_the_header_is_refused() {
    let error = PacketHeader::decode(&[0x04, 0x01, 0x00, 0x07, 0, 0, 0, 0]);
    assert!(matches!(error, Err(DecodeError::Invalid { .. })));
}

#[test]
fn all_packets_but_the_last_are_full() {
    let payload: Vec<u8> = (0..=255).cycle().take(1200).collect();
    let status = PacketStatus::RESET_CONNECTION;
    let mut out = Vec::new();
    write_message(PacketType::SQL_BATCH, status, &payload, 512, &mut out);

    let heads: Vec<_> = out
        .chunks(512)
        .map(|packet| PacketHeader::decode(packet.first_chunk().unwrap()).unwrap())
        .collect();
    let told: Vec<_> = heads
        .iter()
        .map(|head| (head.length, head.status.0, head.packet_id))
        .collect();
    assert_eq!(told, [(512, 0x08, 1), (512, 0x00, 2), (200, 0x01, 3)]);

    let mut reader = reader();
    reader.push(&out);
    let message = reader.next().unwrap().unwrap();
    assert_eq!(message.payload, payload);
    assert_eq!(message.status.0, 0x09);
}

#[test]
fn an_empty_message_and_an_exact_fit_are_one_packet() {
    for len in [0, 512 - HEADER_LEN] {
        let mut out = Vec::new();
        write_message(
            PacketType::RPC,
            PacketStatus::NORMAL,
            &vec![7; len],
            512,
            &mut out,
        );
        assert_eq!(out.len(), HEADER_LEN + len);
        assert_eq!(out.get(1), Some(&0x01));
    }
}

#[test]
fn ignore_goes_to_the_last_packet() {
    let status = PacketStatus(PacketStatus::EOM.0 | PacketStatus::IGNORE.0);
    let mut out = Vec::new();
    write_message(PacketType::RPC, status, &[0; 600], 512, &mut out);
    assert_eq!((out.get(1), out.get(513)), (Some(&0x00), Some(&0x03)));
}

#[test]
fn packet_ids_wrap() {
    let mut out = Vec::new();
    write_message(
        PacketType::RPC,
        PacketStatus::NORMAL,
        &[0; 504 * 257],
        512,
        &mut out,
    );
    let ids: Vec<u8> = out.chunks(512).map(|packet| packet[6]).collect();
    assert_eq!((ids[254], ids[255], ids[256]), (255, 0, 1));
}

#[test]
fn bounds_hold() {
    let mut small = MessageReader::new(512, 1000);
    small.push(&[0x04, 0x00, 0x02, 0x01]);
    assert_eq!(small.next(), Ok(None), "half a header says nothing");
    small.push(&[0, 0, 0, 0]);
    let too_long = DecodeError::TooLong {
        what: "the packet",
        len: 513,
        max: 512,
    };
    assert_eq!(small.next(), Err(too_long));

    let mut small = MessageReader::new(512, 1000);
    for _ in 0..3 {
        small.push(&packet(PacketType::RPC, 0, &[0; 400]));
    }
    assert!(matches!(small.next(), Err(DecodeError::TooLong { .. })));
}

#[test]
fn packets_of_two_types_are_no_message() {
    let mut reader = reader();
    reader.push(&packet(PacketType::RPC, 0, b"a"));
    reader.push(&packet(PacketType::SQL_BATCH, 1, b"b"));
    assert!(matches!(reader.next(), Err(DecodeError::Invalid { .. })));
}

#[test]
fn an_attention_cancels_the_message_that_it_interrupts() {
    let mut reader = reader();
    reader.push(&packet(PacketType::BULK_LOAD, 0, b"rows"));
    reader.push(&packet(PacketType::ATTENTION, 1, b""));
    reader.push(&packet(PacketType::SQL_BATCH, 1, b"next"));
    let types: Vec<_> = std::iter::from_fn(|| reader.next().unwrap())
        .map(|message| message.packet_type)
        .collect();
    assert_eq!(types, [PacketType::ATTENTION, PacketType::SQL_BATCH]);
}

#[test]
fn what_follows_the_last_packet_is_given_back() {
    let mut reader = reader();
    let mut bytes = packet(PacketType::PRELOGIN, 1, b"hello");
    bytes.extend_from_slice(&[0x16, 0x03]);
    reader.push(&bytes);
    assert!(reader.next().unwrap().is_some());
    assert_eq!((reader.buffered(), reader.is_mid_message()), (2, false));
    assert_eq!(reader.into_rest(), [0x16, 0x03]);
}

#[test]
fn unknown_types_print_their_number() {
    assert_eq!(PacketType(0x2A).to_string(), "0x2a");
    assert_eq!(PacketType::LOGIN7.to_string(), "LOGIN7");
}

#[test]
fn packets_come_one_by_one_to_those_who_do_not_join_them() {
    let mut packets = Vec::new();
    let status = PacketStatus::RESET_CONNECTION;
    write_message(PacketType::RPC, status, &[7; 600], 512, &mut packets);
    let mut reader = MessageReader::new(512, 1 << 20);
    reader.push(&packets[..520]);
    let (header, data) = reader.next_packet().unwrap().unwrap();
    assert_eq!((header.status, data.len()), (status, 504));
    assert!(reader.next_packet().unwrap().is_none());
    reader.push(&packets[520..]);
    let (header, data) = reader.next_packet().unwrap().unwrap();
    assert_eq!((header.status, data.len()), (PacketStatus::EOM, 96));
    assert_eq!(reader.buffered(), 0);
}

/// The memory of the process is searched, since what has been given back to the
/// allocator can be seen in no other way.
#[cfg(target_os = "linux")]
#[test]
fn a_wiping_reader_leaves_no_copy_of_a_secret_behind() {
    // Made here, so that it stands nowhere in the program's own data.
    let marker = |salt: u8| -> Zeroizing<Vec<u8>> {
        Zeroizing::new(
            (0..48)
                .map(|at: u8| (at ^ salt).wrapping_mul(151))
                .collect(),
        )
    };
    let secret_packet = |salt: u8, status: u8| {
        let mut data = Zeroizing::new(Vec::with_capacity(512));
        data.extend_from_slice(&marker(salt));
        data.resize(500, 0);
        let header = packet(PacketType::LOGIN7, status, &[0; 500]);
        let mut bytes = Zeroizing::new(Vec::with_capacity(512));
        bytes.extend_from_slice(&header[..HEADER_LEN]);
        bytes.extend_from_slice(&data);
        bytes
    };
    let kept = |salt: u8| memory_holds(&marker(salt));

    // Cut inside of packets, so that buffer and message both grow over and over.
    let mut reader = reader().wiping();
    for (status, part) in [(0, 0..300), (0, 300..508), (0, 0..508), (1, 0..400)] {
        reader.push(&secret_packet(0x5A, status)[part]);
        assert!(reader.next().unwrap().is_none());
        assert!(kept(0x5A), "the search finds what is there");
    }
    reader.push(&secret_packet(0x5A, 1)[400..]);
    let message = reader.next().unwrap().unwrap();
    drop(Zeroizing::new(message.payload));
    let after = packet(PacketType::SQL_BATCH, 1, b"early");
    reader.push(&after);
    assert!(!kept(0x5A), "consumed");
    assert_eq!(reader.into_rest(), after);

    // Dropped half-way, given up for an attention, refused as too long.
    let mut reader = self::reader().wiping();
    reader.push(&secret_packet(0x3C, 0));
    assert!(reader.next().unwrap().is_none());
    reader.push(&packet(PacketType::ATTENTION, 1, &[]));
    assert!(reader.next().unwrap().is_some());
    reader.push(&secret_packet(0x3C, 0)[..200]);
    drop(reader);
    let mut reader = MessageReader::new(DEFAULT_PACKET_SIZE, 700).wiping();
    reader.push(&secret_packet(0x3C, 0));
    assert!(reader.next().unwrap().is_none());
    reader.push(&secret_packet(0x3C, 0));
    assert!(reader.next().is_err());
    drop(reader);
    assert!(!kept(0x3C), "dropped");
}

/// Whether `wanted` stands in the process's writable memory, beside itself.
#[cfg(target_os = "linux")]
fn memory_holds(wanted: &[u8]) -> bool {
    use std::io::{Read, Seek, SeekFrom};

    let own = wanted.as_ptr() as usize;
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut chunk = Zeroizing::new(vec![0; 1 << 20]);
    let buffer = chunk.as_ptr() as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let mut from = usize::from_str_radix(from, 16).unwrap();
        let to = usize::from_str_radix(to, 16).unwrap();
        while from < to {
            let wish = chunk.len().min(to - from);
            memory.seek(SeekFrom::Start(from as u64)).unwrap();
            let Ok(got) = memory.read(&mut chunk[..wish]) else {
                break;
            };
            let mut at = 0;
            while let Some(next) = chunk[at..got].iter().position(|byte| *byte == wanted[0]) {
                at += next;
                let is_copy =
                    from + at != own && !(buffer..buffer + (1 << 20)).contains(&(from + at));
                if is_copy && chunk[at..got].starts_with(wanted) {
                    return true;
                }
                at += 1;
            }
            if got == 0 {
                break;
            }
            // Half a chunk at a time, so that nothing is missed at an edge.
            from += if got < wish || wish < 4096 {
                got
            } else {
                (got - 2048).max(1)
            };
        }
    }
    false
}
