//! One look at the finality API.

use std::{collections::BTreeMap, time::Duration};

use alloy_primitives::{B256, ChainId};
use futures::future::try_join_all;
use mach_node::finality::{AlertView, AttestationView, NodeView, RollupView, RoundReport};
use reqwest::{Client, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Attestations whose stake is shown.
const ATTESTATIONS: usize = 100;
/// Alerts whose evidence is asked for, the newest.
const LOOKED_AT: usize = 20;

/// All that is shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Picture {
    pub(super) node: Option<NodeView>,
    pub(super) rollups: Vec<RollupView>,
    pub(super) rounds: Vec<RoundReport>,
    /// Those that were withdrawn, too.
    pub(super) alerts: Vec<AlertView>,
    /// The newest attestations of each rollup, the newest first.
    pub(super) attestations: BTreeMap<ChainId, Vec<AttestationView>>,
    /// What verifiers have kept against the blocks of the newest alerts, by the digest of the alert.
    pub(super) evidence: BTreeMap<B256, Vec<Bundle>>,
}

/// A bundle of evidence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bundle {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Where it is had.
    #[serde(default)]
    pub(super) path: String,
}

#[derive(Deserialize)]
struct Attestations {
    attestations: Vec<AttestationView>,
}

impl Picture {
    pub(super) fn has_alert(&self) -> bool {
        self.alerts.iter().any(|alert| !alert.is_resolved)
    }
}

/// A server of the API.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    url: Url,
}

impl Api {
    pub(super) fn new(url: Url) -> eyre::Result<Self> {
        eyre::ensure!(
            matches!(url.scheme(), "http" | "https"),
            "the finality API has a URL that is not http:// or https://"
        );
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, url })
    }

    pub(super) async fn look(&self) -> eyre::Result<Picture> {
        let (node, rollups, rounds, alerts) = tokio::try_join!(
            self.get("/v1/node"),
            self.get::<Vec<RollupView>>("/v1/rollups"),
            self.get("/v1/rounds"),
            self.get::<Vec<AlertView>>("/v1/alerts"),
        )?;
        let attestations = rollups
            .iter()
            .map(|rollup| self.attestations(rollup.rollup));
        let mut newest: Vec<_> = alerts.iter().collect();
        newest.sort_by_key(|alert| (alert.is_resolved, std::cmp::Reverse(alert.block.number)));
        newest.truncate(LOOKED_AT);
        let evidence = newest.into_iter().map(|alert| self.evidence(alert));
        let (attestations, evidence) =
            tokio::try_join!(try_join_all(attestations), try_join_all(evidence))?;
        Ok(Picture {
            node: Some(node),
            rollups,
            rounds,
            alerts,
            attestations: attestations.into_iter().collect(),
            evidence: evidence.into_iter().collect(),
        })
    }

    async fn attestations(&self, rollup: ChainId) -> eyre::Result<(ChainId, Vec<AttestationView>)> {
        let path = format!("/v1/rollups/{rollup}/certificates?limit={ATTESTATIONS}");
        let page: Attestations = self.get(&path).await?;
        Ok((rollup, page.attestations))
    }

    async fn evidence(&self, alert: &AlertView) -> eyre::Result<(B256, Vec<Bundle>)> {
        let folder = format!("/v1/rollups/{}/evidence/{}", alert.rollup, alert.block.hash);
        let mut bundles: Vec<Bundle> = self.get(&folder).await?;
        for bundle in &mut bundles {
            bundle.path = format!("{folder}/{}", bundle.name);
        }
        Ok((alert.digest, bundles))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> eyre::Result<T> {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        url.set_path(&format!("{base}{path}"));
        url.set_query(query);
        // URLs hold keys.
        let nameless = |error: reqwest::Error| error.without_url();
        let mut response = self.client.get(url).send().await.map_err(nameless)?;
        let status = response.status();
        eyre::ensure!(status.is_success(), "{path}: HTTP status {status}");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(nameless)? {
            let length = body.len() + chunk.len();
            eyre::ensure!(length <= MAX_ANSWER, "{path}: more than {MAX_ANSWER} bytes");
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
