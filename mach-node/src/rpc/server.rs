//! An aggregator that other processes reach.

use async_trait::async_trait;
use axum::Router;
use jsonrpsee::core::RpcResult;
use mach_core::{
    Round, SignedStatement, Statement,
    ports::{Progress, SignatureAggregator},
};

use super::{MAX_MESSAGE_BYTES, api::AggregatorApiServer, error::to_wire};
use crate::http::{HttpConfig, HttpServer, JsonRpcLimits, ServeError, json_rpc, serve};

/// Most requests of one batch.
const MAX_BATCH: u32 = 16;

/// Serves `aggregator` over HTTP, and nothing else.
///
/// Errors: [`ServeError`].
pub async fn serve_aggregator(
    aggregator: impl SignatureAggregator + 'static,
    config: impl Into<HttpConfig>,
) -> Result<HttpServer, ServeError> {
    serve(aggregator_router(aggregator), config).await
}

/// The methods of an aggregator at `/`, to be [`serve`]d with what else a service has.
pub fn aggregator_router(aggregator: impl SignatureAggregator + 'static) -> Router {
    let limits = JsonRpcLimits {
        request: MAX_MESSAGE_BYTES,
        response: MAX_MESSAGE_BYTES,
        batch: MAX_BATCH,
    };
    json_rpc(Served(aggregator).into_rpc(), limits)
}

struct Served<A>(A);

#[async_trait]
impl<A: SignatureAggregator + 'static> AggregatorApiServer for Served<A> {
    async fn open_round(&self, statement: Statement) -> RpcResult<Round> {
        self.0
            .open(&statement)
            .await
            .map_err(|error| to_wire(&error))
    }

    async fn submit_signature(&self, signed: SignedStatement) -> RpcResult<Progress> {
        self.0.submit(signed).await.map_err(|error| to_wire(&error))
    }
}
