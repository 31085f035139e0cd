//! The endpoint of App Service as it was before 2019: another secret, another parameter, and dates.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::app_service::{Refusal, chosen, issued};
use super::query::Query;
use super::{Identity, is_secret};
use crate::emulator::Platform;

const API_VERSION: &str = "2017-09-01";
const HERE: Platform = Platform::AppService2017;

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

fn answer(identity: &Identity, headers: &HeaderMap, query: Option<&str>) -> Result<Value, Refusal> {
    if !is_secret(headers, "secret", &identity.platforms.secret(HERE)) {
        return Err(Refusal::new(401, "The secret header is missing or wrong."));
    }
    let query = Query::parse(query)?;
    if query.filled("api-version") != Some(API_VERSION) {
        let message = format!("The api-version must be {API_VERSION}.");
        return Err(Refusal::new(400, message));
    }
    let resource = query.filled("resource");
    let resource =
        resource.ok_or_else(|| Refusal::new(400, "The resource parameter is missing."))?;
    // No other kind of id can name an identity here.
    let selector = query.selector("clientid", &[], "")?;
    let host = identity.host();
    let chosen = chosen(&host, selector.as_ref())?;
    let token = issued(identity, chosen, resource)?;
    let mut body = json!({
        "access_token": token.token.expose(),
        "resource": resource,
        "token_type": "Bearer",
    });
    identity.write_expiry(HERE, &token, &mut body);
    Ok(body)
}
