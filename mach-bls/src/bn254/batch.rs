//! Many checks for the price of one, with random weights.
//!
//! A plain sum proves that the sum is right, and no more: two who collude can send `a + d` and
//! `b - d`. With weights of 128 random bits that nobody knew before, a wrong share survives with a
//! probability of 2^-128.

use core::ops::Range;

use ark_bn254::{Bn254, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ec::pairing::PairingOutput;
use ark_ff::Zero;

use super::curve::weighted::{self, PART, Weight};
use super::curve::{Affine, Fe, Fe2, Point, join};
use super::signature::discrepancy;
use super::{MessagePoint, PublicKey, Signature};

/// Positions of the shares that are not their key's signature of `message`.
///
/// One check if all are good; for k bad ones of n about k log2(n / k) more, by halving.
pub fn invalid_shares(message: &MessagePoint, shares: &[(PublicKey, Signature)]) -> Vec<usize> {
    let search = Search::new(
        message.0,
        shares.iter().map(|(key, signature)| (signature.0, key.g2)),
    );
    search.bad()
}

/// Whether in each key both halves belong together.
pub(crate) fn links_hold(keys: &[PublicKey]) -> bool {
    let generator = G1Affine::generator();
    Search::new(generator, keys.iter().map(|key| (key.g1, key.g2))).all_hold()
}

/// Pairs that should be the same multiple, one of the base and one of the generator of G2.
struct Search {
    base: G1Affine,
    multiples: Vec<Affine<Fe>>,
    keys: Vec<Affine<Fe2>>,
    weights: Vec<Weight>,
    /// The weighted sums of each [`PART`] pairs.
    parts: Vec<(Point<Fe>, Point<Fe2>)>,
}

/// One if all weighted pairs of a range hold. That of two ranges is the product of theirs, so that
/// of a range and its left half the right half's follows.
type Discrepancy = PairingOutput<Bn254>;

impl Search {
    fn new(base: G1Affine, pairs: impl ExactSizeIterator<Item = (G1Affine, G2Affine)>) -> Self {
        let weights = Weight::random(pairs.len());
        let (multiples, keys): (Vec<_>, Vec<_>) = pairs
            .map(|(multiple, key)| (Affine::from(multiple), Affine::from(key)))
            .unzip();
        let sums = weighted::sums(&multiples, &weights);
        let parts = sums.into_iter().zip(weighted::sums(&keys, &weights));
        Self {
            base,
            parts: parts.collect(),
            multiples,
            keys,
            weights,
        }
    }

    fn all_hold(&self) -> bool {
        self.discrepancy(0..self.weights.len()).is_zero()
    }

    fn bad(&self) -> Vec<usize> {
        let all = 0..self.weights.len();
        let discrepancy = self.discrepancy(all.clone());
        if discrepancy.is_zero() {
            return Vec::new();
        }
        self.bad_in(all, discrepancy)
    }

    /// Positions of the bad pairs of `range`, which has some.
    fn bad_in(&self, range: Range<usize>, discrepancy: Discrepancy) -> Vec<usize> {
        if range.len() <= 1 {
            return range.collect();
        }
        let half = if range.len() > PART {
            range.len().div_ceil(PART) / 2 * PART
        } else {
            range.len() / 2
        };
        let middle = range.start + half;
        let left = self.discrepancy(range.start..middle);
        let right = discrepancy - left;
        let bad_in = |range, discrepancy: Discrepancy| {
            if discrepancy.is_zero() {
                Vec::new()
            } else {
                self.bad_in(range, discrepancy)
            }
        };
        let (mut bad, others) = join(
            || bad_in(range.start..middle, left),
            || bad_in(middle..range.end, right),
        );
        bad.extend(others);
        bad
    }

    fn discrepancy(&self, range: Range<usize>) -> Discrepancy {
        let (multiple, key) = self.sums(&range);
        let key = G2Affine::from(key);
        discrepancy(multiple.into(), self.base, key.into())
    }

    fn sums(&self, range: &Range<usize>) -> (Point<Fe>, Point<Fe2>) {
        let is_border = |place| place % PART == 0 || place == self.weights.len();
        if is_border(range.start) && is_border(range.end) {
            let parts = range.start.div_ceil(PART)..range.end.div_ceil(PART);
            let parts = self.parts.get(parts).unwrap_or_default();
            let sum = |(a, b): (Point<Fe>, Point<Fe2>), (c, d): &(_, _)| (a.add(*c), b.add(*d));
            return parts.iter().fold((Point::IDENTITY, Point::IDENTITY), sum);
        }
        let weights = self.weights.get(range.clone()).unwrap_or_default();
        let multiples = self.multiples.get(range.clone()).unwrap_or_default();
        let keys = self.keys.get(range.clone()).unwrap_or_default();
        join(
            || weighted::sum(multiples, weights),
            || weighted::sum(keys, weights),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SecretKey, hash_to_g1};
    use super::*;
    use alloy_primitives::{B256, U256};
    use ark_ec::CurveGroup;

    fn shares(count: u64) -> Vec<(PublicKey, Signature)> {
        (1..=count)
            .map(|number| {
                let key = SecretKey::from_bytes(&U256::from(number).to_be_bytes()).unwrap();
                (*key.public_key(), key.sign(B256::ZERO))
            })
            .collect()
    }

    #[test]
    fn exactly_the_bad_shares_are_found() {
        let message = hash_to_g1(B256::ZERO);
        let good = shares(13);
        assert_eq!(invalid_shares(&message, &[]), Vec::<usize>::new());
        for bad in [vec![], vec![0], vec![12], vec![3, 4, 11], (0..13).collect()] {
            let mut shares = good.clone();
            for index in &bad {
                shares[*index].1 = Signature((-good[*index].1.0.into_group()).into_affine());
            }
            assert_eq!(invalid_shares(&message, &shares), bad);
        }
    }

    /// Across the borders of the parts that are summed first.
    #[test]
    fn bad_shares_are_found_in_every_part() {
        let message = hash_to_g1(B256::ZERO);
        let key = SecretKey::random();
        let good = (*key.public_key(), key.sign(B256::ZERO));
        let bad = (good.0, key.sign(B256::repeat_byte(1)));
        for count in [PART - 1, PART, PART + 1, 3 * PART + 5] {
            let mut shares = vec![good; count];
            let mut expected = vec![0, 1, PART - 2, PART - 1, PART, 2 * PART, count - 1];
            expected.retain(|index| *index < count);
            expected.sort_unstable();
            expected.dedup();
            for index in &expected {
                shares[*index] = bad;
            }
            assert_eq!(invalid_shares(&message, &shares), expected);
            assert!(invalid_shares(&message, &vec![good; count]).is_empty());
        }
    }

    #[test]
    fn shares_that_are_wrong_and_cancel_out_are_found() {
        let message = hash_to_g1(B256::ZERO);
        let mut shares = shares(4);
        let shift = G1Affine::generator();
        shares[1].1 = Signature((shares[1].1.0 + shift).into_affine());
        shares[2].1 = Signature((shares[2].1.0 - shift).into_affine());
        assert_eq!(invalid_shares(&message, &shares), [1, 2]);
    }

    #[test]
    fn one_swapped_half_breaks_the_link_of_all() {
        let mut keys: Vec<_> = shares(5).into_iter().map(|(key, _)| key).collect();
        assert!(links_hold(&keys));
        (keys[1].g2, keys[3].g2) = (keys[3].g2, keys[1].g2);
        assert!(!links_hold(&keys));
    }
}
