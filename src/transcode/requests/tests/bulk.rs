//! Bulk loads (MS-TDS 2.2.6.1), and what comes in the same kind of message.

use super::*;
use crate::tds::DecodeError;

/// Two columns, int and text, and rows.
fn load(user_type: &[u8]) -> Vec<u8> {
    let text = [
        &[0x23, 255, 255, 255, 127][..],
        &COLLATION,
        &[1, 0, b't', 0],
    ]
    .concat();
    [
        &[0x81, 2, 0][..],
        user_type,
        &[8, 0, 0x38, 1, b'a', 0],
        user_type,
        &[9, 0],
        &text,
        &[1, b'b', 0],
        &[0xD1, 1, 0, 0, 0, 0],
        &[0xD1, 2, 0, 0, 0, 0],
        &[0xFD, 0, 0, 0, 0, 2, 0, 0, 0],
    ]
    .concat()
}

/// What becomes of a bulk load after this batch.
fn after(version: OldVersion, batch: &str, load: &[u8]) -> Result<Vec<u8>, TranscodeError> {
    let mut transcoder = transcoder(version);
    let batch = message(PacketType::SQL_BATCH, &utf16(batch));
    sent_by(&mut transcoder, &batch, &[]).1?;
    let load = message(PacketType::BULK_LOAD, load);
    let (sent, ended) = sent_by(&mut transcoder, &load, &[]);
    ended?;
    let [(PacketType::BULK_LOAD, payload)] = &messages(&sent)[..] else {
        panic!("a bulk load")
    };
    Ok(payload.clone())
}

#[test]
fn the_user_types_of_columns_are_widened() {
    let (old, new) = (load(&[0x50, 0]), load(&[0x50, 0, 0, 0]));
    for version in [OldVersion::V7_1, OldVersion::V7_1Rev1] {
        let sent = after(version, "INSERT BULK t (a int, b text)", &old).unwrap();
        assert_eq!(sent, new);
    }
    let sent = after(OldVersion::V7_2, "INSERT BULK t (a int, b text)", &new).unwrap();
    assert_eq!(sent, new);
}

#[test]
fn no_rows_and_no_columns_are_for_the_server_to_judge() {
    for load in [
        &[][..],
        &[0x81, 0, 0],
        &[0x81, 0xFF, 0xFF, 0xD1, 1],
        &[0xFD, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(
            after(OldVersion::V7_1, "insert bulk t", load).unwrap(),
            load
        );
    }
}

#[test]
fn half_a_column_does_not_end() {
    let load = load(&[0, 0]);
    for end in 1..32 {
        let error = after(OldVersion::V7_1, "insert bulk t", &load[..end]).unwrap_err();
        assert!(
            matches!(
                error,
                TranscodeError::Request(DecodeError::Truncated { .. })
            ),
            "at {end}"
        );
    }
    after(OldVersion::V7_1, "insert bulk t", &load[..32]).unwrap();
    let unknown = [&[0x81, 1, 0, 0, 0, 0, 0][..], &[0x40, 0]].concat();
    assert!(matches!(
        after(OldVersion::V7_1, "insert bulk t", &unknown),
        Err(TranscodeError::Request(DecodeError::UnknownType {
            type_id: 0x40
        }))
    ));
}

#[test]
fn columns_are_looked_for_after_insert_bulk_only() {
    let (old, new) = (load(&[0, 0]), load(&[0, 0, 0, 0]));
    for announces in [
        "INSERT BULK t",
        "\r\n\t insert  bulk t",
        "-- a comment\ninsert /* /* in */ it */ bulk t",
        "insert--\nbulk",
        "SET NOCOUNT ON; insert bulk [t]",
        "select 'it''s' set x on INSERT\u{3000}BULK",
        "select 1-2/3 insert bulk t",
    ] {
        let sent = after(OldVersion::V7_1Rev1, announces, &old).unwrap();
        assert!(sent == new, "{announces}");
    }
    for other in [
        "",
        "WRITETEXT BULK t.c 0x01",
        "updatetext bulk t.c 0x01 null null",
        "BULK INSERT t FROM 'f'",
        "-- insert bulk t",
        "/* insert bulk /* */ */ /",
        "select 'insert bulk t'",
        "select [insert bulk t]",
        "select \"insert bulk t\"",
        "insert 'x' bulk",
        "insert . bulk",
        "insert bulky",
        "insert @bulk",
        "reinsert bulk",
        "insertion bulk",
        "insert - bulk",
    ] {
        let sent = after(OldVersion::V7_1Rev1, other, &old).unwrap();
        assert!(sent == old, "{other}");
    }
}

#[test]
fn an_announcement_counts_if_it_came_to_its_end() {
    let batch = utf16("insert bulk t");
    let ended = |before: &[u8]| {
        let mut transcoder = transcoder(OldVersion::V7_1Rev1);
        sent_by(&mut transcoder, before, &[]).1.unwrap();
        let load = message(PacketType::BULK_LOAD, &load(&[0, 0]));
        messages(&sent_by(&mut transcoder, &load, &[]).0)[0]
            .1
            .clone()
    };
    let whole = message(PacketType::SQL_BATCH, &batch);
    assert_eq!(ended(&whole), load(&[0, 0, 0, 0]));
    let ignored = packet(PacketType::SQL_BATCH, 3, &batch);
    assert_eq!(ended(&ignored), load(&[0, 0]));
    let cancelled = [
        packet(PacketType::SQL_BATCH, 0, &batch),
        packet(PacketType::ATTENTION, 1, &[]),
    ];
    assert_eq!(ended(&cancelled.concat()), load(&[0, 0]));
    let call = message(PacketType::RPC, &[0xFF, 0xFF, 10, 0, 0, 0]);
    assert_eq!(ended(&[whole, call].concat()), load(&[0, 0]));
}
