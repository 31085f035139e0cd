//! Faults in place of an identity endpoint's answer, in the words of the service that has them.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::query::SELECTORS;
use crate::emulator::{ArcChallenge, IdentityFault, Platform};

/// Where a redirected request is sent; see [`trap`].
pub(super) const TRAP: &str = "/redirected";
/// The longest body that the endpoints answer with or read.
const MAX_BODY: usize = 64 * 1024;

pub(super) async fn perform(
    platform: Platform,
    base_url: &str,
    fault: IdentityFault,
    mut call: Request,
    next: Next,
) -> Response {
    match fault {
        IdentityFault::ArcChallenge(challenge) => {
            call.extensions_mut().insert::<ArcChallenge>(challenge);
            next.run(call).await
        }
        IdentityFault::Booting => status(platform, StatusCode::NOT_FOUND, None),
        IdentityFault::Garbage => typed(JSON, r#"{"access_token":"eyJ0"#.to_owned()),
        IdentityFault::Html => {
            let page = "<!DOCTYPE html><html><body>Sign in to the network</body></html>";
            typed("text/html", page.to_owned())
        }
        IdentityFault::IgnoresSelector => next.run(without_selector(call).await).await,
        IdentityFault::Oversized => {
            let padding = " ".repeat(2 * 1024 * 1024);
            typed(JSON, format!(r#"{{"token_type":"Bearer",{padding}"#))
        }
        IdentityFault::PlainText => plain(next.run(call).await).await,
        IdentityFault::Redirect => {
            let location = format!("{base_url}{TRAP}");
            let location = [(header::LOCATION, location)];
            (StatusCode::TEMPORARY_REDIRECT, location).into_response()
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
            status(platform, wanted, retry_after)
        }
        IdentityFault::Unreachable => {
            let words = "connecting to 169.254.169.254:80: a socket operation was attempted to an \
                         unreachable network";
            (StatusCode::FORBIDDEN, words).into_response()
        }
    }
}

/// Somebody who takes what a client sends after a redirect, and answers as a token endpoint would.
pub(super) async fn trap() -> Response {
    let body = json!({
        "access_token": "of-whoever-follows-redirects",
        "expires_in": "86399",
        "expires_on": "4102444800",
        "resource": "https://database.windows.net/",
        "token_type": "Bearer",
    });
    axum::Json(body).into_response()
}

/// An error status with the body that this endpoint gives to it.
pub(super) fn status(
    platform: Platform,
    status: StatusCode,
    retry_after: Option<Duration>,
) -> Response {
    let mut response = match (platform, status.as_u16()) {
        // From a service that is on its way up, so there is no JSON.
        (Platform::Imds, 404 | 410) => status.into_response(),
        _ => (status, axum::Json(body_of(platform, status))).into_response(),
    };
    if let Some(wait) = retry_after {
        let seconds = wait.as_secs().into();
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn body_of(platform: Platform, status: StatusCode) -> Value {
    match platform {
        Platform::Imds | Platform::Arc => imds_body(status),
        Platform::AppService | Platform::AppService2017 | Platform::Automation => {
            app_service_body(status)
        }
        Platform::CloudShell
        | Platform::ContainerInstancesWindows
        | Platform::MachineLearning
        | Platform::ServiceFabric => nested_body(status),
    }
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

/// The form that Service Fabric documents and the others share as far as is known.
fn nested_body(status: StatusCode) -> Value {
    let (code, message) = match status.as_u16() {
        400 => ("BadRequest", "The request is not valid."),
        401 => ("Unauthorized", "The secret is missing or wrong."),
        403 => ("Forbidden", "The request is not allowed."),
        404 => (
            "ManagedIdentityNotFound",
            "Managed identity not found for the specified application host.",
        ),
        429 => ("TooManyRequests", "Too many requests."),
        _ => ("InternalServerError", "An error occurred."),
    };
    json!({
        "error": { "code": code, "message": message, "correlationId": Uuid::new_v4() },
    })
}

const JSON: &str = "application/json; charset=utf-8";

fn typed(kind: &'static str, body: String) -> Response {
    let kind = HeaderValue::from_static(kind);
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// The same error without JSON.
async fn plain(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let body = axum::body::to_bytes(response.into_body(), MAX_BODY).await;
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let places = [
        &body["error_description"],
        &body["message"],
        &body["error"]["message"],
        &body["error"],
    ];
    let words = places.into_iter().find_map(Value::as_str);
    (status, words.unwrap_or("Bad request").to_owned()).into_response()
}

/// The request without the parameters that name an identity.
async fn without_selector(call: Request) -> Request {
    let (mut parts, body) = call.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .unwrap_or_default();
    let kept = without_selectors(parts.uri.query().unwrap_or_default().as_bytes());
    let path = parts.uri.path();
    parts.uri = Uri::try_from(format!("{path}?{kept}")).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Request::from_parts(parts, Body::from(without_selectors(&body)))
}

fn without_selectors(form: &[u8]) -> String {
    let pairs = url::form_urlencoded::parse(form);
    let is_other = |name: &str| !SELECTORS.iter().any(|s| s.eq_ignore_ascii_case(name));
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    kept.extend_pairs(pairs.filter(|(name, _)| is_other(name)));
    kept.finish()
}
