//! Decoders: a value or an error for whatever comes, and what was read is written
//! as something that reads the same.

use crate::conn_string::{ConnectionString, Dialect};
use crate::cuts::Cuts;
use crate::tds::{
    DecodeError, FedAuth, FedAuthInfo, FedAuthToken, Login7, MessageReader, Prelogin, Put, Reader,
    ResponseWalker, RpcCall, TdsVersion, Token, decode_columns, encode_columns, parse_all_headers,
    read_tokens,
};

/// PRELOGIN of either side.
pub fn prelogin(data: &[u8]) {
    let Ok(read) = Prelogin::decode(data) else {
        return;
    };
    let mut written = Vec::new();
    if read.encode_answer(&mut written).is_ok() {
        Prelogin::decode(&written).expect("what was written");
    }
}

/// LOGIN7, its features, and the other messages of a token login.
pub fn login7(data: &[u8]) {
    let _ = FedAuthInfo::decode(data);
    let _ = FedAuthToken::decode(data);
    let Ok(read) = Login7::decode(data) else {
        return;
    };
    for feature in &read.features {
        let _ = FedAuth::from_feature(feature);
    }
    let mut written = Vec::new();
    if read.encode(&mut written).is_ok() {
        let again = Login7::decode(&written).expect("what was written");
        assert!(again == read, "a login that is written says the same");
    }
}

/// Tokens of a login response, in the layout of each version.
pub fn tokens(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let _ = decode_columns(&mut Reader::new(data)).map(|columns| {
        let mut written = Vec::new();
        if encode_columns(&columns, &mut written).is_ok() {
            let again = decode_columns(&mut Reader::new(&written));
            assert_eq!(again, Ok(columns));
        }
    });
    let version = [TdsVersion::V7_1, TdsVersion::V7_2, TdsVersion::V7_4][usize::from(first % 3)];
    let Ok(read) = read_tokens(data, version) else {
        return;
    };
    let mut written = Vec::new();
    if read
        .iter()
        .try_for_each(|token: &Token| token.encode(version, &mut written))
        .is_ok()
    {
        assert_eq!(read_tokens(&written, version), Ok(read));
    }
}

/// A response, whole and cut.
pub fn response_walker(data: &[u8]) {
    let Some((seed, data)) = data.split_first_chunk() else {
        return;
    };
    let walk = |mut cuts: Cuts| -> Result<Vec<_>, (Vec<_>, DecodeError)> {
        let mut walker = ResponseWalker::new();
        let mut events = Vec::new();
        let mut rest = data;
        while !rest.is_empty() {
            let piece = cuts.next(&mut rest);
            if let Err(error) = walker.feed(piece, &mut |event| events.push(event)) {
                return Err((events, error));
            }
        }
        match walker.finish() {
            Ok(()) => Ok(events),
            Err(error) => Err((events, error)),
        }
    };
    let whole = walk(Cuts::of(0));
    assert_eq!(walk(Cuts::of(u16::from_le_bytes(*seed))), whole);
    assert_eq!(walk(Cuts::of(1)), whole);
}

/// Procedure calls behind ALL_HEADERS, and without.
pub fn rpc(data: &[u8]) {
    if let Ok((_, content)) = parse_all_headers(data) {
        let _ = RpcCall::decode_all(TdsVersion::V7_4, content);
    }
    for version in [TdsVersion::V7_1, TdsVersion::V7_4] {
        let Ok(calls) = RpcCall::decode_all(version, data) else {
            continue;
        };
        for param in calls.iter().flat_map(|call| &call.params) {
            let mut written = Vec::new();
            let _ = param.encode_returned(version, 0, &mut written);
        }
    }
}

/// Messages joined from packets, whole and cut.
pub fn messages(data: &[u8]) {
    let Some((seed, data)) = data.split_first_chunk() else {
        return;
    };
    let read = |mut cuts: Cuts| {
        let mut reader = MessageReader::new(4096, 1 << 16);
        let mut messages = Vec::new();
        let mut rest = data;
        while !rest.is_empty() {
            reader.push(cuts.next(&mut rest));
            loop {
                match reader.next() {
                    Ok(Some(message)) => messages.push(format!("{message:?}")),
                    Ok(None) => break,
                    Err(error) => return Err((messages, error)),
                }
            }
        }
        Ok(messages)
    };
    let whole = read(Cuts::of(0));
    assert_eq!(read(Cuts::of(u16::from_le_bytes(*seed))), whole);
}

/// Connection strings: what is written in a dialect says the same in it.
pub fn conn_string(data: &[u8]) {
    const DIALECTS: [Dialect; 4] = [
        Dialect::AdoNet,
        Dialect::Jdbc,
        Dialect::Odbc,
        Dialect::SqlServerUrl,
    ];
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = ConnectionString::parse(text);
    for dialect in DIALECTS {
        let Ok(read) = ConnectionString::parse_as(text, dialect) else {
            continue;
        };
        for to in DIALECTS {
            if let Ok(written) = read.write(to) {
                ConnectionString::parse_as(written.expose(), to).expect("what was written");
            }
        }
    }
}
