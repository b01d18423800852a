//! OpenVM: its input and output, and its keccak.

mod keccak;

use mach_prove::Journal;

pub(crate) fn read() -> Vec<u8> {
    openvm::io::read_vec()
}

/// 32 bytes are public: the digest.
pub(crate) fn commit(journal: &Journal) {
    openvm::io::reveal_bytes32(journal.digest().0);
}
