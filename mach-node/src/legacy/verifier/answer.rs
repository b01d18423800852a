//! What verifiers are answered.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

use super::{AlertAnswer, AlertRefusal};

/// An answer; `id` is that of the call.
pub(super) struct Answer<T> {
    pub(super) id: Value,
    pub(super) outcome: Result<T, Failure>,
}

/// Fields in the original's order.
#[derive(Serialize)]
struct Body<T> {
    id: Value,
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

#[derive(Serialize)]
struct ErrorBody {
    code: i32,
    message: String,
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let (status, result, error) = match self.outcome {
            Ok(result) => (StatusCode::OK, Some(result), None),
            Err(failure) => (failure.status, None, Some(failure)),
        };
        let body = Body {
            id: self.id,
            jsonrpc: "2.0",
            result,
            error: error.map(|failure| ErrorBody {
                code: failure.code,
                message: failure.message,
            }),
        };
        (status, Json(body)).into_response()
    }
}

/// An error, with the HTTP status that it has.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: i32,
    message: String,
}

impl Failure {
    const fn new(status: StatusCode, code: i32, message: String) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    /// The body is no call.
    pub(super) fn unreadable(error: &dyn std::fmt::Display) -> Self {
        let message = format!("failed to decode request: {error}");
        Self::new(StatusCode::BAD_REQUEST, 1, message)
    }

    /// There are no parameters. The words are left over from another project of the authors.
    pub(super) fn missing() -> Self {
        let message = "failed to decode mevBundle from mev-builder, error: EOF".to_owned();
        Self::new(StatusCode::BAD_REQUEST, 1, message)
    }

    /// The parameters are not those of the method.
    pub(super) fn undecodable(error: &dyn std::fmt::Display) -> Self {
        let message = format!("failed to decode params: {error}");
        Self::new(StatusCode::BAD_REQUEST, 3, message)
    }

    /// There is no such method.
    pub(super) fn unknown_method(method: &str) -> Self {
        // A name is a few words; whoever sends more is not sent it back.
        let method: String = method.chars().take(64).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            1,
            format!("method {method} not found"),
        )
    }
}

impl From<AlertRefusal> for Failure {
    fn from(refusal: AlertRefusal) -> Self {
        let code = match &refusal {
            AlertRefusal::AlreadyFinished(_) => 2,
            AlertRefusal::Refused(_) => 0,
        };
        Self::new(StatusCode::BAD_REQUEST, code, refusal.to_string())
    }
}

/// Result of an `alert_` method.
#[derive(Serialize)]
pub(super) struct Taken {
    task_index: u32,
    tx_hash: alloy_primitives::B256,
    alert_hash: alloy_primitives::B256,
}

impl From<AlertAnswer> for Taken {
    fn from(answer: AlertAnswer) -> Self {
        Self {
            task_index: answer.task_index,
            tx_hash: answer.tx_hash,
            alert_hash: answer.alert_hash,
        }
    }
}
