//! `entrada token`, run as a program.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wiremock::matchers::{query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const CONN: &str =
    "Server=app.database.windows.net;Database=shop;Authentication=Active Directory MSI";

/// Runs `entrada token` in an environment that holds only where the metadata service is.
async fn run(address: String, args: &[&str]) -> Assert {
    let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command
            .env_clear()
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", address);
        command.arg("token").args(args).assert()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn jwt() -> String {
    let claims = json!({"aud": "https://database.windows.net/", "appid": "the-client", "exp": 4_102_444_800_u64});
    format!("e30.{}.MARKER", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Knows the system-assigned identity and none else.
async fn endpoint() -> MockServer {
    let server = MockServer::start().await;
    let token = json!({"access_token": jwt(), "expires_in": "86399"});
    Mock::given(query_param_is_missing("client_id"))
        .and(query_param("resource", "https://database.windows.net/"))
        .respond_with(ResponseTemplate::new(200).set_body_json(token))
        .mount(&server)
        .await;
    let unknown = json!({"error": "invalid_request", "error_description": "Identity not found"});
    Mock::given(query_param("client_id", "nobody"))
        .respond_with(ResponseTemplate::new(400).set_body_json(unknown))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn it_tells_where_the_token_is_from_and_not_the_token() {
    let server = endpoint().await;
    let done = run(server.uri(), &[CONN]).await.success();
    let text = stdout(&done);
    for part in [
        "IMDS",
        "system-assigned",
        "https://database.windows.net/",
        "in 23 h 59 min",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("the-client") && !text.contains("MARKER"),
        "{text}"
    );
    let with_claims = stdout(&run(server.uri(), &[CONN, "--claims"]).await.success());
    assert!(with_claims.contains("the-client") && with_claims.contains("2100-01-01T00:00:00Z"));
    assert!(!with_claims.contains("MARKER"), "{with_claims}");
}

#[tokio::test]
async fn json_is_one_document() {
    let server = endpoint().await;
    let done = run(server.uri(), &[CONN, "--claims", "--format", "json"])
        .await
        .success();
    let document: Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!(document["source"], "IMDS");
    assert_eq!(document["claims"]["appid"], "the-client");
    assert!((86000..=86399).contains(&document["expires_in"].as_u64().unwrap()));
    assert!(!stdout(&done).contains("MARKER"));
}

#[tokio::test]
async fn raw_prints_the_token_and_nothing_else() {
    let server = endpoint().await;
    let done = run(server.uri(), &[CONN, "--raw"]).await.success();
    assert_eq!(stdout(&done), format!("{}\n", jwt()));
    run(server.uri(), &[CONN, "--raw", "--claims"])
        .await
        .code(2);
}

#[tokio::test]
async fn failures_have_their_codes_and_name_what_to_do() {
    let server = endpoint().await;
    let nobody = format!("{CONN};User ID=nobody");
    let failed = run(server.uri(), &[&nobody]).await.code(3);
    let text = stderr(&failed);
    assert!(
        text.contains("client id nobody") && text.contains("assign"),
        "{text}"
    );
    assert_eq!(stdout(&failed), "");
    // Nothing listens on port 1; the retries would go on for half a minute.
    let hurried = format!("{CONN};Connect Timeout=1");
    let failed = run("http://127.0.0.1:1".into(), &[&hurried]).await.code(3);
    let text = stderr(&failed);
    assert!(
        text.contains("Connect Timeout") && text.contains("cannot connect"),
        "{text}"
    );
    run(server.uri(), &["Server=s;User ID=u;Password=MARKER"])
        .await
        .code(2);
    run(server.uri(), &["no connection string"]).await.code(2);
}

#[tokio::test]
async fn the_finest_log_holds_neither_token_nor_secret() {
    let server = endpoint().await;
    let address = server.uri();
    let run = move || {
        let mut command = Command::cargo_bin("entrada").unwrap();
        command
            .env_clear()
            .env("RUST_LOG", "trace")
            .env("IDENTITY_ENDPOINT", address)
            .env("IDENTITY_HEADER", "MARKED-HEADER");
        command.args(["token", CONN]).assert()
    };
    let done = tokio::task::spawn_blocking(run).await.unwrap().success();
    let log = stderr(&done);
    // The HTTP client's own lines are among them, by either way of logging.
    for part in ["token.fetch", "reqwest::connect", "hyper_util"] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    for secret in ["MARKER", "MARKED", &jwt()] {
        assert!(!log.contains(secret), "{secret} in {log}");
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!log.contains(bytes), "{secret} as bytes in {log}");
    }
}
