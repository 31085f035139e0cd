//! Answers of a 7.4 server as clients of older versions get them.

use super::answer::{self, Done, Tok};
use super::cases::{Case, column, end, large, returned, small};
use super::direct::{SIZES, Sizes, Way, answer, messages, packets, push, transcoder, view};
use super::samples::{filled, short};
use super::types::{MAX, id};
use super::version::Version;
use super::write::{Answer, Pieces};

/// Fails at the first token that is not as expected, which says more than all of both.
pub(super) fn same(what: &str, shown: &[Tok], expected: &[Tok]) {
    for (at, (shown, expected)) in shown.iter().zip(expected).enumerate() {
        if shown != expected {
            let cut = |token: &Tok| format!("{token:?}").chars().take(1500).collect::<String>();
            panic!(
                "{what}: token {at} is\n{}\nnot\n{}",
                cut(shown),
                cut(expected)
            );
        }
    }
    assert_eq!(shown.len(), expected.len(), "{what}: tokens");
}

fn check(case: &Case, version: Version, sizes: Sizes) {
    let original = answer::read(Version::V74, &case.payload).unwrap();
    let expected = view(version).of(&original);
    let what = format!("{} at {version:?}, {sizes:?}", case.name);
    let shown = answer(version, sizes, &case.payload);
    let shown = answer::read(version, &shown).unwrap_or_else(|e| panic!("{what}: {e}"));
    same(&what, &shown, &expected);
}

#[test]
fn what_the_tests_write_they_read_back() {
    for case in small().iter().chain(&large()) {
        let tokens = answer::read(Version::V74, &case.payload);
        let tokens = tokens.unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let again = Answer::new(Pieces::Whole).with(&tokens).bytes;
        assert_eq!(
            answer::read(Version::V74, &again).unwrap(),
            tokens,
            "{}",
            case.name
        );
    }
}

#[test]
fn each_version_sees_what_it_knows() {
    for case in small().iter().chain(&large()) {
        for version in Version::OLD {
            check(case, version, SIZES);
        }
    }
}

#[test]
fn packets_of_unequal_sizes_carry_the_same() {
    let cases = large();
    for (client, server) in [(512, 32_767), (32_767, 512), (4096, 8000), (513, 511 + 2)] {
        let sizes = Sizes {
            client,
            server,
            ..SIZES
        };
        for case in cases.iter().take(2).chain(&small()) {
            check(case, Version::V71r1, sizes);
            check(case, Version::V72, sizes);
        }
    }
}

#[test]
fn the_cuts_of_what_comes_change_nothing() {
    for case in small() {
        for version in Version::OLD {
            let bytes = packets(4, 0, &case.payload, 512);
            let whole = push(&mut transcoder(version, SIZES), Way::ToClient, [&bytes[..]]);
            whole.1.unwrap();
            let single = push(
                &mut transcoder(version, SIZES),
                Way::ToClient,
                bytes.chunks(1),
            );
            assert!(
                single.0 == whole.0,
                "{} at {version:?}, byte by byte",
                case.name
            );
            // Two pieces at each place cost the square: long ones at some places only.
            let step = bytes.len().div_ceil(400);
            for cut in (1..bytes.len()).step_by(step) {
                let (head, tail) = bytes.split_at(cut);
                let (out, end) = push(&mut transcoder(version, SIZES), Way::ToClient, [head, tail]);
                end.unwrap();
                assert!(out == whole.0, "{} at {version:?}, cut at {cut}", case.name);
            }
        }
    }
}

#[test]
fn a_packet_is_passed_on_when_it_has_come() {
    // What a server sends at once, as with RAISERROR ... WITH NOWAIT.
    let ask = answer::read(Version::V74, &small()[0].payload).unwrap();
    let one = Answer::new(Pieces::Whole).with(&ask[..1]).bytes;
    let mut first = packets(4, 0, &one, 4096);
    first[1] = 0;
    for version in Version::OLD {
        let mut transcoder = transcoder(version, SIZES);
        let (out, ok) = push(&mut transcoder, Way::ToClient, [&first[..]]);
        ok.unwrap();
        assert!(!out.is_empty(), "{version:?} waits for the end");
        let last = packets(4, 0, &Answer::new(Pieces::Whole).with(&[end()]).bytes, 4096);
        let (rest, ok) = push(&mut transcoder, Way::ToClient, [&last[..]]);
        ok.unwrap();
        let all = messages(&[out, rest].concat(), 4096).unwrap();
        let shown = answer::read(version, &all[0].payload).unwrap();
        same(
            "at once",
            &shown,
            &view(version).of(&[ask[0].clone(), end()]),
        );
    }
}

#[test]
fn an_output_value_that_is_too_long_for_7_1_is_an_error() {
    let long = (short(id::VARCHAR, MAX), vec![filled(65_600)]);
    let tokens = returned(&[long]);
    let payload = Answer::new(Pieces::Known(999)).with(&tokens).bytes;
    for version in [Version::V71, Version::V71r1] {
        let shown = answer::read(version, &answer(version, SIZES, &payload)).unwrap();
        // After it comes the NULL, which can be said.
        let [
            Tok::Status(5),
            Tok::Message(error),
            Tok::Returned(null),
            Tok::Done(last),
        ] = &shown[..]
        else {
            panic!("{shown:?}")
        };
        assert!(error.is_error && error.class == 16, "{error:?}");
        assert_eq!((&null.value, last.status), (&None, Done::ERROR));
    }
    assert!(answer(Version::V72, SIZES, &payload) == payload);
}

