//! The breaker between a client and a node over WebSocket.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{SinkExt, StreamExt, stream::FuturesUnordered};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Utf8Bytes,
        handshake::client::generate_key,
        protocol::{Role, WebSocketConfig},
    },
};
use tracing::debug;

use super::{
    jsonrpc::{self, Call, Error, LIMIT_EXCEEDED, Payload},
    policy::{Action, Policy, action},
    proxy::{Proxy, Reply},
};

/// Calls of one socket that are judged at a time; with more its next message waits.
const MAX_AT_A_TIME: usize = 16;

/// How often a client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(65);

/// Counts the sockets.
#[derive(Clone, Debug)]
pub(super) struct Sockets {
    free: Arc<Semaphore>,
    most: usize,
}

type Upstream = WebSocketStream<reqwest::Upgraded>;

impl Sockets {
    pub(super) fn new(most: usize) -> Self {
        let free = Arc::new(Semaphore::new(most));
        Self { free, most }
    }

    pub(super) fn open_now(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }

    /// Connects to the node, and then the client with it.
    pub(super) async fn open(
        &self,
        proxy: Arc<Proxy>,
        headers: HeaderMap,
        upgrade: WebSocketUpgrade,
    ) -> Response {
        let refused = |status, code, message: String| {
            let body = jsonrpc::failure(None, &Error::new(code, message));
            Reply::json(status, body).into_response()
        };
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            let message = format!("more than {} sockets", self.most);
            return refused(StatusCode::SERVICE_UNAVAILABLE, LIMIT_EXCEEDED, message);
        };
        let mut headers = without_handshake(headers);
        let key = generate_key();
        let upstream = match proxy.upstream.connect(headers.clone(), &key).await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                return refused(error.status(), jsonrpc::UNAVAILABLE, error.to_string());
            }
        };
        // Calls that are judged go on over HTTP.
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let limits = proxy.limits;
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.max_response_bytes))
            .max_frame_size(Some(limits.max_response_bytes));
        let upstream = WebSocketStream::from_raw_socket(upstream, Role::Client, Some(config)).await;
        upgrade
            .max_message_size(limits.max_request_bytes)
            .max_frame_size(limits.max_request_bytes)
            .on_upgrade(move |client| async move {
                let _permit = permit;
                let end = Relay {
                    proxy,
                    headers,
                    upstream,
                    client,
                }
                .run()
                .await;
                debug!(?end, "socket closed");
            })
    }
}

/// The handshake with the node is the breaker's own: an extension that the client offers, compression
/// for one, would not be understood in between.
fn without_handshake(mut headers: HeaderMap) -> HeaderMap {
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("sec-websocket-"))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
    headers
}

/// Why a socket ends.
#[derive(Debug)]
enum End {
    ClientClosed,
    UpstreamClosed,
    /// The client takes nothing, or is gone.
    ClientSilent,
    UpstreamSilent,
}

struct Relay {
    proxy: Arc<Proxy>,
    /// Of the client's handshake; they go with calls that are judged.
    headers: HeaderMap,
    upstream: Upstream,
    client: WebSocket,
}

/// What is to be done with a message of a client.
enum Course {
    /// Handed on over the socket.
    Forward(Utf8Bytes),
    /// Judged, answered over HTTP.
    Judge(Vec<u8>),
}

