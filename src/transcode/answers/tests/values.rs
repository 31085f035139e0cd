//! Rows.

use super::*;
use crate::tds::{PLP_NULL, PLP_UNKNOWN, Udt};

/// What comes after COLMETADATA.
fn rows_of(version: OldVersion, types: &[TypeInfo], rows: &[&[u8]]) -> Vec<u8> {
    let head = columns(types);
    let before = shown(version, &joined(&[&head, &DONE])).len() - done(version).len();
    let answer = joined(&[&head, &rows.concat(), &DONE]);
    let mut shown = shown(version, &answer).split_off(before);
    assert!(shown.ends_with(done(version)));
    shown.truncate(shown.len() - done(version).len());
    shown
}

/// Types that every version has.
fn old_types() -> Vec<TypeInfo> {
    let decimal = TypeInfo::Decimal {
        id: TypeId::NUMERICN,
        max: 9,
        precision: 18,
        scale: 2,
    };
    vec![
        TypeInfo::Fixed(TypeId::INT4),
        intn(),
        decimal,
        short(TypeId::NVARCHAR, 40),
        short(TypeId::BIGBINARY, 8),
        TypeInfo::Variant { max: 8009 },
        TypeInfo::LongLen {
            id: TypeId::IMAGE,
            max: 0x7FFF_FFFF,
            collation: None,
        },
    ]
}

const VALUES: [Option<&[u8]>; 7] = [
    Some(&[1, 2, 3, 4]),
    Some(&[5, 6, 7, 8]),
    Some(&[1, 9, 9, 9, 9]),
    Some(b"a\0b\0"),
    Some(&[7; 8]),
    Some(&[0x38, 0, 1, 2, 3, 4]),
    Some(&[8; 600]),
];

#[test]
fn rows_of_old_types_stay_as_they_are() {
    let types = old_types();
    let mut nulls = VALUES;
    nulls[1..].fill(None);
    let mut empty = VALUES;
    empty[3..5].fill(Some(&[]));
    empty[6] = Some(&[]);
    let rows = [
        row(&types, &VALUES),
        row(&types, &nulls),
        row(&types, &empty),
        row(&types, &VALUES),
    ]
    .concat();
    for version in ALL {
        assert_eq!(rows_of(version, &types, &[&rows]), rows, "{version:?}");
    }
}

#[test]
fn nulls_are_spelled_out() {
    let types = old_types();
    for nulls in 0..64_u32 {
        let mut values = VALUES;
        for (index, value) in values.iter_mut().skip(1).enumerate() {
            if nulls >> index & 1 != 0 {
                *value = None;
            }
        }
        let (sent, expected) = (nbc_row(&types, &values), row(&types, &values));
        // Servers mix the two.
        let sent = [&sent[..], &expected, &sent, &sent].concat();
        let expected = expected.repeat(4);
        let version = ALL[nulls as usize % 4];
        assert_eq!(rows_of(version, &types, &[&sent]), expected, "{nulls:#b}");
    }
}

#[test]
fn all_kinds_of_null_are_spelled_out() {
    let types = [
        short(TypeId::BIGVARCHR, TypeInfo::MAX),
        TypeInfo::Xml(None),
        TypeInfo::Date,
        short(TypeId::BIGVARBIN, 9),
        intn(),
        TypeInfo::Variant { max: 8009 },
        udt(8),
        old_types()[6].clone(),
        udt(0xFFFF),
    ];
    let none = [None; 9];
    let sent = [nbc_row(&types, &none), row(&types, &none)].concat();
    let plp = PLP_NULL.to_le_bytes();
    let newest = [
        &[0xD1][..],
        &plp,
        &plp,
        &[0, 0xFF, 0xFF, 0, 0, 0, 0, 0],
        &plp,
        &[0],
        &plp,
    ]
    .concat();
    assert_eq!(
        rows_of(OldVersion::V7_3A, &types, &[&sent]),
        newest.repeat(2)
    );
    let mut middle = newest;
    middle.splice(17..18, [0xFF, 0xFF]);
    assert_eq!(
        rows_of(OldVersion::V7_2, &types, &[&sent]),
        middle.repeat(2)
    );
    let oldest = [
        &[0xD1, 0, 0][..],
        &[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0],
        &[0xFF, 0xFF, 0, 0],
    ]
    .concat();
    assert_eq!(
        rows_of(OldVersion::V7_1, &types, &[&sent]),
        oldest.repeat(2)
    );
}

