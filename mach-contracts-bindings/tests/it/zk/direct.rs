//! Deciding in the EVM, without a proof.

use super::*;
use mach_contracts_bindings::zk::abi::Conviction;

/// Posts an output that says of block 3 what `change` makes of it, by the proposer.
async fn post(world: &World, change: impl FnOnce(&mut Opening)) -> (U256, Opening, Vec<Bytes>) {
    let (mut opening, proof) = world.opening(3).await;
    change(&mut opening);
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    let game = world.game(&proposer, output_root(&opening), 3).await;
    let id = world
        .raise(Raise::GameClaim {
            index: game,
            expected: B256::ZERO,
        })
        .await;
    (id, opening, proof)
}

#[tokio::test]
async fn an_output_root_that_contradicts_its_header_convicts_itself() {
    type Change = fn(&mut Opening);
    let changes: [(Change, Ground); 2] = [
        (
            |opening| opening.stateRoot = B256::repeat_byte(1),
            Ground::StateRoot,
        ),
        (
            |opening| opening.messagePasserStorageRoot = B256::repeat_byte(1),
            Ground::MessagePasser,
        ),
    ];
    // Before Isthmus the message passer takes a proof, from then on the header says it.
    for fork in [
        OptimismFork::Bedrock,
        OptimismFork::Holocene,
        OptimismFork::Isthmus,
        OptimismFork::Jovian,
    ] {
        for (change, ground) in changes {
            let world = World::with(fork, |_| {}).await;
            let (id, opening, proof) = post(&world, change).await;
            let is_isthmus = fork >= OptimismFork::Isthmus;
            let proof = if is_isthmus { vec![] } else { proof };
            let header = world.header(3);
            if ground == Ground::MessagePasser && !is_isthmus {
                let unproved = world
                    .zk
                    .convict_directly(&world.stranger, id, &opening, &header, &[])
                    .await;
                assert!(unproved.refusal().starts_with("InvalidAccountProof"));
            }
            let receipt = world
                .zk
                .convict_directly(&world.stranger, id, &opening, &header, &proof)
                .await
                .unwrap();
            println!("{fork:?}, {ground:?}: {} gas", receipt.gas_used);
            assert_eq!(world.status(id).await, (Status::Proved, ground));
            assert_eq!(world.convictions().await, 1);
            assert_eq!(world.withdrawable(world.alerter.sender()).await, BOND);
        }
    }
}

#[tokio::test]
async fn a_right_output_root_is_not_convicted() {
    for fork in [OptimismFork::Bedrock, OptimismFork::Isthmus] {
        let world = World::with(fork, |_| {}).await;
        let (id, opening, proof) = post(&world, |_| {}).await;
        let convict = |opening: Opening, header: Bytes, proof: Vec<Bytes>| {
            let (zk, sender) = (world.zk.clone(), &world.stranger);
            async move {
                zk.convict_directly(sender, id, &opening, &header, &proof)
                    .await
                    .refusal()
            }
        };
        let header = world.header(3);
        let told = convict(opening.clone(), header.clone(), proof.clone()).await;
        assert!(told.starts_with("NothingWrong"), "{told}");
        // Another header than the one that the root names, or another opening than that of the root.
        let told = convict(opening.clone(), world.header(4), proof.clone()).await;
        assert!(told.starts_with("HeaderMismatch"), "{told}");
        let (other, _) = world.opening(4).await;
        let told = convict(other, world.header(4), proof.clone()).await;
        assert!(told.starts_with("OpeningMismatch"), "{told}");
        let mut longer = header.to_vec();
        longer.push(0);
        let told = convict(opening.clone(), longer.into(), proof.clone()).await;
        assert!(told.starts_with("HeaderMismatch"), "{told}");
        assert_eq!(world.status(id).await, (Status::Raised, Ground::None));
    }
}

#[tokio::test]
async fn an_output_for_another_height_convicts_itself() {
    let world = World::new().await;
    let (opening, _) = world.opening(3).await;
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    let game = world.game(&proposer, output_root(&opening), 4).await;
    // Without an alert before it, and without a bond.
    world
        .zk
        .accuse_directly(
            &world.stranger,
            Accused::GameClaim,
            game,
            &opening,
            &world.header(3),
            &[],
        )
        .await
        .unwrap();
    let id = U256::ZERO;
    assert_eq!(
        world.status(id).await,
        (Status::Proved, Ground::BlockNumber)
    );
    assert_eq!(world.convictions().await, 1);
}

