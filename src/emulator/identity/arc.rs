//! The endpoint of Azure Arc's agent: a challenge with a key file first, a token second.

use std::path::Path;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Identity;
use super::imds::{Refusal, body, check_headers, invalid_request, unknown_resource, unsigned};
use super::managed_identity::{Selector, select_for_app};
use super::query::Query;
use crate::Secret;
use crate::emulator::{ArcChallenge, Platform};

/// The versions that libraries ask for.
const API_VERSIONS: [&str; 4] = ["2019-08-15", "2019-11-01", "2020-06-01", "2021-02-01"];

/// Answers a GET for a token.
pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    fault: Option<Extension<ArcChallenge>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let fault = fault.map(|Extension(fault)| fault);
    if let Err(refusal) = check_headers(&headers) {
        return refusal.into_response();
    }
    let given = headers.get(header::AUTHORIZATION).cloned();
    if fault != Some(ArcChallenge::Answered) && !proves(&identity, given).await {
        return challenge(&identity, fault).await;
    }
    answer(&identity, query.as_deref())
        .map(axum::Json)
        .into_response()
}

/// Whether the header holds the content of a key file, as it is and not in base64 again.
async fn proves(identity: &Arc<Identity>, given: Option<HeaderValue>) -> bool {
    let given = given.as_ref().and_then(|value| value.to_str().ok());
    let Some(("Basic", key)) = given.and_then(|value| value.split_once(' ')) else {
        return false;
    };
    let (identity, key) = (identity.clone(), Secret::new(key));
    let now = identity.clock().now();
    let accepted =
        tokio::task::spawn_blocking(move || identity.platforms.arc.accept(&key, now)).await;
    accepted.unwrap_or(false)
}

/// 401 with the path of a new key file.
async fn challenge(identity: &Arc<Identity>, fault: Option<ArcChallenge>) -> Response {
    let now = identity.clock().now();
    let worker = identity.clone();
    let made =
        tokio::task::spawn_blocking(move || worker.platforms.arc.challenge(fault, now)).await;
    let path = match made.map_err(std::io::Error::other).flatten() {
        Ok(path) => path,
        Err(error) => {
            tracing::error!(%error, "no key file for Azure Arc could be written");
            return Refusal::new(500, json!({ "error": "unknown" })).into_response();
        }
    };
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    if let Some(value) = told(&path, fault).and_then(|told| HeaderValue::try_from(told).ok()) {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

fn told(path: &Path, fault: Option<ArcChallenge>) -> Option<String> {
    let path = path.display();
    match fault {
        Some(ArcChallenge::NoHeader) => None,
        Some(ArcChallenge::NoRealm) => Some("Basic".to_owned()),
        Some(ArcChallenge::Quoted) => Some(format!("Basic realm=\"{path}\"")),
        _ => Some(format!("Basic realm={path}")),
    }
}

fn answer(identity: &Identity, query: Option<&str>) -> Result<Value, Refusal> {
    let query = Query::parse(query)?;
    match query.filled("api-version") {
        Some(version) if API_VERSIONS.contains(&version) => {}
        _ => return Err(invalid_request("The api-version is missing or not known")),
    }
    // Agents have never looked at `mi_res_id`.
    let selector = query.selector("client_id", &["object_id"], "msi_res_id")?;
    let resource = query
        .filled("resource")
        .ok_or_else(|| invalid_request("Required query variable 'resource' is missing"))?;
    if !identity.knows_resource(resource) {
        return Err(unknown_resource(identity, resource));
    }
    let host = identity.host();
    let chosen = select_for_app(&host, selector.as_ref())?;
    let token = identity.issue(chosen, resource).map_err(|e| unsigned(&e))?;
    let mut body = body(identity, Platform::Arc, &token, resource);
    match selector {
        Some(Selector::Client(id)) => body["client_id"] = json!(id),
        Some(Selector::Object(id)) => body["object_id"] = json!(id),
        Some(Selector::Resource(id)) => body["msi_res_id"] = json!(id),
        None => {}
    }
    Ok(body)
}
