//! Secret scalars as short signed digits.

use zeroize::Zeroizing;

use super::field::mac;

/// Digits of a half: 33 of four bits hold every number from -2^130 to 2^130.
pub(super) type Digits = [i8; 33];

/// `scalar` as `k1 + k2 λ` modulo r, both in signed digits of four bits, least significant first,
/// each from -8 to 7. λ is the cube root of one that [`Coordinate::ENDOMORPHISM`] stands for.
///
/// Source: Gallant, Lambert and Vanstone, "Faster point multiplication on elliptic curves with
/// efficient endomorphisms". The rounding is down, so that `k1` is from 0 to A + B and `k2` from -D
/// to B: a few units more or less change nothing, 130 bits are three more than these have.
///
/// [`Coordinate::ENDOMORPHISM`]: super::field::Coordinate::ENDOMORPHISM
pub(super) fn decompose(scalar: &[u64; 4]) -> Zeroizing<[Digits; 2]> {
    // A short basis of the pairs (a, b) with a + b λ = 0 modulo r: (A, B) and (B, -D).
    const A: [u64; 2] = [0x0be4_e154_1221_250b, 0x6f4d_8248_eeb8_59fd];
    const B: u64 = 0x89d3_2568_94d2_13e3;
    const D: [u64; 2] = [0x8211_bbeb_7d4f_1128, 0x6f4d_8248_eeb8_59fc];
    // 2^256 D / r and 2^256 B / r.
    const D_BY_R: [u64; 3] = [
        0x7a7b_d9d4_391e_b18d,
        0x4cce_f014_a773_d2cf,
        0x0000_0000_0000_0002,
    ];
    const B_BY_R: [u64; 2] = [0xd91d_232e_c7e0_b3d7, 0x0000_0000_0000_0002];

    let mut product = Zeroizing::new([0; 7]);
    for (place, limb) in D_BY_R.into_iter().enumerate() {
        add_product(product.iter_mut().skip(place), scalar, limb);
    }
    let [_, _, _, _, c1_low, c1_high, _] = *product;
    let mut product = Zeroizing::new([0; 6]);
    for (place, limb) in B_BY_R.into_iter().enumerate() {
        add_product(product.iter_mut().skip(place), scalar, limb);
    }
    let [_, _, _, _, c2, _] = *product;

    // All modulo 2^192: k1 = k - c1 A - c2 B and k2 = c2 D - c1 B.
    let mut k1 = Zeroizing::new([0; 3]);
    add_product(k1.iter_mut(), &A, c1_low);
    add_product(k1.iter_mut().skip(1), &A, c1_high);
    add_product(k1.iter_mut(), &[B], c2);
    subtract_from(&mut k1, scalar);
    let mut k2 = Zeroizing::new([0; 3]);
    add_product(k2.iter_mut(), &[c1_low, c1_high], B);
    let mut minuend = Zeroizing::new([0; 3]);
    add_product(minuend.iter_mut(), &D, c2);
    subtract_from(&mut k2, &*minuend);
    Zeroizing::new([digits(&k1), digits(&k2)])
}

/// Adds `factor * limb` to the number with these limbs.
fn add_product<'a>(sum: impl Iterator<Item = &'a mut u64>, factor: &[u64], limb: u64) {
    let mut carry = 0;
    for (sum, factor) in sum.zip(factor.iter().chain(core::iter::repeat(&0))) {
        (*sum, carry) = mac(*sum, *factor, limb, carry);
    }
}

/// `number = minuend - number`, modulo 2^192.
fn subtract_from(number: &mut [u64; 3], minuend: &[u64]) {
    let mut borrow = false;
    for (limb, minuend) in number.iter_mut().zip(minuend) {
        (*limb, borrow) = minuend.borrowing_sub(*limb, borrow);
    }
}

/// The digits of a number in two's complement.
///
/// Adding 8 at every place makes all carries at once; then 8 is taken from each digit again.
fn digits(number: &[u64; 3]) -> Digits {
    const EIGHTS: [u64; 3] = [0x8888_8888_8888_8888, 0x8888_8888_8888_8888, 8];
    let mut digits = [0; 33];
    let mut carry = false;
    for ((limb, eights), digits) in number.iter().zip(EIGHTS).zip(digits.chunks_mut(16)) {
        let (mut sum, next) = limb.carrying_add(eights, carry);
        carry = next;
        for digit in digits {
            *digit = (sum & 15) as i8 - 8;
            sum >>= 4;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{Fr, g2};
    use ark_ec::scalar_mul::glv::GLVConfig;
    use ark_ff::{AdditiveGroup, Field, PrimeField};
    use proptest::prelude::*;

    fn number(digits: &Digits) -> Fr {
        digits.iter().rev().fold(Fr::ZERO, |number, digit| {
            number * Fr::from(16) + Fr::from(*digit)
        })
    }

    fn check(scalar: Fr) {
        let halves = decompose(&scalar.into_bigint().0);
        let [k1, k2] = &*halves;
        assert!(k1.iter().chain(k2).all(|digit| (-8..8).contains(digit)));
        let lambda = <g2::Config as GLVConfig>::LAMBDA;
        assert_eq!(number(k1) + number(k2) * lambda, scalar);
    }

    #[test]
    fn the_ends_of_the_range_are_their_digits() {
        for small in 0u64..300 {
            check(Fr::from(small));
            check(-Fr::from(small));
        }
        for bit in 0u64..256 {
            let power = Fr::from(2).pow([bit]);
            check(power);
            check(power - Fr::ONE);
            check(-power);
        }
    }

    proptest! {
        #[test]
        fn the_digits_are_the_number(bytes: [u8; 32]) {
            check(Fr::from_be_bytes_mod_order(&bytes));
        }
    }
}
