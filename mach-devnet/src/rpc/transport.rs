//! A connection without a socket.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use alloy_json_rpc::{
    ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::{TransportError, TransportFut};
use serde_json::value::{RawValue, to_raw_value};
use tower::Service;

use super::{Handler, RpcError};

/// Most requests of one batch.
pub(crate) const MAX_BATCH: usize = 256;

/// An alloy transport that calls the chain directly. Requests are answered before the first
/// `await` returns.
#[derive(Clone, Debug)]
pub struct DevnetTransport {
    handler: Arc<dyn Handler>,
}

impl DevnetTransport {
    pub(crate) fn new(handler: Arc<dyn Handler>) -> Self {
        Self { handler }
    }

    fn answer(&self, request: &SerializedRequest) -> Response {
        let params = request.params().map(RawValue::get);
        let result = self
            .handler
            .handle(request.method(), params)
            .and_then(|value| {
                to_raw_value(&value).map_err(|error| RpcError::internal(error.to_string()))
            });
        Response {
            id: request.id().clone(),
            payload: payload(result),
        }
    }
}

fn payload(result: Result<Box<RawValue>, RpcError>) -> ResponsePayload {
    match result {
        Ok(value) => ResponsePayload::Success(value),
        Err(error) => ResponsePayload::Failure(ErrorPayload {
            code: error.code.into(),
            message: error.message.into(),
            data: error.data.and_then(|data| to_raw_value(&data).ok()),
        }),
    }
}

impl Service<RequestPacket> for DevnetTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            match packet {
                RequestPacket::Single(request) => Ok(ResponsePacket::Single(this.answer(&request))),
                RequestPacket::Batch(requests) if requests.len() > MAX_BATCH => Err(
                    alloy_transport::TransportErrorKind::custom_str("batch has too many requests"),
                ),
                RequestPacket::Batch(requests) => Ok(ResponsePacket::Batch(
                    requests
                        .iter()
                        .map(|request| this.answer(request))
                        .collect(),
                )),
            }
        })
    }
}
