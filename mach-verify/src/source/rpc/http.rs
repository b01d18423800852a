//! JSON-RPC over HTTP that reads no more than it was told to.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use mach_core::ports::SourceError;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tower::Service;
use url::Url;

/// Largest answer that is read, in bytes: ten times the largest witness of a public chain.
pub const MAX_RESPONSE_BYTES: usize = 512 * 1024 * 1024;

/// How long a connection is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer is waited for; a node may execute the block first.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn client(url: Url) -> Result<RpcClient, SourceError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SourceError::Backend(
            "the URL is not http:// or https://".into(),
        ));
    }
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| SourceError::Backend(Box::new(error)))?;
    Ok(RpcClient::new(Http { client, url }, is_local))
}

/// An alloy transport whose answers are bounded.
#[derive(Clone, Debug)]
struct Http {
    client: reqwest::Client,
    url: Url,
}

impl Http {
    async fn send(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let body = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let response = self
            .client
            .post(self.url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
            .send()
            .await
            .map_err(without_url)?;
        let status = response.status();
        let body = read(response).await?;
        // Errors of JSON-RPC come with a status of success, or as JSON with another.
        serde_json::from_slice(&body).map_err(|error| {
            let text = String::from_utf8_lossy(&body);
            if status.is_success() {
                TransportError::deser_err(error, shorten(&text))
            } else {
                TransportErrorKind::http_error(status.as_u16(), shorten(&text))
            }
        })
    }
}

/// The body, unless it is longer than is read.
async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(without_url)? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(TransportErrorKind::custom_str("the answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// URLs of nodes hold keys, which do not belong into logs.
fn without_url(error: reqwest::Error) -> TransportError {
    TransportErrorKind::custom(error.without_url())
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(packet))
    }
}
