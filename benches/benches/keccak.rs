//! Keccak-256 of many inputs at once beside one after the other, in one process.
//!
//! `cargo bench -p mach-benches --bench keccak`

#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "a bench")]

use mach_benches::{Clock, median};
use mach_keccak::Backend;

/// A branch node, an account's leaf, a slot's key, and an uneven mix as in a witness.
const LENGTHS: [(&str, &[usize]); 4] = [
    ("branch nodes, 532 bytes", &[532]),
    ("leaves, 110 bytes", &[110]),
    ("keys, 32 bytes", &[32]),
    (
        "a mix, 36 to 532 bytes",
        &[532, 532, 110, 532, 70, 276, 36, 532],
    ),
];
/// Inputs of a batch.
const COUNT: usize = 1000;
const ROUNDS: usize = 31;

fn main() {
    let backends: Vec<_> = [Backend::Portable, Backend::Avx2, Backend::Avx512]
        .into_iter()
        .filter(|backend| backend.is_available())
        .collect();
    print!("{:<26}", "MB/s, one thread");
    for backend in &backends {
        print!(" {:>14}", format!("{backend:?}"));
    }
    println!();
    for (name, lengths) in LENGTHS {
        let inputs: Vec<Vec<u8>> = (0..COUNT)
            .map(|at| vec![at.to_le_bytes()[0]; lengths[at % lengths.len()]])
            .collect();
        let bytes: usize = inputs.iter().map(Vec::len).sum();
        let mut times = vec![Vec::new(); backends.len()];
        for _ in 0..ROUNDS {
            for (times, backend) in times.iter_mut().zip(&backends) {
                times.push(Clock::Thread.time(1, || backend.hash(&inputs)));
            }
        }
        print!("{name:<26}");
        let rates: Vec<_> = (times.into_iter())
            .map(|times| bytes as f64 / median(times).as_secs_f64() / 1e6)
            .collect();
        for rate in &rates {
            print!(" {:>14}", format!("{rate:.0} ({:.2}x)", rate / rates[0]));
        }
        println!();
    }
}
