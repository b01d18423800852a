//! What happens in the rounds.

use std::{pin::Pin, sync::Arc};

use axum::Router;
use futures::{Stream, StreamExt, stream};
use mach_core::Certificate;
use tokio::sync::{Semaphore, broadcast::error::RecvError};
use tonic::{Request, Response, Status, async_trait, service::Routes};
use tracing::warn;

use super::{
    MAX_BYTES,
    convert::fixed,
    proto::{
        self, GetCertificateRequest, GetCertificateResponse, ListRoundsRequest, ListRoundsResponse,
        WatchRoundsRequest, round_event::Kind, rounds_server,
    },
};
use crate::{Aggregator, RoundEvent};

/// Most streams at a time.
const MAX_STREAMS: usize = 256;
/// Largest answer, in bytes: an operator takes 34 of them, and there may be thousands.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// The rounds of `aggregator` as the service `mach.v1.Rounds`, to be served over HTTP/2 beside other
/// routes.
pub fn rounds_router(aggregator: Aggregator) -> Router {
    let watched = Watched {
        aggregator,
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
    };
    let service = rounds_server::RoundsServer::new(watched)
        .max_decoding_message_size(MAX_BYTES)
        .max_encoding_message_size(MAX_ANSWER);
    let routes = Routes::from(Router::new()).add_service(service);
    routes.into_axum_router()
}

struct Watched {
    aggregator: Aggregator,
    streams: Arc<Semaphore>,
}

type Events = Pin<Box<dyn Stream<Item = Result<proto::RoundEvent, Status>> + Send>>;

#[async_trait]
impl rounds_server::Rounds for Watched {
    async fn list_rounds(
        &self,
        _request: Request<ListRoundsRequest>,
    ) -> Result<Response<ListRoundsResponse>, Status> {
        let rounds = self.aggregator.rounds().into_iter().map(Into::into);
        Ok(Response::new(ListRoundsResponse {
            rounds: rounds.collect(),
        }))
    }

    type WatchRoundsStream = Events;

    async fn watch_rounds(
        &self,
        _request: Request<WatchRoundsRequest>,
    ) -> Result<Response<Events>, Status> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let place = place.map_err(|_| Status::resource_exhausted("too many streams"))?;
        let events = self.aggregator.events();
        let events = stream::unfold((events, place), |(mut events, place)| async move {
            let kind = match events.recv().await {
                Ok(event) => kind(event),
                Err(RecvError::Lagged(missed)) => Ok(Kind::Missed(missed)),
                Err(RecvError::Closed) => return None,
            };
            let event = kind.map(|kind| proto::RoundEvent { kind: Some(kind) });
            Some((event, (events, place)))
        });
        Ok(Response::new(events.boxed()))
    }

    async fn get_certificate(
        &self,
        request: Request<GetCertificateRequest>,
    ) -> Result<Response<GetCertificateResponse>, Status> {
        let digest = fixed(&request.into_inner().digest, "digest")?;
        let found = self.aggregator.certificate(digest).await.map_err(|error| {
            warn!(
                error = &error as &dyn std::error::Error,
                "the store does not answer"
            );
            Status::unavailable("the store does not answer")
        })?;
        let certificate = found.ok_or_else(|| Status::not_found("there is no certificate"))?;
        Ok(Response::new(GetCertificateResponse {
            certificate: json(&certificate)?,
        }))
    }
}

fn kind(event: RoundEvent) -> Result<Kind, Status> {
    Ok(match event {
        RoundEvent::Opened(view) => Kind::Opened(view.into()),
        RoundEvent::Signed(view) => Kind::Signed(view.into()),
        RoundEvent::Certified { view, certificate } => Kind::Certified(proto::Certified {
            round: Some(view.into()),
            certificate: json(&certificate)?,
        }),
        RoundEvent::Confirmed { confirmation, .. } => Kind::Confirmed(confirmation.into()),
        RoundEvent::Lost { digest } => Kind::Lost(digest.to_vec()),
        RoundEvent::Withdrawn { digest, l1_block } => Kind::Withdrawn(proto::Withdrawn {
            digest: digest.to_vec(),
            l1_block,
        }),
        RoundEvent::Expired { digest } => Kind::Expired(digest.to_vec()),
    })
}

fn json(certificate: &Certificate) -> Result<String, Status> {
    serde_json::to_string(certificate).map_err(|_| Status::internal("the certificate has no JSON"))
}
