//! `/metadata/identity/oauth2/token`: the Azure Instance Metadata Service of a virtual machine.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::managed_identity::{NotSelected, Selector, select_for_machine};
use super::query::{Query, QueryError};
use super::tokens::IssuedToken;
use super::{Identity, metadata_is_asked_for};
use crate::emulator::{EmulatorError, Platform};

/// The versions that this endpoint has answered since it came to IMDS.
const API_VERSIONS: [&str; 3] = ["2018-02-01", "2018-10-01", "2019-08-01"];
/// What the real service names when the version is missing.
const NEWEST_VERSIONS: [&str; 3] = ["2025-04-07", "2024-07-17", "2024-03-15"];

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

/// Answers every other method.
pub(super) async fn wrong_method() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [("allow", "GET")]).into_response()
}

/// A status with IMDS's error body.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body,
        }
    }
}

fn answer(identity: &Identity, headers: &HeaderMap, query: Option<&str>) -> Result<Value, Refusal> {
    check_headers(headers)?;
    let query = Query::parse(query)?;
    check_version(&query)?;
    let selector = query.selector("client_id", &["object_id"], "msi_res_id")?;
    let resource = query
        .filled("resource")
        .ok_or_else(|| invalid_request("Required query variable 'resource' is missing"))?;
    if !identity.knows_resource(resource) {
        return Err(unknown_resource(identity, resource));
    }
    let host = identity.host();
    let chosen = select_for_machine(&host, selector.as_ref())?;
    let issued = identity.issue(chosen, resource).map_err(|e| unsigned(&e))?;
    let mut body = body(identity, Platform::Imds, &issued, resource);
    if let Some(Selector::Client(id)) = selector {
        body["client_id"] = json!(id);
    }
    if let Some(refresh) = identity.refresh_in() {
        body["refresh_in"] = json!(refresh.to_string());
    }
    Ok(body)
}

/// IMDS renders every number as a string.
pub(super) fn body(
    identity: &Identity,
    platform: Platform,
    issued: &IssuedToken,
    resource: &str,
) -> Value {
    let mut body = json!({
        "access_token": issued.token.expose(),
        "refresh_token": "",
        "expires_in": issued.expires_in.to_string(),
        "not_before": issued.not_before.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    identity.write_expiry(platform, issued, &mut body);
    body
}

/// The answer if no token can be signed.
pub(super) fn unsigned(error: &EmulatorError) -> Refusal {
    tracing::error!(%error, "no token could be signed");
    Refusal::new(500, json!({ "error": "unknown" }))
}

pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key("x-forwarded-for") {
        return Err(invalid_request(
            "Requests that carry an X-Forwarded-For header are not answered; a proxy stands between",
        ));
    }
    if metadata_is_asked_for(headers) {
        return Ok(());
    }
    Err(invalid_request("Required metadata header not specified"))
}

fn check_version(query: &Query) -> Result<(), Refusal> {
    match query.filled("api-version") {
        Some(version) if API_VERSIONS.contains(&version) => Ok(()),
        Some(_) => Err(version_refused(
            "Bad request. api-version is not supported.",
        )),
        None => Err(version_refused(
            "Bad request. api-version was not specified in the request.",
        )),
    }
}

fn version_refused(sentence: &str) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        body: json!({ "error": sentence, "newest-versions": NEWEST_VERSIONS }),
    }
}

pub(super) fn invalid_request(description: impl Into<String>) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        body: json!({ "error": "invalid_request", "error_description": description.into() }),
    }
}

pub(super) fn unknown_resource(identity: &Identity, resource: &str) -> Refusal {
    let description = format!(
        "AADSTS500011: The resource principal named {resource} was not found in the tenant named {}.",
        identity.tenant_id()
    );
    Refusal {
        status: StatusCode::BAD_REQUEST,
        body: json!({ "error": "invalid_resource", "error_description": description }),
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Duplicate(name) => {
                invalid_request(format!("Duplicate query parameter '{name}'"))
            }
            QueryError::SeveralSelectors => {
                invalid_request("Only one of client_id, object_id and msi_res_id may be given")
            }
        }
    }
}

impl From<NotSelected> for Refusal {
    fn from(reason: NotSelected) -> Self {
        invalid_request(match reason {
            NotSelected::NotFound => "Identity not found",
            NotSelected::Several => {
                "Multiple user assigned identities exist, please specify the clientId / resourceId \
                 of the identity in the token request"
            }
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body)).into_response()
    }
}
