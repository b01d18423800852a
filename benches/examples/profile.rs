//! Verifies one block over and over, for a profiler to look at.
//!
//! `cargo build --release -p mach-benches --example profile`, then
//! `perf record target/release/examples/profile BLOCK.json.gz 300`

#![allow(clippy::unwrap_used, reason = "a tool")]

use mach_verify::{ChainSpec, source::RecordedBlock, verify_block};

fn main() {
    let mut args = std::env::args().skip(1);
    let recorded = RecordedBlock::read(args.next().unwrap()).unwrap();
    let times: usize = args.next().unwrap().parse().unwrap();
    let spec = ChainSpec::known(recorded.block.chain_id).unwrap();
    for _ in 0..times {
        let verdict = verify_block(&spec, &recorded.block, &recorded.witness);
        assert!(verdict.is_ok(), "{verdict:?}");
    }
}
