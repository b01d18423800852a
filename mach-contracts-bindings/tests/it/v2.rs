//! The V2 surface: every check of `confirmAlert` in its order, and what surrounds it.

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::SolValue;
use mach_contracts_bindings::{
    Artifact,
    abi::{
        AlertHeader, IMachServiceManager as I, IRegistryCoordinator, NonSignerStakesAndSignature,
    },
};

use crate::{
    bls::{Key, sol_g1, sol_g2},
    chain::answer_or_forward,
    fixture::{
        CONFIRMER, Fixture, OWNER, PAUSER, ROLLUP, STRANGER, UNPAUSER, WHITELISTER, refused,
    },
};

const HASH: B256 = B256::repeat_byte(0xaa);

fn digest(header: &AlertHeader) -> B256 {
    // COMPAT 1.4: 96 bytes.
    keccak256(
        (
            header.messageHash,
            U256::from(header.referenceBlockNumber),
            header.rollupChainID,
        )
            .abi_encode(),
    )
}

fn header(fixture: &Fixture, quorums: &[u8], percentages: &[u8]) -> AlertHeader {
    AlertHeader {
        messageHash: HASH,
        quorumNumbers: Bytes::copy_from_slice(quorums),
        quorumThresholdPercentages: Bytes::copy_from_slice(percentages),
        referenceBlockNumber: fixture.reference_block(),
        rollupChainID: U256::from(ROLLUP),
    }
}

/// A header with its signature by everybody but `absent`.
pub(crate) fn signed(
    fixture: &mut Fixture,
    quorums: &[u8],
    percentages: &[u8],
    absent: &[usize],
) -> I::confirmAlertCall {
    let header = header(fixture, quorums, percentages);
    let proof = fixture.proof(
        digest(&header),
        quorums,
        header.referenceBlockNumber,
        absent,
    );
    I::confirmAlertCall {
        alertHeader: header,
        nonSignerStakesAndSignature: proof,
    }
}

fn confirm(
    fixture: &mut Fixture,
    header: &AlertHeader,
    proof: &NonSignerStakesAndSignature,
) -> String {
    let call = I::confirmAlertCall {
        alertHeader: header.clone(),
        nonSignerStakesAndSignature: proof.clone(),
    };
    refused(fixture.send(CONFIRMER, &call))
}

const PREFIX: &str = "BLSSignatureChecker.checkSignatures: ";

