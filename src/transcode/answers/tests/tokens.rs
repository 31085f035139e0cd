//! Tokens without columns.

use super::*;
use crate::tds::{DecodeError, Done, DoneKind, DoneStatus, EnvChange, Routing, TdsVersion, Token};

fn encoded(token: &Token, version: TdsVersion) -> Vec<u8> {
    let mut out = Vec::new();
    token.encode(version, &mut out).unwrap();
    out
}

#[test]
fn counts_and_lines_are_shorter_at_7_1() {
    for version in ALL {
        let counted = Token::Done(Done {
            kind: DoneKind::DoneInProc,
            status: DoneStatus::MORE | DoneStatus::COUNT,
            command: 0xC1,
            row_count: 77,
        });
        let tokens = [
            Token::Error(error("no")),
            Token::Info(error("")),
            counted,
            Token::ReturnStatus(-7),
            Token::Order(vec![1, 0, 2, 0]),
            Token::Sspi(vec![9; 300]),
        ];
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for token in &tokens {
            new.extend(encoded(token, TdsVersion::V7_4));
            old.extend(encoded(token, version.tds_version()));
        }
        new.extend(DONE);
        old.extend(done(version));
        assert_eq!(shown(version, &new), old, "{version:?}");
        assert_eq!(new.len() - old.len(), if version.is_7_1() { 12 } else { 0 });
    }
}

#[test]
fn a_count_beyond_31_bits_is_the_greatest_at_7_1() {
    let mut many = DONE;
    many[1] = 0x10;
    many[9] = 1;
    let mut shown_many = SHORT_DONE.to_vec();
    shown_many[1] = 0x10;
    shown_many[5..].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x7F]);
    assert_eq!(shown(OldVersion::V7_1, &many), shown_many);
    assert_eq!(shown(OldVersion::V7_2, &many), many);
}

#[test]
fn a_message_is_not_read_as_text() {
    // A lone surrogate, and something behind the line that no version has.
    let message = [
        &[0xAA, 20, 0, 1, 0, 0, 0, 1, 16][..],
        &[1, 0, 0x00, 0xD8, 0, 0, 5, 0, 0, 0],
        &[0xEE; 4],
    ]
    .concat();
    let expected = [
        &[0xAA, 14, 0, 1, 0, 0, 0, 1, 16][..],
        &[1, 0, 0x00, 0xD8, 0, 0, 5, 0],
    ]
    .concat();
    let whole = joined(&[&message, &DONE]);
    let mut old = shown(OldVersion::V7_1Rev1, &whole);
    old.truncate(expected.len());
    assert_eq!(old, expected);
    assert_eq!(shown(OldVersion::V7_3A, &whole), whole);
}

#[test]
fn what_7_4_alone_says_is_withheld() {
    let withheld = [
        encoded(&Token::SessionState(vec![1; 9]), TdsVersion::V7_4),
        [&[0xEE, 4, 0, 0, 0][..], &[0; 4]].concat(),
        vec![0xAE, 0x0A, 1, 0, 0, 0, 1, 0xFF],
    ]
    .concat();
    for version in ALL {
        let answer = joined(&[&withheld, &[0x79, 1, 0, 0, 0], &withheld, &DONE]);
        let expected = joined(&[&[0x79, 1, 0, 0, 0], done(version)]);
        assert_eq!(shown(version, &answer), expected);
    }
}

fn change(change: &EnvChange) -> Vec<u8> {
    encoded(&Token::EnvChange(change.clone()), TdsVersion::V7_4)
}

