//! What was proved once, when programs and configurations go and come back, and when proofs contradict each other.

use super::*;
use mach_contracts_bindings::zk::abi::NewProgram;

const SECOND: B256 = B256::repeat_byte(0x5e);
const THIRD: B256 = B256::repeat_byte(0x3d);

/// A world with three programs that judge blocks.
async fn three_programs() -> World {
    World::with(OptimismFork::Isthmus, |config| {
        for id in [SECOND, THIRD] {
            let another = ZkProgram {
                id,
                ..config.programs[0]
            };
            config.programs.push(another);
        }
    })
    .await
}

impl World {
    async fn record(&self, program: B256, claim: &Claim) -> Result<(), SubmitError> {
        let proof = self.proof(&self.prover, claim);
        let sent = self
            .zk
            .record_proof(&self.prover, program, claim, &proof)
            .await;
        sent.map(drop)
    }

    /// An alert about what a block's header says its output root is, by somebody each time.
    async fn alert_about(&self, sender: &Submitter, number: u64) -> (U256, Path) {
        let (opening, _) = self.opening(number).await;
        let raise = Raise::OutputRoot {
            root: output_root(&opening),
            number,
            expected: B256::ZERO,
        };
        (self.zk.raise(sender, &raise).await.unwrap(), at(&opening))
    }

    async fn settle(&self, id: U256, kind: ProgramKind, path: &Path) -> Result<(), SubmitError> {
        let sent = self.zk.settle(&self.stranger, id, CONFIG, kind, path).await;
        sent.map(drop)
    }

    async fn contradicted(&self, block_hash: B256, kind: ProgramKind) -> Option<B256> {
        let by = self.zk.contradicted_by(CONFIG, block_hash, kind);
        by.await.unwrap()
    }

    /// The owner takes the program out of use in one go.
    async fn remove(&self, program: B256) {
        self.owner_calls(&Z::pauseCall {}).await.unwrap();
        self.owner_calls(&Z::retireProgramCall { program })
            .await
            .unwrap();
        self.owner_calls(&Z::unpauseCall {}).await.unwrap();
    }

    /// Another verifier than the one that the programs have, though it does the same.
    async fn schedule_anew(&self, program: B256) {
        let (verifier, _) = self
            .owner
            .deploy(Bytes::copy_from_slice(&VERIFIER))
            .await
            .unwrap();
        assert_ne!(verifier, self.config.programs[0].verifier);
        let added = NewProgram {
            program,
            verifier,
            kind: ProgramKind::Block,
        };
        self.owner_calls(&Z::scheduleProgramCall { added })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_a_program_said_before_it_was_retired_does_not_count_when_it_is_back() {
    let world = World::new().await;
    world
        .record(BLOCK_PROGRAM, &world.claim(3, 4))
        .await
        .unwrap();
    let retire = Z::retireProgramCall {
        program: BLOCK_PROGRAM,
    };
    world.owner_calls(&retire).await.unwrap();
    world.pass(WINDOW);
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("NoVerdict"));
    // The same id behind another adapter, since the first one was broken.
    world.schedule_anew(BLOCK_PROGRAM).await;
    world.pass(WINDOW);
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("NoVerdict"));
    // It says otherwise, and is not held to what was said before.
    let (opening, _) = world.opening(3).await;
    let right = Claim {
        outputRoot: output_root(&opening),
        ..world.claim(3, 0)
    };
    world.submit(id, &right, &path).await.unwrap();
    assert_eq!(
        world.status(id).await,
        (Status::Refuted, Ground::BlockProof)
    );
    let verdict = world
        .zk
        .verdict(CONFIG, opening.blockHash, ProgramKind::Block);
    let verdict = verdict.await.unwrap().unwrap();
    assert_eq!((verdict.fault, verdict.generation), (0, 2));
}

