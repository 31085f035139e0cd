//! The endpoint of Azure Automation: App Service's protocol and IMDS's header, by GET and POST.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::app_service::{Refusal, chosen, issued};
use super::query::Query;
use super::{Identity, is_secret, metadata_is_asked_for};
use crate::emulator::Platform;

const HERE: Platform = Platform::Automation;

/// Answers a GET or a POST for a token.
pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    form: Bytes,
) -> Response {
    let query = match method {
        Method::POST => Query::of_form(&form),
        _ => Query::parse(query.as_deref()),
    };
    let answer = query.map_err(Refusal::from);
    answer
        .and_then(|query| answer_to(&identity, &headers, &query))
        .map(axum::Json)
        .into_response()
}

fn answer_to(identity: &Identity, headers: &HeaderMap, query: &Query) -> Result<Value, Refusal> {
    if headers.contains_key("x-forwarded-for") {
        let message = "Requests that carry an X-Forwarded-For header are not answered.";
        return Err(Refusal::new(400, message));
    }
    if !metadata_is_asked_for(headers) {
        return Err(Refusal::new(400, "The Metadata header is missing."));
    }
    if !is_secret(
        headers,
        "x-identity-header",
        &identity.platforms.secret(HERE),
    ) {
        let message = "The X-IDENTITY-HEADER header is missing or wrong.";
        return Err(Refusal::new(401, message));
    }
    let resource = query.filled("resource");
    let resource =
        resource.ok_or_else(|| Refusal::new(400, "The resource parameter is missing."))?;
    let selector = query.selector("client_id", &["principal_id", "object_id"], "mi_res_id")?;
    if selector.is_some() && identity.platforms.options.hybrid_worker {
        let message = "A client id must not be passed on a hybrid worker.";
        return Err(Refusal::new(400, message));
    }
    let host = identity.host();
    let chosen = chosen(&host, selector.as_ref())?;
    let token = issued(identity, chosen, resource)?;
    let mut body = json!({
        "access_token": token.token.expose(),
        "client_id": chosen.client_id,
        "expires_in": token.expires_in.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    identity.write_expiry(HERE, &token, &mut body);
    Ok(body)
}