#[test]
fn clients_hear_of_the_changes_that_they_know() {
    let all_know = [
        EnvChange::Database {
            new: "b".to_owned(),
            old: "a".to_owned(),
        },
        EnvChange::Language {
            new: "Deutsch".to_owned(),
            old: String::new(),
        },
        EnvChange::Collation {
            new: vec![1, 2, 3, 4, 5],
            old: vec![],
        },
    ];
    let since_7_2 = [
        EnvChange::BeginTransaction(1),
        EnvChange::CommitTransaction(1),
        EnvChange::RollbackTransaction(1),
        EnvChange::Distributed {
            env_type: 17,
            new: None,
            old: Some(1),
        },
        EnvChange::Promoted(vec![3; 700]),
        EnvChange::ResetAcknowledged,
        EnvChange::UserInstance("u".to_owned()),
    ];
    let route = |database: Option<&str>| {
        EnvChange::Routing(Routing {
            protocol: 0,
            port: 1433,
            server: "s".to_owned(),
            database: database.map(str::to_owned),
        })
    };
    let nobody = [
        EnvChange::PacketSize {
            new: 8000,
            old: 4096,
        },
        EnvChange::MirrorPartner("m".to_owned()),
        route(None),
        route(Some("d")),
        EnvChange::Other {
            env_type: 99,
            data: vec![0, 0],
        },
    ];
    let some: Vec<u8> = all_know.iter().flat_map(change).collect();
    let more: Vec<u8> = since_7_2.iter().flat_map(change).collect();
    let none: Vec<u8> = nobody.iter().flat_map(change).collect();
    let answer = joined(&[&none, &some, &more, &none, &DONE]);
    for version in ALL {
        let more: &[u8] = if version.is_7_1() { &[] } else { &more };
        let expected = joined(&[&some, more, done(version)]);
        assert_eq!(shown(version, &answer), expected, "{version:?}");
    }
}

