//! Tokens over time: the same one for hours, revoked ones, and identity endpoints in trouble.

use std::time::Duration;

use entrada::Secret;
use entrada::emulator::{Emulator, EmulatorBuilder, RequestKind};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::raw_client::{Form, RawClient, soon, token_login};

const SQL: &str = "https://database.windows.net/";
const HOUR: Duration = Duration::from_secs(3600);

async fn started(builder: EmulatorBuilder) -> Emulator {
    let emulator = builder
        .user("demo", "demo-app", &["db_datareader"])
        .start()
        .await
        .unwrap();
    emulator.clock().freeze();
    emulator
}

fn imds(emulator: &Emulator) -> RequestBuilder {
    client()
        .get(format!(
            "{}/metadata/identity/oauth2/token",
            emulator.imds_url()
        ))
        .query(&[("api-version", "2018-02-01"), ("resource", SQL)])
        .header("Metadata", "true")
        .header("User-Agent", "a test")
}

fn app_service(emulator: &Emulator) -> RequestBuilder {
    client()
        .get(emulator.app_service_endpoint())
        .query(&[("api-version", "2019-08-01"), ("resource", SQL)])
        .header("X-IDENTITY-HEADER", emulator.app_service_header().expose())
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    soon("the endpoint", request.send()).await.unwrap()
}

async fn token(emulator: &Emulator) -> (String, Value) {
    let body: Value = send(imds(emulator)).await.json().await.unwrap();
    (body["access_token"].as_str().unwrap().to_owned(), body)
}

async fn login_error(emulator: &Emulator, token: &str) -> Option<i32> {
    soon("the login", async {
        let mut client = RawClient::ready(emulator, Form::Tunnelled).await;
        let login = token_login(&Secret::new(token), "demo");
        client
            .login(&login)
            .await
            .refusal()
            .map(|(number, _)| number)
    })
    .await
}

#[tokio::test]
async fn the_same_token_is_handed_out_until_half_of_its_life_is_over() {
    let emulator = started(Emulator::builder()).await;
    let (first, body) = token(&emulator).await;
    assert_eq!(body["expires_in"], "86400");
    emulator.clock().advance(11 * HOUR);
    let (second, body) = token(&emulator).await;
    assert_eq!(first, second);
    assert_eq!(
        body["expires_in"],
        (13 * 3600).to_string(),
        "it counts down"
    );
    let other = send(app_service(&emulator)).await;
    let other: Value = other.json().await.unwrap();
    assert_eq!(other["access_token"], first, "the platform has one memory");
    emulator.clock().advance(HOUR);
    let (third, body) = token(&emulator).await;
    assert!(third != first && body["expires_in"] == "86400");
    let counted = emulator.counters();
    assert_eq!((counted.tokens_issued, counted.tokens_repeated), (4, 2));
    emulator.clock().set_offset(-100 * 3600);
    assert_ne!(
        token(&emulator).await.0,
        third,
        "a token of the future is not for now"
    );
}

#[tokio::test]
async fn endpoints_can_make_new_ones_each_time_and_tell_when_to_ask_again() {
    let fresh = started(Emulator::builder().fresh_tokens(true)).await;
    assert_ne!(token(&fresh).await.0, token(&fresh).await.0);
    assert_eq!(fresh.counters().tokens_repeated, 0);
    let told = started(Emulator::builder().refresh_in(HOUR)).await;
    let (first, body) = token(&told).await;
    assert_eq!(body["refresh_in"], "3600");
    told.clock().advance(HOUR);
    assert_ne!(token(&told).await.0, first);
}

#[tokio::test]
async fn revoked_tokens_are_refused_and_new_ones_are_not() {
    let state = tempfile::tempdir().unwrap();
    let build = || Emulator::builder().state_dir(state.path());
    let emulator = started(build()).await;
    let (old, _) = token(&emulator).await;
    assert_eq!(login_error(&emulator, &old).await, None);
    emulator.revoke_tokens().unwrap();
    assert_eq!(login_error(&emulator, &old).await, Some(18456));
    let (new, _) = token(&emulator).await;
    assert_eq!(login_error(&emulator, &new).await, None);
    soon("the shutdown", emulator.shutdown()).await;
    let again = started(build()).await;
    assert_eq!(login_error(&again, &old).await, Some(18456), "it stays so");
    assert_eq!(login_error(&again, &new).await, None);
}

