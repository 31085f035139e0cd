//! What happens around every token request at a platform's endpoint: it is counted, recorded, and
//! met with the faults that are in force.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::query::{Query, SELECTORS};
use super::{Identity, faults};
use crate::emulator::recorded::Requests;
use crate::emulator::{Faults, IdentityRequest, Platform, RequestKind};

/// A form names a resource and an identity; nothing more belongs there.
const MAX_FORM: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches over token requests.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) identity: Arc<Identity>,
    pub(super) faults: Faults,
    pub(super) recorded: Requests,
}

impl Watch {
    /// Puts the watch around the routes of a platform.
    pub(super) fn over(
        &self,
        platform: Platform,
        routes: Router<Arc<Identity>>,
    ) -> Router<Arc<Identity>> {
        routes.layer(from_fn_with_state((self.clone(), platform), watched))
    }
}

async fn watched(
    State((watch, platform)): State<(Watch, Platform)>,
    call: Request,
    next: Next,
) -> Response {
    let counts = watch.identity.counters.counts();
    counts.requests_at(platform).add_one();
    let (call, form) = match with_form(call).await {
        Ok(read) => read,
        Err(status) => return status.into_response(),
    };
    let ticket = watch.recorded.begin(describe(platform, &call, &form));
    let response = answer(&watch, platform, call, next).await;
    watch.recorded.amend(ticket, |kind| {
        if let RequestKind::Identity(request) = kind {
            request.status = Some(response.status().as_u16());
        }
    });
    response
}

async fn answer(watch: &Watch, platform: Platform, call: Request, next: Next) -> Response {
    let admitted = match platform {
        Platform::Imds => watch.identity.admit(),
        _ => Ok(None),
    };
    let Ok(_place) = admitted else {
        return faults::status(platform, StatusCode::TOO_MANY_REQUESTS, None);
    };
    let challenge = platform == Platform::Arc && !call.headers().contains_key("authorization");
    match watch.faults.take_identity(platform, challenge) {
        None => next.run(call).await,
        Some(fault) => {
            let base_url = watch.identity.base_url();
            faults::perform(platform, base_url, fault, call, next).await
        }
    }
}

/// The request and the form in its body, which is read for the record and put back.
async fn with_form(call: Request) -> Result<(Request, Bytes), StatusCode> {
    let (parts, body) = call.into_parts();
    let read = axum::body::to_bytes(body, MAX_FORM);
    let body = match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
    };
    let call = Request::from_parts(parts, Body::from(body.clone()));
    Ok((call, body))
}

fn describe(platform: Platform, call: &Request, form: &[u8]) -> RequestKind {
    let query = Query::parse(call.uri().query()).unwrap_or_default();
    let form = Query::of_form(form).unwrap_or_default();
    let of = |name: &str| {
        let found = query.filled(name).or_else(|| form.filled(name));
        found.map(str::to_owned)
    };
    let agent = call.headers().get(header::USER_AGENT);
    RequestKind::Identity(IdentityRequest {
        endpoint: platform.as_str(),
        method: call.method().to_string(),
        resource: of("resource"),
        api_version: of("api-version"),
        selector: SELECTORS
            .iter()
            .find_map(|name| Some(((*name).to_owned(), of(name)?))),
        user_agent: agent.and_then(|v| v.to_str().ok()).map(str::to_owned),
        status: None,
    })
}
