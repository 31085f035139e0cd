//! Managed identity over real HTTP: what is sent, and what each answer means.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use entrada::dial::Dialer;
use entrada::target::{Auth, Cloud, Identity, Target};
use entrada::token::{
    AccessToken, Environment, FetchError, ManagedIdentity, Resource, TokenCache, TokenError,
    source_for,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::{any, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

/// Points the instance metadata service at an address on loopback.
fn vm(address: &str) -> Environment {
    Environment::from_pairs([("AZURE_POD_IDENTITY_AUTHORITY_HOST", address)])
}

fn app(address: &str) -> Environment {
    let endpoint = format!("{address}/msi/token?app=1");
    Environment::from_pairs([
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", "MARKER-header"),
    ])
}

async fn ask(identity: Identity, env: &Environment) -> Result<AccessToken, TokenError> {
    let source = source_for(&Auth::ManagedIdentity(identity), &Cloud::Public, env).unwrap();
    source.token(&Resource::from(Cloud::Public)).await
}

async fn ask_answered(template: ResponseTemplate) -> Result<AccessToken, TokenError> {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(template)
        .mount(&server)
        .await;
    ask(Identity::SystemAssigned, &vm(&server.uri())).await
}

fn token() -> Value {
    json!({
        "access_token": "eyJ", "refresh_token": "", "expires_in": "86399", "resource": "r",
        "expires_on": epoch(86399).to_string(), "not_before": "1", "token_type": "Bearer",
    })
}

fn epoch(from_now: u64) -> u64 {
    std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs()
        + from_now
}

#[tokio::test]
async fn imds_is_asked_as_its_documentation_says() {
    for (identity, selector) in [
        (Identity::SystemAssigned, None),
        (
            Identity::ClientId(CLIENT.into()),
            Some(("client_id", CLIENT)),
        ),
        (Identity::ObjectId("o".into()), Some(("object_id", "o"))),
        (
            Identity::ResourceId("/subscriptions/s".into()),
            Some(("msi_res_id", "/subscriptions/s")),
        ),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/metadata/identity/oauth2/token"))
            .and(header("metadata", "true"))
            .and(query_param("api-version", "2018-02-01"))
            .and(query_param("resource", "https://database.windows.net/"))
            .respond_with(ResponseTemplate::new(200).set_body_json(token()))
            .expect(1)
            .mount(&server)
            .await;
        let token = ask(identity, &vm(&server.uri())).await.unwrap();
        assert_eq!(token.secret().expose(), "eyJ");
        let left = token.remaining().as_secs();
        assert!((86390..=86399).contains(&left), "{left}");
        let request = &server.received_requests().await.unwrap()[0];
        let pairs: Vec<_> = request.url.query_pairs().skip(2).collect();
        let expected: Vec<_> = selector
            .map(|(n, v)| (n.into(), v.into()))
            .into_iter()
            .collect();
        assert_eq!(pairs, expected);
        for name in ["x-forwarded-for", "x-identity-header", "authorization"] {
            assert!(!request.headers.contains_key(name), "{name} was sent");
        }
    }
}

#[tokio::test]
async fn app_service_is_asked_as_its_documentation_says() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/msi/token"))
        .and(header("x-identity-header", "MARKER-header"))
        .and(query_param("app", "1"))
        .and(query_param("api-version", "2019-08-01"))
        .and(query_param("resource", "https://database.windows.net/"))
        .and(query_param("mi_res_id", "/r"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "access_token": "eyJ", "expires_on": epoch(3600), "client_id": CLIENT,
        })))
        .expect(1)
        .mount(&server)
        .await;
    let token = ask(Identity::ResourceId("/r".into()), &app(&server.uri()))
        .await
        .unwrap();
    assert!(token.remaining() > Duration::from_secs(3590));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_secret() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_json(token()))
        .expect(0)
        .mount(&other)
        .await;
    let redirect = ResponseTemplate::new(302).insert_header("location", other.uri());
    Mock::given(any())
        .respond_with(redirect)
        .mount(&server)
        .await;
    let error = ask(Identity::SystemAssigned, &app(&server.uri()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.reason(),
            Some(FetchError::NotATokenEndpoint { status: 302, .. })
        ),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("MARKER"));
}

