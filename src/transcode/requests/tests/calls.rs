//! Procedure calls: the layouts of MS-TDS 2.2.6.6, in 7.1's form and in 7.4's.

use super::*;
use crate::tds::DecodeError;

/// sp_executesql without options.
const EXECUTE_SQL: [u8; 6] = [0xFF, 0xFF, 10, 0, 0, 0];

/// A call with one parameter, which has no name.
fn call(param: &[u8]) -> Vec<u8> {
    [&EXECUTE_SQL[..], &[0, 0], param].concat()
}

/// How a parameter's type and value go to the server.
fn param(bytes: &[u8]) -> Vec<u8> {
    let sent = rewritten(PacketType::RPC, &call(bytes));
    let before = [&headers(0)[..], &EXECUTE_SQL, &[0, 0]].concat();
    sent.strip_prefix(&before[..]).expect("the call").to_vec()
}

/// A type of a fixed length, the nullable one of 7.4 for it, and the length.
pub(super) const FIXED: [(u8, u8, u8); 11] = [
    (0x30, 0x26, 1),
    (0x34, 0x26, 2),
    (0x38, 0x26, 4),
    (0x7F, 0x26, 8),
    (0x32, 0x68, 1),
    (0x3B, 0x6D, 4),
    (0x3E, 0x6D, 8),
    (0x7A, 0x6E, 4),
    (0x3C, 0x6E, 8),
    (0x3A, 0x6F, 4),
    (0x3D, 0x6F, 8),
];

#[test]
fn fixed_lengths_become_nullable_types() {
    for (old, new, length) in FIXED {
        let value = [1, 2, 3, 4, 5, 6, 7, 8];
        let value = &value[..usize::from(length)];
        assert_eq!(
            param(&[&[old], value].concat()),
            [&[new, length, length], value].concat(),
            "{old:#04x}"
        );
    }
}

#[test]
fn old_texts_and_binaries_become_those_of_today() {
    let collation = &COLLATION[..];
    for (old, new, collation) in [
        (0x2F, 0xAF, collation),
        (0x27, 0xA7, collation),
        (0x2D, 0xAD, &[]),
        (0x25, 0xA5, &[]),
    ] {
        let info = |max: u8| [&[new, max, 0], collation].concat();
        assert_eq!(
            param(&[old, 30, 2, b'h', b'i']),
            [&info(30)[..], &[2, 0, b'h', b'i']].concat()
        );
        assert_eq!(
            param(&[old, 30, 0]),
            [&info(30)[..], &[0xFF, 0xFF]].concat(),
            "NULL"
        );
        assert_eq!(
            param(&[old, 0, 0]),
            [&info(1)[..], &[0xFF, 0xFF]].concat(),
            "no type has no length"
        );
        let long = [b'x'; 255];
        assert_eq!(
            param(&[&[old, 255, 255][..], &long].concat()),
            [&info(255)[..], &[255, 0], &long].concat()
        );
    }
}

#[test]
fn old_decimals_become_those_of_today() {
    assert_eq!(
        param(&[0x37, 5, 9, 2, 5, 1, 0x2A, 0, 0, 0]),
        [0x6A, 5, 9, 2, 5, 1, 0x2A, 0, 0, 0]
    );
    assert_eq!(param(&[0x3F, 17, 38, 0, 0]), [0x6C, 17, 38, 0, 0]);
}

#[test]
fn what_servers_understand_passes() {
    let text = |id: u8, value: &[u8]| [&[id, 0x40, 0x1F], &COLLATION[..], value].concat();
    let long = |id: u8, value: &[u8]| [&[id, 255, 255, 255, 127], &COLLATION[..], value].concat();
    let unknown = [&[0xFE][..], &[0xFF; 7]].concat();
    let chunks = [&unknown[..], &[2, 0, 0, 0, 7, 7, 1, 0, 0, 0, 8, 0, 0, 0, 0]].concat();
    for bytes in [
        vec![0x1F],
        vec![0x26, 4, 4, 1, 2, 3, 4],
        vec![0x26, 4, 0],
        vec![0x24, 16, 0],
        vec![0x68, 1, 1, 1],
        vec![0x6A, 5, 9, 2, 0],
        vec![0xA5, 0x40, 0x1F, 3, 0, 1, 2, 3],
        vec![0xA5, 0x40, 0x1F, 0xFF, 0xFF],
        text(0xA7, &[0, 0]),
        text(0xE7, &[2, 0, b'x', 0]),
        text(0xEF, &[0xFF, 0xFF]),
        long(0x23, &[3, 0, 0, 0, b'a', b'b', b'c']),
        long(0x63, &[0xFF, 0xFF, 0xFF, 0xFF]),
        vec![0x22, 255, 255, 255, 127, 0, 0, 0, 0],
        vec![0x62, 0x49, 0x1F, 0, 0, 6, 0, 0, 0, 0x38, 0, 1, 0, 0, 0],
        vec![0x62, 0x49, 0x1F, 0, 0, 0, 0, 0, 0],
        // What no client of 7.1 sends, but a session of 7.4 takes.
        vec![0x28, 3, 1, 2, 3],
        vec![0x2A, 7, 0],
        [&[0xF1, 0], &chunks[..]].concat(),
        [&[0xA5, 0xFF, 0xFF], &chunks[..]].concat(),
        [&[0xA5, 0xFF, 0xFF], &[0xFF; 8][..]].concat(),
    ] {
        // Behind it, something that shows whether its end was found.
        let with_more = [&bytes[..], &[0, 0, 0x30, 9]].concat();
        let expected = [&bytes[..], &[0, 0, 0x26, 1, 1, 9]].concat();
        assert_eq!(param(&with_more), expected);
    }
}