/// Block 3 with another time, as whoever posts it makes it up: what it says besides is all right.
fn at_another_time(world: &World, timestamp: u64) -> (Opening, Bytes) {
    let block = world.block(3);
    let header = alloy_consensus::Header {
        timestamp,
        ..block.header.inner().clone()
    };
    let opening = Opening {
        stateRoot: header.state_root,
        messagePasserStorageRoot: header.withdrawals_root.unwrap(),
        blockHash: header.hash_slow(),
    };
    (opening, alloy_rlp::encode(&header).into())
}

#[tokio::test]
async fn a_header_with_another_time_than_its_number_has_convicts_itself() {
    let world = World::new().await;
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    // Every two seconds, by the rollup's configuration; the last is behind every horizon.
    for (index, time) in [GENESIS + 5, GENESIS + 7, 0, u64::MAX].iter().enumerate() {
        let (opening, header) = at_another_time(&world, *time);
        let game = world.game(&proposer, output_root(&opening), 3).await;
        let (zk, sender) = (&world.zk, &world.stranger);
        zk.accuse_directly(sender, Accused::GameClaim, game, &opening, &header, &[])
            .await
            .unwrap();
        let status = world.status(U256::from(index)).await;
        assert_eq!(status, (Status::Proved, Ground::Timestamp));
        assert_eq!(world.convictions().await, index as u64 + 1);
    }
}

#[tokio::test]
async fn no_time_is_wrong_where_no_rule_says_so() {
    // No rule at all, or one that begins with a later block.
    let later = ZkBlockTimes {
        first_block: 4,
        first_timestamp: GENESIS,
        block_time: 2,
    };
    for times in [None, Some(later)] {
        let world = World::with(OptimismFork::Isthmus, |config| config.times = times).await;
        let (opening, header) = at_another_time(&world, GENESIS + 7);
        let proposer = submitter(&world.devnet, &PROPOSER).await;
        let game = world.game(&proposer, output_root(&opening), 3).await;
        let (zk, sender) = (&world.zk, &world.stranger);
        let told = zk
            .accuse_directly(sender, Accused::GameClaim, game, &opening, &header, &[])
            .await;
        assert!(told.refusal().starts_with("NothingWrong"));
    }
}

#[tokio::test]
async fn the_proposers_own_lie_is_convicted_in_the_oracle() {
    let world = World::new().await;
    world.devnet.sequencer().lie_next(Lie::OutputRoot);
    let number = world.devnet.sequencer().produce().unwrap();
    for number in 1..=number {
        world.propose(number);
    }
    let (mut opening, _) = world.opening(number).await;
    // What the sequencer's node says of it: the storage root of withdrawals that nobody made.
    let told: serde_json::Value = world
        .devnet
        .l2()
        .provider::<alloy_network::Ethereum>()
        .raw_request("optimism_outputAtBlock".into(), (U256::from(number),))
        .await
        .unwrap();
    opening.messagePasserStorageRoot =
        serde_json::from_value(told["withdrawalStorageRoot"].clone()).unwrap();
    let root = output_root(&opening);
    let id = world
        .raise(Raise::OracleOutput {
            index: number - 1,
            expected: B256::ZERO,
        })
        .await;
    assert_eq!(world.alert(id).await.accused, root);
    world
        .zk
        .convict_directly(&world.alerter, id, &opening, &world.header(number), &[])
        .await
        .unwrap();
    let posted_at = world.posted_at(number - 1).await;
    let convicted = world
        .zk
        .conviction(L2_OUTPUT_ORACLE, number - 1, posted_at, root)
        .await;
    assert_eq!(convicted.unwrap(), Conviction::Standing);
}

#[tokio::test]
async fn an_alert_about_another_height_is_refuted_by_the_header() {
    let world = World::new().await;
    let (opening, _) = world.opening(3).await;
    let header = world.header(3);
    let raise = |number| Raise::OutputRoot {
        root: output_root(&opening),
        number,
        expected: B256::ZERO,
    };
    let wrong = world.raise(raise(4)).await;
    let right = world.raise(raise(3)).await;
    let bare = world
        .raise(Raise::BlockHash {
            hash: opening.blockHash,
            number: 5,
            expected: B256::ZERO,
        })
        .await;
    let told = world
        .zk
        .refute_directly(&world.stranger, right, &opening, &header)
        .await;
    assert!(told.refusal().starts_with("NothingWrong"));
    for id in [wrong, bare] {
        world
            .zk
            .refute_directly(&world.stranger, id, &opening, &header)
            .await
            .unwrap();
        assert_eq!(
            world.status(id).await,
            (Status::Refuted, Ground::BlockNumber)
        );
    }
    // No proof, no share.
    assert_eq!(world.withdrawable(world.stranger.sender()).await, 0);
    assert_eq!(world.withdrawable(world.config.beneficiary).await, 2 * BOND);
    // A block proof does not decide it the other way either.
    let third = world.zk.raise(&world.stranger, &raise(4)).await.unwrap();
    let told = world.submit(third, &world.claim(3, 4), &at(&opening)).await;
    assert!(told.refusal().starts_with("BlockNumberMismatch"));
    // What is on L1 is not refuted that way.
    let published = post(&world, |_| {}).await;
    let told = world
        .zk
        .refute_directly(&world.stranger, published.0, &published.1, &header)
        .await;
    assert!(told.refusal().starts_with("NothingWrong"));
}

