#![doc = include_str!("../README.md")]

#[cfg(feature = "openvm")]
mod openvm;
#[cfg(feature = "phases")]
mod phases;
#[cfg(feature = "risc0")]
mod risc0;
#[cfg(feature = "sp1")]
mod sp1;

#[cfg(feature = "openvm")]
use crate::openvm as machine;
#[cfg(feature = "risc0")]
use crate::risc0 as machine;
#[cfg(feature = "sp1")]
use crate::sp1 as machine;
use mach_prove::{guest::Refusal, Journal};
#[cfg(feature = "phases")]
pub use phases::tell_phases;

/// Reads the input, judges it, commits to the journal. A refusal ends in a panic: the machine stops
/// without success, and there is nothing to prove.
pub fn main(judge: fn(&[u8]) -> Result<Journal, Refusal>) {
    match judge(&machine::read()) {
        Ok(journal) => machine::commit(&journal),
        Err(refusal) => panic!("refused: {refusal}"),
    }
}

#[cfg(not(any(feature = "openvm", feature = "risc0", feature = "sp1")))]
compile_error!("a guest is built for one machine: turn on its feature");
