//! The admin endpoint: what it does, and whom it does it for.

use entrada::emulator::{DatabaseState, Emulator, EmulatorError};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::raw_client::{Form, RawClient, soon, token_login};

const SQL: &str = "https://database.windows.net/";

async fn running() -> Emulator {
    let emulator = Emulator::builder()
        .user("demo", "demo-app", &["db_datareader"])
        .admin_address("127.0.0.1:0".parse().unwrap())
        .start()
        .await
        .unwrap();
    emulator.clock().freeze();
    emulator
}

fn bare(emulator: &Emulator, method: Method, path: &str) -> RequestBuilder {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.request(method, format!("{}{path}", emulator.admin_url().unwrap()))
}

fn with_key(emulator: &Emulator, method: Method, path: &str) -> RequestBuilder {
    bare(emulator, method, path).bearer_auth(emulator.admin_key().unwrap().expose())
}

async fn send(request: RequestBuilder) -> (StatusCode, Value) {
    let response = soon("the endpoint", request.send()).await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn get(emulator: &Emulator, path: &str) -> Value {
    let (status, body) = send(with_key(emulator, Method::GET, path)).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn post(emulator: &Emulator, path: &str, body: &str) -> (u16, Value) {
    let request = with_key(emulator, Method::POST, path).body(body.to_owned());
    let (status, body) = send(request).await;
    (status.as_u16(), body)
}

async fn delete(emulator: &Emulator, path: &str) -> u16 {
    send(with_key(emulator, Method::DELETE, path))
        .await
        .0
        .as_u16()
}

async fn login(emulator: &Emulator) -> (RawClient, Option<i32>) {
    let token = emulator.issue_token("demo-app", SQL).unwrap().token;
    soon("the login", async {
        let mut client = RawClient::ready(emulator, Form::Tunnelled).await;
        let answer = client.login(&token_login(&token, "demo")).await;
        let number = answer.refusal().map(|(number, _)| number);
        (client, number)
    })
    .await
}

#[tokio::test]
async fn nobody_gets_in_without_the_key_or_from_a_browser() {
    let emulator = running().await;
    let key = emulator.admin_key().unwrap();
    let status = |request: RequestBuilder| async { send(request).await.0.as_u16() };
    let get = || bare(&emulator, Method::GET, "/status");
    assert_eq!(status(get()).await, 401);
    assert_eq!(status(get().bearer_auth("wrong")).await, 401);
    assert_eq!(
        status(get().basic_auth(key.expose(), None::<&str>)).await,
        401
    );
    assert_eq!(status(bare(&emulator, Method::GET, "/nothing")).await, 401);
    let good = || get().bearer_auth(key.expose());
    assert_eq!(status(good()).await, 200);
    assert_eq!(
        status(good().header("Origin", "http://127.0.0.1")).await,
        403
    );
    assert_eq!(
        status(good().header("Sec-Fetch-Site", "same-origin")).await,
        403
    );
    for host in ["attacker.example", "127.0.0.1", "127.0.0.1:1", ""] {
        assert_eq!(status(good().header("Host", host)).await, 403, "{host}");
    }
    let port = emulator
        .admin_url()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        status(good().header("Host", format!("LocalHost:{port}"))).await,
        200
    );
    let formatted = format!("{emulator:?}");
    assert!(!formatted.contains(key.expose()), "the key is a secret");
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_keeps_its_key() {
    let everywhere = Emulator::builder()
        .admin_address("0.0.0.0:0".parse().unwrap())
        .allow_beyond_loopback(true);
    let error = everywhere.start().await.unwrap_err();
    assert!(
        matches!(error, EmulatorError::AdminNotLoopback { .. }),
        "{error}"
    );
    let state = tempfile::tempdir().unwrap();
    let start = || {
        Emulator::builder()
            .state_dir(state.path())
            .admin_address("127.0.0.1:0".parse().unwrap())
            .start()
    };
    let first = start().await.unwrap().admin_key().unwrap();
    let kept = std::fs::read_to_string(state.path().join("admin.key")).unwrap();
    assert_eq!(kept, first.expose());
    assert_eq!(start().await.unwrap().admin_key().unwrap(), first);
    assert_eq!(Emulator::builder().start().await.unwrap().admin_url(), None);
}

#[tokio::test]
async fn faults_come_and_go() {
    let emulator = running().await;
    let (status, added) = post(&emulator, "/faults", "login-error:40613*2").await;
    assert_eq!(status, 200, "{added}");
    assert_eq!(login(&emulator).await.1, Some(40613));
    let listed = get(&emulator, "/faults").await;
    assert_eq!(listed["faults"][0]["fault"], "login-error:40613*1");
    assert_eq!(listed["faults"][0]["happened"], 1);
    let id = added["added"][0]["id"].as_u64().unwrap();
    assert_eq!(delete(&emulator, &format!("/faults/{id}")).await, 204);
    assert_eq!(delete(&emulator, &format!("/faults/{id}")).await, 404);
    assert_eq!(login(&emulator).await.1, None);
    let several = json!({"faults": ["identity:html", "login-error:40501@30s"]}).to_string();
    assert_eq!(post(&emulator, "/faults", &several).await.0, 200);
    assert_eq!(emulator.faults().active().len(), 2);
    assert_eq!(delete(&emulator, "/faults").await, 204);
    let half_good = json!({"faults": ["redirect", "tea"]}).to_string();
    let (status, body) = post(&emulator, "/faults", &half_good).await;
    assert_eq!(status, 400);
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .contains("\"tea\" is no fault")
    );
    assert!(emulator.faults().active().is_empty(), "all or nothing");
}

#[tokio::test]
async fn the_clock_is_turned() {
    let emulator = running().await;
    let (_, shown) = post(&emulator, "/clock", r#"{"set": 1000, "advance": "2h"}"#).await;
    let wanted = json!({"now": 8200, "utc": "1970-01-01T02:16:40Z", "frozen": true});
    assert_eq!(shown, wanted);
    assert_eq!(emulator.clock().now(), 8200);
    post(&emulator, "/clock", r#"{"freeze": false}"#).await;
    assert!(!emulator.clock().is_frozen());
    for wrong in [
        "",
        "{",
        r#"{"advance": 5}"#,
        r#"{"advance": "5"}"#,
        r#"{"back": "1h"}"#,
    ] {
        assert_eq!(post(&emulator, "/clock", wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn databases_have_states() {
    let emulator = running().await;
    let resuming = r#"{"state": "resuming", "times": 1}"#;
    assert_eq!(
        post(&emulator, "/databases/DEMO/state", resuming).await.0,
        200
    );
    assert_eq!(
        get(&emulator, "/databases/demo/state").await["state"],
        "resuming"
    );
    assert_eq!(login(&emulator).await.1, Some(40613));
    assert_eq!(login(&emulator).await.1, None);
    post(
        &emulator,
        "/databases/demo/state",
        r#"{"state": "offline"}"#,
    )
    .await;
    assert_eq!(
        emulator.faults().database_state("demo"),
        DatabaseState::Offline
    );
    post(&emulator, "/databases/demo/state", r#"{"state": "online"}"#).await;
    assert_eq!(login(&emulator).await.1, None);
    let (status, body) = post(&emulator, "/databases/none/state", resuming).await;
    assert_eq!(status, 404);
    assert!(
        body["error"].as_str().unwrap().contains("master, demo"),
        "{body}"
    );
    let asleep = r#"{"state": "asleep"}"#;
    assert_eq!(
        post(&emulator, "/databases/demo/state", asleep).await.0,
        400
    );
}

#[tokio::test]
async fn sessions_are_shown_and_killed() {
    let emulator = running().await;
    let (mut client, _) = login(&emulator).await;
    let sessions = get(&emulator, "/sessions").await;
    let spid = sessions["sessions"][0]["spid"].as_u64().unwrap();
    assert_eq!(sessions["sessions"][0]["login"], "demo-app");
    assert_eq!(
        post(&emulator, &format!("/sessions/{spid}/kill"), "")
            .await
            .0,
        204
    );
    assert_eq!(soon("the end", client.receive()).await, None);
    assert_eq!(post(&emulator, "/sessions/0/kill", "").await.0, 404);
    assert_eq!(post(&emulator, "/sessions/many/kill", "").await.0, 404);
}

#[tokio::test]
async fn the_status_shows_it_all_and_a_reset_puts_it_back() {
    let emulator = running().await;
    emulator.faults().login_error(40613, Some(1));
    login(&emulator).await;
    assert_eq!(post(&emulator, "/identity/down", "").await.0, 204);
    let status = get(&emulator, "/status").await;
    assert_eq!(status["listeners"]["sql"], emulator.sql_addr().to_string());
    assert_eq!(status["databases"]["demo"], "online");
    assert_eq!(status["counters"]["logins_refused"], 1);
    assert_eq!(status["faults"][0]["fault"], "identity:down");
    assert_eq!(status["clock"]["frozen"], true);
    let seen = get(&emulator, "/requests").await;
    assert_eq!(seen["requests"][0]["kind"], "login");
    assert_eq!(seen["requests"][0]["outcome"]["refused"], 40613);
    assert_eq!(
        get(&emulator, "/requests?after=1").await["requests"],
        json!([])
    );
    assert_eq!(post(&emulator, "/reset", "").await.0, 204);
    let imds = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = soon("IMDS", imds.get(emulator.imds_url()).send())
        .await
        .unwrap();
    assert_eq!(answer.status(), 404, "it listens again");
    assert!(emulator.faults().active().is_empty() && !emulator.clock().is_frozen());
    assert!(emulator.requests().is_empty());
}

#[tokio::test]
async fn tokens_are_revoked_over_it() {
    let emulator = running().await;
    let token = emulator.issue_token("demo-app", SQL).unwrap().token;
    assert_eq!(post(&emulator, "/tokens/revoke", "").await.0, 204);
    let mut client = RawClient::ready(&emulator, Form::Tunnelled).await;
    let answer = soon("the login", client.login(&token_login(&token, "demo"))).await;
    assert_eq!(answer.refusal().unwrap().0, 18456);
    assert_eq!(login(&emulator).await.1, None);
    let outcomes: Vec<_> = get(&emulator, "/requests").await["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["outcome"].clone())
        .collect();
    assert_eq!(outcomes, [json!({"refused": 18456}), json!("accepted")]);
}

#[tokio::test]
async fn what_it_does_not_know_is_said() {
    let emulator = running().await;
    assert_eq!(post(&emulator, "/nothing", "").await.0, 404);
    assert_eq!(delete(&emulator, "/status").await, 405);
    let large = "x".repeat(100_000);
    assert_eq!(post(&emulator, "/faults", &large).await.0, 413);
}
