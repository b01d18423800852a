//! Keccak-256 by one call of the machine.

use core::slice;

use sp1_zkvm::syscalls::syscall_keccak_permute;

/// Bytes that are absorbed at once.
const RATE: usize = 136;

/// Hashes `len` bytes at `bytes` into 32 bytes at `output`: what alloy-primitives calls for every
/// hash if its feature `native-keccak` is on.
///
/// # Safety
///
/// `bytes` is valid for `len` reads, `output` for 32 writes.
#[no_mangle]
unsafe extern "C" fn native_keccak256(bytes: *const u8, len: usize, output: *mut u8) {
    // SAFETY: the caller's pointers are valid for these lengths.
    let (bytes, output) = unsafe {
        (
            slice::from_raw_parts(bytes, len),
            slice::from_raw_parts_mut(output.cast::<core::mem::MaybeUninit<u8>>(), 32),
        )
    };
    for (to, byte) in output.iter_mut().zip(keccak256(bytes)) {
        to.write(byte);
    }
}

/// Source: FIPS 202, section 4, with the padding of Keccak before it became SHA-3, as in Ethereum.
fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut state = [0; 25];
    let mut blocks = bytes.chunks_exact(RATE);
    for block in &mut blocks {
        absorb(&mut state, block);
    }
    let rest = blocks.remainder();
    let mut last = [0; RATE];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x01;
    last[RATE - 1] |= 0x80;
    absorb(&mut state, &last);
    let mut digest = [0; 32];
    for (to, word) in digest.chunks_exact_mut(8).zip(state) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// Source: FIPS 202, section 4, with words in the order of section B.1.
fn absorb(state: &mut [u64; 25], block: &[u8]) {
    for (word, bytes) in state.iter_mut().zip(block.chunks_exact(8)) {
        *word ^= u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    }
    syscall_keccak_permute(state);
}
