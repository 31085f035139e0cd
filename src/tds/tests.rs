//! What holds for every message: reading gives back what was written, and no
//! bytes are too bad to be read.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::secret::Secret;

fn text() -> impl Strategy<Value = String> {
    // A character has at most two UTF-16 units.
    ".{0,60}"
}

fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(Secret::from)
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

fn nonce() -> impl Strategy<Value = Option<[u8; 32]>> {
    option::of(any::<[u8; 32]>())
}

fn prelogin() -> impl Strategy<Value = Prelogin> {
    let options = (
        option::of(bytes(40)),
        option::of(any::<u32>()),
        option::of(any::<bool>()),
        option::of(vec(any::<u8>(), 36)),
        option::of(any::<u8>()),
        nonce(),
    );
    (any::<[u8; 6]>(), any::<u8>(), options).prop_map(|(version, encryption, options)| {
        let (instance, thread_id, mars, trace_id, fed_auth_required, nonce) = options;
        Prelogin {
            version: Version::from_bytes(version),
            encryption: Encryption(encryption),
            instance,
            thread_id,
            mars,
            trace_id: trace_id.map(|id| id.try_into().unwrap()),
            fed_auth_required,
            nonce,
        }
    })
}

fn feature() -> impl Strategy<Value = Feature> {
    (0_u8..0xFF, bytes(300)).prop_map(|(id, data)| Feature::new(FeatureId(id), data))
}

/// A 7.4 login, or one of 7.1 without what came later.
fn login() -> impl Strategy<Value = Login7> {
    let numbers = (any::<[u32; 5]>(), any::<[u8; 4]>(), any::<[u8; 6]>());
    let texts = vec(text(), 8);
    let others = (secret(), secret(), bytes(70_000), vec(feature(), 0..5));
    (any::<bool>(), numbers, texts, others).prop_map(|(old, numbers, texts, others)| {
        let ([n0, n1, n2, n3, n4], [f0, f1, f2, f3], client_id) = numbers;
        let (password, change_password, mut sspi, features) = others;
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        let extension = option_flags3::EXTENSION;
        let features = if old { Vec::new() } else { features };
        if old {
            sspi.truncate(60_000);
        }
        Login7 {
            tds_version: if old {
                TdsVersion::V7_1_REV1
            } else {
                TdsVersion::V7_4
            },
            packet_size: n0,
            client_prog_version: n1,
            client_pid: n2,
            connection_id: n3,
            option_flags1: f0,
            option_flags2: f1,
            type_flags: f2,
            option_flags3: if features.is_empty() {
                f3 & !extension
            } else {
                f3 | extension
            },
            time_zone: n4.cast_signed(),
            lcid: n0,
            host_name: text(),
            user_name: text(),
            password,
            app_name: text(),
            server_name: text(),
            library_name: text(),
            language: text(),
            database: text(),
            client_id,
            sspi,
            attach_db_file: text(),
            change_password: if old {
                Secret::default()
            } else {
                change_password
            },
            features,
        }
    })
}

fn fed_auth() -> impl Strategy<Value = FedAuth> {
    prop_oneof![
        (any::<bool>(), secret(), nonce())
            .prop_map(|(echo, token, nonce)| FedAuth::SecurityToken { echo, token, nonce }),
        (any::<bool>(), any::<u8>()).prop_map(|(echo, workflow)| FedAuth::Adal { echo, workflow }),
        (any::<bool>(), 3_u8..0x80, bytes(50)).prop_map(|(echo, library, data)| FedAuth::Other {
            echo,
            library,
            data: OpaqueBytes(data),
        }),
    ]
}

fn env_change() -> impl Strategy<Value = EnvChange> {
    let descriptor = || option::of(any::<u64>());
    let distributed = (
        prop_oneof![Just(11), Just(12), Just(17)],
        descriptor(),
        descriptor(),
    );
    let routing = (any::<u8>(), 1_u16.., ".{1,60}", option::of(text()));
    prop_oneof![
        (text(), text()).prop_map(|(new, old)| EnvChange::Database { new, old }),
        (text(), text()).prop_map(|(new, old)| EnvChange::Language { new, old }),
        any::<(u32, u32)>().prop_map(|(new, old)| EnvChange::PacketSize { new, old }),
        (bytes(6), bytes(6)).prop_map(|(new, old)| EnvChange::Collation { new, old }),
        any::<u64>().prop_map(EnvChange::BeginTransaction),
        any::<u64>().prop_map(EnvChange::CommitTransaction),
        any::<u64>().prop_map(EnvChange::RollbackTransaction),
        distributed.prop_map(|(env_type, new, old)| EnvChange::Distributed { env_type, new, old }),
        text().prop_map(EnvChange::MirrorPartner),
        bytes(70_000).prop_map(EnvChange::Promoted),
        Just(EnvChange::ResetAcknowledged),
        text().prop_map(EnvChange::UserInstance),
        routing.prop_map(|(protocol, port, server, database)| {
            EnvChange::Routing(Routing {
                protocol,
                port,
                server,
                database,
            })
        }),
        (22_u8.., bytes(50)).prop_map(|(env_type, data)| EnvChange::Other { env_type, data }),
    ]
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    // A line of 16 bits is all that 7.1 can say.
    (any::<(i32, u8, u8, u16)>(), text(), text(), text()).prop_map(
        |((number, state, class, line), message, server, procedure)| ServerMessage {
            number,
            state,
            class,
            message,
            server,
            procedure,
            line: line.into(),
        },
    )
}

