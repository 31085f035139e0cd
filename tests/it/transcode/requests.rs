//! Requests of old clients as a 7.4 server gets them, byte for byte.

use proptest::prelude::*;

use super::answer::{Env, Tok};
use super::bytes::{put_long_text, utf16};
use super::cases::end;
use super::direct::{SIZES, Sizes, Way, Whole, messages, packets, push, transcoder};
use super::samples::{LATIN1, OTHER, filled, long, short};
use super::types::{Ty, fixed_length, id};
use super::version::Version;
use super::write::{Answer, Param, Pieces, Procedure, batch, bulk, calls, headers};

const BATCH: u8 = 1;
const RPC: u8 = 3;
const BULK: u8 = 7;
const MANAGER: u8 = 14;

const OLDEST: [Version; 2] = [Version::V71, Version::V71r1];

/// A request as the client sends it and as the server must get it.
pub(super) struct Request {
    name: &'static str,
    kind: u8,
    sent: Vec<u8>,
    got: Vec<u8>,
}

/// What a 7.1 client can send.
pub(super) fn requests(descriptor: u64) -> Vec<Request> {
    let mut all = vec![
        batch_of("a batch", descriptor, "SELECT 1"),
        batch_of("an empty batch", descriptor, ""),
        batch_of("a long batch", descriptor, &"SELECT '\u{e4}' ".repeat(5000)),
    ];
    let request = |name, list: &[(Procedure, Vec<Param>)]| {
        let new: Vec<_> = list
            .iter()
            .map(|(procedure, params)| (procedure.clone(), params.iter().map(renewed).collect()))
            .collect();
        Request {
            name,
            kind: RPC,
            sent: calls(Version::V71, 0, list),
            got: calls(Version::V74, descriptor, &new),
        }
    };
    let named = |name: &str| Procedure::Name(name.to_owned());
    all.push(request(
        "a call without parameters",
        &[(named("sp_who"), vec![])],
    ));
    all.push(request(
        "a call with every type",
        &[(Procedure::Id(10), every_param())],
    ));
    for param in every_param() {
        let list = vec![
            (named("dbo.p"), vec![param.clone()]),
            (named("q"), vec![param]),
        ];
        all.push(request("one parameter, two calls", &list));
    }
    let call = || (Procedure::Id(12), vec![int(1), int(2)]);
    all.push(request(
        "several calls",
        &[call(), call(), (named("x"), vec![]), call()],
    ));
    let mut trailing = request("a separator after the last call", &[call()]);
    trailing.sent.push(0x80);
    trailing.got.push(0xFF);
    all.push(trailing);
    let mut manager = vec![0, 0, 0, 0];
    all.push(prefixed(
        "the address of the DTC",
        MANAGER,
        descriptor,
        &manager,
    ));
    manager = [&[1, 0, 5, 0], &filled(5)[..]].concat();
    all.push(prefixed(
        "a propagated transaction",
        MANAGER,
        descriptor,
        &manager,
    ));
    all
}

fn prefixed(name: &'static str, kind: u8, descriptor: u64, sent: &[u8]) -> Request {
    let got = [&headers(Version::V74, descriptor), sent].concat();
    Request {
        name,
        kind,
        sent: sent.to_vec(),
        got,
    }
}

fn batch_of(name: &'static str, descriptor: u64, sql: &str) -> Request {
    prefixed(name, BATCH, descriptor, &batch(Version::V71, 0, sql))
}

fn param(name: &str, ty: Ty, value: Option<Vec<u8>>) -> Param {
    Param {
        name: name.to_owned(),
        output: name.len().is_multiple_of(2),
        ty,
        value,
    }
}

fn int(value: i32) -> Param {
    let ty = Ty::Byte {
        id: id::INTN,
        max: 4,
    };
    param("", ty, Some(value.to_le_bytes().into()))
}

