//! The index over HTTP.

mod ask;
mod count;
mod evidence;
mod problem;
mod rest;
mod rounds;
mod rpc;
mod schema;
mod stream;

use std::sync::Arc;

use axum::{
    Json, Router,
    http::Method,
    middleware::from_fn,
    routing::{any, get},
};
use jsonrpsee::RpcModule;
use tokio::sync::Semaphore;
use tower_http::cors::{Any, CorsLayer};
use utoipa::OpenApi;

pub use self::{evidence::EvidenceFolders, rest::NodeView, rounds::Rounds};
use self::{rounds::Reports, rpc::FinalityApiServer};
use super::{EventRecord, FinalityError, FinalityIndex, Verifiers};

/// Listeners to events at a time.
const MAX_LISTENERS: usize = 1024;
/// What an [`FinalityIndex`] is served with, beside what it knows itself.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "holds closures")]
pub struct Beside {
    /// Rounds of an aggregator in this process.
    pub rounds: Option<Rounds>,
    /// Whether that aggregator works on them, and does not stand by; without it, it does.
    pub leads: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// What verifiers on this machine keep.
    pub evidence: EvidenceFolders,
    /// Verifiers that tell how far they are.
    pub verifiers: Option<Verifiers>,
}

#[derive(Clone)]
struct Api {
    index: FinalityIndex,
    beside: Arc<Beside>,
    listeners: Arc<Semaphore>,
}

impl Api {
    fn new(index: FinalityIndex, beside: Beside) -> Self {
        Self {
            index,
            beside: Arc::new(beside),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
        }
    }

    /// Rounds as the aggregator has them, newest first.
    async fn rounds(&self, rollup: Option<u64>) -> Result<Reports, FinalityError> {
        if let Some(rollup) = rollup {
            self.index.rollup(rollup)?;
        }
        match &self.beside.rounds {
            Some(rounds) => rounds.reports(rollup).await,
            None => Ok(Reports::of(Vec::new(), rollup)),
        }
    }
}

/// The index as REST under `/v1`, with its OpenAPI document at `/v1/openapi.json`.
///
/// Everything is read with GET, from any origin. What is wrong with a request is said in a problem
/// object (RFC 9457). `rounds` tells the rounds of an aggregator, if there is one in this process.
pub fn router(index: FinalityIndex, rounds: Option<Rounds>) -> Router {
    let beside = Beside {
        rounds,
        ..Beside::default()
    };
    router_with(index, beside)
}

/// [`router`] with all that is known in this process and on this machine.
pub fn router_with(index: FinalityIndex, beside: Beside) -> Router {
    let readers = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET]);
    let questions = Router::new()
        .route("/openapi.json", get(async || Json(openapi())))
        .route("/rollups", get(rest::rollups))
        .route("/rollups/{rollup}", get(rest::rollup))
        .route("/rollups/{rollup}/head", get(rest::head))
        .route("/rollups/{rollup}/blocks/{block}", get(rest::block))
        .route(
            "/rollups/{rollup}/transactions/{hash}",
            get(rest::transaction),
        )
        .route("/rollups/{rollup}/certificates", get(rest::certificates))
        .route(
            "/rollups/{rollup}/certificates/{statement}",
            get(rest::certificate),
        )
        .route("/rollups/{rollup}/evidence/{block}", get(evidence::bundles))
        .route(
            "/rollups/{rollup}/evidence/{block}/{name}",
            get(evidence::bundle),
        )
        .route("/node", get(rest::node))
        .route("/rounds", get(rest::rounds))
        .route("/alerts", get(rest::alerts))
        .route("/events", get(stream::events))
        .route("/ws", any(stream::web_socket))
        .fallback(rest::not_found)
        .method_not_allowed_fallback(rest::not_allowed)
        .layer(readers)
        .layer(from_fn(count::count))
        .with_state(Api::new(index, beside));
    // Beside it there may be other routers, with an answer of their own to all else.
    Router::new()
        .nest("/v1", questions)
        .route("/v1/", any(rest::not_found))
}

/// The index as JSON-RPC, to be merged with other methods:
///
/// | method | parameters | result |
/// |---|---|---|
/// | `mach_rollups` | | [`RollupView`](super::RollupView)s |
/// | `mach_head` | rollup | [`Heads`](super::Heads) |
/// | `mach_block` | rollup, height in decimal digits or hash | [`BlockView`](super::BlockView) |
/// | `mach_transaction` | rollup, hash | [`TransactionView`](super::TransactionView) |
/// | `mach_certificate` | rollup, digest | [`Certificate`](mach_core::Certificate) |
/// | `mach_alerts` | rollup or nothing | [`AlertView`](super::AlertView)s |
/// | `mach_rounds` | rollup or nothing | [`RoundReport`](super::RoundReport)s |
pub fn rpc_module(index: FinalityIndex, rounds: Option<Rounds>) -> RpcModule<()> {
    let beside = Beside {
        rounds,
        ..Beside::default()
    };
    let api = Api::new(index, beside);
    api.into_rpc().remove_context()
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "mach",
        description = "How sure the blocks of a rollup are: what operators with stake on L1 have \
                       re-executed, attested and accused. Stakes are decimal strings, bytes are \
                       hexadecimal strings with `0x`. An attestation counts for every block that its \
                       block is known to build on.",
    ),
    paths(
        rest::rollups,
        rest::rollup,
        rest::head,
        rest::block,
        rest::transaction,
        rest::certificates,
        rest::certificate,
        rest::node,
        rest::rounds,
        rest::alerts,
        evidence::bundles,
        evidence::bundle,
        stream::events,
        stream::web_socket,
    ),
    components(schemas(EventRecord))
)]
struct Document;
