//! 500 blocks of a devnet from an archive, verified on one core and on two, in one process.
//!
//! `cargo bench -p mach-benches --bench backfill`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use std::{num::NonZeroUsize, path::Path, process::ExitCode, sync::Arc, time::Duration};

use mach_benches::{Bar, Clock, Pair, head, median, row};
use mach_core::{
    WorkPlan,
    ports::{L2Source, WorkQueue},
};
use mach_devnet::{Devnet, Traffic};
use mach_node::{
    backfill::{Backfill, BackfillConfig, BackfillReport, Recorded, StoredQueue},
    store::RedbStore,
};
use mach_verify::{
    ChainSpec,
    source::{Archive, RecordedBlock, RecordedBlocks, WitnessSource},
    verify_block,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const BLOCKS: u64 = 500;

/// How often the background traffic of the devnet is sent for each block: some 60 transactions.
const TRAFFIC: usize = 12;

/// Runs of each side, in turns.
const TURNS: usize = 5;

/// The bar of the project: one core by two.
const LEAST: f64 = 1.8;

fn main() -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if cores < 2 {
        println!("nothing is measured on {cores} core");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("blocks.mach");
    let (spec, gas) = runtime.block_on(record(&archive));
    println!("{BLOCKS} blocks, {:.1} Mgas", gas as f64 / 1e6);
    assert!(gas / BLOCKS > 1_000_000, "the blocks are all but empty");

    let blocks = load(&archive);
    let pools = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap()
    });
    let mut bare = [Vec::new(), Vec::new()];
    let (mut one, mut two) = (Times::default(), Times::default());
    for turn in 0..TURNS {
        for (pool, times) in pools.iter().zip(&mut bare) {
            times.push(Clock::Wall.time(1, || pool.install(|| verify(&spec, &blocks))));
        }
        for (jobs, times) in [(1, &mut one), (2, &mut two)] {
            let checkpoint = folder.path().join(format!("{turn}-{jobs}.redb"));
            let run = || backfill(&runtime, &spec, &archive, &checkpoint, jobs);
            let mut wall = Duration::ZERO;
            let processor = Clock::Process.time(1, || wall = Clock::Wall.time(1, run));
            times.wall.push(wall);
            times.processor.push(processor);
        }
    }
    let wall = Pair {
        first: median(one.wall),
        second: median(two.wall),
    };
    let processor = Pair {
        first: median(one.processor),
        second: median(two.processor),
    };
    let [first, second] = bare.map(median);
    head("one core", "two");
    row("wall time", wall, Bar::AtLeast(LEAST));
    // What the two cores of this machine give to work that shares nothing and stores nothing.
    let bare = Pair { first, second };
    row("wall time of verifying alone", bare, Bar::AtLeast(LEAST));
    // What sharing the work costs by itself; above 0.9 nothing but the machine is in the way.
    row("processor time", processor, Bar::AtLeast(0.9));
    let used = processor.second.as_secs_f64() / wall.second.as_secs_f64();
    println!("processors that the run on two cores got: {used:.2}");
    if wall.ratio() >= LEAST {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[derive(Default)]
struct Times {
    wall: Vec<Duration>,
    processor: Vec<Duration>,
}

/// Makes the blocks. Answers the rules of their chain and their gas.
async fn record(path: &Path) -> (ChainSpec, u64) {
    let devnet = Devnet::new().unwrap();
    let (chain, traffic) = (devnet.l2(), Traffic::new());
    let mut archive = Archive::append_to(path, chain.chain_id()).unwrap();
    let mut gas = 0;
    for number in 1..=BLOCKS {
        for _ in 0..TRAFFIC {
            traffic.send(chain).unwrap();
        }
        devnet.sequencer().produce_quiet().unwrap();
        let block = chain.block(number).await.unwrap();
        let witness = chain.witness(&block).await.unwrap();
        gas += block.header.gas_used;
        let record = RecordedBlock {
            block,
            witness,
            source: None,
        };
        archive.append(&record).unwrap();
    }
    (mach_devnet::DevnetConfig::default().l2_spec(), gas)
}

fn load(archive: &Path) -> Vec<RecordedBlock> {
    let archive = Archive::open(archive).unwrap();
    (1..=BLOCKS)
        .map(|it| archive.read(it).unwrap().unwrap())
        .collect()
}

/// The blocks without queue, archive and report, on the pool that this runs in.
fn verify(spec: &ChainSpec, blocks: &[RecordedBlock]) {
    blocks.par_iter().with_max_len(1).for_each(|it| {
        let verdict = verify_block(spec, &it.block, &it.witness).unwrap();
        assert_eq!(verdict.fault(), None);
    });
}

/// The whole of `mach-cli backfill`, with a checkpoint on the disk.
fn backfill(runtime: &Runtime, spec: &ChainSpec, archive: &Path, checkpoint: &Path, jobs: usize) {
    runtime.block_on(async {
        let store = RedbStore::open(checkpoint).unwrap();
        let queue = Arc::new(StoredQueue::open(store).await.unwrap());
        let plan = WorkPlan::new(spec.chain_id(), 1..=BLOCKS).unwrap();
        queue.plan(&plan).await.unwrap();
        let blocks = RecordedBlocks::from_archive(Archive::open(archive).unwrap());
        let judge = Recorded::new(spec.clone(), blocks);
        let config = BackfillConfig::with_jobs(NonZeroUsize::new(jobs).unwrap());
        let backfill = Arc::new(Backfill::new(Arc::clone(&queue), judge, config).unwrap());
        backfill.run(&CancellationToken::new()).await.unwrap();
        let report = BackfillReport::collect(&queue, |_| Ok::<(), std::convert::Infallible>(()));
        assert!(report.await.unwrap().is_valid());
    });
}
