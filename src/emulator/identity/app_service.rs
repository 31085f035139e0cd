//! `/msi/token`: the endpoint of App Service, Functions and Container Apps.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Identity;
use super::managed_identity::select_for_app;
use super::query::{Query, QueryError};
use crate::Secret;

const API_VERSION: &str = "2019-08-01";

/// Answers a GET for a token.
pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match answer(&identity, &headers, query.as_deref()) {
        Ok(body) => (StatusCode::OK, axum::Json(body)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
}

fn answer(identity: &Identity, headers: &HeaderMap, query: Option<&str>) -> Result<Value, Refusal> {
    check_header(identity, headers)?;
    let query = Query::parse(query)?;
    if query.filled("api-version") != Some(API_VERSION) {
        return Err(bad_request(format!(
            "The api-version must be {API_VERSION}."
        )));
    }
    let resource = query
        .filled("resource")
        .ok_or_else(|| bad_request("The resource parameter is missing."))?;
    // `msi_res_id`, IMDS's name, is not looked at here.
    let selector = query.selector("client_id", &["principal_id", "object_id"], "mi_res_id")?;
    let host = identity.host();
    let chosen = select_for_app(&host, selector.as_ref()).map_err(|_| {
        bad_request(match selector {
            None => "Unable to load the proper Managed Identity.",
            Some(_) => {
                "No User Assigned or Delegated Managed Identity found for specified \
                 ClientId/ResourceId/PrincipalId."
            }
        })
    })?;
    if !identity.knows_resource(resource) {
        // The real service is as vague as this about resources that do not exist.
        return Err(internal(
            "An unexpected error occurred while fetching the AAD Token.",
        ));
    }
    let issued = identity.issue(chosen, resource).map_err(|error| {
        tracing::error!(%error, "no token could be signed");
        internal("The token could not be signed.")
    })?;
    let mut body = json!({
        "access_token": issued.token.expose(),
        "client_id": chosen.client_id,
        "expires_on": issued.expires_on.to_string(),
        "not_before": issued.not_before.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    if let Some(refresh) = identity.refresh_in() {
        body["refresh_in"] = json!(refresh.to_string());
    }
    Ok(body)
}

fn check_header(identity: &Identity, headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers
        .get("x-identity-header")
        .and_then(|value| value.to_str().ok());
    match given {
        Some(given) if Secret::new(given) == identity.app_service_header() => Ok(()),
        _ => Err(Refusal {
            status: StatusCode::UNAUTHORIZED,
            message: "The X-IDENTITY-HEADER header is missing or wrong.".into(),
        }),
    }
}

fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        message: message.into(),
    }
}

fn internal(message: &str) -> Refusal {
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: message.into(),
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        bad_request(match error {
            QueryError::Duplicate(name) => format!("The parameter {name} is given twice."),
            QueryError::SeveralSelectors => {
                "Only one of client_id, principal_id and mi_res_id may be given.".into()
            }
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "statusCode": self.status.as_u16(),
            "message": self.message,
            "correlationId": Uuid::new_v4(),
        });
        (self.status, axum::Json(body)).into_response()
    }
}
