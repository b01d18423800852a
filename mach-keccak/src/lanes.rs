//! The permutation over several states at once, one in each 64-bit element of a vector.
//!
//! Source: FIPS 202, section 3; padding as in Keccak before standardisation, which Ethereum uses.

#[macro_use]
mod permutation;

mod avx2;
mod avx512;
mod schedule;

use alloy_primitives::B256;

use crate::Backend;

/// Hashes with vectors; `None` if this processor does not have them.
pub(crate) fn hash<T: AsRef<[u8]>>(backend: Backend, inputs: &[T]) -> Option<Vec<B256>> {
    if !backend.is_available() {
        return None;
    }
    let mut hashes = vec![B256::ZERO; inputs.len()];
    match backend {
        Backend::Portable => return None,
        #[expect(unsafe_code, reason = "safe code for a processor that was asked")]
        // SAFETY: the processor has AVX2, which is the only condition.
        Backend::Avx2 => unsafe { avx2::hash(inputs, &mut hashes) },
        #[expect(unsafe_code, reason = "safe code for a processor that was asked")]
        // SAFETY: the processor has AVX-512F, which is the only condition.
        Backend::Avx512 => unsafe { avx512::hash(inputs, &mut hashes) },
    }
    Some(hashes)
}

/// Round constants of the step iota.
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];
