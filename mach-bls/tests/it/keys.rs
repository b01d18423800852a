//! What may be a key, on both curves.

use alloy_primitives::{B256, U256};
use mach_bls::{
    KeyError, MessagePoint, PointError, PossessionProof, Scheme, SecretKey, SecretKeyError,
    Signature, ValidKey, invalid_shares,
};
use mach_core::{G1Bytes, G2Bytes, OperatorId};
use proptest::prelude::*;

use crate::fixture::{TestCurve, number, on_both_curves, secret, sum};

const fn point_error<T>(group: &'static str, source: PointError) -> Result<T, KeyError> {
    Err(KeyError::Point { group, source })
}

fn zero_and_numbers_from_the_group_order_on_are_no_keys<S: TestCurve>() {
    let one = number(1);
    for number in [U256::ZERO, S::ORDER, S::ORDER + one, U256::MAX] {
        let key = SecretKey::<S>::from_bytes(&number.to_be_bytes());
        assert_eq!(key.err(), Some(SecretKeyError), "{number}");
    }
    let last = (S::ORDER - one).to_be_bytes();
    assert_eq!(*SecretKey::<S>::from_bytes(&last).unwrap().to_bytes(), last);
}

fn a_key_that_breaks_a_rule_is_refused<S: TestCurve>() {
    let key = secret::<S>(number(2));
    let (g1, g2) = (key.public_key().g1_bytes(), key.public_key().g2_bytes());
    let registry = |g1: &G1Bytes<S>, g2: &G2Bytes<S>| ValidKey::from_registry(g1, g2);
    assert_eq!(registry(&g1, &g2).as_ref(), Ok(key.public_key()));

    let (zero_g1, zero_g2) = (G1Bytes(Default::default()), G2Bytes(Default::default()));
    assert_eq!(
        registry(&zero_g1, &g2),
        point_error("G1", PointError::Identity)
    );
    assert_eq!(
        registry(&g1, &zero_g2),
        point_error("G2", PointError::Identity)
    );
    // Both halves: no multiple of the generators is zero.
    assert_eq!(
        registry(&zero_g1, &zero_g2),
        point_error("G1", PointError::Identity)
    );

    let (mut off_g1, mut off_g2) = (g1, g2);
    *off_g1.0.as_mut().last_mut().unwrap() ^= 1;
    *off_g2.0.as_mut().last_mut().unwrap() ^= 1;
    assert_eq!(
        registry(&off_g1, &g2),
        point_error("G1", PointError::NotOnCurve)
    );
    assert_eq!(
        registry(&g1, &off_g2),
        point_error("G2", PointError::NotOnCurve)
    );

    let (mut large_g1, mut large_g2) = (g1, g2);
    large_g1.0.as_mut().fill(0xff);
    large_g2.0.as_mut().fill(0xff);
    assert_eq!(
        registry(&large_g1, &g2),
        point_error("G1", PointError::Coordinate)
    );
    assert_eq!(
        registry(&g1, &large_g2),
        point_error("G2", PointError::Coordinate)
    );

    let other = secret::<S>(number(3));
    let (other_g1, other_g2) = (other.public_key().g1_bytes(), other.public_key().g2_bytes());
    assert_eq!(registry(&g1, &other_g2), Err(KeyError::Unlinked));
    assert_eq!(registry(&other_g1, &g2), Err(KeyError::Unlinked));
}

/// The key that is made from another's, so that the sum of both is one that the maker has.
fn a_rogue_key_proves_no_possession<S: TestCurve>() {
    let (honest, rogue) = (secret::<S>(number(5)), S::ORDER + number(7) - number(5));
    let digest = B256::repeat_byte(9);
    let message = MessagePoint::of(digest);
    assert_eq!(
        honest.prove_possession_of(digest).verify(&message).as_ref(),
        Ok(honest.public_key())
    );
    // The points can be computed without the number; the signature cannot.
    let key = secret::<S>(rogue);
    let proof = PossessionProof::<S> {
        key_g1: key.public_key().g1_bytes(),
        key_g2: key.public_key().g2_bytes(),
        signature: secret::<S>(number(7)).sign(digest).to_bytes(),
    };
    assert_eq!(proof.verify(&message), Err(KeyError::NotPossessed));
    let garbage = PossessionProof {
        signature: G1Bytes(Default::default()),
        ..proof
    };
    assert_eq!(garbage.verify(&message), Err(KeyError::NotPossessed));
    let elsewhere = MessagePoint::of(B256::ZERO);
    let proof = honest.prove_possession_of(digest);
    assert_eq!(proof.verify(&elsewhere), Err(KeyError::NotPossessed));
}

