//! Many checks for the price of one, with random weights.
//!
//! A plain sum proves that the sum is right, and no more: two who collude can send `a + d` and
//! `b - d`. With weights of 128 random bits that nobody knew before, a wrong share survives with a
//! probability of 2^-128.

use ark_bn254::{G1Affine, G1Projective, G2Projective};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use rand::Rng;

use super::{MessagePoint, PublicKey, Signature, same_discrete_log};

/// Positions of the shares that are not their key's signature of `message`.
///
/// One check if all are good; for k bad ones of n about k log2(n / k) more, by halving.
pub(crate) fn invalid_shares(
    message: &MessagePoint,
    shares: &[(PublicKey, Signature)],
) -> Vec<usize> {
    let mut bad = Vec::new();
    search(message, shares, 0, false, &mut bad);
    bad
}

/// Whether in each key both halves belong together.
pub(crate) fn links_hold(keys: &[PublicKey]) -> bool {
    let weights = Weights::random(keys.len());
    let g1: Vec<_> = keys.iter().map(|key| key.g1).collect();
    let g2: Vec<_> = keys.iter().map(|key| key.g2).collect();
    same_discrete_log(
        weights.sum::<G1Projective>(&g1).into_affine(),
        G1Affine::generator(),
        weights.sum::<G2Projective>(&g2).into_affine(),
    )
}

fn search(
    message: &MessagePoint,
    shares: &[(PublicKey, Signature)],
    offset: usize,
    known_bad: bool,
    bad: &mut Vec<usize>,
) {
    if shares.is_empty() || (!known_bad && shares_hold(message, shares)) {
        return;
    }
    if shares.len() == 1 {
        bad.push(offset);
        return;
    }
    let found = bad.len();
    let (left, right) = shares.split_at(shares.len() / 2);
    search(message, left, offset, false, bad);
    // Some share of the whole is bad: if it is not on the left, it is on the right.
    let known_bad = bad.len() == found;
    search(message, right, offset + left.len(), known_bad, bad);
}

fn shares_hold(message: &MessagePoint, shares: &[(PublicKey, Signature)]) -> bool {
    let weights = Weights::random(shares.len());
    let signatures: Vec<_> = shares.iter().map(|(_, signature)| signature.0).collect();
    let keys: Vec<_> = shares.iter().map(|(key, _)| key.g2).collect();
    same_discrete_log(
        weights.sum::<G1Projective>(&signatures).into_affine(),
        message.0,
        weights.sum::<G2Projective>(&keys).into_affine(),
    )
}

/// 128 random bits for each share, in halves.
struct Weights {
    high: Vec<u64>,
    low: Vec<u64>,
}

impl Weights {
    fn random(count: usize) -> Self {
        let mut rng = rand::rng();
        Self {
            high: (0..count).map(|_| rng.random()).collect(),
            low: (0..count).map(|_| rng.random()).collect(),
        }
    }

    fn sum<G: VariableBaseMSM>(&self, points: &[G::MulBase]) -> G {
        let mut sum = G::msm_u64(points, &self.high);
        for _ in 0..64 {
            sum.double_in_place();
        }
        sum + G::msm_u64(points, &self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SecretKey, hash_to_g1};
    use super::*;
    use alloy_primitives::{B256, U256};

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