impl Relay {
    async fn run(mut self) -> End {
        let mut answers = FuturesUnordered::new();
        let mut heard = Instant::now();
        let mut pings = tokio::time::interval(PING_EVERY);
        let end = loop {
            tokio::select! {
                message = self.client.recv(), if answers.len() < MAX_AT_A_TIME => {
                    heard = Instant::now();
                    let bytes = match message {
                        Some(Ok(Message::Text(text))) => text.into(),
                        // A node would take it for text.
                        Some(Ok(Message::Binary(bytes))) => bytes,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break End::ClientClosed,
                    };
                    match self.course(bytes) {
                        Course::Forward(text) => {
                            let sent = self.upstream.send(tungstenite::Message::Text(text));
                            match timeout(self.proxy.limits.request_timeout, sent).await {
                                Ok(Ok(())) => {}
                                Ok(Err(_)) => break End::UpstreamClosed,
                                Err(_) => break End::UpstreamSilent,
                            }
                        }
                        Course::Judge(bytes) => {
                            let proxy = Arc::clone(&self.proxy);
                            let headers = self.headers.clone();
                            answers.push(async move { proxy.answer(headers, bytes.into()).await });
                        }
                    }
                }
                message = self.upstream.next() => {
                    let text = match message {
                        Some(Ok(tungstenite::Message::Text(text))) => text,
                        Some(Ok(tungstenite::Message::Close(_)) | Err(_)) | None => {
                            break End::UpstreamClosed;
                        }
                        Some(Ok(_)) => continue,
                    };
                    if self.passes(&text) && !self.tell(Message::Text(text.as_str().into())).await {
                        break End::ClientSilent;
                    }
                }
                Some(reply) = answers.next(), if !answers.is_empty() => {
                    let text = String::from_utf8_lossy(&reply.body).into_owned();
                    if !text.is_empty() && !self.tell(Message::Text(text.into())).await {
                        break End::ClientSilent;
                    }
                }
                _ = pings.tick() => {
                    let is_gone = heard.elapsed() > SILENCE;
                    if is_gone || !self.tell(Message::Ping(Default::default())).await {
                        break End::ClientSilent;
                    }
                }
            }
        };
        self.close(&end).await;
        end
    }

    /// Subscriptions live in the socket to the node; all else is judged like a request over HTTP.
    fn course(&self, bytes: axum::body::Bytes) -> Course {
        let forward = |bytes: axum::body::Bytes| {
            let text = Utf8Bytes::try_from(bytes.clone());
            text.map_or_else(|_| Course::Judge(bytes.to_vec()), Course::Forward)
        };
        let Some(restriction) = self.proxy.gate.restriction() else {
            return forward(bytes);
        };
        let parsed = Payload::parse(&bytes, self.proxy.limits.max_batch);
        if let Ok(Payload::Single(Ok(call))) = parsed
            && matches!(call.method.as_ref(), "eth_subscribe" | "eth_unsubscribe")
            && action(restriction.policy, &self.proxy.methods, &call.method) == Action::Serve
        {
            return Course::Forward(rewritten(&call).into());
        }
        Course::Judge(bytes.to_vec())
    }

    /// Whether a message of the node is handed to the client: what subscriptions tell is about blocks
    /// that nobody attested.
    fn passes(&self, text: &str) -> bool {
        let Some(restriction) = self.proxy.gate.restriction() else {
            return true;
        };
        if restriction.policy == Policy::RefuseWrites {
            return true;
        }
        !serde_json::from_str::<Notification>(text).is_ok_and(|it| it.method.is_some())
    }

    /// Returns whether the client took it.
    async fn tell(&mut self, message: Message) -> bool {
        let sent = self.client.send(message);
        let taken = timeout(self.proxy.limits.client_timeout, sent).await;
        matches!(taken, Ok(Ok(())))
    }

    async fn close(&mut self, end: &End) {
        const GOING_AWAY: u16 = 1001;
        let reason = match end {
            End::UpstreamClosed => "the node behind the breaker closed the connection",
            End::UpstreamSilent => "the node behind the breaker takes nothing",
            End::ClientClosed | End::ClientSilent => "",
        };
        let frame = CloseFrame {
            code: GOING_AWAY,
            reason: reason.into(),
        };
        let grace = Duration::from_secs(1);
        let _ = timeout(grace, self.client.send(Message::Close(Some(frame)))).await;
        let _ = timeout(grace, self.upstream.close(None)).await;
    }
}

#[derive(Deserialize)]
struct Notification {
    method: Option<IgnoredAny>,
}

/// A call that says what was judged and nothing else, under the client's id.
fn rewritten(call: &Call<'_>) -> String {
    let mut text = jsonrpc::request(None, &call.method, call.params.map(RawValue::get));
    if let Some(id) = call.id {
        text.pop();
        text.push_str(&format!(r#","id":{}}}"#, id.get()));
    }
    text
}
