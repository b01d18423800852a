//! An aggregator that other processes reach.

use axum::Router;
use mach_core::ports::SignatureAggregator;
use tonic::{Request, Response, Status, async_trait, service::Routes};

use super::{
    MAX_BYTES,
    error::to_status,
    proto::{
        OpenRoundRequest, OpenRoundResponse, SubmitSignatureRequest, SubmitSignatureResponse,
        aggregator_server::{self, AggregatorServer},
    },
};

/// `aggregator` as the service `mach.v1.Aggregator`, to be served over HTTP/2 beside other routes.
pub fn aggregator_router(aggregator: impl SignatureAggregator + 'static) -> Router {
    let service = AggregatorServer::new(Served(aggregator))
        .max_decoding_message_size(MAX_BYTES)
        .max_encoding_message_size(MAX_BYTES);
    let routes = Routes::from(Router::new()).add_service(service);
    routes.into_axum_router()
}

struct Served<A>(A);

#[async_trait]
impl<A: SignatureAggregator + 'static> aggregator_server::Aggregator for Served<A> {
    async fn open_round(
        &self,
        request: Request<OpenRoundRequest>,
    ) -> Result<Response<OpenRoundResponse>, Status> {
        let statement = request.into_inner().statement.unwrap_or_default();
        let opened = self.0.open(&statement.try_into()?).await;
        let round = opened.map_err(|error| to_status(&error))?;
        Ok(Response::new(OpenRoundResponse {
            round: Some(round.into()),
        }))
    }

    async fn submit_signature(
        &self,
        request: Request<SubmitSignatureRequest>,
    ) -> Result<Response<SubmitSignatureResponse>, Status> {
        let signed = request.into_inner().signed.unwrap_or_default();
        let submitted = self.0.submit(signed.try_into()?).await;
        let progress = submitted.map_err(|error| to_status(&error))?;
        Ok(Response::new(SubmitSignatureResponse {
            progress: Some(progress.into()),
        }))
    }
}
