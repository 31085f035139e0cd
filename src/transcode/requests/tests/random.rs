//! Calls made up, damaged and cut, and those that were captured.

use proptest::prelude::*;

use super::calls::FIXED;
use super::*;
use crate::tds::{RpcCall, RpcProcedure, TdsVersion, parse_all_headers};

/// A parameter, as the test means it.
#[derive(Clone, Debug)]
struct Param {
    name: String,
    status: u8,
    /// Type and value in 7.1's form.
    old: Vec<u8>,
    /// The type's byte at 7.4, and the value.
    type_id: u8,
    value: Option<Vec<u8>>,
}

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), length)
}

/// Types without a length.
fn fixed() -> impl Strategy<Value = (Vec<u8>, u8, Option<Vec<u8>>)> {
    prop::sample::select(FIXED.to_vec()).prop_flat_map(|(old, new, length)| {
        bytes(length.into())
            .prop_map(move |value| ([&[old], &value[..]].concat(), new, Some(value)))
    })
}

/// A length of one byte: which info, which type at 7.4.
fn byte_len() -> impl Strategy<Value = (Vec<u8>, u8, Option<Vec<u8>>)> {
    let kinds = [
        (vec![0x2F, 255], 0xAF),
        (vec![0x27, 255], 0xA7),
        (vec![0x2D, 255], 0xAD),
        (vec![0x25, 255], 0xA5),
        (vec![0x37, 17, 38, 4], 0x6A),
        (vec![0x3F, 17, 38, 4], 0x6C),
        (vec![0x6C, 17, 38, 4], 0x6C),
        (vec![0x26, 8], 0x26),
        (vec![0x24, 16], 0x24),
    ];
    let value = prop::collection::vec(any::<u8>(), 0..=255);
    (prop::sample::select(kinds.to_vec()), value).prop_map(|((info, new), value)| {
        let length = [value.len() as u8];
        let old = [&info[..], &length, &value].concat();
        (old, new, Some(value).filter(|value| !value.is_empty()))
    })
}

fn longer() -> impl Strategy<Value = (Vec<u8>, u8, Option<Vec<u8>>)> {
    let short = [0xA5, 0xAD, 0xA7, 0xAF, 0xE7, 0xEF].map(|id| (id, 2_usize));
    let long = [0x22, 0x23, 0x63].map(|id| (id, 4));
    let kinds = [&short[..], &long].concat();
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..2000));
    (prop::sample::select(kinds), value).prop_map(|((id, width), value)| {
        let mut old = vec![id];
        old.extend_from_slice(&8000_u32.to_le_bytes()[..width]);
        if ![0xA5, 0xAD, 0x22].contains(&id) {
            old.extend_from_slice(&[1, 2, 3, 4, 5]);
        }
        match &value {
            Some(value) => {
                old.extend_from_slice(&(value.len() as u32).to_le_bytes()[..width]);
                old.extend_from_slice(value);
            }
            None => old.extend_from_slice(&[0xFF; 4][..width]),
        }
        (old, id, value)
    })
}

fn param() -> impl Strategy<Value = Param> {
    let null = Just((vec![0x1F], 0x1F, None));
    let value = prop_oneof![3 => fixed(), 3 => byte_len(), 3 => longer(), 1 => null];
    let name = "[@a-zA-Z_\u{e4}-\u{f6}]{0,12}|[a-z]{127}";
    (name, 0..4_u8, value).prop_map(|(name, status, (old, type_id, value))| Param {
        name,
        status,
        old,
        type_id,
        value,
    })
}

#[derive(Clone, Debug)]
struct Call {
    procedure: RpcProcedure,
    params: Vec<Param>,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let procedure = prop_oneof![
        (0..16_u16).prop_map(RpcProcedure::Id),
        "[a-z.\u{e4}\u{20ac}]{1,60}".prop_map(RpcProcedure::Name),
    ];
    let call = (procedure, prop::collection::vec(param(), 0..5))
        .prop_map(|(procedure, params)| Call { procedure, params });
    prop::collection::vec(call, 1..4)
}

