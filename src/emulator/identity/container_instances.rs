//! The endpoint of Windows container groups in Azure Container Instances. Linux groups have IMDS.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::managed_identity::select_for_app;
use super::nested::Nested;
use super::query::Query;
use super::{Identity, is_secret};
use crate::emulator::Platform;

const HERE: Platform = Platform::ContainerInstancesWindows;

/// Answers a GET for a token.
pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    answer(&identity, &headers, query.as_deref())
        .map(axum::Json)
        .into_response()
}

fn answer(identity: &Identity, headers: &HeaderMap, query: Option<&str>) -> Result<Value, Nested> {
    let query = Query::parse(query)?;
    // Only this parameter names an identity; whoever takes this for App Service and sends `client_id`
    // or another secret header learns that there is no default identity, if there is none.
    let selector = query.selector("", &["principalid"], "")?;
    let host = identity.host();
    let chosen = select_for_app(&host, selector.as_ref()).map_err(|_| match selector {
        None => {
            let message = "The default identity is not defined for this container group.";
            Nested::new(404, "DefaultIdentityNotDefined", message)
        }
        Some(_) => {
            let message = "Managed identity not found for the specified principal id.";
            Nested::new(404, "ManagedIdentityNotFound", message)
        }
    })?;
    if !is_secret(headers, "secret", &identity.platforms.secret(HERE)) {
        let message = "Secret is not found in the request headers, or is wrong.";
        return Err(Nested::new(401, "SecretHeaderNotFound", message));
    }
    let resource = query.filled("resource").ok_or_else(|| {
        let message = "The parameter 'resource' should not be null or empty string.";
        Nested::new(400, "ArgumentNullOrEmpty", message)
    })?;
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
