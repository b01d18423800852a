//! What a certificate proves without the operator set.

use alloy_primitives::{Address, B256, U256, b256, keccak256};
use ark_bn254::{Fq2, G2Affine};
use ark_ff::PrimeField;
use mach_bls::{
    CertificateError as E, OperatorKeys, PointError, verify_certificate, verify_self_contained,
};
use mach_core::{
    Attestation, Bn254, Certificate, CertificateFile, G1Bytes, G2Bytes, OperatorId, OperatorsFile,
    QuorumStake, Stake, Statement,
};
use proptest::prelude::*;

use crate::certificate::{absentee, certificate, round};
use crate::fixture::{REFERENCE_BLOCK, TestCurve, number, on_both_curves, secret, statement};

fn a_file_is_verified_as_it_is<S: TestCurve>() {
    let (keys, certificate) = certificate::<S>();
    let file = CertificateFile(certificate);
    let read = CertificateFile::<S>::from_json(file.to_json().as_bytes()).unwrap();
    assert_eq!(read, file);
    assert_eq!(verify_self_contained(&read.0), Ok(()));
    assert_eq!(verify_certificate(&read.0, &keys), Ok(()));
}

fn stake(weight: u128) -> Stake {
    Stake::new(weight).unwrap()
}

/// A change of a certificate.
type Change<S> = fn(&mut Certificate<S>);

fn every_changed_field_is_named<S: TestCurve>() {
    let changes: [(Change<S>, E); 34] = [
        (|it| it.statement = statement(8), E::InvalidSignature),
        (
            |it| change(it, |of| of.rollup_chain_id += 1),
            E::InvalidSignature,
        ),
        (
            |it| change(it, |of| of.block.hash = B256::ZERO),
            E::InvalidSignature,
        ),
        (
            |it| change(it, |of| of.state_root = B256::ZERO),
            E::InvalidSignature,
        ),
        (
            |it| change(it, |of| of.output_root = B256::ZERO),
            E::InvalidSignature,
        ),
        // Another chain, another service manager.
        (|it| it.domain.l1_chain_id = 2, E::InvalidSignature),
        (
            |it| it.domain.service_manager = Address::repeat_byte(1),
            E::InvalidSignature,
        ),
        // Other quorums, thresholds that are not met.
        (
            |it| it.round = round([0, 2], [60, 60], REFERENCE_BLOCK),
            E::NonSigners,
        ),
        (
            |it| it.round = round([0, 1], [76, 60], REFERENCE_BLOCK),
            E::BelowThreshold(0),
        ),
        (
            |it| it.round = round([0, 1], [60, 61], REFERENCE_BLOCK),
            E::BelowThreshold(1),
        ),
        // Stakes: of all, of signers, both.
        (|it| it.quorums[0].total = stake(81), E::Quorum(0)),
        (|it| it.quorums[0].signed = stake(61), E::Quorum(0)),
        (|it| it.quorums[1].total = stake(39), E::Quorum(1)),
        (
            |it| {
                it.quorums[0].total = stake(20);
                it.quorums[0].signed = Stake::ZERO;
            },
            E::BelowThreshold(0),
        ),
        (|it| it.quorums.truncate(1), E::QuorumCount),
        (|it| it.quorums.push(it.quorums[0]), E::QuorumCount),
        (|it| it.quorums.swap(0, 1), E::Quorum(0)),
        (|it| it.quorums[0].apk = it.quorums[1].apk, E::AggregateKey),
        // The absent: none, one less, one more, twice, another order, not themselves.
        (|it| it.non_signers.clear(), E::Quorum(0)),
        (
            |it| {
                it.non_signers.clear();
                it.quorums[0].signed = stake(80);
                it.quorums[1].signed = stake(100);
            },
            E::AggregateKey,
        ),
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
        (
            |it| it.non_signers[0].id = OperatorId(B256::ZERO),
            E::NonSigners,
        ),
        (
            |it| it.non_signers[0].key_g1 = absentee(9).key_g1,
            E::NonSigners,
        ),
        (|it| it.non_signers[0].stakes.clear(), E::NonSigners),
        (
            |it| {
                let again = it.non_signers[0].stakes[0];
                it.non_signers[0].stakes.push(again);
            },
            E::NonSigners,
        ),
        (
            |it| {
                it.non_signers[0].stakes.push(QuorumStake {
                    quorum: 7,
                    stake: Stake::ZERO,
                });
            },
            E::NonSigners,
        ),
        (
            |it| it.non_signers[0].stakes[0].stake = Stake::MAX,
            E::Quorum(1),
        ),
        (
            |it| it.apk_g2 = secret::<S>(number(9)).public_key().g2_bytes(),
            E::AggregateKey,
        ),
        (
            |it| it.apk_g2 = G2Bytes(Default::default()),
            E::MalformedKey(PointError::Identity),
        ),
        (
            |it| it.quorums[0].apk = G1Bytes(Default::default()),
            E::MalformedKey(PointError::Identity),
        ),
        (
            |it| it.sigma = secret::<S>(number(9)).sign(it.digest()).to_bytes(),
            E::InvalidSignature,
        ),
        (
            |it| it.sigma = G1Bytes(Default::default()),
            E::Malformed(PointError::Identity),
        ),
    ];
    let (_, certificate) = certificate::<S>();
    for (index, (change, error)) in changes.into_iter().enumerate() {
        let mut changed = certificate.clone();
        change(&mut changed);
        let verified = verify_self_contained(&changed);
        // Which of the two absent comes first depends on the curve.
        let is_either = matches!((&verified, &error), (Err(E::Quorum(_)), E::Quorum(_)));
        assert!(verified == Err(error) || is_either, "{index}: {verified:?}");
    }
}

