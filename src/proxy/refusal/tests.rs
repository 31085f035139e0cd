use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::dial::{RoutingError, Step, TcpError, TlsError, WireError};
use crate::tds::FeatureId;

const IDENTITY: &str = "managed identity app";

fn server() -> String {
    "db.example.com".to_owned()
}

fn rejected(number: i32, by_token: bool) -> DialError {
    let mut message = ServerMessage::new(number, 7, 14, "Said by the server.\n");
    message.server = "db".to_owned();
    DialError::Login {
        server: server(),
        source: Box::new(LoginError::Rejected {
            message,
            others: vec![ServerMessage::new(4060, 1, 11, "Said, too.")],
            by_token,
        }),
    }
}

fn login(source: LoginError) -> DialError {
    DialError::Login {
        server: server(),
        source: Box::new(source),
    }
}

fn refusal(dial: DialError) -> Refusal {
    let lease = LeaseError::Dial {
        target: "orders".to_owned(),
        source: Arc::new(dial),
    };
    of_lease(&lease, IDENTITY)
}

#[test]
fn what_the_server_said_comes_with_its_own_number() {
    for (number, by_token, expected) in [
        (18456, true, "not at fault"),
        (18456, false, "not the client's"),
        (40613, true, "cannot log in to `db.example.com`"),
        (4060, true, "check its name"),
        (40615, true, "firewall rule"),
    ] {
        let refusal = refusal(rejected(number, by_token));
        let ServerMessage {
            number: told,
            state,
            class,
            message,
            ..
        } = &refusal.error;
        assert_eq!((*told, *state, *class), (number, 7, 14));
        assert!(message.starts_with("Said by the server. [Entrada, target `orders`"));
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.contains(IDENTITY), number == 18456);
        assert_eq!(refusal.others[0].message, "Said, too.");
    }
}

#[test]
fn it_does_not_matter_how_deep_the_servers_words_are() {
    let gave_up = DialError::GaveUp {
        server: server(),
        tries: 3,
        source: Arc::new(rejected(40613, true)),
    };
    let timeout = DialError::Timeout {
        server: server(),
        limit: Duration::from_secs(15),
        step: Step::Pause,
        waited: Duration::from_secs(2),
        addresses: Vec::new(),
        earlier: Some(Arc::new(rejected(40613, true))),
    };
    for (dial, expected) in [(gave_up, "3 tries"), (timeout, "within 15s")] {
        let error = refusal(dial).error;
        assert_eq!((error.number, error.state), (40613, 7));
        assert!(error.message.contains(expected), "{}", error.message);
    }
}

#[test]
fn where_the_server_said_nothing_the_number_tells_what_failed() {
    let io = || Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let cases = [
        (
            DialError::Tcp {
                server: server(),
                source: TcpError::NoAddress { host: server() },
            },
            UNREACHABLE,
        ),
        (
            DialError::Timeout {
                server: server(),
                limit: Duration::from_secs(15),
                step: Step::Login,
                waited: Duration::from_secs(9),
                addresses: Vec::new(),
                earlier: None,
            },
            TIMED_OUT,
        ),
        (DialError::NoTokenSource { server: server() }, LOGIN_FAILED),
        (login(LoginError::TokenNotAcknowledged), LOGIN_FAILED),
        (login(LoginError::Wire(WireError::Io(io()))), BROKEN),
        (login(LoginError::Wire(WireError::Closed)), BROKEN),
        (
            login(LoginError::UnaskedFeature(FeatureId::JSONSUPPORT)),
            SETTING,
        ),
        (
            DialError::Tls {
                server: server(),
                source: TlsError::NotPinned,
            },
            SETTING,
        ),
        (
            DialError::Routing {
                server: server(),
                source: RoutingError::NoPort,
            },
            SETTING,
        ),
    ];
    for (dial, number) in cases {
        let (outermost, advice) = (dial.to_string(), dial.advice());
        let gave_up = DialError::GaveUp {
            server: server(),
            tries: 2,
            source: Arc::new(dial.clone()),
        };
        for dial in [dial, gave_up] {
            let error = refusal(dial).error;
            assert_eq!(error.number, number, "{}", error.message);
            assert!(error.is_error() && !error.is_fatal());
            assert!(error.message.contains("target `orders`"));
            assert!(error.message.contains(&outermost), "{}", error.message);
            assert!(error.message.contains(advice.unwrap_or_default()));
        }
    }
}

#[test]
fn no_text_is_longer_than_clients_show_or_steers_them() {
    let message = ServerMessage::new(50_001, 1, 16, "\u{1b}[2J".to_owned() + &"x".repeat(9000));
    let dial = login(LoginError::Rejected {
        message: message.clone(),
        others: vec![message; 40],
        by_token: false,
    });
    let refusal = refusal(dial);
    assert_eq!(refusal.error.message.chars().count(), LONGEST + 1);
    assert!(!refusal.error.message.contains('\u{1b}'));
    assert_eq!(refusal.others.len(), 8);
    let texts = refusal.others.iter().map(|other| other.message.len());
    assert!(texts.max() < Some(2 * LONGEST));
}

#[test]
fn a_full_or_paused_pool_is_told_as_what_it_is() {
    let closed = LeaseError::Closed {
        target: "orders".to_owned(),
    };
    let paused = LeaseError::Paused {
        target: "orders".to_owned(),
        waited: Duration::from_secs(3),
    };
    for (lease, number) in [(closed, SHUTTING_DOWN), (paused, UNAVAILABLE)] {
        let error = of_lease(&lease, IDENTITY).error;
        assert_eq!(error.number, number);
        assert!(error.message.ends_with(&lease.to_string()));
    }
}