/// Parameters of each type that a 7.1 client has, with and without a value.
pub(super) fn every_param() -> Vec<Param> {
    let mut all = Vec::new();
    for id in [
        0x30, 0x32, 0x34, 0x38, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x7A, 0x7F,
    ] {
        let size = fixed_length(id).unwrap();
        all.push(param("@f", Ty::Fixed(id), Some(filled(size))));
    }
    let mut both = |ty: Ty, value: Vec<u8>| {
        all.push(param("@v", ty.clone(), Some(value)));
        all.push(param("@nul", ty, None));
    };
    for (id, max) in [
        (id::GUID, 16),
        (id::INTN, 1),
        (id::INTN, 8),
        (id::BITN, 1),
        (id::FLTN, 4),
        (id::FLTN, 8),
        (id::MONEYN, 4),
        (id::MONEYN, 8),
        (id::DATETIMN, 4),
        (id::DATETIMN, 8),
    ] {
        both(Ty::Byte { id, max }, filled(max.into()));
    }
    for id in [id::DECIMALN, id::NUMERICN] {
        let number = [&[1], &filled(16)[..]].concat();
        both(decimal(id), number);
    }
    for id in [
        id::OLD_CHAR,
        id::OLD_VARCHAR,
        id::OLD_BINARY,
        id::OLD_VARBINARY,
    ] {
        both(Ty::Byte { id, max: 255 }, filled(255));
        both(Ty::Byte { id, max: 30 }, filled(1));
    }
    for id in [
        id::VARCHAR,
        id::CHAR,
        id::NVARCHAR,
        id::NCHAR,
        id::VARBINARY,
        id::BINARY,
    ] {
        both(short(id, 8000), filled(8000));
        both(short(id, 8000), Vec::new());
    }
    for id in [id::TEXT, id::NTEXT, id::IMAGE] {
        both(long(id), filled(70_000));
        both(long(id), Vec::new());
    }
    let variant = [&[0x38, 0][..], &filled(4)].concat();
    both(Ty::Variant { max: 8009 }, variant);
    all
}

fn decimal(id: u8) -> Ty {
    Ty::Decimal {
        id,
        max: 17,
        precision: 38,
        scale: 4,
    }
}

/// The parameter in types that servers since 2005 take.
pub(super) fn renewed(param: &Param) -> Param {
    let ty = match &param.ty {
        Ty::Fixed(id) => {
            let new = match id {
                0x32 => id::BITN,
                0x30 | 0x34 | 0x38 | 0x7F => id::INTN,
                0x3B | 0x3E => id::FLTN,
                0x3C | 0x7A => id::MONEYN,
                _ => id::DATETIMN,
            };
            let max = u8::try_from(fixed_length(*id).unwrap()).unwrap();
            Ty::Byte { id: new, max }
        }
        Ty::Byte { id, max } => {
            let (id, text) = match *id {
                id::OLD_CHAR => (id::CHAR, true),
                id::OLD_VARCHAR => (id::VARCHAR, true),
                id::OLD_BINARY => (id::BINARY, false),
                id::OLD_VARBINARY => (id::VARBINARY, false),
                _ => return param.clone(),
            };
            // The collation of the session: such types have none of their own.
            Ty::Short {
                id,
                max: (*max).into(),
                collation: text.then_some(LATIN1),
            }
        }
        _ => return param.clone(),
    };
    Param {
        ty,
        ..param.clone()
    }
}

fn through(version: Version, sizes: Sizes, bytes: &[u8]) -> Vec<Whole> {
    let (out, end) = push(&mut transcoder(version, sizes), Way::ToServer, [bytes]);
    end.unwrap_or_else(|e| panic!("{version:?}: {e:?}"));
    messages(&out, sizes.server).unwrap()
}

