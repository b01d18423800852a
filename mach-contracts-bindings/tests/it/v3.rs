//! V3 statements.

use alloy_primitives::{Address, B256, Bytes, U256, aliases::U96, keccak256};
use alloy_sol_types::SolValue;
use mach_contracts_bindings::{
    Artifact,
    abi::{self, IMachServiceManager as I, IRegistryCoordinator},
};
use mach_core::{Alert, AlertKind, Attestation, BlockRef, Domain, Statement};

use crate::{
    bls::{Key, sol_g1},
    chain::CHAIN_ID,
    fixture::{CONFIRMER, Fixture, OWNER, PAUSER, ROLLUP, STRANGER, refused},
};

fn alert() -> Alert {
    Alert {
        kind: AlertKind::InvalidBlock,
        rollup_chain_id: ROLLUP,
        block: BlockRef {
            number: 7,
            hash: B256::repeat_byte(1),
        },
        rule: 3,
        claimed: B256::repeat_byte(2),
        computed: B256::repeat_byte(3),
    }
}

fn attestation(number: u64) -> Attestation {
    Attestation {
        rollup_chain_id: ROLLUP,
        block: BlockRef {
            number,
            hash: keccak256(number.to_be_bytes()),
        },
        state_root: B256::repeat_byte(5),
        output_root: B256::repeat_byte(6),
    }
}

fn domain(f: &Fixture) -> Domain {
    Domain {
        l1_chain_id: CHAIN_ID,
        service_manager: f.service_manager,
    }
}

/// The alert, signed by everybody but `absent` at `block`.
fn submit_alert(
    f: &mut Fixture,
    alert: &Alert,
    block: u32,
    absent: &[usize],
) -> I::submitAlertCall {
    let digest = Statement::from(alert.clone()).digest(&domain(f));
    I::submitAlertCall {
        alert: alert.into(),
        referenceBlockNumber: block,
        nonSignerStakesAndSignature: f.proof(digest, &[0], block, absent),
    }
}

fn submit_attestation(
    f: &mut Fixture,
    attestation: &Attestation,
    absent: &[usize],
) -> I::submitAttestationCall {
    let digest = Statement::from(attestation.clone()).digest(&domain(f));
    let block = f.reference_block();
    I::submitAttestationCall {
        attestation: attestation.into(),
        referenceBlockNumber: block,
        nonSignerStakesAndSignature: f.proof(digest, &[0], block, absent),
    }
}

#[test]
fn the_contract_and_mach_core_agree_on_digests() {
    let mut f = Fixture::empty();
    let domain = domain(&f);
    for kind in [
        AlertKind::InvalidBlock,
        AlertKind::InvalidOutputProposal,
        AlertKind::WrongBlockHash,
        AlertKind::NotDerivable,
    ] {
        let alert = Alert {
            kind,
            rule: u16::MAX,
            block: BlockRef {
                number: u64::MAX,
                hash: B256::repeat_byte(9),
            },
            ..alert()
        };
        let digest = f.read(&I::alertDigestCall {
            alert: (&alert).into(),
        });
        assert_eq!(digest, Statement::from(alert).digest(&domain));
    }
    let attestation = attestation(u64::MAX);
    let digest = f.read(&I::attestationDigestCall {
        attestation: (&attestation).into(),
    });
    assert_eq!(digest, Statement::from(attestation).digest(&domain));
}

#[test]
fn the_domain_is_told_by_eip_5267() {
    let mut f = Fixture::empty();
    let answer = f.read(&I::eip712DomainCall {});
    assert_eq!(answer.fields.0, [0x0f]);
    assert_eq!(
        (answer.name.as_str(), answer.version.as_str()),
        ("Mach", "3")
    );
    assert_eq!(answer.chainId, U256::from(CHAIN_ID));
    assert_eq!(answer.verifyingContract, f.service_manager);
}

