use super::*;
use crate::tds::{DecodeError, EncodeError, FeatureId};

fn encoded(login: &Login7) -> Vec<u8> {
    let mut out = Vec::new();
    login.encode(&mut out).unwrap();
    out
}

#[test]
fn scrambling_is_undone() {
    for byte in 0..=u8::MAX {
        assert_eq!(unscramble(scramble(byte)), byte);
    }
    // MS-TDS 2.2.6.4: nibbles swapped, then XOR 0xA5.
    assert_eq!(scramble(b'a'), 0x16 ^ 0xA5);
}

#[test]
fn the_fixed_part_has_the_length_of_its_version() {
    for (version, length) in [(TdsVersion::V7_1_REV1, 86), (TdsVersion::V7_2, 94)] {
        let login = Login7 {
            tds_version: version,
            ..Login7::default()
        };
        assert_eq!(encoded(&login).len(), length);
    }
}

#[test]
fn the_host_name_tells_the_length_and_not_the_version() {
    let old = Login7 {
        tds_version: TdsVersion::V7_1_REV1,
        host_name: "host".into(),
        ..Login7::default()
    };
    let mut bytes = encoded(&old);
    bytes[4..8].copy_from_slice(&TdsVersion::V7_4.0.to_le_bytes());
    let read = Login7::decode(&bytes).unwrap();
    assert_eq!(
        (read.tds_version, read.host_name.as_str()),
        (TdsVersion::V7_4, "host")
    );
}

#[test]
fn what_came_later_cannot_be_said_in_an_old_version() {
    let old = Login7 {
        tds_version: TdsVersion::V7_3B,
        ..Login7::default()
    };
    let features = Login7 {
        features: vec![Feature::new(FeatureId::UTF8_SUPPORT, [1])],
        ..old.clone()
    };
    let new_password = Login7 {
        tds_version: TdsVersion::V7_1,
        change_password: "new".into(),
        ..old
    };
    for login in [features, new_password] {
        let error = login.encode(&mut Vec::new());
        assert!(matches!(error, Err(EncodeError::Unsupported { .. })));
    }
}

#[test]
fn bounds_hold_when_writing() {
    let long = |units: usize| Login7 {
        app_name: "𝄞".repeat(units / 2),
        ..Login7::default()
    };
    assert!(long(128).encode(&mut Vec::new()).is_ok());
    assert_eq!(
        long(130).encode(&mut Vec::new()),
        Err(EncodeError::TooLong {
            what: "the application name",
            len: 130,
            max: 128,
        })
    );

    let room = MAX_LOGIN - FIXED_7_2 - 4 - 5 - 1;
    let token = |len: usize| Login7 {
        features: vec![Feature::new(FeatureId::FEDAUTH, vec![0; len])],
        ..Login7::default()
    };
    let largest = encoded(&token(room));
    assert_eq!(largest.len(), MAX_LOGIN);
    assert!(Login7::decode(&largest).is_ok());
    assert!(token(room + 1).encode(&mut Vec::new()).is_err());
}

#[test]
fn bounds_hold_when_reading() {
    let login = Login7 {
        user_name: "user".into(),
        ..Login7::default()
    };
    let bytes = encoded(&login);
    // Slot of the user name: offset at 40, length at 42.
    let changed = |at: usize, value: u16| {
        let mut bytes = bytes.clone();
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        Login7::decode(&bytes)
    };
    assert!(matches!(
        changed(40, 0xFFFF),
        Err(DecodeError::Invalid { .. })
    ));
    assert!(matches!(changed(42, 5), Err(DecodeError::Invalid { .. })));
    assert!(matches!(changed(42, 129), Err(DecodeError::TooLong { .. })));
    assert!(
        matches!(changed(2, 2), Err(DecodeError::TooLong { .. })),
        "128 KiB"
    );
    assert!(matches!(
        changed(0, 0xFFFF),
        Err(DecodeError::Truncated { .. })
    ));
    for len in 0..bytes.len() {
        assert!(Login7::decode(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn a_feature_list_must_lie_inside_and_end() {
    let login = Login7 {
        features: vec![Feature::new(FeatureId::UTF8_SUPPORT, [1])],
        ..Login7::default()
    };
    let bytes = encoded(&login);
    let mut outside = bytes.clone();
    outside[94..98].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        Login7::decode(&outside),
        Err(DecodeError::Invalid { .. })
    ));
    let mut endless = bytes.clone();
    *endless.last_mut().unwrap() = 0x0A;
    assert!(matches!(
        Login7::decode(&endless),
        Err(DecodeError::Truncated { .. })
    ));
    // Without the flag, the slot means nothing.
    let mut ignored = outside.clone();
    ignored[27] &= !option_flags3::EXTENSION;
    assert_eq!(Login7::decode(&ignored).unwrap().features, []);
    // Before 7.4, the flag means nothing.
    let mut old = outside;
    old[4..8].copy_from_slice(&TdsVersion::V7_2.0.to_le_bytes());
    assert_eq!(Login7::decode(&old).unwrap().features, []);
}
