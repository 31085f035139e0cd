//! Entra's public documents: OpenID configuration and signing keys.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Identity;
use crate::emulator::web::Host;

/// `/{tenant}/.well-known/openid-configuration`: the version 1.0 document.
pub(super) async fn configuration_v1(
    State(identity): State<Arc<Identity>>,
    Path(tenant): Path<String>,
    Extension(host): Extension<Host>,
) -> Response {
    let issuer = identity.issuer_url();
    for_tenant(&identity, &tenant, &host, |base| {
        configuration(base, "", &issuer)
    })
}

/// `/{tenant}/v2.0/.well-known/openid-configuration`: the version 2.0 document.
pub(super) async fn configuration_v2(
    State(identity): State<Arc<Identity>>,
    Path(tenant): Path<String>,
    Extension(host): Extension<Host>,
) -> Response {
    let issuer = identity.issuer_url_v2();
    for_tenant(&identity, &tenant, &host, |base| {
        configuration(base, "/v2.0", &issuer)
    })
}

/// `/{tenant}/discovery/keys` and `/{tenant}/discovery/v2.0/keys`: the JSON Web Key Set.
pub(super) async fn keys(
    State(identity): State<Arc<Identity>>,
    Path(tenant): Path<String>,
    Extension(host): Extension<Host>,
) -> Response {
    for_tenant(&identity, &tenant, &host, |_| identity.key_set())
}

fn configuration(base: &str, version: &str, issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/oauth2{version}/authorize"),
        "token_endpoint": format!("{base}/oauth2{version}/token"),
        "jwks_uri": format!("{base}/discovery{version}/keys"),
        "response_types_supported": ["code", "id_token", "code id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nbf", "tid", "oid", "appid"],
    })
}

/// Answers with what `make` says about the tenant's base URL, or as Entra does for another tenant.
fn for_tenant(
    identity: &Identity,
    tenant: &str,
    host: &Host,
    make: impl FnOnce(&str) -> Value,
) -> Response {
    let ours = identity.tenant_id().to_string();
    if !identity.is_tenant(tenant) && tenant != "common" && tenant != "organizations" {
        let body = json!({
            "error": "invalid_tenant",
            "error_description": format!(
                "AADSTS90002: Tenant '{tenant}' not found. The emulator serves tenant {ours}."
            ),
            "error_codes": [90002],
        });
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    }
    // Whoever asks by HTTPS goes on by HTTPS, and under the name that was used.
    let base = match host.encrypted {
        true => format!("https://{}", host.authority),
        false => identity.base_url().to_owned(),
    };
    axum::Json(make(&format!("{base}/{ours}"))).into_response()
}
