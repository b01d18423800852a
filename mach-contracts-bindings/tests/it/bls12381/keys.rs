//! Keys, stakes and points.

use alloy_primitives::{U256, aliases::U96};
use mach_contracts_bindings::{
    abi::bls12381::{Certificate, Fp, G1Point, G2Point, IMachBls12381Verifier as V},
    bls12381_key_digest,
};
use revm::primitives::hardfork::SpecId;

use super::{
    DIGEST, G1MSM, Key, Network, PAIRING_CHECK, TAG, deploy, id, operator,
    outside_the_subgroup_of_g1, outside_the_subgroup_of_g2, precompile_failed, signature, sum_g1,
    sum_signatures,
};
use crate::{
    chain::{CHAIN_ID, Chain},
    fixture::{OWNER, STRANGER, refused},
};

#[test]
fn what_is_no_point_of_the_group_is_refused_and_leaves_gas() {
    let mut network = Network::new();
    let good = network.certificate(&[0], &[66], &[]);
    let one = U256::from(1);
    let bad_g1 = |good: G1Point| {
        let mut off_curve = good;
        off_curve.Y.low ^= one;
        let mut not_below = good;
        not_below.X = Fp {
            // The modulus.
            high: "0x1a0111ea397fe69a4b1ba7b6434bacd7".parse().unwrap(),
            low: "0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
                .parse()
                .unwrap(),
        };
        let mut padded = good;
        padded.X.high |= one << 200;
        [off_curve, not_below, padded, outside_the_subgroup_of_g1()]
    };
    for sigma in bad_g1(good.sigma) {
        let bad = Certificate {
            sigma,
            ..good.clone()
        };
        assert_eq!(refused(network.check(&bad)), precompile_failed(G1MSM));
    }
    let mut off_curve = good.apkG2;
    off_curve.X.c1.low ^= one;
    let mut padded = good.apkG2;
    padded.Y.c0.high |= one << 128;
    for apk_g2 in [off_curve, padded, outside_the_subgroup_of_g2()] {
        let bad = Certificate {
            apkG2: apk_g2,
            ..good.clone()
        };
        assert_eq!(
            refused(network.check(&bad)),
            precompile_failed(PAIRING_CHECK)
        );
        // The precompile took no more than its cap.
        let call = V::checkCertificateCall { certificate: bad };
        let verifier = network.verifier;
        assert_eq!(network.chain.gas_of_refusal(verifier, &call) / 600_000, 0);
    }

    let key = Key::new(U256::from(77));
    let digest = bls12381_key_digest(STRANGER, network.verifier, CHAIN_ID);
    let proof = signature(&key.sign(digest, TAG));
    for bad in bad_g1(key.g1()) {
        let refusal = network.register_raw(STRANGER, bad, key.g2(), proof);
        assert_eq!(refused(refusal), precompile_failed(G1MSM));
    }
    for bad in bad_g1(proof) {
        let refusal = network.register_raw(STRANGER, key.g1(), key.g2(), bad);
        assert_eq!(refused(refusal), precompile_failed(G1MSM));
    }
    let outside = outside_the_subgroup_of_g2();
    let refusal = network.register_raw(STRANGER, key.g1(), outside, proof);
    assert_eq!(refused(refusal), precompile_failed(PAIRING_CHECK));
}

#[test]
fn an_operator_registers_one_key_that_it_holds() {
    let mut network = Network::empty();
    let (one, two) = (operator(0), operator(1));
    let (key, other) = (Key::new(U256::from(11)), Key::new(U256::from(12)));
    let digest = bls12381_key_digest(one, network.verifier, CHAIN_ID);
    let told = network.read(&V::keyRegistrationDigestCall { operator: one });
    assert_eq!(told, digest);

    let proof = signature(&key.sign(digest, TAG));
    let invalid = "InvalidProofOfPossession";
    let zero = (G1Point::default(), G2Point::default());
    let cases = [
        ("halves of two keys", key.g1(), other.g2(), proof, invalid),
        ("of another key", other.g1(), other.g2(), proof, invalid),
        ("no proof", key.g1(), key.g2(), zero.0, invalid),
        ("half a key", key.g1(), zero.1, proof, invalid),
        ("the other half", zero.0, key.g2(), proof, "IdentityKey"),
        ("nothing", zero.0, zero.1, zero.0, "IdentityKey"),
    ];
    for (name, g1, g2, proof, error) in cases {
        assert_eq!(
            refused(network.register_raw(one, g1, g2, proof)),
            error,
            "{name}"
        );
    }
    // A proof is of one operator, under one tag.
    assert_eq!(
        refused(network.register_raw(two, key.g1(), key.g2(), proof)),
        invalid
    );
    let otherwise = signature(&key.sign(digest, b"ANOTHER_TAG"));
    assert_eq!(
        refused(network.register_raw(one, key.g1(), key.g2(), otherwise)),
        invalid
    );

    let done = network.register(one, &key).unwrap();
    let operator_id = id(&key.g1());
    println!("registerKey: {} gas", done.gas_used);
    let event = done.event::<V::KeyRegistered>();
    assert_eq!((event.operator, event.operatorId), (one, operator_id));
    assert_eq!((event.key, event.keyG2), (key.g1(), key.g2()));
    assert_eq!(
        network.read(&V::operatorIdsCall { operator: one }),
        operator_id
    );
    assert_eq!(
        network.read(&V::operatorsCall {
            operatorId: operator_id
        }),
        one
    );
    assert_eq!(
        network.read(&V::keyOfCall {
            operatorId: operator_id
        }),
        key.g1()
    );
    let taken = format!("AlreadyRegistered {{ operatorId: {operator_id} }}");
    assert_eq!(refused(network.register(one, &other)), taken);
    assert_eq!(refused(network.register(two, &key)), taken);
}