/// Everything is wrong at first; each check is passed before the next one is met.
#[test]
fn an_alert_is_checked_in_the_order_of_the_original() {
    let mut f = Fixture::new();
    // A contract that passes calls on: the sender of the message, but not of the transaction.
    let relay = address!("00000000000000000000000000000000000f0000");
    f.chain.set_code(
        relay,
        answer_or_forward([0; 4], B256::ZERO, f.service_manager),
    );
    let rollup = U256::from(ROLLUP + 1);

    // An alert that the owner removed.
    let mut good = signed(&mut f, &[0], &[66], &[]);
    f.send(CONFIRMER, &good).unwrap();
    f.send(
        OWNER,
        &I::removeAlertCall {
            rollupChainId: U256::from(ROLLUP),
            messageHash: HASH,
        },
    )
    .unwrap();

    let mut header = AlertHeader {
        messageHash: HASH,
        quorumNumbers: Bytes::new(),
        quorumThresholdPercentages: Bytes::from_static(&[101]),
        referenceBlockNumber: f.chain.block() + 1000,
        rollupChainID: rollup,
    };
    let mut proof = NonSignerStakesAndSignature {
        quorumApks: vec![Default::default()],
        ..Default::default()
    };

    f.send(PAUSER, &I::pauseAllCall {}).unwrap();
    assert_eq!(
        confirm(&mut f, &header, &proof),
        "Pausable: contract is paused"
    );
    f.send(
        UNPAUSER,
        &I::unpauseCall {
            newPausedStatus: U256::ZERO,
        },
    )
    .unwrap();

    f.send(OWNER, &I::setConfirmerCall { confirmer: relay })
        .unwrap();
    assert_eq!(confirm(&mut f, &header, &proof), "InvalidConfirmer");

    let call = |header: &AlertHeader, proof: &NonSignerStakesAndSignature| I::confirmAlertCall {
        alertHeader: header.clone(),
        nonSignerStakesAndSignature: proof.clone(),
    };
    let relayed = f.chain.send(CONFIRMER, relay, &call(&header, &proof));
    assert_eq!(refused(relayed), "InvalidRollupChainID");
    header.rollupChainID = U256::from(ROLLUP);
    let relayed = f.chain.send(CONFIRMER, relay, &call(&header, &proof));
    assert_eq!(refused(relayed), "InvalidSender");
    f.send(
        OWNER,
        &I::setConfirmerCall {
            confirmer: CONFIRMER,
        },
    )
    .unwrap();

    assert_eq!(confirm(&mut f, &header, &proof), "ResolvedAlert");
    header.messageHash = B256::repeat_byte(0xbb);
    assert_eq!(confirm(&mut f, &header, &proof), "InvalidReferenceBlockNum");
    // The block of the transaction itself is not past.
    header.referenceBlockNumber = f.chain.block();
    assert_eq!(confirm(&mut f, &header, &proof), "InvalidReferenceBlockNum");
    header.referenceBlockNumber = f.reference_block();
    assert_eq!(confirm(&mut f, &header, &proof), "InvalidQuorumParam");

    // checkSignatures
    header.quorumThresholdPercentages = Bytes::new();
    assert_eq!(
        confirm(&mut f, &header, &proof),
        format!("{PREFIX}empty quorum input")
    );
    header.quorumNumbers = Bytes::from_static(&[0]);
    header.quorumThresholdPercentages = Bytes::from_static(&[101]);
    assert_eq!(
        confirm(&mut f, &header, &proof),
        format!("{PREFIX}input quorum length mismatch")
    );
    proof.quorumApkIndices = vec![0];
    proof.totalStakeIndices = vec![0];
    proof.nonSignerStakeIndices = vec![vec![]];
    proof.nonSignerPubkeys = vec![Default::default()];
    assert_eq!(
        confirm(&mut f, &header, &proof),
        format!("{PREFIX}input nonsigner length mismatch")
    );

    // The digest holds the reference block, which is fixed from here on.
    let digest = digest(&header);
    let mut whole = f.proof(digest, &[0], header.referenceBlockNumber, &[0, 1, 2]);
    whole.nonSignerPubkeys.swap(0, 1);
    whole.nonSignerQuorumBitmapIndices.swap(0, 1);
    assert_eq!(
        confirm(&mut f, &header, &whole),
        format!("{PREFIX}nonSignerPubkeys not sorted")
    );
    whole.nonSignerPubkeys.swap(0, 1);
    whole.nonSignerPubkeys[1] = whole.nonSignerPubkeys[0].clone();
    assert_eq!(
        confirm(&mut f, &header, &whole),
        format!("{PREFIX}nonSignerPubkeys not sorted")
    );

    let mut whole = f.proof(digest, &[0], header.referenceBlockNumber, &[0, 1, 2]);
    let apk = whole.quorumApks[0].clone();
    whole.quorumApks[0] = sol_g1(Key::new(5).g1());
    assert_eq!(
        confirm(&mut f, &header, &whole),
        format!("{PREFIX}quorumApk hash in storage does not match provided quorum apk")
    );
    whole.quorumApks[0] = apk;
    let apk_g2 = whole.apkG2.clone();
    whole.apkG2.X[0] += U256::from(1);
    assert_eq!(
        confirm(&mut f, &header, &whole),
        format!("{PREFIX}pairing precompile call failed")
    );
    whole.apkG2 = apk_g2;
    let sigma = whole.sigma.clone();
    whole.sigma = sol_g1(Key::new(5).g1());
    assert_eq!(
        confirm(&mut f, &header, &whole),
        format!("{PREFIX}signature is invalid")
    );
    whole.sigma = sigma;

    // Thresholds
    assert_eq!(
        confirm(&mut f, &header, &whole),
        "InvalidQuorumThresholdPercentage"
    );
    header.quorumThresholdPercentages = Bytes::from_static(&[65]);
    assert_eq!(
        confirm(&mut f, &header, &whole),
        "InsufficientThresholdPercentages"
    );
    header.quorumThresholdPercentages = Bytes::from_static(&[66]);
    // 400 of 1000 have signed.
    assert_eq!(confirm(&mut f, &header, &whole), "InsufficientThreshold");

    // 700 of 1000: above 66, met exactly at 70, below 71.
    let whole = f.proof(digest, &[0], header.referenceBlockNumber, &[2]);
    header.quorumThresholdPercentages = Bytes::from_static(&[71]);
    assert_eq!(confirm(&mut f, &header, &whole), "InsufficientThreshold");
    header.quorumThresholdPercentages = Bytes::from_static(&[70]);
    assert_eq!(confirm(&mut f, &header, &whole), "accepted");
    assert_eq!(confirm(&mut f, &header, &whole), "AlreadyAdded");

    // Paused by one bit only.
    good.alertHeader.messageHash = B256::repeat_byte(0xcc);
    f.send(
        PAUSER,
        &I::pauseCall {
            newPausedStatus: U256::from(4),
        },
    )
    .unwrap();
    assert_eq!(
        refused(f.send(CONFIRMER, &good)),
        "Pausable: contract is paused"
    );
}

