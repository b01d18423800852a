//! The index over HTTP.

mod ask;
mod problem;
mod rest;
mod rpc;
mod schema;
mod stream;

use std::sync::Arc;

use alloy_primitives::B256;
use axum::{
    Json, Router,
    http::Method,
    routing::{any, get},
};
use jsonrpsee::RpcModule;
use mach_core::{BlockRef, OperatorId};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tower_http::cors::{Any, CorsLayer};
use utoipa::{OpenApi, ToSchema};

use self::rpc::FinalityApiServer;
use super::{
    FinalityError, FinalityIndex, StakeShare,
    view::{BlockRefSchema, EventRecord},
};

/// Listeners to events at a time.
const MAX_LISTENERS: usize = 1024;
/// Rounds that are told at a time.
const MAX_ROUNDS: usize = 100;

/// A round of signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoundSummary {
    /// Digest of the statement.
    #[schema(value_type = String, format = "hex")]
    pub digest: B256,
    /// EIP-155 id of the rollup.
    pub rollup: u64,
    /// The block that the statement is about.
    #[schema(value_type = BlockRefSchema)]
    pub block: BlockRef,
    /// Whether the statement is an alert.
    pub is_alert: bool,
    /// L1 block that operators and stakes are taken at.
    pub reference_block: u32,
    /// Stake that has signed so far.
    pub stake: StakeShare,
    /// Operators who have signed.
    #[schema(value_type = Vec<String>)]
    pub signers: Vec<OperatorId>,
    /// Operators who have not.
    #[schema(value_type = Vec<String>)]
    pub absent: Vec<OperatorId>,
    /// How far the round is.
    pub state: RoundState,
}

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RoundState {
    /// Some quorum is below its threshold.
    Collecting,
    /// There is a certificate, on its way to L1.
    Certified,
    /// The statement stands on L1.
    Confirmed,
    /// It ended below its threshold.
    Expired,
}

/// Tells the rounds that an aggregator has.
pub type Rounds = Arc<dyn Fn() -> Vec<RoundSummary> + Send + Sync>;

#[derive(Clone)]
struct Api {
    index: FinalityIndex,
    rounds: Option<Rounds>,
    listeners: Arc<Semaphore>,
}

impl Api {
    fn new(index: FinalityIndex, rounds: Option<Rounds>) -> Self {
        Self {
            index,
            rounds,
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
        }
    }

    /// Rounds, newest block first.
    fn rounds(&self, rollup: Option<u64>) -> Result<Vec<RoundSummary>, FinalityError> {
        if let Some(rollup) = rollup {
            self.index.rollup(rollup)?;
        }
        let mut rounds = self.rounds.as_ref().map_or_else(Vec::new, |it| it());
        rounds.retain(|round| rollup.is_none_or(|rollup| rollup == round.rollup));
        rounds.sort_by_key(|round| std::cmp::Reverse((round.block.number, round.digest)));
        rounds.truncate(MAX_ROUNDS);
        Ok(rounds)
    }
}

/// The index as REST under `/v1`, with its OpenAPI document at `/v1/openapi.json`.
///
/// Everything is read with GET, from any origin. What is wrong with a request is said in a problem
/// object (RFC 9457). `rounds` tells the rounds of an aggregator, if there is one in this process.
pub fn router(index: FinalityIndex, rounds: Option<Rounds>) -> Router {
    let readers = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET]);
    Router::new()
        .route("/v1/openapi.json", get(async || Json(openapi())))
        .route("/v1/rollups", get(rest::rollups))
        .route("/v1/rollups/{rollup}", get(rest::rollup))
        .route("/v1/rollups/{rollup}/head", get(rest::head))
        .route("/v1/rollups/{rollup}/blocks/{block}", get(rest::block))
        .route(
            "/v1/rollups/{rollup}/transactions/{hash}",
            get(rest::transaction),
        )
        .route("/v1/rollups/{rollup}/certificates", get(rest::certificates))
        .route(
            "/v1/rollups/{rollup}/certificates/{statement}",
            get(rest::certificate),
        )
        .route("/v1/rounds", get(rest::rounds))
        .route("/v1/alerts", get(rest::alerts))
        .route("/v1/events", get(stream::events))
        .route("/v1/ws", any(stream::web_socket))
        .fallback(rest::not_found)
        .method_not_allowed_fallback(rest::not_allowed)
        .layer(readers)
        .with_state(Api::new(index, rounds))
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
/// | `mach_rounds` | rollup or nothing | [`RoundSummary`]s |
pub fn rpc_module(index: FinalityIndex, rounds: Option<Rounds>) -> RpcModule<()> {
    Api::new(index, rounds).into_rpc().remove_context()
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
                       hexadecimal strings with `0x`. All blocks are covered by the attestation of a \
                       descendant.",
    ),
    paths(
        rest::rollups,
        rest::rollup,
        rest::head,
        rest::block,
        rest::transaction,
        rest::certificates,
        rest::certificate,
        rest::rounds,
        rest::alerts,
        stream::events,
        stream::web_socket,
    ),
    components(schemas(EventRecord))
)]
struct Document;