#[tokio::test]
async fn what_was_proved_before_a_configuration_was_retired_does_not_count_when_it_is_back() {
    let world = World::new().await;
    let claim = world.claim(3, 4);
    world.record(BLOCK_PROGRAM, &claim).await.unwrap();
    world
        .owner_calls(&Z::retireConfigCall { configHash: CONFIG })
        .await
        .unwrap();
    world.pass(WINDOW);
    world
        .owner_calls(&Z::scheduleConfigCall {
            added: always(CONFIG),
        })
        .await
        .unwrap();
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("ConfigNotActive"));
    world.pass(WINDOW);
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("NoVerdict"));
    let verdict = world
        .zk
        .verdict(CONFIG, claim.blockHash, ProgramKind::Block);
    assert_eq!(verdict.await.unwrap(), None);
    // Proved anew, it counts.
    world.record(BLOCK_PROGRAM, &claim).await.unwrap();
    world.settle(id, ProgramKind::Block, &path).await.unwrap();
    assert_eq!(world.status(id).await.0, Status::Proved);
}

#[tokio::test]
async fn proofs_that_contradict_each_other_convict_and_refute_nobody() {
    let world = three_programs().await;
    let wrong = world.claim(3, 4);
    let (opening, _) = world.opening(3).await;
    let root = output_root(&opening);
    let right = Claim {
        outputRoot: root,
        ..world.claim(3, 0)
    };
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    world.record(BLOCK_PROGRAM, &wrong).await.unwrap();
    // Handed in for an alert, the other one stops; nothing is kept of it.
    let proof = world.proof(&world.prover, &right);
    let submitted = world
        .zk
        .submit_proof(&world.prover, id, SECOND, &right, &proof, &path)
        .await;
    assert!(submitted.refusal().starts_with("ContradictingProof"));
    let hash = wrong.blockHash;
    assert_eq!(world.contradicted(hash, ProgramKind::Block).await, None);
    // Kept for itself, it stops the first one too.
    let kept = world
        .zk
        .record_proof(&world.prover, SECOND, &right, &proof)
        .await
        .unwrap();
    let told = kept.inner.logs().iter().any(|log| {
        Z::ProofsContradict::decode_log(&log.inner)
            .is_ok_and(|event| event.program == SECOND && event.claim == right)
    });
    assert!(told);
    for _ in 0..2 {
        let told = world.settle(id, ProgramKind::Block, &path).await;
        assert!(told.refusal().starts_with("ContradictingProof"));
        let told = world.submit(id, &wrong, &path).await;
        assert!(told.refusal().starts_with("ContradictingProof"));
        assert_eq!(world.status(id).await, (Status::Raised, Ground::None));
        // The first one again does not help it.
        world.record(BLOCK_PROGRAM, &wrong).await.unwrap();
    }
    // The owner finds out which program is broken. If it is the second, the first proof counts again.
    let by = world.contradicted(hash, ProgramKind::Block).await;
    assert_eq!(by, Some(SECOND));
    world.remove(SECOND).await;
    assert_eq!(world.contradicted(hash, ProgramKind::Block).await, None);
    world.settle(id, ProgramKind::Block, &path).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
}

#[tokio::test]
async fn of_contradicting_proofs_the_first_goes_with_its_program() {
    let world = three_programs().await;
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let right = Claim {
        outputRoot: output_root(&path.opening),
        ..world.claim(3, 0)
    };
    world
        .record(BLOCK_PROGRAM, &world.claim(3, 4))
        .await
        .unwrap();
    world.record(SECOND, &right).await.unwrap();
    world.remove(BLOCK_PROGRAM).await;
    // What the second program said counts still, and nobody has to prove it again.
    world.settle(id, ProgramKind::Block, &path).await.unwrap();
    assert_eq!(
        world.status(id).await,
        (Status::Refuted, Ground::BlockProof)
    );
    // Back in use, the first program's word is not there any more, and neither is the contradiction.
    world.schedule_anew(BLOCK_PROGRAM).await;
    world.pass(WINDOW);
    let (second, _) = world.alert_about(&world.stranger, 3).await;
    world
        .settle(second, ProgramKind::Block, &path)
        .await
        .unwrap();
    assert_eq!(world.status(second).await.0, Status::Refuted);
}

