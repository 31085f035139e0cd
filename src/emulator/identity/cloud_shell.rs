//! The endpoint of Azure Cloud Shell: a POST, and the token of the person who is signed in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::nested::Nested;
use super::query::Query;
use super::{Identity, metadata_is_asked_for};
use crate::emulator::Platform;

const HERE: Platform = Platform::CloudShell;
const FORM: &str = "application/x-www-form-urlencoded";

/// Answers a POST for a token.
pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    answer(&identity, &headers, &form)
        .map(axum::Json)
        .into_response()
}

fn answer(identity: &Identity, headers: &HeaderMap, form: &[u8]) -> Result<Value, Nested> {
    if !metadata_is_asked_for(headers) {
        let message = "Required metadata header not specified";
        return Err(Nested::new(400, "bad_request_102", message));
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with(FORM) {
        let message = format!("The content type must be {FORM}");
        return Err(Nested::new(400, "invalid_request", message));
    }
    let form = Query::of_form(form)?;
    let resource = form.filled("resource").ok_or_else(|| {
        Nested::new(
            400,
            "invalid_request",
            "The parameter 'resource' is missing",
        )
    })?;
    let platforms = &identity.platforms;
    if !identity.knows_resource(resource) || !platforms.cloud_shell_serves(resource) {
        let message = format!("Audience {resource} is not a supported MSI token audience.");
        return Err(Nested::new(400, "AudienceNotSupported", message));
    }
    let user = platforms.user().ok_or_else(|| {
        Nested::new(
            400,
            "UserNotFound",
            "The tenant has no such user for Cloud Shell",
        )
    })?;
    let token = identity.issue_to_user(&user, resource)?;
    let mut body = json!({
        "access_token": token.token.expose(),
        "refresh_token": "",
        "expires_in": token.expires_in.to_string(),
        "not_before": token.not_before.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    identity.write_expiry(HERE, &token, &mut body);
    Ok(body)
}
