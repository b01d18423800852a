use std::sync::Arc;

use alloy_primitives::{B256, U256};
use mach_bls::{CertificateError, OperatorKeys, PointError, verify_certificate};
use mach_core::{
    Attestation, Certificate, Domain, G1Bytes, G2Bytes, NonSigner, QuorumNumbers, QuorumStake,
    Round, Stake, Statement, Threshold,
};
use proptest::prelude::*;

use crate::fixture::{
    REFERENCE_BLOCK, TestCurve, keys, number, on_both_curves, operator, secret, signed, statement,
    tally,
};

/// Two quorums of five operators of which one is absent in the first and two in the second.
pub(crate) fn certificate<S: TestCurve>() -> (Arc<OperatorKeys<S>>, Certificate<S>) {
    let members: [(U256, u128); 5] = std::array::from_fn(|index| (number(index as u64 + 1), 20));
    let keys = keys::<S>(&[&members[..4], &members]);
    let mut tally = tally(&keys, 60);
    for (key, _) in &members[..3] {
        tally.add(&signed::<S>(*key)).unwrap();
    }
    let certificate = tally.certificate().certificate.unwrap();
    (keys, certificate)
}

/// The first four are in quorum 0, everybody is in quorum 1.
pub(crate) fn absentee<S: TestCurve>(key: u64) -> NonSigner<S> {
    let operator = operator::<S>(secret::<S>(number(key)).public_key());
    let stake = |quorum| QuorumStake {
        quorum,
        stake: Stake::new(20).unwrap(),
    };
    NonSigner {
        id: operator.id(),
        key_g1: operator.key_g1,
        stakes: [0, 1][usize::from(key > 4)..]
            .iter()
            .map(|quorum| stake(*quorum))
            .collect(),
    }
}

pub(crate) fn round(quorums: [u8; 2], thresholds: [u8; 2], reference_block: u32) -> Round {
    let thresholds = thresholds.map(|percent| Threshold::percent(percent).unwrap());
    let quorums = QuorumNumbers::new(quorums).unwrap();
    Round::new(quorums, thresholds.to_vec(), reference_block).unwrap()
}

fn a_certificate_of_a_tally_is_accepted<S: TestCurve>() {
    let (keys, certificate) = certificate::<S>();
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
    let json = serde_json::to_string(&certificate).unwrap();
    let read: Certificate<S> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, certificate);
    assert_eq!(verify_certificate(&read, &keys), Ok(()));
}

/// A change of a certificate.
type Change<S> = fn(&mut Certificate<S>);