#[test]
fn names_and_states_pass_and_separators_are_renewed() {
    let long_name = utf16(&"n".repeat(127));
    let by_name = [&[2, 0], &utf16("sp")[..], &[1, 0]].concat();
    let params = |int: &[u8]| {
        [
            &[2][..],
            &utf16("@a"),
            &[1],
            int,
            &[127],
            &long_name,
            &[2, 0x27 | 0x80, 8, 0],
            &COLLATION,
            &[0xFF, 0xFF],
        ]
        .concat()
    };
    let (old, new) = (
        params(&[0x38, 7, 0, 0, 0]),
        params(&[0x26, 4, 4, 7, 0, 0, 0]),
    );
    let calls = |separator: u8, params: &[u8], end: &[u8]| {
        let second = &EXECUTE_SQL[..];
        [&by_name[..], params, &[separator], second, params, end].concat()
    };
    for (old_end, new_end) in [(&[][..], &[][..]), (&[0x80], &[0xFF])] {
        assert_eq!(
            rewritten(PacketType::RPC, &calls(0x80, &old, old_end)),
            [headers(0), calls(0xFF, &new, new_end)].concat()
        );
    }
    assert_eq!(
        rewritten(
            PacketType::RPC,
            &[&EXECUTE_SQL[..], &[0x80], &EXECUTE_SQL].concat()
        ),
        [&headers(0)[..], &EXECUTE_SQL, &[0xFF], &EXECUTE_SQL].concat(),
        "no parameters"
    );
}

#[test]
fn what_7_1_does_not_have_is_refused() {
    for separator in [0x81, 0xFE, 0xFF] {
        let calls = [&EXECUTE_SQL[..], &[separator], &EXECUTE_SQL].concat();
        assert!(matches!(
            refused(PacketType::RPC, &calls),
            TranscodeError::Request(DecodeError::Invalid { .. })
        ));
    }
    for (param, type_id) in [(&[0xF3, 0, 0][..], 0xF3), (&[0x40, 0, 0], 0x40)] {
        assert!(matches!(
            refused(PacketType::RPC, &call(param)),
            TranscodeError::Request(DecodeError::UnknownType { type_id: found }) if found == type_id
        ));
    }
    let encrypted = [&EXECUTE_SQL[..], &[0, 8, 0x26, 4, 0]].concat();
    let negative = call(&[0x22, 255, 255, 255, 127, 0, 0, 0, 0x80]);
    for payload in [encrypted, negative] {
        assert!(matches!(
            refused(PacketType::RPC, &payload),
            TranscodeError::Request(DecodeError::Invalid { .. })
        ));
    }
}

#[test]
fn half_a_call_never_ends_for_the_server() {
    let calls = [
        &[2, 0][..],
        &utf16("sp"),
        &[0, 0],
        &[1],
        &utf16("@"),
        &[0, 0x38, 7, 0, 0, 0],
        &[0, 0, 0xA5, 0xFF, 0xFF, 3, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0],
        &[0, 0, 0x22, 9, 0, 0, 0, 2, 0, 0, 0, 1, 2],
    ]
    .concat();
    let (options, int, plp) = (8, 8 + 9, 8 + 9 + 24);
    for end in 0..calls.len() {
        if [options, int, plp].contains(&end) {
            rewritten(PacketType::RPC, &calls[..end]);
            continue;
        }
        let error = refused(PacketType::RPC, &calls[..end]);
        assert!(
            matches!(
                error,
                TranscodeError::Request(DecodeError::Truncated {
                    need: 1..,
                    have: 0,
                    ..
                })
            ),
            "at {end}: {error:?}"
        );
    }
    rewritten(PacketType::RPC, &calls);
}

#[test]
fn a_unit_without_end_is_refused_and_a_value_of_any_length_passes() {
    let names = [&[0xF1, 1, 0, 0, 0xFF, 0xFF][..], &[0; 131_070], &[0xFF; 8]].concat();
    assert_eq!(param(&names), names, "the longest unit");

    let mut transcoder = transcoder(OldVersion::V7_1);
    let start = call(&[0x22, 255, 255, 255, 127, 255, 255, 255, 127]);
    sent_by(&mut transcoder, &packet(PacketType::RPC, 0, &start), &[])
        .1
        .unwrap();
    let more = packet(PacketType::RPC, 0, &[7; 4000]);
    for _ in 0..1000 {
        assert_eq!(transcoder.requests(&more).unwrap(), more.len());
        assert!(transcoder.to_server().len() < 5000);
        transcoder.sent_to_server();
    }
}
