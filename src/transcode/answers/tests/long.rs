//! Values that a client of 7.1 gets with their length before them.

use super::values::udt;
use super::*;
use crate::tds::{DoneStatus, PLP_NULL, PLP_UNKNOWN, Token, read_tokens};

const VERSION: OldVersion = OldVersion::V7_1Rev1;

/// A value in chunks.
type Chunks<'a> = &'a [&'a [u8]];

fn nvarchar_max() -> TypeInfo {
    short(TypeId::NVARCHAR, TypeInfo::MAX)
}

/// Settings with a limit for what is held of a row.
fn limited(hold_limit: usize) -> Settings {
    Settings {
        hold_limit,
        ..settings(VERSION)
    }
}

/// A result with one row, of which `values` is what follows its token.
fn result(types: &[TypeInfo], values: &[&[u8]]) -> Vec<u8> {
    joined(&[&columns(types), &[0xD1], &values.concat(), &DONE])
}

/// What comes after COLMETADATA.
fn after_columns(settings: &Settings, types: &[TypeInfo], answer: &[u8]) -> Vec<u8> {
    let head = joined(&[&columns(types), &DONE]);
    let before = shown(settings.version, &head).len() - SHORT_DONE.len();
    shown_with(settings, answer).split_off(before)
}

#[test]
fn a_text_has_its_length_before_it() {
    let types = [intn(), nvarchar_max(), intn()];
    let long = vec![b'x'; 5000];
    let cases: [(u64, Chunks<'_>, &[u8]); 7] = [
        (4, &[b"a\0b\0"], b"a\0b\0"),
        (PLP_UNKNOWN, &[b"a\0b\0"], b"a\0b\0"),
        (PLP_UNKNOWN, &[b"a", b"\0b", b"\0"], b"a\0b\0"),
        (0, &[], b""),
        (PLP_UNKNOWN, &[], b""),
        // The total is a hint.
        (99, &[b"a\0"], b"a\0"),
        (5000, &[&long], &long),
    ];
    for (total, chunks, value) in cases {
        let answer = result(&types, &[&[0], &plp(total, chunks), &[1, 7]]);
        let expected = joined(&[&[0xD1, 0], &text(value), &[1, 7], &SHORT_DONE]);
        let shown = after_columns(&limited(1 << 20), &types, &answer);
        assert_eq!(shown, expected, "{total:#x}");
    }
    let answer = result(&types, &[&[0], &PLP_NULL.to_le_bytes(), &[1, 7]]);
    let expected = joined(&[&[0xD1, 0, 0, 1, 7], &SHORT_DONE]);
    assert_eq!(after_columns(&limited(100), &types, &answer), expected);
}

#[test]
fn only_xml_loses_its_byte_order_mark() {
    let mark = [0xFF, 0xFE];
    let cases: [(Chunks<'_>, &[u8]); 6] = [
        (&[&[0xFF, 0xFE, b'<', 0]], &[b'<', 0]),
        (&[&[0xFF], &[0xFE], &[b'<', 0]], &[b'<', 0]),
        (&[&[0xFF], &[0xFE, b'<', 0]], &[b'<', 0]),
        (&[&[b'<', 0, 0xFF, 0xFE]], &[b'<', 0, 0xFF, 0xFE]),
        (&[&mark], &[]),
        (&[&[0xFF]], &[0xFF]),
    ];
    for (chunks, value) in cases {
        let whole = chunks.concat();
        for total in [PLP_UNKNOWN, whole.len() as u64] {
            for (info, expected) in [(TypeInfo::Xml(None), value), (nvarchar_max(), &whole)] {
                let types = [info];
                let answer = result(&types, &[&plp(total, chunks)]);
                let expected = joined(&[&[0xD1], &text(expected), &SHORT_DONE]);
                // The lowest limit makes most of them stream.
                for limit in [1, 1 << 20] {
                    if limit == 1 && (total == PLP_UNKNOWN || whole.len() == 1) {
                        continue;
                    }
                    let shown = after_columns(&limited(limit), &types, &answer);
                    assert_eq!(shown, expected, "{chunks:x?}, {total:#x}, {limit}");
                }
            }
        }
    }
}

#[test]
fn what_is_announced_streams() {
    let types = [TypeInfo::Xml(None), nvarchar_max(), intn()];
    let value = [&[0xFF, 0xFE][..], &vec![b'y'; 199_998]].concat();
    let chunks: Vec<&[u8]> = value.chunks(30_001).collect();
    let answer = result(
        &types,
        &[
            &plp(200_000, &chunks),
            &plp(PLP_UNKNOWN, &[b"b\0"]),
            &[1, 7],
        ],
    );
    let expected = joined(&[
        &[0xD1],
        &text(&value[2..]),
        &text(b"b\0"),
        &[1, 7],
        &SHORT_DONE,
    ]);
    // Less than the value, and than what stands before it.
    for limit in [4, 20, 70_000] {
        assert_eq!(after_columns(&limited(limit), &types, &answer), expected);
    }
    // Nothing of it is held.
    let bytes = packets(&answer, 4088);
    let mut transcoder = Transcoder::new(&limited(4));
    for part in bytes.chunks(1000) {
        fed(&mut transcoder, [part]).unwrap();
        assert!(transcoder.answers.outlet.room() < 3000);
        assert!(transcoder.answers.pending.capacity() < 3000);
    }
}

#[test]
fn what_is_held_takes_little_more_room_than_it_has_bytes() {
    const LEN: usize = 2_200_000;
    let types = [nvarchar_max()];
    let value = vec![b'y'; LEN];
    let chunks: Vec<&[u8]> = value.chunks(4000).collect();
    let null = [&[0xD1][..], &PLP_NULL.to_le_bytes()].concat();
    let answer = result(&types, &[&plp(PLP_UNKNOWN, &chunks), &null.repeat(2000)]);
    let bytes = packets(&answer, 4088);
    let mut transcoder = Transcoder::new(&limited(LEN + 100));
    let (mut held, mut made, mut kept) = (0, 0, 0);
    for mut part in bytes.chunks(4096) {
        while !part.is_empty() {
            let taken = transcoder.answers(part).unwrap();
            part = &part[taken..];
            held = held.max(transcoder.answers.outlet.room());
            made = made.max(transcoder.to_client.room());
            transcoder.sent_to_client();
            kept = kept.max(transcoder.to_client.room());
        }
    }
    assert!((LEN..LEN + LEN / 3).contains(&held), "{held}");
    assert!((LEN..LEN + LEN / 50).contains(&made), "{made}");
    assert!(kept <= 256 * 1024, "{kept}");
}

#[test]
fn an_announcement_that_the_client_has_must_hold() {
    let types = [nvarchar_max()];
    let long = vec![b'z'; 70_000];
    for total in [70_001, 69_999] {
        let answer = result(&types, &[&plp(total, &[&long])]);
        let error = refused(VERSION, &answer);
        let TranscodeError::WrongTotal { announced, sent } = error else {
            panic!("{error:?}");
        };
        assert_eq!((announced, sent), (total, 70_000));
    }
}

#[test]
fn what_need_not_be_held_is_not() {
    // The largest value is none of unknown length, and comes first or last.
    let image = TypeInfo::LongLen {
        id: TypeId::IMAGE,
        max: 0x7FFF_FFFF,
        collation: None,
    };
    let types = [image, nvarchar_max(), short(TypeId::BIGVARBIN, 8000)];
    let picture = text(&vec![1; 100_000]);
    let binary = [&8000_u16.to_le_bytes()[..], &[2; 8000]].concat();
    let answer = result(
        &types,
        &[&picture, &plp(PLP_UNKNOWN, &[&[3; 500]]), &binary],
    );
    let expected = joined(&[&[0xD1], &picture, &text(&[3; 500]), &binary, &SHORT_DONE]);
    for limit in [501, 5000, 1 << 20] {
        let shown = after_columns(&limited(limit), &types, &answer);
        assert!(shown == expected, "{limit}");
    }
    // What stands before may be more than the limit, if it says how long it is.
    let types = [short(TypeId::BIGVARBIN, 8000), nvarchar_max()];
    let answer = result(&types, &[&binary, &plp(20, &[&[3; 20]])]);
    let expected = joined(&[&[0xD1], &binary, &text(&[3; 20]), &SHORT_DONE]);
    assert_eq!(after_columns(&limited(30), &types, &answer), expected);
}

/// The ERROR in front of these tokens, and the rest of them.
fn after_error(tokens: &[u8]) -> (ServerMessage, Vec<Token>) {
    let mut tokens = read_tokens(tokens, VERSION.tds_version()).unwrap();
    match tokens.remove(0) {
        Token::Error(message) => (message, tokens),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_cannot_be_held_is_an_error() {
    let types = [intn(), nvarchar_max(), udt(8), TypeInfo::Xml(None)];
    let good: &[&[u8]] = &[
        &[0xD1, 0],
        &plp(PLP_UNKNOWN, &[b"b\0"]),
        &plp(1, &[b"u"]),
        &plp(PLP_UNKNOWN, &[b"<\0"]),
    ];
    let bad: &[&[u8]] = &[
        &[0xD1, 0],
        &plp(PLP_UNKNOWN, &[&[b'l'; 900], &[b'm'; 900]]),
        &plp(1, &[b"u"]),
        &plp(4, &[b"<\0"]),
    ];
    let mut counted = DONE;
    counted[1] = DoneStatus::COUNT.0 as u8 | DoneStatus::MORE.0 as u8;
    counted[5] = 4;
    let info = [&[0xAB, 16, 0][..], &[0; 16]].concat();
    let first = joined(&[
        &columns(&types),
        &good.concat(),
        &bad.concat(),
        &good.concat(),
        &bad.concat(),
        &info,
        &counted,
    ]);
    // The next result is as it would be.
    let second = joined(&[&columns(&[intn()]), &[0xD1, 1, 7], &counted, &DONE]);
    let shown = after_columns(&limited(1500), &types, &joined(&[&first, &second]));
    let row = joined(&[&[0xD1, 0], &text(b"b\0"), &[1, 0, b'u'], &text(b"<\0")]);
    assert!(shown.starts_with(&row));
    let second = super::shown(VERSION, &second);
    assert!(shown.ends_with(&second));
    let (error, rest) = after_error(&shown[row.len()..shown.len() - second.len()]);
    assert_eq!((error.number, error.class), (7139, 16));
    for part in ["7.1", "1500 bytes", "transcode_buffer"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    let [Token::Info(_), Token::Done(done)] = &rest[..] else {
        panic!("{rest:?}");
    };
    assert_eq!(done.status, DoneStatus::MORE | DoneStatus::ERROR);
    assert_eq!(done.row_count, 0);
}

#[test]
fn no_rows_follow_a_row_of_compute_that_cannot_be_held() {
    // MAX of the column, which only here is of a type that grows.
    let mut alt = vec![0x88, 1, 0, 7, 0, 0, 0x52, 1, 0, 0, 0, 0, 0, 1, 0];
    nvarchar_max().encode(Place::Row, &mut alt).unwrap();
    alt.push(0);
    let long = plp(PLP_UNKNOWN, &[&[b'l'; 1600]]);
    let row = [0xD1, 1, 7];
    let first = [&row[..], &[0xD3, 7, 0], &long, &row, &row].concat();
    let answer = joined(&[&columns(&[intn()]), &alt, &first, &DONE]);
    let shown = super::shown_with(&limited(1500), &answer);
    let error = shown.iter().rposition(|&byte| byte == 0xAA).unwrap();
    assert!(shown[..error].ends_with(&row));
    let (error, rest) = after_error(&shown[error..]);
    assert_eq!(error.number, 7139);
    assert!(matches!(&rest[..], [Token::Done(_)]), "{rest:?}");
}

#[test]
fn a_value_of_more_than_2_gb_is_an_error() {
    let types = [nvarchar_max()];
    let answer = result(&types, &[&plp(0x8000_0000, &[b"not all of it"])]);
    let (error, rest) = after_error(&after_columns(&limited(1 << 20), &types, &answer));
    assert!(error.message.contains("2 GB"), "{}", error.message);
    assert!(matches!(&rest[..], [Token::Done(_)]));
}

#[test]
fn a_row_that_is_half_sent_cannot_be_taken_back() {
    let types = [nvarchar_max(), nvarchar_max()];
    let long = vec![b'z'; 70_000];
    let answer = result(
        &types,
        &[&plp(70_000, &[&long]), &plp(PLP_UNKNOWN, &[&long])],
    );
    let bytes = packets(&answer, 32000);
    for part in [1, 100, bytes.len()] {
        let mut transcoder = Transcoder::new(&limited(69_000));
        let error = fed(&mut transcoder, bytes.chunks(part)).unwrap_err();
        assert!(matches!(
            error,
            TranscodeError::ValueTooLong { limit: 69_000 }
        ));
    }
    let mut transcoder = Transcoder::new(&limited(70_000));
    fed(&mut transcoder, [&bytes[..]]).unwrap();
}

#[test]
fn an_error_takes_the_place_of_a_row_that_is_held() {
    let types = [nvarchar_max()];
    let answer = result(&types, &[&plp(PLP_UNKNOWN, &[&[b'a'; 100]])]);
    let bytes = packets(&answer, 32000);
    let head = 8 + columns(&types).len();
    let mut transcoder = Transcoder::new(&settings(VERSION));
    fed(&mut transcoder, [&bytes[..head + 50]]).unwrap();
    assert!(transcoder.tell(&error("gone")));
    let made = payload(transcoder.to_client());
    let before = shown(VERSION, &joined(&[&columns(&types), &DONE])).len() - SHORT_DONE.len();
    let (error, rest) = after_error(&made[before..]);
    assert_eq!((error.number, rest.len()), (50000, 1));
    assert!(holds_nothing(&transcoder));
}

/// A RETURNVALUE of this type, up to its value.
fn output(info: &TypeInfo) -> Vec<u8> {
    let mut out = vec![0xAC, 9, 0, 2, b'@', 0, b'o', 0, 1, 0, 0, 0, 0, 0, 0];
    info.encode(Place::Row, &mut out).unwrap();
    out
}

/// The same as 7.1 has it, all of it.
fn old_output(info: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = [&[2, b'@', 0, b'o', 0, 1, 0, 0, 0, 0][..], info, value].concat();
    let mut out = vec![0xAC];
    out.put_us_varbyte("the rest", &rest).unwrap();
    out
}

#[test]
fn an_output_value_has_its_length_before_it_at_7_1() {
    let collation = [9, 4, 0xD0, 0, 0x34];
    let long = |id, max: u32, collation: &[u8]| [&[id][..], &max.to_le_bytes(), collation].concat();
    let ntext = long(0x63, 0x7FFF_FFFE, &[1, 2, 3, 4, 5]);
    let xml = long(0x63, 0x7FFF_FFFE, &collation);
    let mut date = vec![20, 0];
    date.put_utf16("0001-01-01");
    let nvarchar = [&[0xE7, 20, 0][..], &collation].concat();
    let cases = [
        (
            intn(),
            vec![4, 1, 2, 3, 4],
            vec![0x26, 4],
            vec![4, 1, 2, 3, 4],
        ),
        (intn(), vec![0], vec![0x26, 4], vec![0]),
        (
            nvarchar_max(),
            plp(PLP_UNKNOWN, &[b"a", b"\0"]),
            ntext.clone(),
            text(b"a\0"),
        ),
        (
            nvarchar_max(),
            PLP_NULL.to_le_bytes().to_vec(),
            ntext,
            vec![0],
        ),
        (
            TypeInfo::Xml(None),
            plp(2, &[&[0xFF, 0xFE]]),
            xml,
            text(b""),
        ),
        (TypeInfo::Date, vec![3, 0, 0, 0], nvarchar, date),
        (udt(8), plp(1, &[b"u"]), vec![0xA5, 8, 0], vec![1, 0, b'u']),
    ];
    for (info, sent, shown_info, value) in cases {
        let sent = [&output(&info)[..], &sent].concat();
        let answer = joined(&[&sent, &sent, &DONE]);
        let old = old_output(&shown_info, &value);
        let expected = joined(&[&old, &old, &SHORT_DONE]);
        assert_eq!(shown(VERSION, &answer), expected, "{info:?}");
        assert_eq!(shown(OldVersion::V7_3A, &answer), answer, "{info:?}");
    }
    // The number that a server writes for an unnamed int.
    let unnamed = [
        &[0xAC, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x26, 4, 4][..],
        &[7; 4],
    ]
    .concat();
    let shown = shown(VERSION, &joined(&[&unnamed, &DONE]));
    assert_eq!(shown[..3], [0xAC, 13, 0]);
}

#[test]
fn an_output_value_that_7_1_cannot_say_is_an_error() {
    // What stands before the value's bytes counts, its text pointer included.
    let head = old_output(&[0; 10], &text(b"")).len() - 3;
    for (len, fits) in [
        (65_535 - head, true),
        (65_536 - head, false),
        (300_000, false),
    ] {
        let value = vec![b'v'; len];
        for total in [len as u64, PLP_UNKNOWN] {
            let chunks: Vec<&[u8]> = value.chunks(20_000).collect();
            let answer = joined(&[
                &output(&nvarchar_max()),
                &plp(total, &chunks),
                &output(&intn()),
                &[0],
                &DONE,
            ]);
            let shown = shown(VERSION, &answer);
            assert_eq!(shown[0] == 0xAC, fits, "{len}");
            if fits {
                continue;
            }
            let tail = joined(&[&old_output(&[0x26, 4], &[0]), &{
                let mut failed = SHORT_DONE;
                failed[1] = DoneStatus::ERROR.0 as u8;
                failed
            }]);
            let error = shown.strip_suffix(&tail[..]).expect("the rest");
            let (error, rest) = after_error(error);
            assert!(error.message.contains("output value"), "{}", error.message);
            assert!(rest.is_empty());
        }
    }
}
