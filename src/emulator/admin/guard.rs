//! Who may ask: programs of this machine that have the key, and no browser.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::AdminAccess;
use super::answers::refusal;
use crate::Secret;

/// Nothing that the endpoint does takes longer, unless a client is slow to send.
const PATIENCE: Duration = Duration::from_secs(30);

/// What requests are measured by.
pub(super) struct Guard {
    address: SocketAddr,
    key: Secret,
}

impl Guard {
    pub(super) fn new(access: AdminAccess) -> Self {
        Self {
            address: access.address,
            key: access.key,
        }
    }

    fn refuses(&self, headers: &HeaderMap) -> Option<Response> {
        // A page that got a name of its own resolved to loopback still sends that name.
        if !self.is_meant(headers) {
            let why = "the Host header does not name this endpoint; use its address as printed";
            return Some(refusal(StatusCode::FORBIDDEN, why));
        }
        if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
            let why = "requests from browsers are not answered";
            return Some(refusal(StatusCode::FORBIDDEN, why));
        }
        if !self.has_key(headers) {
            let why = "send the key that was printed at the start: Authorization: Bearer KEY";
            let mut response = refusal(StatusCode::UNAUTHORIZED, why);
            let bearer = axum::http::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
            return Some(response);
        }
        None
    }

    fn is_meant(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let ours = [
            self.address.to_string(),
            format!("localhost:{}", self.address.port()),
        ];
        ours.iter()
            .any(|name| host.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
    }

    fn has_key(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        given.is_some_and(|(_, key)| Secret::new(key.trim()) == self.key)
    }
}

pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    if let Some(refused) = guard.refuses(request.headers()) {
        return refused;
    }
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refusal(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    }
}
