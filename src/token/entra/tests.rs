//! Logins of applications against scripted replies.

use std::sync::atomic::AtomicUsize;

use base64::Engine as _;
use tokio::time::Instant;

use super::super::testing::{Answer, ScriptedHttp};
use super::super::{AccessToken, Environment};
use super::*;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "99999999-8888-7777-6666-555555555555";
const SECRET: &str = "MARKER~+/&= ü";

fn resource() -> Resource {
    Resource::new("https://database.windows.net/")
}

fn app(credential: AppCredential, script: Vec<Answer>) -> (EntraApp, Arc<ScriptedHttp>) {
    let http = Arc::new(ScriptedHttp::new(script));
    let mut sources = Sources::new(Environment::from_pairs::<String, String>([]));
    sources.internet = Arc::clone(&http) as Arc<dyn Transport>;
    let app = EntraApp::new(&sources, &Cloud::Public, Some(TENANT), CLIENT, credential);
    (app.unwrap(), http)
}

fn with_secret(script: Vec<Answer>) -> (EntraApp, Arc<ScriptedHttp>) {
    app(AppCredential::Secret(Secret::new(SECRET)), script)
}

async fn fetch(script: Vec<Answer>) -> Result<AccessToken, FetchError> {
    with_secret(script).0.token(&resource()).await
}

fn token() -> Answer {
    let body = r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":9999,"access_token":"eyJ","refresh_in":1800}"#;
    Answer::json(200, body)
}

fn refusal(status: u16, error: &str, code: u32) -> Answer {
    let body = serde_json::json!({
        "error": error, "error_codes": [code],
        "error_description": format!("AADSTS{code}: It is so. Trace ID: 1-2"),
        "trace_id": "1-2", "correlation_id": "3-4", "timestamp": "2026-01-02 03:04:05Z",
    });
    Answer::json(status, body.to_string())
}

/// Assertions that are numbered, with the claims that errors show.
#[derive(Debug, Default)]
struct Numbered {
    given: AtomicUsize,
    stale: bool,
}

#[async_trait]
impl AssertionSource for Numbered {
    async fn assertion(&self, exchange: &Exchange<'_>) -> Result<Secret, FetchError> {
        assert_eq!(exchange.client_id, CLIENT);
        assert_eq!(exchange.audience, "api://AzureADTokenExchange");
        let number = self.given.fetch_add(1, Ordering::SeqCst);
        let claims = r#"{"iss":"https://the.issuer","sub":"the subject","aud":"the audience"}"#;
        let claims = URL_SAFE_NO_PAD.encode(claims);
        Ok(Secret::new(format!("e30.{claims}.MARKER{number}")))
    }

    fn describe(&self) -> String {
        "the test".to_owned()
    }

    fn renews(&self) -> bool {
        !self.stale
    }
}

fn with_assertion(stale: bool, script: Vec<Answer>) -> (EntraApp, Arc<ScriptedHttp>) {
    let source = Numbered {
        stale,
        ..Numbered::default()
    };
    app(AppCredential::Assertion(Arc::new(source)), script)
}

fn bodies(http: &ScriptedHttp) -> Vec<String> {
    let seen = http.seen();
    let body = |request: &HttpRequest| request.body.as_ref().unwrap().expose().to_owned();
    seen.iter().map(|(_, request)| body(request)).collect()
}

#[tokio::test]
async fn the_request_is_exact_and_the_reply_is_read() {
    let (app, http) = with_secret(vec![token()]);
    let token = app.token(&resource()).await.unwrap();
    let (remaining, refresh) = (token.remaining(), token.refresh_at() - token.obtained_at());
    assert_eq!((token.secret().expose(), refresh.as_secs()), ("eyJ", 1800));
    assert!(
        (3590..=3599).contains(&remaining.as_secs()),
        "{remaining:?}"
    );
    let (_, request) = &http.seen()[0];
    assert_eq!(
        request.url.as_str(),
        format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token")
    );
    assert_eq!(
        request.body.as_ref().unwrap().expose(),
        format!(
            "grant_type=client_credentials&client_id={CLIENT}\
             &scope=https%3A%2F%2Fdatabase.windows.net%2F%2F.default\
             &client_secret=MARKER~%2B%2F%26%3D%20%C3%BC"
        )
    );
    let header = |name| {
        let found = request.headers.iter().find(|(header, _)| *header == name);
        found.map(|(_, value)| value.expose().to_owned()).unwrap()
    };
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(header("return-client-request-id"), "true");
    assert!(Uuid::try_parse(&header("client-request-id")).is_ok());
    assert!(!format!("{app:?} {request:?}").contains("MARKER"));
}

