//! Key Vault as a client of its own sees it, under its real name through the proxy.

use std::time::Duration;

use entrada::emulator::{
    Emulator, EmulatorBuilder, EntraKind, EntraPrincipal, RequestKind, VaultChallenge, VaultSecret,
};
use reqwest::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::emulator_entra::{client, signed_by_public_key, unsigned};

const VAULT: &str = "https://shop.vault.azure.net";
const RESOURCE: &str = "https://vault.azure.net";
const VALUE: &str = "Pa55~word";

fn builder() -> EmulatorBuilder {
    Emulator::builder().secret("shop", "sql-password", VALUE)
}

fn token(emulator: &Emulator, resource: &str) -> String {
    let issued = emulator.issue_token("demo-app", resource).unwrap();
    issued.token.expose().to_owned()
}

async fn get(emulator: &Emulator, url: &str, token: Option<&str>) -> Response {
    let mut request = client(emulator).get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

async fn read(emulator: &Emulator, path: &str) -> (u16, Value) {
    let token = token(emulator, RESOURCE);
    let response = get(emulator, &format!("{VAULT}{path}"), Some(&token)).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_secret_is_read_by_its_names_and_versions() {
    let emulator = builder().start().await.unwrap();
    let first = VaultSecret::new("shop", "sql-password", VALUE);
    emulator.set_secret(VaultSecret::new("shop", "sql-password", "newer").expires(1));
    for (path, value) in [
        ("/secrets/sql-password?api-version=7.4".to_owned(), "newer"),
        (
            "/secrets/SQL-Password/?api-version=2025-07-01".to_owned(),
            "newer",
        ),
        (
            format!("/secrets/sql-password/{}?api-version=7.6", first.version),
            VALUE,
        ),
    ] {
        let (status, body) = read(&emulator, &path).await;
        assert_eq!((status, &body["value"]), (200, &json!(value)), "{path}");
        let id = body["id"].as_str().unwrap();
        assert!(
            id.starts_with("https://shop.vault.azure.net/secrets/sql-password/"),
            "{id}"
        );
        assert_eq!(body["attributes"]["enabled"], true);
    }
    // What has ended is served all the same, and says so.
    let (_, newest) = read(&emulator, "/secrets/sql-password?api-version=7.4").await;
    assert_eq!(newest["attributes"]["exp"], 1);
    assert_eq!(emulator.vault_urls(), [VAULT]);
}

#[tokio::test]
async fn who_has_no_token_is_told_where_to_get_one() {
    for (challenge, ending) in [
        (
            VaultChallenge::Resource,
            "resource=\"https://vault.azure.net\"",
        ),
        (
            VaultChallenge::Scope,
            "scope=\"https://vault.azure.net/.default\"",
        ),
    ] {
        let emulator = builder().vault_challenge(challenge).start().await.unwrap();
        let url = format!("{VAULT}/secrets/sql-password?api-version=7.4");
        let response = get(&emulator, &url, None).await;
        assert_eq!(response.status(), 401);
        let header = response.headers()["www-authenticate"].to_str().unwrap();
        let tenant = emulator.tenant_id();
        let wanted = format!(
            "Bearer authorization=\"https://login.microsoftonline.com/{tenant}\", {ending}"
        );
        assert_eq!(header, wanted);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], "Unauthorized");
    }
}

#[tokio::test]
async fn tokens_are_judged_in_full() {
    let emulator = builder().start().await.unwrap();
    let url = format!("{VAULT}/secrets/sql-password?api-version=7.4");
    let status = async |token: String| get(&emulator, &url, Some(&token)).await.status().as_u16();
    let good = token(&emulator, RESOURCE);
    assert_eq!(status(good.clone()).await, 200);
    let mut forged = good.clone();
    forged.replace_range(good.len() - 8.., "AAAAAAAA");
    let claims = |tenant: Uuid, issuer: Uuid| {
        let claims = json!({
            "aud": RESOURCE, "iss": format!("https://sts.windows.net/{issuer}/"), "tid": tenant,
            "oid": Uuid::from_u128(1), "exp": emulator.clock().now() + 60,
        });
        emulator.sign_claims(&claims).unwrap().expose().to_owned()
    };
    let (ours, other) = (emulator.tenant_id(), Uuid::from_u128(9));
    assert_eq!(status(claims(ours, ours)).await, 200);
    let signed = |changes: Value| {
        let mut claims = json!({
            "aud": RESOURCE, "iss": format!("https://sts.windows.net/{ours}/"), "tid": ours,
            "oid": Uuid::from_u128(1), "exp": emulator.clock().now() + 60,
        });
        let changes = changes.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(changes);
        emulator.sign_claims(&claims).unwrap().expose().to_owned()
    };
    assert_eq!(status(signed(json!({}))).await, 200);
    for bad in [
        forged,
        "no-token".to_owned(),
        token(&emulator, "https://vault.azure.net/"),
        token(&emulator, "https://database.windows.net/"),
        claims(other, ours),
        claims(ours, other),
        unsigned(&good),
        signed_by_public_key(&good, &emulator).await,
        signed(json!({ "aud": [RESOURCE, "https://database.windows.net"] })),
        signed(json!({ "iss": format!("https://sts.windows.net/{ours}/.example.org/") })),
        signed(json!({ "nbf": emulator.clock().now() + 3600 })),
        signed(json!({ "exp": emulator.clock().now() - 301 })),
    ] {
        assert_eq!(status(bad).await, 401);
    }
    // Another cloud's vaults are for that cloud's tokens.
    let abroad = "https://shop.vault.azure.cn/secrets/sql-password?api-version=7.4";
    assert_eq!(get(&emulator, abroad, Some(&good)).await.status(), 401);
    let chinese = token(&emulator, "https://vault.azure.cn");
    assert_eq!(get(&emulator, abroad, Some(&chinese)).await.status(), 200);
    emulator.clock().advance(Duration::from_secs(25 * 3600));
    assert_eq!(status(good).await, 401);
    let revoked = token(&emulator, RESOURCE);
    assert_eq!(status(revoked.clone()).await, 200);
    emulator.revoke_tokens().unwrap();
    assert_eq!(status(revoked).await, 401, "its key has another id now");
}