/// A liar who breaks two rules would have its own conviction stopped while two programs look in another order.
#[tokio::test]
async fn two_programs_that_name_different_rules_agree_that_the_block_is_wrong() {
    let world = three_programs().await;
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let first = world.claim(3, 4);
    let changes: [fn(&mut Claim); 3] = [
        |claim| claim.fault = 5,
        |claim| claim.claimed = B256::repeat_byte(9),
        |claim| claim.computed = B256::repeat_byte(9),
    ];
    world.record(BLOCK_PROGRAM, &first).await.unwrap();
    for change in changes {
        let mut other = first.clone();
        change(&mut other);
        world.record(SECOND, &other).await.unwrap();
    }
    let hash = first.blockHash;
    assert_eq!(world.contradicted(hash, ProgramKind::Block).await, None);
    world.settle(id, ProgramKind::Block, &path).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
    // What is told is what was proved first.
    let verdict = world.zk.verdict(CONFIG, hash, ProgramKind::Block);
    let verdict = verdict.await.unwrap().unwrap();
    assert_eq!((verdict.program, verdict.fault), (BLOCK_PROGRAM, 4));
    // With the first program gone, the second's word is there.
    world.remove(BLOCK_PROGRAM).await;
    let verdict = world.zk.verdict(CONFIG, hash, ProgramKind::Block);
    let verdict = verdict.await.unwrap().unwrap();
    assert_eq!((verdict.program, verdict.fault), (SECOND, 5));
}

#[tokio::test]
async fn whatever_proofs_say_otherwise_is_a_contradiction() {
    let world = three_programs().await;
    let other = B256::repeat_byte(9);
    type Change = fn(&mut Claim, B256);
    let changes: [(u16, Change); 5] = [
        (4, |claim, other| claim.parentHash = other),
        (4, |claim, _| claim.blockNumber += 1),
        (4, |claim, _| {
            (claim.fault, claim.claimed, claim.computed) = (0, claim.blockHash, claim.blockHash);
        }),
        (0, |claim, other| claim.outputRoot = other),
        (0, |claim, other| {
            (claim.fault, claim.claimed, claim.computed) = (4, other, B256::ZERO);
            claim.outputRoot = B256::ZERO;
        }),
    ];
    for (index, (fault, change)) in changes.into_iter().enumerate() {
        // Each time another header, which the proofs make up.
        let block_hash = B256::with_last_byte(index as u8 + 1);
        let mut claim = Claim {
            blockHash: block_hash,
            ..world.claim(3, fault)
        };
        if fault == 0 {
            (claim.claimed, claim.computed) = (block_hash, block_hash);
            claim.outputRoot = B256::repeat_byte(8);
        }
        world.record(BLOCK_PROGRAM, &claim).await.unwrap();
        let raise = Raise::BlockHash {
            hash: claim.blockHash,
            number: 3,
            expected: B256::ZERO,
        };
        let id = world.raise(raise).await;
        change(&mut claim, other);
        world.record(SECOND, &claim).await.unwrap();
        let told = world
            .settle(id, ProgramKind::Block, &Path::default())
            .await
            .refusal();
        assert!(told.starts_with("ContradictingProof"), "{index}: {told}");
        // It is no less one when the second program has said both, or the first one too.
        world.record(BLOCK_PROGRAM, &claim).await.unwrap();
        let told = world
            .settle(id, ProgramKind::Block, &Path::default())
            .await
            .refusal();
        assert!(told.starts_with("ContradictingProof"), "{index}: {told}");
    }
}

#[tokio::test]
async fn a_third_proof_forgets_no_contradiction() {
    let world = three_programs().await;
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let wrong = world.claim(3, 4);
    let right = Claim {
        outputRoot: output_root(&path.opening),
        ..world.claim(3, 0)
    };
    world.record(BLOCK_PROGRAM, &wrong).await.unwrap();
    world.record(SECOND, &right).await.unwrap();
    // The owner retires the wrong one of the two first.
    world.remove(BLOCK_PROGRAM).await;
    world.record(THIRD, &wrong).await.unwrap();
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("ContradictingProof"));
    let hash = wrong.blockHash;
    let by = world.contradicted(hash, ProgramKind::Block).await;
    assert_eq!(by, Some(THIRD));
    world.remove(SECOND).await;
    world.settle(id, ProgramKind::Block, &path).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
}

