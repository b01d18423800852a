//! How far verifiers are: told by their processes, and collected for whoever looks at the rollups.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy_primitives::ChainId;
use axum::{Json, Router, routing::get};
use futures::future::join_all;
use mach_core::{BlockRef, ports::BoxError};
use reqwest::{Client, Url, redirect::Policy};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use utoipa::ToSchema;

use super::view::BlockRefSchema;
use crate::VerifierStatus;

/// Where a verifier tells of itself.
const PATH: &str = "/v1/verified";
/// Between two looks at the verifiers.
const EVERY: Duration = Duration::from_secs(2);
/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// How far the verifier of a rollup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedView {
    /// EIP-155 id of the rollup.
    pub rollup: ChainId,
    /// The head that it has seen last.
    #[schema(value_type = Option<BlockRefSchema>)]
    pub head: Option<BlockRef>,
    /// The newest block that it found valid on valid ancestors.
    #[schema(value_type = Option<BlockRefSchema>)]
    pub verified: Option<BlockRef>,
    /// Blocks up to the head that it has not looked at yet; none before the first head.
    pub lag: Option<u64>,
    /// Blocks that it found invalid.
    pub invalid: u64,
    /// Blocks that it could not judge.
    pub undecided: u64,
    /// Whether blocks that were final were replaced: nothing is attested until a human has looked.
    pub is_broken: bool,
}

impl VerifiedView {
    /// Of the verifier with this status.
    pub fn new(rollup: ChainId, status: &VerifierStatus) -> Self {
        Self {
            rollup,
            head: status.head,
            verified: status.verified,
            lag: status.lag(),
            invalid: status.invalid,
            undecided: status.undecided_count,
            is_broken: status.broken.is_some(),
        }
    }
}

/// How far the verifiers of one process are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifierView {
    /// Name of the node.
    pub name: String,
    /// Its rollups.
    pub rollups: Vec<VerifiedView>,
    /// Seconds since it told so; none if it has just done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_for: Option<u64>,
}

/// Tells at `/v1/verified` how far the verifiers of a process are.
pub fn verified_router(
    name: String,
    rollups: impl Fn() -> Vec<VerifiedView> + Clone + Send + Sync + 'static,
) -> Router {
    let tell = async move || {
        Json(VerifierView {
            name,
            rollups: rollups(),
            silent_for: None,
        })
    };
    Router::new().route(PATH, get(tell))
}

/// Verifiers in other processes, whose word is taken for how far they are.
#[derive(Clone, Debug)]
pub struct Verifiers {
    client: Client,
    all: Arc<[Asked]>,
}

#[derive(Debug)]
struct Asked {
    url: Url,
    told: Mutex<Option<(VerifierView, Instant)>>,
}

impl Verifiers {
    /// Verifiers that tell at these URLs, as [`verified_router`] has it. Nothing is sent yet.
    ///
    /// Errors: there is no HTTP client.
    pub fn new(urls: impl IntoIterator<Item = Url>) -> reqwest::Result<Self> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .build()?;
        let all = urls.into_iter().map(|mut url| {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}{PATH}"));
            let told = Mutex::default();
            Asked { url, told }
        });
        Ok(Self {
            client,
            all: all.collect(),
        })
    }

    /// Asks them again and again, until `shutdown`.
    pub async fn watch(&self, shutdown: CancellationToken) {
        let watching = async {
            loop {
                join_all(self.all.iter().map(|asked| self.ask(asked))).await;
                tokio::time::sleep(EVERY).await;
            }
        };
        shutdown.run_until_cancelled(watching).await;
    }

    /// What those have told that were ever heard.
    pub fn views(&self) -> Vec<VerifierView> {
        let views = self.all.iter().filter_map(|asked| {
            let told = asked.told.lock().unwrap_or_else(PoisonError::into_inner);
            let (view, heard) = told.as_ref()?;
            // One answer may be late.
            let silent = Some(heard.elapsed()).filter(|it| *it > EVERY + TIMEOUT);
            Some(VerifierView {
                silent_for: silent.map(|it| it.as_secs()),
                ..view.clone()
            })
        });
        views.collect()
    }

    async fn ask(&self, asked: &Asked) {
        match self.read(asked.url.clone()).await {
            Ok(view) => {
                let mut told = asked.told.lock().unwrap_or_else(PoisonError::into_inner);
                *told = Some((view, Instant::now()));
            }
            Err(error) => debug!(
                error = &*error as &dyn std::error::Error,
                "verifier is not heard"
            ),
        }
    }

    async fn read(&self, url: Url) -> Result<VerifierView, BoxError> {
        let response = self.client.get(url).send().await;
        let response = response.and_then(reqwest::Response::error_for_status);
        // URLs hold keys.
        let mut response = response.map_err(reqwest::Error::without_url)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("more than {MAX_ANSWER} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
