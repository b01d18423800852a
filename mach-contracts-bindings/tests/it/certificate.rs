//! `MachCertificate` and the example of its use, with certificates that mach-bls made.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, aliases::U96};
use alloy_sol_types::SolInterface;
use futures::executor::block_on;
use mach_bls::{LocalSigner, OperatorKeys, Tally, bn254::SecretKey};
use mach_contracts_bindings::{
    Artifact, Revert,
    abi::{
        AttestationCertificate, G1Point, G2Point, IAttestedOutputs as I,
        IAttestedOutputs::IAttestedOutputsErrors, IMachServiceManager, QuorumStake,
    },
};
use mach_core::{
    Attestation, BlockRef, Certificate, CertificateFile, Domain, Operator, OperatorSet,
    QuorumNumbers, Round, Stake, Statement, Threshold, ports::StatementSigner,
};

use crate::{
    chain::CHAIN_ID,
    fixture::{Fixture, OWNER, ROLLUP, STRANGER},
};

/// The service manager with its operators, and the example beside it.
struct World {
    f: Fixture,
    outputs: Address,
    reference_block: u32,
}

fn attestation(number: u64) -> Attestation {
    Attestation {
        rollup_chain_id: ROLLUP,
        block: BlockRef {
            number,
            hash: B256::repeat_byte(1),
        },
        state_root: B256::repeat_byte(5),
        output_root: B256::repeat_byte(6),
    }
}

impl World {
    fn new() -> Self {
        let mut f = Fixture::new();
        let reference_block = f.reference_block();
        let constructor = I::constructorCall {
            l1ChainId: CHAIN_ID,
            serviceManager: f.service_manager,
            rollupChainId: U256::from(ROLLUP),
            owner: OWNER,
        };
        let outputs = f
            .chain
            .deploy(STRANGER, Artifact::AttestedOutputs, &constructor);
        Self {
            outputs: outputs.unwrap(),
            f,
            reference_block,
        }
    }

    fn domain(&self) -> Domain {
        Domain {
            l1_chain_id: CHAIN_ID,
            service_manager: self.f.service_manager,
        }
    }

    /// What the registry has: stakes 100 to 400 in quorum 0, 30 and 40 in quorum 1.
    fn set(&self, quorums: &[u8]) -> OperatorSet {
        let quorums = QuorumNumbers::new(quorums).unwrap();
        let mut set = OperatorSet::new(quorums, self.reference_block);
        for number in 1..=4u64 {
            let key = secret(number);
            let operator = Operator {
                address: Address::ZERO,
                key_g1: key.public_key().g1_bytes(),
                key_g2: key.public_key().g2_bytes(),
            };
            let stake = |weight: u64| Stake::new(weight.into()).unwrap();
            set.insert(0, operator, stake(100 * number));
            if number > 2 {
                set.insert(1, operator, stake(10 * number));
            }
        }
        set
    }

    /// Signed by everybody but `absent`.
    fn certificate(&self, quorums: &[u8], attestation: Attestation, absent: &[u64]) -> Certificate {
        let set = self.set(quorums);
        let keys = Arc::new(OperatorKeys::new(&set).unwrap());
        let thresholds = vec![Threshold::percent(66).unwrap(); quorums.len()];
        let round = Round::new(set.quorums().clone(), thresholds, self.reference_block).unwrap();
        let statement = Statement::from(attestation);
        let mut tally = Tally::new(statement.clone(), self.domain(), round, keys).unwrap();
        for number in (1..=4).filter(|number| !absent.contains(number)) {
            let signer = LocalSigner::new(secret(number));
            let signed = block_on(signer.sign(&statement, &self.domain())).unwrap();
            tally.add(&signed).unwrap();
        }
        tally.certificate().certificate.unwrap()
    }

    fn check(&mut self, certificate: AttestationCertificate) -> Result<I::checkFileReturn, String> {
        let call = I::checkFileCall { certificate };
        let checked = self.f.chain.call(self.outputs, &call);
        checked.map_err(|revert| named(&revert))
    }
}

fn secret(number: u64) -> SecretKey {
    SecretKey::from_bytes(&U256::from(1000 + number).to_be_bytes()).unwrap()
}

/// The example's own errors by their name.
fn named(revert: &Revert) -> String {
    match revert {
        Revert::Unknown(data) => match IAttestedOutputsErrors::abi_decode(data) {
            Ok(error) => format!("{error:?}"),
            Err(_) => format!("{revert:?}"),
        },
        revert => revert.to_string(),
    }
}

fn solidity(certificate: &Certificate) -> AttestationCertificate {
    AttestationCertificate::new(certificate).unwrap()
}

