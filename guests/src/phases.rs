//! Cycles of the parts of a block's verification, told on standard error. Not for proofs: the machine
//! does not prove what its clock says.

use std::time::Duration;

use mach_prove::{guest::run_block, BlockInput};
use mach_verify::verify_block_timed;
use risc0_zkvm::guest::env;

/// Judges the block as [`run_block`] does, and once more by parts.
pub fn tell_phases() {
    let bytes = crate::machine::read();
    let started = env::cycle_count();
    let input = BlockInput::decode(bytes.clone().into()).expect("an input");
    tell("input", env::cycle_count() - started);
    let started = env::cycle_count();
    let (verdict, phases) = verify_block_timed(cycles, &input.spec, &input.block, &input.witness);
    assert!(verdict.is_ok(), "a verdict");
    let verified = env::cycle_count() - started;
    let in_cycles = |phase: Duration| phase.as_nanos() as u64;
    tell("keccak", in_cycles(phases.keccak));
    tell("recovery", in_cycles(phases.recovery));
    tell("evm", in_cycles(phases.evm));
    tell("trie", in_cycles(phases.trie));
    tell("roots", in_cycles(phases.roots));
    tell("verification", verified);
    let started = env::cycle_count();
    let journal = run_block(&bytes).expect("a journal");
    tell("all", env::cycle_count() - started);
    crate::machine::commit(&journal);
}

/// A cycle for a nanosecond.
fn cycles() -> Duration {
    Duration::from_nanos(env::cycle_count())
}

fn tell(phase: &str, cycles: u64) {
    eprintln!("phase {phase} {cycles}");
}
