//! Many operators for a long time, in one process: memory, and rounds that are late.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use mach_core::ports::SignatureAggregator;
use mach_node::{RoundEvent, store::RedbStore};
use tokio::task::JoinSet;

use crate::{
    load::folder,
    ports::{DOMAIN, L1, Signers, statement},
    server::aggregator,
};

/// Each has a round every two seconds, and is late when its certificate is not there by then.
const ROLLUPS: u64 = 10;
const EVERY: Duration = Duration::from_secs(2);
/// How much memory may grow after the first quarter.
const GROWTH: f64 = 1.1;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

pub(crate) fn run() -> ExitCode {
    let operators = setting("MACH_SOAK_OPERATORS", 1000);
    let ticks = setting("MACH_SOAK_SECONDS", 20) / EVERY.as_secs();
    let folder = folder();
    let store = RedbStore::open(folder.path().join("aggregator.redb")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (late, first, last) = runtime.block_on(async {
        let aggregator = aggregator(store, L1::new(operators));
        let signers = std::sync::Arc::new(Signers::new(operators));
        let mut events = aggregator.events();
        let certified = tokio::spawn(async move {
            let mut certified = std::collections::HashMap::new();
            while certified.len() as u64 != ticks * ROLLUPS {
                match events.recv().await {
                    Ok(RoundEvent::Certified { view, .. }) => {
                        certified.entry(view.digest).or_insert_with(Instant::now);
                    }
                    Ok(_) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            certified
        });
        let (mut begun, mut first, mut sending) = (Vec::new(), 0, JoinSet::new());
        let mut clock = tokio::time::interval(EVERY);
        for number in 0..ticks {
            clock.tick().await;
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
            if number == ticks / 4 {
                first = resident();
            }
        }
        sending.join_all().await;
        let certified = certified.await.unwrap();
        let is_late = |(digest, begun): &&(_, Instant)| certified[digest] - *begun > EVERY;
        (begun.iter().filter(is_late).count(), first, resident())
    });
    println!(
        "{operators} operators, {ROLLUPS} rollups, {} s: {late} of {} rounds late; \
         {first} kB resident after a quarter, {last} kB at the end",
        ticks * EVERY.as_secs(),
        ticks * ROLLUPS,
    );
    if late == 0 && last as f64 <= first as f64 * GROWTH {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Memory of this process, in kilobytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .and_then(|kilobytes| kilobytes.parse().ok())
        .unwrap_or_default()
}
