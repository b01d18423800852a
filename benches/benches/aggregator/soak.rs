//! Many operators for a long time, in one process: memory, and rounds that are late.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use mach_core::ports::SignatureAggregator;
use mach_node::{Aggregator, AggregatorConfig, Retention, RoundEvent, store::RedbStore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    load::folder,
    ports::{BLOCK, DOMAIN, L1, Signers, statement},
    server::{aggregator_with, config},
};

/// Each has a round every two seconds, and is late when its certificate is not there by then.
const ROLLUPS: u64 = 10;
const EVERY: Duration = Duration::from_secs(2);
/// Rounds of a rollup to a block of L1.
const L1_EVERY: u64 = 6;
/// What is over is kept for so many blocks of L1: for less than a minute, so that soon as much goes as
/// comes.
const KEPT: u64 = 3;
/// How much more memory one stretch of time may take than another, in percent.
const FLAT: f64 = 10.0;
/// Memory goes up and down with each round: the most of so many looks counts.
const LOOKS: usize = 10;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

pub(crate) fn run() -> ExitCode {
    let operators = setting("MACH_SOAK_OPERATORS", 1000);
    let ticks = (setting("MACH_SOAK_SECONDS", 120) / EVERY.as_secs()).max(1);
    let folder = folder();
    let store = RedbStore::open(folder.path().join("aggregator.redb")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (times, memory) = runtime.block_on(soak(store, operators, ticks));
    let late = times.iter().filter(|time| **time > EVERY).count();
    let slowest = times.iter().max().copied().unwrap_or_default();
    // Until what is over goes, a minute, there is more of it each time.
    let warm = memory.len() / 4;
    let stretches: Vec<u64> = memory[warm..]
        .chunks_exact(LOOKS)
        .filter_map(|looks| looks.iter().max().copied())
        .collect();
    let (least, most) = (stretches.iter().min(), stretches.iter().max());
    let flat = match (least, most) {
        (Some(least), Some(most)) => (*most as f64 / *least as f64 - 1.0) * 100.0,
        _ => f64::INFINITY,
    };
    let shown: Vec<_> = stretches.iter().map(|it| (it / 1024).to_string()).collect();
    println!(
        "{operators} operators, {ROLLUPS} rollups, a round of each every {} s, {} s",
        EVERY.as_secs(),
        ticks * EVERY.as_secs(),
    );
    println!(
        "resident after {warm} s, most in {LOOKS} s each, MB: {}",
        shown.join(" ")
    );
    println!("flat within {flat:.1} %");
    println!(
        "rounds late: {late} of {}; slowest {slowest:?}",
        times.len()
    );
    if late == 0 && flat <= FLAT {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Times from the begin of each round to its certificate, and the memory of each second.
async fn soak(store: RedbStore, operators: u64, ticks: u64) -> (Vec<Duration>, Vec<u64>) {
    let l1 = L1::new(operators).confirming_after(BLOCK);
    let retention = Retention {
        rounds: KEPT,
        certificates: KEPT,
    };
    let config = AggregatorConfig {
        retention,
        ..config()
    };
    let aggregator = aggregator_with(store, l1.clone(), config);
    let ended = CancellationToken::new();
    let (running, shutdown) = (aggregator.clone(), ended.clone());
    let running = tokio::spawn(async move { running.run(shutdown).await });
    let shutdown = ended.clone();
    let memory = tokio::spawn(async move {
        let mut looks = Vec::new();
        let mut clock = tokio::time::interval(Duration::from_secs(1));
        while shutdown.run_until_cancelled(clock.tick()).await.is_some() {
            looks.push(resident());
        }
        looks
    });
    let certified = tokio::spawn(certified(aggregator.clone(), ticks * ROLLUPS));
    let signers = Arc::new(Signers::of(&l1));
    let (mut begun, mut sending) = (Vec::new(), JoinSet::new());
    let mut clock = tokio::time::interval(EVERY);
    for number in 0..ticks {
        clock.tick().await;
        if number % L1_EVERY == L1_EVERY - 1 {
            l1.mine();
        }
        for rollup in 0..ROLLUPS {
            begun.push((statement(rollup, number).digest(&DOMAIN), Instant::now()));
            let (aggregator, signers) = (aggregator.clone(), signers.clone());
            sending.spawn(async move {
                let signed = signers.sign(&statement(rollup, number));
                let mut submitting = JoinSet::new();
                for signed in signed {
                    let aggregator = aggregator.clone();
                    submitting.spawn(async move { aggregator.submit(signed).await.unwrap() });
                }
                submitting.join_all().await;
            });
        }
        while sending.try_join_next().is_some() {}
    }
    sending.join_all().await;
    let certified = certified.await.unwrap();
    ended.cancel();
    running.await.unwrap();
    let times = begun
        .iter()
        .map(|(digest, begun)| certified[digest] - *begun);
    (times.collect(), memory.await.unwrap())
}

/// When each of so many rounds had its certificate.
async fn certified(aggregator: Aggregator, rounds: u64) -> HashMap<B256, Instant> {
    let mut events = aggregator.events();
    let mut certified = HashMap::new();
    while certified.len() as u64 != rounds {
        match events.recv().await {
            Ok(RoundEvent::Certified { view, .. }) => {
                certified.entry(view.digest).or_insert_with(Instant::now);
            }
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    certified
}

/// Memory of this process, in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .and_then(|kilobytes| kilobytes.parse().ok())
        .unwrap_or_default()
}
