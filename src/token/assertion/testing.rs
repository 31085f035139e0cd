//! Doubles for the tests of assertions.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::super::error::FetchError;
use super::super::http::Transport;
use super::super::testing::{Answer, ScriptedHttp};
use super::super::{Environment, Sources};
use super::{AssertionError, AssertionSource, Exchange};
use crate::causes::chain;
use crate::secret::Secret;

/// A JWT with that subject, which ends in so many seconds; its signature is no real one.
pub(crate) fn jwt(lifetime: i64, subject: &str) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let end = i64::try_from(now.as_secs()).unwrap() + lifetime;
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(format!(
        r#"{{"iss":"https://issuer.example","sub":"{subject}","aud":"{AUDIENCE}","exp":{end}}}"#
    ));
    format!("{header}.{payload}.c2lnbmF0dXJl")
}

/// Sources whose requests are answered from a script, those to this machine and
/// those to the internet alike.
pub(super) fn sources(pairs: &[(&str, &str)], script: Vec<Answer>) -> (Sources, Arc<ScriptedHttp>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let mut sources = Sources::new(Environment::from_pairs(pairs.iter().copied()));
    sources.internet = Arc::clone(&http) as Arc<dyn Transport>;
    sources.local = Arc::clone(&http) as Arc<dyn Transport>;
    (sources, http)
}

pub(super) async fn ask(source: &dyn AssertionSource) -> Result<Secret, FetchError> {
    let url = Url::parse("https://login.example/t/oauth2/v2.0/token").unwrap();
    let exchange = Exchange {
        token_endpoint: &url,
        client_id: "client",
        audience: AUDIENCE,
    };
    source.assertion(&exchange).await
}

/// An error with all its causes on one line, as the command line prints it.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let text = chain(error);
    assert!(!text.contains("MARKER"), "{text}");
    text
}

/// What an issuer's endpoint failed with.
pub(super) fn of_issuer(error: &FetchError) -> &FetchError {
    match error {
        FetchError::Assertion {
            reason: AssertionError::Issuer(reason),
            ..
        } => reason,
        other => panic!("no issuer's error: {other:?}"),
    }
}

/// Why a source gives nothing, which shows no secret.
async fn failure<S: AssertionSource>(source: &S) -> FetchError {
    let error = ask(source).await.unwrap_err();
    told(&error);
    assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
    error
}

/// Answers that are no assertion are each told for what they are, whatever
/// source it is that reads the field.
pub(super) async fn tells_bad_answers_apart<S: AssertionSource>(
    field: &str,
    make: impl Fn(Vec<Answer>) -> S,
) {
    let with = async |answers| failure(&make(answers)).await;
    for body in ["<html>MARKER</html>", "", "{\"", "MARKER"] {
        let error = with(vec![Answer::json(200, body)]).await;
        let named = matches!(
            of_issuer(&error),
            FetchError::NotATokenEndpoint { status: 200, .. }
        );
        assert!(named, "{body}: {error:?}");
    }
    for value in ["7", "null", "{}"] {
        let body = format!(r#"{{"{field}":{value},"other":"MARKER"}}"#);
        let error = with(vec![Answer::json(200, body)]).await;
        assert!(
            matches!(of_issuer(&error), FetchError::Malformed { .. }),
            "{error:?}"
        );
    }
    let error = with(vec![Answer::json(200, r#"{"other":"MARKER"}"#)]).await;
    assert!(
        matches!(of_issuer(&error), FetchError::Malformed { .. }),
        "{error:?}"
    );
    let error = with(vec![Answer::json(
        200,
        format!(r#"{{"{field}":"MARKER"}}"#),
    )])
    .await;
    assert!(told(&error).contains("no signed JWT"), "{error:?}");
    let body = format!(r#"{{"{field}":"{}"}}"#, jwt(-120, "MARKER"));
    let error = with(vec![Answer::json(200, body)]).await;
    assert!(told(&error).contains("ended 2 min ago"), "{error:?}");
}

/// Failures on the way, and refusals, are told apart by whether to ask again,
/// whatever source it is.
pub(super) async fn tells_failures_apart<S: AssertionSource>(
    field: &str,
    make: impl Fn(Vec<Answer>) -> S,
) {
    let with = async |answers| failure(&make(answers)).await;
    let error = with(vec![Answer::TooLarge]).await;
    assert!(
        matches!(of_issuer(&error), FetchError::TooLarge { .. }),
        "{error:?}"
    );
    let error = with(vec![Answer::TimedOut; 9]).await;
    assert!(
        matches!(of_issuer(&error).last(), FetchError::Timeout { .. }),
        "{error:?}"
    );
    assert!(error.is_transient());
    let error = with(vec![Answer::Refused; 9]).await;
    assert!(
        matches!(of_issuer(&error).last(), FetchError::Connect { .. }),
        "{error:?}"
    );

    for status in [301, 302, 307, 308, 400, 401, 403, 404] {
        let error = with(vec![Answer::json(status, "<html>MARKER</html>")]).await;
        assert!(
            matches!(of_issuer(&error), FetchError::Refused { .. }),
            "{error:?}"
        );
        assert!(!error.is_transient());
    }
    let error = with(vec![Answer::retry_after(429, 100)]).await;
    assert_eq!(
        error.retry_after(),
        Some(Duration::from_secs(100)),
        "{error:?}"
    );
    let mut answers = vec![Answer::status(500), Answer::status(503)];
    answers.push(Answer::json(
        200,
        format!(r#"{{"{field}":"{}"}}"#, jwt(60, "s")),
    ));
    ask(&make(answers)).await.unwrap();
}

pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";
