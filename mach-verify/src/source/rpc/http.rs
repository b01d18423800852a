//! HTTP, and JSON-RPC over it, that reads no more, waits no longer and asks no more often than it was
//! told.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use backon::{ExponentialBuilder, Retryable};
use mach_core::ports::SourceError;
use reqwest::{
    RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde::de::DeserializeSeed;
use tokio::sync::{Mutex, Semaphore};
use tower::{
    Service, ServiceExt,
    limit::{RateLimit, rate::Rate},
};
use tracing::debug;
use url::Url;

use super::RpcOptions;
use crate::source::bounded::List;

/// How long a connection is waited for, at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// First and longest wait before a request is sent again. A node that asks for more is given up.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// Characters of an answer that an error keeps.
const SHOWN: usize = 200;

/// Why a node's answer did not arrive. URLs of nodes hold keys, so none of these shows one.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The node is not reached, or hangs up.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// No answer in [`RpcOptions::timeout`].
    #[error("no answer in {0:?}")]
    Timeout(Duration),
    /// A status that is no success, without an answer of JSON-RPC.
    #[error("HTTP status {status}: {body}")]
    Status {
        /// The status.
        status: u16,
        /// How long the node asks to wait.
        retry_after: Option<Duration>,
        /// Beginning of the answer.
        body: String,
    },
    /// The node says that it is asked too often.
    #[error("the node limits the rate: {0}")]
    RateLimited(String),
    /// The answer is longer than [`RpcOptions::max_response_bytes`].
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer is not JSON-RPC.
    #[error("the answer is not JSON-RPC: {body}")]
    NotJsonRpc {
        /// What the parser says.
        #[source]
        source: serde_json::Error,
        /// Beginning of the answer.
        body: String,
    },
    /// The answer belongs to another request.
    #[error("the answer has the id of another request")]
    WrongId,
}

