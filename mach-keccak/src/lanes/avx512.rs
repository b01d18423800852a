//! Eight states at once.

use core::arch::x86_64::{
    __m512i as Word, _mm512_and_si512, _mm512_castsi512_si256, _mm512_extracti64x4_epi64,
    _mm512_rol_epi64, _mm512_set_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

use alloy_primitives::B256;

use super::{avx2, schedule};

/// Writes the hash of each input.
#[target_feature(enable = "avx512f")]
pub(super) fn hash<T: AsRef<[u8]>>(inputs: &[T], hashes: &mut [B256]) {
    let mut state = [_mm512_setzero_si512(); 25];
    schedule::run(inputs, hashes, |mask, [a, b, c, d, e, f, g, h]| {
        if mask.contains(&0) {
            let mask = word(*mask);
            for lane in &mut state {
                *lane = _mm512_and_si512(*lane, mask);
            }
        }
        let low = a.iter().zip(b).zip(c).zip(d);
        let high = e.iter().zip(f).zip(g).zip(h);
        for (lane, ((((a, b), c), d), (((e, f), g), h))) in state.iter_mut().zip(low.zip(high)) {
            *lane = xor(*lane, word([*a, *b, *c, *d, *e, *f, *g, *h]));
        }
        permute(&mut state);
        [state[0], state[1], state[2], state[3]].map(|lane| elements(lane))
    });
}

permutation!("avx512f");

#[target_feature(enable = "avx512f")]
#[inline]
fn word(elements: [u64; 8]) -> Word {
    let [a, b, c, d, e, f, g, h] = elements.map(u64::cast_signed);
    _mm512_set_epi64(h, g, f, e, d, c, b, a)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn elements(word: Word) -> [u64; 8] {
    let [a, b, c, d] = avx2::elements(_mm512_castsi512_si256(word));
    let [e, f, g, h] = avx2::elements(_mm512_extracti64x4_epi64::<1>(word));
    [a, b, c, d, e, f, g, h]
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(value: u64) -> Word {
    _mm512_set1_epi64(value.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn xor(a: Word, b: Word) -> Word {
    _mm512_xor_si512(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn xor5(a: Word, b: Word, c: Word, d: Word, e: Word) -> Word {
    const XOR3: i32 = 0x96;
    _mm512_ternarylogic_epi64::<XOR3>(_mm512_ternarylogic_epi64::<XOR3>(a, b, c), d, e)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotate<const LEFT: i32, const RIGHT: i32>(a: Word) -> Word {
    _mm512_rol_epi64::<LEFT>(a)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn chi(a: Word, b: Word, c: Word) -> Word {
    // The table of `a ^ (!b & c)`, with `a` as the highest bit of the index.
    _mm512_ternarylogic_epi64::<0xd2>(a, b, c)
}