#[tokio::test]
async fn a_program_that_contradicts_itself_hides_no_other() {
    let world = three_programs().await;
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let wrong = world.claim(3, 4);
    let right = Claim {
        outputRoot: output_root(&path.opening),
        ..world.claim(3, 0)
    };
    let hash = wrong.blockHash;
    world.record(BLOCK_PROGRAM, &wrong).await.unwrap();
    world.record(SECOND, &right).await.unwrap();
    world.record(SECOND, &wrong).await.unwrap();
    world.record(BLOCK_PROGRAM, &right).await.unwrap();
    // Roots without end are not kept: that the program is broken is known.
    for root in 0..4 {
        let another = Claim {
            outputRoot: B256::with_last_byte(root + 1),
            ..right.clone()
        };
        world.record(BLOCK_PROGRAM, &another).await.unwrap();
    }
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("ContradictingProof"));
    // The second one has said both by itself.
    world.remove(BLOCK_PROGRAM).await;
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("ContradictingProof"));
    let by = world.contradicted(hash, ProgramKind::Block).await;
    assert_eq!(by, Some(SECOND));
    world.record(THIRD, &wrong).await.unwrap();
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("ContradictingProof"));
    world.remove(SECOND).await;
    world.settle(id, ProgramKind::Block, &path).await.unwrap();
    assert_eq!(world.status(id).await, (Status::Proved, Ground::BlockProof));
}

#[tokio::test]
async fn an_affirmation_without_an_output_root_gives_way_to_one_with_it() {
    let world = three_programs().await;
    let (opening, _) = world.opening(3).await;
    let root = output_root(&opening);
    let without = world.claim(3, 0);
    world.record(BLOCK_PROGRAM, &without).await.unwrap();
    // A root that somebody tells, which names the header and is not its own.
    let mut lie = opening.clone();
    lie.messagePasserStorageRoot = B256::repeat_byte(1);
    let id = world
        .raise(Raise::OutputRoot {
            root: output_root(&lie),
            number: 3,
            expected: root,
        })
        .await;
    let told = world.settle(id, ProgramKind::Block, &at(&lie)).await;
    assert!(told.refusal().starts_with("NothingWrong"));
    let with = Claim {
        outputRoot: root,
        ..without.clone()
    };
    let proof = world.proof(&world.stranger, &with);
    world
        .zk
        .record_proof(&world.stranger, SECOND, &with, &proof)
        .await
        .unwrap();
    // The one without it, again, takes nothing away.
    world.record(BLOCK_PROGRAM, &without).await.unwrap();
    let verdict = world
        .zk
        .verdict(CONFIG, without.blockHash, ProgramKind::Block);
    let verdict = verdict.await.unwrap().unwrap();
    assert_eq!(verdict.outputRoot, root);
    assert_eq!(verdict.program, SECOND);
    assert_eq!(verdict.prover, world.stranger.sender());
    world
        .settle(id, ProgramKind::Block, &at(&lie))
        .await
        .unwrap();
    assert_eq!(
        world.status(id).await,
        (Status::Proved, Ground::OutputProof)
    );
    // Another root for the same header: one of the programs is wrong, and nothing more is decided by either.
    let (second, path) = world.alert_about(&world.alerter, 3).await;
    let otherwise = Claim {
        outputRoot: B256::repeat_byte(2),
        ..without
    };
    world.record(BLOCK_PROGRAM, &otherwise).await.unwrap();
    let told = world.settle(second, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("ContradictingProof"));
}

#[tokio::test]
async fn the_two_kinds_of_program_may_not_tell_different_roots() {
    let world = World::new().await;
    let (opening, _) = world.opening(3).await;
    let root = output_root(&opening);
    let mut lie = opening.clone();
    lie.messagePasserStorageRoot = B256::repeat_byte(1);
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let output = |computed| Claim {
        fault: 128,
        claimed: output_root(&lie),
        computed,
        outputRoot: computed,
        ..world.claim(3, 0)
    };
    let block = Claim {
        outputRoot: root,
        ..world.claim(3, 0)
    };
    world.record(BLOCK_PROGRAM, &block).await.unwrap();
    for kind in [ProgramKind::Block, ProgramKind::Output] {
        assert_eq!(world.contradicted(block.blockHash, kind).await, None);
    }
    world
        .record(OUTPUT_PROGRAM, &output(B256::repeat_byte(3)))
        .await
        .unwrap();
    for (kind, by) in [
        (ProgramKind::Block, OUTPUT_PROGRAM),
        (ProgramKind::Output, BLOCK_PROGRAM),
    ] {
        assert_eq!(world.contradicted(block.blockHash, kind).await, Some(by));
    }
    for kind in [ProgramKind::Block, ProgramKind::Output] {
        let told = world.settle(id, kind, &path).await;
        assert!(told.refusal().starts_with("ContradictingProof"));
    }
    assert_eq!(world.status(id).await, (Status::Raised, Ground::None));
    world.remove(OUTPUT_PROGRAM).await;
    world.settle(id, ProgramKind::Block, &path).await.unwrap();
    assert_eq!(world.status(id).await.0, Status::Refuted);
}