#[tokio::test]
async fn what_convicts_without_a_bond_is_raised_once() {
    let world = World::new().await;
    let (mut opening, _) = world.opening(3).await;
    opening.stateRoot = B256::repeat_byte(1);
    let header = world.header(3);
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    let ours = world.game(&proposer, output_root(&opening), 3).await;
    opening.stateRoot = B256::repeat_byte(2);
    let theirs = world.game(&world.stranger, output_root(&opening), 3).await;
    for (game, state) in [(ours, 1), (theirs, 2)] {
        opening.stateRoot = B256::repeat_byte(state);
        let accuse = async |sender: &Submitter| {
            let kind = Accused::GameClaim;
            world
                .zk
                .accuse_directly(sender, kind, game, &opening, &header, &[])
                .await
        };
        // Somebody has an alert about it already, which changes nothing.
        let bonded = world.raise(raise(game)).await;
        let id = bonded + U256::from(1);
        let refusal = if game == ours {
            accuse(&world.stranger).await.unwrap();
            assert_eq!(world.status(id).await.0, Status::Proved);
            format!("AlreadyConvicted {{ id: {id} }}")
        } else {
            // What others claim is accused for a bond, or not at all.
            "NotPublished".to_owned()
        };
        for sender in [&world.stranger, &world.prover] {
            let told = accuse(sender).await.refusal();
            assert!(told.starts_with(&refusal), "{told}");
        }
        // Nor by a proof.
        let claim = world.claim(3, 4);
        let call = Z::accuseCall {
            kind: Accused::GameClaim,
            index: U256::from(game),
            program: BLOCK_PROGRAM,
            claim: claim.clone(),
            proof: world.proof(&world.prover, &claim),
            path: at(&opening),
        };
        let told = world.prover.call(world.zk.address(), &call).await;
        assert!(told.refusal().starts_with(&refusal));
        // Who paid a bond gets it back all the same.
        world
            .zk
            .convict_directly(&world.stranger, bonded, &opening, &header, &[])
            .await
            .unwrap();
        assert_eq!(world.status(bonded).await.0, Status::Proved);
        if game == ours {
            world.owner_calls(&Z::clearAlertCall { id }).await.unwrap();
            let told = accuse(&world.prover).await.refusal();
            assert_eq!(told, refusal);
        }
    }
    assert_eq!(world.zk.alert_count().await.unwrap(), U256::from(3));
    assert_eq!(world.withdrawable(world.alerter.sender()).await, 2 * BOND);
    assert_eq!(world.convictions().await, 0);
}

#[tokio::test]
async fn an_alert_that_names_another_height_is_not_proved_whatever_is_wrong() {
    let world = World::new().await;
    let (mut opening, _) = world.opening(3).await;
    let right = output_root(&opening);
    opening.stateRoot = B256::repeat_byte(1);
    let root = output_root(&opening);
    let alert = |number| Raise::OutputRoot {
        root,
        number,
        expected: B256::ZERO,
    };
    let id = world.raise(alert(4)).await;
    let header = world.header(3);
    let told = world
        .zk
        .convict_directly(&world.stranger, id, &opening, &header, &[])
        .await
        .refusal();
    assert_eq!(told, "BlockNumberMismatch { alerted: 4, judged: 3 }");
    let claim = Claim {
        fault: 128,
        claimed: root,
        computed: right,
        outputRoot: right,
        ..world.claim(3, 0)
    };
    let told = world.submit(id, &claim, &at(&opening)).await.refusal();
    assert_eq!(told, "BlockNumberMismatch { alerted: 4, judged: 3 }");
    world
        .zk
        .refute_directly(&world.stranger, id, &opening, &header)
        .await
        .unwrap();
    // The very same about the right height is proved by either.
    let direct = world.raise(alert(3)).await;
    world
        .zk
        .convict_directly(&world.stranger, direct, &opening, &header, &[])
        .await
        .unwrap();
    let proved = world.zk.raise(&world.stranger, &alert(3)).await.unwrap();
    world.submit(proved, &claim, &at(&opening)).await.unwrap();
    for id in [direct, proved] {
        assert_eq!(world.status(id).await.0, Status::Proved);
    }
}