#[test]
fn quorums_have_to_be_ordered_existing_and_in_force_at_the_block() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    let call = |f: &mut Fixture, quorums: &[u8], proof: &NonSignerStakesAndSignature, block| {
        let call = I::checkSignaturesCall {
            msgHash: HASH,
            quorumNumbers: Bytes::copy_from_slice(quorums),
            referenceBlockNumber: block,
            params: proof.clone(),
        };
        refused(f.chain.call(f.service_manager, &call))
    };
    let both = f.proof(HASH, &[0, 1], block, &[0]);
    assert_eq!(call(&mut f, &[0, 1], &both, block), "accepted");
    assert_eq!(call(&mut f, &[1, 0], &both, block), "QuorumsNotAscending");
    assert_eq!(call(&mut f, &[0, 0], &both, block), "QuorumsNotAscending");
    assert_eq!(
        call(&mut f, &[0, 2], &both, block),
        "UnknownQuorum { quorumNumber: 2 }"
    );
    let now = f.chain.block();
    assert_eq!(
        call(&mut f, &[0, 1], &both, now),
        format!("{PREFIX}invalid reference block")
    );

    let mut wrong = both.clone();
    wrong.quorumApkIndices[0] -= 1;
    let stale = format!("NotInForceAt {{ index: 3, blockNumber: {block} }}");
    assert_eq!(call(&mut f, &[0, 1], &wrong, block), stale);
    let mut wrong = both.clone();
    wrong.totalStakeIndices[0] -= 1;
    assert_eq!(call(&mut f, &[0, 1], &wrong, block), stale);
    let mut wrong = both.clone();
    wrong.nonSignerQuorumBitmapIndices[0] = 1;
    let missing = format!("NotInForceAt {{ index: 1, blockNumber: {block} }}");
    assert_eq!(call(&mut f, &[0, 1], &wrong, block), missing);
    let mut wrong = both.clone();
    wrong.nonSignerStakeIndices[0][0] = 1;
    assert_eq!(call(&mut f, &[0, 1], &wrong, block), missing);
    let mut wrong = both;
    wrong.nonSignerStakeIndices[0].clear();
    assert_eq!(call(&mut f, &[0, 1], &wrong, block), "panic 0x32");
}

#[test]
fn a_signer_counts_once_for_each_of_its_quorums() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    // Operator 3 (index 2) is in both quorums and absent from both.
    let proof = f.proof(HASH, &[0, 1], block, &[2]);
    let totals = f.read(&I::checkSignaturesCall {
        msgHash: HASH,
        quorumNumbers: Bytes::from_static(&[0, 1]),
        referenceBlockNumber: block,
        params: proof,
    });
    let numbers = |stakes: &[alloy_primitives::aliases::U96]| -> Vec<u64> {
        stakes.iter().map(|stake| stake.to()).collect()
    };
    assert_eq!(numbers(&totals.totals.signedStakeForQuorum), [700, 40]);
    assert_eq!(numbers(&totals.totals.totalStakeForQuorum), [1000, 70]);
}

#[test]
fn stale_stakes_are_refused_where_they_are_forbidden() {
    let mut f = Fixture::new();
    // A coordinator that was never refreshed: quorumUpdateBlockNumber is 0.
    let stale = address!("00000000000000000000000000000000005ca1e0");
    f.chain.set_code(
        stale,
        answer_or_forward([0x24, 0x9a, 0x0c, 0x42], B256::ZERO, f.registry),
    );
    f.service_manager = f.deploy_service_manager(stale);
    let call = signed(&mut f, &[0], &[66], &[]);

    let forbid = I::setStaleStakesForbiddenCall { value: true };
    assert_eq!(
        refused(f.send(STRANGER, &forbid)),
        "BLSSignatureChecker.onlyCoordinatorOwner: caller is not the owner of the registryCoordinator"
    );
    assert!(!f.read(&I::staleStakesForbiddenCall {}));
    let done = f.send(OWNER, &forbid).unwrap();
    assert!(done.event::<I::StaleStakesForbiddenUpdate>().value);
    assert_eq!(
        refused(f.send(CONFIRMER, &call)),
        format!("{PREFIX}StakeRegistry updates must be within withdrawalDelayBlocks window")
    );
    f.send(OWNER, &I::setStaleStakesForbiddenCall { value: false })
        .unwrap();
    assert_eq!(refused(f.send(CONFIRMER, &call)), "accepted");
}

