//! The node behind the breaker.

use std::{fmt, time::Duration};

use alloy_primitives::{B256, BlockNumber};
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use mach_core::BlockRef;
use reqwest::{Client, Url, redirect::Policy};
use serde::Deserialize;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

use super::{config::BreakerLimits, gate::Restriction, pin::Heads};

/// How long the heads of the node are believed.
const HEADS_LIFETIME: Duration = Duration::from_secs(1);

/// Largest answer to a question about heads, in bytes: three blocks without transactions, whose
/// hashes may be many.
const MAX_HEADS_BYTES: usize = 8 << 20;

/// What belongs to one connection, and not to what is sent over it.
///
/// Source: RFC 9110, section 7.6.1.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A node over HTTP, and over WebSocket where that is asked for.
pub(super) struct Upstream {
    client: Client,
    url: Url,
    ws_url: Url,
    limits: BreakerLimits,
    in_flight: Semaphore,
    heads: Mutex<Option<Answer>>,
}

impl fmt::Debug for Upstream {
    /// URLs of nodes hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// What the heads were asked for.
type Asked = (BlockNumber, Option<BlockRef>);

/// When heads were asked, for what, and what they are.
type Answer = (Instant, Asked, Result<Heads, HeadsError>);

/// What a node answers, all of it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("the node behind the breaker cannot be reached")]
    Unreachable,
    #[error("the node behind the breaker did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the answer of the node behind the breaker was cut off")]
    CutOff,
    #[error("the answer of the node behind the breaker has more than {0} bytes")]
    TooLarge(usize),
    #[error("the node behind the breaker redirects")]
    Redirects,
    #[error("more than {0} calls wait for the node behind the breaker")]
    Busy(usize),
}

impl UpstreamError {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}

/// Why it is not known where the chain is to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadsError {
    #[error("no block is attested")]
    NotAttested,
    #[error("the node behind the breaker has no block {0}, the last attested one")]
    NotThere(BlockNumber),
    #[error("the node behind the breaker has block {theirs} where {} is attested", .attested)]
    OtherBlock { attested: BlockRef, theirs: B256 },
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl Upstream {
    /// Errors: there is no HTTP client.
    pub(super) fn new(url: Url, ws_url: Url, limits: BreakerLimits) -> reqwest::Result<Self> {
        let client = Client::builder()
            .connect_timeout(limits.connect_timeout)
            .redirect(Policy::none())
            // The upgrade to WebSocket is one of HTTP/1.1.
            .http1_only()
            .build()?;
        Ok(Self {
            client,
            url,
            ws_url,
            limits,
            in_flight: Semaphore::new(limits.max_in_flight),
            heads: Mutex::default(),
        })
    }

    /// Hands a request on and reads the whole answer, both within the limits.
    pub(super) async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answered, UpstreamError> {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Err(UpstreamError::Busy(self.limits.max_in_flight));
        };
        let limit = self.limits.max_response_bytes;
        let request = self.client.request(method, self.url.clone());
        let exchange = exchange(request.headers(end_to_end(headers)).body(body), limit);
        match timeout(self.limits.request_timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(UpstreamError::TimedOut(self.limits.request_timeout)),
        }
    }

    /// EIP-155 id of the chain that the node is on; `None` if it does not say.
    pub(super) async fn chain_id(&self) -> Result<Option<u64>, UpstreamError> {
        #[derive(Deserialize)]
        struct ChainId {
            result: alloy_primitives::U64,
        }
        let body = r#"{"jsonrpc":"2.0","id":0,"method":"eth_chainId","params":[]}"#;
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
        let answered = self.send(Method::POST, headers, body.into()).await?;
        let answer: Option<ChainId> = serde_json::from_slice(&answered.body).ok();
        Ok(answer.map(|answer| answer.result.to()))
    }

    /// A connection that has been upgraded to WebSocket.
    pub(super) async fn connect(
        &self,
        headers: HeaderMap,
        key: &str,
    ) -> Result<reqwest::Upgraded, UpstreamError> {
        let mut headers = end_to_end(headers);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        let key = HeaderValue::from_str(key).map_err(|_| UpstreamError::Unreachable)?;
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
        let request = self.client.get(self.ws_url.clone()).headers(headers);
        let limit = self.limits.request_timeout;
        let response = match timeout(limit, request.send()).await {
            Ok(response) => response.map_err(|_| UpstreamError::Unreachable)?,
            Err(_) => return Err(UpstreamError::TimedOut(limit)),
        };
        response
            .upgrade()
            .await
            .map_err(|_| UpstreamError::Unreachable)
    }

    /// Where the chain ends under `restriction`, and whether the node is on the attested chain at all.
    pub(super) async fn heads(&self, restriction: &Restriction) -> Result<Heads, HeadsError> {
        let (Some(end), Some(attested)) = (restriction.last_good, restriction.attested) else {
            return Err(HeadsError::NotAttested);
        };
        // Below a bad block no hash is known.
        let expected = (attested.number == end).then_some(attested);
        let asked = (end, expected);
        // Held while the node is asked, so that it is asked once.
        let mut known = self.heads.lock().await;
        if let Some((at, what, heads)) = &*known
            && *what == asked
            && at.elapsed() < HEADS_LIFETIME
        {
            return heads.clone();
        }
        let heads = self.ask_heads(end, expected).await;
        *known = Some((Instant::now(), asked, heads.clone()));
        heads
    }

    async fn ask_heads(
        &self,
        end: BlockNumber,
        expected: Option<BlockRef>,
    ) -> Result<Heads, HeadsError> {
        let by_number = |id: u8, block: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_getBlockByNumber","params":["{block}",false]}}"#
            )
        };
        let body = format!(
            "[{},{},{}]",
            by_number(0, &format!("{end:#x}")),
            by_number(1, "safe"),
            by_number(2, "finalized")
        );
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
        let answered = self.send(Method::POST, headers, body.into()).await?;
        if answered.body.len() > MAX_HEADS_BYTES {
            return Err(UpstreamError::TooLarge(MAX_HEADS_BYTES).into());
        }
        let answers: Vec<HeadAnswer> = serde_json::from_slice(&answered.body).unwrap_or_default();
        let block = |id: u8| {
            let answer = answers.iter().find(|answer| answer.id == Some(id))?;
            answer.result.as_ref()
        };
        let last = block(0).ok_or(HeadsError::NotThere(end))?;
        if let Some(attested) = expected
            && last.hash != attested.hash
        {
            let theirs = last.hash;
            return Err(HeadsError::OtherBlock { attested, theirs });
        }
        let head = |id| Some(block(id)?.number.to::<u64>().min(end));
        Ok(Heads {
            latest: end,
            safe: head(1),
            finalized: head(2),
        })
    }
}

