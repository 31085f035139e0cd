//! Key Vault: secrets, read by whoever has a token for it.

mod bearer;
mod secrets;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::counters::Counters;
use super::identity::{Identity, Query};
use super::recorded::Requests;
use super::web::{self, Host, vault_suffix};
use super::{Faults, IdentityFault, RequestKind, VaultFault, VaultRequest};
use bearer::TokenProblem;
use secrets::Found;
pub(super) use secrets::Vaults;
pub use secrets::{VaultChallenge, VaultSecret};

/// Versions of Key Vault's API that have secrets in this form.
const API_VERSIONS: [&str; 13] = [
    "2015-06-01",
    "2016-10-01",
    "7.0",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "7.5",
    "7.6",
    "7.6-preview.2",
    "2025-06-01-preview",
    "2025-07-01",
    "2026-04-01",
];

/// When everything in a vault was made: 1 January 2025.
const CREATED: i64 = 1_735_689_600;

/// What Key Vault's answers are made of.
#[derive(Clone, Debug)]
pub(super) struct KeyVault {
    pub(super) identity: Arc<Identity>,
    pub(super) vaults: Vaults,
    pub(super) challenge: VaultChallenge,
    pub(super) faults: Faults,
    pub(super) recorded: Requests,
    pub(super) counters: Counters,
}

pub(super) fn router(vault: KeyVault) -> Router {
    Router::new()
        .route("/secrets/{name}", get(current))
        .route("/secrets/{name}/", get(current))
        .route("/secrets/{name}/{version}", get(version))
        .fallback(|| async {
            Refusal::new(StatusCode::NOT_FOUND, "NotFound", "There is nothing here.")
                .into_response()
        })
        .with_state(vault)
}

