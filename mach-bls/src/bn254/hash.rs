//! A digest as a point of G1.

use alloy_primitives::B256;
use ark_bn254::{Fq, G1Affine};
use ark_ff::{BigInteger, PrimeField};

use super::curve::{Coordinate, Fe};
use super::encoding::integer;
use crate::MessagePoint;

/// The point that EigenLayer's contracts hash `digest` to.
///
/// X is the first number from `digest mod p` on for which X³ + 3 is a square; Y is the root that
/// raising to (p + 1) / 4 gives, never its negative. There is no domain separation: the digest
/// carries it. Variable-time, so the digest has to be public.
///
/// Source: `BN254.hashToG1` in eigenlayer-middleware.
pub fn hash_to_g1(digest: B256) -> MessagePoint {
    let mut x = Fe::from(reduce(&digest));
    let three = Fe::from(Fq::from(3u64));
    loop {
        let square = x.square().mul(x).add(three);
        let y = square.power(ROOT_EXPONENT);
        if y.square() == square {
            return MessagePoint(G1Affine::new_unchecked(x.into(), y.into()));
        }
        x = x.add(Fe::ONE);
    }
}

/// (p + 1) / 4, least significant limb first. Source: `BN254.findYFromX`.
const ROOT_EXPONENT: [u64; 4] = [
    0x4f08_2305_b61f_3f52,
    0x65e0_5aa4_5a1c_72a3,
    0x6e14_116d_a060_5617,
    0x0c19_139c_b84c_680a,
];

fn reduce(digest: &B256) -> Fq {
    let mut number = integer(&digest.0);
    // 2^256 is less than six times the modulus.
    loop {
        if let Some(element) = Fq::from_bigint(number) {
            return element;
        }
        number.sub_with_borrow(&Fq::MODULUS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, b256, hex, keccak256};
    use ark_ff::Field;
    use proptest::prelude::*;

    /// The rule of the contract, in the words of ark-ff: another implementation of the power.
    fn by_the_book(digest: B256) -> G1Affine {
        let mut x = Fq::from_be_bytes_mod_order(digest.as_slice());
        loop {
            let beta = x * x * x + Fq::from(3u64);
            let y = beta.pow(
                // (p + 1) / 4
                [
                    0x4f08_2305_b61f_3f52,
                    0x65e0_5aa4_5a1c_72a3,
                    0x6e14_116d_a060_5617,
                    0x0c19_139c_b84c_680a,
                ],
            );
            if y * y == beta {
                return G1Affine::new(x, y);
            }
            x += Fq::ONE;
        }
    }

    #[test]
    fn the_originals_log_hashes_to_its_point() {
        // COMPAT 1.4, golden vector 1.
        let digest = b256!("70096c3577ea889b4ccf2863346e2b171a6f545fae91c87660e62676a7c57dbd");
        let point = hash_to_g1(digest).to_bytes();
        let x = "6899201751341561495728436526926950407591677120422588103084989454728198587184";
        let y = "17996619128073138903637559265825196203814539571356035413037786764321332402714";
        assert_eq!(
            point.0[..32],
            x.parse::<U256>().unwrap().to_be_bytes::<32>()
        );
        assert_eq!(
            point.0[32..],
            y.parse::<U256>().unwrap().to_be_bytes::<32>()
        );
    }

    #[test]
    fn digests_at_and_above_the_modulus_are_reduced() {
        let p = U256::from_be_bytes(hex!(
            "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47"
        ));
        for k in 0..=5u64 {
            let digest = B256::from(p * U256::from(k) + U256::from(1));
            // 1³ + 3 = 2²: the generator, or its negative if the root is the other one.
            assert_eq!(
                hash_to_g1(digest),
                hash_to_g1(B256::with_last_byte(1)),
                "{k} p + 1"
            );
            assert_eq!(hash_to_g1(digest).0, by_the_book(digest));
        }
        let max = B256::repeat_byte(0xff);
        assert_eq!(hash_to_g1(max).0, by_the_book(max));
        assert_eq!(hash_to_g1(B256::ZERO).0, by_the_book(B256::ZERO));
    }

    proptest! {
        #[test]
        fn every_digest_has_the_point_of_the_rule(seed: u64) {
            let digest = keccak256(seed.to_be_bytes());
            prop_assert_eq!(hash_to_g1(digest).0, by_the_book(digest));
        }
    }
}
