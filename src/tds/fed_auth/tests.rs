use super::*;

#[test]
fn a_token_is_widened_to_utf16() {
    let fed_auth = FedAuth::SecurityToken {
        echo: true,
        token: Secret::new("ab"),
        nonce: None,
    };
    let feature = fed_auth.to_feature().unwrap();
    assert_eq!(feature.data, [0x03, 4, 0, 0, 0, b'a', 0, b'b', 0]);
}

#[test]
fn a_token_that_is_no_text_is_refused() {
    for data in [
        &[0x02, 3, 0, 0, 0, b'a', 0, b'b'][..],
        &[0x02, 2, 0, 0, 0, 0x00, 0xD8],
        &[0x02, 9, 0, 0, 0, b'a', 0],
        &[0x02, 0, 0, 0, 0, 1, 2, 3],
        &[],
    ] {
        let feature = Feature::new(FeatureId::FEDAUTH, data);
        assert!(FedAuth::from_feature(&feature).is_err(), "{data:?}");
    }
}

#[test]
fn a_token_that_no_login_holds_is_refused() {
    let token = FedAuthToken {
        token: Secret::new("x".repeat(70_000)),
        nonce: None,
    };
    assert!(matches!(
        token.encode(&mut Vec::new()),
        Err(EncodeError::TooLong { .. })
    ));
}

#[test]
fn info_is_found_by_its_offsets() {
    // The texts in the other order, with an unknown id between.
    let mut data = vec![3, 0, 0, 0];
    for (id, len, offset) in [(2, 4, 31), (9, 1, 200), (1, 2, 35)] {
        data.put_u8(id);
        data.put_u32_le(len);
        data.put_u32_le(offset);
    }
    data.put_utf16("sp");
    data.put_utf16("u");
    let info = FedAuthInfo::decode(&data).unwrap();
    assert_eq!((info.sts_url.as_str(), info.spn.as_str()), ("u", "sp"));
}

#[test]
fn info_outside_of_its_token_is_refused() {
    for offset in [100, u32::MAX] {
        let mut data = vec![1, 0, 0, 0, 1];
        data.put_u32_le(4);
        data.put_u32_le(offset);
        assert!(matches!(
            FedAuthInfo::decode(&data),
            Err(DecodeError::Invalid { .. })
        ));
    }
    assert!(FedAuthInfo::decode(&[0xFF; 8]).is_err());
}