#[test]
fn runs_of_nulls_of_any_length_are_spelled_out() {
    const RUNS: [usize; 9] = [1, 7, 8, 9, 56, 57, 64, 65, 200];
    for count in [7, 8, 9, 63, 64, 65, 73, 130] {
        for last in [intn(), TypeInfo::Variant { max: 8009 }] {
            let mut types = vec![intn(); count - 1];
            types.push(last);
            let (mut sent, mut expected) = (Vec::new(), Vec::new());
            for (from, run) in (0..count).zip(RUNS.into_iter().cycle()) {
                let mut values = vec![Some(&[56, 2, 3, 4][..]); count - 1];
                values.push(Some(&[0x38, 0, 5, 6, 7, 8]));
                values
                    .iter_mut()
                    .skip(from)
                    .step_by(run + 1)
                    .for_each(|value| *value = None);
                values
                    .iter_mut()
                    .skip(from)
                    .take(run)
                    .for_each(|value| *value = None);
                let mut nbc = nbc_row(&types, &values);
                // Bits of no column are of no account.
                nbc[count.div_ceil(8)] |= !(0xFF_u8 >> (7 - (count - 1) % 8));
                sent.extend_from_slice(&nbc);
                expected.extend_from_slice(&row(&types, &values));
            }
            assert_eq!(
                rows_of(OldVersion::V7_2, &types, &[&sent]),
                expected,
                "{count}"
            );
        }
    }
}

#[test]
fn a_value_that_cannot_be_null_is_not() {
    let types = [TypeInfo::Fixed(TypeId::INT4), intn()];
    let answer = joined(&[&columns(&types), &[0xD2, 0b01, 0], &DONE]);
    for version in ALL {
        refused(version, &answer);
    }
}

#[test]
fn wide_rows_grow_by_what_is_spelled_out_and_no_more_at_a_time() {
    // 64 to 1: each bit of a bitmap becomes 8 bytes.
    let types = vec![short(TypeId::BIGVARCHR, TypeInfo::MAX); 800];
    let nulls = nbc_row(&types, &[None; 800]);
    let answer = joined(&[&columns(&types), &nulls.repeat(300), &DONE]);
    let bytes = packets(&answer, 32000);
    let mut transcoder = Transcoder::new(&settings(OldVersion::V7_2));
    let (mut at, mut made) = (0, 0);
    while at < bytes.len() {
        let taken = transcoder.answers(&bytes[at..]).unwrap();
        assert!(taken > 0);
        at += taken;
        assert!(transcoder.to_client().len() < ENOUGH_AND_A_ROW);
        made += transcoder.to_client().len();
        transcoder.sent_to_client();
    }
    assert!(made > 300 * 6400);
    assert!(holds_nothing(&transcoder));
}

const ENOUGH_AND_A_ROW: usize = 64 * 1024 + 6401 + 4096 * 2;

#[test]
fn dates_become_texts() {
    let types = [
        TypeInfo::Date,
        intn(),
        TypeInfo::Time {
            id: TypeId::DATETIME2N,
            scale: 0,
        },
    ];
    let values = [
        Some(&[0, 0, 0][..]),
        Some(&[1, 2, 3, 4]),
        Some(&[1, 0, 0, 0, 0, 0]),
    ];
    let sent = [
        row(&types, &values),
        nbc_row(&types, &[None, Some(&[1, 2, 3, 4]), values[2]]),
    ]
    .concat();
    let mut expected = vec![0xD1, 20, 0];
    expected.put_utf16("0001-01-01");
    let mut tail = vec![4, 1, 2, 3, 4, 38, 0];
    tail.put_utf16("0001-01-01 00:00:01");
    let expected = [&expected[..], &tail, &[0xD1, 0xFF, 0xFF], &tail].concat();
    for version in [OldVersion::V7_1, OldVersion::V7_2] {
        assert_eq!(rows_of(version, &types, &[&sent]), expected);
    }
    let impossible = joined(&[&columns(&types), &[0xD1, 3, 0xFF, 0xFF, 0xFF], &DONE]);
    refused(OldVersion::V7_2, &impossible);
}