/// A result with one value whose length is said to be `total`, and is another.
fn announced(total: u64, pieces: &[usize]) -> Vec<u8> {
    let columns = Tok::Columns(vec![column("a", short(id::VARCHAR, MAX))]);
    let mut payload = Answer::new(Pieces::Whole).with(&[columns]).bytes;
    payload.push(0xD1);
    payload.extend(total.to_le_bytes());
    for piece in pieces {
        payload.extend(u32::try_from(*piece).unwrap().to_le_bytes());
        payload.extend(filled(*piece));
    }
    payload.extend([0; 4]);
    Answer::new(Pieces::Whole)
        .with(&[end()])
        .bytes
        .iter()
        .for_each(|b| payload.push(*b));
    payload
}

#[test]
fn a_wrong_length_is_never_passed_off_as_a_value() {
    let wrong: [(u64, &[usize]); 6] = [
        (10, &[5]),
        (10, &[5, 6]),
        (0, &[1]),
        (100_000, &[50_000, 49_999]),
        (100_000, &[50_000, 50_001]),
        (1 << 31, &[5]),
    ];
    for (total, pieces) in wrong {
        for version in [Version::V71, Version::V71r1] {
            let bytes = packets(4, 0, &announced(total, pieces), 4096);
            let (out, end) = push(&mut transcoder(version, SIZES), Way::ToClient, [&bytes[..]]);
            // It may be read, if it was held, or be told; it must not be changed.
            let Ok(whole) = messages(&out, 4096) else {
                continue;
            };
            let Ok(tokens) = answer::read(version, &whole[0].payload) else {
                continue;
            };
            let values = tokens.iter().filter_map(|token| match token {
                Tok::Row(values) => Some(values[0].clone()),
                _ => None,
            });
            let value: Vec<u8> = pieces.iter().flat_map(|piece| filled(*piece)).collect();
            for shown in values {
                assert!(
                    shown.as_ref() == Some(&value),
                    "{total}, {pieces:?}: {end:?}"
                );
            }
        }
        // From 7.2 on a length is passed through as it is: nothing depends on it.
        let payload = announced(total, pieces);
        assert!(answer(Version::V73a, SIZES, &payload) == payload);
    }
}

#[test]
fn what_cannot_be_held_is_an_error_in_its_place() {
    let columns = Tok::Columns(vec![
        column("a", INT),
        column("b", short(id::NVARCHAR, MAX)),
    ]);
    let row = |size| Tok::Row(vec![Some(vec![1, 2, 3, 4]), Some(filled(size))]);
    let mut small = vec![columns.clone()];
    small.extend([row(2), row(100_000), row(60_000)]);
    small.push(super::cases::done(0xFD, 0x11, 3));
    small.extend([columns, row(2), super::cases::done(0xFD, 0x10, 1)]);
    let payload = Answer::new(Pieces::Unknown(4000)).with(&small).bytes;
    let sizes = Sizes {
        hold: 70_000,
        ..SIZES
    };
    for version in [Version::V71, Version::V71r1] {
        let shown = answer::read(version, &answer(version, sizes, &payload)).unwrap();
        let expected = view(version).of(&small);
        same("before", &shown[..2], &expected[..2]);
        let [.., error, cut, columns, row, last] = &shown[..] else {
            panic!("{shown:?}")
        };
        let Tok::Message(error) = error else {
            panic!("{error:?}")
        };
        assert!(error.is_error && error.class == 16, "{error:?}");
        let Tok::Done(cut) = cut else {
            panic!("{cut:?}")
        };
        assert_eq!(cut.status, 0x03, "{cut:?}");
        same(
            "after",
            &[columns.clone(), row.clone(), last.clone()],
            &expected[5..],
        );
        // With room for it nothing is lost.
        let shown = answer::read(version, &answer(version, SIZES, &payload)).unwrap();
        same("in full", &shown, &expected);
    }
    // Newer clients take values in pieces.
    assert!(answer(Version::V72, Sizes { hold: 0, ..SIZES }, &payload) == payload);
}

const INT: super::types::Ty = super::types::Ty::Fixed(0x38);

#[test]
fn long_values_pass_in_pieces() {
    // The last byte of 20 MB is not needed for the first.
    let columns = Tok::Columns(vec![column("a", short(id::VARBINARY, MAX))]);
    let row = Tok::Row(vec![Some(filled(20 << 20))]);
    let tokens = [columns, row, end()];
    for version in Version::OLD {
        let payload = Answer::new(Pieces::Known(70_001)).with(&tokens).bytes;
        let bytes = packets(4, 0, &payload, 8000);
        let mut transcoder = transcoder(
            version,
            Sizes {
                server: 8000,
                ..SIZES
            },
        );
        let mut came = 0;
        let mut out = Vec::new();
        for (at, piece) in bytes.chunks(8000).enumerate() {
            let (made, end) = push(&mut transcoder, Way::ToClient, [piece]);
            end.unwrap();
            came += made.len();
            out.extend(made);
            let passed = at * 8000;
            assert!(
                came + 70_000 >= passed,
                "{version:?} holds {came} of {passed} bytes"
            );
        }
        let whole = messages(&out, 4096).unwrap();
        let shown = answer::read(version, &whole[0].payload).unwrap();
        let original = answer::read(Version::V74, &payload).unwrap();
        assert!(shown == view(version).of(&original), "{version:?}");
    }
}