fn every_changed_field_is_named<S: TestCurve>() {
    use CertificateError as E;
    let changes: [(Change<S>, E); 24] = [
        (|it| it.statement = statement(8), E::InvalidSignature),
        (
            |it| {
                if let Statement::Attestation(Attestation { state_root, .. }) = &mut it.statement {
                    *state_root = B256::ZERO;
                }
            },
            E::InvalidSignature,
        ),
        (
            |it| {
                it.domain = Domain {
                    l1_chain_id: 2,
                    ..it.domain
                }
            },
            E::InvalidSignature,
        ),
        (
            |it| it.round = round([0, 1], [60, 60], REFERENCE_BLOCK + 1),
            E::OtherSet,
        ),
        (
            |it| it.round = round([0, 2], [60, 60], REFERENCE_BLOCK),
            E::OtherSet,
        ),
        (
            |it| it.round = round([0, 1], [76, 60], REFERENCE_BLOCK),
            E::BelowThreshold(0),
        ),
        (
            |it| it.round = round([0, 1], [60, 61], REFERENCE_BLOCK),
            E::BelowThreshold(1),
        ),
        // None absent, one more, one twice, another order, a stranger, another key.
        (|it| it.non_signers.clear(), E::Quorum(0)),
        (
            |it| {
                it.non_signers.push(absentee(1));
                it.non_signers.sort_by_key(|it| it.id);
            },
            E::Quorum(0),
        ),
        (
            |it| it.non_signers.push(it.non_signers[1].clone()),
            E::NonSigners,
        ),
        (|it| it.non_signers.reverse(), E::NonSigners),
        (|it| it.non_signers.push(absentee(9)), E::NonSigners),
        (
            |it| it.non_signers[0].key_g1 = absentee(9).key_g1,
            E::NonSigners,
        ),
        (|it| it.quorums.truncate(1), E::QuorumCount),
        (|it| it.quorums.push(it.quorums[0]), E::QuorumCount),
        (|it| it.quorums.swap(0, 1), E::Quorum(0)),
        (|it| it.quorums[1].quorum = 2, E::Quorum(1)),
        (|it| it.quorums[0].apk = it.quorums[1].apk, E::Quorum(0)),
        (
            |it| it.quorums[0].signed = Stake::new(61).unwrap(),
            E::Quorum(0),
        ),
        (
            |it| it.quorums[1].total = Stake::new(99).unwrap(),
            E::Quorum(1),
        ),
        (
            |it| it.apk_g2 = secret::<S>(number(9)).public_key().g2_bytes(),
            E::AggregateKey,
        ),
        (
            |it| it.sigma = secret::<S>(number(9)).sign(it.digest()).to_bytes(),
            E::InvalidSignature,
        ),
        (
            |it| it.sigma = G1Bytes(Default::default()),
            E::Malformed(PointError::Identity),
        ),
        (
            |it| *it.sigma.0.as_mut().last_mut().unwrap() ^= 1,
            E::Malformed(PointError::NotOnCurve),
        ),
    ];
    let (keys, certificate) = certificate::<S>();
    for (index, (change, error)) in changes.into_iter().enumerate() {
        let mut changed = certificate.clone();
        change(&mut changed);
        assert_eq!(verify_certificate(&changed, &keys), Err(error), "{index}");
    }
}

/// Thresholds and reference block are the contract's policy, or the caller's.
fn a_lower_threshold_is_not_for_the_certificate_to_refuse<S: TestCurve>() {
    let (keys, mut certificate) = certificate::<S>();
    certificate.round = round([0, 1], [1, 1], REFERENCE_BLOCK);
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
}

/// All stake absent, and the identity for everything that is summed.
fn an_empty_certificate_is_refused<S: TestCurve>() {
    let (keys, mut certificate) = certificate::<S>();
    certificate.non_signers = (1..=5).map(absentee).collect();
    certificate.non_signers.sort_by_key(|it| it.id);
    for quorum in &mut certificate.quorums {
        quorum.signed = Stake::ZERO;
    }
    certificate.apk_g2 = G2Bytes(Default::default());
    certificate.sigma = G1Bytes(Default::default());
    assert_eq!(
        verify_certificate(&certificate, &keys),
        Err(CertificateError::BelowThreshold(0))
    );
}

fn no_bit_of_a_point_may_be_another<S: TestCurve>() {
    let (keys, certificate) = certificate::<S>();
    let points = [0, 1, 2].map(|point| (0..4096usize).prop_map(move |bit| (point, bit)));
    let [sigma, apk_g2, apk] = points;
    proptest!(ProptestConfig::with_cases(64), |(flip in prop_oneof![sigma, apk_g2, apk])| {
        let mut certificate = certificate.clone();
        let (point, bit) = flip;
        let bytes = match point {
            0 => certificate.sigma.0.as_mut(),
            1 => certificate.apk_g2.0.as_mut(),
            _ => certificate.quorums[1].apk.0.as_mut(),
        };
        let bit = bit % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_certificate(&certificate, &keys).is_err());
    });
}

on_both_curves! {
    no_bit_of_a_point_may_be_another
    a_certificate_of_a_tally_is_accepted
    every_changed_field_is_named
    a_lower_threshold_is_not_for_the_certificate_to_refuse
    an_empty_certificate_is_refused
}
