//! An aggregator under load from another process, over HTTP on the loopback.
//!
//! `cargo bench -p mach-benches --bench aggregator`: signatures per second that are accepted, proved
//! and durable, beside proving each by itself; time from a block to its certificate; time from a
//! start with 100,000 stored rounds to the first answer, which is all that `-- restart` does. `-- soak` runs `MACH_SOAK_OPERATORS` (1,000) for
//! `MACH_SOAK_SECONDS` (120) and looks at memory and at rounds that are late; `just soak` is the bar of
//! the project.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench"
)]

mod load;
mod ports;
mod restart;
mod server;
mod soak;

use std::{process::ExitCode, time::Duration};

use ark_ec::{AffineRepr, pairing::Pairing};
use mach_benches::{Clock, median};

/// Signatures per second: the bar of the project.
const LEAST: f64 = 5000.0;
/// From a block to its certificate, for 99 of 100.
const SLOWEST: Duration = Duration::from_millis(300);
/// From the start of the process to its first answer.
const RESTART: Duration = Duration::from_secs(1);

/// Pairs of pairings that are timed.
const CHECKS: u32 = 200;

fn main() -> ExitCode {
    if server::is_asked_for() {
        server::run();
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|argument| argument == "soak") {
        return soak::run();
    }
    if std::env::args().any(|argument| argument == "restart") {
        return if restart() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let rate = load::rate();
    let alone = two_each();
    println!("| signatures per second, 1,000 operators, 10 rounds at a time, 2 cores | |");
    println!("|---|---|");
    println!(
        "| over HTTP from another process, each proved and durable when answered | {rate:.0} |"
    );
    println!(
        "| two full pairings for each as eigensdk does, nothing else, 2 threads (arkworks) | {alone:.0} |"
    );
    let mut are_met = bar("signatures per second", rate >= LEAST);

    let times = load::latency();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!(
        "block to certificate, 100 operators: median {:?}, 99 % {:?}",
        at(50),
        at(99)
    );
    are_met &= bar("300 ms", at(99) <= SLOWEST);

    are_met &= restart();
    if are_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn restart() -> bool {
    let restart::Restart {
        time,
        index,
        rows,
        bytes,
    } = restart::measure();
    println!(
        "start to first answer with {} rounds, {rows} rows in {} MB: {time:?}, to the index of finality: {index:?}",
        restart::ROUNDS,
        bytes / 1_000_000
    );
    bar("1 s", time <= RESTART)
}

fn bar(name: &str, is_met: bool) -> bool {
    println!("bar of {name}: {}", if is_met { "met" } else { "NOT MET" });
    is_met
}

/// What two threads do of signatures of which each costs two pairings, each with its own final
/// exponentiation.
fn two_each() -> f64 {
    use ark_bn254::{Bn254, G1Affine, G2Affine};
    let (one, two) = (G1Affine::generator(), G2Affine::generator());
    let check = || assert_eq!(Bn254::pairing(one, two), Bn254::pairing(one, two));
    let times = (0..3).map(|_| {
        Clock::Wall.time(1, || {
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| (0..CHECKS / 2).for_each(|_| check()));
                }
            });
        })
    });
    f64::from(CHECKS) / median(times.collect()).as_secs_f64()
}