#[tokio::test]
async fn while_it_is_paused_a_program_goes_at_once_and_open_alerts_keep_their_time() {
    let world = World::new().await;
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    world
        .record(BLOCK_PROGRAM, &world.claim(3, 4))
        .await
        .unwrap();
    world.pass(WINDOW - 600);
    let program = BLOCK_PROGRAM;
    let retire = Z::retireProgramCall { program };
    // Announced, it would count for the delay; found broken meanwhile, it must not.
    world.owner_calls(&retire).await.unwrap();
    world.owner_calls(&Z::pauseCall {}).await.unwrap();
    let told = world
        .stranger
        .call(world.zk.address(), &retire)
        .await
        .refusal();
    assert!(told.starts_with("OwnableUnauthorizedAccount"));
    let before = world.zk.deadline(id).await.unwrap();
    world.owner_calls(&retire).await.unwrap();
    let again = world.owner_calls(&retire).await;
    assert!(again.refusal().starts_with("ProgramNotActive"));
    // A successor takes the delay, as always.
    world.schedule_anew(BLOCK_PROGRAM).await;
    world.owner_calls(&Z::unpauseCall {}).await.unwrap();
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("NoVerdict"));
    let told = world.record(BLOCK_PROGRAM, &world.claim(3, 4)).await;
    assert!(told.refusal().starts_with("ProgramNotActive"));
    // The owner has taken the alerter's means, and not its bond: the time begins when the successor counts.
    world.pass(WINDOW);
    let told = world.zk.expire(&world.owner, id).await;
    assert!(told.refusal().starts_with("NotExpired"));
    let after = world.zk.deadline(id).await.unwrap();
    assert!(
        after >= before - 600 + 2 * WINDOW - 600 && after <= before + 2 * WINDOW,
        "{before} {after}"
    );
    world.submit(id, &world.claim(3, 4), &path).await.unwrap();
    assert_eq!(world.status(id).await.0, Status::Proved);
    assert_eq!(world.withdrawable(world.alerter.sender()).await, BOND);
}

#[tokio::test]
async fn while_it_is_paused_a_configuration_goes_at_once() {
    let world = World::new().await;
    world
        .record(BLOCK_PROGRAM, &world.claim(3, 4))
        .await
        .unwrap();
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let retire = Z::retireConfigCall { configHash: CONFIG };
    world.owner_calls(&Z::pauseCall {}).await.unwrap();
    world.owner_calls(&retire).await.unwrap();
    let again = world.owner_calls(&retire).await;
    assert!(again.refusal().starts_with("ConfigNotActive"));
    world.owner_calls(&Z::unpauseCall {}).await.unwrap();
    let told = world.settle(id, ProgramKind::Block, &path).await;
    assert!(told.refusal().starts_with("ConfigNotActive"));
    world.pass(WINDOW);
    let told = world.zk.expire(&world.owner, id).await;
    assert!(told.refusal().starts_with("NotExpired"));
    world.pass(WINDOW);
    world.zk.expire(&world.owner, id).await.unwrap();
}

#[tokio::test]
async fn without_a_pause_a_program_goes_after_the_delay() {
    let world = World::new().await;
    let (id, path) = world.alert_about(&world.alerter, 3).await;
    let retire = Z::retireProgramCall {
        program: BLOCK_PROGRAM,
    };
    let deadline = world.zk.deadline(id).await.unwrap();
    world.owner_calls(&retire).await.unwrap();
    assert_eq!(world.zk.deadline(id).await.unwrap(), deadline);
    world.pass(WINDOW - 600);
    world.submit(id, &world.claim(3, 4), &path).await.unwrap();
    assert_eq!(world.status(id).await.0, Status::Proved);
}
