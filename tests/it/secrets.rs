//! No secret is seen: every public type that holds one is formatted, and the text searched.

use std::fmt::Debug;
use std::time::Duration;

use entrada::Secret;
use entrada::conn_string::{ConnectionString, Dialect};
use entrada::dial::DialError;
use entrada::target::{AssertionFrom, Auth, Server, Target};
use entrada::tds::{FedAuth, FedAuthToken, Login7};
use entrada::token::{AccessToken, Environment, FixedToken, TokenCache, TokenSource};

/// Long enough to be found in any form, and nothing else has it.
const MARKER: &str = "Zq7MarkerZq7";

#[test]
fn debug_shows_no_secret() {
    let secret = || Secret::new(MARKER);
    let token = || AccessToken::new(MARKER, Duration::from_secs(3600));
    let login = Login7 {
        password: secret(),
        change_password: secret(),
        features: vec![fed_auth().to_feature().unwrap()],
        ..Login7::default()
    };
    let sql = Auth::SqlPassword {
        user: "u".to_owned(),
        password: secret(),
    };
    let env = Environment::from_pairs([("IDENTITY_HEADER", MARKER)]);
    let given = std::sync::Arc::new(FixedToken::new(token()));
    let slot = TokenCache::new().slot(given.clone(), entrada::target::Cloud::Public);

    hides(&secret());
    hides(&token());
    hides(&login);
    hides(&fed_auth());
    hides(&fed_auth().to_feature().unwrap());
    hides(&FedAuthToken {
        token: secret(),
        nonce: None,
    });
    hides(&Target::new(Server::new("h"), sql));
    hides(&Target::new(Server::new("h"), Auth::AccessToken(secret())));
    hides(&env);
    hides(&given.key());
    hides(&given);
    hides(&slot);
}

#[test]
fn sources_of_assertions_show_no_secret() {
    let url = |url: String| AssertionFrom::Url {
        url,
        headers: vec![("x-key".to_owned(), Secret::new(MARKER))],
        pointer: None,
        post: false,
    };
    hides(&url(format!(
        "https://u:{MARKER}@h/p?code={MARKER}#{MARKER}"
    )));
    hides(&url(format!("https://h/p?code=@{MARKER}")));
    let argv = vec!["/bin/program".to_owned(), MARKER.to_owned()];
    hides(&AssertionFrom::Command { argv });
}

#[test]
fn connection_strings_show_no_secret() {
    for (dialect, text) in [
        (
            Dialect::AdoNet,
            format!("Server=h;User ID=u;Password={MARKER}"),
        ),
        (
            Dialect::Odbc,
            format!("Driver=x;Server=h;UID=u;PWD={{{MARKER}}}"),
        ),
        (
            Dialect::Jdbc,
            format!("jdbc:sqlserver://h;user=u;password={MARKER}"),
        ),
        (Dialect::SqlServerUrl, format!("sqlserver://u:{MARKER}@h")),
    ] {
        let parsed = ConnectionString::parse_as(&text, dialect).unwrap();
        hides(&parsed);
        hides(&Target::parse(&text).unwrap());
    }
}

#[test]
fn errors_of_broken_strings_show_no_secret() {
    let broken = [
        format!("Server=h;User ID=u;Password={MARKER}'"),
        format!("Server=h;User ID=u;Password='{MARKER}"),
        format!("Server=h;User ID=u;Password={MARKER};Encrypt=perhaps"),
        format!("Server=h;User ID=u;Password='{MARKER}'{MARKER}"),
        format!("Server=h;Password={MARKER};Authentication=Active Directory Default"),
        format!("Driver=x;Server=h;UID=u;PWD={{{MARKER}"),
        format!("Driver=x;Server=h;UID=u;PWD={{{MARKER}}}{MARKER};Encrypt=no"),
        format!("jdbc:sqlserver://h;user=u;password={{{MARKER}"),
        format!("jdbc:sqlserver://h;user=u;password={{{MARKER}}}{MARKER}"),
        format!("sqlserver://u:{MARKER}@h:99999"),
        format!("sqlserver://u:{MARKER}@h?password={MARKER}"),
        format!("sqlserver://u:{MARKER}%zz@h"),
    ];
    for text in &broken {
        match Target::parse(text) {
            Ok(target) => hides(&target),
            Err(error) => {
                hides(&error);
                assert!(!chain(&error).contains(MARKER), "{}", chain(&error));
            }
        }
    }
}

#[test]
fn errors_can_be_shared_and_sent() {
    fn sendable<T: std::error::Error + Send + Sync + 'static>() {}
    sendable::<entrada::Error>();
    sendable::<DialError>();
    sendable::<entrada::pool::PoolError>();
    sendable::<entrada::token::TokenError>();
}

fn fed_auth() -> FedAuth {
    FedAuth::SecurityToken {
        echo: true,
        token: Secret::new(MARKER),
        nonce: None,
    }
}

/// Neither as text nor as the numbers of its bytes, in UTF-8 or UTF-16.
fn hides(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!text.contains(MARKER), "{text}");
        let squeezed: String = text.split_whitespace().collect();
        let utf8 = format!("{:?}", MARKER.as_bytes()).replace(' ', "");
        let utf16: Vec<u8> = MARKER.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16 = format!("{utf16:?}").replace(' ', "");
        for bytes in [utf8, utf16] {
            let inner = bytes.trim_matches(['[', ']']).to_owned();
            assert!(!squeezed.contains(&inner), "{text}");
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
