//! JSON-RPC on an HTTP server.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
    routing::post,
};
use jsonrpsee::{
    Methods,
    server::{BatchRequestConfig, Server, ServerConfig, stop_channel},
};
use tower::ServiceExt;

/// What JSON-RPC puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonRpcLimits {
    /// Largest request, in bytes.
    pub request: u32,
    /// Largest answer, in bytes.
    pub response: u32,
    /// Most calls of one batch.
    pub batch: u32,
}

/// Most HTTP requests at a time, for all clients together.
const REQUESTS: u32 = 4096;

/// A router that answers calls of `methods` which are posted to `/`. Without subscriptions.
pub fn json_rpc(methods: impl Into<Methods>, limits: JsonRpcLimits) -> Router {
    let config = ServerConfig::builder()
        .http_only()
        .max_connections(REQUESTS)
        .max_request_body_size(limits.request)
        .max_response_body_size(limits.response)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
        .build();
    // Stopping is up to the server underneath.
    let (stop, _handle) = stop_channel();
    let service = Server::builder()
        .set_config(config)
        .to_service_builder()
        .build(methods, stop);
    Router::new().route(
        "/",
        post(move |request: Request| async move {
            service.oneshot(request).await.map_or_else(
                |_| {
                    let mut answer = Response::new(Body::empty());
                    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    answer
                },
                |answer| answer.map(Body::new),
            )
        }),
    )
}
