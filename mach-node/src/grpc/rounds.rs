//! What happens in the rounds.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use axum::{Router, extract::ConnectInfo};
use futures::{Stream, StreamExt, stream};
use mach_core::Certificate;
use tokio::{
    sync::{Semaphore, broadcast::error::RecvError},
    task::spawn_blocking,
};
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
use crate::{
    Aggregator, RoundEvent,
    http::{Places, Streamed, host},
};

/// Most streams at a time.
const MAX_STREAMS: usize = 256;
/// Most of them to one host.
const MAX_STREAMS_PER_HOST: usize = 64;
/// Largest answer, in bytes: an operator takes 34 of them, and there may be thousands.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// The rounds of `aggregator` as the service `mach.v1.Rounds`, to be served over HTTP/2 beside other
/// routes.
pub fn rounds_router(aggregator: Aggregator) -> Router {
    let watched = Watched {
        aggregator,
        streams: Arc::new(Places::new(MAX_STREAMS, MAX_STREAMS_PER_HOST)),
        lists: Arc::new(Semaphore::new(1)),
    };
    let service = rounds_server::RoundsServer::new(watched)
        .max_decoding_message_size(MAX_BYTES)
        .max_encoding_message_size(MAX_ANSWER);
    let routes = Routes::from(Router::new()).add_service(service);
    routes.into_axum_router()
}

struct Watched {
    aggregator: Aggregator,
    streams: Arc<Places>,
    lists: Arc<Semaphore>,
}

type Events = Pin<Box<dyn Stream<Item = Result<proto::RoundEvent, Status>> + Send>>;

#[async_trait]
impl rounds_server::Rounds for Watched {
    async fn list_rounds(
        &self,
        _request: Request<ListRoundsRequest>,
    ) -> Result<Response<ListRoundsResponse>, Status> {
        // With thousands of operators a list takes a while: one at a time, and not where others are served.
        let unlisted = || Status::internal("the rounds are not listed");
        let turn = Arc::clone(&self.lists).acquire_owned().await;
        let turn = turn.map_err(|_| unlisted())?;
        let aggregator = self.aggregator.clone();
        let rounds = spawn_blocking(move || {
            let rounds = aggregator.rounds().into_iter().map(Into::into);
            let rounds = rounds.collect();
            drop(turn);
            rounds
        });
        let rounds = rounds.await.map_err(|_| unlisted())?;
        Ok(Response::new(ListRoundsResponse { rounds }))
    }

    type WatchRoundsStream = Events;

    async fn watch_rounds(
        &self,
        request: Request<WatchRoundsRequest>,
    ) -> Result<Response<Events>, Status> {
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let from = from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |from| from.0.ip());
        let place = self.streams.admit(host(from));
        let place = place.ok_or_else(|| Status::resource_exhausted("too many streams"))?;
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
        let mut answer = Response::new(events.boxed());
        answer.extensions_mut().insert(Streamed);
        Ok(answer)
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
