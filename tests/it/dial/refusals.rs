//! Servers that say no, or not here: refusals, retries and redirects.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};

use entrada::dial::{DialError, FedAuthFlow, LoginError, RoutingError, TlsError};
use entrada::tds::{
    DoneStatus, EnvChange, FeatureId, FedAuth, FedAuthInfo, FedAuthToken, PacketType, Routing,
    ServerMessage, Token,
};
use entrada::token::{AccessToken, CallbackToken};

use super::*;
use crate::support::fake_server::{FakeServer, done, granted, refused};

/// Serves logins: the nth is refused with the nth number, 0 grants.
async fn serving(certificates: &Certificates, numbers: &'static [i32]) -> FakeServer<String> {
    let config = tls12(certificates);
    FakeServer::start(numbers.len(), move |count, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let login = conn.until_login(&config).await.unwrap();
            let answer = match numbers[count] {
                0 => granted(&login),
                number => refused(number, "no"),
            };
            conn.tokens(&answer).await.unwrap();
            conn.until_closed().await;
            token_of(&login)
        }
    })
    .await
}

fn token_of(login: &entrada::tds::Login7) -> String {
    let feature = login.feature(FeatureId::FEDAUTH).unwrap();
    match FedAuth::from_feature(feature).unwrap() {
        FedAuth::SecurityToken { token, .. } => token.expose().to_owned(),
        _ => String::new(),
    }
}

fn impatient(port: u16, certificates: &Certificates, retries: u8) -> Target {
    let mut target = target(port, certificates);
    target.limits.connect_retry_count = retries;
    target.limits.connect_retry_interval = Duration::from_millis(10);
    target
}

/// A slot whose source gives `token-1`, `token-2` and so on.
fn counting_slot() -> TokenSlot {
    let calls = AtomicUsize::new(0);
    let source = CallbackToken::new(move |_| {
        let number = calls.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            let token = format!("token-{number}");
            Ok::<_, std::io::Error>(AccessToken::new(token, Duration::from_secs(3600)))
        }
    });
    TokenSlot::new(Arc::new(source), Resource::new(RESOURCE))
}

#[tokio::test]
async fn a_passing_error_is_tried_again() {
    let certificates = localhost();
    let server = serving(&certificates, &[40613, 40197, 0]).await;
    let target = impatient(server.address.port(), &certificates, 2);
    let session = dialer(target).dial().await.unwrap();
    drop(session);
    assert_eq!(server.outcomes().await.len(), 3);
}

#[tokio::test]
async fn the_retries_come_to_an_end() {
    let certificates = localhost();
    let server = serving(&certificates, &[40613, 40613]).await;
    let target = impatient(server.address.port(), &certificates, 1);
    let error = dialer(target).dial().await.unwrap_err();
    assert!(matches!(error, DialError::GaveUp { tries: 2, .. }));
    assert!(error.is_transient() && !error.is_auth());
    assert_eq!(error.server_error().map(|m| m.number), Some(40613));
    assert_eq!(server.outcomes().await.len(), 2);
}

#[tokio::test]
async fn a_lasting_error_is_not_tried_again() {
    for (number, advice) in [
        (40615, "firewall"),
        (40532, "server's name"),
        (40914, "network rule"),
    ] {
        let certificates = localhost();
        let config = tls12(&certificates);
        let server = FakeServer::start(9, move |_, mut conn| {
            let config = Arc::clone(&config);
            async move {
                conn.until_login(&config).await.unwrap();
                conn.tokens(&refused(number, "no")).await.unwrap();
            }
        })
        .await;
        let target = impatient(server.address.port(), &certificates, 3);
        let error = dialer(target).dial().await.unwrap_err();
        assert!(matches!(error, DialError::Login { .. }), "{error:?}");
        assert!(
            error.advice().unwrap().contains(advice),
            "{:?}",
            error.advice()
        );
        server.stop();
    }
}

