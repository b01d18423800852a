//! The stand-alone registry.

use alloy_primitives::{Address, B256, Bytes, U256, aliases::U96};
use mach_contracts_bindings::{
    Artifact,
    abi::{
        self, IAVSDirectory, IBLSApkRegistry, IMachRegistry, IMachServiceManager as I,
        IOperatorStateRetriever, IRegistryCoordinator as C, IStakeRegistry, OperatorState,
    },
    key_digest,
};

use crate::{
    bls::{Key, hash_to_g1, sol_g1, sol_g2},
    chain::{CHAIN_ID, answer_or_forward},
    fixture::{Fixture, OWNER, Operator, PAUSER, STRANGER, WHITELISTER, refused},
};

fn state(f: &mut Fixture, quorums: &[u8], block: u32) -> Vec<Vec<OperatorState>> {
    let call = IOperatorStateRetriever::getOperatorStateCall {
        registryCoordinator: f.registry,
        quorumNumbers: Bytes::copy_from_slice(quorums),
        blockNumber: block,
    };
    f.chain.call(f.retriever, &call).unwrap()
}

/// Addresses and stakes of a quorum, in the registry's order.
fn members(f: &mut Fixture, quorum: u8, block: u32) -> Vec<(Address, u64)> {
    state(f, &[quorum], block)
        .remove(0)
        .into_iter()
        .map(|member| (member.operator, member.stake.to()))
        .collect()
}

fn leave(quorums: &[u8]) -> C::deregisterOperatorCall {
    C::deregisterOperatorCall {
        quorumNumbers: Bytes::copy_from_slice(quorums),
    }
}

#[test]
fn an_operator_registers_with_the_events_that_clients_read() {
    let mut f = Fixture::empty();
    let operator = Operator::new(1);
    f.admit(&operator, &[(0, 100)]);
    let done = f.register(&operator, &[0]).unwrap();
    println!("registerOperator: {} gas", done.gas_used);

    let event = done.event::<IBLSApkRegistry::NewPubkeyRegistration>();
    assert_eq!(event.operator, operator.address());
    assert_eq!(event.pubkeyG1, sol_g1(operator.bls.g1()));
    assert_eq!(event.pubkeyG2, sol_g2(operator.bls.g2()));
    assert_eq!(
        done.event::<C::OperatorRegistered>().operatorId,
        operator.id()
    );
    assert_eq!(
        done.event::<C::OperatorSocketUpdate>().socket,
        "operator.example:8901"
    );
    assert_eq!(
        done.event::<I::OperatorAdded>().operator,
        operator.address()
    );
    assert_eq!(
        done.event::<IStakeRegistry::OperatorStakeUpdate>().stake,
        U96::from(100)
    );
    let event = done.event::<IBLSApkRegistry::OperatorAddedToQuorums>();
    assert_eq!(event.quorumNumbers, Bytes::from_static(&[0]));

    let address = operator.address();
    assert_eq!(
        f.ask(&C::getOperatorIdCall { operator: address }),
        operator.id()
    );
    assert_eq!(
        f.ask(&C::getOperatorFromIdCall {
            operatorId: operator.id()
        }),
        address
    );
    assert_eq!(f.ask(&C::getOperatorStatusCall { operator: address }), 1);
    assert_eq!(
        f.ask(&C::getCurrentQuorumBitmapCall {
            operatorId: operator.id()
        })
        .to::<u64>(),
        1
    );
    assert_eq!(
        f.ask(&IAVSDirectory::avsOperatorStatusCall {
            avs: f.service_manager,
            operator: address
        }),
        1
    );
    assert_eq!(f.read(&I::operatorCountCall {}), U256::from(1));
    let all = I::queryOperatorsCall {
        start: U256::ZERO,
        size: U256::MAX,
    };
    assert_eq!(f.read(&all), [address]);
    let beyond = I::queryOperatorsCall {
        start: U256::from(9),
        size: U256::MAX,
    };
    assert_eq!(f.read(&beyond), [] as [Address; 0]);
    // No strategies stand behind weights.
    assert!(f.read(&I::getRestakeableStrategiesCall {}).is_empty());
    assert!(
        f.read(&I::getOperatorRestakedStrategiesCall { operator: address })
            .is_empty()
    );
}

