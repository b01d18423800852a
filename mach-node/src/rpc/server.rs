//! An aggregator that other processes reach.

use std::net::SocketAddr;

use async_trait::async_trait;
use jsonrpsee::{
    core::RpcResult,
    server::{BatchRequestConfig, ServerBuilder, ServerConfig, ServerHandle},
};
use mach_core::{
    Round, SignedStatement, Statement,
    ports::{Progress, SignatureAggregator},
};

use super::{MAX_MESSAGE_BYTES, api::AggregatorApiServer, error::to_wire};

/// Most connections at a time.
const MAX_CONNECTIONS: u32 = 256;
/// Most requests of one batch.
const MAX_BATCH: u32 = 16;

/// A served aggregator; the server stops when this is dropped.
#[derive(Debug)]
pub struct AggregatorServer {
    address: SocketAddr,
    handle: ServerHandle,
}

impl AggregatorServer {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that operators are given.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for AggregatorServer {
    fn drop(&mut self) {
        // An error says that it has stopped before.
        let _ = self.handle.stop();
    }
}

/// Serves `aggregator` over HTTP; port 0 lets the system choose.
///
/// Errors: [`ServeError`] if the address cannot be listened on.
pub async fn serve_aggregator(
    aggregator: impl SignatureAggregator + 'static,
    address: SocketAddr,
) -> Result<AggregatorServer, ServeError> {
    let config = ServerConfig::builder()
        .http_only()
        .max_request_body_size(MAX_MESSAGE_BYTES)
        .max_response_body_size(MAX_MESSAGE_BYTES)
        .max_connections(MAX_CONNECTIONS)
        .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
        .build();
    let server = ServerBuilder::new()
        .set_config(config)
        .build(address)
        .await
        .map_err(ServeError)?;
    let address = server.local_addr().map_err(ServeError)?;
    let handle = server.start(Served(aggregator).into_rpc());
    Ok(AggregatorServer { address, handle })
}

/// The aggregator cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the aggregator cannot be served")]
pub struct ServeError(#[source] std::io::Error);

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
