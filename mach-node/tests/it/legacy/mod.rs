//! The original's interfaces, with the bytes that are recorded of it.

mod aggregator;
mod grpc;
mod verifier;

use reqwest::{Client, Response};

/// Posts `body` as it stands, and gives status and answer.
async fn post(url: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let answer = sent(url, body).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn sent(url: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = Client::new().post(url).body(body);
    let request = request.header("content-type", "application/json");
    request.send().await.unwrap()
}

/// Tasks of V1 that nobody has opened.
pub(crate) fn tasks() -> std::sync::Arc<dyn mach_node::legacy::LegacyTasks> {
    let config = aggregator::config(mach_node::legacy::DigestRule::V1);
    aggregator::tasks(&aggregator::Kept::default(), config)
}