fn token() -> impl Strategy<Value = Token> {
    let kind = prop_oneof![
        Just(DoneKind::Done),
        Just(DoneKind::DoneProc),
        Just(DoneKind::DoneInProc)
    ];
    let done = (kind, any::<(u16, u16, u32)>());
    let ack = (any::<(u8, [u8; 4])>(), text());
    prop_oneof![
        server_message().prop_map(Token::Error),
        server_message().prop_map(Token::Info),
        env_change().prop_map(Token::EnvChange),
        ack.prop_map(
            |((interface, version), program_name)| Token::LoginAck(LoginAck {
                interface,
                tds_version: TdsVersion::V7_4,
                program_name,
                version,
            })
        ),
        vec(feature(), 0..4).prop_map(Token::FeatureExtAck),
        (text(), text())
            .prop_map(|(sts_url, spn)| Token::FedAuthInfo(FedAuthInfo { sts_url, spn })),
        done.prop_map(|(kind, (status, command, rows))| Token::Done(Done {
            kind,
            status: DoneStatus(status),
            command,
            row_count: rows.into(),
        })),
        bytes(300).prop_map(Token::SessionState),
        bytes(300).prop_map(Token::Sspi),
        bytes(20).prop_map(Token::Order),
        any::<i32>().prop_map(Token::ReturnStatus),
    ]
}

proptest! {
    #[test]
    fn prelogin_survives(prelogin in prelogin()) {
        let mut written = Vec::new();
        prelogin.encode(&mut written).unwrap();
        prop_assert_eq!(Prelogin::decode(&written).unwrap(), prelogin);
    }

    #[test]
    fn login_survives(login in login()) {
        let mut written = Vec::new();
        login.encode(&mut written).unwrap();
        prop_assert_eq!(Login7::decode(&written).unwrap(), login);
    }

    #[test]
    fn fed_auth_survives(fed_auth in fed_auth()) {
        let feature = fed_auth.to_feature().unwrap();
        prop_assert_eq!(FedAuth::from_feature(&feature).unwrap(), fed_auth);
    }

    #[test]
    fn fed_auth_token_survives(token in secret(), nonce in nonce()) {
        let message = FedAuthToken { token, nonce };
        let mut written = Vec::new();
        message.encode(&mut written).unwrap();
        prop_assert_eq!(FedAuthToken::decode(&written).unwrap(), message);
    }

    #[test]
    fn tokens_survive(tokens in vec(token(), 0..6), old in any::<bool>()) {
        let version = if old { TdsVersion::V7_1_REV1 } else { TdsVersion::V7_4 };
        let mut written = Vec::new();
        for token in &tokens {
            token.encode(version, &mut written).unwrap();
        }
        prop_assert_eq!(read_tokens(&written, version).unwrap(), tokens);
    }

    #[test]
    fn headers_survive(descriptor in any::<u64>(), content in bytes(20)) {
        let mut written = all_headers(descriptor);
        written.put_slice(&content);
        prop_assert_eq!(parse_all_headers(&written).unwrap(), (descriptor, &content[..]));
    }

    #[test]
    fn no_bytes_are_too_bad(bytes in bytes(200)) {
        let _ = Prelogin::decode(&bytes);
        let _ = Login7::decode(&bytes);
        let _ = FedAuth::from_feature(&Feature::new(FeatureId::FEDAUTH, &bytes[..]));
        let _ = FedAuthToken::decode(&bytes);
        let _ = FedAuthInfo::decode(&bytes);
        let _ = LoginAck::decode(&bytes);
        let _ = ServerMessage::decode(TdsVersion::V7_4, true, &bytes);
        let _ = EnvChange::decode_all(&mut Reader::new(&bytes));
        let _ = read_tokens(&bytes, TdsVersion::V7_4);
        let _ = decode_columns(&mut Reader::new(&bytes));
        let _ = TypeInfo::decode(Place::Parameter, &mut Reader::new(&bytes));
        let _ = parse_all_headers(&bytes);
        let mut reader = MessageReader::new(64, 128);
        reader.push(&bytes);
        while let Ok(Some(message)) = reader.next() {
            prop_assert!(message.payload.len() <= 128);
        }
    }
}

/// Whatever holds a token or a password, with all its wrappings.
#[test]
fn no_secret_is_shown() {
    let marker = "marker-of-a-secret";
    let fed_auth = FedAuth::SecurityToken {
        echo: true,
        token: marker.into(),
        nonce: None,
    };
    let login = Login7 {
        password: marker.into(),
        change_password: marker.into(),
        sspi: marker.into(),
        features: vec![fed_auth.to_feature().unwrap()],
        ..Login7::default()
    };
    let mut payload = Vec::new();
    login.encode(&mut payload).unwrap();
    let message = Message {
        packet_type: PacketType::LOGIN7,
        status: PacketStatus::EOM,
        spid: 0,
        payload,
    };
    let mut reader = MessageReader::new(4096, 4096);
    reader.push(marker.as_bytes());
    let token = FedAuthToken {
        token: marker.into(),
        nonce: None,
    };
    let other = FedAuth::Other {
        echo: false,
        library: 0,
        data: OpaqueBytes(marker.into()),
    };

    let shown = format!("{fed_auth:?} {login:?} {message:?} {reader:?} {token:?} {other:?}");
    assert!(!shown.contains("marker"), "{shown}");
    // Nor as a list of numbers: "ma" in UTF-8 and in UTF-16.
    assert!(
        !shown.contains("109, 97") && !shown.contains("109, 0, 97"),
        "{shown}"
    );
}
