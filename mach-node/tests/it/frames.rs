//! WebSockets against what nobody expects: the events of finality, and the breaker in front of a node. Frames that
//! are none, too long ones, pieces without an end, floods of pings, clients that stop to read, to write or to be:
//! each connection ends, everybody else is served, and memory stays what it is.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use mach_devnet::{Devnet, RpcServer};
use mach_node::{
    breaker::{
        Breaker, BreakerConfig, BreakerLimits, FeedEvent, GateState, LocalFeed, LocalFeedSender,
        Policy,
    },
    finality::{self, FinalityIndex},
    http::{HttpConfig, HttpLimits, HttpServer, serve},
};
use proptest::{prelude::*, sample::select};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{
    finality::world,
    fuzz::{CASES, alone, in_bounded_memory},
};

/// How long a server may take to end what has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long is waited with a server that takes nothing, or says nothing.
const SOON: Duration = Duration::from_millis(30);

/// What a client does with its connection.
#[derive(Clone, Debug)]
enum Move {
    /// A frame: its first byte, whether it is masked, and the length that it says it has, if that is another one.
    Frame {
        first: u8,
        is_masked: bool,
        claimed: Option<u64>,
        payload: Vec<u8>,
    },
    /// No frame at all.
    Bytes(Vec<u8>),
    /// The same frame, again and again.
    Flood {
        first: u8,
        size: usize,
        times: usize,
    },
    /// Takes what there is.
    Read,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// It says no more, and listens until the server ends.
    HalfClosed,
    /// It is gone.
    Dropped,
    /// It says that it goes.
    Closed,
}

const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

fn moves(texts: &[&'static str]) -> impl Strategy<Value = Vec<Move>> {
    let first = prop_oneof![
        4 => select(vec![FINAL | TEXT, FINAL | 2, FINAL | CLOSE, FINAL | PING, FINAL | 10, TEXT, CONTINUATION]),
        1 => any::<u8>(),
    ];
    let claimed = prop_oneof![
        6 => Just(None),
        1 => select(vec![126, 0xffff, 0x10000, 1 << 24, 1 << 40, 1 << 63, u64::MAX]).prop_map(Some),
        1 => (0..400_u64).prop_map(Some),
    ];
    let payload = prop_oneof![
        2 => select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 0..300),
        1 => (0..100_000_usize).prop_map(|size| vec![b'['; size]),
    ];
    let frame = (first, prop::bool::weighted(0.9), claimed, payload);
    let frame = frame.prop_map(|(first, is_masked, claimed, payload)| Move::Frame {
        first,
        is_masked,
        claimed,
        payload,
    });
    let kinds = vec![
        FINAL | PING,
        FINAL | TEXT,
        FINAL | 10,
        TEXT,
        CONTINUATION,
        FINAL,
    ];
    let flood = (select(kinds), 0..126_usize, 1..3000_usize);
    let flood = flood.prop_map(|(first, size, times)| Move::Flood { first, size, times });
    // Pieces of a message of 12 MB that has no end.
    let pieces = Just(Move::Flood {
        first: CONTINUATION,
        size: 60_000,
        times: 200,
    });
    let one = prop_oneof![
        8 => frame,
        2 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(Move::Bytes),
        2 => flood,
        1 => pieces,
        4 => Just(Move::Read),
    ];
    proptest::collection::vec(one, 0..8)
}

