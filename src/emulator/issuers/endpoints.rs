//! Where jobs ask for assertions: GitHub Actions and Azure Pipelines.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Issuers;
use crate::Secret;
use crate::emulator::identity::{EXCHANGE_AUDIENCE, Query};
use crate::emulator::{EmulatorError, IssuerRequest, RequestKind};

/// `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…`
pub(super) async fn github(
    State(issuers): State<Issuers>,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Query::parse(query.as_deref()).unwrap_or_default();
    let audience = query.filled("audience").map(str::to_owned);
    issuers.recorded("github-actions", audience.clone(), || {
        if method != Method::GET {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        if !issuers.is_job(&headers) {
            return (StatusCode::UNAUTHORIZED, "Unauthorized").into_response();
        }
        if query.filled("api-version").is_none() {
            // The URL's own query was cut off.
            return StatusCode::BAD_REQUEST.into_response();
        }
        let audience = audience.as_deref().unwrap_or("https://github.com/contoso");
        given(
            issuers.github(audience),
            |token| json!({ "count": token.expose().len(), "value": token.expose() }),
        )
    })
}

/// `POST $SYSTEM_OIDCREQUESTURI?api-version=7.1&serviceConnectionId=…`
pub(super) async fn azure_pipelines(
    State(issuers): State<Issuers>,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Query::parse(query.as_deref()).unwrap_or_default();
    issuers.recorded("azure-pipelines", None, || {
        if !issuers.is_job(&headers) {
            return not_signed_in(&headers);
        }
        let version = query.filled("api-version").unwrap_or_default();
        if method != Method::POST || !version.starts_with('7') {
            let words = "The request needs POST and an api-version of 7.";
            return message(StatusCode::BAD_REQUEST, words);
        }
        let wanted = issuers.pipelines.service_connection_id.as_str();
        match query.filled("serviceconnectionid") {
            Some(id) if id.eq_ignore_ascii_case(wanted) => given(
                issuers.azure_pipelines(EXCHANGE_AUDIENCE),
                |token| json!({ "oidcToken": token.expose() }),
            ),
            _ => message(StatusCode::NOT_FOUND, "No service connection has that id."),
        }
    })
}

/// A sign-in page for browsers, and for clients that did not say that they are none.
fn not_signed_in(headers: &HeaderMap) -> Response {
    let mut response = match headers.get("x-tfs-fedauthredirect") {
        Some(value) if value == "Suppress" => message(
            StatusCode::UNAUTHORIZED,
            "TF400813: The user is not authorized.",
        ),
        _ => {
            let page = "https://spsprodeus1.vssps.visualstudio.com/_signin";
            (StatusCode::FOUND, [(header::LOCATION, page)]).into_response()
        }
    };
    let trace = HeaderValue::from_static("11111111-2222-3333-4444-555555555555");
    response.headers_mut().insert("x-vss-e2eid", trace);
    response
}

fn message(status: StatusCode, words: &str) -> Response {
    (status, Json(json!({ "message": words }))).into_response()
}

fn given(
    token: Result<Secret, EmulatorError>,
    body: impl FnOnce(&Secret) -> serde_json::Value,
) -> Response {
    match token {
        Ok(token) => Json(body(&token)).into_response(),
        Err(error) => {
            tracing::error!(%error, "no assertion could be signed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Issuers {
    fn is_job(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let token = given.split_once(' ').map(|(_, token)| Secret::new(token));
        token.is_some_and(|token| token == self.request_token)
    }

    fn recorded(
        &self,
        issuer: &'static str,
        audience: Option<String>,
        answer: impl FnOnce() -> Response,
    ) -> Response {
        self.counters.counts().issuer_requests.add_one();
        let response = answer();
        self.recorded.begin(RequestKind::Issuer(IssuerRequest {
            issuer,
            audience,
            status: Some(response.status().as_u16()),
        }));
        response
    }
}