fn a_signature_is_of_one_key_and_one_message<S: TestCurve>() {
    let (key, other) = (SecretKey::<S>::random(), SecretKey::<S>::random());
    let digest = B256::repeat_byte(1);
    let signature = key.sign(digest);
    let public = key.public_key();
    assert_eq!(signature, key.sign(digest));
    // Twice: the lines of the key are prepared by the first.
    for _ in 0..2 {
        assert!(public.verify(digest, &signature).is_ok());
        assert!(public.clone().verify(digest, &signature).is_ok());
        assert!(public.verify(B256::ZERO, &signature).is_err());
        assert!(public.verify(digest, &other.sign(digest)).is_err());
        assert!(other.public_key().verify(digest, &signature).is_err());
    }
    assert_eq!(
        public.operator_id(),
        OperatorId::from_key(&public.g1_bytes())
    );
    let operator = public.operator_id().0;
    assert_eq!(
        (format!("{key:?}"), format!("{public:?}")),
        (
            format!("SecretKey {{ operator: {operator:?}, .. }}"),
            format!("ValidKey {{ operator: {operator:?}, .. }}")
        )
    );
}

fn the_sum_of_signatures_belongs_to_the_sum_of_keys<S: TestCurve>() {
    let numbers = [3, 5, 1_000_003].map(number);
    let digest = B256::repeat_byte(1);
    let keys = numbers.map(secret::<S>);
    let all = secret::<S>(sum::<S>(numbers));
    let signatures = keys.iter().map(|key| key.sign(digest));
    assert_eq!(Signature::sum(signatures), Ok(all.sign(digest)));
    let publics = keys.iter().map(SecretKey::public_key);
    let key = ValidKey::sum(publics).unwrap();
    assert_eq!(&key, all.public_key());
    assert_eq!(key.g2_bytes(), all.public_key().g2_bytes());

    // Nothing, and what cancels out.
    let opposite = secret::<S>(S::ORDER - number(3));
    let pair = [keys[0].sign(digest), opposite.sign(digest)];
    assert_eq!(Signature::sum(pair), Err(PointError::Identity));
    assert_eq!(Signature::<S>::sum([]), Err(PointError::Identity));
    let pair = [keys[0].public_key(), opposite.public_key()];
    assert_eq!(ValidKey::sum(pair), Err(PointError::Identity));
    assert_eq!(ValidKey::<S>::sum([]), Err(PointError::Identity));
}

/// Each share alone decides who is named.
fn a_batch_names_whom_single_checks_refuse<S: TestCurve>() {
    let digest = B256::repeat_byte(4);
    let message = MessagePoint::of(digest);
    let keys: [_; 6] = std::array::from_fn(|index| secret::<S>(number(index as u64 + 1)));
    let signers = prop::collection::vec(0..6usize, 0..12);
    proptest!(ProptestConfig::with_cases(24), |(signers in signers)| {
        // Whose key signs in whose name.
        let shares: Vec<_> = signers
            .iter()
            .enumerate()
            .map(|(index, signer)| (keys[index % 6].public_key().clone(), keys[*signer].sign(digest)))
            .collect();
        let refused: Vec<_> = shares
            .iter()
            .enumerate()
            .filter(|(_, (key, signature))| key.verify_point(&message, signature).is_err())
            .map(|(index, _)| index)
            .collect();
        prop_assert_eq!(invalid_shares(&message, &shares), refused);
    });
}

fn decoding_is_the_inverse_of_encoding<S: TestCurve>() {
    proptest!(ProptestConfig::with_cases(24), |(bytes in any::<[u8; 32]>())| {
        let number = U256::from_be_bytes(bytes) % S::ORDER;
        prop_assume!(number != U256::ZERO);
        let key = secret::<S>(number);
        prop_assert_eq!(U256::from_be_bytes(*key.to_bytes()), number);
        let (g1, g2) = (key.public_key().g1_bytes(), key.public_key().g2_bytes());
        let read = ValidKey::<S>::from_registry(&g1, &g2).unwrap();
        prop_assert_eq!((read.g1_bytes(), read.g2_bytes()), (g1, g2));
        let signature = key.sign(B256::from(bytes)).to_bytes();
        prop_assert_eq!(Signature::<S>::from_bytes(&signature).unwrap().to_bytes(), signature);
    });
}

fn any_bytes_are_a_point_or_an_error<S: TestCurve>() {
    fn check<S: Scheme>(g1: &G1Bytes<S>, g2: &G2Bytes<S>) {
        if let Ok(point) = S::decode_g1(g1) {
            assert_eq!(S::encode_g1(&point), *g1);
        }
        if let Ok(point) = S::decode_g2(g2) {
            assert_eq!(S::encode_g2(&point), *g2);
        }
    }
    let key = secret::<S>(number(11));
    let (g1, g2) = (key.public_key().g1_bytes(), key.public_key().g2_bytes());
    proptest!(|(noise in any::<[u8; 32]>(), place in 0..256usize)| {
        let (mut g1, mut g2) = (g1, g2);
        for bytes in [g1.0.as_mut(), g2.0.as_mut()] {
            let place = place % (bytes.len() - 31);
            bytes[place..place + 32].copy_from_slice(&noise);
        }
        check::<S>(&g1, &g2);
    });
}

on_both_curves! {
    zero_and_numbers_from_the_group_order_on_are_no_keys
    a_key_that_breaks_a_rule_is_refused
    a_rogue_key_proves_no_possession
    a_signature_is_of_one_key_and_one_message
    the_sum_of_signatures_belongs_to_the_sum_of_keys
    a_batch_names_whom_single_checks_refuse
    decoding_is_the_inverse_of_encoding
    any_bytes_are_a_point_or_an_error
}