#[test]
fn the_point_to_sign_is_the_one_that_clients_compute() {
    let mut f = Fixture::empty();
    for number in 1..=20 {
        let operator = Address::repeat_byte(number);
        let digest = f.ask(&IMachRegistry::calculatePubkeyRegistrationMessageHashCall { operator });
        assert_eq!(digest, key_digest(operator, f.registry, CHAIN_ID));
        let point = f.ask(&C::pubkeyRegistrationMessageHashCall { operator });
        assert_eq!(point, sol_g1(hash_to_g1(digest)));
    }
}

#[test]
fn a_registration_is_refused_with_its_reason() {
    let mut f = Fixture::empty();
    let operator = Operator::new(1);
    let address = operator.address();
    let send = |f: &mut Fixture, call: &C::registerOperatorCall| {
        refused(f.chain.send(address, f.registry, call))
    };
    let good = f.registration(&operator, &[0]);
    assert_eq!(send(&mut f, &good), "NotAdded");
    f.send(
        WHITELISTER,
        &I::allowOperatorsCall {
            operators: vec![address],
        },
    )
    .unwrap();
    assert_eq!(
        send(&mut f, &good),
        "BelowMinimumStake { quorumNumber: 0, weight: 0, minimumStake: 1 }"
    );
    f.weigh(&operator, &[(0, 5), (1, 5)]).unwrap();

    for (quorums, reason) in [
        (&[][..], "NoQuorums"),
        (&[1, 0], "QuorumsNotAscending"),
        (&[0, 0], "QuorumsNotAscending"),
        (&[2], "UnknownQuorum { quorumNumber: 2 }"),
        (&[255], "UnknownQuorum { quorumNumber: 255 }"),
    ] {
        let mut call = good.clone();
        call.quorumNumbers = Bytes::copy_from_slice(quorums);
        assert_eq!(send(&mut f, &call), reason);
    }

    // Keys
    let mut call = good.clone();
    call.params = Default::default();
    assert_eq!(send(&mut f, &call), "ZeroPubkey");
    let mut call = good.clone();
    call.params.pubkeyG2 = sol_g2(Key::new(9).g2());
    assert_eq!(send(&mut f, &call), "InvalidPubkeyRegistration");
    let mut call = good.clone();
    call.params.pubkeyG2.Y[0] += U256::from(1);
    assert_eq!(send(&mut f, &call), "InvalidPubkeyRegistration");
    let mut call = good.clone();
    let other = key_digest(STRANGER, f.registry, CHAIN_ID);
    call.params.pubkeyRegistrationSignature = sol_g1(operator.bls.sign(other));
    assert_eq!(send(&mut f, &call), "InvalidPubkeyRegistration");
    let mut call = good.clone();
    call.params.pubkeyG1.Y += U256::from(1);
    assert_eq!(
        send(&mut f, &call),
        "PrecompileFailed { precompile: 0x0000000000000000000000000000000000000007 }"
    );

    // Consent
    let mut call = good.clone();
    call.operatorSignature.salt = B256::repeat_byte(7);
    assert_eq!(
        send(&mut f, &call),
        format!("InvalidOperatorSignature {{ operator: {address:?} }}")
    );
    let mut call = good.clone();
    call.operatorSignature.expiry = U256::from(1);
    assert_eq!(send(&mut f, &call), "SignatureExpired { expiry: 1 }");
    let cancel = IAVSDirectory::cancelSaltCall {
        salt: good.operatorSignature.salt,
    };
    f.chain.send(address, f.registry, &cancel).unwrap();
    let spent = format!(
        "SaltAlreadySpent {{ salt: {} }}",
        good.operatorSignature.salt
    );
    assert_eq!(refused(f.chain.send(address, f.registry, &cancel)), spent);
    assert_eq!(send(&mut f, &good), spent);

    let good = f.registration(&operator, &[0]);
    f.send(PAUSER, &I::pauseAllCall {}).unwrap();
    assert_eq!(send(&mut f, &good), "Pausable: contract is paused");
    f.send(
        crate::fixture::UNPAUSER,
        &I::unpauseCall {
            newPausedStatus: U256::ZERO,
        },
    )
    .unwrap();
    assert_eq!(send(&mut f, &good), "accepted");
    let id = operator.id();
    assert_eq!(
        send(&mut f, &good),
        format!("AlreadyInQuorum {{ operatorId: {id}, quorumBitmap: 1 }}")
    );

    // Another operator with the same key, which it can even sign with.
    let twin = Operator {
        bls: operator.bls,
        ..Operator::new(2)
    };
    f.admit(&twin, &[(0, 5)]);
    assert_eq!(
        refused(f.register(&twin, &[0])),
        format!("PubkeyAlreadyRegistered {{ operatorId: {id} }}")
    );
}

