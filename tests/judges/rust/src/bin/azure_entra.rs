//! azure_identity's credentials for applications, unmodified, at Entra under its real name.

use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::ClientMethodOptions;
use azure_identity::{
    AzurePipelinesCredential, ClientAssertion, ClientAssertionCredential, ClientSecretCredential,
    WorkloadIdentityCredential,
};
use judge_rust::{Outcome, emulator, feature, says, tell_version, text};
use serde_json::Value;

const SCOPE: &str = "https://database.windows.net//.default";

async fn gets(
    credential: azure_core::Result<Arc<impl TokenCredential>>,
    client_id: String,
) -> Outcome {
    let credential = credential?;
    let token = credential.get_token(&[SCOPE], None).await?;
    let claims = claims(token.token.secret());
    says(&claims, &client_id)?;
    says(&claims, "\"https://database.windows.net/\"")?;
    let again = credential.get_token(&[SCOPE], None).await?;
    judge_rust::same(again.token.secret(), token.token.secret())
}

fn claims(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = azure_core::base64::decode_url_safe(payload).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn refused(
    credential: azure_core::Result<Arc<impl TokenCredential>>,
    words: &'static str,
) -> Outcome {
    match credential?.get_token(&[SCOPE], None).await {
        Ok(_) => Err("an error was expected".into()),
        Err(error) => says(&format!("{error:?}"), words),
    }
}

/// A job's token that was handed out at its start.
#[derive(Debug)]
struct Given(String);

#[async_trait::async_trait]
impl ClientAssertion for Given {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.clone())
    }
}

fn assertion(
    emulator: &Value,
    given: String,
) -> azure_core::Result<Arc<ClientAssertionCredential<Given>>> {
    let (tenant, client) = (text(emulator, "tenant"), text(emulator, "client_id"));
    ClientAssertionCredential::new(tenant, client, Given(given), None)
}

fn secret(
    emulator: &Value,
    tenant: &str,
    secret: String,
) -> azure_core::Result<Arc<ClientSecretCredential>> {
    let client = text(emulator, "client_id");
    let tenant = text(emulator, tenant);
    ClientSecretCredential::new(&tenant, client, Secret::new(secret), None)
}

fn pipelines(emulator: &Value, token: String) -> azure_core::Result<Arc<AzurePipelinesCredential>> {
    let connection = std::env::var("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID").expect("it is set");
    let (tenant, client) = (text(emulator, "tenant"), text(emulator, "client_id"));
    AzurePipelinesCredential::new(tenant, client, &connection, Secret::new(token), None)
}

#[tokio::main]
async fn main() {
    tell_version("azure_identity");
    let emulator = emulator();
    let client = || text(&emulator, "client_id");
    let right = || text(&emulator, "secret");
    feature(
        "ClientSecretCredential",
        gets(secret(&emulator, "tenant", right()), client()),
    )
    .await;
    feature(
        "ClientSecretCredential: the tenant by its domain name",
        gets(secret(&emulator, "domain", right()), client()),
    )
    .await;
    feature(
        "ClientSecretCredential: a wrong secret",
        refused(secret(&emulator, "tenant", "no".into()), "7000215"),
    )
    .await;
    feature(
        "ClientAssertionCredential: GitLab",
        gets(assertion(&emulator, text(&emulator, "gitlab")), client()),
    )
    .await;
    feature(
        "ClientAssertionCredential: an assertion that is none",
        refused(assertion(&emulator, "no.jwt.here".into()), "50027"),
    )
    .await;
    feature(
        "WorkloadIdentityCredential",
        gets(WorkloadIdentityCredential::new(None), client()),
    )
    .await;
    let token = std::env::var("SYSTEM_ACCESSTOKEN").expect("it is set");
    feature(
        "AzurePipelinesCredential",
        gets(pipelines(&emulator, token), client()),
    )
    .await;
    feature(
        "AzurePipelinesCredential: an access token that has ended",
        refused(pipelines(&emulator, "ended".into()), "401"),
    )
    .await;
}
