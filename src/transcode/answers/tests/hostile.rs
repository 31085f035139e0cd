//! Answers that make no sense.

use proptest::prelude::*;

use super::*;

/// Bytes of which many are tokens, types and lengths.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => any::<u8>(),
        3 => 0..4_u8,
        2 => prop::sample::select(vec![
            0x78, 0x79, 0x81, 0x88, 0xA4, 0xA5, 0xA9, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xD1, 0xD2,
            0xD3, 0xE3, 0xE4, 0xED, 0xFD, 0xFE, 0xFF,
        ]),
        2 => prop::sample::select(vec![
            0x26, 0x28, 0x2B, 0x38, 0x62, 0x63, 0xA5, 0xE7, 0xF0, 0xF1, 0x6C,
        ]),
    ];
    prop::collection::vec(byte, 0..300)
}

/// Types, and what may stand in rows of them.
fn tables() -> impl Strategy<Value = Vec<u8>> {
    let types = prop::sample::select(vec![
        intn(),
        TypeInfo::Date,
        TypeInfo::Xml(None),
        TypeInfo::Variant { max: 8009 },
        short(TypeId::NVARCHAR, 30),
        short(TypeId::NVARCHAR, TypeInfo::MAX),
        short(TypeId::BIGVARBIN, TypeInfo::MAX),
        values::udt(8),
    ]);
    let row = prop::sample::select(vec![0xD1, 0xD2]);
    (prop::collection::vec(types, 1..5), row, bytes())
        .prop_map(|(types, row, bytes)| joined(&[&columns(&types), &[row], &bytes]))
}

/// What comes out and how it ends, for bytes cut so.
fn outcome(settings: &Settings, parts: &[&[u8]]) -> (Vec<u8>, Option<String>) {
    let mut transcoder = Transcoder::new(settings);
    let mut made = Vec::new();
    for part in parts {
        let mut part = *part;
        while !part.is_empty() {
            let taken = match transcoder.answers(part) {
                Ok(taken) => taken,
                Err(error) => {
                    made.extend_from_slice(transcoder.to_client());
                    return (made, Some(format!("{error:?}")));
                }
            };
            assert!(taken > 0 && taken <= part.len());
            part = &part[taken..];
            made.extend_from_slice(transcoder.to_client());
            transcoder.sent_to_client();
        }
    }
    (made, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_answer_is_too_strange(
        answer in prop_oneof![bytes(), tables(), tables()],
        version in prop::sample::select(ALL.to_vec()),
        hold_limit in prop::sample::select(vec![0, 1, 10, 1000]),
        data_len in 1..200_usize,
        cut in 1..20_usize,
    ) {
        let settings = Settings { hold_limit, ..settings(version) };
        let bytes = packets(&answer, data_len);
        let (made, end) = outcome(&settings, &[&bytes]);
        let cuts: Vec<&[u8]> = bytes.chunks(cut).collect();
        let (made_of_cuts, end_of_cuts) = outcome(&settings, &cuts);
        prop_assert_eq!(&made, &made_of_cuts);
        prop_assert_eq!(end, end_of_cuts);
        // 64 bytes for one of a bitmap, an ERROR for a row of 9, and packets.
        prop_assert!(made.len() <= 200 * bytes.len() + 2000);
    }
}