impl HttpError {
    /// Whether the same request may get through in a moment.
    const fn is_passing(&self) -> bool {
        match self {
            Self::Connection(_) | Self::RateLimited(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 502 | 503 | 504),
            Self::Timeout(_) | Self::TooLarge(_) | Self::NotJsonRpc { .. } | Self::WrongId => false,
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// URLs of nodes hold keys, which do not belong into logs.
    fn from_reqwest(error: reqwest::Error, timeout: Duration) -> Self {
        if error.is_timeout() {
            return Self::Timeout(timeout);
        }
        Self::Connection(error.without_url())
    }
}

pub(super) fn client(url: Url, options: &RpcOptions) -> Result<RpcClient, SourceError> {
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let server = Server::new(&url, options)?;
    let http = Http(Arc::new(Node { server, url }));
    Ok(RpcClient::new(http, is_local))
}

/// Who is asked over HTTP, as its options say.
#[derive(Debug)]
pub(in crate::source) struct Server {
    client: reqwest::Client,
    places: Semaphore,
    /// Made when it is first needed, since its clock is the runtime's.
    rate: Mutex<Option<RateLimit<Turn>>>,
    options: RpcOptions,
}

/// What came back.
#[derive(Debug)]
pub(in crate::source) struct Answer {
    pub(in crate::source) status: StatusCode,
    retry_after: Option<Duration>,
    pub(in crate::source) body: Vec<u8>,
}

impl Answer {
    /// The status as an error.
    pub(in crate::source) fn into_error(self) -> HttpError {
        HttpError::Status {
            status: self.status.as_u16(),
            retry_after: self.retry_after,
            body: shorten(&self.body),
        }
    }
}

impl Server {
    /// The server of this URL.
    ///
    /// Errors: [`SourceError::Backend`].
    pub(in crate::source) fn new(url: &Url, options: &RpcOptions) -> Result<Self, SourceError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SourceError::Backend(
                "the URL is not http:// or https://".into(),
            ));
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(options.timeout))
            .timeout(options.timeout)
            // A request that goes elsewhere is a URL that is wrong, and keys may be in it.
            .redirect(Policy::none())
            .build()
            .map_err(|error| SourceError::Backend(Box::new(error)))?;
        let places = options.concurrent_requests.get();
        Ok(Self {
            client,
            places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            rate: Mutex::new(None),
            options: options.clone(),
        })
    }

    /// What requests are made with.
    pub(in crate::source) const fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Tries until there is an answer, or none is to be expected.
    pub(in crate::source) async fn retry<T, F: Future<Output = Result<T, HttpError>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, HttpError> {
        let (first, longest) = RETRY_DELAYS;
        let delays = ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(longest)
            .with_max_times(self.options.retries)
            .with_jitter();
        attempt
            .retry(delays)
            .when(HttpError::is_passing)
            .adjust(|error, delay| match error.retry_after() {
                Some(asked) => delay.and((asked <= longest).then_some(asked)),
                None => delay,
            })
            .notify(|error, delay| debug!(%error, ?delay, "request is sent again"))
            .await
    }

    /// Sends one request, when it is its turn.
    pub(in crate::source) async fn send(
        &self,
        request: RequestBuilder,
    ) -> Result<Answer, HttpError> {
        // Nobody closes the semaphore.
        let _place = self.places.acquire().await;
        self.turn().await;
        let timeout = self.options.timeout;
        let sent = request.send().await;
        let response = sent.map_err(|error| HttpError::from_reqwest(error, timeout))?;
        Ok(Answer {
            status: response.status(),
            retry_after: retry_after(&response),
            body: self.read(response).await?,
        })
    }

    /// Waits until the rate permits another request.
    async fn turn(&self) {
        let Some(limit) = self.options.requests_per_second else {
            return;
        };
        let mut rate = self.rate.lock().await;
        let rate = rate.get_or_insert_with(|| {
            RateLimit::new(Turn, Rate::new(limit.get().into(), Duration::from_secs(1)))
        });
        let Ok(turn) = rate.ready().await;
        let Ok(()) = turn.call(()).await;
    }

    /// The body, unless it is longer than is read.
    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, HttpError> {
        let limit = self.options.max_response_bytes;
        let failed = |error| HttpError::from_reqwest(error, self.options.timeout);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// An alloy transport to one node.
#[derive(Clone, Debug)]
struct Http(Arc<Node>);

#[derive(Debug)]
struct Node {
    server: Server,
    url: Url,
}

impl Node {
    async fn send(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let body = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let attempt = || self.attempt(&packet, body.clone());
        let answer = self.server.retry(attempt).await;
        answer.map_err(TransportErrorKind::custom)
    }

    async fn attempt(
        &self,
        packet: &RequestPacket,
        body: Vec<u8>,
    ) -> Result<ResponsePacket, HttpError> {
        let request = (self.server.client())
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let answer = self.server.send(request).await?;
        // Errors of JSON-RPC come with a status of success, or as JSON with another.
        let answer = match parse(&answer.body, packet.len()) {
            Ok(parsed) if answer.status != StatusCode::TOO_MANY_REQUESTS => parsed,
            Err(source) if answer.status.is_success() => {
                let body = shorten(&answer.body);
                return Err(HttpError::NotJsonRpc { source, body });
            }
            _ => return Err(answer.into_error()),
        };
        if let Some(limited) = (answer.iter_errors())
            // What is not there yet is no reason to ask at once again.
            .find(|error| error.is_retry_err() && error.message != "header not found")
        {
            let message = limited.message.chars().take(SHOWN).collect();
            return Err(HttpError::RateLimited(message));
        }
        match (packet, &answer) {
            // An error may be about a request whose id the node could not read.
            (RequestPacket::Single(request), ResponsePacket::Single(response))
                if response.id != *request.id() && response.payload.is_success() =>
            {
                Err(HttpError::WrongId)
            }
            _ => Ok(answer),
        }
    }
}

/// The answer to so many calls. One more is not read: in memory it is many times as large as here.
fn parse(body: &[u8], calls: usize) -> Result<ResponsePacket, serde_json::Error> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        return serde_json::from_slice(body);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let answers = List::of_at_most(calls).deserialize(&mut json)?;
    json.end()?;
    Ok(ResponsePacket::Batch(answers))
}

/// Seconds from now; the form with a date is rare, and as good as none.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

fn shorten(body: &[u8]) -> String {
    let start = body.get(..4 * SHOWN).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    (text.chars().filter(|it| !it.is_control()))
        .take(SHOWN)
        .collect()
}

/// What the rate limit counts.
#[derive(Debug)]
struct Turn;

impl Service<()> for Turn {
    type Response = ();
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<(), Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let node = Arc::clone(&self.0);
        Box::pin(async move { node.send(packet).await })
    }
}
