//! Eight consecutive real blocks: followed, and each verified alone, in one process.
//!
//! `MACH_DATA=… cargo bench -p mach-benches --bench follow`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use std::{hint::black_box, path::PathBuf, process::ExitCode, sync::Arc};

use criterion::Criterion;
use mach_benches::{Bar, Clock, Pair, Rounds, head, row};
use mach_core::{L2Block, Verdict};
use mach_verify::{
    ChainSpec, ExecuteError, Witness,
    follow::{FollowLimits, Follower},
    source::RecordedBlock,
    verify_block,
};

const BLOCKS: std::ops::RangeInclusive<u64> = 109_279_675..=109_279_682;

/// The bar of the project: a followed block by the same block alone.
const MOST: f64 = 0.65;

const ROUNDS: Rounds = Rounds { turns: 41, runs: 1 };

/// Blocks that wait, prepared, for the one that is executed.
const AHEAD: usize = 2;

fn main() -> ExitCode {
    let Some(data) = std::env::var_os("MACH_DATA").map(PathBuf::from) else {
        println!("skipped: MACH_DATA names no folder with recorded blocks");
        return ExitCode::SUCCESS;
    };
    let spec = ChainSpec::op_mainnet();
    let blocks: Vec<(L2Block, Witness)> = BLOCKS
        .map(|number| {
            let file = data.join("blocks").join(format!("op-10-{number}.json.gz"));
            let RecordedBlock { block, witness, .. } = RecordedBlock::read(file).unwrap();
            (block, witness)
        })
        .collect();
    let alone = |blocks: &[(L2Block, Witness)]| {
        for (block, witness) in blocks {
            expect_valid(verify_block(&spec, block, witness));
        }
    };
    let follower = || Arc::new(Follower::new(spec.clone(), FollowLimits::default()));
    let one_thread = |blocks: &[(L2Block, Witness)]| {
        let follower = follower();
        for (block, witness) in blocks {
            expect_valid(follower.verify_block(block.clone(), witness.clone()));
        }
        follower
    };
    let two_threads = |blocks: Vec<(L2Block, Witness)>| {
        for (_, verdict) in follower().verify_all(blocks, AHEAD).unwrap() {
            expect_valid(verdict);
        }
    };

    head("followed", "alone");
    let mut is_met = true;
    let mut report = |figure, pair: Pair| {
        row(figure, pair, Bar::AtMost(MOST));
        is_met &= pair.ratio() <= MOST;
    };
    let pair = Pair::measure(
        Clock::Process,
        ROUNDS,
        || one_thread(&blocks),
        || alone(&blocks),
    );
    report("8 blocks, one after another, processor time", pair);
    let pair = Pair::measure(
        Clock::Wall,
        ROUNDS,
        || two_threads(blocks.clone()),
        || alone(&blocks),
    );
    report("8 blocks, prepared on a second thread, wall time", pair);

    // What it is like once the chain has been followed for a while.
    let (first, rest) = blocks.split_first().unwrap();
    let mut warm = Vec::new();
    let mut cold = Vec::new();
    for _ in 0..ROUNDS.turns {
        let follower = one_thread(std::slice::from_ref(first));
        warm.push(Clock::Process.time(1, || {
            for (block, witness) in rest {
                expect_valid(follower.verify_block(block.clone(), witness.clone()));
            }
        }));
        cold.push(Clock::Process.time(1, || alone(rest)));
    }
    let pair = Pair {
        first: mach_benches::median(warm),
        second: mach_benches::median(cold),
    };
    report("the last 7 of them, processor time", pair);

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("8 blocks");
    group.bench_function("alone", |bench| bench.iter(|| alone(&blocks)));
    group.bench_function("one thread", |bench| bench.iter(|| one_thread(&blocks)));
    group.bench_function("two threads", |bench| {
        bench.iter(|| two_threads(blocks.clone()));
    });
    group.finish();
    criterion.final_summary();
    if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn expect_valid(verdict: Result<Verdict, ExecuteError>) {
    assert_eq!(black_box(verdict).unwrap().fault(), None);
}