#[tokio::test]
async fn refusals_have_key_vault_s_codes() {
    let off = VaultSecret::new("shop", "off", VALUE).enabled(false);
    let emulator = builder().vault_secret(off).start().await.unwrap();
    for (path, status, code) in [
        ("/secrets/nothing?api-version=7.4", 404, "SecretNotFound"),
        (
            "/secrets/sql-password/0123?api-version=7.4",
            404,
            "SecretNotFound",
        ),
        ("/secrets/off?api-version=7.4", 403, "Forbidden"),
        ("/secrets/sql-password", 400, "BadParameter"),
        ("/secrets/sql-password?api-version=1.0", 400, "BadParameter"),
        ("/secrets/sql_password?api-version=7.4", 400, "BadParameter"),
        ("/keys/sql-password?api-version=7.4", 404, "NotFound"),
    ] {
        let (got, body) = read(&emulator, path).await;
        assert_eq!(
            (got, &body["error"]["code"]),
            (status, &json!(code)),
            "{path}"
        );
        assert!(!body.to_string().contains(VALUE));
    }
    let (_, body) = read(&emulator, "/secrets/off?api-version=7.4").await;
    assert_eq!(body["error"]["innererror"]["code"], "SecretDisabled");
}

#[tokio::test]
async fn readers_are_named_or_everybody_is_one() {
    let tenant = Emulator::builder().start().await.unwrap().tenant_id();
    let other = EntraPrincipal::application(
        EntraKind::Application,
        "reader",
        tenant,
        Uuid::from_u128(1),
        Uuid::from_u128(2),
    );
    let builder = builder().principal(other).vault_reader("shop", "reader");
    let emulator = builder.clone().start().await.unwrap();
    let path = "/secrets/sql-password?api-version=7.4";
    let (status, body) = read(&emulator, path).await;
    assert_eq!(status, 403);
    assert_eq!(body["error"]["innererror"]["code"], "ForbiddenByRbac");
    let emulator = builder
        .clone()
        .vault_reader("Shop", "demo-app")
        .start()
        .await
        .unwrap();
    assert_eq!(read(&emulator, path).await.0, 200);
    let error = builder
        .vault_reader("shop", "nobody")
        .start()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[tokio::test]
async fn trouble_comes_in_key_vault_s_forms_and_is_recorded() {
    let emulator = builder().start().await.unwrap();
    let fault = |words: &str| emulator.faults().add(&words.parse().unwrap());
    let path = "/secrets/sql-password?api-version=7.4";
    fault("vault:forbidden*1");
    // Azure's libraries ask without a token first; that is challenged, whoever asks.
    let probe = get(&emulator, &format!("{VAULT}{path}"), None).await;
    assert_eq!(probe.status(), 401);
    emulator.forget_requests();
    assert_eq!(read(&emulator, path).await.0, 403);
    assert_eq!(read(&emulator, path).await.0, 200);
    fault("vault:status:429:7*1");
    assert_eq!(read(&emulator, path).await.0, 429);
    fault("vault:status:500*1");
    assert_eq!(read(&emulator, path).await.0, 500);
    fault("vault:foreign-challenge*1");
    let foreign = get(&emulator, &format!("{VAULT}{path}"), None).await;
    let header = foreign.headers()["www-authenticate"].to_str().unwrap();
    assert!(header.contains("https://vault.example.net"), "{header}");
    let requests = emulator.requests();
    let RequestKind::Vault(first) = &requests[0].kind else {
        panic!("{requests:?}");
    };
    assert_eq!(
        (first.vault.as_str(), first.secret.as_str()),
        ("shop", "sql-password")
    );
    assert_eq!(
        (first.api_version.as_deref(), first.with_token),
        (Some("7.4"), true)
    );
    assert_eq!(first.status, Some(403));
    assert_eq!(emulator.counters().vault_requests, 6);
    assert!(!format!("{requests:?}").contains(VALUE));
}