#[test]
fn a_file_is_checked_as_it_is() {
    let mut world = World::new();
    for (quorums, absent, signed) in [
        (&[0][..], &[][..], &[1000u64][..]),
        (&[0], &[1, 2], &[700]),
        (&[0, 1], &[1], &[900, 70]),
    ] {
        let certificate = world.certificate(quorums, attestation(7), absent);
        // Through the file that is handed on.
        let file = CertificateFile(certificate).to_json();
        let certificate = CertificateFile::from_json(file.as_bytes()).unwrap().0;
        let checked = world.check(solidity(&certificate)).unwrap();
        let signed: Vec<_> = signed.iter().map(|stake| U96::from(*stake)).collect();
        assert_eq!(checked.signedStake, signed);
        assert_eq!(checked.operators, certificate.operators_digest());
    }
}

#[test]
fn a_file_is_accepted_once_its_operators_are_trusted() {
    let mut world = World::new();
    let certificate = world.certificate(&[0], attestation(7), &[1]);
    let accept = I::acceptFileCall {
        certificate: solidity(&certificate),
    };
    let refused = world.f.chain.send(STRANGER, world.outputs, &accept);
    assert!(named(&refused.err().unwrap()).starts_with("UnknownOperators"));
    let trust = I::trustCall {
        operators: certificate.operators_digest(),
        status: true,
    };
    world.f.chain.send(OWNER, world.outputs, &trust).unwrap();
    let done = world
        .f
        .chain
        .send(STRANGER, world.outputs, &accept)
        .unwrap();
    println!("acceptFile, one of four absent: {} gas", done.gas_used);
    assert!(done.gas_used < 330_000, "{}", done.gas_used);
    let event = done.event::<I::OutputAccepted>();
    assert_eq!(
        (event.blockNumber, event.outputRoot),
        (7, B256::repeat_byte(6))
    );

    // Another block by the same operators needs no more trust, one with another output is refused.
    let next = world.certificate(&[0], attestation(8), &[1]);
    let next = I::acceptFileCall {
        certificate: solidity(&next),
    };
    world.f.chain.send(STRANGER, world.outputs, &next).unwrap();
    let other = Attestation {
        output_root: B256::repeat_byte(9),
        ..attestation(7)
    };
    let other = I::acceptFileCall {
        certificate: solidity(&world.certificate(&[0], other, &[1])),
    };
    let refused = world.f.chain.send(STRANGER, world.outputs, &other);
    assert!(named(&refused.err().unwrap()).starts_with("OtherOutput"));
}

#[test]
fn whatever_is_altered_is_refused() {
    type Change = fn(&mut AttestationCertificate);
    let changes: [(&str, Change, &str); 30] = [
        (
            "rollup",
            |c| c.attestation.rollupChainId += U256::from(1),
            "InvalidSignature",
        ),
        (
            "number",
            |c| c.attestation.blockNumber += 1,
            "InvalidSignature",
        ),
        (
            "hash",
            |c| c.attestation.blockHash = B256::ZERO,
            "InvalidSignature",
        ),
        (
            "state root",
            |c| c.attestation.stateRoot = B256::ZERO,
            "InvalidSignature",
        ),
        (
            "output root",
            |c| c.attestation.outputRoot = B256::ZERO,
            "InvalidSignature",
        ),
        ("L1", |c| c.l1ChainId += 1, "OtherServiceManager"),
        (
            "service manager",
            |c| c.serviceManager = STRANGER,
            "OtherServiceManager",
        ),
        (
            "low threshold",
            |c| c.quorums[0].threshold = 65,
            "ThresholdTooLow",
        ),
        (
            "threshold of 0",
            |c| c.quorums[1].threshold = 0,
            "ThresholdTooLow",
        ),
        (
            "threshold of 101",
            |c| c.quorums[1].threshold = 101,
            "InvalidThreshold",
        ),
        (
            "threshold not met",
            |c| c.quorums[0].threshold = 91,
            "ThresholdNotMet",
        ),
        ("no quorums", |c| c.quorums.clear(), "NoQuorums"),
        (
            "quorums in another order",
            |c| c.quorums.swap(0, 1),
            "QuorumsNotAscending",
        ),
        (
            "a quorum twice",
            |c| c.quorums[1].number = 0,
            "QuorumsNotAscending",
        ),
        (
            "another quorum",
            |c| c.quorums[0].number = 9,
            "QuorumsNotAscending",
        ),
        (
            "one quorum less",
            |c| c.quorums.truncate(1),
            "InvalidSignature",
        ),
        (
            "total stake below the absent",
            |c| c.quorums[0].totalStake = U96::from(99),
            "InvalidNonSigner",
        ),
        (
            "no stake",
            |c| c.quorums[1].totalStake = U96::ZERO,
            "QuorumWithoutStake",
        ),
        (
            "key of a quorum",
            |c| c.quorums[0].apk = c.quorums[1].apk.clone(),
            "InvalidSignature",
        ),
        (
            "no key of a quorum",
            |c| c.quorums[0].apk = G1Point::default(),
            "IdentityKey",
        ),
        (
            "a key off the curve",
            |c| c.quorums[0].apk.Y += U256::from(1),
            "PrecompileFailed",
        ),
        (
            "nobody absent",
            |c| c.nonSigners.clear(),
            "InvalidSignature",
        ),
        (
            "absent twice",
            |c| c.nonSigners.push(c.nonSigners[0].clone()),
            "NonSignersNotAscending",
        ),
        (
            "absent without stake",
            |c| c.nonSigners[0].stakes.clear(),
            "InvalidNonSigner",
        ),
        (
            "absent in another quorum",
            |c| c.nonSigners[0].stakes[0].quorumNumber = 5,
            "InvalidNonSigner",
        ),
        (
            "absent in one quorum twice",
            |c| {
                let stake = QuorumStake::default();
                c.nonSigners[0].stakes.push(stake);
            },
            "InvalidNonSigner",
        ),
        (
            "more stake absent",
            |c| c.nonSigners[0].stakes[0].stake = U96::from(350),
            "ThresholdNotMet",
        ),
        (
            "key of the signers",
            |c| c.apkG2 = G2Point::default(),
            "InvalidSignature",
        ),
        (
            "no signature",
            |c| c.sigma = G1Point::default(),
            "InvalidSignature",
        ),
        (
            "a signature off the curve",
            |c| c.sigma.X += U256::from(1),
            "PrecompileFailed",
        ),
    ];
    let mut world = World::new();
    let certificate = solidity(&world.certificate(&[0, 1], attestation(7), &[1]));
    world.check(certificate.clone()).unwrap();
    for (what, change, error) in changes {
        let mut changed = certificate.clone();
        change(&mut changed);
        let refused = world.check(changed).err();
        let is_named = refused.as_ref().is_some_and(|it| it.contains(error));
        assert!(is_named, "{what}: {refused:?}");
    }
}

