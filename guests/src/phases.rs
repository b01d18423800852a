//! What the parts of a block's verification take, told on standard error. Not for proofs: no machine proves
//! what a clock says.

use std::time::Duration;

use mach_prove::{guest::run_block, BlockInput};
use mach_verify::verify_block_timed;

/// Judges the block as [`run_block`] does, and once more by parts.
pub fn tell_phases() {
    let bytes = crate::machine::read();
    let started = clock();
    let input = BlockInput::decode(bytes.clone().into()).expect("an input");
    tell("input", clock() - started);
    let started = clock();
    let (verdict, phases) = verify_block_timed(clock, &input.spec, &input.block, &input.witness);
    assert!(verdict.is_ok(), "a verdict");
    let verified = clock() - started;
    tell("keccak", phases.keccak);
    tell("recovery", phases.recovery);
    tell("evm", phases.evm);
    tell("trie", phases.trie);
    tell("roots", phases.roots);
    tell("verification", verified);
    let started = clock();
    let journal = run_block(&bytes).expect("a journal");
    tell("all", clock() - started);
    crate::machine::commit(&journal);
}

/// A cycle, or an instruction, for a nanosecond.
#[cfg(feature = "risc0")]
fn clock() -> Duration {
    Duration::from_nanos(risc0_zkvm::guest::env::cycle_count())
}

/// OpenVM's machine has no clock: whoever runs it has the times as inputs, one for each question.
#[cfg(feature = "openvm")]
fn clock() -> Duration {
    let time = crate::machine::read();
    Duration::from_nanos(u64::from_le_bytes(time.try_into().expect("a time")))
}

/// Not what takes no time: OpenVM's guest runs without times first, to be seen asking for them.
fn tell(phase: &str, time: Duration) {
    if time.is_zero() {
        return;
    }
    eprintln!("phase {phase} {}", time.as_nanos());
}
