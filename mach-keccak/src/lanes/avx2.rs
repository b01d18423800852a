//! Four states at once.

use core::arch::x86_64::{
    __m256i as Word, _mm256_and_si256, _mm256_andnot_si256, _mm256_extract_epi64, _mm256_or_si256,
    _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_slli_epi64,
    _mm256_srli_epi64, _mm256_xor_si256,
};

use alloy_primitives::B256;

use super::schedule;

/// Writes the hash of each input.
#[target_feature(enable = "avx2")]
pub(super) fn hash<T: AsRef<[u8]>>(inputs: &[T], hashes: &mut [B256]) {
    let mut state = [_mm256_setzero_si256(); 25];
    schedule::run(inputs, hashes, |mask, [a, b, c, d]| {
        if mask.contains(&0) {
            let mask = word(*mask);
            for lane in &mut state {
                *lane = _mm256_and_si256(*lane, mask);
            }
        }
        let columns = a.iter().zip(b).zip(c).zip(d);
        for (lane, (((a, b), c), d)) in state.iter_mut().zip(columns) {
            *lane = xor(*lane, word([*a, *b, *c, *d]));
        }
        permute(&mut state);
        [state[0], state[1], state[2], state[3]].map(|lane| elements(lane))
    });
}

permutation!("avx2");

#[target_feature(enable = "avx2")]
#[inline]
fn word([a, b, c, d]: [u64; 4]) -> Word {
    _mm256_set_epi64x(
        d.cast_signed(),
        c.cast_signed(),
        b.cast_signed(),
        a.cast_signed(),
    )
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn elements(word: Word) -> [u64; 4] {
    [
        _mm256_extract_epi64::<0>(word),
        _mm256_extract_epi64::<1>(word),
        _mm256_extract_epi64::<2>(word),
        _mm256_extract_epi64::<3>(word),
    ]
    .map(i64::cast_unsigned)
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(value: u64) -> Word {
    _mm256_set1_epi64x(value.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(a: Word, b: Word) -> Word {
    _mm256_xor_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor5(a: Word, b: Word, c: Word, d: Word, e: Word) -> Word {
    xor(xor(xor(a, b), xor(c, d)), e)
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(a: Word) -> Word {
    _mm256_or_si256(_mm256_slli_epi64::<LEFT>(a), _mm256_srli_epi64::<RIGHT>(a))
}

#[target_feature(enable = "avx2")]
#[inline]
fn chi(a: Word, b: Word, c: Word) -> Word {
    xor(a, _mm256_andnot_si256(b, c))
}
