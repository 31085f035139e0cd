//! The endpoint of Service Fabric: HTTPS, with a certificate that clients know by its thumbprint.

use std::sync::Arc;

use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::managed_identity::select_for_machine;
use super::nested::Nested;
use super::query::Query;
use super::{Identity, is_secret};
use crate::emulator::Platform;
use crate::emulator::web::Line;

/// The version of the documentation, and a later one that libraries ask for.
const API_VERSIONS: [&str; 2] = ["2019-07-01-preview", "2020-05-01"];
const HERE: Platform = Platform::ServiceFabric;

/// Answers a GET for a token.
pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if !line.encrypted {
        // A client that took `http:` for `https:` finds nothing, like at the real one.
        return StatusCode::NOT_FOUND.into_response();
    }
    answer(&identity, &headers, query.as_deref())
        .map(axum::Json)
        .into_response()
}

fn answer(identity: &Identity, headers: &HeaderMap, query: Option<&str>) -> Result<Value, Nested> {
    if !headers.contains_key("secret") {
        let message = "Secret is not found in the request headers.";
        return Err(Nested::new(400, "SecretHeaderNotFound", message));
    }
    let not_found = || {
        let message = "Managed identity not found for the specified application host.";
        Nested::new(404, "ManagedIdentityNotFound", message)
    };
    // The secret is what tells the applications of a cluster apart.
    if !is_secret(headers, "secret", &identity.platforms.secret(HERE)) {
        return Err(not_found());
    }
    let query = Query::parse(query)?;
    let version = query.get("api-version").unwrap_or_default();
    if !API_VERSIONS.contains(&version) {
        let message = format!("The api-version '{version}' is not supported.");
        return Err(Nested::new(400, "InvalidApiVersion", message));
    }
    let resource = query.filled("resource").ok_or_else(|| {
        let message = "The parameter 'resource' should not be null or empty string.";
        Nested::new(400, "ArgumentNullOrEmpty", message)
    })?;
    let selector = query.selector("", &["principalid"], "")?;
    let host = identity.host();
    let chosen = select_for_machine(&host, selector.as_ref()).map_err(|_| not_found())?;
    if !identity.knows_resource(resource) {
        return Err(Nested::new(
            500,
            "InternalServerError",
            "An error occurred.",
        ));
    }
    let token = identity.issue(chosen, resource)?;
    let mut body = json!({
        "access_token": token.token.expose(),
        "resource": resource,
        "token_type": "Bearer",
    });
    identity.write_expiry(HERE, &token, &mut body);
    Ok(body)
}
