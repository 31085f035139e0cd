use super::*;

/// VERSION, then one option with this entry.
fn with_option(token: u8, offset: u8, len: u8) -> Vec<u8> {
    let table = [0, 0, 11, 0, 6, token, 0, offset, 0, len, 0xFF];
    [&table[..], &[12, 0, 0x07, 0xD0, 0, 0], b"\x01data"].concat()
}

#[test]
fn the_version_comes_first() {
    let error = Prelogin::decode(&[1, 0, 6, 0, 1, 0xFF, 0]);
    assert!(matches!(error, Err(DecodeError::Invalid { .. })));
    assert!(matches!(
        Prelogin::decode(&[0xFF]),
        Err(DecodeError::Invalid { .. })
    ));
    assert!(matches!(
        Prelogin::decode(&[0, 0]),
        Err(DecodeError::Truncated { .. })
    ));
}

#[test]
fn options_are_found_by_their_offset_and_bounded() {
    let prelogin = Prelogin::decode(&with_option(ENCRYPTION, 17, 1)).unwrap();
    assert_eq!(prelogin.encryption, Encryption::ON);
    assert_eq!(prelogin.version.to_string(), "12.0.2000.0");
    for (offset, len) in [(22, 1), (17, 6), (255, 255)] {
        let outside = with_option(ENCRYPTION, offset, len);
        assert!(Prelogin::decode(&outside).is_err(), "{offset} {len}");
    }
    assert!(Prelogin::decode(&with_option(MARS, 17, 2)).is_err());
}

#[test]
fn unknown_and_empty_options_are_skipped() {
    let plain = Prelogin::decode(&with_option(0x42, 17, 5)).unwrap();
    for token in [THREADID, MARS, TRACEID, NONCEOPT, FEDAUTHREQUIRED] {
        // The offset of an empty option may be anything.
        let empty = Prelogin::decode(&with_option(token, 255, 0)).unwrap();
        assert_eq!(empty, plain);
    }
    assert_eq!(plain.encryption, Encryption::NOT_SUP);
}

#[test]
fn an_answer_holds_what_old_drivers_look_for() {
    let version = Version {
        major: 12,
        minor: 0,
        build: 2000,
        sub_build: 0,
    };
    let mut answer = Vec::new();
    Prelogin::new(version, Encryption::NOT_SUP)
        .encode_answer(&mut answer)
        .unwrap();
    let expected = [
        0, 0, 26, 0, 6, 1, 0, 32, 0, 1, 2, 0, 33, 0, 1, 3, 0, 34, 0, 0, 4, 0, 34, 0, 1, 0xFF, 12,
        0, 0x07, 0xD0, 0, 0, 2, 0, 0,
    ];
    assert_eq!(answer, expected);
}

#[test]
fn encryption_bits_are_masked() {
    let offered = Encryption(Encryption::CLIENT_CERT.0 | Encryption::REQ.0);
    assert!(offered.has_client_cert());
    assert_eq!(offered.level(), Encryption::REQ);
    assert_eq!(format!("{offered}"), "0x83");
}
