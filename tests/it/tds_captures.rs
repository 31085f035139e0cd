//! Every TDS decoder against bytes that third-party drivers and a server exchanged.
//!
//! `tests/data/captures/README.md` tells where they come from.

use std::path::Path;

use entrada::tds::{
    DecodeError, DoneStatus, EnvChange, FeatureId, FedAuth, FedAuthInfo, FedAuthToken, Login7,
    Message, MessageReader, PacketType, Place, Prelogin, Reader, ResponseWalker, TdsVersion, Token,
    WalkEvent, decode_columns, encode_columns, parse_all_headers, read_tokens, token_id,
    write_message,
};
use proptest::prelude::*;

#[test]
fn packets_join_to_the_same_messages_at_every_split() {
    for conversation in conversations() {
        for bytes in [&conversation.client, &conversation.server] {
            let whole = messages(bytes);
            for split in 0..bytes.len() {
                let (head, tail) = bytes.split_at(split);
                let mut reader = MessageReader::new(32767, 1 << 20);
                let mut joined = Vec::new();
                for part in [head, tail] {
                    reader.push(part);
                    while let Some(message) = reader.next().expect("capture") {
                        joined.push(message);
                    }
                }
                assert!(joined == whole, "{} at {split}", conversation.name);
                assert_eq!(reader.buffered(), 0);
            }
        }
    }
}

#[test]
fn client_prelogins_are_written_as_they_were_read() {
    let mut seen = 0;
    for conversation in conversations() {
        let first = &messages(&conversation.client)[0];
        if first.packet_type != PacketType::PRELOGIN {
            assert_eq!(conversation.name, "jtds-types");
            continue;
        }
        let prelogin = Prelogin::decode(&first.payload).expect(&conversation.name);
        let mut written = Vec::new();
        prelogin.encode(&mut written).unwrap();
        assert_eq!(written, first.payload, "{}", conversation.name);
        seen += 1;
    }
    assert!(seen > 40, "{seen} captures");
}

#[test]
fn client_prelogins_say_what_the_drivers_say() {
    let prelogin = |name: &str| {
        let first = &messages(&conversation(name).client)[0];
        Prelogin::decode(&first.payload).unwrap()
    };
    let tedious = prelogin("tedious-types");
    assert_eq!(tedious.version.to_string(), "19.2.2.0");
    assert_eq!(tedious.fed_auth_required, Some(1));
    assert_eq!(tedious.mars, Some(false));
    let freetds = prelogin("pyodbc-freetds-types");
    assert_eq!(freetds.instance_name(), Some(&b"MSSQLServer"[..]));
    assert_eq!(freetds.fed_auth_required, None);
    assert_eq!(prelogin("pymssql-7.1-types").mars, None);
}

#[test]
fn server_prelogins_are_read_and_written_for_old_clients() {
    for conversation in conversations() {
        let Some(answer) = messages(&conversation.server).into_iter().next() else {
            assert_eq!(conversation.name, "jtds-types");
            continue;
        };
        assert_eq!(answer.packet_type, PacketType::TABULAR_RESULT);
        let prelogin = Prelogin::decode(&answer.payload).expect(&conversation.name);
        assert_eq!(prelogin.version.to_string(), "12.0.2000.0");
        // To clients that sent no TRACEID, a server answers in exactly our form.
        if conversation.name.starts_with("tsql-7.4") {
            let mut written = Vec::new();
            prelogin.encode_answer(&mut written).unwrap();
            assert_eq!(written, answer.payload);
        }
    }
}

#[test]
fn logins_are_read_from_every_driver() {
    let versions = [
        ("7.1", TdsVersion::V7_1_REV1),
        ("jtds", TdsVersion::V7_1_REV1),
        ("7.2", TdsVersion::V7_2),
        ("7.3", TdsVersion::V7_3B),
        ("", TdsVersion::V7_4),
    ];
    for conversation in conversations() {
        let name = &conversation.name;
        let login = login(&conversation);
        let expected = versions.iter().find(|(part, _)| name.contains(part));
        assert_eq!(login.tds_version, expected.unwrap().1, "{name}");
        assert_eq!(login.user_name, "sa_user", "{name}");
        assert_eq!(login.password.expose(), "S3cret!pw", "{name}");
        assert_eq!(login.database, "master", "{name}");
        assert!(!format!("{login:?}").contains("S3cret"), "{name}");
    }
}

