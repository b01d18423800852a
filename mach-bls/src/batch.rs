//! Many checks for the price of one, with random weights.
//!
//! A plain sum proves that the sum is right, and no more: two who collude can send `a + d` and
//! `b - d`. With weights of 128 random bits that nobody knew before, a wrong share survives with a
//! probability of 2^-128.

use core::ops::Range;

use rand::Rng;

use crate::scheme::residue;
use crate::{MessagePoint, Scheme, Signature, ValidKey};

/// Positions of the shares that are not their key's signature of `message`, ascending.
///
/// One check with random weights of 128 bits if all are good; for k bad ones of n about
/// k log2(n / k) pairings more, by halving. Names shares that cancel each other out, too.
pub fn invalid_shares<S: Scheme>(
    message: &MessagePoint<S>,
    shares: &[(ValidKey<S>, Signature<S>)],
) -> Vec<usize> {
    let signatures: Vec<_> = shares.iter().map(|(_, signature)| signature.0).collect();
    let keys: Vec<_> = shares.iter().map(|(key, _)| *key.g2()).collect();
    mismatches::<S>(&message.0, &signatures, &keys)
}

/// Positions where `multiples[i]` is not to `base` what `keys[i]` is to the generator of G2,
/// ascending.
///
/// With a message as base these are wrong signatures, with the generator of G1 keys whose halves do
/// not belong together.
pub(crate) fn mismatches<S: Scheme>(
    base: &S::G1Point,
    multiples: &[S::G1Point],
    keys: &[S::G2Point],
) -> Vec<usize> {
    debug_assert_eq!(multiples.len(), keys.len());
    let mut rng = rand::rng();
    let weights: Vec<_> = multiples.iter().map(|_| rng.random()).collect();
    let mut search = Search::<S> {
        base,
        multiples,
        keys,
        parts: S::weighted_sums(multiples, keys, &weights),
        weights,
        found: Vec::new(),
    };
    let all = 0..multiples.len();
    let nothing = Prefix {
        multiple: S::sum_g1(&[]),
        key: S::sum_g2(&[]),
        residue: S::one(),
    };
    let end = search.extend(&nothing, all.clone()).residue;
    search.descend(&nothing, end, all);
    search.found
}

/// Finds mismatches by halving.
///
/// Let P(n) be what the weighted equation of the first n pairs comes to. A range without a mismatch
/// has the same P at both its ends, so that the middle's is all that a step computes, whichever half
/// goes on. Two ends that differ are certain: there is a mismatch between them.
struct Search<'a, S: Scheme> {
    base: &'a S::G1Point,
    multiples: &'a [S::G1Point],
    keys: &'a [S::G2Point],
    weights: Vec<[u8; 16]>,
    /// The weighted sums of each [`Scheme::PART`] pairs.
    parts: (Vec<S::G1Point>, Vec<S::G2Point>),
    found: Vec<usize>,
}

/// Weighted sums of the first pairs and what their equation comes to.
struct Prefix<S: Scheme> {
    multiple: S::G1Point,
    key: S::G2Point,
    residue: S::Target,
}

impl<S: Scheme> Search<'_, S> {
    fn descend(&mut self, start: &Prefix<S>, end: S::Target, range: Range<usize>) {
        if start.residue == end {
            return;
        }
        if range.len() <= 1 {
            self.found.extend(range);
            return;
        }
        // Parts are halved last.
        let half = if range.len() > S::PART {
            range.len().div_ceil(S::PART) / 2 * S::PART
        } else {
            range.len() / 2
        };
        let middle = range.start + half;
        let left = self.extend(start, range.start..middle);
        self.descend(start, left.residue, range.start..middle);
        self.descend(&left, end, middle..range.end);
    }

    fn extend(&self, start: &Prefix<S>, range: Range<usize>) -> Prefix<S> {
        let is_border = |place| place % S::PART == 0 || place == self.weights.len();
        let (mut multiples, mut keys) = if is_border(range.start) && is_border(range.end) {
            let parts = range.start / S::PART..range.end.div_ceil(S::PART);
            let (multiples, keys) = &self.parts;
            (
                part(multiples, &parts).to_vec(),
                part(keys, &parts).to_vec(),
            )
        } else {
            let weights = part(&self.weights, &range);
            S::weighted_sums(
                part(self.multiples, &range),
                part(self.keys, &range),
                weights,
            )
        };
        multiples.push(start.multiple);
        keys.push(start.key);
        let (multiple, key) = (S::sum_g1(&multiples), S::sum_g2(&keys));
        Prefix {
            residue: residue::<S>(&multiple, self.base, &S::lines(&key)),
            multiple,
            key,
        }
    }
}

