//! Questions and answers over HTTP.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api, Beside,
    ask::{self, Asked, OfRollup, Page, Segments, Which, asked, segments},
    problem::Problem,
    rounds::Reports,
    schema::{CertificateFileSchema, RoundViewSchema},
};
use crate::finality::{
    AlertView, AttestationView, BlockView, FinalityError, Heads, RollupView, TransactionView,
    VerifierView, Verifiers,
};

/// Rollups that are served.
#[utoipa::path(
    get, path = "/v1/rollups", tag = "rollups",
    responses((status = 200, description = "All rollups, ascending by chain id", body = Vec<RollupView>))
)]
pub(super) async fn rollups(State(api): State<Api>) -> Json<Vec<RollupView>> {
    Json(api.index.rollups())
}

/// One rollup.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}", tag = "rollups",
    params(("rollup" = u64, Path, description = "EIP-155 id of the rollup")),
    responses(
        (status = 200, description = "The rollup", body = RollupView),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rollup(
    State(api): State<Api>,
    path: Segments<String>,
) -> Result<Json<RollupView>, Problem> {
    let rollup = ask::rollup(&segments(path)?)?;
    Ok(Json(api.index.rollup(rollup)?))
}

/// Newest blocks of a rollup, each at its confidence.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}/head", tag = "blocks",
    params(("rollup" = u64, Path, description = "EIP-155 id of the rollup")),
    responses(
        (status = 200, description = "The newest blocks", body = Heads),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn head(
    State(api): State<Api>,
    path: Segments<String>,
) -> Result<Json<Heads>, Problem> {
    let rollup = ask::rollup(&segments(path)?)?;
    Ok(Json(api.index.heads(rollup)?))
}

/// How sure a block is.
///
/// A block that this server does not know has the status `unknown`.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}/blocks/{block}", tag = "blocks",
    params(
        ("rollup" = u64, Path, description = "EIP-155 id of the rollup"),
        ("block" = String, Path, description = "Height in decimal digits, or hash", pattern = "^([0-9]{1,19}|0x[0-9a-fA-F]{64})$"),
    ),
    responses(
        (status = 200, description = "What is known of the block", body = BlockView),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn block(
    State(api): State<Api>,
    path: Segments<(String, String)>,
) -> Result<Json<BlockView>, Problem> {
    let (rollup, block) = segments(path)?;
    let rollup = ask::rollup(&rollup)?;
    Ok(Json(api.block(rollup, Which::read(&block)?)?))
}

/// How sure a transaction is: as sure as its block.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}/transactions/{hash}", tag = "blocks",
    params(
        ("rollup" = u64, Path, description = "EIP-155 id of the rollup"),
        ("hash" = String, Path, description = "Hash of the transaction", pattern = "^0x[0-9a-fA-F]{64}$"),
    ),
    responses(
        (status = 200, description = "What is known of the transaction's block", body = TransactionView),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn transaction(
    State(api): State<Api>,
    path: Segments<(String, String)>,
) -> Result<Json<TransactionView>, Problem> {
    let (rollup, hash) = segments(path)?;
    let rollup = ask::rollup(&rollup)?;
    Ok(Json(
        api.index.transaction(rollup, ask::hash(&hash)?).await?,
    ))
}

/// A part of the certified attestations, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct Attestations {
    /// The attestations.
    attestations: Vec<AttestationView>,
    /// What `before` has to be for the next part; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// Certified attestations, newest first.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}/certificates", tag = "certificates",
    params(("rollup" = u64, Path, description = "EIP-155 id of the rollup"), Page),
    responses(
        (status = 200, description = "A part of the attestations", body = Attestations),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn certificates(
    State(api): State<Api>,
    path: Segments<String>,
    page: Asked<Page>,
) -> Result<Json<Attestations>, Problem> {
    let rollup = ask::rollup(&segments(path)?)?;
    let page = asked(page)?;
    let limit = page.limit()?;
    let attestations = api.index.attestations(rollup, page.before()?, limit)?;
    let is_full = attestations.len() >= limit;
    let last = attestations.last().map(|it| it.block.number);
    Ok(Json(Attestations {
        next: last.filter(|_| is_full),
        attestations,
    }))
}

/// The certificate of an attestation or alert, as a file that `mach-cli certificate verify`, the
/// TypeScript client and the Solidity library check.
#[utoipa::path(
    get, path = "/v1/rollups/{rollup}/certificates/{statement}", tag = "certificates",
    params(
        ("rollup" = u64, Path, description = "EIP-155 id of the rollup"),
        ("statement" = String, Path, description = "Digest of the statement, or height of an attested block", pattern = "^([0-9]{1,19}|0x[0-9a-fA-F]{64})$"),
    ),
    responses(
        (status = 200, description = "The certificate", body = CertificateFileSchema),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such rollup or certificate", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn certificate(
    State(api): State<Api>,
    path: Segments<(String, String)>,
) -> Result<Response, Problem> {
    let (rollup, statement) = segments(path)?;
    let rollup = ask::rollup(&rollup)?;
    let digest = match Which::read(&statement)? {
        Which::Hash(digest) => digest,
        Which::Number(number) => {
            let digest = api.index.attestation_at(rollup, number)?;
            digest.ok_or_else(|| {
                let detail = format!("block {number} is attested by no certificate of its own");
                Problem::new(StatusCode::NOT_FOUND, detail)
            })?
        }
    };
    let json = api.index.certificate(rollup, digest).await?;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, json).into_response())
}

/// The instance that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Version of its software.
    pub version: String,
    /// Whether it works on the rounds. One that stands by knows all but these: another one leads.
    pub leads: bool,
    /// Verifiers that tell it how far they are, as far as they were ever heard.
    pub verifiers: Vec<VerifierView>,
}

/// The instance that answers, and how far the verifiers beside it are.
#[utoipa::path(
    get, path = "/v1/node", tag = "node",
    responses((status = 200, description = "The instance", body = NodeView))
)]
pub(super) async fn node(State(api): State<Api>) -> Json<NodeView> {
    let Beside {
        leads, verifiers, ..
    } = &*api.beside;
    Json(NodeView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        leads: leads.as_ref().is_none_or(|leads| leads()),
        verifiers: verifiers.as_ref().map_or_else(Vec::new, Verifiers::views),
    })
}

