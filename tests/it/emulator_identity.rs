//! The emulator's identity endpoints, asked over HTTP.

use std::time::Duration;

use entrada::emulator::{Emulator, IdentityFault, ManagedIdentity};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::raw_client::soon;

const SQL: &str = "https://database.windows.net/";
const VERSION: (&str, &str) = ("api-version", "2018-02-01");
const RESOURCE: (&str, &str) = ("resource", SQL);

async fn running() -> Emulator {
    Emulator::builder().start().await.unwrap()
}

fn imds(emulator: &Emulator, query: &[(&str, &str)]) -> RequestBuilder {
    let url = format!("{}/metadata/identity/oauth2/token", emulator.imds_url());
    client().get(url).query(query).header("Metadata", "true")
}

fn app_service(emulator: &Emulator, query: &[(&str, &str)]) -> RequestBuilder {
    client()
        .get(emulator.app_service_endpoint())
        .query(query)
        .header("X-IDENTITY-HEADER", emulator.app_service_header().expose())
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    soon("the endpoint", request.send()).await.unwrap()
}

async fn json(request: RequestBuilder) -> (StatusCode, Value) {
    let response = send(request).await;
    (response.status(), response.json().await.unwrap())
}

fn claims(token: &Value) -> Value {
    use base64::Engine as _;
    let body = token.as_str().unwrap().split('.').nth(1).unwrap();
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(body)
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn imds_answers_with_strings_and_azures_claims() {
    let emulator = running().await;
    let response = send(imds(&emulator, &[VERSION, RESOURCE])).await;
    let text = response.text().await.unwrap();
    assert!(
        text.contains(r#""access_token":"eyJ"#),
        "compact JSON: {text}"
    );
    let body: Value = serde_json::from_str(&text).unwrap();
    for number in ["expires_in", "expires_on", "not_before"] {
        assert!(
            body[number].as_str().unwrap().parse::<i64>().is_ok(),
            "{number}"
        );
    }
    assert_eq!(body["expires_in"], "86400");
    assert_eq!(body["refresh_token"], "");
    assert_eq!(
        (&body["resource"], &body["token_type"]),
        (&SQL.into(), &"Bearer".into())
    );
    let claims = claims(&body["access_token"]);
    let system = &emulator.identities()[0];
    let tenant = emulator.tenant_id().to_string();
    assert_eq!(claims["aud"], SQL);
    assert_eq!(claims["iss"], format!("https://sts.windows.net/{tenant}/"));
    assert_eq!(claims["tid"], tenant);
    assert_eq!(claims["appid"], system.client_id.to_string());
    assert_eq!(claims["oid"], system.object_id.to_string());
    assert_eq!(
        (&claims["idtyp"], &claims["ver"]),
        (&"app".into(), &"1.0".into())
    );
    assert_eq!(claims["xms_mirid"], system.resource_id);
    assert_eq!(
        claims["exp"].to_string(),
        body["expires_on"].as_str().unwrap()
    );
    let counters = emulator.counters();
    assert_eq!((counters.imds_requests, counters.tokens_issued), (1, 1));
}

#[tokio::test]
async fn imds_refuses_as_the_real_one_does() {
    let emulator = running().await;
    let good = [VERSION, RESOURCE];
    let url = format!("{}/metadata/identity/oauth2/token", emulator.imds_url());
    let bare = client().get(&url).query(&good);
    let (status, body) = json(bare).await;
    assert_eq!(
        (status.as_u16(), &body["error"]),
        (400, &"invalid_request".into())
    );
    let forwarded = imds(&emulator, &good).header("X-Forwarded-For", "10.0.0.1");
    assert_eq!(json(forwarded).await.0, 400);
    let (status, body) = json(imds(&emulator, &[RESOURCE])).await;
    assert_eq!(status, 400);
    assert!(body["newest-versions"].is_array() && body["error"].as_str().unwrap().contains(' '));
    let (status, body) = json(imds(&emulator, &[VERSION, VERSION, RESOURCE])).await;
    assert_eq!(
        (status.as_u16(), &body["error"]),
        (400, &"invalid_request".into())
    );
    let (status, body) = json(imds(&emulator, &[VERSION])).await;
    assert_eq!(
        (status.as_u16(), &body["error"]),
        (400, &"invalid_request".into())
    );
    let nowhere = [VERSION, ("resource", "https://nowhere.example/")];
    let (status, body) = json(imds(&emulator, &nowhere)).await;
    assert_eq!(
        (status.as_u16(), &body["error"]),
        (400, &"invalid_resource".into())
    );
    assert!(
        body["error_description"]
            .as_str()
            .unwrap()
            .starts_with("AADSTS500011")
    );
    let post = client()
        .request(Method::POST, &url)
        .header("Metadata", "true")
        .query(&good);
    assert_eq!(send(post).await.status(), 405);
    assert_eq!(emulator.counters().tokens_issued, 0);
}

#[tokio::test]
async fn imds_selects_by_each_id_and_by_default() {
    let emulator = running().await;
    let worker = emulator.identities()[1].clone();
    let client_id = worker.client_id.to_string();
    let object_id = worker.object_id.to_string();
    let selectors = [
        ("client_id", client_id.as_str()),
        ("object_id", object_id.as_str()),
        ("msi_res_id", worker.resource_id.as_str()),
    ];
    for selector in selectors {
        let (status, body) = json(imds(&emulator, &[VERSION, RESOURCE, selector])).await;
        assert_eq!(status, 200, "{selector:?}: {body}");
        assert_eq!(
            claims(&body["access_token"])["appid"],
            client_id,
            "{selector:?}"
        );
    }
    let two = [VERSION, RESOURCE, selectors[0], selectors[1]];
    assert_eq!(json(imds(&emulator, &two)).await.0, 400);
    let swapped = [VERSION, RESOURCE, ("client_id", object_id.as_str())];
    let (status, body) = json(imds(&emulator, &swapped)).await;
    assert_eq!(status, 400);
    assert_eq!(body["error_description"], "Identity not found");
}

#[tokio::test]
async fn several_user_assigned_identities_must_be_told_apart() {
    let emulator = Emulator::builder()
        .identity(ManagedIdentity::user_assigned("one"))
        .start()
        .await
        .unwrap();
    let request = || imds(&emulator, &[VERSION, RESOURCE]);
    assert_eq!(json(request()).await.0, 200, "the only one is meant");
    emulator.assign_identity(ManagedIdentity::user_assigned("two"));
    let (status, body) = json(request()).await;
    assert_eq!(status, 400);
    assert!(
        body["error_description"]
            .as_str()
            .unwrap()
            .starts_with("Multiple")
    );
}

#[tokio::test]
async fn app_service_has_its_own_rules() {
    let emulator = running().await;
    let version = ("api-version", "2019-08-01");
    let (status, body) = json(app_service(&emulator, &[version, RESOURCE])).await;
    assert_eq!(status, 200, "{body}");
    assert!(body["expires_on"].is_string() && body["expires_in"].is_null());
    let system = &emulator.identities()[0];
    assert_eq!(body["client_id"], system.client_id.to_string());
    let worker = emulator.identities()[1].clone();
    let object_id = worker.object_id.to_string();
    for name in ["principal_id", "object_id"] {
        let selected = [version, RESOURCE, (name, object_id.as_str())];
        let (_, body) = json(app_service(&emulator, &selected)).await;
        assert_eq!(body["client_id"], worker.client_id.to_string(), "{name}");
    }
    // IMDS's name for it is not looked at, so the system-assigned identity answers.
    let misnamed = [
        version,
        RESOURCE,
        ("msi_res_id", worker.resource_id.as_str()),
    ];
    let (_, body) = json(app_service(&emulator, &misnamed)).await;
    assert_eq!(body["client_id"], system.client_id.to_string());
    let named = [
        version,
        RESOURCE,
        ("mi_res_id", worker.resource_id.as_str()),
    ];
    let (_, body) = json(app_service(&emulator, &named)).await;
    assert_eq!(body["client_id"], worker.client_id.to_string());

    let old = app_service(&emulator, &[version, RESOURCE]);
    emulator.rotate_app_service_header();
    let (status, body) = json(old).await;
    assert_eq!((status.as_u16(), &body["statusCode"]), (401, &401.into()));
    assert!(body["message"].is_string() && body["correlationId"].is_string());
    let (status, body) = json(app_service(&emulator, &[RESOURCE])).await;
    assert_eq!((status.as_u16(), &body["statusCode"]), (400, &400.into()));
}

#[tokio::test]
async fn app_service_never_falls_back_to_a_user_assigned_identity() {
    let one = ManagedIdentity::user_assigned("one");
    let emulator = Emulator::builder().identity(one).start().await.unwrap();
    let query = [("api-version", "2019-08-01"), RESOURCE];
    assert_eq!(json(app_service(&emulator, &query)).await.0, 400);
}

#[tokio::test]
async fn the_published_key_verifies_a_token() {
    let emulator = running().await;
    let (_, body) = json(imds(&emulator, &[VERSION, RESOURCE])).await;
    let token = body["access_token"].as_str().unwrap();
    for version in ["", "/v2.0"] {
        let url = format!(
            "{}{version}/.well-known/openid-configuration",
            emulator.authority_url()
        );
        let (_, document) = json(client().get(url)).await;
        let keys = document["jwks_uri"].as_str().unwrap();
        let set = send(client().get(keys)).await.bytes().await.unwrap();
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&set).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let key = set.find(&header.kid.unwrap()).expect("the key of that id");
        let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        validation.set_audience(&[SQL]);
        let issuer = format!("https://sts.windows.net/{}/", emulator.tenant_id());
        validation.set_issuer(&[issuer]);
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    }
    let wrong = format!("{}/contoso.com/discovery/keys", emulator.imds_url());
    let (status, body) = json(client().get(wrong)).await;
    assert_eq!(
        (status.as_u16(), &body["error_codes"][0]),
        (400, &90002.into())
    );
}

#[tokio::test]
async fn faults_come_on_command_and_end() {
    let emulator = running().await;
    let request = || imds(&emulator, &[VERSION, RESOURCE]);
    let faults = emulator.faults();
    for status in [404, 410, 500, 429] {
        let retry_after = (status == 429).then_some(Duration::from_secs(7));
        faults.identity(
            IdentityFault::Status {
                status,
                retry_after,
            },
            Some(1),
        );
        let response = send(request()).await;
        assert_eq!(response.status(), status);
        let header = response.headers().get("retry-after");
        assert_eq!(header.is_some_and(|h| h == "7"), status == 429);
    }
    faults.identity(IdentityFault::Html, Some(1));
    assert!(
        send(request())
            .await
            .text()
            .await
            .unwrap()
            .starts_with("<!DOCTYPE")
    );
    faults.identity(IdentityFault::Garbage, Some(1));
    let broken = send(request()).await;
    assert_eq!(broken.status(), 200);
    assert!(broken.json::<Value>().await.is_err());
    faults.identity(IdentityFault::Stall, None);
    let stalled = request()
        .timeout(Duration::from_millis(50))
        .send()
        .await
        .unwrap_err();
    assert!(stalled.is_timeout(), "{stalled:?}");
    faults.clear();
    faults.identity(IdentityFault::Slow(Duration::from_millis(1)), Some(1));
    assert_eq!(json(request()).await.0, 200);
    assert_eq!(emulator.counters().imds_requests, 8);
}

#[tokio::test]
async fn the_endpoints_go_down_and_come_back_on_the_same_port() {
    let emulator = running().await;
    let keep_alive = client();
    let url = format!("{}/metadata/identity/oauth2/token", emulator.imds_url());
    let request = || {
        keep_alive
            .get(&url)
            .header("Metadata", "true")
            .query(&[VERSION, RESOURCE])
    };
    assert_eq!(json(request()).await.0, 200);
    for _ in 0..2 {
        soon("going down", emulator.faults().identity_down()).await;
        let refused = soon("the refusal", request().send()).await.unwrap_err();
        assert!(refused.is_connect(), "{refused:?}");
        soon("coming up", emulator.faults().identity_up()).await;
        assert_eq!(json(request()).await.0, 200);
    }
}
