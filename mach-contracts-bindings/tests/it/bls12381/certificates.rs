//! Right and wrong certificates.

use alloy_primitives::{B256, Bytes, U256, aliases::U96};
use mach_contracts_bindings::abi::bls12381::{
    Certificate, Fp2, G1Point, G2Point, IMachBls12381Verifier as V,
};

use super::{DIGEST, Key, Network, PAIRING_CHECK, TAG, id, order, precompile_failed, signature};
use crate::fixture::{STRANGER, refused};

#[test]
fn a_certificate_of_all_or_of_all_but_some_is_right() {
    let mut network = Network::new();
    struct Case(
        &'static [u8],
        &'static [u8],
        &'static [usize],
        [&'static [u64]; 2],
    );
    let cases = [
        Case(&[0], &[100], &[], [&[1000], &[1000]]),
        Case(&[0], &[90], &[0], [&[900], &[1000]]),
        Case(&[0], &[60], &[3], [&[600], &[1000]]),
        Case(&[1], &[57], &[2], [&[40], &[70]]),
        Case(&[0, 1], &[100, 100], &[], [&[1000, 70], &[1000, 70]]),
        Case(&[0, 1], &[50, 50], &[0, 2], [&[600, 40], &[1000, 70]]),
    ];
    for Case(quorums, thresholds, absent, [signed, total]) in cases {
        let certificate = network.certificate(quorums, thresholds, absent);
        let answer = network.check(&certificate).unwrap();
        let numbers =
            |stakes: Vec<U96>| stakes.iter().map(|stake| stake.to()).collect::<Vec<u64>>();
        assert_eq!(
            numbers(answer.signedStake),
            signed,
            "{quorums:?} {absent:?}"
        );
        assert_eq!(numbers(answer.totalStake), total, "{quorums:?} {absent:?}");
        let call = V::checkCertificateCall { certificate };
        let done = network
            .chain
            .send(STRANGER, network.verifier, &call)
            .unwrap();
        println!(
            "checkCertificate of quorums {quorums:?}, {} absent: {} gas",
            absent.len(),
            done.gas_used
        );
    }
}

/// Each field of a certificate of two quorums with one operator absent, altered.
#[test]
fn a_certificate_altered_anywhere_is_refused() {
    type Alteration = fn(&mut Certificate);
    let mut network = Network::new();
    let good = network.certificate(&[0, 1], &[66, 50], &[2]);
    network.check(&good).unwrap();
    let now = network.chain.block();
    let absent = id(&good.nonSigners[0]);
    let cases: [(&str, Alteration, String); 27] = [
        ("digest", |c| c.digest = B256::ZERO, "InvalidSignature".into()),
        (
            "reference block before the stakes",
            |c| c.referenceBlockNumber = 3,
            "QuorumWithoutStake { quorumNumber: 0 }".into(),
        ),
        (
            "reference block not past",
            |c| c.referenceBlockNumber += 1,
            format!("ReferenceBlockNotPast {{ referenceBlockNumber: {now}, currentBlock: {now} }}"),
        ),
        ("no quorum", |c| c.quorumNumbers = Bytes::new(), "NoQuorums".into()),
        (
            "fewer quorums",
            |c| c.quorumNumbers = Bytes::from_static(&[0]),
            "LengthMismatch".into(),
        ),
        (
            "descending quorums",
            |c| c.quorumNumbers = Bytes::from_static(&[1, 0]),
            "QuorumsNotAscending".into(),
        ),
        (
            "a quorum twice",
            |c| c.quorumNumbers = Bytes::from_static(&[1, 1]),
            "QuorumsNotAscending".into(),
        ),
        (
            "a quorum without members",
            |c| c.quorumNumbers = Bytes::from_static(&[0, 2]),
            "QuorumWithoutStake { quorumNumber: 2 }".into(),
        ),
        (
            "a quorum number out of range",
            |c| c.quorumNumbers = Bytes::from_static(&[0, 192]),
            "UnknownQuorum { quorumNumber: 192 }".into(),
        ),
        (
            "a threshold too high",
            |c| c.thresholds = Bytes::from_static(&[71, 50]),
            "ThresholdNotMet { quorumNumber: 0, signedStake: 700, totalStake: 1000, threshold: 71 }".into(),
        ),
        (
            "the other threshold too high",
            |c| c.thresholds = Bytes::from_static(&[66, 58]),
            "ThresholdNotMet { quorumNumber: 1, signedStake: 40, totalStake: 70, threshold: 58 }".into(),
        ),
        (
            "a threshold of nobody",
            |c| c.thresholds = Bytes::from_static(&[66, 0]),
            "InvalidThreshold { quorumNumber: 1, threshold: 0 }".into(),
        ),
        (
            "a threshold above all",
            |c| c.thresholds = Bytes::from_static(&[101, 50]),
            "InvalidThreshold { quorumNumber: 0, threshold: 101 }".into(),
        ),
        (
            "fewer thresholds",
            |c| c.thresholds = Bytes::from_static(&[66]),
            "LengthMismatch".into(),
        ),
        (
            "swapped quorum keys",
            |c| c.quorumApks.swap(0, 1),
            "OtherQuorumKey { quorumNumber: 0 }".into(),
        ),
        (
            "one quorum key less",
            |c| c.quorumApks.truncate(1),
            "LengthMismatch".into(),
        ),
        (
            "a quorum key of nobody",
            |c| c.quorumApks[1] = G1Point::default(),
            "OtherQuorumKey { quorumNumber: 1 }".into(),
        ),
        (
            "no non-signer",
            |c| c.nonSigners.clear(),
            "InvalidSignature".into(),
        ),
        (
            "a non-signer twice",
            |c| c.nonSigners.push(c.nonSigners[0]),
            format!("NonSignersNotAscending {{ operatorId: {absent} }}"),
        ),
        (
            "a signer as another non-signer",
            |c| {
                c.nonSigners.push(Key::new(U256::from(1001)).g1());
                c.nonSigners.sort_by_key(id);
                c.thresholds = Bytes::from_static(&[60, 50]);
            },
            "InvalidSignature".into(),
        ),
        (
            "a stranger as non-signer",
            |c| c.nonSigners[0] = Key::new(U256::from(5)).g1(),
            format!(
                "NotAMember {{ operatorId: {} }}",
                id(&Key::new(U256::from(5)).g1())
            ),
        ),
        (
            "a non-signer that is the identity",
            |c| c.nonSigners[0] = G1Point::default(),
            format!("NotAMember {{ operatorId: {} }}", id(&G1Point::default())),
        ),
        (
            "an aggregate key of somebody else",
            |c| c.apkG2 = Key::new(U256::from(5)).g2(),
            "InvalidSignature".into(),
        ),
        (
            "an aggregate key that is the identity",
            |c| c.apkG2 = G2Point::default(),
            "InvalidSignature".into(),
        ),
        (
            "an aggregate key in the order of BN254",
            |c| {
                let x = c.apkG2.X;
                c.apkG2.X = Fp2 { c0: x.c1, c1: x.c0 };
            },
            precompile_failed(PAIRING_CHECK),
        ),
        (
            "a signature of somebody else",
            |c| c.sigma = signature(&Key::new(U256::from(5)).sign(DIGEST, TAG)),
            "InvalidSignature".into(),
        ),
        (
            "a signature that is the identity",
            |c| c.sigma = G1Point::default(),
            "InvalidSignature".into(),
        ),
    ];
    for (name, alter, error) in cases {
        let mut certificate = good.clone();
        alter(&mut certificate);
        assert_ne!(certificate, good, "{name}");
        assert_eq!(refused(network.check(&certificate)), error, "{name}");
    }
}

#[test]
fn a_signer_counts_once_for_each_of_its_quorums() {
    let mut network = Network::new();
    let good = network.certificate(&[0, 1], &[100, 100], &[]);
    let once = network.certificate(&[0], &[100], &[]);
    let key_once = Certificate {
        apkG2: once.apkG2,
        ..good.clone()
    };
    let signature_once = Certificate {
        sigma: once.sigma,
        ..good.clone()
    };
    let both_once = Certificate {
        sigma: once.sigma,
        ..key_once.clone()
    };
    network.check(&good).unwrap();
    for bad in [key_once, signature_once, both_once] {
        assert_eq!(refused(network.check(&bad)), "InvalidSignature");
    }
}

#[test]
fn non_signers_have_to_ascend() {
    let mut network = Network::new();
    let good = network.certificate(&[0], &[30], &[0, 1, 2]);
    network.check(&good).unwrap();
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        let mut bad = good.clone();
        bad.nonSigners.swap(a, b);
        let refusal = refused(network.check(&bad));
        assert!(refusal.starts_with("NonSignersNotAscending"), "{refusal}");
    }
    // Not a member of the quorum that signs, though of another.
    let mut bad = network.certificate(&[1], &[30], &[2]);
    bad.nonSigners = vec![network.keys[0].g1()];
    let stranger = id(&bad.nonSigners[0]);
    assert_eq!(
        refused(network.check(&bad)),
        format!("NotAMember {{ operatorId: {stranger} }}")
    );
}

/// Whoever has two keys that cancel out would have a signature of every message: the identity.
#[test]
fn keys_that_cancel_out_sign_nothing() {
    let secret = U256::from(1001);
    let mut network =
        Network::with_keys([secret, order() - secret, U256::from(1003), U256::from(1004)]);
    let certificate = network.certificate(&[0], &[30], &[2, 3]);
    assert_eq!(certificate.apkG2, G2Point::default());
    assert_eq!(certificate.sigma, G1Point::default());
    assert_eq!(refused(network.check(&certificate)), "IdentityKey");
    // Beside others they do no harm.
    let certificate = network.certificate(&[0], &[60], &[2]);
    network.check(&certificate).unwrap();
}
