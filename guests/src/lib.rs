#![doc = include_str!("../README.md")]

#[cfg(feature = "openvm")]
mod openvm;

#[cfg(feature = "openvm")]
use crate::openvm as zkvm;

#[cfg(not(feature = "openvm"))]
compile_error!("a guest is built for one machine: turn on its feature");

use mach_prove::{guest::Refusal, Journal};

/// Reads the input, judges it, commits to the journal. A refusal ends in a panic: the machine stops
/// without success, and there is nothing to prove.
pub fn main(judge: fn(&[u8]) -> Result<Journal, Refusal>) {
    match judge(&zkvm::read()) {
        Ok(journal) => zkvm::commit(&journal),
        Err(refusal) => panic!("refused: {refusal}"),
    }
}
