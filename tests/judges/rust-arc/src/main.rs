//! azure_identity, unmodified, takes Azure Arc's challenge.
//!
//! The credential finds the platform by its variables, so each emulator has a run of its own; `FAULT`
//! names what is wrong with the challenge, if anything is.

use azure_core::credentials::TokenCredential;
use azure_identity::ManagedIdentityCredential;
use serde_json::{Value, json};

const SCOPE: &str = "https://database.windows.net/.default";

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn token() -> azure_core::Result<String> {
    let credential = ManagedIdentityCredential::new(None)?;
    let token = credential.get_token(&[SCOPE], None).await?;
    Ok(token.token.secret().to_owned())
}

async fn gets(client_id: &str) -> Outcome {
    let token = token().await?;
    let payload = token.split('.').nth(1).unwrap_or_default();
    let claims = azure_core::base64::decode_url_safe(payload)?;
    let claims = String::from_utf8_lossy(&claims).into_owned();
    match claims.contains(client_id) {
        true => Ok(()),
        false => Err(format!("another identity: {claims}").into()),
    }
}

async fn is_refused() -> Outcome {
    match token().await {
        Ok(_) => Err("an error was expected".into()),
        Err(_) => Ok(()),
    }
}

fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let (_, after) = lock
        .split_once("name = \"azure_identity\"\nversion = \"")
        .expect("the package is locked");
    after.split('"').next().expect("a version")
}

#[tokio::main]
async fn main() {
    println!("{}", json!({ "version": version() }));
    let emulator = std::env::var("EMULATOR").expect("EMULATOR is set");
    let emulator: Value = serde_json::from_str(&emulator).expect("EMULATOR is JSON");
    let (feature, outcome) = match std::env::var("FAULT") {
        Err(_) => {
            let id = emulator["identities"][0]["client_id"].as_str();
            let outcome = gets(id.expect("a client id")).await;
            ("system-assigned identity".to_owned(), outcome)
        }
        Ok(fault) => (format!("arc:{fault}"), is_refused().await),
    };
    let detail = outcome.as_ref().err().map(|error| format!("{error:?}"));
    let told = json!({ "feature": feature, "ok": outcome.is_ok(), "detail": detail });
    println!("{told}");
}
