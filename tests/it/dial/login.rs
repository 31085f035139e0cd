//! Logins that succeed, each in its way.

use entrada::session::Session;
use entrada::target::Encrypt;
use entrada::tds::{Encryption, FeatureId, FedAuth, TdsVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::support::fake_server::{FakeServer, granted, packets};

async fn echo(mut session: Session) {
    let stream = session.stream_mut();
    stream.write_all(&packets(b"question")).await.unwrap();
    let mut answer = vec![0; packets(b"question").len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, packets(b"question"));
}

#[tokio::test]
async fn a_token_over_tls_inside_prelogin() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let login = conn.until_login(&config).await.unwrap();
            conn.tokens(&granted(&login)).await.unwrap();
            let question = conn.message().await.unwrap();
            conn.answer(&question.payload).await.unwrap();
            (login, conn.seen)
        }
    })
    .await;
    let session = dialer(target(server.address.port(), &certificates))
        .dial()
        .await
        .unwrap();
    let info = session.info().clone();
    assert_eq!(info.database, "app");
    assert_eq!(info.language, "us_english");
    assert_eq!(info.collation, [9, 4, 208, 0, 52]);
    assert_eq!(info.tds_version, TdsVersion::V7_4);
    assert_eq!(info.packet_size, 8000);
    assert_eq!(info.server, "localhost");
    assert!(info.encrypted && info.token_expires.is_some());
    echo(session).await;

    let (login, seen) = server.outcomes().await.remove(0);
    assert_eq!(login.database, "app");
    assert_eq!(login.server_name, "localhost");
    assert!(login.user_name.is_empty() && login.password.is_empty());
    let feature = login.feature(FeatureId::FEDAUTH).unwrap();
    let FedAuth::SecurityToken { echo, token, nonce } = FedAuth::from_feature(feature).unwrap()
    else {
        panic!("another library")
    };
    assert!(echo && nonce.is_none());
    assert_eq!(token.expose(), TOKEN);
    assert!(!holds(&seen, TOKEN));
}

#[tokio::test]
async fn a_token_over_strict_tls() {
    let certificates = localhost();
    let config = tls_strict(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let protocol = conn.tls_first(&config).await.unwrap();
            conn.prelogin(Encryption::ON, None).await.unwrap();
            let login = conn.login().await.unwrap();
            conn.tokens(&granted(&login)).await.unwrap();
            let question = conn.message().await.unwrap();
            conn.answer(&question.payload).await.unwrap();
            (protocol, login)
        }
    })
    .await;
    let mut target = target(server.address.port(), &certificates);
    target.tls.encrypt = Encrypt::Strict;
    let session = dialer(target).dial().await.unwrap();
    assert!(session.info().encrypted);
    echo(session).await;
    let (protocol, login) = server.outcomes().await.remove(0);
    assert_eq!(protocol.as_deref(), Some(b"tds/8.0".as_slice()));
    assert_eq!(login.tds_version, TdsVersion::V8_0);
    let fed_auth = FedAuth::from_feature(login.feature(FeatureId::FEDAUTH).unwrap()).unwrap();
    assert!(!fed_auth.echo());
}

/// Whether the bytes hold the text, in either width.
fn holds(bytes: &[u8], text: &str) -> bool {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    has(text.as_bytes()) || has(&wide)
}
