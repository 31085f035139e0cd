use std::fs;
use std::path::Path;

use tokio::time::Instant;

use super::*;
use crate::tds::{
    DecodeError, Encryption, EnvChange, Feature, FeatureId, LoginAck, Routing, option_flags3,
    read_tokens,
};

const VERSION: Version = Version {
    major: 12,
    minor: 0,
    build: 2000,
    sub_build: 8,
};

/// What a server of Azure's kind said at a login.
fn login_info() -> LoginInfo {
    let message = |number, text| ServerMessage::new(number, 2, 10, text);
    LoginInfo {
        tds_version: TdsVersion::V7_4,
        packet_size: 8000,
        database: "app".to_owned(),
        language: "us_english".to_owned(),
        collation: vec![9, 4, 208, 0, 52],
        spid: 0x1234,
        ack: LoginAck {
            interface: 1,
            tds_version: TdsVersion::V7_4,
            program_name: LoginAck::PROGRAM_NAME.to_owned(),
            version: [12, 0, 7, 208],
        },
        env_changes: vec![
            EnvChange::Database {
                new: "app".to_owned(),
                old: "master".to_owned(),
            },
            EnvChange::Collation {
                new: vec![9, 4, 208, 0, 52],
                old: Vec::new(),
            },
            EnvChange::Language {
                new: "us_english".to_owned(),
                old: String::new(),
            },
            EnvChange::PacketSize {
                new: 8000,
                old: 4096,
            },
            EnvChange::MirrorPartner("partner".to_owned()),
            EnvChange::Routing(Routing {
                protocol: 0,
                port: 11001,
                server: "worker".to_owned(),
                database: None,
            }),
        ],
        infos: vec![
            message(5701, "Changed database context to 'app'."),
            message(5703, "Changed language setting to us_english."),
        ],
        features: vec![
            Feature::new(FeatureId::FEDAUTH, []),
            Feature::new(FeatureId::UTF8_SUPPORT, [1]),
            Feature::new(FeatureId::AZURESQLDNSCACHING, [0]),
            Feature::new(FeatureId::GLOBALTRANSACTIONS, [1]),
        ],
        server: "app.database.windows.net".to_owned(),
        endpoint: "10.0.0.4:11001".to_owned(),
        server_version: VERSION,
        encrypted: true,
        token_expires: None,
        identity: "managed identity".to_owned(),
        opened: Instant::now(),
        redirects: 1,
    }
}

/// PRELOGIN and LOGIN7 as a client would send them.
fn client_login(login: &Login7) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut payload = Vec::new();
    let mut prelogin = Prelogin::new(Version::default(), Encryption::OFF);
    prelogin.fed_auth_required = Some(1);
    prelogin.encode(&mut payload).unwrap();
    let message = |packet_type, payload: &[u8], bytes: &mut Vec<u8>| {
        write_message(packet_type, PacketStatus::NORMAL, payload, 4096, bytes);
    };
    message(PacketType::PRELOGIN, &payload, &mut bytes);
    message(PacketType::LOGIN7, &encoded(login), &mut bytes);
    bytes
}

fn encoded(login: &Login7) -> Vec<u8> {
    let mut payload = Vec::new();
    login.encode(&mut payload).unwrap();
    payload
}

fn login(version: TdsVersion) -> Login7 {
    Login7 {
        tds_version: version,
        ..Login7::default()
    }
}

/// Runs a whole login and returns what the front sent, a message each.
fn answers(client: &[u8], info: &LoginInfo) -> Vec<Message> {
    let mut front = Front::new(VERSION);
    let asked = front.receive(client).unwrap();
    assert!(matches!(asked, Some(Event::LoginRequested(_))));
    front.accept(info, info.packet_size).unwrap();
    messages(&front.take_output())
}

fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut reader = MessageReader::new(MAX_PACKET_SIZE, MAX_LOGIN);
    reader.push(bytes);
    let mut messages = Vec::new();
    while let Some(message) = reader.next().unwrap() {
        messages.push(message);
    }
    assert_eq!(reader.buffered(), 0, "the front sent half a packet");
    messages
}

/// The tokens of the answer to LOGIN7.
fn login_tokens(client: &[u8], info: &LoginInfo, version: TdsVersion) -> Vec<Token> {
    let answer = answers(client, info).pop().unwrap();
    read_tokens(&answer.payload, version).unwrap()
}

/// Every captured client's bytes up to the end of its LOGIN7, by file name.
fn captured_logins() -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
    let mut logins = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "jsonl") {
            continue;
        }
        let mut client = Vec::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let chunk: serde_json::Value = serde_json::from_str(line).unwrap();
            if chunk["dir"] == "c2s" {
                client.extend(unhex(chunk["hex"].as_str().unwrap()));
            }
        }
        let mut reader = MessageReader::new(MAX_PACKET_SIZE, 1 << 20);
        reader.push(&client);
        while let Some(message) = reader.next().unwrap() {
            if message.packet_type == PacketType::LOGIN7 {
                break;
            }
        }
        client.truncate(client.len() - reader.buffered());
        logins.push((
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            client,
        ));
    }
    assert!(logins.len() > 30, "the captures were not found");
    logins
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn every_split_of_a_captured_login_gets_the_same_answer() {
    let info = login_info();
    for (name, client) in captured_logins() {
        let whole = answers(&client, &info);
        for at in 0..=client.len() {
            let mut front = Front::new(VERSION);
            let mut sent = Vec::new();
            let (first, second) = client.split_at(at);
            for part in [first, second] {
                if front.receive(part).unwrap().is_some() {
                    front.accept(&info, info.packet_size).unwrap();
                }
                sent.extend(front.take_output());
            }
            assert_eq!(front.state(), State::LoggedIn, "{name} split at {at}");
            assert_eq!(messages(&sent), whole, "{name} split at {at}");
        }
    }
}

#[test]
fn a_captured_login_may_come_byte_by_byte() {
    let info = login_info();
    for (name, client) in captured_logins() {
        let mut front = Front::new(VERSION);
        let mut sent = Vec::new();
        for byte in client.chunks(1) {
            if front.receive(byte).unwrap().is_some() {
                front.accept(&info, info.packet_size).unwrap();
            }
            sent.extend(front.take_output());
        }
        assert_eq!(messages(&sent), answers(&client, &info), "{name}");
    }
}

#[test]
fn captured_clients_are_answered_in_their_own_version() {
    for (name, client) in captured_logins() {
        let mut front = Front::new(VERSION);
        let Some(Event::LoginRequested(asked)) = front.receive(&client).unwrap() else {
            panic!("{name} asked for nothing");
        };
        let tokens = login_tokens(&client, &login_info(), asked.tds_version);
        let ack = tokens.iter().find_map(|token| match token {
            Token::LoginAck(ack) => Some(ack),
            _ => None,
        });
        assert_eq!(ack.unwrap().tds_version, asked.tds_version, "{name}");
        assert!(matches!(tokens.last(), Some(Token::Done(done)) if done.is_final()));
    }
}

#[test]
fn the_prelogin_answer_pleases_the_pickiest_readers() {
    let answer = answers(&client_login(&login(TdsVersion::V7_4)), &login_info()).remove(0);
    assert_eq!(answer.packet_type, PacketType::TABULAR_RESULT);
    #[rustfmt::skip]
    let expected = [
        0, 0, 31, 0, 6,     // VERSION first
        1, 0, 37, 0, 1,     // ENCRYPTION second: jTDS reads by position
        2, 0, 38, 0, 1,     // INSTOPT
        3, 0, 39, 0, 0,     // THREADID, empty: tiberius takes 0 or 4 bytes
        4, 0, 39, 0, 1,     // MARS: FreeTDS falls back to 7.1 without it
        6, 0, 40, 0, 1,     // FEDAUTHREQUIRED, since this client sent it
        0xFF,
        12, 0, 7, 208, 8, 0, 2, 0, 0, 0,
    ];
    assert_eq!(answer.payload, expected);
}