#[test]
fn anyone_may_submit_an_alert_and_all_of_it_can_be_read() {
    let mut f = Fixture::new();
    let alert = alert();
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert, block, &[0]);
    let submitted_at = f.chain.block();
    let done = f.send(STRANGER, &call).unwrap();
    println!("submitAlert, one of four absent: {} gas", done.gas_used);

    let digest = Statement::from(alert.clone()).digest(&domain(&f));
    let rollup = U256::from(ROLLUP);
    let event = done.event::<I::AlertSubmitted>();
    assert_eq!(event.digest, digest);
    assert_eq!((event.rollupChainId, event.blockNumber), (rollup, 7));
    assert_eq!(event.alert, abi::Alert::from(&alert));
    assert_eq!(event.referenceBlockNumber, block);
    assert_eq!(event.signedStake, [U96::from(900)]);
    assert_eq!(event.totalStake, [U96::from(1000)]);
    let absent = f.operators[0].id();
    let record = keccak256([&block.to_be_bytes()[..], absent.as_slice()].concat());
    assert_eq!(event.signatoryRecordHash, record);
    // Readers of V2 see it.
    assert_eq!(done.event::<I::AlertConfirmed>().messageHash, digest);
    assert_eq!(
        f.read(&I::totalAlertsCall {
            rollupChainId: rollup
        }),
        U256::from(1)
    );
    assert!(f.read(&I::containsCall {
        rollupChainId: rollup,
        messageHash: digest
    }));

    let record = f.read(&I::alertByDigestCall { digest });
    assert_eq!(record.alert, abi::Alert::from(&alert));
    assert_eq!(record.referenceBlockNumber, block);
    assert_eq!(record.submittedAt, u64::from(submitted_at));
    assert_eq!(record.status, 1);
    assert_eq!(
        f.read(&I::alertCountCall {
            rollupChainId: rollup
        }),
        U256::from(1)
    );
    let list = |start: u64, size| I::alertDigestsCall {
        rollupChainId: rollup,
        start: U256::from(start),
        size,
    };
    assert_eq!(f.read(&list(0, U256::MAX)), [digest]);
    assert_eq!(f.read(&list(1, U256::MAX)), [] as [B256; 0]);

    assert_eq!(
        refused(f.send(STRANGER, &call)),
        format!("AlreadyConfirmed {{ digest: {digest} }}")
    );
}

#[test]
fn a_removed_alert_stays_removed_until_the_owner_reopens_it() {
    let mut f = Fixture::new();
    let rollup = U256::from(ROLLUP);
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    f.send(STRANGER, &call).unwrap();
    let digest = Statement::from(alert()).digest(&domain(&f));
    f.send(
        OWNER,
        &I::removeAlertCall {
            rollupChainId: rollup,
            messageHash: digest,
        },
    )
    .unwrap();
    assert_eq!(f.read(&I::alertByDigestCall { digest }).status, 2);
    assert_eq!(
        f.read(&I::totalAlertsCall {
            rollupChainId: rollup
        }),
        U256::ZERO
    );
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        format!("AlertWasRemoved {{ digest: {digest} }}")
    );

    f.send(
        OWNER,
        &I::reopenAlertCall {
            rollupChainId: rollup,
            messageHash: digest,
        },
    )
    .unwrap();
    f.send(STRANGER, &call).unwrap();
    assert_eq!(f.read(&I::alertByDigestCall { digest }).status, 1);
    // It is one alert, not two.
    assert_eq!(
        f.read(&I::alertCountCall {
            rollupChainId: rollup
        }),
        U256::from(1)
    );
}

