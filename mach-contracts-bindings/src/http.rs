//! L1 over HTTP, from which no more is read than an answer can have.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_provider::RootProvider;
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use reqwest::{
    header::{CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use tower::Service;
use url::Url;

/// Largest answer that is read, in bytes. The logs of ten thousand registrations are a tenth of it.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// How long a connection is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A provider of the L1 node at `url`, with bounds that alloy's own HTTP transport does not have: answers
/// are at most [`MAX_RESPONSE_BYTES`] long and come within 30 seconds, and redirections are not
/// followed. The URL stands in no error.
///
/// Errors: the URL is not `http://` or `https://`.
pub fn http_provider(url: Url) -> Result<RootProvider, TransportError> {
    http_client(url).map(RootProvider::new)
}

/// A client with the bounds of [`http_provider`].
pub(crate) fn http_client(url: Url) -> Result<RpcClient, TransportError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(TransportErrorKind::custom_str(
            "the URL is not http:// or https://",
        ));
    }
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(Policy::none())
        .build()
        .map_err(TransportErrorKind::custom)?;
    let transport = Http { client, url };
    Ok(RpcClient::new(transport, is_local))
}

#[derive(Clone, Debug)]
struct Http {
    client: reqwest::Client,
    url: Url,
}

impl Http {
    async fn ask(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let request = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let mut response = self
            .client
            .post(self.url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(request)
            .send()
            .await
            .map_err(nameless)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(nameless)? {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(TransportErrorKind::custom_str("the answer is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        // Some nodes answer a JSON-RPC error with a status of failure.
        serde_json::from_slice(&body).map_err(|error| {
            let text = String::from_utf8_lossy(&body).chars().take(200).collect();
            if status.is_success() {
                TransportError::deser_err(error, text)
            } else {
                TransportErrorKind::http_error(status.as_u16(), text)
            }
        })
    }
}

/// URLs of nodes hold keys.
fn nameless(error: reqwest::Error) -> TransportError {
    TransportErrorKind::custom(error.without_url())
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(packet))
    }
}
