//! Keccak-256 by two instructions of the machine.

use openvm_keccak256_guest::{native_keccakf, native_xorin, KECCAK_RATE, KECCAK_WIDTH_BYTES};

/// The instructions want words.
#[repr(C, align(4))]
struct State([u8; KECCAK_WIDTH_BYTES]);

/// Hashes `len` bytes at `bytes` into 32 bytes at `output`: what alloy-primitives calls for every
/// hash if its feature `native-keccak` is on.
///
/// Source: FIPS 202, section 4, with the padding of Keccak before it became SHA-3, as in Ethereum.
///
/// # Safety
///
/// `bytes` is valid for `len` reads, `output` for 32 writes.
#[no_mangle]
unsafe extern "C" fn native_keccak256(bytes: *const u8, len: usize, output: *mut u8) {
    let mut state = State([0; KECCAK_WIDTH_BYTES]);
    // All access goes through this one pointer, since the compiler does not see what the
    // instructions do with it.
    let state = state.0.as_mut_ptr();
    let mut absorbed = 0;
    // SAFETY: the state has `KECCAK_WIDTH_BYTES` bytes, more than `KECCAK_RATE`; `absorbed` never
    // exceeds `len`, and less than `KECCAK_RATE` bytes are left after the loop.
    unsafe {
        while len - absorbed >= KECCAK_RATE {
            native_xorin(state, bytes.add(absorbed), KECCAK_RATE);
            native_keccakf(state);
            absorbed += KECCAK_RATE;
        }
        native_xorin(state, bytes.add(absorbed), len - absorbed);
        *state.add(len - absorbed) ^= 0x01;
        *state.add(KECCAK_RATE - 1) ^= 0x80;
        native_keccakf(state);
        core::ptr::copy_nonoverlapping(state, output, 32);
    }
}