#[tokio::test]
async fn an_identity_that_is_not_there_is_named() {
    let body = json!({"error": "invalid_request", "error_description": "Identity not found"});
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(400).set_body_json(body))
        .mount(&server)
        .await;
    let error = ask(Identity::ClientId(CLIENT.into()), &vm(&server.uri()))
        .await
        .unwrap_err();
    let reason = error.reason().unwrap();
    assert!(
        matches!(reason, FetchError::IdentityNotFound { .. }),
        "{error:?}"
    );
    assert!(reason.to_string().contains(CLIENT), "{reason}");
    assert!(
        error.to_string().contains("IMDS (client id 1111"),
        "{error}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn what_is_not_json_or_too_large_is_no_token_endpoint() {
    let html =
        ResponseTemplate::new(200).set_body_string("<html>Sign in to the hotel's network</html>");
    let error = ask_answered(html).await.unwrap_err();
    assert!(
        matches!(
            error.reason(),
            Some(FetchError::NotATokenEndpoint { status: 200, .. })
        ),
        "{error:?}"
    );
    let mut body = token();
    body["padding"] = "x".repeat(1 << 20).into();
    let error = ask_answered(ResponseTemplate::new(200).set_body_json(body))
        .await
        .unwrap_err();
    assert!(
        matches!(error.reason(), Some(FetchError::TooLarge { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_long_retry_after_is_reported_rather_than_sat_out() {
    let throttled = ResponseTemplate::new(429)
        .insert_header("retry-after", "120")
        .set_body_json(json!({}));
    let error = ask_answered(throttled).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_tried_again() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = tokio::spawn(async move {
        let body = token().to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        // The first reply is cut short, the second is whole.
        for part in [&body[..10], &body[..]] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            socket
                .write_all(format!("{head}{part}").as_bytes())
                .await
                .unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    let token = ask(Identity::SystemAssigned, &vm(&address)).await.unwrap();
    assert_eq!(token.secret().expose(), "eyJ");
    endpoint.await.unwrap();
}

#[tokio::test]
async fn many_sessions_make_one_request() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200)
        .set_body_json(token())
        .set_delay(Duration::from_millis(50));
    Mock::given(any())
        .respond_with(slow)
        .expect(1)
        .mount(&server)
        .await;
    let source =
        ManagedIdentity::new(Identity::ClientId(CLIENT.into()), &vm(&server.uri())).unwrap();
    let slot = TokenCache::new().slot(Arc::new(source), Cloud::Public);
    let asked = futures_util::future::join_all((0..1000).map(|_| slot.get())).await;
    assert!(asked.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_default_chain_finds_a_virtual_machine() {
    let server = MockServer::start().await;
    Mock::given(query_param("client_id", CLIENT))
        .respond_with(ResponseTemplate::new(200).set_body_json(token()))
        .expect(1)
        .mount(&server)
        .await;
    let auth = Auth::Default {
        client_id: Some(CLIENT.into()),
    };
    let source = source_for(&auth, &Cloud::Public, &vm(&server.uri())).unwrap();
    source.token(&Resource::from(Cloud::Public)).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_cannot_wait_learns_what_is_wrong() {
    let server = MockServer::start().await;
    let (asked, mut asks) = tokio::sync::mpsc::unbounded_channel();
    let busy = move |_: &wiremock::Request| {
        let _ = asked.send(());
        ResponseTemplate::new(503).set_body_json(json!({"error": "busy"}))
    };
    Mock::given(any()).respond_with(busy).mount(&server).await;
    let source = ManagedIdentity::new(Identity::SystemAssigned, &vm(&server.uri())).unwrap();
    let slot = TokenCache::new().slot(Arc::new(source), Cloud::Public);
    assert!(slot.trouble().is_none());
    // The second request shows that the first one's failure has been noted.
    let second_try = async {
        asks.recv().await;
        asks.recv().await;
    };
    tokio::select! {
        answer = slot.get() => panic!("{answer:?}"),
        () = second_try => {}
    }
    let trouble = slot.trouble().unwrap();
    assert!(
        matches!(trouble.reason(), Some(FetchError::Unavailable { .. })),
        "{trouble:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_that_ran_out_of_time_for_its_token_says_why() {
    // Nothing listens on port 1, and the retries outlast the login's 15 seconds.
    let source = ManagedIdentity::new(Identity::SystemAssigned, &vm("http://127.0.0.1:1")).unwrap();
    let slot = TokenCache::new().slot(Arc::new(source), Cloud::Public);
    let conn = "Server=app.database.windows.net;Authentication=Active Directory MSI";
    let dialer = Dialer::new(Target::parse(conn).unwrap(), Some(slot)).unwrap();
    let error = dialer.dial().await.unwrap_err();
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    assert!(
        said[0].contains("15") && said[0].contains("token"),
        "{said:#?}"
    );
    assert!(
        said.iter()
            .any(|cause| cause.contains("cannot connect to http://127.0.0.1:1/")),
        "{said:#?}"
    );
}
