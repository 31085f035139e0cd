//! `/msi/token`: the endpoint of App Service, Functions and Container Apps.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::managed_identity::{Selector, select_for_app};
use super::query::{Query, QueryError};
use super::{Identity, IssuedToken, ManagedIdentity, is_secret};
use crate::emulator::Platform;

const API_VERSION: &str = "2019-08-01";
const HERE: Platform = Platform::AppService;

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

/// A status with App Service's error body.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            message: message.into(),
        }
    }
}

fn answer(identity: &Identity, headers: &HeaderMap, query: Option<&str>) -> Result<Value, Refusal> {
    if !is_secret(
        headers,
        "x-identity-header",
        &identity.platforms.secret(HERE),
    ) {
        let message = "The X-IDENTITY-HEADER header is missing or wrong.";
        return Err(Refusal::new(401, message));
    }
    let query = Query::parse(query)?;
    if query.filled("api-version") != Some(API_VERSION) {
        let message = format!("The api-version must be {API_VERSION}.");
        return Err(Refusal::new(400, message));
    }
    let resource = query.filled("resource");
    let resource =
        resource.ok_or_else(|| Refusal::new(400, "The resource parameter is missing."))?;
    // `msi_res_id`, IMDS's name, is not looked at here.
    let selector = query.selector("client_id", &["principal_id", "object_id"], "mi_res_id")?;
    let host = identity.host();
    let chosen = chosen(&host, selector.as_ref())?;
    let token = issued(identity, chosen, resource)?;
    let mut body = json!({
        "access_token": token.token.expose(),
        "client_id": chosen.client_id,
        "not_before": token.not_before.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    identity.write_expiry(HERE, &token, &mut body);
    if let Some(refresh) = identity.refresh_in() {
        body["refresh_in"] = json!(refresh.to_string());
    }
    Ok(body)
}

/// The identity that is asked for, or App Service's words about nobody.
pub(super) fn chosen<'a>(
    host: &'a [ManagedIdentity],
    selector: Option<&Selector>,
) -> Result<&'a ManagedIdentity, Refusal> {
    select_for_app(host, selector).map_err(|_| {
        let message = match selector {
            None => "Unable to load the proper Managed Identity.",
            Some(_) => {
                "No User Assigned or Delegated Managed Identity found for specified \
                 ClientId/ResourceId/PrincipalId."
            }
        };
        Refusal::new(400, message)
    })
}

/// A token for a resource that is known.
pub(super) fn issued(
    identity: &Identity,
    chosen: &ManagedIdentity,
    resource: &str,
) -> Result<IssuedToken, Refusal> {
    if !identity.knows_resource(resource) {
        // The real service is as vague as this about resources that do not exist.
        let message = "An unexpected error occurred while fetching the AAD Token.";
        return Err(Refusal::new(500, message));
    }
    identity.issue(chosen, resource).map_err(|error| {
        tracing::error!(%error, "no token could be signed");
        Refusal::new(500, "The token could not be signed.")
    })
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let message = match error {
            QueryError::Duplicate(name) => format!("The parameter {name} is given twice."),
            QueryError::SeveralSelectors => {
                "Only one of client_id, principal_id and mi_res_id may be given.".into()
            }
        };
        Self::new(400, message)
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
