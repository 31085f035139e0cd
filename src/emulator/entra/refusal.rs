//! Errors in the form that Entra's token endpoint gives them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

/// What Entra has against a request: an AADSTS number, what OAuth calls it, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u32,
    pub(super) words: String,
}

impl Refusal {
    pub(super) fn new(code: u32, words: impl Into<String>) -> Self {
        Self {
            code,
            words: words.into(),
        }
    }

    /// By its number alone, for those that are injected.
    pub(super) fn of(code: u32) -> Self {
        let words = match code {
            50196 => {
                "The server terminated an operation because it encountered a client request loop."
            }
            90006 | 90012 | 90024 | 90033 | 90055 | 90090 => {
                "A transient error has occurred. Please try again."
            }
            70021 => "No matching federated identity record found for presented assertion.",
            90061 => "Request to External OIDC endpoint failed.",
            _ => "The request was refused.",
        };
        Self::new(code, words)
    }

    /// The value of `error`. Unlisted numbers are invalid requests.
    fn kind(&self) -> &'static str {
        match self.code {
            50027 | 70025 | 700_024 | 700_025 | 700_027 | 700_030 | 700_211 | 700_212 | 700_213
            | 700_229 | 7_000_215 | 7_000_218 | 7_000_222 => "invalid_client",
            70001 | 700_016 | 7_000_112 => "unauthorized_client",
            50001 | 500_011 => "invalid_resource",
            70011 | 700_022 | 700_023 => "invalid_scope",
            50196 | 53003 | 700_082 => "invalid_grant",
            70003 => "unsupported_grant_type",
            90002 => "invalid_tenant",
            _ if self.is_transient() => "temporarily_unavailable",
            _ => "invalid_request",
        }
    }

    fn is_transient(&self) -> bool {
        matches!(self.code, 90006 | 90012 | 90024 | 90033 | 90055 | 90090)
    }

    fn status(&self) -> StatusCode {
        match self.kind() {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The whole answer, as of this second; a correlation id that the client sent comes back.
    pub(super) fn response(&self, now: i64, correlation: Option<&str>) -> Response {
        let trace = Uuid::new_v4().to_string();
        let correlation = match correlation {
            Some(given) => given.to_owned(),
            None => Uuid::new_v4().to_string(),
        };
        let time = timestamp(now);
        let body = json!({
            "error": self.kind(),
            "error_description": format!(
                "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}",
                self.code, self.words,
            ),
            "error_codes": [self.code],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        let mut response = (self.status(), axum::Json(body)).into_response();
        uncached(&mut response);
        if let Ok(trace) = HeaderValue::from_str(&trace) {
            response.headers_mut().insert("x-ms-request-id", trace);
        }
        response.extensions_mut().insert(ErrorCode(self.code));
        response
    }
}

/// The AADSTS number of an answer, for the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorCode(pub(super) u32);

/// Tokens and their refusals are nothing to keep.
pub(super) fn uncached(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

fn timestamp(now: i64) -> String {
    let time = jiff::Timestamp::from_second(now).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
