//! An L1 node that answers as a test tells it to.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use alloy_json_rpc::{ErrorPayload, RequestPacket, ResponsePacket, ResponsePayload};
use alloy_provider::RootProvider;
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportFut};
use mach_devnet::{Chain, DevnetTransport, Ethereum};
use serde_json::{Value, value::to_raw_value};
use tower::Service;

/// Gets method, parameters and the true answer, and gives another or none.
type Lie = dyn Fn(&str, &str, &Value) -> Option<ResponsePayload> + Send + Sync;

/// The devnet's L1, except where `lie` says something else.
pub(crate) fn lying(
    chain: &Chain<Ethereum>,
    lie: impl Fn(&str, &str, &Value) -> Option<ResponsePayload> + Send + Sync + 'static,
) -> RootProvider {
    let node = Node {
        inner: chain.transport(),
        lie: Arc::new(lie),
    };
    RootProvider::new(RpcClient::new(node, true))
}

pub(crate) fn success(value: &Value) -> ResponsePayload {
    ResponsePayload::Success(to_raw_value(value).unwrap())
}

pub(crate) fn failure(code: i64, message: &'static str) -> ResponsePayload {
    ResponsePayload::Failure(ErrorPayload {
        code,
        message: message.into(),
        data: None,
    })
}

#[derive(Clone)]
struct Node {
    inner: DevnetTransport,
    lie: Arc<Lie>,
}

impl Service<RequestPacket> for Node {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let lie = Arc::clone(&self.lie);
        let request = packet.as_single().unwrap();
        let method = request.method().to_owned();
        let params = request
            .params()
            .map_or("", |params| params.get())
            .to_owned();
        let answer = self.inner.call(packet);
        Box::pin(async move {
            let ResponsePacket::Single(mut response) = answer.await? else {
                panic!("no batch was sent")
            };
            let truth = match &response.payload {
                ResponsePayload::Success(value) => serde_json::from_str(value.get()).unwrap(),
                ResponsePayload::Failure(_) => Value::Null,
            };
            if let Some(answer) = lie(&method, &params, &truth) {
                response.payload = answer;
            }
            Ok(ResponsePacket::Single(response))
        })
    }
}