fn part<'a, T>(items: &'a [T], range: &Range<usize>) -> &'a [T] {
    items.get(range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;
    use alloy_primitives::{B256, U256};

    /// Signatures by the keys 1, 2, … and their keys.
    fn shares<S: Scheme>(count: u64) -> (S::G1Point, Vec<S::G1Point>, Vec<S::G2Point>) {
        let (signatures, keys) = (1..=count)
            .map(|number| {
                let key = SecretKey::<S>::from_bytes(&U256::from(number).to_be_bytes()).unwrap();
                (key.sign(B256::ZERO).0, *key.public_key().g2())
            })
            .unzip();
        (MessagePoint::<S>::of(B256::ZERO).0, signatures, keys)
    }

    fn exactly_the_bad_shares_are_found<S: Scheme>() {
        assert!(mismatches::<S>(&S::generator_g1(), &[], &[]).is_empty());
        let (message, good, keys) = shares::<S>(13);
        for bad in [vec![], vec![0], vec![12], vec![3, 4, 11], (0..13).collect()] {
            let mut signatures = good.clone();
            for index in &bad {
                signatures[*index] = S::subtract_g1(&S::sum_g1(&[]), &good[*index]);
            }
            assert_eq!(mismatches::<S>(&message, &signatures, &keys), bad);
        }
    }

    /// Across the borders of the parts that are summed first.
    fn bad_shares_are_found_in_every_part<S: Scheme>() {
        let message = MessagePoint::of(B256::ZERO);
        let key = SecretKey::<S>::random();
        let good = (key.public_key().clone(), key.sign(B256::ZERO));
        let bad = (good.0.clone(), key.sign(B256::repeat_byte(1)));
        for count in [S::PART - 1, S::PART, S::PART + 1, 3 * S::PART + 5] {
            let mut shares = vec![good.clone(); count];
            let mut expected = vec![
                0,
                1,
                S::PART - 2,
                S::PART - 1,
                S::PART,
                2 * S::PART,
                count - 1,
            ];
            expected.retain(|index| *index < count);
            expected.sort_unstable();
            expected.dedup();
            assert!(invalid_shares(&message, &shares).is_empty());
            for index in &expected {
                shares[*index] = bad.clone();
            }
            assert_eq!(invalid_shares(&message, &shares), expected);
        }
    }

    fn shares_that_are_wrong_and_cancel_out_are_found<S: Scheme>() {
        let (message, mut signatures, keys) = shares::<S>(4);
        let shift = S::generator_g1();
        signatures[1] = S::sum_g1(&[signatures[1], shift]);
        signatures[2] = S::subtract_g1(&signatures[2], &shift);
        assert_eq!(mismatches::<S>(&message, &signatures, &keys), [1, 2]);
    }

    fn one_swapped_half_breaks_the_link_of_two<S: Scheme>() {
        let halves = (1u64..=5).map(|number| {
            let key = SecretKey::<S>::from_bytes(&U256::from(number).to_be_bytes()).unwrap();
            (*key.public_key().g1(), *key.public_key().g2())
        });
        let (g1, mut g2): (Vec<_>, Vec<_>) = halves.unzip();
        let generator = S::generator_g1();
        assert!(mismatches::<S>(&generator, &g1, &g2).is_empty());
        g2.swap(1, 3);
        assert_eq!(mismatches::<S>(&generator, &g1, &g2), [1, 3]);
    }

    macro_rules! on_both_curves {
        ($($test:ident)*) => {
            mod bn254 {
                $(#[test] fn $test() { super::$test::<mach_core::Bn254>() })*
            }
            #[cfg(feature = "bls12-381")]
            mod bls12_381 {
                $(#[test] fn $test() { super::$test::<mach_core::Bls12381>() })*
            }
        };
    }

    on_both_curves! {
        exactly_the_bad_shares_are_found
        bad_shares_are_found_in_every_part
        shares_that_are_wrong_and_cancel_out_are_found
        one_swapped_half_breaks_the_link_of_two
    }
}