fn change<S: TestCurve>(certificate: &mut Certificate<S>, change: fn(&mut Attestation)) {
    let Statement::Attestation(attestation) = &mut certificate.statement else {
        panic!("an attestation");
    };
    change(attestation);
}

/// Made by @noble/curves in TypeScript, with the keys 2, 3, 5 and 7 of which the last is absent; so
/// are the digests.
#[test]
fn a_certificate_of_another_implementation_is_accepted() {
    let file = include_bytes!("../../../fuzz/corpus/certificate_file/certificate");
    let operators = include_bytes!("../../../fuzz/corpus/certificate_file/operators");
    let certificate = CertificateFile::<Bn254>::from_json(file).unwrap().0;
    assert_eq!(verify_self_contained(&certificate), Ok(()));
    let operators = OperatorsFile::from_json(operators).unwrap();
    assert_eq!(operators.domain, certificate.domain);
    let keys = OperatorKeys::new(&operators.set).unwrap();
    assert_eq!(verify_certificate(&certificate, &keys), Ok(()));
    assert_eq!(
        certificate.digest(),
        b256!("6a475f2c50084c43e60baa266494f2c0d0a8fee936eeb1578527104c142cfa3b")
    );
    assert_eq!(
        certificate.operators_digest(),
        b256!("297fb6b66b520d168d17edbd9a872aac060ed90b6959c2ebbee6885bc31ebb83")
    );
}

/// What nobody signed and is part of the operator set instead: it is proved by nothing here, so the
/// digest of the operators tells.
fn what_is_left_to_trust_is_in_one_digest<S: TestCurve>() {
    let changes: [Change<S>; 8] = [
        |it| it.domain.l1_chain_id = 2,
        |it| it.domain.service_manager = Address::repeat_byte(1),
        |it| it.round = round([0, 1], [60, 60], REFERENCE_BLOCK + 1),
        |it| it.quorums[0].total = stake(81),
        |it| it.quorums[1].apk = it.quorums[0].apk,
        |it| it.quorums[1].quorum = 2,
        |it| it.non_signers[0].stakes[0].stake = stake(1),
        |it| it.non_signers.truncate(1),
    ];
    let (_, certificate) = certificate::<S>();
    let mut digests = vec![certificate.operators_digest()];
    for change in changes {
        let mut changed = certificate.clone();
        change(&mut changed);
        digests.push(changed.operators_digest());
    }
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
    // Neither what is signed nor by whom is of the set.
    let mut other = certificate.clone();
    other.statement = statement(8);
    other.sigma = G1Bytes(Default::default());
    other.apk_g2 = G2Bytes(Default::default());
    other.round = round([0, 1], [1, 1], REFERENCE_BLOCK);
    assert_eq!(other.operators_digest(), certificate.operators_digest());
}

