//! The breaker as a router.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State, ws::WebSocketUpgrade},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    gate::{GateState, GateStatus},
    jsonrpc::{self, Error, INVALID_REQUEST, UNAVAILABLE},
    policy::WhenLost,
    proxy::{Proxy, Reply},
    socket::Sockets,
};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) proxy: Arc<Proxy>,
    pub(super) sockets: Sockets,
}

pub(super) fn router(shared: Shared) -> Router {
    // Nothing but JSON-RPC is handed on: other paths of a node take transactions too.
    Router::new()
        .route("/", get(upgrade).post(post).options(preflight))
        .route("/health", get(health))
        .route("/breaker/status", get(status))
        .with_state(shared)
}

async fn post(State(shared): State<Shared>, request: Request) -> Reply {
    let proxy = &shared.proxy;
    let (parts, body) = request.into_parts();
    match read(body, proxy).await {
        Ok(body) => proxy.answer(parts.headers, body).await,
        Err(reply) => reply,
    }
}

/// A browser asks the node what a page may do.
async fn preflight(State(shared): State<Shared>, headers: HeaderMap) -> Reply {
    let upstream = &shared.proxy.upstream;
    match upstream.send(Method::OPTIONS, headers, Bytes::new()).await {
        Ok(answered) => answered.into(),
        Err(error) => Reply::json(error.status(), String::new()),
    }
}

async fn upgrade(
    State(shared): State<Shared>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let error = Error::new(INVALID_REQUEST, "JSON-RPC is asked with POST or WebSocket");
        let body = jsonrpc::failure(None, &error);
        return Reply::json(StatusCode::METHOD_NOT_ALLOWED, body).into_response();
    };
    shared.sockets.open(shared.proxy, headers, upgrade).await
}

/// The whole body, within the limits.
async fn read(body: Body, proxy: &Proxy) -> Result<Bytes, Reply> {
    let limit = proxy.limits.max_request_bytes;
    let refused = |status, code, message: String| {
        Reply::json(status, jsonrpc::failure(None, &Error::new(code, message)))
    };
    match timeout(proxy.limits.client_timeout, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            INVALID_REQUEST,
            format!("a request has at most {limit} bytes, and all of them"),
        )),
        Err(_) => Err(refused(
            StatusCode::REQUEST_TIMEOUT,
            UNAVAILABLE,
            "the request did not come within its time".to_owned(),
        )),
    }
}

/// What `/health` says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    is_healthy: bool,
    state: GateState,
}

/// 200 where the breaker knows whether an alert stands, and 503 where it does not. That one stands is
/// no failure of the breaker.
async fn health(State(shared): State<Shared>) -> (StatusCode, Json<Health>) {
    let state = shared.proxy.gate.state();
    let is_healthy = matches!(state, GateState::Serving | GateState::Tripped);
    let status = if is_healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Health { is_healthy, state }))
}

/// What `/breaker/status` says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(flatten)]
    gate: GateStatus,
    /// What is done while an alert stands.
    policy_on_alert: super::policy::Policy,
    when_lost: WhenLost,
    /// Seconds.
    lost_after: f64,
    sockets: usize,
}

async fn status(State(shared): State<Shared>) -> Json<Status> {
    let gate = &shared.proxy.gate;
    Json(Status {
        gate: gate.status(),
        policy_on_alert: gate.rules().policy,
        when_lost: gate.rules().when_lost,
        lost_after: gate.rules().lost_after.as_secs_f64(),
        sockets: shared.sockets.open_now(),
    })
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}