#[tokio::test]
async fn an_assertion_takes_the_secrets_place() {
    let (app, http) = with_assertion(false, vec![token(), token()]);
    app.token(&resource()).await.unwrap();
    app.token(&resource()).await.unwrap();
    let bodies = bodies(&http);
    let kind =
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    assert!(bodies[0].contains(kind), "{}", bodies[0]);
    assert!(!bodies[0].contains("client_secret"));
    assert!(bodies[0].ends_with("MARKER0") && bodies[1].ends_with("MARKER1"));
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_what_support_asks_for() {
    let script = vec![refusal(401, "invalid_client", 7_000_222)];
    let error = fetch(script).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Entra gave no token: status 401, invalid_client, \"AADSTS7000222: It is so.\" \
         (correlation id 3-4, trace id 1-2, at 2026-01-02 03:04:05Z); the client secret has \
         expired; make a new one, or better a federated credential, which needs none"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn the_request_id_is_told_even_if_only_a_header_has_it() {
    let script = Answer::json(401, r#"{"error":"invalid_client"}"#);
    let error = fetch(vec![script.with_header("client-request-id", "5-6")]).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("correlation id 5-6"), "{error}");
}

#[tokio::test]
async fn a_secrets_id_is_recognised() {
    let wrong = || vec![refusal(401, "invalid_client", WRONG_SECRET)];
    let error = fetch(wrong()).await.unwrap_err().to_string();
    assert!(!error.contains("looks like"), "{error}");
    let (app, _) = app(AppCredential::Secret(Secret::new(TENANT)), wrong());
    let error = app.token(&resource()).await.unwrap_err().to_string();
    assert!(error.contains("looks like a secret's id"), "{error}");
    assert!(!error.contains(TENANT), "{error}");
}

#[tokio::test]
async fn a_mismatch_shows_what_the_assertion_says() {
    for code in [70_021, 700_211, 700_212, 700_213] {
        let (app, http) = with_assertion(false, vec![refusal(401, "invalid_client", code)]);
        let error = app.token(&resource()).await.unwrap_err();
        let text = error.to_string();
        for part in [
            "the test",
            "issuer \"https://the.issuer\"",
            "subject \"the subject\"",
            "audience \"the audience\"",
            "\"api://AzureADTokenExchange\"",
        ] {
            assert!(text.contains(part), "{code}: {text}");
        }
        assert!(!format!("{text} {error:?}").contains("MARKER"), "{text}");
        // Nobody may wait for minutes who waits for a login.
        assert_eq!(http.seen().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_federated_credential_is_waited_for_in_the_background_only() {
    let start = Instant::now();
    let (app, http) = with_assertion(false, vec![refusal(401, "invalid_client", 70_021); 100]);
    let fetched = IN_BACKGROUND.scope((), app.token(&resource())).await;
    let error = fetched.unwrap_err();
    assert!(
        matches!(error, FetchError::GaveUp { .. }) && error.is_transient(),
        "{error:?}"
    );
    assert!(
        (115..=125).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
    // Each try has an assertion of its own.
    let bodies = bodies(&http);
    assert!(
        bodies.len() > 10
            && bodies
                .last()
                .unwrap()
                .ends_with(&format!("MARKER{}", bodies.len() - 1))
    );
    let mut script = vec![refusal(401, "invalid_client", 70_021); 2];
    script.push(token());
    let (app, _) = with_assertion(false, script);
    assert!(
        IN_BACKGROUND
            .scope((), app.token(&resource()))
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn an_ended_assertion_is_replaced_once_and_at_once() {
    let ended = || refusal(401, "invalid_client", 700_024);
    let start = Instant::now();
    let (app, http) = with_assertion(false, vec![ended(), token()]);
    assert!(app.token(&resource()).await.is_ok());
    let sent = bodies(&http);
    assert!(sent[1].ends_with("MARKER1") && start.elapsed().is_zero());
    let (app, http) = with_assertion(false, vec![ended(); 3]);
    assert!(app.token(&resource()).await.is_err());
    assert_eq!(http.seen().len(), 2);
    // The same text would end the same way.
    let (app, http) = with_assertion(true, vec![ended(); 2]);
    assert!(app.token(&resource()).await.is_err());
    assert_eq!(http.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn throttling_holds_identical_requests_back() {
    let (app, http) = with_secret(vec![Answer::retry_after(429, 300), token(), token()]);
    let start = Instant::now();
    let error = app.token(&resource()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(300)));
    assert!(error.is_transient(), "{error}");
    // Not even sent.
    let error = app.token(&resource()).await.unwrap_err();
    assert!(matches!(error, FetchError::Throttled { .. }), "{error:?}");
    assert_eq!((http.seen().len(), start.elapsed()), (1, Duration::ZERO));
    // What is asked for something else is not identical.
    app.token(&Resource::new("https://vault.azure.net"))
        .await
        .unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    // The last minute of it is waited out.
    tokio::time::advance(Duration::from_secs(250)).await;
    app.token(&resource()).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 300);
}

#[tokio::test(start_paused = true)]
async fn those_with_a_deadline_see_what_is_waited_for() {
    let trouble = retry::Trouble::default();
    let (app, _) = with_secret(vec![Answer::retry_after(429, 60), token()]);
    let wanted = resource();
    let fetch = retry::TROUBLE.scope(Arc::clone(&trouble), app.token(&wanted));
    assert!(
        tokio::time::timeout(Duration::from_secs(15), fetch)
            .await
            .is_err()
    );
    let seen = trouble.lock().unwrap().clone().unwrap();
    assert_eq!(seen.retry_after(), Some(Duration::from_secs(60)));
    assert!(seen.to_string().contains("status 429"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_entras_json_is_named() {
    let html = "<html>MARKER</html>";
    let unavailable = fetch(vec![Answer::json(503, html); 4]).await.unwrap_err();
    assert!(
        matches!(unavailable.last(), FetchError::Unavailable { .. }) && unavailable.is_transient()
    );
    let throttled = fetch(vec![Answer::json(429, html)]).await.unwrap_err();
    assert!(
        matches!(throttled, FetchError::Throttled { .. }),
        "{throttled:?}"
    );
    for status in [200, 302, 400, 401, 403, 404] {
        let error = fetch(vec![Answer::json(status, html)]).await.unwrap_err();
        assert!(
            matches!(error, FetchError::NotATokenEndpoint { .. }),
            "{status}: {error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("MARKER"));
    }
    let none = fetch(vec![Answer::json(200, r#"{"expires_in":1}"#)])
        .await
        .unwrap_err();
    assert!(matches!(none, FetchError::Malformed { .. }), "{none:?}");
    let large = fetch(vec![Answer::TooLarge]).await.unwrap_err();
    assert!(matches!(large, FetchError::TooLarge { .. }), "{large:?}");
}

#[test]
fn a_key_tells_everything_apart_and_no_secret() {
    let sources =
        |pairs: &[(&str, &str)]| Sources::new(Environment::from_pairs(pairs.iter().copied()));
    let key = |sources: &Sources, tenant, client, secret: &str| {
        let credential = AppCredential::Secret(Secret::new(secret));
        let app = EntraApp::new(sources, &Cloud::Public, Some(tenant), client, credential);
        app.unwrap().key("k")
    };
    let (plain, other) = (
        sources(&[]),
        sources(&[("AZURE_AUTHORITY_HOST", "login.windows.net")]),
    );
    let base = key(&plain, TENANT, CLIENT, "MARKER");
    assert_eq!(base, key(&plain, TENANT, CLIENT, "MARKER"));
    for different in [
        key(&plain, "contoso.com", CLIENT, "MARKER"),
        key(&plain, TENANT, "other", "MARKER"),
        key(&plain, TENANT, CLIENT, "MARKER2"),
        key(&other, TENANT, CLIENT, "MARKER"),
    ] {
        assert_ne!(base, different);
    }
    assert!(!format!("{base} {base:?}").contains("MARKER"));
}
