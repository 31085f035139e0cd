//! Answers that are very long, and answers that make no sense.

use std::sync::LazyLock;

use entrada::transcode::TranscodeError;
use proptest::prelude::*;

use super::answer::{self, Tok};
use super::cases::{Case, column, end, small};
use super::direct::{SIZES, Sizes, Way, messages, packets, push, transcoder};
use super::samples::{filled, short};
use super::types::{MAX, Ty, id};
use super::version::Version;
use super::write::{Answer, Pieces};

/// The tokens before the value of a row of one column.
fn head(ty: Ty) -> Vec<u8> {
    let columns = Tok::Columns(vec![column("a", ty)]);
    let mut head = Answer::new(Pieces::Whole).with(&[columns]).bytes;
    head.push(0xD1);
    head
}

/// Pushes packets with `total` bytes of `piece` again and again; how many came out.
fn stream(
    version: Version,
    head: &[u8],
    piece: &[u8],
    pieces: usize,
    tail: Option<&[u8]>,
) -> usize {
    let sizes = Sizes {
        server: 32_767,
        client: 8000,
        ..SIZES
    };
    let mut transcoder = transcoder(version, sizes);
    let mut open = |bytes: &[u8], last: bool| {
        let mut packet = packets(4, 0, bytes, 32_767);
        packet[1] = u8::from(last);
        let (out, end) = push(&mut transcoder, Way::ToClient, [&packet[..]]);
        end.unwrap();
        let overhead = out.chunks(8000).count() * 8;
        out.len() - overhead
    };
    let mut came = open(head, false);
    let mut went = head.len();
    for _ in 0..pieces {
        came += open(piece, false);
        went += piece.len();
        // Every packet is passed on before the next is looked at, but for the
        // lengths of its pieces.
        assert!(
            came + 70_000 + went / 1000 >= went,
            "{came} of {went} bytes came"
        );
    }
    came + tail.map_or(0, |tail| open(tail, true))
}

#[test]
fn three_hundred_megabytes_pass_without_being_held() {
    const PIECE: usize = 32_000;
    const PIECES: usize = 300 * 1024 * 1024 / PIECE;
    let total = (PIECE * PIECES) as u64;
    let mut head = head(short(id::VARBINARY, MAX));
    head.extend(total.to_le_bytes());
    let mut piece = u32::try_from(PIECE).unwrap().to_le_bytes().to_vec();
    piece.extend(filled(PIECE));
    let tail = [
        &[0; 4][..],
        &Answer::new(Pieces::Whole).with(&[end()]).bytes,
    ]
    .concat();
    let came = stream(Version::V71r1, &head, &piece, PIECES, Some(&tail));
    // One length of four bytes in the place of all of the pieces'.
    assert!(
        came > PIECE * PIECES && came < PIECE * PIECES + 200,
        "{came}"
    );
    // At 7.2 the value stays in its pieces. A packet that is not full waits for the value's end.
    let came = stream(Version::V72, &head, &piece, PIECES / 10, None);
    let went = head.len() + piece.len() * (PIECES / 10);
    assert!(came <= went && came + 8000 > went, "{came} of {went}");
}

#[test]
fn what_does_not_fit_a_length_of_7_1_is_not_sent() {
    for total in [0x8000_0000, 0xFFFF_FFFF, 1 << 32, u64::MAX - 2] {
        let mut payload = head(short(id::VARCHAR, MAX));
        payload.extend(total.to_le_bytes());
        payload.extend([5, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0, 0]);
        payload.extend(Answer::new(Pieces::Whole).with(&[end()]).bytes);
        let bytes = packets(4, 0, &payload, 4096);
        let (out, end) = push(
            &mut transcoder(Version::V71, SIZES),
            Way::ToClient,
            [&bytes[..]],
        );
        let Ok(whole) = messages(&out, 4096) else {
            assert!(end.is_err());
            continue;
        };
        let shown = answer::read(Version::V71, &whole[0].payload).unwrap();
        assert!(
            !shown.iter().any(|token| matches!(token, Tok::Row(_))),
            "{total:#x}: {shown:?}"
        );
    }
}

#[test]
fn what_makes_no_sense_has_a_name() {
    let int = head(Ty::Byte {
        id: id::INTN,
        max: 4,
    });
    let cases: [(&str, Vec<u8>); 7] = [
        ("an unknown token", vec![0x42]),
        ("a row without columns", vec![0xD1, 0]),
        ("the end in a value", [&int[..], &[4, 1]].concat()),
        ("the end in a token", vec![0xFD, 0]),
        (
            "an unknown type",
            vec![0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0x99, 0],
        ),
        (
            "a message that is too short",
            vec![0xAA, 3, 0, 1, 2, 3, 0xFD],
        ),
        ("json", vec![0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0xF4, 1, b'j', 0]),
    ];
    for (what, payload) in cases {
        for version in Version::OLD {
            let bytes = packets(4, 0, &payload, 4096);
            let (_, end) = push(&mut transcoder(version, SIZES), Way::ToClient, [&bytes[..]]);
            let Err(error) = end else {
                panic!("{what} passes at {version:?}")
            };
            assert!(error.is_servers(), "{what}: {error}");
        }
    }
    let bytes = [0x07, 1, 0, 8, 0, 0, 0, 0];
    let (_, end) = push(
        &mut transcoder(Version::V72, SIZES),
        Way::ToClient,
        [&bytes[..]],
    );
    assert!(
        matches!(end, Err(TranscodeError::NotAnAnswer(_))),
        "{end:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(600)
    })]

    /// Whatever comes ends in an error or in what the client can read, and what
    /// came before is not lost.
    #[test]
    fn a_changed_answer_is_refused_or_said_rightly(
        which in 0_usize..1000,
        version in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        static CASES: LazyLock<Vec<Case>> = LazyLock::new(small);
        let cases = &*CASES;
        let mut payload = cases[which % cases.len()].payload.clone();
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let version = Version::OLD[version];
        let bytes = packets(4, 0, &payload, 4096);
        let (out, end) = push(&mut transcoder(version, SIZES), Way::ToClient, [&bytes[..]]);
        prop_assert!(out.len() < 40 * bytes.len() + 4096);
        // What is right by the strict reading must be right for the client as well.
        if end.is_ok() && answer::read(Version::V74, &payload).is_ok() {
            let whole = messages(&out, 4096).unwrap();
            let shown = answer::read(version, &whole[0].payload);
            prop_assert!(shown.is_ok(), "{:?} of {:02x?}", shown, payload);
        }
    }
}