#[test]
fn logins_hold_what_each_driver_asks_for() {
    let tedious = login(&conversation("tedious-types"));
    assert_eq!(tedious.library_name, "Tedious");
    assert_eq!(tedious.client_id, [1, 2, 3, 4, 5, 6]);
    assert_eq!(tedious.features.len(), 1);
    assert_eq!(tedious.feature(FeatureId::UTF8_SUPPORT).unwrap().data, [1]);

    let jdbc = login(&conversation("mssql-jdbc-types"));
    let ids: Vec<u8> = jdbc.features.iter().map(|feature| feature.id.0).collect();
    assert_eq!(ids, [0x04, 0x09, 0x0A, 0x0B, 0x0E, 0x0D, 0x01]);
    assert_eq!(jdbc.packet_size, 8000);

    // jTDS keeps a packet size in the slot of the file name.
    let jtds = login(&conversation("jtds-types"));
    assert_eq!(
        (jtds.attach_db_file.as_str(), jtds.host_name.as_str()),
        ("", "VM")
    );
}

#[test]
fn logins_survive_being_written() {
    for conversation in conversations() {
        let read = login(&conversation);
        let mut written = Vec::new();
        read.encode(&mut written).unwrap();
        assert!(Login7::decode(&written).unwrap() == read);
        // Drivers order the data as they like, but they waste none.
        assert_eq!(
            written.len(),
            login_payload(&conversation).len(),
            "{}",
            conversation.name
        );
    }
}

#[test]
fn login_responses_are_written_as_they_were_read() {
    let mut seen = 0;
    for conversation in conversations() {
        let version = login(&conversation).tds_version;
        let Some(response) = messages(&conversation.server).into_iter().nth(1) else {
            continue;
        };
        let tokens = read_tokens(&response.payload, version).expect(&conversation.name);
        let ack = tokens.iter().find_map(|token| match token {
            Token::LoginAck(ack) => Some(ack),
            _ => None,
        });
        assert_eq!(ack.unwrap().tds_version, version);
        assert_eq!(ack.unwrap().version, [12, 0, 7, 208]);
        assert!(tokens.contains(&Token::EnvChange(EnvChange::Database {
            new: "master".into(),
            old: String::new(),
        })));
        assert!(matches!(tokens.last(), Some(Token::Done(done)) if done.is_final()));

        let mut written = Vec::new();
        tokens
            .iter()
            .for_each(|token| token.encode(version, &mut written).unwrap());
        assert_eq!(written, response.payload, "{}", conversation.name);
        seen += 1;
    }
    assert!(seen > 40, "{seen} captures");
}