#[derive(Deserialize)]
struct HeadAnswer {
    id: Option<u8>,
    #[serde(default)]
    result: Option<Head>,
}

#[derive(Deserialize)]
struct Head {
    number: alloy_primitives::U64,
    hash: B256,
}

async fn exchange(
    request: reqwest::RequestBuilder,
    limit: usize,
) -> Result<Answered, UpstreamError> {
    let mut response = request.send().await.map_err(|error| {
        if error.is_connect() {
            UpstreamError::Unreachable
        } else {
            UpstreamError::CutOff
        }
    })?;
    if response.status().is_redirection() {
        return Err(UpstreamError::Redirects);
    }
    let declared = response.content_length();
    if declared.is_some_and(|bytes| usize::try_from(bytes).map_or(true, |bytes| bytes > limit)) {
        return Err(UpstreamError::TooLarge(limit));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| UpstreamError::CutOff)? {
        if body.len() + chunk.len() > limit {
            return Err(UpstreamError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answered {
        status: response.status(),
        headers: end_to_end(std::mem::take(response.headers_mut())),
        body: body.into(),
    })
}

/// What is handed on: neither what belongs to one connection, nor what the client of the next one sets
/// itself.
pub(super) fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        headers.remove(name);
    }
    for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110, section 7.6.1.
    #[test]
    fn headers_of_a_connection_are_not_handed_on() {
        let names = [
            ("connection", "close, X-Own"),
            ("connection", "x-other"),
            ("x-own", "1"),
            ("x-other", "2"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "a"),
            ("content-length", "5"),
            ("authorization", "Bearer t"),
            ("x-forwarded-for", "10.0.0.1"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in names {
            headers.append(name, HeaderValue::from_static(value));
        }
        let left = end_to_end(headers);
        let mut left: Vec<_> = left.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "x-forwarded-for"]);
    }
}