#[test]
fn an_alert_is_refused_with_its_reason() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    let good = submit_alert(&mut f, &alert(), block, &[]);

    f.send(
        PAUSER,
        &I::pauseCall {
            newPausedStatus: U256::from(1),
        },
    )
    .unwrap();
    assert_eq!(
        refused(f.send(STRANGER, &good)),
        "Pausable: contract is paused"
    );
    f.send(
        crate::fixture::UNPAUSER,
        &I::unpauseCall {
            newPausedStatus: U256::ZERO,
        },
    )
    .unwrap();

    let mut call = good.clone();
    call.alert.rollupChainId = U256::from(5);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "RollupNotEnabled { rollupChainId: 5 }"
    );
    for kind in [0, 5, 255] {
        let mut call = good.clone();
        call.alert.kind = kind;
        assert_eq!(
            refused(f.send(STRANGER, &call)),
            format!("UnknownAlertKind {{ kind: {kind} }}")
        );
    }

    let now = f.chain.block();
    let mut call = good.clone();
    call.referenceBlockNumber = now;
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        format!("ReferenceBlockNotPast {{ referenceBlockNumber: {now}, currentBlock: {now} }}")
    );

    // 600 of 1000
    let call = submit_alert(&mut f, &alert(), block, &[3]);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "ThresholdNotMet { quorumNumber: 0, signedStake: 600, totalStake: 1000, threshold: 66 }"
    );
    // Signed, but something else.
    for change in [
        |alert: &mut abi::Alert| alert.blockNumber += 1,
        |alert: &mut abi::Alert| alert.kind = 2,
        |alert: &mut abi::Alert| alert.blockHash = B256::ZERO,
        |alert: &mut abi::Alert| alert.rule += 1,
        |alert: &mut abi::Alert| alert.claimed = B256::ZERO,
        |alert: &mut abi::Alert| alert.computed = B256::ZERO,
    ] {
        let mut call = good.clone();
        change(&mut call.alert);
        assert_eq!(
            refused(f.send(STRANGER, &call)),
            "BLSSignatureChecker.checkSignatures: signature is invalid"
        );
    }
    assert_eq!(refused(f.send(STRANGER, &good)), "accepted");
}

#[test]
fn the_reference_block_may_be_as_old_as_the_owner_says() {
    let mut f = Fixture::new();
    let set = |blocks| I::setMaxReferenceBlockAgeCall { blocks };
    assert_eq!(f.read(&I::maxReferenceBlockAgeCall {}), 7200);
    assert_eq!(
        refused(f.send(STRANGER, &set(1))),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    assert_eq!(refused(f.send(OWNER, &set(0))), "ZeroReferenceBlockAge");
    f.send(OWNER, &set(10)).unwrap();

    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    f.chain.mine(10);
    let oldest = f.chain.block() - 10;
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        format!(
            "ReferenceBlockTooOld {{ referenceBlockNumber: {block}, oldestAllowed: {oldest} }}"
        )
    );
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    f.chain.mine(9);
    assert_eq!(refused(f.send(STRANGER, &call)), "accepted");
}

#[test]
fn a_signature_counts_for_one_service_manager_only() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    // The same registry, rollup and operators.
    let other = f.deploy_service_manager(f.registry);
    assert_eq!(
        refused(f.chain.send(STRANGER, other, &call)),
        "BLSSignatureChecker.checkSignatures: signature is invalid"
    );
    assert_eq!(refused(f.send(STRANGER, &call)), "accepted");
}

#[test]
fn a_signature_counts_on_one_chain_only() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    // A fork of the chain, with the same contracts at the same addresses.
    f.chain.set_chain_id(CHAIN_ID + 1);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "BLSSignatureChecker.checkSignatures: signature is invalid"
    );
    f.chain.set_chain_id(CHAIN_ID);
    assert_eq!(refused(f.send(STRANGER, &call)), "accepted");
}

/// The digest of V3 signed as if it were a message hash of V2, and the other way round.
#[test]
fn a_signature_counts_for_one_generation_only() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    let message_hash = Statement::from(alert()).digest(&domain(&f));
    let header = abi::AlertHeader {
        messageHash: message_hash,
        quorumNumbers: Bytes::from_static(&[0]),
        quorumThresholdPercentages: Bytes::from_static(&[66]),
        referenceBlockNumber: block,
        rollupChainID: U256::from(ROLLUP),
    };
    let v2 = I::confirmAlertCall {
        alertHeader: header,
        nonSignerStakesAndSignature: call.nonSignerStakesAndSignature.clone(),
    };
    assert_eq!(
        refused(f.send(CONFIRMER, &v2)),
        "BLSSignatureChecker.checkSignatures: signature is invalid"
    );
    // COMPAT 1.4: what V2 operators sign.
    let digest = keccak256((message_hash, U256::from(block), U256::from(ROLLUP)).abi_encode());
    let mut v3 = call;
    v3.nonSignerStakesAndSignature = f.proof(digest, &[0], block, &[]);
    assert_eq!(
        refused(f.send(STRANGER, &v3)),
        "BLSSignatureChecker.checkSignatures: signature is invalid"
    );
}