#[test]
fn fed_auth_required_is_answered_only_to_those_who_sent_it() {
    let mut front = Front::new(VERSION);
    let mut payload = Vec::new();
    Prelogin::new(Version::default(), Encryption::NOT_SUP)
        .encode(&mut payload)
        .unwrap();
    let mut bytes = Vec::new();
    write_message(
        PacketType::PRELOGIN,
        PacketStatus::NORMAL,
        &payload,
        4096,
        &mut bytes,
    );
    front.receive(&bytes).unwrap();
    let answer = messages(&front.take_output()).remove(0);
    let answer = Prelogin::decode(&answer.payload).unwrap();
    assert_eq!(answer.fed_auth_required, None);
    assert_eq!(answer.encryption, Encryption::NOT_SUP);
}

#[test]
fn jtds_is_encrypted_whole_if_it_asks_for_tls() {
    // As jTDS 1.3.1 sends it with `ssl=request`.
    let jtds = "1201002900000100000015000601001b000102001c000103001d0004ff\
                080001550000000001020000";
    let mut another = unhex(jtds);
    let thread = another.len() - 4;
    another[thread] = 2;
    for (prelogin, offer, answer, cover) in [
        (
            unhex(jtds),
            Offer::Optional,
            Encryption::REQ,
            Some(Cover::Whole),
        ),
        (
            unhex(jtds),
            Offer::Required,
            Encryption::REQ,
            Some(Cover::Whole),
        ),
        (unhex(jtds), Offer::None, Encryption::NOT_SUP, None),
        (
            another,
            Offer::Optional,
            Encryption::OFF,
            Some(Cover::LoginOnly),
        ),
    ] {
        let mut front = Front::offering(VERSION, offer);
        let follows = match front.receive(&prelogin).unwrap() {
            Some(Event::StartTls(cover)) => Some(cover),
            Some(event) => panic!("{event:?}"),
            None => None,
        };
        assert_eq!(follows, cover, "{offer:?}");
        let answered = messages(&front.take_output()).remove(0);
        let answered = Prelogin::decode(&answered.payload).unwrap();
        assert_eq!(answered.encryption, answer, "{offer:?}");
    }
}

#[test]
fn the_login_answer_repeats_the_servers_in_its_order() {
    let info = login_info();
    let client = client_login(&login(TdsVersion::V7_4));
    let answer = answers(&client, &info).pop().unwrap();
    assert_eq!(answer.spid, info.spid);
    let tokens = read_tokens(&answer.payload, TdsVersion::V7_4).unwrap();
    let expected = [
        Token::EnvChange(info.env_changes[0].clone()),
        Token::Info(info.infos[0].clone()),
        Token::EnvChange(info.env_changes[1].clone()),
        Token::EnvChange(info.env_changes[2].clone()),
        Token::Info(info.infos[1].clone()),
        Token::LoginAck(info.ack.clone()),
        Token::EnvChange(EnvChange::PacketSize {
            new: 8000,
            old: 4096,
        }),
        Token::Done(Done::new(DoneStatus::FINAL)),
    ];
    assert_eq!(tokens, expected);
}

#[test]
fn nothing_that_leads_past_us_is_passed_on() {
    let tokens = login_tokens(
        &client_login(&login(TdsVersion::V7_4)),
        &login_info(),
        TdsVersion::V7_4,
    );
    for token in tokens {
        assert!(
            !matches!(
                token,
                Token::EnvChange(EnvChange::Routing(_) | EnvChange::MirrorPartner(_))
            ),
            "{token:?}"
        );
    }
}