/// A frame as RFC 6455 has it (section 5.2).
fn frame(first: u8, is_masked: bool, claimed: Option<u64>, payload: &[u8]) -> Vec<u8> {
    let length = claimed.unwrap_or(payload.len() as u64);
    let mask = if is_masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length < 126 => bytes.push(mask | length),
        (_, Ok(length)) => {
            bytes.push(mask | 126);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    if is_masked {
        let key = [0x11, 0x22, 0x33, 0x44];
        bytes.extend(key);
        bytes.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(it, key)| it ^ key),
        );
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// A connection after the handshake, which may be a wrong one.
async fn connect(address: SocketAddr, path: &str, version: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: {version}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// What a server does not take soon is not sent, and neither is what follows.
async fn send(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    matches!(timeout(SOON, stream.write_all(bytes)).await, Ok(Ok(())))
}

async fn play(stream: &mut TcpStream, moves: Vec<Move>) {
    let mut buffer = vec![0; 1 << 16];
    for it in moves {
        let goes_on = match it {
            Move::Frame {
                first,
                is_masked,
                claimed,
                payload,
            } => send(stream, &frame(first, is_masked, claimed, &payload)).await,
            Move::Bytes(bytes) => send(stream, &bytes).await,
            Move::Flood { first, size, times } => {
                let flood = frame(first, true, None, &vec![b'x'; size]).repeat(times);
                send(stream, &flood).await
            }
            Move::Read => {
                let read = timeout(SOON, stream.read(&mut buffer)).await;
                !matches!(read, Ok(Ok(0) | Err(_)))
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Whether the server ends after the client has.
async fn end(mut stream: TcpStream, ending: Ending) -> bool {
    match ending {
        Ending::Dropped => return true,
        Ending::Closed => {
            send(&mut stream, &frame(FINAL | CLOSE, true, None, &[])).await;
        }
        Ending::HalfClosed => {}
    }
    if stream.shutdown().await.is_err() {
        return true;
    }
    let mut buffer = vec![0; 1 << 16];
    let ended = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    timeout(PATIENCE, ended).await.is_ok()
}

/// Shows the server at `address` what nobody expects.
fn shown(
    runtime: &tokio::runtime::Runtime,
    address: SocketAddr,
    path: &'static str,
    texts: &[&'static str],
) {
    let version = prop_oneof![9 => Just("13"), 1 => select(vec!["", "12", "1300", "a"])];
    let endings = select(vec![Ending::HalfClosed, Ending::Dropped, Ending::Closed]);
    let client = (version, moves(texts), endings);
    in_bounded_memory(*CASES / 4, |config| {
        proptest!(config, |((version, moves, ending) in &client)| {
            let told = format!("{version} {ending:?}");
            let ended = runtime.block_on(async {
                let mut stream = connect(address, path, version).await.unwrap();
                play(&mut stream, moves).await;
                end(stream, ending).await
            });
            prop_assert!(ended, "{told}: the server does not end");
        });
    });
}

async fn listening(router: axum::Router) -> HttpServer {
    let limits = HttpLimits {
        rate: None,
        ..HttpLimits::default()
    };
    let config = HttpConfig::new((Ipv4Addr::LOCALHOST, 0).into()).with_limits(limits);
    serve(router, config).await.unwrap()
}

/// What a client hears that says `text`, if anything; pings are left out.
async fn heard(url: &str, text: Option<&str>) -> String {
    let url = url.replace("http://", "ws://");
    let (mut socket, _) = connect_async(url).await.unwrap();
    if let Some(text) = text {
        socket.send(Message::text(text)).await.unwrap();
    }
    loop {
        let message = timeout(PATIENCE, socket.next()).await.unwrap();
        if let Message::Text(text) = message.unwrap().unwrap() {
            return text.to_string();
        }
    }
}

async fn events() -> (FinalityIndex, HttpServer) {
    let (node, index) = (world::Node::new(9), world::index().await);
    world::show(&index, &node, 0..=9).await;
    world::attest(&index, node.reference(4)).await;
    let server = listening(finality::router(index.clone(), None)).await;
    (index, server)
}

#[test]
fn the_events_of_finality() {
    alone("frames::the_events_of_finality", || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (_index, server) = runtime.block_on(events());
        let texts = ["{}", "{\"rollup\":10}", "subscribe"];
        shown(&runtime, server.address(), "/v1/ws?rollup=10", &texts);
        runtime.block_on(async {
            let url = format!("{}/v1/ws", server.url());
            let told = heard(&url, None).await;
            assert!(told.contains("snapshot"), "{told}");
        });
    });
}

const NUMBER: &str = r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#;

/// A breaker in front of a node, which pins what it serves.
async fn breaker() -> (Devnet, RpcServer, Breaker, LocalFeedSender, HttpServer) {
    let devnet = Devnet::new().unwrap();
    devnet.sequencer().produce().unwrap();
    let node = devnet.l2().serve((Ipv4Addr::LOCALHOST, 0).into()).await;
    let node = node.unwrap();
    let mut config = BreakerConfig::new(901, node.http_url().parse().unwrap());
    config.policy = Policy::PinLatest;
    let (feed, receiver) = LocalFeed::new();
    let breaker = Breaker::new(&config, BreakerLimits::default(), receiver).unwrap();
    let (alerts, attested) = (Vec::new(), None);
    feed.send(FeedEvent::Snapshot { alerts, attested }).await;
    breaker.gate().reach(GateState::Serving).await;
    let server = listening(breaker.router()).await;
    (devnet, node, breaker, feed, server)
}

#[test]
fn the_breaker_and_subscriptions_behind_it() {
    alone("frames::the_breaker_and_subscriptions_behind_it", || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (devnet, _node, _breaker, _feed, server) = runtime.block_on(breaker());
        let texts = [
            NUMBER,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["nothing"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_unsubscribe","params":["0x1"]}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},7]"#,
            "[[[[",
        ];
        shown(&runtime, server.address(), "/", &texts);
        devnet.sequencer().produce().unwrap();
        runtime.block_on(async {
            let told = heard(&server.url(), Some(NUMBER)).await;
            assert!(told.contains("\"result\":\"0x2\""), "{told}");
            // Whoever went away has left its place.
            let status = format!("{}/breaker/status", server.url());
            let left = async {
                loop {
                    let told = reqwest::get(&status).await.unwrap();
                    let told: serde_json::Value = told.json().await.unwrap();
                    if told["sockets"] == 0 {
                        return;
                    }
                    tokio::time::sleep(SOON).await;
                }
            };
            timeout(PATIENCE, left).await.unwrap();
        });
    });
}
