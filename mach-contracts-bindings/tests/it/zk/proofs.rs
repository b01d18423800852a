//! Deciding by proof.

use super::*;

#[tokio::test]
async fn a_proof_convicts_the_block_that_an_output_root_names() {
    let world = World::new().await;
    let index = world.propose(1);
    let (opening, _) = world.opening(1).await;
    let expected = B256::repeat_byte(0xee);
    let id = world
        .raise(Raise::OracleOutput {
            index: index.to(),
            expected,
        })
        .await;
    world
        .submit(id, &world.claim(1, 4), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
    assert_eq!(world.convictions().await, 1);
    let root = output_root(&opening);
    let posted_at = world.posted_at(0).await;
    let conviction = (world.zk)
        .conviction(L2_OUTPUT_ORACLE, 0, posted_at, root)
        .await;
    assert_eq!(
        conviction.unwrap(),
        mach_contracts_bindings::zk::abi::Conviction::Standing
    );
    let verdict = world
        .zk
        .verdict(CONFIG, world.block(1).hash(), ProgramKind::Block);
    let verdict = verdict.await.unwrap().unwrap();
    assert_eq!(verdict.prover, world.prover.sender());
    assert_eq!(verdict.fault, 4);
    let again = world.submit(id, &world.claim(1, 4), &at(&opening)).await;
    assert!(again.refusal().starts_with("AlreadyProved"));
}

#[tokio::test]
async fn a_wrong_block_convicts_every_output_that_is_built_on_it() {
    let world = World::new().await;
    for number in 1..=5 {
        world.propose(number);
    }
    let games = world.games().await;
    assert_eq!(games, 5);
    // Block 2 is wrong. One proof, without an alert.
    let claim = world.claim(2, 4);
    let proof = world.proof(&world.prover, &claim);
    world
        .zk
        .record_proof(&world.prover, BLOCK_PROGRAM, &claim, &proof)
        .await
        .unwrap();
    let expected = B256::ZERO;
    for number in [5, 2, 3] {
        let (opening, _) = world.opening(number).await;
        let path = Path {
            opening,
            headers: world.headers(number, 3),
        };
        for raise in [
            Raise::OracleOutput {
                index: number - 1,
                expected,
            },
            Raise::GameClaim {
                index: number - 1,
                expected,
            },
        ] {
            let id = world.raise(raise).await;
            world
                .zk
                .settle(&world.stranger, id, CONFIG, ProgramKind::Block, &path)
                .await
                .unwrap();
            assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
        }
    }
    assert_eq!(world.convictions().await, 6);
    // What lies before it is not touched.
    let (opening, _) = world.opening(1).await;
    let id = world
        .raise(Raise::OracleOutput { index: 0, expected })
        .await;
    let settle = |path: Path| {
        let (zk, sender) = (world.zk.clone(), &world.stranger);
        async move {
            zk.settle(sender, id, CONFIG, ProgramKind::Block, &path)
                .await
        }
    };
    let before = settle(at(&opening)).await;
    assert!(before.refusal().starts_with("NoVerdict"));
    // Headers that are no chain, of another block, or of none.
    let (fifth, _) = world.opening(5).await;
    let wrong_root = settle(at(&fifth)).await;
    assert!(wrong_root.refusal().starts_with("OpeningMismatch"));
    let headers = vec![world.header(1), world.header(3)];
    let path = Path {
        opening: opening.clone(),
        headers,
    };
    assert!(settle(path).await.refusal().starts_with("HeaderMismatch"));
}

#[tokio::test]
async fn only_what_is_published_counts_against_the_rollup() {
    let world = World::new().await;
    let (opening, _) = world.opening(3).await;
    let root = output_root(&opening);
    let claim = world.claim(3, 4);
    let told = world
        .raise(Raise::OutputRoot {
            root,
            number: 3,
            expected: B256::ZERO,
        })
        .await;
    world.submit(told, &claim, &at(&opening)).await.unwrap();
    let bare = world
        .raise(Raise::BlockHash {
            hash: claim.blockHash,
            number: 3,
            expected: B256::ZERO,
        })
        .await;
    world.submit(bare, &claim, &Path::default()).await.unwrap();
    // A game that is not the proposer's.
    let game = world.game(&world.stranger, root, 3).await;
    let game = world
        .raise(Raise::GameClaim {
            index: game,
            expected: B256::ZERO,
        })
        .await;
    world.submit(game, &claim, &at(&opening)).await.unwrap();
    for id in [told, bare, game] {
        assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
        assert!(!world.alert(id).await.published);
    }
    assert_eq!(world.convictions().await, 0);
    // An unpublished block is not convicted by its ancestors.
    let (fourth, _) = world.opening(4).await;
    let id = world
        .raise(Raise::OutputRoot {
            root: output_root(&fourth),
            number: 4,
            expected: B256::ZERO,
        })
        .await;
    let path = Path {
        opening: fourth,
        headers: world.headers(4, 4),
    };
    let settled = world.submit(id, &claim, &path).await;
    assert!(settled.refusal().starts_with("HeadersOfUnpublished"));
}

#[tokio::test]
async fn a_proof_that_the_block_is_right_refutes() {
    let world = World::new().await;
    let (opening, _) = world.opening(3).await;
    let root = output_root(&opening);
    let right = Claim {
        outputRoot: root,
        ..world.claim(3, 0)
    };
    let told = world
        .raise(Raise::OutputRoot {
            root,
            number: 3,
            expected: B256::ZERO,
        })
        .await;
    let bare = world
        .raise(Raise::BlockHash {
            hash: right.blockHash,
            number: 3,
            expected: B256::ZERO,
        })
        .await;
    world.submit(told, &right, &at(&opening)).await.unwrap();
    world.submit(bare, &right, &Path::default()).await.unwrap();
    for id in [told, bare] {
        assert_eq!(
            world.status(id).await,
            (Status::Refuted, Ground::BlockProof)
        );
    }
    // Half of each bond, rounded down, is for the proof.
    let share = BOND / 2;
    assert_eq!(world.withdrawable(world.prover.sender()).await, 2 * share);
    let rest = world.withdrawable(world.config.beneficiary).await;
    assert_eq!(rest, 2 * (BOND - share));
    let again = world
        .zk
        .settle(
            &world.stranger,
            bare,
            CONFIG,
            ProgramKind::Block,
            &Path::default(),
        )
        .await;
    assert!(again.refusal().starts_with("NotOpen"));
}

#[tokio::test]
async fn that_one_block_is_right_refutes_nothing_about_those_before_it() {
    let world = World::new().await;
    for number in 1..=3 {
        world.propose(number);
    }
    let (opening, _) = world.opening(3).await;
    let right = Claim {
        outputRoot: output_root(&opening),
        ..world.claim(3, 0)
    };
    let id = world
        .raise(Raise::OracleOutput {
            index: 2,
            expected: B256::ZERO,
        })
        .await;
    let refuted = world.submit(id, &right, &at(&opening)).await;
    assert!(refuted.refusal().starts_with("ParentNotAttested"));
    let through = Path {
        opening,
        headers: world.headers(3, 3),
    };
    let parent = world.submit(id, &world.claim(2, 0), &through).await;
    assert!(parent.refusal().starts_with("NothingWrong"));
    assert_eq!(world.status(id).await, (Status::Raised, Ground::None));
}

#[tokio::test]
async fn an_output_root_that_is_not_its_headers_is_convicted_by_either_program() {
    let world = World::new().await;
    let (mut opening, _) = world.opening(3).await;
    let right = output_root(&opening);
    opening.messagePasserStorageRoot = B256::repeat_byte(0xbd);
    let root = output_root(&opening);
    let raise = |index| Raise::GameClaim {
        index,
        expected: right,
    };
    let output = Claim {
        fault: 128,
        claimed: root,
        computed: right,
        ..world.claim(3, 0)
    };
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    let game = world.game(&proposer, root, 3).await;
    let id = world.raise(raise(game)).await;
    world.submit(id, &output, &at(&opening)).await.unwrap();
    assert_eq!(
        world.status(id).await,
        (Status::Proved, Ground::OutputProof)
    );
    let block = Claim {
        outputRoot: right,
        ..world.claim(3, 0)
    };
    let second = world.zk.raise(&world.stranger, &raise(game)).await.unwrap();
    world.submit(second, &block, &at(&opening)).await.unwrap();
    assert_eq!(
        world.status(second).await,
        (Status::Proved, Ground::OutputProof)
    );
    // Two alerts about one claim are one conviction.
    assert_eq!(world.convictions().await, 1);
    // The right root is not convicted by the same proofs.
    let (opening, _) = world.opening(3).await;
    let game = world.game(&proposer, right, 3).await;
    let id = world.raise(raise_without(game)).await;
    let settled = world
        .zk
        .settle(
            &world.stranger,
            id,
            CONFIG,
            ProgramKind::Output,
            &at(&opening),
        )
        .await;
    assert!(settled.refusal().starts_with("NothingWrong"));
}

const fn raise_without(index: u64) -> Raise {
    Raise::GameClaim {
        index,
        expected: B256::ZERO,
    }
}

#[tokio::test]
async fn a_proof_that_comes_late_still_convicts() {
    let world = World::new().await;
    world.propose(1);
    let (opening, _) = world.opening(1).await;
    let id = world.raise(Raise::OracleOutput {
        index: 0,
        expected: B256::ZERO,
    });
    let id = id.await;
    world.pass(WINDOW);
    world.zk.expire(&world.stranger, id).await.unwrap();
    world
        .submit(id, &world.claim(1, 4), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
    assert_eq!(world.withdrawable(world.alerter.sender()).await, 0);
    assert_eq!(world.convictions().await, 1);
}

#[tokio::test]
async fn who_is_right_needs_neither_bond_nor_leave() {
    let world = World::with(OptimismFork::Isthmus, |config| {
        config.is_allowlist_enabled = true;
    })
    .await;
    world.propose(1);
    let (opening, _) = world.opening(1).await;
    let claim = world.claim(1, 4);
    let accuse = |claim: &Claim| Z::accuseCall {
        kind: Accused::OracleOutput,
        index: U256::ZERO,
        program: BLOCK_PROGRAM,
        claim: claim.clone(),
        proof: world.proof(&world.prover, claim),
        path: at(&opening),
    };
    // Who is not, has no alert.
    let right = Claim {
        outputRoot: output_root(&opening),
        ..world.claim(1, 0)
    };
    let refused = world
        .prover
        .call(world.zk.address(), &accuse(&right))
        .await
        .map(drop);
    assert!(refused.refusal().starts_with("ParentNotAttested"));
    assert_eq!(world.zk.alert_count().await.unwrap(), U256::ZERO);
    world
        .prover
        .call(world.zk.address(), &accuse(&claim))
        .await
        .unwrap();
    let alert = world.alert(U256::ZERO).await;
    assert_eq!(
        (alert.status, alert.submitter),
        (Status::Proved, world.prover.sender())
    );
    assert_eq!(world.convictions().await, 1);
}

/// What the README says.
#[tokio::test]
async fn gas() {
    let world = World::new().await;
    world.propose(1);
    let (opening, _) = world.opening(1).await;
    let raise = Raise::OracleOutput {
        index: 0,
        expected: B256::repeat_byte(1),
    };
    let raised = world
        .alerter
        .pay(
            B256::ZERO,
            world.zk.address(),
            raise.calldata(),
            U256::from(BOND),
        )
        .await
        .unwrap();
    let claim = world.claim(1, 4);
    let proof = world.proof(&world.prover, &claim);
    let proved = world
        .zk
        .submit_proof(
            &world.prover,
            U256::ZERO,
            BLOCK_PROGRAM,
            &claim,
            &proof,
            &at(&opening),
        )
        .await
        .unwrap();
    println!(
        "alert {} gas, proof {} gas",
        raised.gas_used, proved.gas_used
    );
    assert!(raised.gas_used < 300_000 && proved.gas_used < 400_000);
}
