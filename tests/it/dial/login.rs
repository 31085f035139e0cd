//! Logins that succeed, each in its way.

use entrada::dial::LoginProfile;
use entrada::session::Session;
use entrada::target::Encrypt;
use entrada::tds::{
    Encryption, Feature, FeatureId, FedAuth, TdsVersion, Token, option_flags2, option_flags3,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

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

#[tokio::test]
async fn a_password_over_an_encrypted_login_only() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            conn.prelogin(Encryption::OFF, None).await.unwrap();
            conn.tls_in_prelogin(&config).await.unwrap();
            let login = conn.login_in_two_parts().await.unwrap();
            conn.tokens(&granted(&login)).await.unwrap();
            let question = conn.message().await.unwrap();
            conn.answer(&question.payload).await.unwrap();
            (login, conn.seen)
        }
    })
    .await;
    // Nobody vouches for the certificate: the login alone hides, and proves nothing.
    let mut target = sql_target(server.address.port(), &certificates);
    target.tls.extra_roots.clear();
    target.tls.encrypt = Encrypt::Optional;
    let mut profile = LoginProfile::default();
    profile.application_name = Some("MARKED-APPLICATION".to_owned());
    profile.features = vec![Feature::new(FeatureId::USERAGENT, [b'u'; 6000])];
    let dialer = Dialer::new(target, None).unwrap();
    let session = dialer.dial_with(&profile).await.unwrap();
    assert!(!session.info().encrypted);
    assert!(session.info().token_expires.is_none());
    echo(session).await;
    let (login, seen) = server.outcomes().await.remove(0);
    assert_eq!(login.user_name, "sa");
    assert_eq!(login.password.expose(), "MARKED-PASSWORD");
    assert_eq!(
        login.feature(FeatureId::USERAGENT).unwrap().data,
        [b'u'; 6000]
    );
    assert!(holds(&seen, "uuuu"), "the second packet is not encrypted");
    assert_eq!(login.app_name, "MARKED-APPLICATION");
    assert!(!holds(&seen, "MARKED-APPLICATION"), "the first packet is");
}

#[tokio::test]
async fn a_password_without_any_encryption_if_that_is_wanted() {
    let certificates = localhost();
    let server = FakeServer::start(1, move |_, mut conn| async move {
        let asked = conn.prelogin(Encryption::NOT_SUP, None).await.unwrap();
        let login = conn.login().await.unwrap();
        conn.tokens(&granted(&login)).await.unwrap();
        (asked, login)
    })
    .await;
    let mut target = sql_target(server.address.port(), &certificates);
    target.tls.encrypt = Encrypt::Disable;
    Dialer::new(target, None).unwrap().dial().await.unwrap();
    let (asked, login) = server.outcomes().await.remove(0);
    assert_eq!(asked.encryption, Encryption::NOT_SUP);
    assert_eq!(asked.fed_auth_required, None);
    assert!(login.feature(FeatureId::FEDAUTH).is_none());
}

#[tokio::test]
async fn a_token_longer_than_a_packet() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let login = conn.until_login(&config).await.unwrap();
            conn.tokens(&granted(&login)).await.unwrap();
            login
        }
    })
    .await;
    let long = "x".repeat(20_000);
    let source = FixedToken::from_secret(Secret::new(long.clone()));
    let slot = TokenSlot::new(Arc::new(source), Resource::new(RESOURCE));
    let target = target(server.address.port(), &certificates);
    Dialer::new(target, Some(slot))
        .unwrap()
        .dial()
        .await
        .unwrap();
    let login = server.outcomes().await.remove(0);
    let fed_auth = FedAuth::from_feature(login.feature(FeatureId::FEDAUTH).unwrap()).unwrap();
    assert!(matches!(fed_auth, FedAuth::SecurityToken { token, .. } if token.expose() == long));
}

#[tokio::test]
async fn a_profile_speaks_for_its_client() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let login = conn.until_login(&config).await.unwrap();
            let mut tokens = granted(&login);
            let utf8 = Feature::new(FeatureId::UTF8_SUPPORT, [1]);
            tokens.insert(0, Token::FeatureExtAck(vec![utf8]));
            conn.tokens(&tokens).await.unwrap();
            login
        }
    })
    .await;
    let mut profile = LoginProfile::default();
    profile.application_name = Some("legacy".to_owned());
    profile.host_name = Some("ws1".to_owned());
    profile.library_name = Some("jTDS".to_owned());
    profile.language = Some("Deutsch".to_owned());
    profile.database = Some("other".to_owned());
    profile.packet_size = Some(1 << 20);
    profile.read_only = Some(true);
    profile.option_flags2 = Some(option_flags2::INTEGRATED_SECURITY);
    profile.option_flags3 = Some(option_flags3::CHANGE_PASSWORD);
    profile.features = vec![
        Feature::new(FeatureId::FEDAUTH, [0xff]),
        Feature::new(FeatureId::UTF8_SUPPORT, []),
    ];
    let target = target(server.address.port(), &certificates);
    let session = dialer(target).dial_with(&profile).await.unwrap();
    assert_eq!(session.info().packet_size, 16_383);
    let login = server.outcomes().await.remove(0);
    assert_eq!(login.app_name, "legacy");
    assert_eq!(login.host_name, "ws1");
    assert_eq!(login.library_name, "jTDS");
    assert_eq!(login.language, "Deutsch");
    assert_eq!(login.database, "other");
    assert!(login.is_read_only());
    assert_eq!(login.option_flags2, 0);
    assert_eq!(login.option_flags3, option_flags3::EXTENSION);
    let ids: Vec<_> = login.features.iter().map(|feature| feature.id).collect();
    let wanted = [
        FeatureId::FEDAUTH,
        FeatureId::UTF8_SUPPORT,
        FeatureId::ENHANCEDROUTINGSUPPORT,
    ];
    assert_eq!(ids, wanted);
    assert!(FedAuth::from_feature(&login.features[0]).is_ok());
}

#[tokio::test]
async fn a_named_instance_is_found_by_sql_browser() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let asked = conn.prelogin(Encryption::ON, Some(1)).await.unwrap();
            conn.tls_in_prelogin(&config).await.unwrap();
            let login = conn.login().await.unwrap();
            conn.tokens(&granted(&login)).await.unwrap();
            (asked, login)
        }
    })
    .await;
    let browser = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let browser_port = browser.local_addr().unwrap().port();
    let port = server.address.port();
    tokio::spawn(async move {
        let mut request = [0; 64];
        let (_, peer) = browser.recv_from(&mut request).await.unwrap();
        let text = format!("ServerName;H;InstanceName;SALES;IsClustered;No;tcp;{port};;");
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        let answer = [&[5], &length[..], text.as_bytes()].concat();
        browser.send_to(&answer, peer).await.unwrap();
    });
    let mut target = target(0, &certificates);
    target.server = Server::with_instance("localhost", "sales");
    let dialer = dialer(target).with_browser_port(browser_port);
    let session = dialer.dial().await.unwrap();
    assert!(session.info().endpoint.ends_with(&format!(":{port}")));
    let (asked, login) = server.outcomes().await.remove(0);
    assert_eq!(asked.instance_name(), Some(b"sales".as_slice()));
    assert_eq!(login.server_name, "localhost\\sales");
}

/// Whether the bytes hold the text, in either width.
fn holds(bytes: &[u8], text: &str) -> bool {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    has(text.as_bytes()) || has(&wide)
}
