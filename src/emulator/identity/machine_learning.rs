//! The endpoint of Azure Machine Learning, which wants to be told the client id always.

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

const API_VERSION: &str = "2017-09-01";
const HERE: Platform = Platform::MachineLearning;

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
    if !is_secret(headers, "secret", &identity.platforms.secret(HERE)) {
        return Err(Nested::new(
            401,
            "Unauthorized",
            "The secret header is missing or wrong.",
        ));
    }
    let query = Query::parse(query)?;
    if query.filled("api-version") != Some(API_VERSION) {
        let message = format!("The api-version must be {API_VERSION}.");
        return Err(Nested::new(400, "InvalidApiVersion", message));
    }
    let missing = |name: &str| {
        let message = format!("The parameter '{name}' is required.");
        Nested::new(400, "BadArgument", message)
    };
    let resource = query
        .filled("resource")
        .ok_or_else(|| missing("resource"))?;
    let selector = query.selector("clientid", &[], "")?;
    let selector = selector.ok_or_else(|| missing("clientid"))?;
    let host = identity.host();
    let chosen = select_for_app(&host, Some(&selector)).map_err(|_| {
        let message = "No identity of that client id is assigned to this compute.";
        Nested::new(400, "IdentityNotFound", message)
    })?;
    if !identity.knows_resource(resource) {
        let message = format!("The resource {resource} was not found in the tenant.");
        return Err(Nested::new(400, "InvalidResource", message));
    }
    let token = identity.issue(chosen, resource)?;
    let mut body = json!({
        "access_token": token.token.expose(),
        "client_id": chosen.client_id,
        "not_before": token.not_before,
        "resource": resource,
        "token_type": "Bearer",
    });
    identity.write_expiry(HERE, &token, &mut body);
    Ok(body)
}
