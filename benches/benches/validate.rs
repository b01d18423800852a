//! Complete validation of real blocks beside warm raw EVM, in one process.
//!
//! `MACH_DATA=… cargo bench -p mach-benches --bench validate`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench"
)]

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use criterion::Criterion;
use mach_benches::RawEvm;
use mach_verify::{ChainSpec, source::RecordedBlock, verify_block};

const BLOCKS: [&str; 5] = [
    "op-10-132799000",
    "op-10-132797000",
    "op-11155420-26208384",
    "op-11155420-26211680",
    "op-11155420-26207962",
];

/// Rounds of the comparison; each runs both sides, so that noise hits both.
const ROUNDS: usize = 21;

fn main() {
    let Some(data) = std::env::var_os("MACH_DATA").map(PathBuf::from) else {
        println!("skipped: MACH_DATA names no folder with recorded blocks");
        return;
    };
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    println!(
        "{:<22} {:>8} {:>10} {:>8} {:>7}",
        "block", "Mgas", "raw EVM", "mach", "ratio"
    );
    for name in BLOCKS {
        let path = data.join("blocks").join(format!("{name}.json.gz"));
        let recorded = RecordedBlock::read(path).unwrap();
        let (block, witness) = (&recorded.block, &recorded.witness);
        let spec = ChainSpec::known(block.chain_id).unwrap();
        let mut raw = RawEvm::new(&spec, block, witness).unwrap();
        assert_eq!(
            raw.execute().unwrap(),
            block.header.gas_used,
            "the peer executes the block"
        );

        let (mut raw_times, mut our_times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raw_times.push(time(|| raw.execute().unwrap()));
            our_times.push(time(|| verify_block(&spec, block, witness).unwrap()));
        }
        let (raw_time, our_time) = (median(raw_times), median(our_times));
        println!(
            "{name:<22} {:>8.1} {:>7.1} ms {:>5.1} ms {:>6.2}x",
            block.header.gas_used as f64 / 1e6,
            raw_time.as_secs_f64() * 1e3,
            our_time.as_secs_f64() * 1e3,
            our_time.as_secs_f64() / raw_time.as_secs_f64(),
        );

        let mut group = criterion.benchmark_group(name);
        group.bench_function("raw-evm", |bench| bench.iter(|| raw.execute().unwrap()));
        group.bench_function("mach", |bench| {
            bench.iter(|| verify_block(&spec, block, witness).unwrap());
        });
        group.finish();
    }
    criterion.final_summary();
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    black_box(work());
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
