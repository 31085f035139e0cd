//! Faults in place of an identity endpoint's answer, in the words of the service that has them.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::emulator::IdentityFault;

/// Whose endpoint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Imds,
    AppService,
}

pub(super) async fn perform(
    endpoint: Endpoint,
    fault: IdentityFault,
    call: Request,
    next: Next,
) -> Response {
    match fault {
        IdentityFault::Booting => status(endpoint, StatusCode::NOT_FOUND, None),
        IdentityFault::Garbage => {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            ([(header::CONTENT_TYPE, json)], r#"{"access_token":"eyJ0"#).into_response()
        }
        IdentityFault::Html => {
            let html = HeaderValue::from_static("text/html");
            let page = "<!DOCTYPE html><html><body>Sign in to the network</body></html>";
            ([(header::CONTENT_TYPE, html)], page).into_response()
        }
        IdentityFault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            next.run(call).await
        }
        IdentityFault::Stall => std::future::pending().await,
        IdentityFault::Status {
            status: wanted,
            retry_after,
        } => {
            let wanted = StatusCode::from_u16(wanted)
                .ok()
                .filter(|s| s.is_client_error() || s.is_server_error())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            status(endpoint, wanted, retry_after)
        }
    }
}

/// An error status with the body that this endpoint gives to it.
pub(super) fn status(
    endpoint: Endpoint,
    status: StatusCode,
    retry_after: Option<Duration>,
) -> Response {
    let mut response = match (endpoint, status.as_u16()) {
        // From a service that is on its way up, so there is no JSON.
        (Endpoint::Imds, 404 | 410) => status.into_response(),
        (Endpoint::Imds, _) => (status, axum::Json(imds_body(status))).into_response(),
        (Endpoint::AppService, _) => (status, axum::Json(app_service_body(status))).into_response(),
    };
    if let Some(wait) = retry_after {
        let seconds = wait.as_secs().into();
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn imds_body(status: StatusCode) -> Value {
    let (error, description) = match status.as_u16() {
        400 => ("invalid_request", "Identity not found"),
        401 => ("unauthorized_client", "The client is not authorized"),
        403 => ("access_denied", "The request is not allowed"),
        429 => ("too_many_requests", "Too many requests"),
        _ => (
            "unknown",
            "Failed to retrieve token from the Active directory",
        ),
    };
    json!({ "error": error, "error_description": description })
}

fn app_service_body(status: StatusCode) -> Value {
    let message = match status.as_u16() {
        400 => {
            "No User Assigned or Delegated Managed Identity found for specified \
             ClientId/ResourceId/PrincipalId."
        }
        429 => "Too many requests.",
        _ => {
            "An unexpected error occurred while fetching the AAD Token. Please contact support with \
             this provided Correlation Id."
        }
    };
    json!({
        "statusCode": status.as_u16(),
        "message": message,
        "correlationId": Uuid::new_v4(),
    })
}
