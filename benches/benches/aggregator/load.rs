//! Operators in this process, the aggregator in another.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mach_benches::median;
use mach_core::{
    SignedStatement,
    ports::{Progress, SignatureAggregator},
};
use mach_node::{rpc::RemoteAggregator, store::RedbStore};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    ports::{DOMAIN, L1, Signers, statement},
    server::{Served, aggregator},
};

const OPERATORS: u64 = 1000;
/// Rounds at a time, each of its own rollup, and how many one after the other.
const ROLLUPS: u64 = 10;
const BLOCKS: u64 = 2;
/// Requests at a time.
const REQUESTS: usize = 256;
/// Runs of which the median counts.
const TURNS: u64 = 3;

/// Blocks of which the time to the certificate is taken, and operators who sign them.
const SEEN: u64 = 200;
const FEW: u64 = 100;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Not in memory, as the system's temporary folder may be.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Signatures per second that are accepted, proved and durable.
pub(crate) fn rate() -> f64 {
    let folder = folder();
    let store = folder.path().join("aggregator.redb");
    let signers = Signers::new(OPERATORS);
    let server = Served::start(&store, OPERATORS);
    let runtime = runtime();
    let before = server.cpu();
    let times = (0..TURNS).map(|turn| {
        let mut load = Vec::new();
        for number in turn * BLOCKS..(turn + 1) * BLOCKS {
            let rounds: Vec<_> = (0..ROLLUPS)
                .map(|rollup| signers.sign(&statement(rollup, number)))
                .collect();
            for operator in 0..OPERATORS as usize {
                load.extend(rounds.iter().map(|round| round[operator].clone()));
            }
        }
        runtime.block_on(send(&server.url, load))
    });
    let time = median(times.collect());
    let signatures = (TURNS * OPERATORS * ROLLUPS * BLOCKS) as u32;
    let cpu = (server.cpu() - before) / signatures;
    println!("processor time of the aggregator for each signature: {cpu:?}");
    drop(server);
    runtime.block_on(check(&store));
    (OPERATORS * ROLLUPS * BLOCKS) as f64 / time.as_secs_f64()
}

/// Sends all of it and waits for every answer.
async fn send(url: &str, load: Vec<SignedStatement>) -> Duration {
    let remote = Arc::new(RemoteAggregator::new(url).unwrap());
    let (load, next) = (Arc::new(load), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let mut sending = JoinSet::new();
    for _ in 0..REQUESTS {
        let (remote, load, next) = (Arc::clone(&remote), Arc::clone(&load), Arc::clone(&next));
        sending.spawn(async move {
            while let Some(signed) = load.get(next.fetch_add(1, Ordering::Relaxed)) {
                remote.submit(signed.clone()).await.unwrap();
            }
        });
    }
    sending.join_all().await;
    start.elapsed()
}

/// The process was killed: every signature that it took is in a certificate or beside it.
async fn check(store: &Path) {
    let after = aggregator(RedbStore::open(store).unwrap(), L1::new(OPERATORS));
    after.tend().await.unwrap();
    for rollup in 0..ROLLUPS {
        for number in 0..TURNS * BLOCKS {
            let digest = statement(rollup, number).digest(&DOMAIN);
            // A round that was not closed makes its certificate anew.
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let certificate = after.certificate(digest).await.unwrap().unwrap();
                if certificate.non_signers.is_empty() {
                    break;
                }
                let absent = certificate.non_signers.len();
                assert!(Instant::now() < deadline, "{absent} signatures are lost");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Times from a block that all operators see to its certificate, ascending.
pub(crate) fn latency() -> Vec<Duration> {
    let folder = folder();
    let server = Served::start(&folder.path().join("aggregator.redb"), FEW);
    let signers = Signers::new(FEW);
    let mut times = runtime().block_on(async {
        // Each operator has a connection of its own.
        let remotes: Vec<_> = (0..FEW)
            .map(|_| Arc::new(RemoteAggregator::new(&server.url).unwrap()))
            .collect();
        let mut times = Vec::new();
        for number in 0..SEEN {
            let statement = statement(number % ROLLUPS, number);
            let signed = signers.sign(&statement);
            let seen = Instant::now();
            let mut sending = JoinSet::new();
            for (remote, signed) in remotes.iter().zip(signed) {
                let remote = Arc::clone(remote);
                sending.spawn(async move {
                    remote.open(&signed.statement).await.unwrap();
                    let progress = remote.submit(signed).await.unwrap();
                    let is_certified = !matches!(progress, Progress::Collecting { .. });
                    is_certified.then(Instant::now)
                });
            }
            let certified = sending.join_all().await.into_iter().flatten().min();
            times.push(certified.expect("a certificate") - seen);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        times
    });
    times.sort_unstable();
    times
}
