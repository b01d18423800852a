//! The same over JSON-RPC.
#![allow(missing_docs, reason = "the macro documents nothing of what it makes")]

use alloy_primitives::{B256, TxHash};
use async_trait::async_trait;
use jsonrpsee::{
    core::RpcResult,
    proc_macros::rpc,
    types::{ErrorObject, ErrorObjectOwned},
};
use mach_core::{Certificate, CertificateFile};

use super::{Api, ask::Which, problem::Problem, rounds::Reports};
use crate::finality::{AlertView, BlockView, FinalityError, Heads, RollupView, TransactionView};

/// Codes outside the range that JSON-RPC reserves, as in [`crate::rpc`].
const REFUSED: i32 = 1;
const UNAVAILABLE: i32 = 2;
/// JSON-RPC's own.
const INVALID_PARAMS: i32 = -32602;

#[rpc(server, namespace = "mach")]
pub(super) trait FinalityApi {
    #[method(name = "rollups")]
    async fn rollups(&self) -> RpcResult<Vec<RollupView>>;

    #[method(name = "head")]
    async fn head(&self, rollup: u64) -> RpcResult<Heads>;

    #[method(name = "block")]
    async fn block(&self, rollup: u64, block: String) -> RpcResult<BlockView>;

    #[method(name = "transaction")]
    async fn transaction(&self, rollup: u64, hash: TxHash) -> RpcResult<TransactionView>;

    #[method(name = "certificate")]
    async fn certificate(&self, rollup: u64, digest: B256) -> RpcResult<Certificate>;

    #[method(name = "alerts")]
    async fn alerts(&self, rollup: Option<u64>) -> RpcResult<Vec<AlertView>>;

    #[method(name = "rounds")]
    async fn rounds(&self, rollup: Option<u64>) -> RpcResult<Reports>;
}

#[async_trait]
impl FinalityApiServer for Api {
    async fn rollups(&self) -> RpcResult<Vec<RollupView>> {
        Ok(self.index.rollups())
    }

    async fn head(&self, rollup: u64) -> RpcResult<Heads> {
        self.index.heads(rollup).map_err(wire)
    }

    async fn block(&self, rollup: u64, block: String) -> RpcResult<BlockView> {
        let block = Which::read(&block).map_err(malformed)?;
        Self::block(self, rollup, block).map_err(wire)
    }

    async fn transaction(&self, rollup: u64, hash: TxHash) -> RpcResult<TransactionView> {
        self.index.transaction(rollup, hash).await.map_err(wire)
    }

    async fn certificate(&self, rollup: u64, digest: B256) -> RpcResult<Certificate> {
        let json = self.index.certificate(rollup, digest).await.map_err(wire)?;
        let file = CertificateFile::from_json(&json);
        let unread = |_| ErrorObject::owned(UNAVAILABLE, "try again later", None::<()>);
        file.map(|file| file.0).map_err(unread)
    }

    async fn alerts(&self, rollup: Option<u64>) -> RpcResult<Vec<AlertView>> {
        Self::alerts(self, rollup).map_err(wire)
    }

    async fn rounds(&self, rollup: Option<u64>) -> RpcResult<Reports> {
        Self::rounds(self, rollup).await.map_err(wire)
    }
}

fn wire(error: FinalityError) -> ErrorObjectOwned {
    let problem = Problem::from(error);
    let code = if problem.status == 503 {
        UNAVAILABLE
    } else {
        REFUSED
    };
    ErrorObject::owned(code, problem.detail, None::<()>)
}

fn malformed(problem: Problem) -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_PARAMS, problem.detail, None::<()>)
}