#[test]
fn an_error_is_read_with_number_class_and_text() {
    let mut seen = 0;
    for conversation in conversations() {
        if !conversation.name.ends_with("-error") {
            continue;
        }
        let response = messages(&conversation.server).pop().unwrap();
        let tokens = read_tokens(&response.payload, TdsVersion::V7_4).unwrap();
        let [Token::Error(error), Token::Done(done)] = &tokens[..] else {
            panic!("{tokens:?}");
        };
        assert_eq!((error.number, error.class, error.line), (8134, 16, 1));
        assert_eq!(error.message, "division by zero");
        assert!(done.status.contains(DoneStatus::ERROR) && done.is_final());
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn requests_carry_the_transaction_that_the_server_told() {
    let mut transactions = 0;
    for conversation in conversations() {
        if !conversation.name.ends_with("-tx") {
            continue;
        }
        // After the login, one response follows each request.
        let requests = messages(&conversation.client).into_iter().skip(2);
        let mut responses = messages(&conversation.server).into_iter().skip(2);
        let mut current = 0;
        for request in requests {
            if request.packet_type != PacketType::ATTENTION {
                let (descriptor, _) = parse_all_headers(&request.payload).unwrap();
                assert_eq!(descriptor, current, "{}", conversation.name);
            }
            let Some(response) = responses.next() else {
                break;
            };
            for event in walk(&response.payload, &[]).unwrap() {
                match event {
                    WalkEvent::EnvChange(EnvChange::BeginTransaction(begun)) => {
                        current = begun;
                        transactions += 1;
                    }
                    WalkEvent::EnvChange(
                        EnvChange::CommitTransaction(ended) | EnvChange::RollbackTransaction(ended),
                    ) => {
                        assert_eq!(ended, current, "{}", conversation.name);
                        current = 0;
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(transactions > 10, "{transactions}");
}

#[test]
fn responses_tell_the_same_at_every_split() {
    for (name, response) in responses() {
        let whole = walk(&response, &[]).expect(&name);
        assert!(
            matches!(whole.last(), Some(WalkEvent::Done(done)) if done.is_final()),
            "{name}: {whole:?}"
        );
        for split in 1..response.len() {
            assert!(
                walk(&response, &[split]).as_ref() == Ok(&whole),
                "{name} at {split}"
            );
        }
        let every_byte: Vec<usize> = (1..response.len()).collect();
        assert!(
            walk(&response, &every_byte).as_ref() == Ok(&whole),
            "{name}, byte by byte"
        );
    }
}

#[test]
fn a_response_that_is_cut_is_not_finished() {
    let response = &messages(&conversation("tedious-types").server)[3];
    for cut in 1..response.payload.len() {
        let mut walker = ResponseWalker::new();
        walker.feed(&response.payload[..cut], &mut |_| {}).unwrap();
        // Between the metadata, the row and DONE there are borders, at which a
        // message may end as far as the walker is concerned.
        assert_eq!(
            walker.is_at_token_border(),
            walker.finish().is_ok(),
            "at {cut}"
        );
    }
}

#[test]
fn columns_and_values_are_written_as_they_were_read() {
    let mut rows = 0;
    for (name, response) in responses() {
        if !name.contains("-types") || response.first() != Some(&token_id::COLMETADATA) {
            continue;
        }
        let mut reader = Reader::new(&response[1..]);
        let columns = decode_columns(&mut reader).expect(&name);
        let mut written = vec![token_id::COLMETADATA];
        encode_columns(&columns, &mut written).unwrap();

        while let Some(token_id::ROW | token_id::NBCROW) = reader.peek() {
            let token = reader.u8().unwrap();
            written.push(token);
            let nulls = match token {
                token_id::NBCROW => reader.take(columns.len().div_ceil(8)).unwrap(),
                _ => &[],
            };
            written.extend_from_slice(nulls);
            for (index, column) in columns.iter().enumerate() {
                if nulls
                    .get(index / 8)
                    .is_some_and(|byte| byte >> (index % 8) & 1 != 0)
                {
                    continue;
                }
                let value = column
                    .type_info
                    .read_value(Place::Row, &mut reader)
                    .unwrap();
                column
                    .type_info
                    .write_value(Place::Row, value.as_deref(), &mut written)
                    .unwrap();
            }
            rows += 1;
        }
        let read = &response[..=reader.position()];
        assert!(written == read, "{name}: {columns:?}");
    }
    assert!(rows > 10, "{rows}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Bytes overwritten, cut or repeated anywhere: an error or a value, never
    /// a panic; and the walker sees the same through any cut of them.
    #[test]
    fn damaged_captures_never_panic(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let payloads = PAYLOADS.get_or_init(all_payloads);
        let mut payload = which.get(payloads).clone();
        if payload.is_empty() {
            return Ok(());
        }
        for (at, byte) in damage {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        if cut.index(4) == 0 {
            payload.truncate(cut.index(payload.len() + 1));
        }
        decode_as_everything(&payload);

        let mut splits: Vec<usize> =
            splits.iter().map(|split| split.index(payload.len() + 1)).collect();
        splits.sort_unstable();
        prop_assert_eq!(walk(&payload, &splits), walk(&payload, &[]));
    }

    #[test]
    fn messages_are_cut_and_joined(
        payload in prop::collection::vec(any::<u8>(), 0..5000),
        packet_size in 512_usize..2000,
    ) {
        let mut bytes = Vec::new();
        write_message(PacketType::RPC, Default::default(), &payload, packet_size, &mut bytes);
        let joined = messages(&bytes);
        prop_assert_eq!(joined.len(), 1);
        prop_assert_eq!(&joined[0].payload, &payload);
    }
}

static PAYLOADS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();

fn all_payloads() -> Vec<Vec<u8>> {
    let payloads = conversations().into_iter().flat_map(|conversation| {
        let mut all = messages(&conversation.client);
        all.extend(messages(&conversation.server));
        all
    });
    payloads.map(|message| message.payload).collect()
}

/// Only that they return counts.
fn decode_as_everything(payload: &[u8]) {
    let _ = Prelogin::decode(payload);
    if let Ok(login) = Login7::decode(payload) {
        for feature in &login.features {
            let _ = FedAuth::from_feature(feature);
        }
    }
    let _ = FedAuthInfo::decode(payload);
    let _ = FedAuthToken::decode(payload);
    let _ = read_tokens(payload, TdsVersion::V7_1);
    let _ = read_tokens(payload, TdsVersion::V7_4);
    let _ = parse_all_headers(payload);
    let _ = decode_columns(&mut Reader::new(payload));
    let mut reader = MessageReader::new(4096, 1 << 16);
    reader.push(payload);
    while let Ok(Some(_)) = reader.next() {}
}

/// The walker's events for bytes that come cut at `splits`.
fn walk(response: &[u8], splits: &[usize]) -> Result<Vec<WalkEvent>, DecodeError> {
    let mut walker = ResponseWalker::new();
    let mut events = Vec::new();
    let mut from = 0;
    for &to in splits.iter().chain([&response.len()]) {
        walker.feed(&response[from..to], &mut |event| events.push(event))?;
        from = to;
    }
    walker.finish()?;
    Ok(events)
}

/// Responses after the login that have the layout of 7.2 and later.
fn responses() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for conversation in conversations() {
        if login(&conversation).tds_version < TdsVersion::V7_2 {
            continue;
        }
        for response in messages(&conversation.server).into_iter().skip(1) {
            all.push((conversation.name.clone(), response.payload));
        }
    }
    assert!(all.len() > 100, "{} responses", all.len());
    all
}

pub(crate) fn login(conversation: &Conversation) -> Login7 {
    Login7::decode(&login_payload(conversation)).expect(&conversation.name)
}

fn login_payload(conversation: &Conversation) -> Vec<u8> {
    let mut messages = messages(&conversation.client).into_iter();
    let login = messages.find(|message| message.packet_type == PacketType::LOGIN7);
    login.expect("a login").payload
}

pub(crate) fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut reader = MessageReader::new(32767, 1 << 20);
    reader.push(bytes);
    std::iter::from_fn(|| reader.next().expect("a message")).collect()
}

pub(crate) struct Conversation {
    pub(crate) name: String,
    pub(crate) client: Vec<u8>,
    pub(crate) server: Vec<u8>,
}

pub(crate) fn conversation(name: &str) -> Conversation {
    read_conversation(&captures().join(format!("{name}.jsonl")))
}

pub(crate) fn conversations() -> Vec<Conversation> {
    let mut paths: Vec<_> = std::fs::read_dir(captures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| read_conversation(path)).collect()
}

fn captures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures")
}

fn read_conversation(path: &Path) -> Conversation {
    let mut conversation = Conversation {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        client: Vec::new(),
        server: Vec::new(),
    };
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let chunk: serde_json::Value = serde_json::from_str(line).unwrap();
        let hex = chunk["hex"].as_str().unwrap();
        let bytes = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        if chunk["dir"] == "c2s" {
            conversation.client.extend(bytes);
        } else {
            conversation.server.extend(bytes);
        }
    }
    conversation
}
