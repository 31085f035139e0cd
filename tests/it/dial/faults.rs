//! Everything that can go wrong on the wire: each ends in an error that names
//! it, within the deadline.

use entrada::dial::{DialError, LoginError, PreloginError, Step, TcpError, TlsError, WireError};
use entrada::tds::{DoneStatus, Encryption, EnvChange, Feature, FeatureId, TdsVersion, Token};
use entrada::token::{AccessToken, CallbackToken};
use std::io::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::support::fake_server::{Conn, FakeServer, done, encode, granted, packets, refused};

/// Where in a login a server misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Prelogin,
    Tls,
    Login,
}

const EVERYWHERE: [At; 3] = [At::Prelogin, At::Tls, At::Login];

/// Dials a server that behaves up to there and then does as told.
async fn dial_into<F, Fut>(at: At, misbehave: F) -> DialError
where
    F: Fn(Conn) -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = ()> + Send,
{
    dial_within(Duration::from_secs(15), at, misbehave).await
}

async fn dial_within<F, Fut>(limit: Duration, at: At, misbehave: F) -> DialError
where
    F: Fn(Conn) -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = ()> + Send,
{
    let certificates = localhost();
    let config = tls12(&certificates);
    let server = FakeServer::start(1, move |_, mut conn| {
        let config = Arc::clone(&config);
        async move {
            match at {
                At::Prelogin => drop(conn.message().await.unwrap()),
                At::Tls => {
                    conn.prelogin(Encryption::ON, Some(1)).await.unwrap();
                    conn.message().await.unwrap();
                }
                At::Login => drop(conn.until_login(&config).await.unwrap()),
            }
            misbehave(conn).await;
        }
    })
    .await;
    let mut target = target(server.address.port(), &certificates);
    target.limits.connect_timeout = Some(limit);
    let error = dialer(target).dial().await.unwrap_err();
    server.stop();
    error
}