#[test]
fn only_features_that_were_asked_for_are_acknowledged() {
    let with_features = |features: Vec<Feature>| {
        let asked = Login7 {
            option_flags3: option_flags3::EXTENSION,
            features,
            ..login(TdsVersion::V7_4)
        };
        login_tokens(&client_login(&asked), &login_info(), TdsVersion::V7_4)
            .into_iter()
            .find_map(|token| match token {
                Token::FeatureExtAck(features) => Some(features),
                _ => None,
            })
    };
    assert_eq!(with_features(Vec::new()), None);
    assert_eq!(
        with_features(vec![
            Feature::new(FeatureId::UTF8_SUPPORT, []),
            Feature::new(FeatureId::AZURESQLDNSCACHING, []),
            Feature::new(FeatureId::JSONSUPPORT, [1]),
        ]),
        Some(vec![Feature::new(FeatureId::UTF8_SUPPORT, [1])]),
        "the server did not grant JSON, and the address is ours"
    );
}

#[test]
fn a_clients_own_token_is_acknowledged() {
    let fed_auth = Feature::new(FeatureId::FEDAUTH, [2, 0, 0, 0, 0]);
    let asked = Login7 {
        option_flags3: option_flags3::EXTENSION,
        features: vec![fed_auth],
        ..login(TdsVersion::V7_4)
    };
    let tokens = login_tokens(&client_login(&asked), &login_info(), TdsVersion::V7_4);
    let ack = Token::FeatureExtAck(vec![Feature::new(FeatureId::FEDAUTH, [])]);
    assert!(tokens.contains(&ack), "{tokens:?}");
}

#[test]
fn an_older_servers_version_is_not_exceeded() {
    let info = LoginInfo {
        tds_version: TdsVersion::V7_3B,
        ..login_info()
    };
    for (asked, granted) in [
        (TdsVersion::V7_4, TdsVersion::V7_3B),
        (TdsVersion::V8_0, TdsVersion::V7_3B),
        (TdsVersion::V7_2, TdsVersion::V7_2),
    ] {
        assert_eq!(granted_version(asked, info.tds_version), granted);
    }
    assert_eq!(
        granted_version(TdsVersion::V7_4, TdsVersion::V8_0),
        TdsVersion::V7_4,
        "8.0 is a matter of transport"
    );
    assert_eq!(
        granted_version(TdsVersion(0x7400_0009), TdsVersion::V7_4),
        TdsVersion::V7_4,
        "an unknown version is rounded down"
    );
}

#[test]
fn a_refusal_is_an_error_in_the_clients_own_width() {
    let error = ServerMessage {
        server: "entrada".to_owned(),
        line: 1,
        ..ServerMessage::new(18456, 1, 14, "Login failed for user 'x'.")
    };
    for version in [TdsVersion::V7_1_REV1, TdsVersion::V7_4] {
        let mut front = Front::new(VERSION);
        front.receive(&client_login(&login(version))).unwrap();
        let _ = front.take_output();
        front.refuse(&error).unwrap();
        assert_eq!(front.state(), State::Refused);
        let answer = messages(&front.take_output()).remove(0);
        let tokens = read_tokens(&answer.payload, version).unwrap();
        assert_eq!(
            tokens,
            [
                Token::Error(error.clone()),
                Token::Done(Done::new(DoneStatus::ERROR))
            ]
        );
    }
}

#[test]
fn a_login_without_prelogin_is_served() {
    let mut bytes = Vec::new();
    let payload = encoded(&login(TdsVersion::V7_1_REV1));
    write_message(
        PacketType::LOGIN7,
        PacketStatus::NORMAL,
        &payload,
        4096,
        &mut bytes,
    );
    assert_eq!(answers(&bytes, &login_info()).len(), 1);
}

#[test]
fn bytes_after_the_login_are_kept() {
    let mut client = client_login(&login(TdsVersion::V7_4));
    client.extend([1, 1, 0]);
    let mut front = Front::new(VERSION);
    front.receive(&client).unwrap();
    front.accept(&login_info(), 4096).unwrap();
    front.receive(&[9]).unwrap();
    assert_eq!(front.into_rest(), [1, 1, 0, 9]);
}

