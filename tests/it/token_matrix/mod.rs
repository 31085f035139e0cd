//! Every source that speaks HTTP, by every kind of reply: each gives its secret,
//! or an error that says who failed, where, and what to do.

pub(crate) mod double;
pub(crate) mod sources;

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use double::{Action, Answer, Asked, Double, Trap};
use sources::{Failure, Files, GIVEN, Kind, OTHER, Place, Row, rows};

/// In everything that is secret, and in everything that is not to be repeated.
pub(crate) const MARKER: &str = "Zq7MarkerZq7";

/// A reply of the endpoint that a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Good,
    Echo,
    Empty,
    Expired,
    Html,
    Malformed,
    NotAnObject,
    Oversized,
    Redirect,
    Stall,
    Unrelated,
    WrongIdentity,
}

impl Case {
    /// Whether the endpoint can reply so at all.
    pub(crate) fn concerns(self, row: &Row) -> bool {
        match self {
            Self::WrongIdentity => row.echoes && row.kind != Kind::Challenge,
            // What a challenge or a vault's secret is does not depend on the time.
            Self::Expired => !matches!(
                row.kind,
                Kind::Challenge | Kind::Vault | Kind::VaultChallenge
            ),
            _ => true,
        }
    }

    fn reply(self, row: &Row, asked: &Asked, place: &Place<'_>, trap: u16) -> Action {
        let ok = |body: String| Answer::new(200, body);
        Action::Answer(match self {
            Self::Good => row.success(MARKER, place),
            Self::Echo => {
                let secret = |line: &&str| line.contains(MARKER) || line.contains("eyJ");
                let lines = asked.head.lines().chain([&*asked.body]);
                let said: Vec<_> = lines.filter(secret).collect();
                let said = format!("cannot make sense of {}", said.join(", "));
                let body = json!({"error": "invalid_request", "error_description": said});
                Answer::new(400, body.to_string())
            }
            Self::Empty => ok(String::new()),
            Self::Expired => ok(row.good(MARKER, -600)),
            Self::Html => ok(format!("<html><p>Sign in, {MARKER}</html>")),
            Self::Malformed => ok(row.good(MARKER, 3600).replace('}', "")),
            Self::NotAnObject => ok(format!("[\"{MARKER}\"]")),
            Self::Oversized => {
                let padding = "x".repeat(1 << 20);
                ok(row.good(MARKER, 3600).replacen(
                    '{',
                    &format!("{{\"padding\":\"{padding}\","),
                    1,
                ))
            }
            Self::Redirect => {
                let scheme = if is_tls(row) { "https" } else { "http" };
                let to = format!("{scheme}://localhost:{trap}/?{MARKER}");
                Answer::new(307, row.good(MARKER, 3600)).with("location", to)
            }
            Self::Stall => return Action::Stall,
            Self::Unrelated => ok(format!("{{\"hello\": \"{MARKER}\"}}")),
            Self::WrongIdentity => ok(row.reply_for(OTHER, MARKER, 3600)),
        })
    }
}

fn is_tls(row: &Row) -> bool {
    row.name == "Service Fabric" || row.path.contains("oauth2/v2.0") || row.path == "/secrets/db"
}

/// The endpoint of a row, which replies so, and all that is beside it.
pub(crate) async fn double(row: Row, case: Case, files: &Arc<Files>, target: u16) -> Double {
    let files = Arc::clone(files);
    Double::start(move |asked| {
        let place = Place {
            port: 0,
            marker: MARKER,
            files: &files,
        };
        match row.beside(asked, &place) {
            Some(answer) => Action::Answer(answer),
            None => case.reply(&row, asked, &place, target),
        }
    })
    .await
}

/// Asks a row's source, whose endpoint replies so.
async fn ask(row: Row, case: Case, files: Arc<Files>) -> Result<(), String> {
    let trap = Trap::set();
    let double = double(row, case, &files, trap.port()).await;
    let place = Place {
        port: double.port,
        marker: MARKER,
        files: &files,
    };
    if case == Case::Stall {
        return stalled(&row, &place, &double).await;
    }
    let outcome = row.ask(&place).await;
    if trap.is_sprung() {
        return Err("followed the redirect".to_owned());
    }
    match outcome {
        Ok(secret) if case == Case::Good => gave(&row, &secret, &double),
        Ok(_) => Err("took it for a success".to_owned()),
        Err(failure) if case == Case::Good => Err(failure.text()),
        Err(failure) => says_enough(&row, &failure, double.port),
    }
}