/// Rounds of signatures that are not over, newest first.
#[utoipa::path(
    get, path = "/v1/rounds", tag = "rounds", params(OfRollup),
    responses(
        (status = 200, description = "At most a hundred rounds", body = Vec<RoundViewSchema>),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rounds(
    State(api): State<Api>,
    of: Asked<OfRollup>,
) -> Result<Reports, Problem> {
    Ok(api.rounds(asked(of)?.rollup).await?)
}

/// Certified alerts, ascending by block, those that were withdrawn included.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "alerts", params(OfRollup),
    responses(
        (status = 200, description = "The alerts", body = Vec<AlertView>),
        (status = 400, description = "The request is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The rollup is not served", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn alerts(
    State(api): State<Api>,
    of: Asked<OfRollup>,
) -> Result<Json<Vec<AlertView>>, Problem> {
    Ok(Json(api.alerts(asked(of)?.rollup)?))
}

pub(super) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}

pub(super) async fn not_allowed() -> Problem {
    let detail = "this is asked for with GET";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

impl Api {
    pub(super) fn block(&self, rollup: u64, block: Which) -> Result<BlockView, FinalityError> {
        match block {
            Which::Number(number) => self.index.block_at(rollup, number),
            Which::Hash(hash) => self.index.block_with_hash(rollup, hash),
        }
    }

    pub(super) fn alerts(&self, rollup: Option<u64>) -> Result<Vec<AlertView>, FinalityError> {
        if let Some(rollup) = rollup {
            return self.index.alerts(rollup);
        }
        let mut alerts = Vec::new();
        for rollup in &self.index.config().rollups {
            alerts.extend(self.index.alerts(*rollup)?);
        }
        Ok(alerts)
    }
}