/// Every packet but the last must be full, or a server since 7.3 hangs up.
fn full_but_the_last(message: &Whole, size: usize) {
    let (last, full) = message.lengths.split_last().unwrap();
    assert!(
        full.iter().all(|length| *length == size),
        "{:?}",
        message.lengths
    );
    let expected = message.payload.len() - full.len() * (size - 8) + 8;
    assert_eq!(*last, expected);
}

#[test]
fn a_request_of_7_1_becomes_one_of_7_4() {
    for (client, server) in [(4096, 4096), (512, 32_767), (32_767, 512), (8000, 4096)] {
        let sizes = Sizes {
            client,
            server,
            ..SIZES
        };
        for version in OLDEST {
            for request in requests(0) {
                let what = format!("{} at {version:?}, {sizes:?}", request.name);
                let bytes = packets(request.kind, 0, &request.sent, client);
                let got = through(version, sizes, &bytes);
                assert_eq!(got.len(), 1, "{what}");
                assert_eq!(got[0].kind, request.kind, "{what}");
                let same = got[0].payload == request.got;
                assert!(
                    same,
                    "{what}:\n{:02x?}\nnot\n{:02x?}",
                    start(&got[0].payload),
                    start(&request.got)
                );
                full_but_the_last(&got[0], server);
            }
        }
    }
}

fn start(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(400)]
}

#[test]
fn requests_of_7_2_and_7_3_pass_as_they_are() {
    for version in [Version::V72, Version::V73a] {
        for (client, server) in [(4096, 4096), (512, 8000), (8000, 512)] {
            let sizes = Sizes {
                client,
                server,
                ..SIZES
            };
            for kind in [BATCH, RPC, BULK, MANAGER] {
                for length in [22, 504, 505, 4088, 100_000] {
                    let payload = [&headers(version, 7), &filled(length)[..]].concat();
                    let got = through(version, sizes, &packets(kind, 0x08, &payload, client));
                    assert_eq!((got[0].kind, got.len()), (kind, 1));
                    assert!(got[0].payload == payload, "{version:?}: {kind}, {length}");
                    full_but_the_last(&got[0], server);
                }
            }
        }
    }
}

#[test]
fn resets_stand_on_the_first_packet_and_ends_on_the_last() {
    let text = "SELECT 1 ".repeat(1000);
    for version in Version::OLD {
        let payload = batch(version, 0, &text);
        for (client, server) in [(512, 4096), (4096, 512)] {
            let sizes = Sizes {
                client,
                server,
                ..SIZES
            };
            for status in [0x08, 0x10, 0x08 | 0x02, 0x02, 0] {
                let bytes = packets(BATCH, status, &payload, client);
                let got = through(version, sizes, &bytes).remove(0).statuses;
                let (last, rest) = got.split_last().unwrap();
                assert_eq!(rest[0] & 0x18, status & 0x18, "{version:?}, {status:#x}");
                assert!(rest[1..].iter().all(|s| s & 0x1B == 0), "{got:?}");
                assert_eq!(
                    (last & 0x18, last & 1, last & 2),
                    (0, 1, status & 2),
                    "{got:?}"
                );
                assert_eq!(rest[0] & 3, 0, "{got:?}");
            }
        }
    }
}

#[test]
fn the_cuts_of_what_comes_change_nothing() {
    let sizes = Sizes {
        client: 512,
        server: 700,
        ..SIZES
    };
    for request in requests(0) {
        let bytes = packets(request.kind, 0x08, &request.sent, sizes.client);
        let pushed = |pieces: Vec<&[u8]>| {
            let (out, end) = push(
                &mut transcoder(Version::V71r1, sizes),
                Way::ToServer,
                pieces,
            );
            end.unwrap();
            out
        };
        let whole = pushed(vec![&bytes]);
        assert!(
            pushed(bytes.chunks(1).collect()) == whole,
            "{}, byte by byte",
            request.name
        );
        let step = bytes.len().div_ceil(300);
        for cut in (1..bytes.len()).step_by(step) {
            let (head, tail) = bytes.split_at(cut);
            assert!(
                pushed(vec![head, tail]) == whole,
                "{} cut at {cut}",
                request.name
            );
        }
    }
}

