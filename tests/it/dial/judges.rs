//! Our login, judged by servers that none of us wrote.

use std::io::Write;

use entrada::dial::{DialError, FedAuthFlow, LoginError};
use entrada::session::Session;
use entrada::target::Encrypt;
use entrada::tds::{PacketStatus, PacketType, all_headers, write_message};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::support::judges::{Judge, PySqlBridge, mssql_mock_tds, pysqlbridge};

/// A mock server under TLS, with the certificate that it shows.
async fn mock_with_tls(mode: &str) -> Option<(Judge, Certificates)> {
    let certificates = localhost();
    let (cert, key) = (file(&certificates.leaf_pem), file(&certificates.key_pem));
    let path = |file: &NamedTempFile| file.path().to_str().unwrap().to_owned();
    let judge =
        mssql_mock_tds(&["--tls", mode, "--cert", &path(&cert), "--key", &path(&key)]).await?;
    Some((judge, certificates))
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn microsofts_mock_takes_a_token_over_tls_inside_prelogin() {
    let Some((mut judge, certificates)) = mock_with_tls("prelogin").await else {
        return;
    };
    let session = dialer(target(judge.port, &certificates))
        .dial()
        .await
        .unwrap();
    assert!(session.info().encrypted);
    let seen = judge.connections().await.remove(0);
    assert_eq!(seen["authenticated"], true);
    assert_eq!(seen["token"], TOKEN);
    assert_eq!(seen["database"], "app");
    assert_eq!(seen["server"], "localhost");
    assert_eq!(seen["features"], json!([2, 15]));
}

#[tokio::test]
async fn microsofts_mock_takes_a_token_over_strict_tls() {
    let Some((mut judge, certificates)) = mock_with_tls("strict").await else {
        return;
    };
    let mut target = target(judge.port, &certificates);
    target.tls.encrypt = Encrypt::Strict;
    let session = dialer(target).dial().await.unwrap();
    assert!(session.info().encrypted);
    let seen = judge.connections().await.remove(0);
    assert_eq!(seen["token"], TOKEN);
}

#[tokio::test]
async fn microsofts_mock_asks_for_a_token_and_takes_it() {
    let Some((mut judge, certificates)) = mock_with_tls("prelogin").await else {
        return;
    };
    let session = dialer(target(judge.port, &certificates))
        .with_fed_auth_flow(FedAuthFlow::Adal)
        .dial()
        .await
        .unwrap();
    drop(session);
    let seen = judge.connections().await.remove(0);
    assert_eq!(seen["authenticated"], true);
    assert_eq!(seen["workflow"], 3);
    assert_eq!(seen["token"], TOKEN);
}

#[tokio::test]
async fn microsofts_mock_sends_us_on() {
    for database in [None, Some("moved")] {
        let Some(mut goal) = mssql_mock_tds(&[]).await else {
            return;
        };
        let to = format!("localhost,{}", goal.port);
        let mut arguments = vec!["--redirect", &to];
        if let Some(database) = database {
            arguments.extend(["--redirect-database", database]);
        }
        let gate = mssql_mock_tds(&arguments).await.unwrap();
        let certificates = localhost();
        let mut target = sql_target(gate.port, &certificates);
        target.tls.encrypt = Encrypt::Disable;
        let session = Dialer::new(target, None).unwrap().dial().await.unwrap();
        assert_eq!(session.info().redirects, 1);
        let seen = goal.connections().await.remove(0);
        assert_eq!(seen["server"], to.as_str());
        assert_eq!(seen["database"], database.unwrap_or("app"));
    }
}

fn bridge_target(bridge: &PySqlBridge) -> Target {
    let server = Server::with_port("localhost", bridge.judge.port);
    let auth = Auth::SqlPassword {
        user: bridge.user.to_owned(),
        password: Secret::new(bridge.password),
    };
    let mut target = Target::new(server, auth);
    target.tls.server_certificate = Some(bridge.certificate.clone());
    target.limits.connect_retry_count = 0;
    target
}

/// Sends a batch and returns the answer's bytes.
async fn query(session: &mut Session, sql: &str) -> Vec<u8> {
    let mut payload = all_headers(0);
    payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
    let mut request = Vec::new();
    let size = session.info().packet_size;
    write_message(
        PacketType::SQL_BATCH,
        PacketStatus::NORMAL,
        &payload,
        size,
        &mut request,
    );
    let stream = session.stream_mut();
    stream.write_all(&request).await.unwrap();
    stream.flush().await.unwrap();
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[..2], [4, 1]);
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let mut answer = vec![0; length - 8];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn pysqlbridge_takes_a_password_under_tls() {
    let Some(bridge) = pysqlbridge().await else {
        return;
    };
    for (encrypt, encrypted) in [(Encrypt::Mandatory, true), (Encrypt::Optional, false)] {
        let mut target = bridge_target(&bridge);
        target.tls.encrypt = encrypt;
        let mut session = Dialer::new(target, None).unwrap().dial().await.unwrap();
        assert_eq!(session.info().encrypted, encrypted);
        assert_eq!(session.info().identity, "SQL login bridge");
        for (id, name) in [(2, "Grace"), (1, "Ada")] {
            let sql = format!("SELECT name FROM people WHERE id = {id}");
            let answer = query(&mut session, &sql).await;
            let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert!(answer.windows(wide.len()).any(|part| part == wide));
        }
    }
}

#[tokio::test]
async fn pysqlbridge_refuses_a_wrong_password() {
    let Some(bridge) = pysqlbridge().await else {
        return;
    };
    let mut target = bridge_target(&bridge);
    target.auth = Auth::SqlPassword {
        user: "bridge".to_owned(),
        password: Secret::new("wrong"),
    };
    let error = Dialer::new(target, None).unwrap().dial().await.unwrap_err();
    assert!(error.is_auth() && !error.is_transient());
    assert_eq!(
        error.server_error().map(|message| message.number),
        Some(18456)
    );
    let DialError::Login { source, .. } = &error else {
        panic!("{error}")
    };
    assert!(matches!(
        **source,
        LoginError::Rejected {
            by_token: false,
            ..
        }
    ));
    assert!(error.advice().unwrap().contains("password"));
}