/// As a 7.1 client writes them.
fn encode(calls: &[Call]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        if index > 0 {
            out.push(0x80);
        }
        match &call.procedure {
            RpcProcedure::Id(id) => out.extend_from_slice(&[0xFF, 0xFF, *id as u8, 0]),
            RpcProcedure::Name(name) => {
                let name = utf16(name);
                out.extend_from_slice(&(name.len() as u16 / 2).to_le_bytes());
                out.extend_from_slice(&name);
            }
        }
        out.extend_from_slice(&[0, 0]);
        for param in &call.params {
            let name = utf16(&param.name);
            out.push(u8::try_from(name.len() / 2).unwrap());
            out.extend_from_slice(&name);
            out.push(param.status);
            out.extend_from_slice(&param.old);
        }
    }
    out
}

fn assert_means(read: &[RpcCall], meant: &[Call]) {
    assert_eq!(read.len(), meant.len());
    for (read, meant) in read.iter().zip(meant) {
        assert_eq!(read.procedure, meant.procedure);
        assert_eq!(read.params.len(), meant.params.len());
        for (read, meant) in read.params.iter().zip(&meant.params) {
            assert_eq!(read.name, meant.name);
            assert_eq!(read.by_ref, meant.status & 1 != 0);
            assert_eq!(read.default, meant.status & 2 != 0);
            assert_eq!(read.type_info.id().0, meant.type_id);
            assert_eq!(read.value, meant.value);
        }
    }
}

proptest! {
    #[test]
    fn calls_mean_the_same_to_the_server(
        calls in calls(),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let bytes = message(PacketType::RPC, &encode(&calls));
        let mut at: Vec<usize> = splits.iter().map(|split| split.index(bytes.len())).collect();
        at.sort_unstable();
        let (sent, ended) = sent_by(&mut transcoder(OldVersion::V7_1Rev1), &bytes, &at);
        ended.unwrap();
        let [(PacketType::RPC, payload)] = &messages(&sent)[..] else {
            panic!("one message")
        };
        let (descriptor, content) = parse_all_headers(payload).unwrap();
        assert_eq!(descriptor, 0);
        assert_means(&RpcCall::decode_all(TdsVersion::V7_4, content).unwrap(), &calls);
    }

    #[test]
    fn damaged_calls_do_no_harm(
        calls in calls(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut bytes = message(PacketType::RPC, &encode(&calls));
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut at: Vec<usize> = splits.iter().map(|split| split.index(bytes.len())).collect();
        at.sort_unstable();
        let whole = sent_by(&mut transcoder(OldVersion::V7_1), &bytes, &[]);
        let cut = sent_by(&mut transcoder(OldVersion::V7_1), &bytes, &at);
        assert_eq!(whole.0, cut.0);
        assert_eq!(format!("{:?}", whole.1), format!("{:?}", cut.1));
        packets(&whole.0);
    }
}

#[test]
fn every_split_gives_the_same() {
    let calls = [
        &[2, 0][..],
        &utf16("sp"),
        &[0, 0, 1],
        &utf16("@"),
        &[1, 0x38, 7, 0, 0, 0],
        &[0, 2, 0x27, 9, 2, b'h', b'i'],
        &[0x80, 0xFF, 0xFF, 12, 0, 0, 0],
        &[0, 0, 0xA5, 0xFF, 0xFF, 3, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0],
    ]
    .concat();
    let load = [&[0x81, 1, 0, 0, 0, 8, 0, 0x38, 1, b'a', 0][..], &[0xD1; 40]].concat();
    let all = [
        message(PacketType::RPC, &calls),
        message(PacketType::SQL_BATCH, &utf16("insert bulk t")),
        message(PacketType::BULK_LOAD, &load),
        packet(PacketType::SQL_BATCH, 0, &[7; 600]),
        packet(PacketType::ATTENTION, 1, &[]),
        message(PacketType::TRANSACTION_MANAGER, &[0, 0, 0, 0]),
    ]
    .concat();
    let sent = |splits: &[usize]| {
        let (sent, ended) = sent_by(&mut transcoder(OldVersion::V7_1), &all, splits);
        ended.unwrap();
        sent
    };
    let whole = sent(&[]);
    for split in 1..all.len() {
        assert!(sent(&[split]) == whole, "at {split}");
    }
    let every: Vec<usize> = (1..all.len()).collect();
    assert!(sent(&every) == whole, "byte by byte");
}
