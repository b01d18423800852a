//! An aggregator in another process.

use std::time::Duration;

use async_trait::async_trait;
use jsonrpsee::{
    core::ClientError,
    http_client::{HttpClient, HttpClientBuilder},
};
use mach_core::{
    Round, SignedStatement, Statement,
    ports::{AggregateError, Progress, SignatureAggregator},
};

use super::{MAX_MESSAGE_BYTES, api::AggregatorApiClient, error::from_wire};

/// How long an answer is waited for. Opening a round reads the operator set from L1.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reaches an aggregator over HTTP.
#[derive(Clone, Debug)]
pub struct RemoteAggregator(HttpClient);

impl RemoteAggregator {
    /// The aggregator at `url`. Nothing is sent yet.
    ///
    /// Errors: [`RemoteError`] if `url` is not an HTTP URL.
    pub fn new(url: &str) -> Result<Self, RemoteError> {
        HttpClientBuilder::default()
            .request_timeout(TIMEOUT)
            .max_request_size(MAX_MESSAGE_BYTES)
            .max_response_size(MAX_MESSAGE_BYTES)
            .build(url)
            .map(Self)
            .map_err(RemoteError)
    }
}

/// The URL cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the aggregator's URL cannot be used")]
pub struct RemoteError(#[source] ClientError);

#[async_trait]
impl SignatureAggregator for RemoteAggregator {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        self.0.open_round(statement.clone()).await.map_err(read)
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        self.0.submit_signature(signed).await.map_err(read)
    }
}

fn read(error: ClientError) -> AggregateError {
    if let ClientError::Call(call) = &error
        && let Some(named) = from_wire(call)
    {
        return named;
    }
    AggregateError::Backend(Box::new(error))
}
