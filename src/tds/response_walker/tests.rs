use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tds::{
    Collation, Column, DoneStatus, PLP_UNKNOWN, Place, Put, TdsVersion, TypeId, TypeInfo, Udt,
    XmlSchema, encode_columns, token_id,
};

type Walked = (Result<(), DecodeError>, Vec<WalkEvent>);

/// Feeds the response in parts of these sizes, then the rest.
fn walk(response: &[u8], sizes: &[usize]) -> Walked {
    let mut walker = ResponseWalker::new();
    let mut events = Vec::new();
    let mut rest = response;
    let mut result = Ok(());
    for &size in sizes.iter().chain([&usize::MAX]) {
        let (part, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        result = result.and_then(|()| walker.feed(part, &mut |event| events.push(event)));
    }
    (result.and_then(|()| walker.finish()), events)
}

/// One of every kind of type, with the lengths that its values may have.
fn types() -> Vec<(TypeInfo, std::ops::Range<usize>)> {
    let collation = Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS);
    let bytes = |id, max| TypeInfo::ByteLen { id, max };
    let short = |id, max, collation| TypeInfo::ShortLen { id, max, collation };
    let time = |id, scale| TypeInfo::Time { id, scale };
    let mut types = vec![
        (TypeInfo::Fixed(TypeId::INT4), 4..5),
        (TypeInfo::Fixed(TypeId::BIT), 1..2),
        (TypeInfo::Fixed(TypeId::DATETIME), 8..9),
        (bytes(TypeId::INTN, 8), 0..9),
        (bytes(TypeId::GUID, 16), 16..17),
        (TypeInfo::Date, 3..4),
        (time(TypeId::DATETIMEOFFSETN, 7), 10..11),
        (short(TypeId::NVARCHAR, 8000, collation), 0..600),
        (short(TypeId::BIGVARBIN, 8000, None), 0..300),
        (short(TypeId::NVARCHAR, TypeInfo::MAX, collation), 0..3000),
        (TypeInfo::Variant { max: 8009 }, 2..40),
        (TypeInfo::Xml(None), 0..100),
        (TypeInfo::Json, 0..100),
    ];
    types.extend(types_with_more_to_say());
    types
}

fn types_with_more_to_say() -> [(TypeInfo, std::ops::Range<usize>); 6] {
    let long = |id, collation| TypeInfo::LongLen {
        id,
        max: 0x7FFF_FFFF,
        collation,
    };
    let decimal = TypeInfo::Decimal {
        id: TypeId::DECIMALN,
        max: 17,
        precision: 38,
        scale: 4,
    };
    let vector = TypeInfo::Vector {
        max: 8000,
        dimension_type: 0,
    };
    let udt = Udt {
        max: 0xFFFF,
        database: "db".into(),
        schema: "sys".into(),
        name: "geometry".into(),
        assembly: "Microsoft.SqlServer.Types".into(),
    };
    let schema = XmlSchema {
        database: "db".into(),
        schema: "dbo".into(),
        collection: "orders".into(),
    };
    let latin1 = Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS);
    [
        (decimal, 5..6),
        (vector, 8..60),
        (long(TypeId::TEXT, latin1), 0..400),
        (long(TypeId::IMAGE, None), 0..400),
        (TypeInfo::Xml(Some(schema)), 0..100),
        (TypeInfo::Udt(udt), 0..100),
    ]
}

/// A result of some columns, with rows of both kinds.
fn result() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let columns = vec(any::<prop::sample::Index>(), 1..20);
    (columns, vec((any::<u64>(), any::<bool>()), 0..12)).prop_map(|(columns, rows)| {
        let types = types();
        let types: Vec<_> = columns.iter().map(|index| index.get(&types)).collect();
        let columns: Vec<Column> = types
            .iter()
            .map(|(type_info, _)| Column {
                table_name: match type_info {
                    TypeInfo::LongLen { .. } => vec!["dbo".into(), "notes".into()],
                    _ => Vec::new(),
                },
                ..Column::new("name", type_info.clone())
            })
            .collect();
        let mut out = vec![token_id::COLMETADATA];
        encode_columns(&columns, &mut out).unwrap();
        for (seed, nbc) in rows {
            put_row(&types, seed, nbc, &mut out);
        }
        (columns.len().try_into().unwrap(), out)
    })
}

