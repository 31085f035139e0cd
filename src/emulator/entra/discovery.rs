//! Instance discovery: which login hosts belong together.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Entra;
use super::refusal::Refusal;
use crate::emulator::identity::Query;

/// `GET /common/discovery/instance`: for hosts that a library does not know.
pub(super) async fn instance(State(entra): State<Entra>, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref()).unwrap_or_default();
    let endpoint = query.filled("authorization_endpoint").unwrap_or_default();
    let parsed = url::Url::parse(endpoint).ok();
    let tenant = parsed.as_ref().and_then(|url| {
        let mut segments = url.path_segments()?;
        segments.next().filter(|tenant| !tenant.is_empty())
    });
    let Some(tenant) = tenant else {
        let words = "The authorization_endpoint is not in the expected format.";
        return Refusal::new(50049, words).response(entra.identity.clock().now(), None);
    };
    let aliases = |preferred: &str, cache: &str, all: &[&str]| json!({ "preferred_network": preferred, "preferred_cache": cache, "aliases": all });
    let us = ["login.microsoftonline.us", "login.usgovcloudapi.net"];
    let cn = ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"];
    let public = [
        "login.microsoftonline.com",
        "login.windows.net",
        "login.microsoft.com",
        "sts.windows.net",
    ];
    Json(json!({
        "tenant_discovery_endpoint":
            format!("https://{}/{tenant}/v2.0/.well-known/openid-configuration", public[0]),
        "api-version": "1.1",
        "metadata": [
            aliases(public[0], public[1], &public),
            aliases(us[0], us[0], &us),
            aliases(cn[0], cn[0], &cn),
        ],
    }))
    .into_response()
}