/// A front brought to a state.
fn front_in(state: State) -> Front {
    let client = client_login(&login(TdsVersion::V7_4));
    let prelogin_len = usize::from(u16::from_be_bytes([client[2], client[3]]));
    let mut front = Front::new(VERSION);
    let sent = match state {
        State::ExpectPrelogin => 0,
        State::ExpectLogin => prelogin_len,
        _ => client.len(),
    };
    front.receive(&client[..sent]).unwrap();
    match state {
        State::LoggedIn => front.accept(&login_info(), 4096).unwrap(),
        State::Refused => front
            .refuse(&ServerMessage::new(18456, 1, 14, "no"))
            .unwrap(),
        _ => {}
    }
    assert_eq!(front.state(), state);
    front
}

#[test]
fn the_table_of_transitions_holds() {
    use State::{ExpectLogin, ExpectPrelogin, LoggedIn, LoginAsked, Refused};
    let client = client_login(&login(TdsVersion::V7_4));
    let prelogin_len = usize::from(u16::from_be_bytes([client[2], client[3]]));
    let (prelogin, login7) = client.split_at(prelogin_len);
    let batch = [1, 1, 0, 8, 0, 0, 1, 0];

    // What comes, and the state after it; `None` is an error.
    let table: [(State, [Option<State>; 3]); 5] = [
        (ExpectPrelogin, [Some(ExpectLogin), Some(LoginAsked), None]),
        (ExpectLogin, [None, Some(LoginAsked), None]),
        (LoginAsked, [Some(LoginAsked); 3]),
        (LoggedIn, [Some(LoggedIn); 3]),
        (Refused, [Some(Refused); 3]),
    ];
    for (state, after) in table {
        for (bytes, expected) in [prelogin, login7, &batch].into_iter().zip(after) {
            let mut front = front_in(state);
            let came = front.receive(bytes).map(|_| front.state());
            assert_eq!(came.ok(), expected, "{state:?} and {:#04x}", bytes[0]);
        }
        let mut front = front_in(state);
        let accepted = front.accept(&login_info(), 4096).is_ok();
        assert_eq!(accepted, state == LoginAsked, "accept in {state:?}");
        let refused = front_in(state).refuse(&ServerMessage::new(1, 1, 14, "no"));
        assert_eq!(refused.is_ok(), state == LoginAsked, "refuse in {state:?}");
    }
}

#[test]
fn other_protocols_are_told_apart() {
    let error = |bytes: &[u8]| Front::new(VERSION).receive(bytes).unwrap_err();
    assert_eq!(error(&[0x16, 3, 1, 2, 0]), FrontError::TlsFirst);
    assert_eq!(error(b"GET / HTTP/1.1"), FrontError::NotTds { first: b'G' });
}

#[test]
fn a_login_beyond_bounds_is_refused_before_it_is_whole() {
    let mut front = Front::new(VERSION);
    let mut packet = vec![PacketType::LOGIN7.0, 0, 0x10, 0, 0, 0, 1, 0];
    packet.resize(4096, 0);
    let mut fed = 0;
    let error = loop {
        match front.receive(&packet) {
            Ok(_) => fed += packet.len(),
            Err(error) => break error,
        }
        assert!(fed <= MAX_LOGIN + 2 * 4096, "no bound was enforced");
    };
    assert!(
        matches!(error, FrontError::Decode(DecodeError::TooLong { .. })),
        "{error:?}"
    );
}

#[test]
fn debug_shows_no_password() {
    let mut client = client_login(&Login7 {
        password: "hunter2-marker".to_owned().into(),
        ..login(TdsVersion::V7_4)
    });
    client.pop();
    let mut front = Front::new(VERSION);
    front.receive(&client).unwrap();
    assert!(!format!("{front:?}").contains("hunter2"));
}
