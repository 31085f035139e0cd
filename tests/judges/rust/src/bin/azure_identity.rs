//! azure_identity, unmodified, against the emulator's identity endpoints.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{ClientOptions, Context, Request, Url};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use judge_rust::{Outcome, emulator, feature, says, tell_version, text};
use serde_json::Value;

const SCOPE: &str = "https://database.windows.net/.default";

/// This library knows one address of IMDS. Its requests for it go to the emulator in its place.
#[derive(Debug)]
struct Moved(Option<Url>);

#[async_trait]
impl Policy for Moved {
    async fn send(
        &self,
        ctx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        if let Some(imds) = &self.0 {
            let url = request.url_mut();
            url.set_host(imds.host_str())?;
            let _ = url.set_port(imds.port());
        }
        next[0].send(ctx, request, &next[1..]).await
    }
}

fn credential(id: Option<UserAssignedId>) -> azure_core::Result<Arc<ManagedIdentityCredential>> {
    let imds = std::env::var("AZURE_POD_IDENTITY_AUTHORITY_HOST").ok();
    let moved = Moved(imds.map(|url| Url::parse(&url).expect("a URL")));
    ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
        user_assigned_id: id,
        client_options: ClientOptions {
            per_call_policies: vec![Arc::new(moved)],
            ..ClientOptions::default()
        },
    }))
}

async fn gets(id: Option<UserAssignedId>, client_id: String) -> Outcome {
    let credential = credential(id)?;
    let token = credential.get_token(&[SCOPE], None).await?;
    // The claims are base64url without padding; the id is looked for in what they decode to.
    says(&claims(token.token.secret()), &client_id)?;
    let again = credential.get_token(&[SCOPE], None).await?;
    judge_rust::same(again.token.secret(), token.token.secret())
}

fn claims(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = azure_core::base64::decode_url_safe(payload).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn refused(id: Option<UserAssignedId>, scope: &'static str, words: &str) -> Outcome {
    match credential(id)?.get_token(&[scope], None).await {
        Ok(_) => Err("an error was expected".into()),
        Err(error) => {
            let error: Box<dyn std::error::Error + Send + Sync> = error.into();
            says(&format!("{error:?}"), words)
        }
    }
}

#[tokio::main]
async fn main() {
    tell_version("azure_identity");
    let emulator = emulator();
    let app_service = std::env::var_os("IDENTITY_ENDPOINT").is_some();
    let place = if app_service { "App Service" } else { "IMDS" };
    let id = |identity: &Value, name| text(identity, name);
    let (system, user) = (&emulator["identities"][0], &emulator["identities"][1]);
    let client = id(user, "client_id");
    let name = |what: &str| format!("{place}: {what}");
    feature(
        &name("system-assigned identity"),
        gets(None, id(system, "client_id")),
    )
    .await;
    let by = UserAssignedId::ClientId(client.clone());
    feature(
        &name("user-assigned identity by client id"),
        gets(Some(by), client.clone()),
    )
    .await;
    let by = UserAssignedId::ObjectId(id(user, "object_id"));
    feature(
        &name("user-assigned identity by object id"),
        gets(Some(by), client.clone()),
    )
    .await;
    if !app_service {
        let by = UserAssignedId::ResourceId(id(user, "resource_id"));
        feature(
            &name("user-assigned identity by resource id"),
            gets(Some(by), client),
        )
        .await;
    }
    let stranger = UserAssignedId::ClientId("00000000-0000-0000-0000-00000000dead".into());
    let words = "not been assigned";
    feature(
        &name("an identity that is not assigned"),
        refused(Some(stranger), SCOPE, words),
    )
    .await;
}
