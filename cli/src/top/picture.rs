//! One look at the finality API.

use std::time::Duration;

use mach_node::{
    RoundView,
    finality::{AlertView, RollupView},
};
use reqwest::{Client, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All that is shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Picture {
    pub(super) rollups: Vec<RollupView>,
    pub(super) rounds: Vec<RoundView>,
    /// Those that were withdrawn, too.
    pub(super) alerts: Vec<AlertView>,
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
            "--api is not http:// or https://"
        );
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, url })
    }

    pub(super) async fn look(&self) -> eyre::Result<Picture> {
        let (rollups, rounds, alerts) = tokio::try_join!(
            self.get("/v1/rollups"),
            self.get("/v1/rounds"),
            self.get("/v1/alerts"),
        )?;
        Ok(Picture {
            rollups,
            rounds,
            alerts,
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> eyre::Result<T> {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
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
