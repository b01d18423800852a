//! The same RPC over HTTP and WebSocket.

use std::{net::SocketAddr, sync::Arc};

use jsonrpsee::{
    RpcModule,
    server::{BatchRequestConfig, Server, ServerConfig, ServerHandle},
    types::{ErrorObjectOwned, Params as ServerParams},
};
use serde_json::Value;
use tower::ServiceBuilder;

use super::{
    Handler, METHODS, ROLLUP_METHODS, RpcError, beacon::BeaconLayer, params::MAX_REQUEST_BYTES,
    subscribe, transport::MAX_BATCH,
};

/// Most bytes of one answer: a witness of a full block has tens of megabytes.
const MAX_RESPONSE_BYTES: u32 = 128 * 1024 * 1024;

/// Most connections at once.
const MAX_CONNECTIONS: u32 = 256;

/// A running server; it stops when the last handle is dropped.
#[derive(Debug)]
pub struct RpcServer {
    address: SocketAddr,
    handle: ServerHandle,
}

impl RpcServer {
    /// Listens on `address`; port 0 lets the system choose.
    pub(crate) async fn start(
        handler: Arc<dyn Handler>,
        address: SocketAddr,
    ) -> Result<Self, ServeError> {
        let config = ServerConfig::builder()
            .max_request_body_size(MAX_REQUEST_BYTES as u32)
            .max_response_body_size(MAX_RESPONSE_BYTES)
            .max_connections(MAX_CONNECTIONS)
            .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH as u32))
            .build();
        let beacon = ServiceBuilder::new().layer(BeaconLayer(Arc::clone(&handler)));
        let server = Server::builder()
            .set_config(config)
            .set_http_middleware(beacon)
            .build(address)
            .await?;
        let address = server.local_addr()?;
        Ok(Self {
            address,
            handle: server.start(module(handler)?),
        })
    }

    /// Where the server listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients write it.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address for WebSocket clients.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for RpcServer {
    fn drop(&mut self) {
        // An error says that the server has stopped already.
        let _ = self.handle.stop();
    }
}

pub(super) fn module(handler: Arc<dyn Handler>) -> Result<RpcModule<Arc<dyn Handler>>, ServeError> {
    let mut module = RpcModule::new(handler);
    for method in METHODS.iter().chain(ROLLUP_METHODS) {
        let answer = move |params: ServerParams<'_>, handler: Arc<Arc<dyn Handler>>| {
            handler
                .handle(method, params.as_str())
                .map_err(ErrorObjectOwned::from)
        };
        // Execution may take a while, and must not hold up the other connections.
        module
            .register_blocking_method(method, move |params, handler, _| answer(params, handler))
            .map_err(|error| ServeError::Method(error.to_string()))?;
    }
    subscribe::register(&mut module)?;
    Ok(module)
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        Self::owned::<Value>(error.code, error.message, error.data)
    }
}

/// Why the server does not run.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("the server could not be started")]
    Io(#[from] std::io::Error),
    /// A method cannot be served.
    #[error("method could not be registered: {0}")]
    Method(String),
}
