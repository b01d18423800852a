//! The breaker in front of a real node, on real sockets.

mod events;
mod l1;
mod lies;
mod policies;
mod socket;

use std::time::Duration;

use alloy_primitives::B256;
use mach_core::{Alert, AlertKind, BlockRef, Confirmation};
use mach_devnet::{Devnet, RpcServer};
use mach_node::breaker::{
    Breaker, BreakerConfig, BreakerLimits, FeedEvent, GateState, LocalFeed, LocalFeedSender,
    Policy, StandingAlert,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// The rollup of a devnet.
const ROLLUP: u64 = 901;

/// A breaker that listens.
struct Served {
    breaker: Breaker,
    feed: LocalFeedSender,
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn config(upstream: &str, policy: Policy) -> BreakerConfig {
    let mut config = BreakerConfig::new(ROLLUP, upstream.parse().unwrap());
    config.policy = policy;
    config
}

impl Served {
    async fn start(config: &BreakerConfig, limits: BreakerLimits) -> Self {
        let (feed, receiver) = LocalFeed::new();
        let breaker = Breaker::new(config, limits, receiver).unwrap();
        let (url, server) = listen(&breaker).await;
        Self {
            breaker,
            feed,
            url,
            server,
        }
    }

    async fn with(upstream: &str, policy: Policy) -> Self {
        Self::start(&config(upstream, policy), BreakerLimits::default()).await
    }

    /// Tells what stands, and waits until it is in force.
    async fn tell(&self, alerts: Vec<StandingAlert>, attested: Option<BlockRef>) {
        let state = if alerts.is_empty() {
            GateState::Serving
        } else {
            GateState::Tripped
        };
        self.feed
            .send(FeedEvent::Snapshot { alerts, attested })
            .await;
        let reached = self.breaker.gate().reach(state);
        tokio::time::timeout(Duration::from_secs(60), reached)
            .await
            .unwrap();
        // The same state again is seen in what is known.
        while self.breaker.gate().status().attested != attested {
            tokio::task::yield_now().await;
        }
    }

    async fn post(&self, body: &str) -> (u16, String) {
        post(&self.url, body).await
    }

    /// The answer to one call.
    async fn ask(&self, method: &str, params: Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let (_, text) = self.post(&call.to_string()).await;
        serde_json::from_str(&text).unwrap()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }
}

async fn listen(breaker: &Breaker) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = breaker.router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, server)
}

async fn post(url: &str, body: &str) -> (u16, String) {
    let request = reqwest::Client::new().post(url);
    let request = request.header("content-type", "application/json");
    let response = request.body(body.to_owned()).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.text().await.unwrap())
}

/// A rollup with this many blocks, served.
async fn rollup(blocks: u64) -> (Devnet, RpcServer) {
    let devnet = Devnet::new().unwrap();
    for _ in 0..blocks {
        devnet.sequencer().produce().unwrap();
    }
    let server = devnet.l2().serve("127.0.0.1:0".parse().unwrap()).await;
    (devnet, server.unwrap())
}

fn block(devnet: &Devnet, number: u64) -> BlockRef {
    BlockRef {
        number,
        hash: devnet.l2().block_hash(number).unwrap(),
    }
}

const fn alert(block: BlockRef) -> StandingAlert {
    let digest = B256::repeat_byte(0xd1);
    StandingAlert {
        digest,
        statement: Some(Alert {
            kind: AlertKind::InvalidBlock,
            rollup_chain_id: ROLLUP,
            block,
            rule: 3,
            claimed: B256::repeat_byte(2),
            computed: B256::repeat_byte(3),
        }),
        confirmation: Some(Confirmation {
            digest,
            transaction: Some(B256::repeat_byte(4)),
            l1_block: 99,
            gas_used: None,
        }),
    }
}