#[test]
fn an_alert_outlives_its_rollup() {
    let mut f = Fixture::new();
    let rollup = U256::from(ROLLUP);
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    f.send(STRANGER, &call).unwrap();
    let disable = I::setRollupChainIDCall {
        rollupChainId: rollup,
        status: false,
    };
    f.send(OWNER, &disable).unwrap();
    let digest = Statement::from(alert()).digest(&domain(&f));
    assert_eq!(f.read(&I::alertByDigestCall { digest }).status, 1);
    let total = I::totalAlertsCall {
        rollupChainId: rollup,
    };
    assert_eq!(f.read(&total), U256::from(1));
    let remove = I::removeAlertCall {
        rollupChainId: rollup,
        messageHash: digest,
    };
    f.send(OWNER, &remove).unwrap();
    assert_eq!(f.read(&total), U256::ZERO);
}

#[test]
fn a_height_has_one_attestation_for_ever() {
    let mut f = Fixture::new();
    let rollup = U256::from(ROLLUP);
    let head = I::attestedHeadCall {
        rollupChainId: rollup,
    };
    assert_eq!(f.read(&head).blockHash, B256::ZERO);

    let first = attestation(100);
    let call = submit_attestation(&mut f, &first, &[0]);
    let done = f.send(STRANGER, &call).unwrap();
    println!(
        "submitAttestation, one of four absent: {} gas",
        done.gas_used
    );
    let digest = Statement::from(first.clone()).digest(&domain(&f));
    let event = done.event::<I::AttestationSubmitted>();
    assert_eq!((event.digest, event.blockNumber), (digest, 100));
    assert_eq!(event.attestation, abi::Attestation::from(&first));
    assert_eq!(event.signedStake, [U96::from(900)]);
    let stored = f.read(&I::attestationCall {
        rollupChainId: rollup,
        blockNumber: 100,
    });
    assert_eq!((stored.attested, stored.digest), ((&first).into(), digest));
    let none = f.read(&I::attestationCall {
        rollupChainId: rollup,
        blockNumber: 99,
    });
    assert_eq!((none.attested, none.digest), Default::default());

    assert_eq!(
        refused(f.send(STRANGER, &call)),
        format!("AlreadyConfirmed {{ digest: {digest} }}")
    );
    let contradicts = format!(
        "ContradictingAttestation {{ rollupChainId: {ROLLUP}, blockNumber: 100, attestedBlockHash: {} }}",
        first.block.hash
    );
    let mut others = vec![first.clone(); 3];
    others[0].block.hash = B256::repeat_byte(8);
    others[1].state_root = B256::ZERO;
    others[2].output_root = B256::ZERO;
    for other in &others {
        let call = submit_attestation(&mut f, other, &[]);
        assert_eq!(refused(f.send(STRANGER, &call)), contradicts);
    }

    // The head is the highest, whatever the order.
    for number in [102, 101] {
        let call = submit_attestation(&mut f, &attestation(number), &[]);
        f.send(STRANGER, &call).unwrap();
        let head = f.read(&head);
        assert_eq!(
            (head.blockNumber, head.blockHash),
            (102, attestation(102).block.hash)
        );
    }
    // An attestation is no alert.
    assert_eq!(
        f.read(&I::totalAlertsCall {
            rollupChainId: rollup
        }),
        U256::ZERO
    );
}

#[test]
fn an_attestation_is_refused_with_its_reason() {
    let mut f = Fixture::new();
    let good = submit_attestation(&mut f, &attestation(1), &[]);
    let mut call = good.clone();
    call.attestation.rollupChainId = U256::from(5);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "RollupNotEnabled { rollupChainId: 5 }"
    );
    let mut call = good.clone();
    call.attestation.blockHash = B256::ZERO;
    assert_eq!(refused(f.send(STRANGER, &call)), "ZeroBlockHash");
    let mut call = good.clone();
    call.nonSignerStakesAndSignature.sigma = sol_g1(Key::new(1).g1());
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "BLSSignatureChecker.checkSignatures: signature is invalid"
    );
    let call = submit_attestation(&mut f, &attestation(1), &[2, 0]);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "ThresholdNotMet { quorumNumber: 0, signedStake: 600, totalStake: 1000, threshold: 66 }"
    );
    f.send(PAUSER, &I::pauseAllCall {}).unwrap();
    assert_eq!(
        refused(f.send(STRANGER, &good)),
        "Pausable: contract is paused"
    );
}

