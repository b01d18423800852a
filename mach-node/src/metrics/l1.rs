//! Requests to L1, counted where they leave the process.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_provider::{DynProvider, Provider, RootProvider};
use alloy_rpc_client::RpcClient;
use alloy_transport::{BoxTransport, TransportError, TransportFut};
use tower::Service;

use super::count_request;

/// Longest version of a node that stands in a label, in characters.
const MAX_VERSION: usize = 64;

/// The same L1, with every request counted as EigenLayer's node specification has it. The label
/// `client_version` is what the node says of itself, `unknown` if it does not.
pub async fn counted(provider: impl Provider) -> DynProvider {
    let version = provider.get_client_version().await.unwrap_or_default();
    let version: String = match version.as_str() {
        "" => "unknown".to_owned(),
        version => version.chars().take(MAX_VERSION).collect(),
    };
    let client = provider.client();
    let transport = Counted {
        inner: client.transport().clone(),
        version: version.into(),
    };
    let client = RpcClient::new(transport, client.is_local());
    RootProvider::<alloy_provider::network::Ethereum>::new(client).erased()
}

#[derive(Clone, Debug)]
struct Counted {
    inner: BoxTransport,
    version: Arc<str>,
}

impl Service<RequestPacket> for Counted {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let methods: Vec<String> = packet.method_names().map(str::to_owned).collect();
        let (version, started) = (Arc::clone(&self.version), Instant::now());
        let answer = self.inner.call(packet);
        Box::pin(async move {
            let answer = answer.await;
            for method in &methods {
                count_request(method, &version, started.elapsed());
            }
            answer
        })
    }
}
