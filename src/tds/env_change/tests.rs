use super::*;

fn read(bytes: &[u8]) -> Result<Vec<EnvChange>, DecodeError> {
    EnvChange::decode_all(&mut Reader::new(bytes))
}

/// A route to "a.b", port 11001, as gateways send it.
const ROUTE: [u8; 17] = [
    15, 0, 20, 11, 0, 0, 0xF9, 0x2A, 3, 0, b'a', 0, b'.', 0, b'b', 0, 0,
];

#[test]
fn a_route_is_read() {
    let expected = EnvChange::Routing(Routing {
        protocol: 0,
        port: 11001,
        server: "a.b".into(),
        database: None,
    });
    // With an old value of two bytes, and with none at all.
    let mut whole = ROUTE.to_vec();
    whole[0] = 16;
    whole.push(0);
    assert_eq!(read(&whole), Ok(vec![expected.clone()]));
    let mut short = ROUTE.to_vec();
    short[0] = 14;
    short.pop();
    assert_eq!(read(&short), Ok(vec![expected]));
}

#[test]
fn a_route_to_nowhere_is_refused() {
    let mut bytes = ROUTE.to_vec();
    bytes[0] = 14;
    (bytes[6], bytes[7]) = (0, 0);
    assert!(matches!(read(&bytes), Err(DecodeError::Invalid { .. })));
}

#[test]
fn a_promotion_is_read_past_the_length_that_lies() {
    let bytes = [1, 0, 15, 3, 0, 0, 0, b'd', b't', b'c', 0, 0xFD];
    let mut reader = Reader::new(&bytes);
    let changes = EnvChange::decode_all(&mut reader).unwrap();
    assert_eq!(changes, [EnvChange::Promoted(b"dtc".to_vec())]);
    assert_eq!(reader.rest(), [0xFD]);
}

#[test]
fn one_token_may_hold_several_changes() {
    let mut bytes = vec![14, 0];
    bytes.extend_from_slice(&[18, 0, 0]);
    bytes.extend_from_slice(&[8, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let expected = [EnvChange::ResetAcknowledged, EnvChange::BeginTransaction(1)];
    assert_eq!(read(&bytes).unwrap(), expected);

    bytes.insert(0, 0xE3);
    let tokens = crate::tds::read_tokens(&bytes, crate::tds::TdsVersion::V7_4).unwrap();
    assert_eq!(tokens, expected.map(crate::tds::Token::EnvChange));
}

#[test]
fn a_transaction_is_found_on_either_side() {
    for bytes in [
        [11, 0, 9, 0, 8, 5, 0, 0, 0, 0, 0, 0, 0],
        [11, 0, 9, 8, 5, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(read(&bytes), Ok(vec![EnvChange::CommitTransaction(5)]));
    }
    assert!(read(&[3, 0, 9, 0, 0]).is_err());
}

#[test]
fn a_packet_size_is_a_number() {
    let mut bytes = Vec::new();
    let change = EnvChange::Other {
        env_type: 4,
        data: vec![1, b'x', 0, 0],
    };
    change.encode(&mut bytes).unwrap();
    assert!(matches!(read(&bytes), Err(DecodeError::Invalid { .. })));
}
