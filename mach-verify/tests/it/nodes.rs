//! Nodes that serve less than the devnet's, and count what they are asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use alloy_json_rpc::{
    ErrorPayload, Id, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_rpc_client::RpcClient;
use alloy_transport::{Transport, TransportError, TransportFut};
use tower::Service;

/// A node that answers "method not found" to some methods.
#[derive(Clone, Debug)]
pub(crate) struct Without<T> {
    node: T,
    methods: &'static [&'static str],
    /// Requests that were sent, a batch being one.
    round_trips: Arc<AtomicUsize>,
}

impl<T: Transport + Clone> Without<T> {
    pub(crate) fn new(node: T, methods: &'static [&'static str]) -> Self {
        Self {
            node,
            methods,
            round_trips: Arc::default(),
        }
    }

    pub(crate) fn client(&self) -> RpcClient {
        RpcClient::new(self.clone(), true)
    }

    pub(crate) fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::Relaxed)
    }

    fn refuses(&self, request: &SerializedRequest) -> bool {
        self.methods.contains(&request.method())
    }

    async fn send(mut self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        match packet {
            RequestPacket::Single(request) if self.refuses(&request) => {
                Ok(ResponsePacket::Single(not_found(request.id().clone())))
            }
            RequestPacket::Batch(requests) => {
                let (refused, served): (Vec<_>, Vec<_>) =
                    (requests.into_iter()).partition(|request| self.refuses(request));
                let mut answers: Vec<_> = (refused.iter())
                    .map(|request| not_found(request.id().clone()))
                    .collect();
                if !served.is_empty() {
                    let served = self.node.call(RequestPacket::Batch(served)).await?;
                    answers.extend(served.responses().iter().cloned());
                }
                Ok(ResponsePacket::Batch(answers))
            }
            packet => self.node.call(packet).await,
        }
    }
}

fn not_found(id: Id) -> Response {
    Response {
        id,
        payload: ResponsePayload::Failure(ErrorPayload::method_not_found()),
    }
}

impl<T: Transport + Clone> Service<RequestPacket> for Without<T> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(packet))
    }
}
