//! Errors as RFC 9457 has them.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::finality::FinalityError;

/// Why there is no answer, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Problem {
    /// Status code of the answer.
    pub(super) status: u16,
    /// What the status code means.
    pub(super) title: String,
    /// What is wrong with this request.
    pub(super) detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: detail.into(),
        }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

impl From<FinalityError> for Problem {
    fn from(error: FinalityError) -> Self {
        let status = match &error {
            FinalityError::UnknownRollup(_) | FinalityError::UnknownStatement(_) => {
                StatusCode::NOT_FOUND
            }
            error => {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "a question was not answered"
                );
                // The cause stays in the log.
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "try again later");
            }
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, Json(self)).into_response()
    }
}
