//! What the breaker adds to a call, and how long an alert takes to be in force.
//!
//! `cargo bench -p mach-benches --bench breaker`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use mach_benches::median;
use mach_core::BlockRef;
use mach_devnet::{DEV_ACCOUNTS, Devnet};
use mach_node::{
    breaker::{
        Breaker, BreakerConfig, BreakerLimits, FeedEvent, GateState, LocalFeed, Policy,
        StandingAlert,
    },
    http::{HttpConfig, serve},
};
use tokio::runtime::Runtime;

/// The bars of the project.
const ADDED: Duration = Duration::from_millis(1);
const TRIPPED_WITHIN: Duration = Duration::from_millis(100);

/// Calls of each side, in turns, of which the median counts.
const CALLS: usize = 3_000;

/// Alerts, of which the slowest counts.
const TRIPS: usize = 200;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let devnet = Devnet::new().unwrap();
    for _ in 0..8 {
        devnet.sequencer().produce().unwrap();
    }
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let node = runtime.block_on(devnet.l2().serve(loopback)).unwrap();
    let mut config = BreakerConfig::new(901, node.http_url().parse().unwrap());
    config.policy = Policy::PinLatest;
    let limits = BreakerLimits::default();
    let (feed, receiver) = LocalFeed::new();
    let (breaker, server) = runtime.block_on(async {
        let breaker = Breaker::new(&config, limits, receiver).unwrap();
        let http = HttpConfig::new(loopback).with_limits(limits.http());
        let server = serve(breaker.router(), http).await.unwrap();
        (breaker, server)
    });
    let attested = BlockRef {
        number: 6,
        hash: devnet.l2().block_hash(6).unwrap(),
    };
    let tell = |runtime: &Runtime, alerts: Vec<StandingAlert>| {
        let event = FeedEvent::Snapshot {
            alerts,
            attested: Some(attested),
        };
        runtime.block_on(feed.send(event));
    };
    let alert = || StandingAlert {
        digest: B256::repeat_byte(1),
        statement: None,
        confirmation: None,
    };

    let mut direct = Client::connect(node.address());
    let mut through = Client::connect(server.address());
    let mut is_met = true;
    println!(
        "{:<44} {:>11} {:>11} {:>11}",
        "", "direct", "breaker", "added"
    );
    let mut compare = |name: &str, call: &str, is_bar: bool| {
        let (mut alone, mut behind) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            alone.push(direct.time(call));
            behind.push(through.time(call));
        }
        let (alone, behind) = (median(alone), median(behind));
        let added = behind.saturating_sub(alone);
        let verdict = match (is_bar, added <= ADDED) {
            (false, _) => "",
            (true, true) => "bar 1 ms, met",
            (true, false) => "bar 1 ms, NOT MET",
        };
        is_met &= !is_bar || added <= ADDED;
        println!("{name:<44} {alone:>11.1?} {behind:>11.1?} {added:>11.1?} {verdict}");
    };
    let chain_id = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    let block =
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",true]}"#;
    let account = DEV_ACCOUNTS.first().unwrap().address;
    let balance = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{account}","latest"]}}"#
    );
    tell(&runtime, vec![]);
    runtime.block_on(breaker.gate().reach(GateState::Serving));
    compare("clean, eth_chainId", chain_id, true);
    compare("clean, eth_getBlockByNumber", block, true);
    tell(&runtime, vec![alert()]);
    runtime.block_on(breaker.gate().reach(GateState::Tripped));
    compare("tripped and pinned, eth_getBalance", &balance, true);

    // Clients that write all the time: from what the feed tells to the first refusal.
    let write = r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x00"]}"#;
    let mut trips = Vec::new();
    for _ in 0..TRIPS {
        tell(&runtime, vec![]);
        runtime.block_on(breaker.gate().reach(GateState::Serving));
        assert!(!through.ask(write).contains("-32050"));
        let told = Instant::now();
        tell(&runtime, vec![alert()]);
        while !through.ask(write).contains("-32050") {}
        trips.push(told.elapsed());
    }
    let slowest = trips.iter().max().copied().unwrap_or_default();
    let verdict = if slowest <= TRIPPED_WITHIN {
        "met"
    } else {
        is_met = false;
        "NOT MET"
    };
    println!(
        "from event to refusal: median {:.1?}, slowest of {TRIPS} {slowest:.1?}, bar 100 ms, {verdict}",
        median(trips)
    );
    if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Asks over one connection that stays open.
struct Client {
    reader: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            reader: BufReader::new(stream),
            address,
        }
    }

    fn time(&mut self, body: &str) -> Duration {
        let start = Instant::now();
        let answer = self.ask(body);
        let elapsed = start.elapsed();
        assert!(answer.contains("result"), "{answer}");
        elapsed
    }

    fn ask(&mut self, body: &str) -> String {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.reader.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.reader.read_exact(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }
}