#[tokio::test]
async fn a_time_out_tells_the_earlier_failure() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(2, move |count, mut conn| {
        let config = Arc::clone(&config);
        async move {
            conn.until_login(&config).await.unwrap();
            if count == 0 {
                conn.tokens(&refused(40613, "moving")).await.unwrap();
            }
            conn.until_closed().await;
        }
    })
    .await;
    let mut target = impatient(server.address.port(), &certificates, 5);
    target.limits.connect_timeout = Some(SOON * 4);
    let error = dialer(target).dial().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.server_error().map(|m| m.number), Some(40613));
    assert!(
        error
            .source()
            .unwrap()
            .source()
            .unwrap()
            .to_string()
            .contains("moving")
    );
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let certificates = localhost();
    let server = serving(&certificates, &[18456, 0]).await;
    let target = target(server.address.port(), &certificates);
    let dialer = Dialer::new(target, Some(counting_slot())).unwrap();
    drop(dialer.dial().await.unwrap());
    assert_eq!(server.outcomes().await, ["token-1", "token-2"]);

    let server = serving(&certificates, &[18456, 18456]).await;
    let target = super::target(server.address.port(), &certificates);
    let dialer = Dialer::new(target, Some(counting_slot())).unwrap();
    let error = dialer.dial().await.unwrap_err();
    assert!(error.is_auth() && !error.is_transient());
    assert!(error.advice().unwrap().contains("CREATE USER"));
    assert_eq!(server.outcomes().await, ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_refusal_is_told_in_time_when_no_other_token_comes() {
    let certificates = localhost();
    let server = serving(&certificates, &[18456]).await;
    let asked = AtomicUsize::new(0);
    let source = CallbackToken::new(move |_| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if !first {
                std::future::pending::<()>().await;
            }
            Ok::<_, std::io::Error>(AccessToken::new(TOKEN, Duration::from_secs(3600)))
        }
    });
    let mut target = target(server.address.port(), &certificates);
    target.limits.connect_timeout = Some(Duration::from_secs(2));
    let slot = TokenSlot::new(Arc::new(source), target.cloud);
    let error = Dialer::new(target, Some(slot)).unwrap().dial().await;
    let error = error.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    assert_eq!(error.server_error().map(|m| m.number), Some(18456));
}

#[tokio::test]
async fn a_limit_beyond_the_clock_is_none() {
    let certificates = localhost();
    let server = serving(&certificates, &[0]).await;
    let mut target = target(server.address.port(), &certificates);
    target.limits.connect_timeout = Some(Duration::MAX);
    dialer(target).dial().await.unwrap();
}

#[tokio::test]
async fn the_same_token_is_not_offered_twice() {
    let certificates = localhost();
    let server = serving(&certificates, &[18456]).await;
    let target = target(server.address.port(), &certificates);
    let error = dialer(target).dial().await.unwrap_err();
    assert_eq!(error.server_error().map(|m| m.number), Some(18456));
    assert_eq!(server.outcomes().await, [TOKEN]);
}

#[tokio::test]
async fn the_telling_error_comes_first() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            conn.until_login(&config).await.unwrap();
            let error = |number, text| Token::Error(ServerMessage::new(number, 1, 14, text));
            let tokens = [
                error(18456, "Login failed."),
                error(4060, "Cannot open database."),
                done(DoneStatus::ERROR),
            ];
            conn.tokens(&tokens).await.unwrap();
            conn.until_closed().await;
        }
    })
    .await;
    let target = target(server.address.port(), &certificates);
    let error = dialer(target).dial().await.unwrap_err();
    assert_eq!(error.server_error().map(|m| m.number), Some(4060));
    let text = error.source().unwrap().to_string();
    assert!(
        text.contains("Cannot open database. (4060") && text.contains("(18456"),
        "{text}"
    );
}

fn route(server: &str, port: u16, database: Option<&str>) -> Vec<Token> {
    let routing = Routing {
        protocol: 0,
        port,
        server: server.to_owned(),
        database: database.map(str::to_owned),
    };
    let mut tokens = granted(&entrada::tds::Login7::default());
    let last = tokens.len() - 1;
    tokens.insert(last, Token::EnvChange(EnvChange::Routing(routing)));
    tokens
}