#[tokio::test]
async fn a_machine_boots_and_its_imds_is_upgraded() {
    let emulator = started(Emulator::builder()).await;
    let faults = emulator.faults();
    faults.add(&"identity:booting".parse().unwrap());
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(send(imds(&emulator)).await.status().as_u16());
    }
    assert_eq!(statuses, [404, 404, 500, 500, 200]);
    faults.add(&"identity:upgrading".parse().unwrap());
    assert_eq!(send(imds(&emulator)).await.status(), 410);
    emulator.clock().advance(Duration::from_secs(69));
    let gone = send(imds(&emulator)).await;
    assert_eq!(
        (gone.status().as_u16(), gone.text().await.unwrap()),
        (410, String::new())
    );
    emulator.clock().advance(Duration::from_secs(1));
    assert_eq!(send(imds(&emulator)).await.status(), 200);
}

#[tokio::test]
async fn each_endpoint_fails_in_its_own_words() {
    let emulator = started(Emulator::builder()).await;
    emulator
        .faults()
        .add(&"identity:status:500*2".parse().unwrap());
    let machine: Value = send(imds(&emulator)).await.json().await.unwrap();
    assert_eq!(machine["error"], "unknown");
    let app: Value = send(app_service(&emulator)).await.json().await.unwrap();
    assert_eq!(app["statusCode"], 500);
    assert!(app["message"].is_string() && app["correlationId"].is_string());
    emulator
        .faults()
        .add(&"identity:status:429:7*1".parse().unwrap());
    let response = send(app_service(&emulator)).await;
    assert_eq!(response.headers()["retry-after"], "7");
    emulator
        .faults()
        .add(&"identity:status:429*1".parse().unwrap());
    let response = send(imds(&emulator)).await;
    assert_eq!(response.status(), 429);
    assert!(!response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn imds_takes_twenty_requests_in_a_second_if_told_so() {
    let emulator = started(Emulator::builder().imds_limits(true)).await;
    for _ in 0..20 {
        assert_eq!(send(app_service(&emulator)).await.status(), 200);
        assert_eq!(send(imds(&emulator)).await.status(), 200);
    }
    assert_eq!(send(imds(&emulator)).await.status(), 429);
    assert_eq!(send(app_service(&emulator)).await.status(), 200);
    emulator.clock().advance(Duration::from_secs(1));
    assert_eq!(send(imds(&emulator)).await.status(), 200);
}

#[tokio::test]
async fn a_fault_closes_the_port_and_its_end_opens_it() {
    let emulator = started(Emulator::builder()).await;
    let faults = emulator.faults();
    let down = faults.add(&"identity:down".parse().unwrap());
    faults.identity_down().await;
    assert!(imds(&emulator).send().await.unwrap_err().is_connect());
    assert_eq!(faults.active().len(), 1, "it was down already");
    assert!(faults.remove(down));
    faults.identity_up().await;
    assert_eq!(send(imds(&emulator)).await.status(), 200);
}

#[tokio::test]
async fn token_requests_are_remembered_without_tokens() {
    let emulator = started(Emulator::builder()).await;
    let worker = emulator.identities()[1].client_id.to_string();
    send(imds(&emulator).query(&[("client_id", &worker)])).await;
    send(app_service(&emulator).header("X-IDENTITY-HEADER", "Zq7Marker")).await;
    let seen: Vec<_> = emulator
        .requests()
        .into_iter()
        .map(|request| match request.kind {
            RequestKind::Identity(request) => request,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((seen[0].endpoint, seen[0].status), ("imds", Some(200)));
    assert_eq!(seen[0].resource.as_deref(), Some(SQL));
    assert_eq!(seen[0].selector, Some(("client_id".to_owned(), worker)));
    assert_eq!(seen[0].user_agent.as_deref(), Some("a test"));
    assert_eq!(
        (seen[1].endpoint, seen[1].method.as_str()),
        ("app-service", "GET")
    );
    let all = serde_json::to_string(&emulator.requests()).unwrap();
    let header = emulator.app_service_header();
    for secret in ["Zq7Marker", "eyJ", header.expose()] {
        assert!(!all.contains(secret), "{all}");
    }
}
