//! SP1: its input and output, and its keccak.

mod keccak;

use mach_prove::Journal;
use sp1_zkvm::io;

pub(crate) fn read() -> Vec<u8> {
    io::read_vec()
}

/// 32 bytes are public: the digest.
pub(crate) fn commit(journal: &Journal) {
    io::commit_slice(journal.digest().as_slice());
}
