//! The methods, for both sides.

#![allow(missing_docs, reason = "the macro documents nothing of what it makes")]

use jsonrpsee::{core::RpcResult, proc_macros::rpc};
use mach_core::{Round, SignedStatement, Statement, ports::Progress};

#[rpc(server, client, namespace = "mach")]
pub(crate) trait AggregatorApi {
    #[method(name = "openRound")]
    async fn open_round(&self, statement: Statement) -> RpcResult<Round>;

    #[method(name = "submitSignature")]
    async fn submit_signature(&self, signed: SignedStatement) -> RpcResult<Progress>;
}
