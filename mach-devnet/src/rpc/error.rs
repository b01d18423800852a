//! Errors in the words and codes of geth, since clients tell them apart by both.

use alloy_primitives::Bytes;
use alloy_sol_types::{Panic, Revert, SolError};
use serde_json::Value;

use crate::chain::{CallError, ChainError, QueryError};

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// JSON-RPC code; 3 is a revert.
    pub code: i32,
    /// What happened.
    pub message: String,
    /// Data of a revert.
    pub data: Option<Value>,
}

impl RpcError {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(crate) fn method(name: &str) -> Self {
        // The name comes from outside and may be of any length.
        let name: String = name.chars().take(64).collect();
        Self::new(
            -32601,
            format!("the method {name} does not exist/is not available"),
        )
    }

    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::new(-32000, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(-32005, message)
    }

    /// A revert with its data, and its reason if it is one that Solidity makes.
    pub(crate) fn revert(output: &Bytes) -> Self {
        let message = match reason(output) {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".to_owned(),
        };
        Self {
            code: 3,
            message,
            data: Some(Value::String(output.to_string())),
        }
    }
}

/// What `require` or a check of the compiler says.
fn reason(output: &[u8]) -> Option<String> {
    if let Ok(revert) = Revert::abi_decode(output) {
        return Some(revert.reason);
    }
    let kind = Panic::abi_decode(output).ok()?.kind()?;
    Some(kind.as_str().to_owned())
}

impl From<QueryError> for RpcError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Revert(output) => Self::revert(&output),
            QueryError::Chain(error) => error.into(),
            QueryError::Call(CallError::Request(message)) => Self::params(message),
            QueryError::TooManyBlocks | QueryError::TooManyLogs => Self::limit(error.to_string()),
            error => Self::server(error.to_string()),
        }
    }
}

impl From<ChainError> for RpcError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Pool(error) => Self::server(error.to_string()),
            error => Self::internal(error.to_string()),
        }
    }
}
