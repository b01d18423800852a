//! An aggregator in another process.

use std::time::Duration;

use async_trait::async_trait;
use mach_core::{
    Round, SignedStatement, Statement,
    ports::{AggregateError, Progress, SignatureAggregator},
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::{
    MAX_BYTES,
    convert::Malformed,
    error::from_status,
    proto::{OpenRoundRequest, SubmitSignatureRequest, aggregator_client::AggregatorClient},
};

/// How long an answer is waited for. Opening a round reads the operator set from L1.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reaches an aggregator over gRPC. Clones share the connection.
#[derive(Clone, Debug)]
pub struct GrpcAggregator(AggregatorClient<Channel>);

impl GrpcAggregator {
    /// The aggregator at `url`. Nothing is sent yet.
    ///
    /// Errors: [`GrpcError`] if `url` is neither an `http` nor an `https` URL.
    pub fn new(url: &str) -> Result<Self, GrpcError> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(GrpcError::Url)?;
        let endpoint = match endpoint.uri().scheme_str() {
            Some("http") => endpoint,
            Some("https") => {
                let tls = ClientTlsConfig::new().with_enabled_roots();
                endpoint.tls_config(tls).map_err(GrpcError::Url)?
            }
            _ => return Err(GrpcError::Scheme),
        };
        let channel = endpoint
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .connect_lazy();
        let client = AggregatorClient::new(channel)
            .max_decoding_message_size(MAX_BYTES)
            .max_encoding_message_size(MAX_BYTES);
        Ok(Self(client))
    }
}

/// The URL cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// It is none.
    #[error("the aggregator's URL cannot be used")]
    Url(#[source] tonic::transport::Error),
    /// It is neither one of `http` nor one of `https`.
    #[error("the aggregator's URL is not an http or https URL")]
    Scheme,
}

#[async_trait]
impl SignatureAggregator for GrpcAggregator {
    async fn open(&self, statement: &Statement) -> Result<Round, AggregateError> {
        let statement = Some(statement.clone().into());
        let request = OpenRoundRequest { statement };
        let opened = self.0.clone().open_round(request).await;
        let round = opened.map_err(from_status)?.into_inner().round;
        round.unwrap_or_default().try_into().map_err(malformed)
    }

    async fn submit(&self, signed: SignedStatement) -> Result<Progress, AggregateError> {
        let signed = Some(signed.into());
        let request = SubmitSignatureRequest { signed };
        let submitted = self.0.clone().submit_signature(request).await;
        let progress = submitted.map_err(from_status)?.into_inner().progress;
        progress.unwrap_or_default().try_into().map_err(malformed)
    }
}

fn malformed(error: Malformed) -> AggregateError {
    AggregateError::Backend(Box::new(error))
}