#[test]
fn stakes_and_keys_are_those_of_the_reference_block() {
    let mut network = Network::new();
    let before = network.certificate(&[0], &[90], &[0]);
    let first = id(&network.keys[0].g1());
    // The first operator leaves, the last one gains.
    let done = network
        .set_stakes(OWNER, &[(0, 0, 0), (3, 0, 500)])
        .unwrap();
    assert_eq!(done.logs.len(), 2);
    let quorum_key = sum_g1(
        &network.keys[1..]
            .iter()
            .map(|key| key.in_g1.sk_to_pk())
            .collect::<Vec<_>>(),
    );
    assert_eq!(
        network.read(&V::quorumApkCall { quorumNumber: 0 }),
        quorum_key
    );
    let answer = network.check(&before).unwrap();
    assert_eq!(answer.totalStake, [U96::from(1000)]);

    let block = network.chain.block() - 1;
    let stale = Certificate {
        referenceBlockNumber: block,
        ..before.clone()
    };
    assert_eq!(
        refused(network.check(&stale)),
        "OtherQuorumKey { quorumNumber: 0 }"
    );
    let mut now = Certificate {
        quorumApks: vec![quorum_key],
        ..stale
    };
    assert_eq!(
        refused(network.check(&now)),
        format!("NotAMember {{ operatorId: {first} }}")
    );
    now.nonSigners.clear();
    let answer = network.check(&now).unwrap();
    assert_eq!(answer.signedStake, [U96::from(1000)]);
    for (block, stakes) in [(block - 1, (100, 400)), (block, (0, 500)), (0, (0, 0))] {
        let mut stake = |index: usize| {
            let call = V::stakeAtCall {
                operatorId: id(&network.keys[index].g1()),
                quorumNumber: 0,
                blockNumber: block,
            };
            network.read(&call).to::<u64>()
        };
        assert_eq!((stake(0), stake(3)), stakes, "{block}");
    }
    // It comes back, in a block of several changes of which the last counts.
    network
        .set_stakes(OWNER, &[(0, 0, 7), (0, 0, 0), (0, 0, 100), (3, 0, 400)])
        .unwrap();
    let again = Certificate {
        referenceBlockNumber: network.chain.block() - 1,
        ..before
    };
    network.check(&again).unwrap();
}

#[test]
fn only_the_owner_sets_stakes_and_only_of_registered_keys() {
    let mut network = Network::new();
    assert_eq!(
        refused(network.set_stakes(STRANGER, &[(0, 0, 1)])),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    assert_eq!(
        refused(network.set_stakes(OWNER, &[(0, 0, 1), (4, 0, 1)])),
        format!("NotRegistered {{ operator: {} }}", operator(4))
    );
    assert_eq!(
        refused(network.set_stakes(OWNER, &[(0, 192, 1)])),
        "UnknownQuorum { quorumNumber: 192 }"
    );
    network.set_stakes(OWNER, &[(0, 191, 1)]).unwrap();
}

#[test]
fn the_domain_separation_tag_is_a_parameter() {
    let mut network = Network::new();
    assert_eq!(network.read(&V::signatureDomainCall {}).as_ref(), TAG);
    let signers = &network.keys;
    let signatures: Vec<_> = signers.iter().map(|key| key.sign(DIGEST, b"TAG")).collect();
    let sigma = sum_signatures(&signatures);
    let bad = Certificate {
        sigma,
        ..network.certificate(&[0], &[66], &[])
    };
    assert_eq!(refused(network.check(&bad)), "InvalidSignature");

    let chain = &mut network.chain;
    for length in [0, 256] {
        assert_eq!(
            refused(deploy(chain, &vec![b'A'; length])),
            format!("InvalidDomain {{ length: {length} }}")
        );
    }
    // The longest, and others that end at each place in a block of SHA-256; blst signs the proof.
    for length in (1..=255).step_by(127).chain([64, 191]) {
        let tag = vec![b'A'; length];
        let verifier = deploy(chain, &tag).unwrap();
        let key = Key::new(U256::from(9));
        let digest = bls12381_key_digest(STRANGER, verifier, CHAIN_ID);
        let call = V::registerKeyCall {
            key: key.g1(),
            keyG2: key.g2(),
            proof: signature(&key.sign(digest, &tag)),
        };
        chain.send(STRANGER, verifier, &call).unwrap();
    }
}

#[test]
fn a_chain_without_the_precompiles_takes_no_verifier() {
    let mut chain = Chain::new();
    chain.set_spec(SpecId::CANCUN);
    let map_fp_to_g1 = 0x10;
    assert_eq!(
        refused(deploy(&mut chain, TAG)),
        precompile_failed(map_fp_to_g1)
    );
}