/// A caller that waits no longer drops the future, and the request ends with it.
async fn stalled(row: &Row, place: &Place<'_>, double: &Double) -> Result<(), String> {
    tokio::select! {
        outcome = row.ask(place) => return Err(format!("did not wait: {outcome:?}")),
        () = double.stalled() => {}
    }
    double.hung_up().await;
    Ok(())
}

fn gave(row: &Row, secret: &str, double: &Double) -> Result<(), String> {
    let (expected, sent) = match row.kind {
        Kind::Token | Kind::Vault => (MARKER, true),
        Kind::Challenge | Kind::VaultChallenge => (GIVEN, true),
        // It was exchanged.
        Kind::Assertion(_) | Kind::IdentityAssertion => {
            let exchanged = |asked: &Asked| asked.body.contains(MARKER);
            (GIVEN, double.seen().iter().any(exchanged))
        }
    };
    match sent && secret.ends_with(expected) {
        true => Ok(()),
        false => Err(format!("{secret}, {:?}", double.seen())),
    }
}

fn says_enough(row: &Row, failure: &Failure, port: u16) -> Result<(), String> {
    let (text, debug) = (failure.text(), format!("{failure:?} {failure:#?}"));
    let told = format!("{text} {}", failure.authority());
    // Its name is its host.
    let is_vault = matches!(row.kind, Kind::Vault | Kind::VaultChallenge);
    let hosts = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}"));
    let problem = if text.contains(MARKER) || debug.contains(MARKER) {
        "tells a secret"
    } else if !text.contains(row.name) {
        "does not name the source"
    } else if !is_vault && !hosts.iter().any(|host| told.contains(host)) {
        "does not name the endpoint"
    } else if !ADVICE.iter().any(|word| text.contains(word)) {
        "does not say what to do"
    } else {
        return Ok(());
    };
    Err(format!("{problem}: {text}"))
}

/// How sentences begin that say what to do.
const ADVICE: [&str; 5] = ["check ", "correct ", "give ", "set ", "update "];

async fn every_source(case: Case) {
    let files = Arc::new(Files::write(MARKER));
    let rows: Vec<_> = rows()
        .into_iter()
        .filter(|row| case.concerns(row))
        .collect();
    assert!(rows.len() > 5, "{case:?}");
    let asked = rows.iter().map(|row| ask(*row, case, Arc::clone(&files)));
    let problems = join_all(asked).await.into_iter().zip(&rows);
    let problems: Vec<_> = problems
        .filter_map(|(outcome, row)| {
            Some(format!("{} ({:?}): {}", row.name, row.kind, outcome.err()?))
        })
        .collect();
    assert!(problems.is_empty(), "{case:?}\n{}", problems.join("\n"));
}

#[tokio::test]
async fn every_source_gives_its_secret() {
    every_source(Case::Good).await;
}

#[tokio::test]
async fn every_source_keeps_to_itself_what_an_endpoint_repeats() {
    every_source(Case::Echo).await;
}

#[tokio::test]
async fn every_source_refuses_nothing_at_all() {
    every_source(Case::Empty).await;
}

#[tokio::test]
async fn every_source_refuses_what_has_ended() {
    every_source(Case::Expired).await;
}

#[tokio::test]
async fn every_source_refuses_a_page() {
    every_source(Case::Html).await;
}

#[tokio::test]
async fn every_source_refuses_what_breaks_off() {
    every_source(Case::Malformed).await;
}

#[tokio::test]
async fn every_source_refuses_json_that_is_no_object() {
    every_source(Case::NotAnObject).await;
}

#[tokio::test]
async fn every_source_refuses_what_is_too_large() {
    every_source(Case::Oversized).await;
}

#[tokio::test]
async fn every_source_follows_no_redirect() {
    every_source(Case::Redirect).await;
}

#[tokio::test]
async fn every_source_ends_with_its_caller_when_the_endpoint_is_silent() {
    every_source(Case::Stall).await;
}

#[tokio::test]
async fn every_source_refuses_what_has_no_token() {
    every_source(Case::Unrelated).await;
}

#[tokio::test]
async fn every_source_refuses_another_identity() {
    every_source(Case::WrongIdentity).await;
}
