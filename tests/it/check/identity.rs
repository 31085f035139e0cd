//! Token, claims, and what a login is refused for that is about who logs in.

use entrada::emulator::FaultSpec;
use entrada::token::ChainMember;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

#[tokio::test]
async fn the_source_is_named_with_its_reason() {
    let azure = bank().start().await.unwrap();
    let report = check(&options(&azure)).await;
    let token = passes(&report, "token", "from IMDS");
    assert!(token.facts["expires"].is_string() && token.facts["chosen_by"].is_string());
    let claims = passes(&report, "claims", "managed identity teller");
    assert_eq!(claims.facts["tenant_id"], azure.tenant_id().to_string());
    assert_eq!(claims.facts["audience"], "https://database.windows.net/");
    azure.shutdown().await;
}

#[tokio::test]
async fn a_source_that_is_slow() {
    let azure = bank().start().await.unwrap();
    let slow: FaultSpec = "identity:slow:1200ms".parse().unwrap();
    azure.faults().add(&slow);
    let report = check(&options(&azure)).await;
    warns(&report, "token", "took long");
    azure.shutdown().await;
}

#[tokio::test]
async fn an_identity_that_is_not_assigned() {
    let azure = bank().start().await.unwrap();
    let id = "User ID=11111111-2222-3333-4444-555555555555";
    let report = check(&with(&azure, id)).await;
    fails(
        &report,
        "token",
        Kind::Auth,
        "11111111-2222",
        "assign that identity",
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn an_endpoint_that_says_nothing() {
    let azure = bank().start().await.unwrap();
    azure.faults().add(&"identity:stall".parse().unwrap());
    let report = check(&options(&azure).timeout(SOON)).await;
    fails(
        &report,
        "token",
        Kind::Auth,
        "gave no token within 0.7 s",
        "entrada token",
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn a_chain_of_which_nobody_answers_names_each() {
    let azure = bank().start().await.unwrap();
    let conn = azure
        .connection_string("bank")
        .replace("ActiveDirectoryMSI", "ActiveDirectoryDefault");
    let sources = Sources::new(Environment::from_pairs([("PATH", "/nowhere")]));
    // It would ask the machine that the test runs on.
    let sources = sources.exclude(ChainMember::ManagedIdentity);
    let report = check(&Options::new(conn).sources(sources)).await;
    let failed = failure(&report, "token", Kind::Auth);
    let tried = failed.facts["tried"].as_array().unwrap();
    assert!(tried.len() > 2, "{tried:?}");
    assert!(failed.troubles[0].fix.contains("az login"));
    azure.shutdown().await;
}

fn given(azure: &Emulator, token: &str, more: &str) -> Options {
    let conn = azure.connection_string("bank").replace(
        "Authentication=ActiveDirectoryMSI",
        &format!("Authentication=EntradaAccessToken;Entrada Access Token={token};{more}"),
    );
    Options::new(conn)
}

/// The claims of the teller's token.
fn claims(azure: &Emulator) -> Value {
    use base64::Engine as _;
    let token = azure
        .issue_token("teller", "https://database.windows.net/")
        .unwrap();
    let payload = token.token.expose().split('.').nth(1).unwrap().to_owned();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

fn signed(azure: &Emulator, name: &str, value: Value) -> String {
    let mut claims = claims(azure);
    claims[name] = value;
    azure.sign_claims(&claims).unwrap().expose().to_owned()
}

#[tokio::test]
async fn a_token_for_something_else() {
    let azure = bank().start().await.unwrap();
    for (audience, cause) in [
        ("https://management.azure.com/", "not for a database"),
        ("https://database.chinacloudapi.cn/", "Azure China"),
    ] {
        let token = signed(&azure, "aud", json!(audience));
        let report = check(&given(&azure, &token, "")).await;
        fails(
            &report,
            "claims",
            Kind::Auth,
            cause,
            "--resource https://database.windows.net/",
        );
    }
    azure.shutdown().await;
}

#[tokio::test]
async fn a_token_that_begins_later_shows_a_slow_clock() {
    let azure = bank().start().await.unwrap();
    let soon = jiff::Timestamp::now().as_second() + 600;
    let token = signed(&azure, "nbf", json!(soon));
    let report = check(&given(&azure, &token, "")).await;
    warns(&report, "claims", "clock is slow");
    azure.shutdown().await;
}

#[tokio::test]
async fn a_token_of_another_tenant_is_told_from_the_servers_word() {
    let azure = bank().start().await.unwrap();
    let other = "99999999-8888-7777-6666-555555555555";
    let token = signed(&azure, "tid", json!(other));
    let report = check(&given(&azure, &token, "")).await;
    fails(&report, "login", Kind::Auth, other, "--tenant");
    let own = azure.tenant_id().to_string();
    fails(&report, "login", Kind::Auth, &own, &own);
    azure.shutdown().await;
}

#[tokio::test]
async fn a_token_that_has_ended_by_the_servers_clock() {
    let azure = bank().start().await.unwrap();
    let token = azure
        .issue_token("teller", "https://database.windows.net/")
        .unwrap();
    azure.clock().advance(Duration::from_secs(48 * 3600));
    let report = check(&given(&azure, token.token.expose(), "")).await;
    fails(
        &report,
        "login",
        Kind::Auth,
        "by the server's clock",
        "clock",
    );
    azure.shutdown().await;
}

#[tokio::test]
async fn a_stale_token_is_replaced_and_told_of() {
    let azure = bank().start().await.unwrap();
    let stale = signed(&azure, "tid", json!("99999999-8888-7777-6666-555555555555"));
    let fresh = azure
        .issue_token("teller", "https://database.windows.net/")
        .unwrap();
    let endpoint = MockServer::start().await;
    let answers = [(stale.as_str(), 1), (fresh.token.expose(), 10)];
    for (token, times) in answers {
        let answer = ResponseTemplate::new(200).set_body_json(json!({
            "access_token": token,
            "expires_in": "3600",
            "resource": "https://database.windows.net/",
            "token_type": "Bearer",
        }));
        let mock = Mock::given(any()).respond_with(answer);
        mock.up_to_n_times(times).mount(&endpoint).await;
    }
    let host = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", endpoint.uri())];
    let sources = Sources::new(Environment::from_pairs(host));
    let report = check(&options(&azure).sources(sources)).await;
    warns(&report, "login", "the first token was refused");
    assert!(report.failure().is_none(), "{report:#?}");
    azure.shutdown().await;
}

#[tokio::test]
async fn a_password_that_is_wrong() {
    let azure = bank()
        .sql_admin("sa", "Only-For-Tests-1")
        .start()
        .await
        .unwrap();
    let conn = azure.connection_string("bank").replace(
        "Authentication=ActiveDirectoryMSI",
        "User ID=sa;Password=MARKED-WRONG",
    );
    let report = check(&Options::new(conn.clone())).await;
    fails(
        &report,
        "login",
        Kind::Auth,
        "SQL login sa",
        "managed identity",
    );
    assert_eq!(of(&report, "token").outcome, Outcome::Skip);
    let report = check(&Options::new(
        conn.replace("MARKED-WRONG", "Only-For-Tests-1"),
    ))
    .await;
    warns(&report, "user", "dbo");
    azure.shutdown().await;
}