#[test]
fn an_attention_passes_by_itself() {
    let attention = [6, 1, 0, 8, 0, 0, 0, 0];
    for version in Version::OLD {
        let got = through(version, SIZES, &attention);
        assert_eq!(
            (got.len(), got[0].kind, &got[0].lengths[..]),
            (1, 6, &[8][..])
        );
    }
}

#[test]
fn what_is_taken_back_may_be_cut_anywhere() {
    for request in requests(0)
        .into_iter()
        .filter(|request| request.kind != MANAGER)
    {
        for cut in (0..request.sent.len()).step_by(request.sent.len().div_ceil(60).max(1)) {
            let bytes = packets(request.kind, 0x02, &request.sent[..cut], 4096);
            let next = packets(BATCH, 0, &batch(Version::V71, 0, "SELECT 2"), 4096);
            let got = through(Version::V71r1, SIZES, &[bytes, next].concat());
            let last = got.last().unwrap();
            let expected = batch(Version::V74, 0, "SELECT 2");
            assert!(last.payload == expected, "{} cut at {cut}", request.name);
            if got.len() == 2 {
                assert_eq!(got[0].statuses.last().unwrap() & 3, 3);
            }
        }
    }
}

fn change(kind: u8, new: &[u8], old: &[u8]) -> Vec<u8> {
    let env = Tok::Env(vec![Env {
        kind,
        new: new.into(),
        old: old.into(),
    }]);
    packets(
        4,
        0,
        &Answer::new(Pieces::Whole).with(&[env, end()]).bytes,
        4096,
    )
}

#[test]
fn the_descriptor_is_the_servers_latest() {
    let (one, two) = (0x0102_0304_0506_0708_u64, 0xFFFF_FFFF_FFFF_FFFE_u64);
    let (one_bytes, two_bytes) = (one.to_le_bytes(), two.to_le_bytes());
    let steps = [
        (change(8, &one_bytes, &[]), one),
        (change(1, b"shop", b"master"), one),
        (change(9, &[], &one_bytes), 0),
        (change(8, &two_bytes, &[]), two),
        (change(10, &[], &two_bytes), 0),
        (change(11, &one_bytes, &[]), one),
        (change(12, &[], &one_bytes), 0),
        (change(8, &one_bytes, &[]), one),
        (change(17, &[], &one_bytes), 0),
        (change(8, &two_bytes, &[]), two),
        (change(17, &two_bytes, &[]), 0),
        (change(8, &one_bytes, &[]), one),
    ];
    for version in OLDEST {
        let mut transcoder = transcoder(version, SIZES);
        let ask = |transcoder: &mut _, status| {
            let sent = packets(BATCH, status, &batch(version, 0, "x"), 4096);
            let (out, end) = push(transcoder, Way::ToServer, [&sent[..]]);
            end.unwrap();
            messages(&out, 4096).unwrap().remove(0).payload
        };
        assert_eq!(ask(&mut transcoder, 0), batch(Version::V74, 0, "x"));
        for (answer, descriptor) in &steps {
            push(&mut transcoder, Way::ToClient, [&answer[..]])
                .1
                .unwrap();
            assert_eq!(
                ask(&mut transcoder, 0),
                batch(Version::V74, *descriptor, "x")
            );
        }
        // A reset ends the transaction, unless it is to stay.
        assert_eq!(ask(&mut transcoder, 0x10), batch(Version::V74, one, "x"));
        assert_eq!(ask(&mut transcoder, 0x08), batch(Version::V74, 0, "x"));
        assert_eq!(ask(&mut transcoder, 0), batch(Version::V74, 0, "x"));
    }
}