#[test]
fn a_variant_may_hold_a_date() {
    let types = [TypeInfo::Variant { max: 8009 }, intn()];
    let date = [0x28, 0, 0, 0, 0];
    let number = [0x38, 0, 1, 2, 3, 4];
    let long = [&[0xA5, 2, 0x40, 0x1F][..], &[7; 8000]].concat();
    let rows: Vec<Vec<u8>> = [Some(&date[..]), Some(&number), None, Some(&long)]
        .map(|value| row(&types, &[value, None]))
        .into();
    let text = {
        let mut text = vec![0xE7, 7, 9, 4, 0xD0, 0, 0x34, 20, 0];
        text.put_utf16("0001-01-01");
        row(&types, &[Some(&text), None])
    };
    let expected = [&text, &rows[1], &rows[2], &rows[3]].map(Vec::as_slice);
    for version in [OldVersion::V7_1, OldVersion::V7_2] {
        let shown = rows_of(version, &types, &[&rows.concat()]);
        assert_eq!(shown, expected.concat(), "{version:?}");
    }
    let same = rows_of(OldVersion::V7_3A, &types, &[&rows.concat()]);
    assert_eq!(same, rows.concat());
}

#[test]
fn a_text_pointer_always_has_16_bytes() {
    let types = [old_types()[6].clone(), intn()];
    let unusual = |len: u8| {
        let mut row = vec![0xD1, len];
        row.extend((0..len).map(|byte| byte + 1));
        row.extend_from_slice(&[5; 8]);
        row.extend_from_slice(&[3, 0, 0, 0, 7, 7, 7, 0]);
        row
    };
    for (len, pointer) in [(3_u8, 3_usize), (16, 16), (20, 16)] {
        let mut expected = vec![0xD1, 16];
        expected.extend((1..=16).map(|byte| if byte <= pointer { byte as u8 } else { 0 }));
        expected.extend_from_slice(&[5; 8]);
        expected.extend_from_slice(&[3, 0, 0, 0, 7, 7, 7, 0]);
        let sent = unusual(len);
        assert_eq!(rows_of(OldVersion::V7_1, &types, &[&sent]), expected);
    }
}

pub(super) fn udt(max: u16) -> TypeInfo {
    TypeInfo::Udt(Udt {
        max,
        database: String::new(),
        schema: "sys".to_owned(),
        name: "u".to_owned(),
        assembly: String::new(),
    })
}

#[test]
fn a_small_clr_value_gets_its_length_before_it() {
    let types = [intn(), udt(8), intn()];
    let sent = |value: &[u8]| [&[0xD1, 0][..], value, &[1, 9]].concat();
    for (total, chunks, expected) in [
        (
            5,
            &[&b"abcde"[..]][..],
            &[0, 5, 0, b'a', b'b', b'c', b'd', b'e'][..],
        ),
        (PLP_UNKNOWN, &[b"ab", b"c"], &[0, 3, 0, b'a', b'b', b'c']),
        (0, &[], &[0, 0, 0]),
    ] {
        let expected = [&[0xD1][..], expected, &[1, 9]].concat();
        let sent = sent(&plp(total, chunks));
        assert_eq!(rows_of(OldVersion::V7_1, &types, &[&sent]), expected);
        assert_eq!(rows_of(OldVersion::V7_2, &types, &[&sent]), sent);
    }
    let too_long = joined(&[
        &columns(&types),
        &sent(&plp(PLP_UNKNOWN, &[&[1; 9]])),
        &DONE,
    ]);
    refused(OldVersion::V7_1, &too_long);
}

#[test]
fn chunks_stay_chunks_where_they_are_known() {
    let types = [short(TypeId::NVARCHAR, TypeInfo::MAX), intn()];
    let value = plp(PLP_UNKNOWN, &[b"a\0", b"b", b"\0c\0"]);
    let sent = [&[0xD1][..], &value, &[0]].concat().repeat(3);
    for version in [OldVersion::V7_2, OldVersion::V7_3A] {
        assert_eq!(rows_of(version, &types, &[&sent]), sent);
    }
}