#[test]
fn a_registry_of_ours_is_never_stale() {
    let mut f = Fixture::new();
    f.send(OWNER, &I::setStaleStakesForbiddenCall { value: true })
        .unwrap();
    let call = signed(&mut f, &[0], &[66], &[]);
    f.chain.mine(10_000);
    assert_eq!(refused(f.send(CONFIRMER, &call)), "accepted");
}

#[test]
fn a_confirmed_alert_is_seen_by_every_reader() {
    let mut f = Fixture::new();
    let call = signed(&mut f, &[0], &[66], &[0]);
    let done = f.send(CONFIRMER, &call).unwrap();
    let event = done.event::<I::AlertConfirmed>();
    assert_eq!(event.alertHeaderHash, digest(&call.alertHeader));
    assert_eq!(event.messageHash, HASH);
    let event = done.event::<I::RollupAlertRaised>();
    assert_eq!(
        (event.rollupChainId, event.messageHash),
        (U256::from(ROLLUP), HASH)
    );
    println!("confirmAlert, one of four absent: {} gas", done.gas_used);

    let rollup = U256::from(ROLLUP);
    assert_eq!(
        f.read(&I::totalAlertsCall {
            rollupChainId: rollup
        }),
        U256::from(1)
    );
    assert!(f.read(&I::containsCall {
        rollupChainId: rollup,
        messageHash: HASH
    }));
    assert!(!f.read(&I::containsCall {
        rollupChainId: rollup + U256::from(1),
        messageHash: HASH
    }));
    let query = |start: u64, size| I::queryMessageHashesCall {
        rollupChainId: rollup,
        start: U256::from(start),
        querySize: size,
    };
    assert_eq!(f.read(&query(0, U256::MAX)), [HASH]);
    assert_eq!(
        refused(f.chain.call(f.service_manager, &query(1, U256::from(1)))),
        "InvalidStartIndex"
    );
}