#[test]
fn bulk_rows_follow_their_statement() {
    let columns = [
        (
            "id".to_owned(),
            Ty::Byte {
                id: id::INTN,
                max: 4,
            },
        ),
        (
            "text".to_owned(),
            Ty::Long {
                id: id::NTEXT,
                max: 0x7FFF_FFFE,
                collation: Some(OTHER),
            },
        ),
        (
            "old".to_owned(),
            Ty::Byte {
                id: id::OLD_VARCHAR,
                max: 20,
            },
        ),
        ("n".to_owned(), short(id::NVARCHAR, 40)),
    ];
    let row = |size| vec![Some(filled(4)), Some(filled(size)), Some(filled(3)), None];
    let rows: Vec<_> = [0, 2, 100_000].into_iter().map(row).collect();
    let statement = "  insert /* x */ bulk t(id int, text ntext, old varchar(20), n nvarchar(20))";
    for done in [&[][..], &[0xFD, 0, 0, 0, 0, 0, 0, 0, 0]] {
        for version in OLDEST {
            let ask = packets(BATCH, 0, &batch(version, 0, statement), 4096);
            let load = [&bulk(version, &columns, &rows)[..], done].concat();
            let bytes = [ask, packets(BULK, 0, &load, 4096)].concat();
            let got = through(
                version,
                Sizes {
                    server: 1000,
                    ..SIZES
                },
                &bytes,
            );
            assert_eq!(got.len(), 2);
            assert_eq!(got[1].kind, BULK);
            full_but_the_last(&got[1], 1000);
            bulk_is(&got[1].payload, &columns, &rows, done);
        }
    }
}

/// The old type may stand for itself in a bulk load or be the new one: then its
/// values are, too.
fn bulk_is(got: &[u8], columns: &[(String, Ty)], rows: &[Vec<Option<Vec<u8>>>], done: &[u8]) {
    let expected = [&bulk(Version::V74, columns, rows)[..], done].concat();
    assert!(
        got == expected,
        "{:02x?}\nnot\n{:02x?}",
        start(got),
        start(&expected)
    );
}

#[test]
fn the_data_of_a_written_text_are_not_columns() {
    for statement in ["WRITETEXT BULK t.c 0x00", "updatetext bulk t.c 0x00 0 0"] {
        for first in [0x81, 0, 0xD1] {
            let load = [&[100, 0, 0, 0, first][..], &filled(99)].concat();
            let ask = packets(BATCH, 0, &batch(Version::V71r1, 0, statement), 4096);
            let bytes = [ask, packets(BULK, 0, &load, 4096)].concat();
            let got = through(Version::V71r1, SIZES, &bytes);
            assert_eq!(got[1].payload, load, "{statement}");
        }
    }
}

#[test]
fn a_name_of_a_procedure_may_be_long() {
    let mut sent = Vec::new();
    put_long_text(&"p".repeat(523), &mut sent);
    sent.extend([0, 0]);
    let got = through(Version::V71r1, SIZES, &packets(RPC, 0, &sent, 4096));
    assert!(got[0].payload.ends_with(&utf16("p")) || got[0].payload.ends_with(&[0, 0]));
    assert_eq!(got[0].payload.len(), sent.len() + 22);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    })]

    /// Whatever comes ends in packets or in an error with a name, at once.
    #[test]
    fn what_makes_no_sense_is_an_error(
        which in 0_usize..40,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let all = requests(0);
        let request = &all[which % all.len()];
        let mut sent = request.sent.clone();
        if !sent.is_empty() {
            let at = at.index(sent.len().min(300));
            sent[at] = byte;
            sent.truncate(1 + cut.index(sent.len()));
        }
        let bytes = packets(request.kind, 0, &sent, 4096);
        let (out, end) = push(&mut transcoder(Version::V71r1, SIZES), Way::ToServer, [&bytes[..]]);
        if end.is_ok() {
            prop_assert_eq!(messages(&out, 4096).unwrap().len(), 1);
        }
    }
}
