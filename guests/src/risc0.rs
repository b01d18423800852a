//! RISC Zero: its input and output. Its keccak is not used: what it hashes has to be proved by
//! programs of another circuit, which come from outside and cannot be had offline.

use mach_prove::Journal;
use risc0_zkvm::guest::env;

/// The length of the input as four bytes, little-endian, then the input: two calls to the host.
pub(crate) fn read() -> Vec<u8> {
    let mut length = [0; 4];
    env::read_slice(&mut length);
    let mut input = vec![0; u32::from_le_bytes(length) as usize];
    env::read_slice(&mut input);
    input
}

/// All of it is public; the receipt binds its SHA-256.
pub(crate) fn commit(journal: &Journal) {
    env::commit_slice(&journal.encode());
}