#[test]
fn an_alert_can_be_removed_while_its_rollup_is_disabled_and_reopened() {
    let mut f = Fixture::new();
    let rollup = U256::from(ROLLUP);
    let call = signed(&mut f, &[0], &[66], &[]);
    f.send(CONFIRMER, &call).unwrap();
    let toggle = |status| I::setRollupChainIDCall {
        rollupChainId: rollup,
        status,
    };
    f.send(OWNER, &toggle(false)).unwrap();
    assert_eq!(refused(f.send(OWNER, &toggle(false))), "NoStatusChange");

    let remove = I::removeAlertCall {
        rollupChainId: rollup,
        messageHash: HASH,
    };
    assert_eq!(
        refused(f.send(STRANGER, &remove)),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    let done = f.send(OWNER, &remove).unwrap();
    let event = done.event::<I::AlertRemoved>();
    assert_eq!((event.messageHash, event.sender), (HASH, OWNER));
    assert_eq!(done.event::<I::RollupAlertRemoved>().rollupChainId, rollup);
    assert_eq!(
        f.read(&I::totalAlertsCall {
            rollupChainId: rollup
        }),
        U256::ZERO
    );
    // Removing what is not there changes nothing.
    assert!(f.send(OWNER, &remove).unwrap().logs.is_empty());

    f.send(OWNER, &toggle(true)).unwrap();
    assert_eq!(refused(f.send(CONFIRMER, &call)), "ResolvedAlert");
    let reopen = I::reopenAlertCall {
        rollupChainId: rollup,
        messageHash: HASH,
    };
    assert_eq!(
        refused(f.send(STRANGER, &reopen)),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    f.send(OWNER, &reopen).unwrap();
    assert_eq!(
        refused(f.send(OWNER, &reopen)),
        format!("AlertNotRemoved {{ messageHash: {HASH} }}")
    );
    assert_eq!(refused(f.send(CONFIRMER, &call)), "accepted");
}

/// COMPAT 8.2, number 37: the original lets the confirmer alone confirm over a quorum without stake.
#[test]
fn a_quorum_without_stake_confirms_nothing() {
    let mut f = Fixture::new();
    let quorums = Bytes::from_static(&[0]);
    for index in 0..4 {
        let operator = f.operators[index].address();
        let leave = IRegistryCoordinator::ejectOperatorCall {
            operator,
            quorumNumbers: quorums.clone(),
        };
        f.chain.send(OWNER, f.registry, &leave).unwrap();
    }
    f.operators.clear();
    // Nobody signs: every point is the identity, and the pairing holds.
    let call = signed(&mut f, &[0], &[66], &[]);
    assert_eq!(call.nonSignerStakesAndSignature.sigma, Default::default());
    assert_eq!(refused(f.send(CONFIRMER, &call)), "InsufficientThreshold");
}

#[test]
fn a_header_cannot_leave_out_a_quorum_that_statements_need() {
    let mut f = Fixture::new();
    let both = I::setStatementQuorumsCall {
        quorumNumbers: Bytes::from_static(&[0, 1]),
        thresholds: Bytes::from_static(&[66, 66]),
    };
    f.send(OWNER, &both).unwrap();
    let call = signed(&mut f, &[1], &[66], &[]);
    assert_eq!(refused(f.send(CONFIRMER, &call)), "InvalidQuorumParam");
    let call = signed(&mut f, &[0, 1], &[66, 66], &[]);
    assert_eq!(refused(f.send(CONFIRMER, &call)), "accepted");
}

#[test]
fn the_threshold_is_from_1_to_100() {
    let mut f = Fixture::new();
    let set = |percent| I::updateQuorumThresholdPercentageCall {
        thresholdPercentage: percent,
    };
    assert_eq!(
        refused(f.send(OWNER, &set(0))),
        "InvalidQuorumThresholdPercentage"
    );
    assert_eq!(
        refused(f.send(OWNER, &set(101))),
        "InvalidQuorumThresholdPercentage"
    );
    let done = f.send(OWNER, &set(80)).unwrap();
    assert_eq!(
        done.event::<I::QuorumThresholdPercentageChanged>()
            .thresholdPercentages,
        80
    );
    let call = signed(&mut f, &[0], &[79], &[]);
    assert_eq!(
        refused(f.send(CONFIRMER, &call)),
        "InsufficientThresholdPercentages"
    );
    assert_eq!(f.read(&I::THRESHOLD_DENOMINATORCall {}), U256::from(100));
}

#[test]
fn roles_are_kept_apart() {
    let mut f = Fixture::new();
    let unauthorized = format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}");
    assert_eq!(
        refused(f.send(STRANGER, &I::enableAllowlistCall {})),
        unauthorized
    );
    assert_eq!(
        refused(f.send(STRANGER, &I::disableAllowlistCall {})),
        unauthorized
    );
    assert_eq!(
        refused(f.send(
            STRANGER,
            &I::setConfirmerCall {
                confirmer: STRANGER
            }
        )),
        unauthorized
    );
    assert_eq!(
        refused(f.send(
            STRANGER,
            &I::setWhitelisterCall {
                newWhitelister: STRANGER
            }
        )),
        unauthorized
    );
    let toggle = I::setRollupChainIDCall {
        rollupChainId: U256::from(7),
        status: true,
    };
    assert_eq!(refused(f.send(STRANGER, &toggle)), unauthorized);
    let threshold = I::updateQuorumThresholdPercentageCall {
        thresholdPercentage: 1,
    };
    assert_eq!(refused(f.send(STRANGER, &threshold)), unauthorized);
    let uri = I::updateAVSMetadataURICall {
        metadataURI: "https://example.org".to_owned(),
    };
    assert_eq!(refused(f.send(STRANGER, &uri)), unauthorized);
    assert_eq!(refused(f.send(OWNER, &uri)), "accepted");

    let stranger = || I::allowOperatorsCall {
        operators: vec![STRANGER],
    };
    assert_eq!(refused(f.send(OWNER, &stranger())), "NotWhitelister");
    let zero = I::allowOperatorsCall {
        operators: vec![Address::ZERO],
    };
    assert_eq!(refused(f.send(WHITELISTER, &zero)), "ZeroAddress");
    let done = f.send(WHITELISTER, &stranger()).unwrap();
    assert_eq!(done.event::<I::OperatorAllowed>().operator, STRANGER);
    assert_eq!(
        refused(f.send(WHITELISTER, &stranger())),
        "AlreadyInAllowlist"
    );
    let out = I::disallowOperatorsCall {
        operators: vec![STRANGER],
    };
    assert_eq!(refused(f.send(OWNER, &out)), "NotWhitelister");
    assert_eq!(refused(f.send(WHITELISTER, &out)), "accepted");
    assert_eq!(refused(f.send(WHITELISTER, &out)), "NotAdded");

    assert_eq!(
        refused(f.send(OWNER, &I::enableAllowlistCall {})),
        "AlreadyEnabled"
    );
    f.send(OWNER, &I::disableAllowlistCall {}).unwrap();
    assert_eq!(
        refused(f.send(OWNER, &I::disableAllowlistCall {})),
        "AlreadyDisabled"
    );
    f.send(OWNER, &I::enableAllowlistCall {}).unwrap();

    let zero = I::setConfirmerCall {
        confirmer: Address::ZERO,
    };
    assert_eq!(refused(f.send(OWNER, &zero)), "ZeroAddress");
    let zero = I::setWhitelisterCall {
        newWhitelister: Address::ZERO,
    };
    assert_eq!(refused(f.send(OWNER, &zero)), "ZeroAddress");

    let call = I::deregisterOperatorFromAVSCall { operator: STRANGER };
    let only = "ServiceManagerBase.onlyRegistryCoordinator: caller is not the registry coordinator";
    assert_eq!(refused(f.send(OWNER, &call)), only);
    let call = I::registerOperatorToAVSCall {
        operator: STRANGER,
        operatorSignature: Default::default(),
    };
    assert_eq!(refused(f.send(OWNER, &call)), only);
}

#[test]
fn pausers_pause_and_the_unpauser_unpauses() {
    let mut f = Fixture::new();
    let pause = |bits: u64| I::pauseCall {
        newPausedStatus: U256::from(bits),
    };
    let unpause = |bits: u64| I::unpauseCall {
        newPausedStatus: U256::from(bits),
    };
    assert_eq!(
        refused(f.send(OWNER, &pause(1))),
        "msg.sender is not permissioned as pauser"
    );
    f.send(PAUSER, &pause(5)).unwrap();
    assert_eq!(
        refused(f.send(PAUSER, &pause(4))),
        "Pausable.pause: invalid attempt to unpause functionality"
    );
    assert!(f.read(&I::paused_1Call { index: 2 }));
    assert!(!f.read(&I::paused_1Call { index: 1 }));
    assert_eq!(
        refused(f.send(PAUSER, &unpause(0))),
        "msg.sender is not permissioned as unpauser"
    );
    assert_eq!(
        refused(f.send(UNPAUSER, &unpause(2))),
        "Pausable.unpause: invalid attempt to pause functionality"
    );
    f.send(UNPAUSER, &unpause(4)).unwrap();
    assert_eq!(f.read(&I::paused_0Call {}), U256::from(4));
    let zero = I::setPauserRegistryCall {
        newPauserRegistry: Address::ZERO,
    };
    assert_eq!(
        refused(f.send(UNPAUSER, &zero)),
        "Pausable._setPauserRegistry: newPauserRegistry cannot be the zero address"
    );
}

#[test]
fn neither_proxy_nor_implementation_can_be_initialised_again() {
    let mut f = Fixture::new();
    let call = f.initialization();
    assert_eq!(refused(f.send(STRANGER, &call)), "InvalidInitialization");
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
        "InvalidInitialization"
    );
}

#[test]
fn the_aggregate_key_check_is_open_to_all() {
    let mut f = Fixture::new();
    let key = Key::new(77);
    let check = |apk, g2, sigma| I::trySignatureAndApkVerificationCall {
        msgHash: HASH,
        apk,
        apkG2: g2,
        sigma,
    };
    let sigma = sol_g1(key.sign(HASH));
    let answer = f.read(&check(sol_g1(key.g1()), sol_g2(key.g2()), sigma.clone()));
    assert!(answer.pairingSuccessful && answer.siganatureIsValid);
    // Another key in G2.
    let answer = f.read(&check(sol_g1(key.g1()), sol_g2(Key::new(78).g2()), sigma));
    assert!(answer.pairingSuccessful && !answer.siganatureIsValid);
}