/// The wire's share in an error of PRELOGIN or of the login.
fn wire(error: &DialError) -> &WireError {
    match error {
        DialError::Prelogin {
            source: PreloginError::Wire(wire),
            ..
        } => wire,
        DialError::Login { source, .. } => match &**source {
            LoginError::Wire(wire) => wire,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut target = target(address.port(), &localhost());
    target.server.name = "127.0.0.1".to_owned();
    let error = dialer(target).dial().await.unwrap_err();
    assert!(error.is_network() && error.is_transient() && !error.is_auth());
    let DialError::Tcp { source, .. } = &error else {
        panic!("{error:?}")
    };
    let text = source.to_string();
    assert!(matches!(source, TcpError::Unreachable { .. }));
    assert!(text.contains(&address.to_string()) && text.contains("nothing listens"));
}

#[tokio::test]
async fn an_unknown_name() {
    let mut target = target(1433, &localhost());
    target.server.name = "no-such-server.invalid".to_owned();
    let error = dialer(target).dial().await.unwrap_err();
    assert!(error.is_network());
    let resolve = TcpError::Resolve {
        host: "no-such-server.invalid".to_owned(),
        source: Arc::new(std::io::Error::other("")),
    };
    let DialError::Tcp { source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source.to_string(), resolve.to_string());
}

#[tokio::test]
async fn a_host_that_answers_nothing() {
    // A listener whose queue is full answers nothing, as a lost packet does.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = silent.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(socket)) = tokio::time::timeout(SOON, TcpStream::connect(address)).await {
        held.push(socket);
    }
    let mut target = target(address.port(), &localhost());
    target.server.name = "127.0.0.1".to_owned();
    target.limits.connect_timeout = Some(SOON);
    let error = dialer(target).dial().await.unwrap_err();
    assert!(error.is_timeout() && error.is_network());
    assert!(error.advice().unwrap().contains("firewall"));
    let text = error.to_string();
    assert!(
        text.contains("connecting") && text.contains(&address.to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn a_token_source_that_falls_silent() {
    let source = CallbackToken::new(|_| std::future::pending::<Result<AccessToken, Error>>());
    let slot = TokenSlot::new(Arc::new(source), Resource::new(RESOURCE));
    let mut target = target(1, &localhost());
    target.limits.connect_timeout = Some(SOON);
    let error = Dialer::new(target, Some(slot))
        .unwrap()
        .dial()
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        DialError::Timeout {
            step: Step::Token,
            ..
        }
    ));
}

#[tokio::test]
async fn a_token_source_that_fails() {
    let source = CallbackToken::new(|_| async { Err::<AccessToken, _>(Error::other("no vault")) });
    let slot = TokenSlot::new(Arc::new(source), Resource::new(RESOURCE));
    let dialer = Dialer::new(target(1, &localhost()), Some(slot)).unwrap();
    let error = dialer.dial().await.unwrap_err();
    assert!(matches!(error, DialError::Token { .. }));
    assert!(error.is_auth() && !error.is_transient() && !error.is_network());
}

#[tokio::test]
async fn a_server_that_falls_silent() {
    let silent = |at| {
        // Enough to get to the step on a busy machine.
        dial_within(SOON * 4, at, |conn| async move {
            std::future::pending::<()>().await;
            drop(conn);
        })
    };
    let (prelogin, tls, login) =
        tokio::join!(silent(At::Prelogin), silent(At::Tls), silent(At::Login));
    for (error, expected) in [
        (prelogin, Step::Prelogin),
        (tls, Step::Tls),
        (login, Step::Login),
    ] {
        assert!(error.is_timeout() && error.is_transient());
        let text = error.to_string();
        assert!(text.contains(&expected.to_string()), "{text}");
        assert!(matches!(error, DialError::Timeout { step, .. } if step == expected));
    }
}

#[tokio::test]
async fn a_server_that_closes() {
    for at in EVERYWHERE {
        let error = dial_into(at, |conn| async move { drop(conn) }).await;
        assert!(error.is_network() && error.is_transient(), "{error:?}");
        match at {
            At::Tls => assert!(matches!(
                error,
                DialError::Tls {
                    source: TlsError::Closed { .. },
                    ..
                }
            )),
            _ => assert!(matches!(wire(&error), WireError::Closed)),
        }
    }
}

#[tokio::test]
async fn a_server_that_closes_its_half() {
    for at in EVERYWHERE {
        let error = dial_into(at, |mut conn| async move {
            conn.half_close().await.unwrap();
            conn.until_closed().await;
        })
        .await;
        assert!(error.is_network() && error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_resets() {
    for at in EVERYWHERE {
        let error = dial_into(at, |conn| async move { conn.reset() }).await;
        assert!(error.is_network() && error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn garbage() {
    for at in EVERYWHERE {
        let error = dial_into(at, |mut conn| async move {
            let _ = conn.raw(&[0xA5; 64]).await;
            conn.until_closed().await;
        })
        .await;
        assert!(!error.is_timeout() && !error.is_transient(), "{error:?}");
        match at {
            At::Tls => assert!(matches!(
                error,
                DialError::Tls {
                    source: TlsError::Malformed { .. },
                    ..
                }
            )),
            _ => assert!(matches!(wire(&error), WireError::Unexpected { .. })),
        }
    }
}

#[tokio::test]
async fn a_web_server() {
    let error = dial_into(At::Prelogin, |mut conn| async move {
        let _ = conn.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let WireError::Foreign { what } = wire(&error) else {
        panic!("{error:?}")
    };
    assert_eq!(*what, "a web server");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_server_that_wants_tls_first() {
    let error = dial_into(At::Prelogin, |mut conn| async move {
        let _ = conn.raw(&[0x15, 3, 3, 0, 2, 2, 70, 0, 0, 0]).await;
    })
    .await;
    assert!(wire(&error).to_string().contains("Encrypt=strict"));
}

#[tokio::test]
async fn a_packet_cut_short() {
    for at in [At::Prelogin, At::Login] {
        let error = dial_into(at, |mut conn| async move {
            let whole = packets(&[1; 200]);
            let _ = conn.raw(&whole[..100]).await;
        })
        .await;
        assert!(matches!(wire(&error), WireError::CutShort), "{error:?}");
        assert!(error.is_network());
    }
}

#[tokio::test]
async fn a_length_beyond_reason() {
    for at in [At::Prelogin, At::Login] {
        let error = dial_into(at, |mut conn| async move {
            let _ = conn.raw(&[4, 1, 0xff, 0xff, 0, 0, 0, 0]).await;
            conn.until_closed().await;
        })
        .await;
        assert!(matches!(wire(&error), WireError::Malformed(_)), "{error:?}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn an_answer_without_end() {
    let error = dial_into(At::Login, |mut conn| async move {
        let packet = [&[4, 0, 0x10, 0, 0, 0, 0, 0][..], &[0xAB; 4088]].concat();
        while conn.raw(&packet).await.is_ok() {}
    })
    .await;
    assert!(matches!(wire(&error), WireError::Malformed(_)), "{error:?}");
}

/// The login's error when the server answers it with these tokens.
async fn answered_with(tokens: fn() -> Vec<Token>) -> LoginError {
    let error = dial_into(At::Login, move |mut conn| async move {
        conn.tokens(&tokens()).await.unwrap();
        conn.until_closed().await;
    })
    .await;
    match error {
        DialError::Login { source, .. } => *source,
        other => panic!("{other:?}"),
    }
}

fn granted_to_somebody() -> Vec<Token> {
    granted(&entrada::tds::Login7::default())
}

#[tokio::test]
async fn a_token_that_nobody_acknowledges() {
    let error = answered_with(granted_to_somebody).await;
    assert!(matches!(error, LoginError::TokenNotAcknowledged), "{error}");
}

#[tokio::test]
async fn a_feature_that_nobody_asked_for() {
    let error = answered_with(|| {
        let mut tokens = granted_to_somebody();
        let features = [FeatureId::FEDAUTH, FeatureId::JSONSUPPORT];
        let acks = features.map(|id| Feature::new(id, []));
        tokens.insert(0, Token::FeatureExtAck(acks.to_vec()));
        tokens
    })
    .await;
    assert!(matches!(
        error,
        LoginError::UnaskedFeature(FeatureId::JSONSUPPORT)
    ));
}

#[tokio::test]
async fn a_nonce_that_nobody_asked_for() {
    let error = answered_with(|| {
        let mut tokens = granted_to_somebody();
        let ack = Feature::new(FeatureId::FEDAUTH, [7; 32]);
        tokens.insert(0, Token::FeatureExtAck(vec![ack]));
        tokens
    })
    .await;
    assert!(matches!(error, LoginError::UnaskedNonce), "{error}");
}

#[tokio::test]
async fn an_answer_that_says_nothing() {
    let error = answered_with(|| vec![done(DoneStatus::FINAL)]).await;
    assert!(matches!(error, LoginError::NotAcknowledged), "{error}");
    let error = answered_with(|| {
        let mut tokens = granted_to_somebody();
        tokens.pop();
        tokens
    })
    .await;
    assert!(matches!(error, LoginError::NotDone), "{error}");
}

#[tokio::test]
async fn a_server_that_is_too_old_for_tokens() {
    let error = answered_with(|| {
        let mut tokens = granted_to_somebody();
        for token in &mut tokens {
            if let Token::LoginAck(ack) = token {
                ack.tds_version = TdsVersion::V7_3B;
            }
        }
        tokens
    })
    .await;
    assert!(matches!(
        error,
        LoginError::OldServer {
            granted: TdsVersion::V7_3B,
            ..
        }
    ));
}

#[tokio::test]
async fn packets_of_an_impossible_size() {
    let error = answered_with(|| {
        let mut tokens = granted_to_somebody();
        let ack = Feature::new(FeatureId::FEDAUTH, []);
        tokens.insert(0, Token::FeatureExtAck(vec![ack]));
        for token in &mut tokens {
            if let Token::EnvChange(EnvChange::PacketSize { new, .. }) = token {
                *new = 100;
            }
        }
        tokens
    })
    .await;
    assert!(matches!(error, LoginError::PacketSize(100)), "{error}");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense() {
    let error = dial_into(At::Login, |mut conn| async move {
        let mut payload = encode(&granted_to_somebody());
        payload.insert(0, 0x42);
        conn.answer(&payload).await.unwrap();
        conn.until_closed().await;
    })
    .await;
    let DialError::Login { source, .. } = error else {
        panic!("{error:?}")
    };
    assert!(matches!(*source, LoginError::Malformed(_)), "{source}");
}

#[tokio::test]
async fn settings_that_do_not_exist() {
    for (encryption, fed_auth) in [(Encryption(9), Some(1)), (Encryption::ON, Some(2))] {
        let certificates = localhost();
        let server = FakeServer::start(1, move |_, mut conn| async move {
            let _ = conn.prelogin(encryption, fed_auth).await;
            conn.until_closed().await
        })
        .await;
        let target = target(server.address.port(), &certificates);
        let error = dialer(target).dial().await.unwrap_err();
        assert!(matches!(error, DialError::Prelogin { .. }), "{error:?}");
        assert!(server.outcomes().await.remove(0).is_empty());
    }
}

#[tokio::test]
async fn a_greeting_that_makes_no_sense() {
    let error = dial_into(At::Prelogin, |mut conn| async move {
        // An option that lies outside of the message.
        conn.answer(&[0, 0, 200, 0, 6, 0xff]).await.unwrap();
        conn.until_closed().await;
    })
    .await;
    assert!(matches!(
        error,
        DialError::Prelogin {
            source: PreloginError::Malformed(_),
            ..
        }
    ));
}

#[tokio::test]
async fn no_secret_leaves_in_clear() {
    let certificates = localhost();
    for encryption in [Encryption::NOT_SUP, Encryption::OFF] {
        for by_token in [true, false] {
            let server = FakeServer::start(1, move |_, mut conn| async move {
                conn.prelogin(encryption, Some(1)).await.unwrap();
                conn.until_closed().await
            })
            .await;
            let port = server.address.port();
            let mut goal = target(port, &certificates);
            // Not honoured for a token, whatever the string says.
            goal.tls.encrypt = entrada::target::Encrypt::Optional;
            goal.tls.trust_server_certificate = true;
            let error = if by_token {
                dialer(goal).dial().await.unwrap_err()
            } else {
                let goal = sql_target(port, &certificates);
                Dialer::new(goal, None).unwrap().dial().await.unwrap_err()
            };
            assert!(matches!(
                error,
                DialError::Prelogin {
                    source: PreloginError::NoEncryption { .. },
                    ..
                }
            ));
            let after_prelogin = server.outcomes().await.remove(0);
            assert_eq!(after_prelogin, b"", "{encryption:?}");
        }
    }
}

#[tokio::test]
async fn a_server_text_is_shown_harmless_and_bounded() {
    let error = answered_with(|| {
        let text = format!("no\u{1b}[2J\nentry {}", "x".repeat(20_000));
        refused(18456, &text)
    })
    .await;
    let text = error.to_string();
    assert!(
        text.contains("\\u{1b}[2J entry") && text.len() < 2_000,
        "{text}"
    );
    assert!(!text.contains('\u{1b}') && !text.contains('\n'));
}
