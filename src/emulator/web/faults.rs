//! Trouble that HTTP services have in common.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::emulator::IdentityFault;

/// Does what goes wrong whoever is asked. `None` if the true answer comes now, after a pause.
pub(in crate::emulator) async fn perform(
    fault: &IdentityFault,
    body: impl FnOnce(StatusCode) -> Response,
) -> Option<Response> {
    Some(match fault {
        IdentityFault::ArcChallenge(_)
        | IdentityFault::IgnoresSelector
        | IdentityFault::PlainText => return None,
        IdentityFault::Oversized => {
            let json = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
            let padding = " ".repeat(2 * 1024 * 1024);
            (json, format!("{{\"token_type\":\"Bearer\",{padding}")).into_response()
        }
        IdentityFault::Redirect => {
            let elsewhere = [(
                header::LOCATION,
                "https://login.microsoftonline.com/redirected",
            )];
            (StatusCode::TEMPORARY_REDIRECT, elsewhere).into_response()
        }
        IdentityFault::Unreachable => body(StatusCode::FORBIDDEN),
        IdentityFault::Booting => body(StatusCode::SERVICE_UNAVAILABLE),
        IdentityFault::Garbage => {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            ([(header::CONTENT_TYPE, json)], r#"{"access_token":"eyJ0"#).into_response()
        }
        IdentityFault::Html => page(StatusCode::SERVICE_UNAVAILABLE),
        IdentityFault::Slow(pause) => {
            tokio::time::sleep(*pause).await;
            return None;
        }
        IdentityFault::Stall => std::future::pending().await,
        IdentityFault::Status {
            status,
            retry_after,
        } => {
            let status = StatusCode::from_u16(*status)
                .ok()
                .filter(|s| s.is_client_error() || s.is_server_error())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = body(status);
            if let Some(wait) = retry_after {
                let seconds = wait.as_secs().into();
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            response
        }
    })
}

/// What a gateway in front of a service answers when that is gone.
pub(in crate::emulator) fn page(status: StatusCode) -> Response {
    let html = HeaderValue::from_static("text/html");
    let page = "<!DOCTYPE html><html><head><title>Service Unavailable</title></head><body>Our \
                services aren't available right now</body></html>";
    (status, [(header::CONTENT_TYPE, html)], page).into_response()
}