/// A status with Key Vault's error body.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    inner: Option<&'static str>,
    words: String,
    challenge: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, words: impl Into<String>) -> Self {
        Self {
            status,
            code,
            inner: None,
            words: words.into(),
            challenge: None,
        }
    }

    fn forbidden(inner: &'static str, words: impl Into<String>) -> Self {
        Self {
            inner: Some(inner),
            ..Self::new(StatusCode::FORBIDDEN, "Forbidden", words)
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.words });
        if let Some(inner) = self.inner {
            error["innererror"] = json!({ "code": inner });
        }
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        let challenge = self.challenge.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(challenge)) = challenge {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

async fn current(
    State(vault): State<KeyVault>,
    Path(name): Path<String>,
    Extension(host): Extension<Host>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    vault
        .serve(&host, &name, None, query.as_deref(), &headers)
        .await
}

async fn version(
    State(vault): State<KeyVault>,
    Path((name, version)): Path<(String, String)>,
    Extension(host): Extension<Host>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let version = Some(version.as_str());
    vault
        .serve(&host, &name, version, query.as_deref(), &headers)
        .await
}

impl KeyVault {
    /// Records the request around its answer.
    async fn serve(
        &self,
        host: &Host,
        name: &str,
        version: Option<&str>,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Response {
        self.counters.counts().vault_requests.add_one();
        let query = Query::parse(query).unwrap_or_default();
        let suffix = vault_suffix(&host.name).unwrap_or_default();
        let vault = host.name.strip_suffix(suffix).unwrap_or_default();
        let request = VaultRequest {
            vault: vault.to_owned(),
            secret: name.to_owned(),
            version: version.map(str::to_owned),
            api_version: query.filled("api-version").map(str::to_owned),
            with_token: headers.contains_key(header::AUTHORIZATION),
            status: None,
        };
        let ticket = self.recorded.begin(RequestKind::Vault(request.clone()));
        let response = self.answer(&request, suffix, headers).await;
        self.recorded.amend(ticket, |kind| {
            if let RequestKind::Vault(request) = kind {
                request.status = Some(response.status().as_u16());
            }
        });
        response
    }

    async fn answer(&self, request: &VaultRequest, suffix: &str, headers: &HeaderMap) -> Response {
        let resource = format!("https://{}", suffix.trim_start_matches('.'));
        let (mut announced, mut forbidden) = (resource.clone(), false);
        match self.faults.take_vault(request.with_token) {
            None => {}
            Some(VaultFault::Forbidden) => forbidden = true,
            Some(VaultFault::ForeignChallenge) => {
                "https://vault.example.net".clone_into(&mut announced)
            }
            Some(VaultFault::Http(fault)) => {
                if let Some(response) = trouble(&fault).await {
                    return response;
                }
            }
        }
        let who = match self.who(headers, &resource) {
            Ok(who) if announced == resource => who,
            Ok(_) => {
                return self
                    .challenge(&announced, &TokenProblem::Missing)
                    .into_response();
            }
            Err(problem) => return self.challenge(&announced, &problem).into_response(),
        };
        let secret = match forbidden || !self.vaults.may_read(&request.vault, who) {
            true => Err(not_allowed(who, request)),
            false => self.secret(request),
        };
        match secret {
            Ok(secret) => Json(body(&secret, suffix)).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    /// The object id of whoever has sent a good token.
    fn who(&self, headers: &HeaderMap, resource: &str) -> Result<Uuid, TokenProblem> {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok());
        bearer::object_id(given, &self.identity, resource)
    }

    fn challenge(&self, resource: &str, problem: &TokenProblem) -> Refusal {
        let tenant = self.identity.tenant_id();
        let authority = format!("https://login.microsoftonline.com/{tenant}");
        let challenge = match self.challenge {
            VaultChallenge::Resource => {
                format!("Bearer authorization=\"{authority}\", resource=\"{resource}\"")
            }
            VaultChallenge::Scope => {
                format!("Bearer authorization=\"{authority}\", scope=\"{resource}/.default\"")
            }
        };
        Refusal {
            challenge: Some(challenge),
            ..Refusal::new(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                problem.to_string(),
            )
        }
    }

    fn secret(&self, request: &VaultRequest) -> Result<VaultSecret, Refusal> {
        let bad = |words: String| Refusal::new(StatusCode::BAD_REQUEST, "BadParameter", words);
        match request.api_version.as_deref() {
            Some(version) if API_VERSIONS.contains(&version) => {}
            Some(other) => return Err(bad(format!("The api-version {other} is not supported."))),
            None => return Err(bad("The api-version must be specified.".to_owned())),
        }
        let name = &request.secret;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.len() > 127 || !name.chars().all(plain) {
            return Err(bad(format!(
                "The request URI contains an invalid name: {name}"
            )));
        }
        match self
            .vaults
            .find(&request.vault, name, request.version.as_deref())
        {
            Found::Secret(secret) => Ok(*secret),
            Found::Disabled => Err(Refusal::forbidden(
                "SecretDisabled",
                "Operation get is not allowed on a disabled secret.",
            )),
            Found::NoSuchVersion | Found::Nothing => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "SecretNotFound",
                format!(
                    "A secret with (name/id) {name} was not found in this key vault. If you recently \
                     deleted this secret you may be able to recover it using the correct recovery \
                     command."
                ),
            )),
        }
    }
}

fn not_allowed(who: Uuid, request: &VaultRequest) -> Refusal {
    Refusal::forbidden(
        "ForbiddenByRbac",
        format!(
            "Caller is not authorized to perform action on resource. Caller: oid={who}; Action: \
             'Microsoft.KeyVault/vaults/secrets/getSecret/action'; Vault: {}; Secret: {}",
            request.vault, request.secret
        ),
    )
}

async fn trouble(fault: &IdentityFault) -> Option<Response> {
    let body = |status: StatusCode| match status {
        StatusCode::TOO_MANY_REQUESTS => Refusal::new(
            status,
            "Throttled",
            "Request was not processed because too many requests were received.",
        )
        .into_response(),
        StatusCode::FORBIDDEN => Refusal::forbidden(
            "ForbiddenByFirewall",
            "Client address is not authorized and caller is not a trusted service.",
        )
        .into_response(),
        status if status.is_server_error() => {
            Refusal::new(status, "InternalServerError", "An error occurred.").into_response()
        }
        status => (status, Body::empty()).into_response(),
    };
    web::perform(fault, body).await
}

fn body(secret: &VaultSecret, suffix: &str) -> Value {
    let VaultSecret {
        vault,
        name,
        version,
        ..
    } = secret;
    let mut attributes = json!({
        "enabled": true,
        "created": CREATED,
        "updated": CREATED,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": 90,
    });
    if let Some(from) = secret.not_before {
        attributes["nbf"] = json!(from);
    }
    if let Some(until) = secret.expires {
        attributes["exp"] = json!(until);
    }
    let vault = vault.to_lowercase();
    let mut body = json!({
        "value": secret.value.expose(),
        "id": format!("https://{vault}{suffix}/secrets/{name}/{version}"),
        "attributes": attributes,
        "tags": {},
    });
    if let Some(content_type) = &secret.content_type {
        body["contentType"] = json!(content_type);
    }
    body
}
