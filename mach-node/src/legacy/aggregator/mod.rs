//! The original's aggregator, for its operators.

mod grpc;
mod hosts;
mod json_rpc;
mod open;
mod rows;
mod task;
mod tasks;

pub use grpc::aggregator_grpc;
pub use hosts::VirtualHosts;
pub use json_rpc::aggregator_rpc;
pub(crate) use rows::record;
pub use task::{
    AlertTask, Deployment, DigestRule, InitAnswer, InitOperator, LegacyTasks, TaskError,
};
pub use tasks::{LegacyConfig, TaskAggregator};

/// Hash of the transaction in an answer: it is not known yet. The original's operators crash on less
/// than 32 bytes.
const NO_TRANSACTION: [u8; 32] = [0; 32];

/// What a request is wrong about before anything is done, in the original's words.
fn parse_error(call: &str, error: impl std::fmt::Display) -> String {
    format!("{call} parse request falied: {error}")
}

/// What went wrong with a request that was understood, in the original's words.
fn process_error(call: &str, error: impl std::fmt::Display) -> String {
    format!("{call} process request falied: {error}")
}

/// Bytes of a length that the original names.
fn word<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], String> {
    bytes
        .try_into()
        .map_err(|_| format!("{what} len should be {N}"))
}

/// An operator's id, with the original's words if it is none.
fn operator_id(bytes: &[u8]) -> Result<mach_core::OperatorId, String> {
    let id: Result<[u8; 32], _> = bytes.try_into();
    id.map(|id| mach_core::OperatorId(id.into()))
        .map_err(|_| format!("operator ID len should be 32, got {}", bytes.len()))
}