#[tokio::test]
async fn while_it_is_paused_the_evm_convicts_and_attestations_do_not() {
    let mut world = World::new().await;
    let (third, _) = world.opening(3).await;
    world.config.attestations = Some(attester(&world, &[(3, &third)]).await);
    world.zk = ZkServiceManager::deploy(&world.owner, &world.config)
        .await
        .unwrap();
    let (id, opening, _) = post(&world, |opening| {
        opening.stateRoot = B256::repeat_byte(1);
    })
    .await;
    world.owner_calls(&Z::pauseCall {}).await.unwrap();
    let judge = Z::judgeByAttestationCall {
        id,
        attested: 3,
        headers: vec![],
        header: Bytes::new(),
        accountProof: vec![],
    };
    let to = world.zk.address();
    let told = world.stranger.call(to, &judge).await;
    assert!(told.refusal().starts_with("IsPaused"));
    world
        .zk
        .convict_directly(&world.stranger, id, &opening, &world.header(3), &[])
        .await
        .unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::StateRoot));
    // And the bond is paid out.
    world
        .zk
        .withdraw(&world.alerter, Address::repeat_byte(0x77))
        .await
        .unwrap();
}

/// Answers `attestation(uint256,uint64)` with one of these attestations, or with zeros.
async fn attester(world: &World, attested: &[(u64, &Opening)]) -> Address {
    let mut code = Vec::new();
    for (number, opening) in attested {
        let words = [
            B256::from(U256::from(world.config.rollup)),
            B256::from(U256::from(*number)),
            opening.blockHash,
            opening.stateRoot,
            output_root(opening),
            B256::repeat_byte(1),
        ];
        let mut answer = Vec::new();
        for (index, word) in words.iter().enumerate() {
            answer.push(0x7f);
            answer.extend(word.as_slice());
            answer.extend([0x60, 32 * index as u8, 0x52]);
        }
        answer.extend([0x60, 0xc0, 0x5f, 0xf3]);
        // If the number asked for is another one, go on behind this answer.
        code.extend([0x60, 0x24, 0x35, 0x61]);
        code.extend((*number as u16).to_be_bytes());
        code.extend([0x18, 0x61]);
        let behind = code.len() + 3 + answer.len();
        code.extend((behind as u16).to_be_bytes());
        code.push(0x57);
        code.extend(answer);
        code.push(0x5b);
    }
    code.extend([0x60, 0xc0, 0x5f, 0xf3]);
    let mut init = vec![0x61];
    init.extend((code.len() as u16).to_be_bytes());
    init.extend([0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3]);
    init.extend(code);
    world.owner.deploy(init.into()).await.unwrap().0
}

