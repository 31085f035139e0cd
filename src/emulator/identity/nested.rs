//! Errors as Service Fabric and some others write them: a code and a message in an object.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use super::query::QueryError;
use crate::emulator::EmulatorError;

/// A status with `{"error": {"code": …, "message": …}}`.
#[derive(Debug)]
pub(super) struct Nested {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Nested {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            message: message.into(),
        }
    }
}

impl From<QueryError> for Nested {
    fn from(error: QueryError) -> Self {
        let message = match error {
            QueryError::Duplicate(name) => format!("The parameter '{name}' is given twice."),
            QueryError::SeveralSelectors => "More than one identity is named.".into(),
        };
        Self::new(400, "BadRequest", message)
    }
}

impl From<EmulatorError> for Nested {
    fn from(error: EmulatorError) -> Self {
        tracing::error!(%error, "no token could be signed");
        Self::new(500, "InternalServerError", "An error occurred.")
    }
}

impl IntoResponse for Nested {
    fn into_response(self) -> Response {
        let error = json!({
            "correlationId": Uuid::new_v4(),
            "code": self.code,
            "message": self.message,
        });
        (self.status, axum::Json(json!({ "error": error }))).into_response()
    }
}
