//! Complete validation of real blocks beside the least that it can cost, in one process.
//!
//! There are two floors, which differ in keccak only: four at once (AVX2), to which the bar applies,
//! and as many at once as the validator hashes on this processor, which is stricter with AVX-512.
//!
//! `MACH_DATA=… cargo bench -p mach-benches --bench validate [-- NAME…]`; fails if a bar is missed.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench"
)]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use mach_benches::{Clock, Floor};
use mach_core::Verdict;
use mach_keccak::Backend;
use mach_verify::{
    ChainSpec, Phases,
    source::{RecordedBlock, recorded_files},
    verify_block, verify_block_in_phases,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Blocks from here on have to meet the bar, in gas.
const LEAST_GAS: u64 = 2_000_000;
/// Most that validation may take, by the floor with [`LEVER`].
const BAR: f64 = 1.3;
/// How the floor of the bar hashes. One by one where the processor lacks it, as the validator then.
const LEVER: Backend = Backend::Avx2;
/// Rounds; each runs all sides, so that noise hits all. The least of each side counts.
const ROUNDS: usize = 31;

fn main() -> ExitCode {
    let Some(data) = std::env::var_os("MACH_DATA").map(PathBuf::from) else {
        println!("nothing measured: MACH_DATA names no folder with recorded blocks");
        return ExitCode::FAILURE;
    };
    let names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with("--"))
        .collect();
    let own = Backend::detect();
    println!(
        "ms of one thread; keccak of the floor by {LEVER:?}, of ours and of \"same\" by {own:?}"
    );
    println!(
        "{:<27} |   used           raw  dirty        |                      2 thr. |",
        ""
    );
    println!(
        "{:<21} {:>5} | keccak recov.    EVM keccak  floor |   ours  ratio   same   wall | keccak recov.    EVM   trie  roots",
        "block", "Mgas"
    );
    let (mut measured, mut missed) = (0, 0);
    for path in recorded_files(data.join("blocks")).unwrap() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let name = name.trim_end_matches(".json.gz");
        if !names.is_empty() && !names.iter().any(|it| name.contains(it.as_str())) {
            continue;
        }
        let recorded = RecordedBlock::read(&path).unwrap();
        if recorded.block.header.gas_used < LEAST_GAS {
            continue;
        }
        let row = measure(&recorded);
        measured += 1;
        let ratio = row.ratio(row.lever_keccak);
        print!("{name:<21} {:>5.1} |", row.gas as f64 / 1e6);
        let [used, dirty] = row.lever_keccak;
        for time in [
            used,
            row.recovery,
            row.evm,
            dirty,
            row.floor(row.lever_keccak),
        ] {
            print!(" {:>6.2}", millis(time));
        }
        print!(
            " | {:>6.2} {ratio:>5.2}x {:>5.2}x {:>6.2} |",
            millis(row.ours),
            row.ratio(row.own_keccak),
            millis(row.ours_by_two)
        );
        for time in row.phases {
            print!(" {:>6.2}", millis(time));
        }
        let is_met = ratio <= BAR;
        println!("{}", if is_met { "" } else { "  NOT MET" });
        missed += usize::from(!is_met);
    }
    if measured == 0 {
        println!("nothing measured: no recorded block matches");
        return ExitCode::FAILURE;
    }
    if missed > 0 {
        println!("{missed} blocks above {BAR}x the floor");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The least time of each side.
struct Row {
    gas: u64,
    recovery: Duration,
    /// The raw EVM.
    evm: Duration,
    /// Keccak of what is used and of changed nodes, by [`LEVER`].
    lever_keccak: [Duration; 2],
    /// The same as the validator does it.
    own_keccak: [Duration; 2],
    ours: Duration,
    /// The same on two threads, by the clock on the wall.
    ours_by_two: Duration,
    /// Keccak, recovery, EVM, trie, roots.
    phases: [Duration; 5],
}

impl Row {
    fn floor(&self, keccak: [Duration; 2]) -> Duration {
        self.recovery + self.evm + keccak.into_iter().sum::<Duration>()
    }

    fn ratio(&self, keccak: [Duration; 2]) -> f64 {
        self.ours.as_secs_f64() / self.floor(keccak).as_secs_f64()
    }
}

fn measure(recorded: &RecordedBlock) -> Row {
    let (block, witness) = (&recorded.block, &recorded.witness);
    let spec = ChainSpec::known(block.chain_id).unwrap();
    let gas = block.header.gas_used;
    let mut peer = Floor::new(&spec, block, witness).unwrap();
    assert_eq!(peer.evm(), gas, "the peer executes the block");
    assert_eq!(peer.recovery(), block.transactions.len());
    assert!(matches!(
        verify_block(&spec, block, witness),
        Ok(Verdict::Valid(_))
    ));

    let own = Backend::detect();
    let mut floor = [Duration::MAX; 6];
    let mut ours = Duration::MAX;
    let mut ours_by_two = Duration::MAX;
    let mut phases = [Duration::MAX; 5];
    let (one, two) = (threads(1), threads(2));
    for _ in 0..ROUNDS {
        let clock = Clock::Thread;
        // Both in a pool of one thread, which then does all of it.
        let (times, time, these) = one.install(|| {
            let times = [
                clock.time(1, || peer.recovery()),
                clock.time(1, || peer.evm()),
                clock.time(1, || peer.witness_keccak(LEVER)),
                clock.time(1, || peer.node_keccak(LEVER)),
                clock.time(1, || peer.witness_keccak(own)),
                clock.time(1, || peer.node_keccak(own)),
            ];
            let time = clock.time(1, || verify_block(&spec, block, witness));
            let these = verify_block_in_phases(&spec, block, witness).1;
            (times, time, these)
        });
        for (least, time) in floor.iter_mut().zip(times) {
            *least = time.min(*least);
        }
        ours = ours.min(time);
        for (least, time) in phases.iter_mut().zip(phase_times(&these)) {
            *least = time.min(*least);
        }
        let time = two.install(|| Clock::Wall.time(1, || verify_block(&spec, block, witness)));
        ours_by_two = ours_by_two.min(time);
    }
    let [recovery, evm, used, dirty, own_used, own_dirty] = floor;
    Row {
        gas,
        recovery,
        evm,
        lever_keccak: [used, dirty],
        own_keccak: [own_used, own_dirty],
        ours,
        ours_by_two,
        phases,
    }
}

fn threads(count: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(count).build().unwrap()
}

const fn phase_times(phases: &Phases) -> [Duration; 5] {
    [
        phases.keccak,
        phases.recovery,
        phases.evm,
        phases.trie,
        phases.roots,
    ]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