#[test]
fn changes_that_share_a_token_come_apart() {
    let database = [1, 1, b'b', 0, 1, b'a', 0];
    let began = [8, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    let language = [2, 1, b'l', 0, 0];
    let values = [&database[..], &began, &language].concat();
    let token = [&[0xE3, values.len() as u8, 0], &values[..]].concat();
    let kept = [&[0xE3, 12, 0][..], &database, &language].concat();
    let answer = joined(&[&token, &DONE]);
    assert_eq!(shown(OldVersion::V7_2, &answer), answer);
    let expected = joined(&[&kept, &SHORT_DONE]);
    assert_eq!(shown(OldVersion::V7_1Rev1, &answer), expected);
}

#[test]
fn the_transaction_and_the_collation_are_noted() {
    let distributed = |env_type| EnvChange::Distributed {
        env_type,
        new: None,
        old: Some(9),
    };
    let steps = [
        (EnvChange::BeginTransaction(5), 5),
        (EnvChange::CommitTransaction(5), 0),
        (distributed(11), 9),
        (distributed(12), 0),
        (EnvChange::BeginTransaction(6), 6),
        (EnvChange::RollbackTransaction(6), 0),
        (distributed(11), 9),
        (distributed(17), 0),
    ];
    for version in ALL {
        let mut transcoder = Transcoder::new(&settings(version));
        for (step, descriptor) in &steps {
            let answer = packets(&joined(&[&change(step), &DONE]), 100);
            fed(&mut transcoder, [&answer[..]]).unwrap();
            assert_eq!(transcoder.session.descriptor, *descriptor, "{step:?}");
        }
        let collation = EnvChange::Collation {
            new: vec![5, 4, 3, 2, 1],
            old: vec![],
        };
        let answer = packets(&joined(&[&change(&collation), &DONE]), 100);
        fed(&mut transcoder, [&answer[..]]).unwrap();
        assert_eq!(transcoder.session.collation, Collation([5, 4, 3, 2, 1]));
    }
}

#[test]
fn tables_are_one_text_in_the_first_form_of_7_1() {
    let parts = [
        &[0xA4, 16, 0][..],
        &[2, 1, 0, b'd', 0, 2, 0, b't', 0, b'u', 0],
        &[1, 1, 0, b'v', 0],
    ]
    .concat();
    let answer = joined(&[&parts, &DONE]);
    let joined_names = [
        &[0xA4, 14, 0][..],
        &[4, 0, b'd', 0, b'.', 0, b't', 0, b'u', 0],
        &[1, 0, b'v', 0],
    ]
    .concat();
    for version in ALL {
        let expected = match version {
            OldVersion::V7_1 => joined(&[&joined_names, &SHORT_DONE]),
            _ => joined(&[&parts, done(version)]),
        };
        assert_eq!(shown(version, &answer), expected, "{version:?}");
    }
}

#[test]
fn offsets_were_taken_out_of_7_2() {
    let answer = joined(&[&[0x78, 1, 2, 3, 4], &DONE]);
    let kept = joined(&[&[0x78, 1, 2, 3, 4], &SHORT_DONE]);
    assert_eq!(shown(OldVersion::V7_1, &answer), kept);
    assert_eq!(shown(OldVersion::V7_2, &answer), DONE);
}

#[test]
fn what_is_unknown_or_cut_ends_the_session() {
    for version in ALL {
        for token in [0x00, 0xA3, 0xD1, 0xD2, 0xD3] {
            let error = refused(version, &joined(&[&[token, 0, 0], &DONE]));
            assert!(matches!(error, TranscodeError::Answer(_)), "{error:?}");
        }
        let unknown = refused(version, &[0xA3, 0, 0]);
        let expected = DecodeError::UnknownToken { token: 0xA3 };
        assert!(matches!(unknown, TranscodeError::Answer(error) if error == expected));
        for len in 1..DONE.len() {
            let cut = refused(version, &DONE[..len]);
            let cut = matches!(cut, TranscodeError::Answer(DecodeError::Truncated { .. }));
            assert!(cut, "{len}");
        }
    }
}

#[test]
fn an_error_is_a_message_of_its_own_when_none_has_begun() {
    for version in ALL {
        let mut transcoder = Transcoder::new(&settings(version));
        let told = error("gone");
        let told_tokens = joined(&[
            &encoded(&Token::Error(told.clone()), version.tds_version()),
            &encoded(
                &Token::Done(Done::new(DoneStatus::ERROR)),
                version.tds_version(),
            ),
        ]);
        assert!(transcoder.tell(&told));
        let mut reader = MessageReader::new(32767, 1 << 20);
        reader.push(transcoder.to_client());
        assert_eq!(reader.next().unwrap().unwrap().payload, told_tokens);
    }
}

#[test]
fn an_error_is_told_only_where_the_client_can_read_it() {
    let types = [intn()];
    let head = columns(&types);
    let result = joined(&[&head, &row(&types, &[Some(&[1, 2, 3, 4])]).repeat(2)]);
    let bytes = packets(&result, 32000);
    // Nothing yet; within a column; after the columns; within a row; after it.
    let cases = [
        (0, true),
        (2, true),
        (5, false),
        (head.len(), true),
        (head.len() + 2, false),
        (head.len() + 6, true),
    ];
    for version in ALL {
        for (len, possible) in cases {
            let mut transcoder = Transcoder::new(&settings(version));
            fed(&mut transcoder, [&bytes[..HEADER_LEN + len]]).unwrap();
            assert_eq!(transcoder.tell(&error("gone")), possible, "{len}");
            assert_eq!(transcoder.to_client().is_empty(), !possible);
        }
    }
}

/// Python-tds takes a packet that is not full for the end of a token.
#[test]
fn what_the_server_sent_early_goes_on_at_once_but_no_part_of_a_token() {
    let types = [intn()];
    let answer = joined(&[
        &columns(&types),
        &row(&types, &[Some(&[1, 2, 3, 4])]),
        &DONE,
    ]);
    let many = packets(&answer, answer.len() - DONE.len() - 2);
    let first = HEADER_LEN + answer.len() - DONE.len() - 2;
    for version in ALL {
        let mut transcoder = Transcoder::new(&settings(version));
        let made = fed(&mut transcoder, [&many[..first]]).unwrap();
        assert!(made.is_empty(), "{version:?}: {made:?}");

        let mut transcoder = Transcoder::new(&settings(version));
        let whole = packets(&answer, answer.len() - DONE.len());
        let made = fed(&mut transcoder, [&whole[..first + 2]]).unwrap();
        assert!(made.ends_with(&[1, 2, 3, 4]), "{version:?}: {made:?}");
    }
}

#[test]
fn a_login_is_acknowledged_in_the_clients_version_by_the_same_server() {
    let acknowledged = |version: [u8; 4]| {
        let mut name = Vec::new();
        name.put_utf16("Microsoft SQL Server\0\0");
        [
            &[0xAD, 54, 0, 1],
            &version[..],
            &[22],
            &name,
            &[12, 0, 7, 0xD0],
        ]
        .concat()
    };
    let expected = [
        (OldVersion::V7_1, [0x07, 0x01, 0x00, 0x00]),
        (OldVersion::V7_1Rev1, [0x71, 0x00, 0x00, 0x01]),
        (OldVersion::V7_2, [0x72, 0x09, 0x00, 0x02]),
        (OldVersion::V7_3A, [0x73, 0x0A, 0x00, 0x03]),
    ];
    let answer = joined(&[&acknowledged([0x74, 0x00, 0x00, 0x04]), &DONE]);
    for (version, told) in expected {
        let expected = joined(&[&acknowledged(told), done(version)]);
        assert_eq!(shown(version, &answer), expected, "{version:?}");
    }
}
