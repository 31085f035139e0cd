//! What a real server said to real drivers, said to us.

use std::path::Path;

use entrada::target::Encrypt;
use entrada::tds::TdsVersion;
use serde_json::Value;

use super::*;
use crate::support::fake_server::FakeServer;

/// The server's first two messages of a captured conversation: the answers to
/// PRELOGIN and to LOGIN7, packets and all.
fn answers(capture: &str) -> [Vec<u8>; 2] {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
    let text = std::fs::read_to_string(data.join(capture)).unwrap();
    let mut bytes = Vec::new();
    for line in text.lines() {
        let chunk: Value = serde_json::from_str(line).unwrap();
        if chunk["dir"] == "s2c" {
            bytes.extend(unhex(chunk["hex"].as_str().unwrap()));
        }
    }
    let mut rest = bytes.as_slice();
    [(); 2].map(|()| {
        let mut message = Vec::new();
        loop {
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let (packet, after) = rest.split_at(length);
            message.extend_from_slice(packet);
            rest = after;
            if packet[1] & 1 == 1 {
                return message;
            }
        }
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[tokio::test]
async fn a_real_server_s_answers_let_us_in() {
    for capture in [
        "mssql-jdbc-types.jsonl",
        "mssql-tds-types.jsonl",
        "pyodbc-ms18-types.jsonl",
        "pyodbc-freetds-types.jsonl",
        "pymssql-7.4-types.jsonl",
        "python-tds-types.jsonl",
        "tedious-types.jsonl",
    ] {
        for piece in [1, usize::MAX] {
            let [prelogin, login] = answers(capture);
            let server = FakeServer::start(1, move |_, mut conn| {
                let (prelogin, login) = (prelogin.clone(), login.clone());
                async move {
                    for answer in [prelogin, login] {
                        conn.message().await.unwrap();
                        for part in answer.chunks(piece) {
                            conn.raw(part).await.unwrap();
                        }
                    }
                    conn.until_closed().await
                }
            })
            .await;
            let mut target = sql_target(server.address.port(), &localhost());
            target.tls.encrypt = Encrypt::Disable;
            let session = Dialer::new(target, None).unwrap().dial().await.unwrap();
            let info = session.info();
            assert_eq!(info.tds_version, TdsVersion::V7_4, "{capture}");
            assert!(info.ack.program_name.starts_with("Microsoft SQL Server"));
            assert!(!info.database.is_empty(), "{capture}");
            assert_eq!(info.collation.len(), 5, "{capture}");
            assert!((512..=32_767).contains(&info.packet_size), "{capture}");
            drop(session);
            assert_eq!(server.outcomes().await, [b""]);
        }
    }
}