#[tokio::test]
async fn a_redirect_is_followed() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let goal = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let login = conn.until_login(&config).await.unwrap();
            conn.tokens(&granted(&login)).await.unwrap();
            login
        }
    })
    .await;
    let (config, port) = (tls12(&certificates), goal.address.port());
    let gate = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            conn.until_login(&config).await.unwrap();
            let answer = route("localhost\\node7", port, Some("moved"));
            conn.tokens(&answer).await.unwrap();
            conn.until_closed().await;
        }
    })
    .await;
    let target = target(gate.address.port(), &certificates);
    let session = dialer(target).dial().await.unwrap();
    assert_eq!(session.info().redirects, 1);
    assert_eq!(session.info().database, "moved");
    assert!(session.info().endpoint.ends_with(&format!(":{port}")));
    let login = goal.outcomes().await.remove(0);
    assert_eq!(login.server_name, format!("localhost\\node7,{port}"));
    assert_eq!(login.database, "moved");
    assert_eq!(token_of(&login), TOKEN);
    gate.outcomes().await;
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(11, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let here = conn.port();
            conn.until_login(&config).await.unwrap();
            let answer = route("localhost", here, None);
            conn.tokens(&answer).await.unwrap();
        }
    })
    .await;
    let target = target(server.address.port(), &certificates);
    let error = dialer(target).dial().await.unwrap_err();
    assert!(matches!(
        error,
        DialError::Routing {
            source: RoutingError::TooMany { .. },
            ..
        }
    ));
    assert_eq!(server.outcomes().await.len(), 11);
}

#[tokio::test]
async fn the_routed_host_must_prove_itself() {
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(2, move |count, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let here = conn.port();
            if count == 0 {
                conn.until_login(&config).await.unwrap();
                // The certificate holds the name, and not this address.
                let answer = route("127.0.0.1", here, None);
                conn.tokens(&answer).await.unwrap();
            } else {
                assert!(conn.until_login(&config).await.is_err());
            }
        }
    })
    .await;
    let target = target(server.address.port(), &certificates);
    let error = dialer(target).dial().await.unwrap_err();
    let DialError::Tls {
        source: TlsError::WrongName {
            expected,
            presented,
        },
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(expected, "127.0.0.1");
    assert!(presented.iter().any(|name| name.contains("localhost")));
    server.outcomes().await;
}

/// A server that asks for the token by FEDAUTHINFO, for this resource.
async fn asking_for(certificates: &Certificates, spn: &'static str) -> FakeServer<Option<String>> {
    let config = tls12(certificates);
    FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            let login = conn.until_login(&config).await.unwrap();
            let info = FedAuthInfo {
                sts_url: "https://login.microsoftonline.com/tenant".to_owned(),
                spn: spn.to_owned(),
            };
            conn.tokens(&[Token::FedAuthInfo(info)]).await.unwrap();
            let message = conn.message().await.ok()?;
            assert_eq!(message.packet_type, PacketType::FEDAUTH_TOKEN);
            conn.tokens(&granted(&login)).await.unwrap();
            let token = FedAuthToken::decode(&message.payload).unwrap();
            Some(token.token.expose().to_owned())
        }
    })
    .await
}

#[tokio::test]
async fn a_server_may_ask_for_the_token() {
    let certificates = localhost();
    for flow in [FedAuthFlow::SecurityToken, FedAuthFlow::Adal] {
        // With and without the slash it is the same resource.
        for spn in [RESOURCE, "https://database.windows.net"] {
            let server = asking_for(&certificates, spn).await;
            let target = target(server.address.port(), &certificates);
            let dialer = dialer(target).with_fed_auth_flow(flow);
            drop(dialer.dial().await.unwrap());
            assert_eq!(server.outcomes().await, [Some(TOKEN.to_owned())]);
        }
    }
}

#[tokio::test]
async fn a_token_is_for_one_resource_only() {
    let certificates = localhost();
    let server = asking_for(&certificates, "https://vault.azure.net").await;
    let target = target(server.address.port(), &certificates);
    let dialer = dialer(target).with_fed_auth_flow(FedAuthFlow::Adal);
    let error = dialer.dial().await.unwrap_err();
    assert!(error.is_auth());
    let DialError::Login { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**source, LoginError::Resource { .. }));
    assert_eq!(server.outcomes().await, [None]);
}

#[tokio::test]
async fn a_password_login_has_no_token_to_give() {
    let certificates = localhost();
    let server = asking_for(&certificates, RESOURCE).await;
    let target = sql_target(server.address.port(), &certificates);
    let error = Dialer::new(target, None).unwrap().dial().await.unwrap_err();
    let DialError::Login { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**source, LoginError::UnaskedFedAuthInfo));
}
