//! The emulator as tedious sees it, the driver below Node's `mssql`.

use entrada::emulator::Emulator;
use serde_json::{Value, json};

use crate::clients_python::{ADMIN, coordinates, dbo};
use crate::support::clients::{judge, node};

#[tokio::test]
async fn tedious() {
    let emulator = demo().await;
    let told = told(&emulator);
    let mut lines = Vec::new();
    // The driver's library for managed identities keeps tokens for the life of a process.
    for identity in [
        Vec::new(),
        emulator.app_service_environment(),
        emulator.imds_environment(),
    ] {
        let environment: Vec<(String, String)> = identity
            .into_iter()
            .chain([("EMULATOR".to_owned(), told.to_string())])
            .collect();
        match node("tedious_judge.js", &[], environment).await {
            Some(printed) => lines.extend(printed),
            None => return,
        }
    }
    judge("tedious", &lines);
}

/// An emulator with an administrator's password and users for both identities.
pub(crate) async fn demo() -> Emulator {
    let builder = Emulator::builder()
        .sql_admin(ADMIN.0, ADMIN.1)
        .user("demo", "demo-app", &["db_datareader"])
        .user("demo", "demo-worker", &["db_owner"]);
    builder.start().await.unwrap()
}

/// What clients are told: where the emulator is, whom to trust, who may log in.
pub(crate) fn told(emulator: &Emulator) -> Value {
    let mut told = coordinates(emulator);
    dbo(&mut told);
    told["ca_pem"] = json!(emulator.ca_certificate_pem());
    for (name, token) in tokens(emulator) {
        told[name] = json!(token);
    }
    told
}

/// A good token for the machine's own identity, and two that the gateway must refuse.
fn tokens(emulator: &Emulator) -> [(&'static str, String); 3] {
    let name = &emulator.identities()[0].name;
    let issue = |resource| {
        let issued = emulator.issue_token(name, resource).unwrap();
        issued.token.expose().to_owned()
    };
    let token = issue("https://database.windows.net/");
    let mut claims = claims(&token);
    for time in ["exp", "iat", "nbf"] {
        claims[time] = json!(claims[time].as_i64().unwrap() - 7 * 24 * 3600);
    }
    let expired = emulator.sign_claims(&claims).unwrap().expose().to_owned();
    [
        ("token", token),
        ("expired_token", expired),
        ("foreign_token", issue("https://vault.azure.net")),
    ]
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
