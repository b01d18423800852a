//! Durable checks of the signing guard: many that share their commits, beside one commit for each.
//!
//! `cargo bench -p mach-benches --bench guard`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use std::{path::Path, process::ExitCode, time::Duration};

use alloy_primitives::{Address, B256};
use criterion::{Criterion, Throughput};
use mach_benches::{Clock, median};
use mach_core::{Attestation, BlockRef, Domain, ports::SigningGuard};
use mach_node::{StoredGuard, store::RedbStore};
use redb::{Database, ReadableTable, TableDefinition};
use tokio::{runtime::Runtime, task::JoinSet};

/// The bar of the project: checks per second, each of them on the disk before it is answered.
const LEAST: f64 = 20_000.0;

/// Checks at a time: rollups and operators of one process.
const TASKS: u64 = 1024;

/// Checks of one run, and of one run with a commit for each.
const CHECKS: u64 = 64 * TASKS;
const ALONE: u64 = 256;

/// Runs of each side, in turns, of which the median counts.
const TURNS: usize = 5;

const DOMAIN: Domain = Domain {
    l1_chain_id: 1,
    service_manager: Address::repeat_byte(0x11),
};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    // Not in memory, as the system's temporary folder may be.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (mut shared, mut single) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let path = folder.path().join(format!("{turn}.redb"));
        let guard = StoredGuard::new(RedbStore::open(path).unwrap());
        shared.push(Clock::Wall.time(1, || check_all(&runtime, &guard, 0)));
        drop(guard);
        let plain = Plain::new(&folder.path().join(format!("{turn}-plain.redb")));
        single.push(Clock::Wall.time(1, || (0..ALONE).for_each(|number| plain.check(number))));
    }
    let rate = |checks: u64, times: Vec<Duration>| checks as f64 / median(times).as_secs_f64();
    let (shared, single) = (rate(CHECKS, shared), rate(ALONE, single));
    let is_met = shared >= LEAST;
    println!(
        "durable checks per second, {TASKS} at a time: {shared:.0}, bar {LEAST:.0}, {}",
        if is_met { "met" } else { "NOT MET" }
    );
    println!(
        "one commit for each, plain redb: {single:.0}; {:.0} times",
        shared / single
    );

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("durable checks");
    let path = folder.path().join("criterion.redb");
    let guard = StoredGuard::new(RedbStore::open(path).unwrap());
    let mut from = 0;
    group.throughput(Throughput::Elements(CHECKS));
    group.bench_function("shared commits", |bench| {
        bench.iter(|| {
            check_all(&runtime, &guard, from);
            from += CHECKS;
        });
    });
    let plain = Plain::new(&folder.path().join("criterion-plain.redb"));
    let mut number = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("one commit for each", |bench| {
        bench.iter(|| {
            plain.check(number);
            number += 1;
        });
    });
    group.finish();
    criterion.final_summary();
    if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

const fn attested(number: u64) -> Attestation {
    Attestation {
        rollup_chain_id: 10,
        block: BlockRef {
            number,
            hash: B256::repeat_byte(1),
        },
        state_root: B256::ZERO,
        output_root: B256::repeat_byte(9),
    }
}

/// Every height is new: what is known needs no commit.
fn check_all(runtime: &Runtime, guard: &StoredGuard<RedbStore>, from: u64) {
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let guard = guard.clone();
            tasks.spawn(async move {
                for number in (from + task..from + CHECKS).step_by(TASKS as usize) {
                    let statement = attested(number).into();
                    guard.permit(&statement, &DOMAIN).await.unwrap();
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    });
}

/// The same record without sharing: look, write, commit.
struct Plain(Database);

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

impl Plain {
    fn new(path: &Path) -> Self {
        Self(Database::create(path).unwrap())
    }

    fn check(&self, number: u64) {
        let value = serde_json::to_vec(&attested(number)).unwrap();
        let write = self.0.begin_write().unwrap();
        {
            let mut rows = write.open_table(ROWS).unwrap();
            assert!(rows.get(number).unwrap().is_none());
            rows.insert(number, value.as_slice()).unwrap();
        }
        write.commit().unwrap();
    }
}