/// The preimage, written out as the documentation has it.
#[test]
fn the_digest_of_the_operators_is_as_documented() {
    let (_, certificate) = certificate::<mach_core::Bn254>();
    let mut bytes = b"mach operatorsbn254\0".to_vec();
    bytes.extend(1u64.to_be_bytes());
    bytes.extend([0; 20]);
    bytes.extend(REFERENCE_BLOCK.to_be_bytes());
    bytes.extend(2u64.to_be_bytes());
    for (quorum, total) in [(0, 80u128), (1, 100)] {
        bytes.push(quorum);
        bytes.extend(certificate.quorums[usize::from(quorum)].apk.0);
        bytes.extend(total.to_be_bytes());
    }
    bytes.extend(2u64.to_be_bytes());
    for absent in &certificate.non_signers {
        bytes.extend(absent.key_g1.0);
        bytes.push(absent.stakes.len() as u8);
        for of in &absent.stakes {
            bytes.push(of.quorum);
            bytes.extend(20u128.to_be_bytes());
        }
    }
    assert_eq!(certificate.operators_digest(), keccak256(bytes));
}

/// Who makes up the set signs for it: that is what is left to trust, and what the operator set of L1
/// refuses.
fn a_made_up_set_is_told_by_the_operators_only<S: TestCurve>() {
    let (keys, mut certificate) = certificate::<S>();
    let liar = secret::<S>(U256::from(77));
    let twice = secret::<S>(U256::from(2 * 77));
    certificate.non_signers.clear();
    for quorum in &mut certificate.quorums {
        quorum.apk = liar.public_key().g1_bytes();
        quorum.signed = quorum.total;
    }
    certificate.apk_g2 = twice.public_key().g2_bytes();
    certificate.sigma = twice.sign(certificate.digest()).to_bytes();
    assert_eq!(verify_self_contained(&certificate), Ok(()));
    assert_eq!(verify_certificate(&certificate, &keys), Err(E::Quorum(0)));
}

fn no_bit_of_a_point_may_be_another<S: TestCurve>() {
    let (_, certificate) = certificate::<S>();
    proptest!(ProptestConfig::with_cases(64), |(point in 0..4usize, bit in 0..4096usize)| {
        let mut certificate = certificate.clone();
        let bytes = match point {
            0 => certificate.sigma.0.as_mut(),
            1 => certificate.apk_g2.0.as_mut(),
            2 => certificate.quorums[1].apk.0.as_mut(),
            _ => certificate.non_signers[0].key_g1.0.as_mut(),
        };
        let bit = bit % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_self_contained(&certificate).is_err());
    });
}

/// Most points of the twist are outside the group of order r; the pairing precompile refuses them.
#[test]
fn a_key_outside_the_subgroup_is_refused() {
    let outside = (0u64..)
        .find_map(|x| G2Affine::get_point_from_x_unchecked(Fq2::new(x.into(), 1u64.into()), false))
        .unwrap();
    let words = [outside.x.c0, outside.x.c1, outside.y.c0, outside.y.c1]
        .map(|it| U256::from_limbs(it.into_bigint().0).to_be_bytes::<32>());
    let (_, mut certificate) = certificate::<mach_core::Bn254>();
    certificate.apk_g2 = G2Bytes(words.concat().as_slice().try_into().unwrap());
    assert_eq!(
        verify_self_contained(&certificate),
        Err(E::MalformedKey(PointError::NotInSubgroup))
    );
}

on_both_curves! {
    a_file_is_verified_as_it_is
    every_changed_field_is_named
    what_is_left_to_trust_is_in_one_digest
    a_made_up_set_is_told_by_the_operators_only
    no_bit_of_a_point_may_be_another
}