/// What a certificate cannot prove by itself comes out as other operators.
#[test]
fn stakes_that_are_made_up_are_of_other_operators() {
    type Change = fn(&mut AttestationCertificate);
    let changes: [Change; 3] = [
        |c| c.referenceBlockNumber += 1,
        |c| c.quorums[0].totalStake += U96::from(1),
        |c| c.nonSigners[0].stakes[0].stake -= U96::from(1),
    ];
    let mut world = World::new();
    let certificate = solidity(&world.certificate(&[0], attestation(7), &[1]));
    let operators = world.check(certificate.clone()).unwrap().operators;
    for change in changes {
        let mut changed = certificate.clone();
        change(&mut changed);
        assert_ne!(world.check(changed).unwrap().operators, operators);
    }
}

#[test]
fn on_l1_the_registries_are_asked() {
    let mut world = World::new();
    let reference_block = world.f.reference_block();
    let of = |world: &mut World, attestation: &Attestation, absent: &[usize]| {
        let digest = Statement::from(attestation.clone()).digest(&world.domain());
        I::acceptCall {
            attestation: attestation.into(),
            referenceBlockNumber: reference_block,
            params: world.f.proof(digest, &[0], reference_block, absent),
        }
    };
    let good = of(&mut world, &attestation(7), &[0]);
    let mut send = |call: &I::acceptCall| {
        let sent = world.f.chain.send(STRANGER, world.outputs, call);
        sent.map_err(|revert| named(&revert))
    };
    let done = send(&good).unwrap();
    println!("accept, one of four absent: {} gas", done.gas_used);
    assert_eq!(done.event::<I::OutputAccepted>().blockNumber, 7);

    let mut altered = good.clone();
    altered.attestation.outputRoot = B256::ZERO;
    assert!(
        send(&altered)
            .err()
            .unwrap()
            .contains("signature is invalid")
    );
    let mut altered = good.clone();
    altered.params.nonSignerPubkeys.clear();
    altered.params.nonSignerQuorumBitmapIndices.clear();
    assert!(send(&altered).err().is_some());
    let mut altered = good.clone();
    altered.referenceBlockNumber += 100;
    assert!(
        send(&altered)
            .err()
            .unwrap()
            .contains("invalid reference block")
    );

    // 60 % of the stake, and the service manager wants 66.
    let few = of(&mut world, &attestation(8), &[3]);
    let refused = world.f.chain.send(STRANGER, world.outputs, &few);
    assert!(named(&refused.err().unwrap()).contains("ThresholdNotMet"));
    // As old as the service manager takes, and one more.
    let age = (world.f).read(&IMachServiceManager::maxReferenceBlockAgeCall {});
    let late = of(&mut world, &attestation(9), &[]);
    let past = u64::from(world.f.chain.block() - reference_block);
    world.f.chain.mine(u64::from(age) - past);
    world.f.chain.send(STRANGER, world.outputs, &late).unwrap();
    let refused = world.f.chain.send(STRANGER, world.outputs, &late);
    assert!(named(&refused.err().unwrap()).starts_with("ReferenceBlockTooOld"));
    // Of another rollup, which the service manager does not mind.
    let other = Attestation {
        rollup_chain_id: ROLLUP + 1,
        ..attestation(9)
    };
    let other = solidity(&world.certificate(&[0], other, &[]));
    let other = I::acceptFileCall { certificate: other };
    let refused = world.f.chain.send(STRANGER, world.outputs, &other);
    assert!(named(&refused.err().unwrap()).starts_with("UnknownOperators"));
}
