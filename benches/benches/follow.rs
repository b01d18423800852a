//! Eight consecutive real blocks: followed, and each verified alone, in one process.
//!
//! `MACH_DATA=… cargo bench -p mach-benches --bench follow`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use std::{hint::black_box, num::NonZeroUsize, path::PathBuf, process::ExitCode, sync::Arc};

use criterion::Criterion;
use mach_benches::{Bar, Clock, Pair, Rounds, head, median, row};
use mach_core::{L2Block, Verdict};
use mach_verify::{
    ChainSpec, ExecuteError, Witness,
    follow::{FollowLimits, Follower},
    source::RecordedBlock,
    verify_block,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

const BLOCKS: std::ops::RangeInclusive<u64> = 109_279_675..=109_279_682;

/// The bar of the project: a followed block by the same block alone.
const MOST: f64 = 0.65;

/// Turns, of which the median counts.
const TURNS: usize = 41;

const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Recovers the senders of a block that is verified alone on its one thread, and those of followed
/// blocks on one more, on which their threads wait.
fn main() -> ExitCode {
    let one = || rayon::ThreadPoolBuilder::new().num_threads(1);
    one().build_global().unwrap();
    one().build().unwrap().install(compare)
}

fn compare() -> ExitCode {
    let Some(data) = std::env::var_os("MACH_DATA").map(PathBuf::from) else {
        println!("nothing is measured: MACH_DATA names no folder with recorded blocks");
        return ExitCode::FAILURE;
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
    let one_thread = |follower: &Follower, blocks: Vec<(L2Block, Witness)>| {
        for (block, witness) in blocks {
            expect_valid(follower.verify_block(block, witness));
        }
    };
    let two_threads = |follower: &Arc<Follower>, blocks: Vec<(L2Block, Witness)>| {
        for (_, verdict) in follower.verify_all(blocks, THREADS).unwrap() {
            expect_valid(verdict);
        }
    };

    head("followed", "alone");
    let mut is_met = true;
    let mut report = |figure, pair: Pair, is_bar: bool| {
        row(figure, pair, Bar::AtMost(MOST));
        is_met &= !is_bar || pair.ratio() <= MOST;
    };
    // A follower takes its blocks, and lives on: neither copying them nor its end is measured.
    let measure = |clock: Clock, warm_up: usize, follow: &dyn Fn(&Arc<Follower>, Vec<_>)| {
        let (first, rest) = blocks.split_at(warm_up);
        let (mut followed, mut each) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let follower = follower();
            one_thread(&follower, first.to_vec());
            let mut input = Some(rest.to_vec());
            followed.push(clock.time(1, || follow(&follower, input.take().unwrap())));
            each.push(clock.time(1, || alone(rest)));
        }
        Pair {
            first: median(followed),
            second: median(each),
        }
    };
    let sequential = |follower: &Arc<Follower>, blocks| one_thread(follower, blocks);
    let pair = measure(Clock::Wall, 0, &two_threads);
    report("8 blocks, two threads, wall time", pair, true);
    let pair = measure(Clock::Process, 0, &two_threads);
    report("8 blocks, two threads, processor time", pair, false);
    let pair = measure(Clock::Process, 0, &sequential);
    report("8 blocks, one thread, processor time", pair, false);
    let pair = measure(Clock::Process, 1, &sequential);
    report("the last 7, one thread, processor time", pair, false);

    // What two cores of this machine give to the same blocks when nothing is shared between them.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
    let pool = pool.build().unwrap();
    let rounds = Rounds {
        turns: TURNS,
        runs: 1,
    };
    let apart = || {
        pool.install(|| {
            blocks
                .par_iter()
                .with_max_len(1)
                .for_each(|(block, witness)| {
                    expect_valid(verify_block(&spec, block, witness));
                });
        });
    };
    let pair = Pair::measure(Clock::Wall, rounds, apart, || alone(&blocks));
    report("8 blocks, two threads, each alone, wall time", pair, false);

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("8 blocks");
    group.bench_function("alone", |bench| bench.iter(|| alone(&blocks)));
    group.bench_function("one thread", |bench| {
        bench.iter(|| one_thread(&follower(), blocks.clone()));
    });
    group.bench_function("two threads", |bench| {
        bench.iter(|| two_threads(&follower(), blocks.clone()));
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