#[test]
fn a_quorum_has_room_for_so_many() {
    let mut f = Fixture::new();
    let fifth = Operator::new(5);
    f.admit(&fifth, &[(0, 1)]);
    assert_eq!(
        refused(f.register(&fifth, &[0])),
        "QuorumFull { quorumNumber: 0, maxOperatorCount: 4 }"
    );
    let params = abi::QuorumParams {
        minimumStake: U96::from(2),
        maxOperatorCount: 5,
    };
    let set = IMachRegistry::setQuorumParamsCall {
        quorumNumber: 0,
        params,
    };
    assert_eq!(
        refused(f.chain.send(STRANGER, f.registry, &set)),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    f.chain.send(OWNER, f.registry, &set).unwrap();
    assert_eq!(
        refused(f.register(&fifth, &[0])),
        "BelowMinimumStake { quorumNumber: 0, weight: 1, minimumStake: 2 }"
    );
    f.weigh(&fifth, &[(0, 2)]).unwrap();
    assert_eq!(refused(f.register(&fifth, &[0])), "accepted");
}

#[test]
fn quorums_are_made_by_the_owner_and_want_stake() {
    let mut f = Fixture::empty();
    let create = |stake| IMachRegistry::createQuorumCall {
        params: abi::QuorumParams {
            minimumStake: U96::from(stake),
            maxOperatorCount: 1,
        },
    };
    assert_eq!(
        refused(f.chain.send(STRANGER, f.registry, &create(1))),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    assert_eq!(
        refused(f.chain.send(OWNER, f.registry, &create(0))),
        "ZeroMinimumStake"
    );
    let done = f.chain.send(OWNER, f.registry, &create(3)).unwrap();
    assert_eq!(done.event::<IMachRegistry::QuorumCreated>().quorumNumber, 2);
    assert_eq!(f.ask(&C::quorumCountCall {}), 3);
    assert_eq!(
        f.ask(&IStakeRegistry::minimumStakeForQuorumCall { quorumNumber: 2 }),
        U96::from(3)
    );
    assert_eq!(
        refused(f.weigh(&Operator::new(1), &[(3, 1)])),
        "UnknownQuorum { quorumNumber: 3 }"
    );
    let without = IMachRegistry::constructorCall {
        owner: OWNER,
        serviceManager: Address::ZERO,
        quorums: vec![],
    };
    assert_eq!(
        refused(f.chain.deploy(STRANGER, Artifact::MachRegistry, &without)),
        "ZeroServiceManager"
    );
}

#[test]
fn the_state_at_every_past_block_can_be_read() {
    let mut f = Fixture::new();
    let [a, b, c, d] = [0, 1, 2, 3].map(|index| f.operators[index].clone());
    let before = f.reference_block();
    let all = [
        (a.address(), 100),
        (b.address(), 200),
        (c.address(), 300),
        (d.address(), 400),
    ];
    assert_eq!(members(&mut f, 0, before), all);
    assert_eq!(
        members(&mut f, 1, before),
        [(c.address(), 30), (d.address(), 40)]
    );

    // Another weight, then one leaves from the middle: the last takes its place.
    f.weigh(&a, &[(0, 150)]).unwrap();
    let weighed = f.reference_block();
    let done = f.chain.send(b.address(), f.registry, &leave(&[0])).unwrap();
    println!("deregisterOperator: {} gas", done.gas_used);
    assert_eq!(done.event::<C::OperatorDeregistered>().operatorId, b.id());
    assert_eq!(done.event::<I::OperatorRemoved>().operator, b.address());
    assert_eq!(
        done.event::<IStakeRegistry::QuorumIndexUpdate>()
            .newOperatorIndex,
        1
    );
    let left = f.reference_block();
    // Back again, with its key and without a new proof.
    let mut again = f.registration(&b, &[0, 1]);
    again.params = Default::default();
    f.weigh(&b, &[(1, 20)]).unwrap();
    f.chain.send(b.address(), f.registry, &again).unwrap();
    let back = f.reference_block();

    assert_eq!(members(&mut f, 0, before), all);
    let mut at_weighed = all;
    at_weighed[0].1 = 150;
    assert_eq!(members(&mut f, 0, weighed), at_weighed);
    assert_eq!(members(&mut f, 0, left), [at_weighed[0], all[3], all[2]]);
    assert_eq!(
        members(&mut f, 0, back),
        [at_weighed[0], all[3], all[2], all[1]]
    );
    assert_eq!(
        members(&mut f, 1, back),
        [(c.address(), 30), (d.address(), 40), (b.address(), 20)]
    );
    let total = |f: &mut Fixture, block| {
        let indices = f.ask(&IStakeRegistry::getTotalStakeIndicesAtBlockNumberCall {
            blockNumber: block,
            quorumNumbers: Bytes::from_static(&[0]),
        });
        let stake = f.ask(&IStakeRegistry::getTotalStakeAtBlockNumberFromIndexCall {
            quorumNumber: 0,
            blockNumber: block,
            index: U256::from(indices[0]),
        });
        stake.to::<u64>()
    };
    assert_eq!(
        [before, weighed, left, back].map(|block| total(&mut f, block)),
        [1000, 1050, 850, 1050]
    );

    let bitmaps = IOperatorStateRetriever::getQuorumBitmapsAtBlockNumberCall {
        registryCoordinator: f.registry,
        operatorIds: vec![b.id(), c.id()],
        blockNumber: left,
    };
    let bitmaps = f.chain.call(f.retriever, &bitmaps).unwrap();
    assert_eq!(bitmaps, [U256::ZERO, U256::from(3)]);
    // Who had left cannot be absent.
    let indices = IOperatorStateRetriever::getCheckSignaturesIndicesCall {
        registryCoordinator: f.registry,
        referenceBlockNumber: left,
        quorumNumbers: Bytes::from_static(&[0]),
        nonSignerOperatorIds: vec![b.id()],
    };
    assert_eq!(
        refused(f.chain.call(f.retriever, &indices)),
        format!(
            "NotRegisteredAt {{ operatorId: {}, blockNumber: {left} }}",
            b.id()
        )
    );
    // Before there was a registry there was no quorum.
    let first = IOperatorStateRetriever::getOperatorStateCall {
        registryCoordinator: f.registry,
        quorumNumbers: Bytes::from_static(&[0]),
        blockNumber: 1,
    };
    assert_eq!(
        refused(f.chain.call(f.retriever, &first)),
        "NoValueAt { blockNumber: 1 }"
    );
}

#[test]
fn an_old_reference_block_is_checked_against_its_own_keys() {
    let mut f = Fixture::new();
    let block = f.reference_block();
    let digest = B256::repeat_byte(3);
    let proof = f.proof(digest, &[0], block, &[0]);
    let call = |block, params| I::checkSignaturesCall {
        msgHash: digest,
        quorumNumbers: Bytes::from_static(&[0]),
        referenceBlockNumber: block,
        params,
    };
    let leaver = f.operators[3].address();
    f.chain.send(leaver, f.registry, &leave(&[0, 1])).unwrap();
    f.chain.mine(1);
    // It had signed while it was there.
    let totals = f.read(&call(block, proof.clone())).totals;
    assert_eq!(totals.signedStakeForQuorum, [U96::from(900)]);
    // The registry has the same check.
    assert_eq!(f.ask(&call(block, proof.clone())).totals, totals);
    let later = f.reference_block();
    assert_eq!(
        refused(f.chain.call(f.service_manager, &call(later, proof))),
        format!("NotInForceAt {{ index: 4, blockNumber: {later} }}")
    );
}

/// Who leaves, comes back or weighs something else within a block: what counts is how the block ends.
#[test]
fn a_block_counts_as_it_ends() {
    let mut f = Fixture::new();
    let operators: Vec<_> = f.operators.clone();
    let before = f.reference_block();
    let [first, last] = [0, 3].map(|index: usize| operators[index].clone());

    let back = f.registration(&first, &[0]);
    f.chain
        .send(first.address(), f.registry, &leave(&[0]))
        .unwrap();
    f.chain.reopen_block();
    f.chain.send(first.address(), f.registry, &back).unwrap();
    f.chain.reopen_block();
    f.chain
        .send(last.address(), f.registry, &leave(&[0, 1]))
        .unwrap();
    f.chain.reopen_block();
    f.weigh(&first, &[(0, 7)]).unwrap();
    f.chain.reopen_block();
    f.weigh(&first, &[(0, 150)]).unwrap();
    let block = f.reference_block();
    assert_eq!(block, before + 1);

    let mut now = members(&mut f, 0, block);
    now.sort();
    let mut wanted = [
        (operators[0].address(), 150),
        (operators[1].address(), 200),
        (operators[2].address(), 300),
    ];
    wanted.sort();
    assert_eq!(now, wanted);
    assert_eq!(members(&mut f, 0, before).len(), 4);

    // The keys of that block are those of the three, and nobody else is missed.
    f.operators.pop();
    let digest = B256::repeat_byte(3);
    let params = f.proof(digest, &[0], block, &[0]);
    let call = I::checkSignaturesCall {
        msgHash: digest,
        quorumNumbers: Bytes::from_static(&[0]),
        referenceBlockNumber: block,
        params,
    };
    let totals = f.read(&call).totals;
    assert_eq!(totals.signedStakeForQuorum, [U96::from(500)]);
    assert_eq!(totals.totalStakeForQuorum, [U96::from(650)]);
    // Everybody's consent of the block before does not count in it.
    let mut stale = call;
    stale.params.quorumApkIndices[0] -= 1;
    assert!(refused(f.chain.call(f.service_manager, &stale)).starts_with("NotInForceAt"));
}

/// Stake is taken from the signed share for each absent key, and only for keys that are in the quorum.
#[test]
fn who_is_not_a_member_cannot_be_absent() {
    let mut f = Fixture::new();
    let digest = B256::repeat_byte(3);
    let call = |block, params| I::checkSignaturesCall {
        msgHash: digest,
        quorumNumbers: Bytes::from_static(&[0]),
        referenceBlockNumber: block,
        params,
    };
    // A key that was never registered.
    let block = f.reference_block();
    let mut params = f.proof(digest, &[0], block, &[]);
    params.nonSignerPubkeys = vec![sol_g1(Key::new(99).g1())];
    params.nonSignerQuorumBitmapIndices = vec![0];
    params.nonSignerStakeIndices = vec![vec![0]];
    assert_eq!(
        refused(f.chain.call(f.service_manager, &call(block, params))),
        format!("NotInForceAt {{ index: 0, blockNumber: {block} }}")
    );
    // The identity, which would change no sum.
    let mut params = f.proof(digest, &[0], block, &[]);
    params.nonSignerPubkeys = vec![Default::default()];
    params.nonSignerQuorumBitmapIndices = vec![0];
    params.nonSignerStakeIndices = vec![vec![0]];
    assert_eq!(
        refused(f.chain.call(f.service_manager, &call(block, params))),
        format!("NotInForceAt {{ index: 0, blockNumber: {block} }}")
    );

    // Registered once and gone: it changes nothing.
    let leaver = f.operators[3].clone();
    f.chain
        .send(leaver.address(), f.registry, &leave(&[0, 1]))
        .unwrap();
    f.operators.pop();
    let block = f.reference_block();
    let mut params = f.proof(digest, &[0], block, &[]);
    params.nonSignerPubkeys = vec![sol_g1(leaver.bls.g1())];
    params.nonSignerQuorumBitmapIndices = vec![1];
    f.chain.mine(1);
    let totals = f.read(&call(block, params.clone())).totals;
    assert_eq!(totals.signedStakeForQuorum, [U96::from(600)]);
    assert_eq!(totals.totalStakeForQuorum, [U96::from(600)]);
    // Its membership of the past counts for nothing now.
    params.nonSignerQuorumBitmapIndices = vec![0];
    assert_eq!(
        refused(f.chain.call(f.service_manager, &call(block, params))),
        format!("NotInForceAt {{ index: 0, blockNumber: {block} }}")
    );
}

#[test]
fn leaving_is_refused_with_its_reason() {
    let mut f = Fixture::new();
    let operator = f.operators[0].clone();
    let send = |f: &mut Fixture, quorums: &[u8]| {
        refused(
            f.chain
                .send(operator.address(), f.registry, &leave(quorums)),
        )
    };
    let id = operator.id();
    assert_eq!(send(&mut f, &[]), "NoQuorums");
    assert_eq!(
        send(&mut f, &[1]),
        format!("NotInQuorum {{ operatorId: {id}, quorumBitmap: 2 }}")
    );
    assert_eq!(send(&mut f, &[2]), "UnknownQuorum { quorumNumber: 2 }");
    assert_eq!(send(&mut f, &[0]), "accepted");
    assert_eq!(
        send(&mut f, &[0]),
        format!("NotRegistered {{ operator: {:?} }}", operator.address())
    );
    assert_eq!(
        f.ask(&C::getOperatorStatusCall {
            operator: operator.address()
        }),
        2
    );
    let socket = C::updateSocketCall {
        socket: "new:1".to_owned(),
    };
    assert_eq!(
        refused(f.chain.send(operator.address(), f.registry, &socket)),
        format!("NotRegistered {{ operator: {:?} }}", operator.address())
    );
    let other = f.operators[1].address();
    assert_eq!(
        refused(f.chain.send(other, f.registry, &socket)),
        "accepted"
    );

    let eject = C::ejectOperatorCall {
        operator: other,
        quorumNumbers: Bytes::from_static(&[0]),
    };
    assert_eq!(
        refused(f.chain.send(STRANGER, f.registry, &eject)),
        format!("OwnableUnauthorizedAccount {{ account: {STRANGER} }}")
    );
    assert_eq!(refused(f.chain.send(OWNER, f.registry, &eject)), "accepted");
}

#[test]
fn a_member_that_falls_below_the_minimum_leaves() {
    let mut f = Fixture::new();
    let operator = f.operators[3].clone();
    let done = f.weigh(&operator, &[(0, 0)]).unwrap();
    assert_eq!(
        done.event::<IBLSApkRegistry::OperatorRemovedFromQuorums>()
            .quorumNumbers,
        Bytes::from_static(&[0])
    );
    // It is still in the other quorum.
    assert_eq!(
        f.ask(&C::getOperatorStatusCall {
            operator: operator.address()
        }),
        1
    );
    let block = f.reference_block();
    assert_eq!(members(&mut f, 0, block).len(), 3);
    f.weigh(&operator, &[(1, 0)]).unwrap();
    assert_eq!(
        f.ask(&C::getOperatorStatusCall {
            operator: operator.address()
        }),
        2
    );
}

#[test]
fn only_the_service_manager_speaks_for_operators() {
    let mut f = Fixture::new();
    let call = I::deregisterOperatorFromAVSCall {
        operator: f.operators[0].address(),
    };
    let reason = format!("NotServiceManager {{ caller: {STRANGER} }}");
    assert_eq!(refused(f.chain.send(STRANGER, f.registry, &call)), reason);
    let call = I::registerOperatorToAVSCall {
        operator: STRANGER,
        operatorSignature: Default::default(),
    };
    assert_eq!(refused(f.chain.send(STRANGER, f.registry, &call)), reason);
}

/// A multisig or smart account consents by EIP-1271.
#[test]
fn a_contract_can_be_an_operator() {
    let mut f = Fixture::empty();
    let wallet = Address::repeat_byte(0x77);
    let magic = B256::right_padding_from(&[0x16, 0x26, 0xba, 0x7e]);
    f.chain.set_code(
        wallet,
        answer_or_forward([0x16, 0x26, 0xba, 0x7e], magic, f.registry),
    );
    f.send(
        WHITELISTER,
        &I::allowOperatorsCall {
            operators: vec![wallet],
        },
    )
    .unwrap();
    let weight = abi::Weight {
        operator: wallet,
        quorumNumber: 0,
        weight: U96::from(9),
    };
    let weights = IMachRegistry::setWeightsCall {
        weights: vec![weight],
    };
    f.chain.send(OWNER, f.registry, &weights).unwrap();

    let key = Key::new(4242);
    let expiry = U256::from(f.chain.timestamp() + 60);
    let call = C::registerOperatorCall {
        quorumNumbers: Bytes::from_static(&[0]),
        socket: String::new(),
        params: abi::PubkeyRegistrationParams {
            pubkeyRegistrationSignature: sol_g1(key.sign(key_digest(wallet, f.registry, CHAIN_ID))),
            pubkeyG1: sol_g1(key.g1()),
            pubkeyG2: sol_g2(key.g2()),
        },
        operatorSignature: abi::SignatureWithSaltAndExpiry {
            expiry,
            ..Default::default()
        },
    };
    let done = f.chain.send(STRANGER, wallet, &call).unwrap();
    assert_eq!(done.event::<C::OperatorRegistered>().operator, wallet);
}