fn put_row(types: &[&(TypeInfo, std::ops::Range<usize>)], seed: u64, nbc: bool, out: &mut Vec<u8>) {
    let null = |index: usize| seed >> (index % 64) & 1 != 0;
    if nbc {
        out.put_u8(token_id::NBCROW);
        let mut nulls = vec![0_u8; types.len().div_ceil(8)];
        for index in (0..types.len()).filter(|&index| null(index)) {
            nulls[index / 8] |= 1 << (index % 8);
        }
        out.put_slice(&nulls);
    } else {
        out.put_u8(token_id::ROW);
    }
    for (index, (type_info, lens)) in types.iter().enumerate() {
        let fixed = matches!(type_info, TypeInfo::Fixed(_));
        if nbc && null(index) {
            continue;
        }
        let value = vec![0xFD; lens.start + usize::try_from(seed).unwrap() % lens.len()];
        let value = (fixed || nbc || !null(index)).then_some(&value[..]);
        type_info.write_value(Place::Row, value, out).unwrap();
    }
}

fn done() -> Done {
    Done::new(DoneStatus::FINAL)
}

fn put_done(out: &mut Vec<u8>) {
    done().encode(TdsVersion::V7_4, out);
}

proptest! {
    #[test]
    fn rows_of_every_type_are_skipped(
        results in vec(result(), 1..3),
        sizes in vec(0_usize..700, 0..20),
    ) {
        let mut response = Vec::new();
        let mut expected = Vec::new();
        for (columns, bytes) in results {
            response.extend(bytes);
            put_done(&mut response);
            expected.push(WalkEvent::ColMetadata { columns });
            expected.push(WalkEvent::Done(done()));
        }
        prop_assert_eq!(walk(&response, &[]), (Ok(()), expected.clone()));
        prop_assert_eq!(walk(&response, &sizes), (Ok(()), expected.clone()));
        prop_assert_eq!(walk(&response, &vec![1; response.len()]), (Ok(()), expected));
    }

    /// What is read, and what is wrong, does not depend on the cut either when
    /// the stream is nonsense.
    #[test]
    fn nonsense_is_the_same_nonsense_at_every_cut(
        (_, mut response) in result(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        sizes in vec(0_usize..100, 0..20),
    ) {
        put_done(&mut response);
        for (at, byte) in damage {
            let at = at.index(response.len());
            response[at] = byte;
        }
        let (whole, whole_events) = walk(&response, &[]);
        for sizes in [sizes, vec![1; response.len()]] {
            let (result, events) = walk(&response, &sizes);
            prop_assert_eq!(result.is_err(), whole.is_err());
            prop_assert_eq!(&events, &whole_events);
        }
    }
}

/// COLMETADATA of one column.
fn one_column(type_info: TypeInfo) -> Vec<u8> {
    let mut out = vec![token_id::COLMETADATA];
    encode_columns(&[Column::new("c", type_info)], &mut out).unwrap();
    out
}

fn nvarchar_max() -> Vec<u8> {
    one_column(TypeInfo::ShortLen {
        id: TypeId::NVARCHAR,
        max: TypeInfo::MAX,
        collation: Some(Collation::SQL_LATIN1_GENERAL_CP1_CI_AS),
    })
}

#[test]
fn plp_is_read_by_its_chunks_and_not_by_its_total() {
    for total in [PLP_UNKNOWN, 0, 7, u64::MAX / 2] {
        let mut response = nvarchar_max();
        response.put_u8(token_id::ROW);
        response.put_u64_le(total);
        for chunk in [&[0xD1; 3][..], &[0xFF; 1], &[0xFD; 300]] {
            response.put_l_varbyte("chunk", chunk).unwrap();
        }
        response.put_u32_le(0);
        put_done(&mut response);
        let expected = vec![
            WalkEvent::ColMetadata { columns: 1 },
            WalkEvent::Done(done()),
        ];
        assert_eq!(walk(&response, &[]), (Ok(()), expected.clone()));
        assert_eq!(
            walk(&response, &vec![1; response.len()]),
            (Ok(()), expected)
        );
    }
}

#[test]
fn a_length_that_is_never_reached_holds_nothing() {
    let mut head = nvarchar_max();
    head.put_u8(token_id::ROW);
    head.put_u64_le(PLP_UNKNOWN - 1);
    head.put_u32_le(u32::MAX);
    let mut walker = ResponseWalker::new();
    walker.feed(&head, &mut |_| {}).unwrap();
    for _ in 0..1000 {
        walker.feed(&[0; 1000], &mut |_| {}).unwrap();
    }
    assert!(
        walker.pending.capacity() < 1000,
        "{}",
        walker.pending.capacity()
    );
    assert!(matches!(
        walker.finish(),
        Err(DecodeError::Truncated { .. })
    ));
}

#[test]
fn a_response_without_sense_is_refused() {
    let mut negative = one_column(TypeInfo::Variant { max: 8009 });
    negative.extend_from_slice(&[token_id::ROW, 0xFF, 0xFF, 0xFF, 0xFF]);
    let promotion = [token_id::ENVCHANGE, 1, 0, 15, 0xFF, 0xFF, 0xFF, 0x7F];
    for (response, what) in [
        (&[token_id::ROW, 0][..], "a row without columns"),
        (&[token_id::NBCROW, 0], "a row without columns"),
        (&[0x2A, 0], "an unknown token"),
        (
            &[token_id::COLMETADATA, 1, 0, 0, 0, 0, 0, 0, 0, 0x2C],
            "an unknown type",
        ),
        (
            &[token_id::COLMETADATA, 1, 0, 0, 0, 0, 0, 0, 0, 0x1F, 0],
            "the null type",
        ),
        (
            &[token_id::ERROR, 2, 0, 1, 1],
            "an error that is cut inside",
        ),
        (&negative, "a negative length"),
        (&promotion, "a token of 2 GiB"),
    ] {
        let whole = walk(response, &[]);
        assert!(whole.0.is_err(), "{what}");
        assert!(
            !matches!(
                whole.0,
                Err(DecodeError::Truncated {
                    what: "the response",
                    ..
                })
            ),
            "{what}"
        );
        assert_eq!(walk(response, &vec![1; response.len()]), whole, "{what}");
    }
}

#[test]
fn tokens_between_results_are_passed_or_reported() {
    let mut response = vec![token_id::ORDER, 2, 0, 1, 0];
    response.extend_from_slice(&[token_id::TABNAME, 1, 0, 0xD1]);
    response.extend_from_slice(&[token_id::COLINFO, 3, 0, 1, 1, 8]);
    response.extend_from_slice(&[token_id::SESSIONSTATE, 6, 0, 0, 0, 1, 0, 0, 0, 1, 9]);
    response.extend_from_slice(&[token_id::FEATUREEXTACK, 0x0A, 1, 0, 0, 0, 1, 0xFF]);
    response.extend_from_slice(&[token_id::ENVCHANGE, 3, 0, 18, 0, 0]);
    response.extend_from_slice(&[token_id::RETURNSTATUS, 7, 0, 0, 0]);
    // RETURNVALUE @a int output, and a text one that is NULL.
    response.extend_from_slice(&[token_id::RETURNVALUE, 0, 0, 1, b'a', 0, 1, 0, 0, 0, 0, 0, 0]);
    response.extend_from_slice(&[0x26, 4, 4, 1, 0, 0, 0]);
    response.extend_from_slice(&[token_id::RETURNVALUE, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    response.extend_from_slice(&[0x22, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF]);
    response.extend_from_slice(&[token_id::COLMETADATA, 0xFF, 0xFF]);
    put_done(&mut response);
    let expected = vec![
        WalkEvent::EnvChange(EnvChange::ResetAcknowledged),
        WalkEvent::ReturnStatus(7),
        WalkEvent::ColMetadata { columns: 0 },
        WalkEvent::Done(done()),
    ];
    assert_eq!(walk(&response, &[]), (Ok(()), expected.clone()));
    assert_eq!(
        walk(&response, &vec![1; response.len()]),
        (Ok(()), expected)
    );
}