#[test]
fn the_contract_says_which_quorums_sign_and_not_the_submitter() {
    let mut f = Fixture::new();
    let set = |quorums: &[u8], thresholds: &[u8]| I::setStatementQuorumsCall {
        quorumNumbers: Bytes::copy_from_slice(quorums),
        thresholds: Bytes::copy_from_slice(thresholds),
    };
    for (quorums, thresholds, reason) in [
        (&[][..], &[][..], "InvalidStatementQuorums"),
        (&[0], &[], "InvalidStatementQuorums"),
        (&[0], &[65], "InvalidStatementQuorums"),
        (&[0], &[101], "InvalidStatementQuorums"),
        (&[0, 1], &[66], "InvalidStatementQuorums"),
        (&[1, 0], &[66, 66], "QuorumsNotAscending"),
        (&[0, 0], &[66, 66], "QuorumsNotAscending"),
        (&[2], &[66], "UnknownQuorum { quorumNumber: 2 }"),
    ] {
        assert_eq!(
            refused(f.send(OWNER, &set(quorums, thresholds))),
            reason,
            "{quorums:?}"
        );
    }
    assert_eq!(
        refused(f.send(STRANGER, &set(&[0], &[66]))),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    f.send(OWNER, &set(&[0, 1], &[66, 90])).unwrap();

    // Signed by one quorum: not as many keys as the contract has quorums.
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "BLSSignatureChecker.checkSignatures: input quorum length mismatch"
    );
    let digest = Statement::from(alert()).digest(&domain(&f));
    let mut call = call;
    // 700 of 1000 is enough in quorum 0; 40 of 70 is not in quorum 1.
    call.nonSignerStakesAndSignature = f.proof(digest, &[0, 1], block, &[2]);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "ThresholdNotMet { quorumNumber: 1, signedStake: 40, totalStake: 70, threshold: 90 }"
    );
    call.nonSignerStakesAndSignature = f.proof(digest, &[0, 1], block, &[0, 1]);
    assert_eq!(refused(f.send(STRANGER, &call)), "accepted");
}

#[test]
fn the_floor_under_all_thresholds_binds_statements_too() {
    let mut f = Fixture::new();
    let floor = I::updateQuorumThresholdPercentageCall {
        thresholdPercentage: 95,
    };
    f.send(OWNER, &floor).unwrap();
    let terms = f.read(&I::statementQuorumsCall {});
    assert_eq!(
        (&terms.quorumNumbers[..], &terms.thresholds[..]),
        (&[0][..], &[95][..])
    );
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[0]);
    assert_eq!(
        refused(f.send(STRANGER, &call)),
        "ThresholdNotMet { quorumNumber: 0, signedStake: 900, totalStake: 1000, threshold: 95 }"
    );
}

#[test]
fn a_quorum_without_stake_confirms_no_statement() {
    let mut f = Fixture::new();
    for index in 0..4 {
        let leave = IRegistryCoordinator::ejectOperatorCall {
            operator: f.operators[index].address(),
            quorumNumbers: Bytes::from_static(&[0]),
        };
        f.chain.send(OWNER, f.registry, &leave).unwrap();
    }
    f.operators.clear();
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    assert_eq!(
        refused(f.send(CONFIRMER, &call)),
        "QuorumWithoutStake { quorumNumber: 0 }"
    );
}

#[test]
fn the_implementation_itself_confirms_nothing() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    let call = submit_alert(&mut f, &alert(), block, &[]);
    let implementation = I::constructorCall {
        avsDirectory: f.registry,
        registryCoordinator: f.registry,
        stakeRegistry: f.registry,
    };
    let implementation = f
        .chain
        .deploy(STRANGER, Artifact::MachServiceManager, &implementation)
        .unwrap();
    assert_eq!(
        refused(f.chain.send(STRANGER, implementation, &call)),
        format!("RollupNotEnabled {{ rollupChainId: {ROLLUP} }}")
    );
    assert_eq!(
        f.chain.call(implementation, &I::ownerCall {}).unwrap(),
        Address::ZERO
    );
}