#[tokio::test]
async fn what_operators_attested_decides_alerts_about_it_and_what_lies_before() {
    for fork in [OptimismFork::Granite, OptimismFork::Isthmus] {
        let mut world = World::with(fork, |_| {}).await;
        let (fifth, _) = world.opening(5).await;
        let attestations = attester(&world, &[(5, &fifth)]).await;
        world.config.attestations = Some(attestations);
        world.zk = ZkServiceManager::deploy(&world.owner, &world.config)
            .await
            .unwrap();
        let proposer = submitter(&world.devnet, &PROPOSER).await;
        let judge =
            |id: U256, attested: u64, headers: Vec<Bytes>, header: Bytes, proof: Vec<Bytes>| {
                let call = Z::judgeByAttestationCall {
                    id,
                    attested,
                    headers,
                    header,
                    accountProof: proof,
                };
                let (to, sender) = (world.zk.address(), &world.stranger);
                async move { sender.call(to, &call).await }
            };
        // Roots that nobody can open: only somebody who knows the right one can tell.
        let garbage = B256::repeat_byte(0x66);
        let (third, proof) = world.opening(3).await;
        let (mut ids, mut right) = (Vec::new(), Vec::new());
        for (number, opening) in [(5, &fifth), (3, &third)] {
            let game = world.game(&proposer, garbage, number).await;
            ids.push(world.raise(raise(game)).await);
            let game = world.game(&proposer, output_root(opening), number).await;
            right.push(world.raise(raise(game)).await);
        }
        let none = Bytes::new();
        let told = judge(ids[0], 4, vec![], none.clone(), vec![]).await;
        assert!(told.refusal().starts_with("NotAttested"));
        let told = judge(ids[1], 5, vec![], none.clone(), vec![]).await;
        assert!(told.refusal().starts_with("BlockNumberMismatch"));
        let early = judge(ids[0], 5, vec![], none.clone(), vec![]).await;
        assert!(early.refusal().starts_with("TooEarly"));
        let headers = world.headers(5, 4);
        judge(right[0], 5, vec![], none.clone(), vec![])
            .await
            .unwrap();
        judge(right[1], 5, headers.clone(), world.header(3), proof.clone())
            .await
            .unwrap();
        world.pass(WINDOW / 2);
        judge(ids[0], 5, vec![], none, vec![]).await.unwrap();
        judge(ids[1], 5, headers, world.header(3), proof)
            .await
            .unwrap();
        for id in ids {
            assert_eq!(
                world.status(id).await,
                (Status::Proved, Ground::Attestation)
            );
        }
        for id in right {
            assert_eq!(
                world.status(id).await,
                (Status::Refuted, Ground::Attestation)
            );
        }
        assert_eq!(world.convictions().await, 2);
        // On an attested parent, a right block is right on L1 too.
        world.devnet.sequencer().produce().unwrap();
        let (sixth, _) = world.opening(6).await;
        let game = world.game(&proposer, output_root(&sixth), 6).await;
        let id = world.raise(raise(game)).await;
        let claim = Claim {
            outputRoot: output_root(&sixth),
            ..world.claim(6, 0)
        };
        world.submit(id, &claim, &at(&sixth)).await.unwrap();
        assert_eq!(
            world.status(id).await,
            (Status::Refuted, Ground::BlockProof)
        );
    }
}

/// Operators attested a block that was right and is the rollup's no more. What it was replaced by is right too, and they
/// attested what stands on that.
#[tokio::test]
async fn an_attestation_of_a_block_that_was_replaced_convicts_no_right_output() {
    for is_upheld_late in [false, true] {
        let mut world = World::new().await;
        let (third, _) = world.opening(3).await;
        let (fifth, _) = world.opening(5).await;
        let replaced = Opening {
            blockHash: B256::repeat_byte(3),
            ..third.clone()
        };
        let attester = attester(&world, &[(3, &replaced), (5, &fifth)]).await;
        world.config.attestations = Some(attester);
        world.zk = ZkServiceManager::deploy(&world.owner, &world.config)
            .await
            .unwrap();
        let proposer = submitter(&world.devnet, &PROPOSER).await;
        let game = world.game(&proposer, output_root(&third), 3).await;
        let id = world.raise(raise(game)).await;
        let judge = async |id: U256, attested: u64| {
            let (headers, header) = match attested {
                3 => (vec![], Bytes::new()),
                _ => (world.headers(5, 4), world.header(3)),
            };
            let call = Z::judgeByAttestationCall {
                id,
                attested,
                headers,
                header,
                accountProof: vec![],
            };
            world.stranger.call(world.zk.address(), &call).await
        };
        // There is time to show it, half of the time that the alert has.
        let early = judge(id, 3).await;
        assert!(early.refusal().starts_with("TooEarly"));
        world.pass(WINDOW / 2 - 60);
        let early = judge(id, 3).await;
        assert!(early.refusal().starts_with("TooEarly"));
        if is_upheld_late {
            world.pass(WINDOW);
            world.zk.expire(&world.stranger, id).await.unwrap();
        }
        judge(id, 5).await.unwrap();
        let status = match is_upheld_late {
            false => (Status::Refuted, Ground::Attestation),
            true => (Status::Expired, Ground::None),
        };
        assert_eq!(world.status(id).await, status);
        // Neither in this alert nor in another, however long it is.
        let second = world.zk.raise(&world.stranger, &raise(game)).await.unwrap();
        assert!(second > id);
        world.pass(WINDOW);
        for id in [id, second] {
            let told = judge(id, 3).await;
            assert!(told.refusal().starts_with("AttestedOtherwise"));
        }
        assert_eq!(world.convictions().await, 0);
        // Another posting, which nothing that is attested stands on, is wrong as it was.
        let game = world.game(&proposer, B256::repeat_byte(0x66), 3).await;
        let id = world.raise(raise(game)).await;
        world.pass(WINDOW / 2);
        judge(id, 3).await.unwrap();
        assert_eq!(
            world.status(id).await,
            (Status::Proved, Ground::Attestation)
        );
    }
}

const fn raise(index: u64) -> Raise {
    Raise::GameClaim {
        index,
        expected: B256::ZERO,
    }
}
