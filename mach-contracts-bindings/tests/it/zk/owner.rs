//! What the owner may do, and when it takes effect.

use super::*;
use mach_contracts_bindings::zk::abi::{Conviction, Games, NewProgram};

const OTHER: B256 = B256::repeat_byte(0x99);

#[tokio::test]
async fn programs_and_configurations_change_after_the_time_that_an_alert_has() {
    let world = World::new().await;
    let claim = world.claim(3, 4);
    let proof = world.proof(&world.prover, &claim);
    let record = |program: B256, claim: Claim, proof: Bytes| {
        let (zk, sender) = (world.zk.clone(), &world.prover);
        async move { zk.record_proof(sender, program, &claim, &proof).await }
    };
    let verifier = world.config.programs[0].verifier;
    let added = NewProgram {
        program: OTHER,
        verifier,
        kind: ProgramKind::Block,
    };
    let schedule = Z::scheduleProgramCall { added };
    world.owner_calls(&schedule).await.unwrap();
    let retire = Z::retireProgramCall {
        program: BLOCK_PROGRAM,
    };
    world.owner_calls(&retire).await.unwrap();
    let config = Z::scheduleConfigCall {
        added: always(OTHER),
    };
    world.owner_calls(&config).await.unwrap();
    let retire_config = Z::retireConfigCall { configHash: CONFIG };
    world.owner_calls(&retire_config).await.unwrap();
    for again in [
        world.owner_calls(&schedule).await.refusal(),
        world.owner_calls(&config).await.refusal(),
    ] {
        assert!(again.starts_with("AlreadyScheduled"), "{again}");
    }
    assert!(
        world
            .owner_calls(&retire)
            .await
            .refusal()
            .starts_with("ProgramNotActive")
    );
    assert!(
        world
            .owner_calls(&retire_config)
            .await
            .refusal()
            .starts_with("ConfigNotActive")
    );

    // Until then the old ones count, and the new ones do not.
    world.pass(WINDOW - 300);
    let told = record(OTHER, claim.clone(), proof.clone()).await;
    assert!(told.refusal().starts_with("ProgramNotActive"));
    let other = Claim {
        configHash: OTHER,
        ..claim.clone()
    };
    let told = record(
        BLOCK_PROGRAM,
        other.clone(),
        world.proof(&world.prover, &other),
    )
    .await;
    assert!(told.refusal().starts_with("ConfigNotActive"));
    record(BLOCK_PROGRAM, claim.clone(), proof.clone())
        .await
        .unwrap();
    // Then it is the other way round, and what the old program said counts no more.
    world.pass(300);
    let told = record(
        BLOCK_PROGRAM,
        other.clone(),
        world.proof(&world.prover, &other),
    )
    .await;
    assert!(told.refusal().starts_with("ProgramNotActive"));
    let told = record(OTHER, claim.clone(), proof).await;
    assert!(told.refusal().starts_with("ConfigNotActive"));
    let (opening, _) = world.opening(3).await;
    let id = world
        .raise(Raise::OutputRoot {
            root: output_root(&opening),
            number: 3,
            expected: B256::ZERO,
        })
        .await;
    let told = world
        .zk
        .settle(
            &world.stranger,
            id,
            CONFIG,
            ProgramKind::Block,
            &at(&opening),
        )
        .await;
    assert!(told.refusal().starts_with("ConfigNotActive"));
    record(OTHER, other.clone(), world.proof(&world.prover, &other))
        .await
        .unwrap();
    world
        .zk
        .settle(
            &world.stranger,
            id,
            OTHER,
            ProgramKind::Block,
            &at(&opening),
        )
        .await
        .unwrap();
    // What is retired may come back, with another verifier.
    let back = Z::scheduleConfigCall {
        added: always(CONFIG),
    };
    world.owner_calls(&back).await.unwrap();
}

#[tokio::test]
async fn while_it_is_paused_the_clock_stands_still() {
    let world = World::new().await;
    let (opening, _) = world.opening(3).await;
    let raise = Raise::OutputRoot {
        root: output_root(&opening),
        number: 3,
        expected: B256::ZERO,
    };
    let id = world.raise(raise).await;
    let to = world.zk.address();
    let told = world.stranger.call(to, &Z::pauseCall {}).await;
    assert!(told.refusal().starts_with("NotGuardian"));
    let retire = Z::retireProgramCall {
        program: BLOCK_PROGRAM,
    };
    world.owner_calls(&retire).await.unwrap();
    world.owner_calls(&Z::pauseCall {}).await.unwrap();
    assert!(
        world
            .owner_calls(&Z::pauseCall {})
            .await
            .refusal()
            .starts_with("IsPaused")
    );
    // A pause ends after thirty days.
    world.pass(4 * WINDOW);
    let claim = world.claim(3, 4);
    for told in [
        world.submit(id, &claim, &at(&opening)).await.refusal(),
        world.zk.expire(&world.stranger, id).await.refusal(),
        world.zk.raise(&world.stranger, &raise).await.refusal(),
    ] {
        assert!(told.starts_with("IsPaused"), "{told}");
    }
    world.owner_calls(&Z::unpauseCall {}).await.unwrap();
    assert!(
        world
            .owner_calls(&Z::unpauseCall {})
            .await
            .refusal()
            .starts_with("IsNotPaused")
    );
    // The alert has its time as before, and the program too.
    assert!(
        world
            .zk
            .expire(&world.stranger, id)
            .await
            .refusal()
            .starts_with("NotExpired")
    );
    world.submit(id, &claim, &at(&opening)).await.unwrap();
}

/// The owner's key is lost, and the guardian has paused: nobody is there to end it.
#[tokio::test]
async fn a_pause_ends_by_itself_and_the_guardian_has_one() {
    const MAX_PAUSE: u64 = 30 * 24 * 60 * 60;
    let world = World::with(OptimismFork::Isthmus, |config| {
        config.guardian = mach_devnet::DEV_ACCOUNTS[3].address;
    })
    .await;
    let to = world.zk.address();
    let (opening, _) = world.opening(3).await;
    let raise = Raise::OutputRoot {
        root: output_root(&opening),
        number: 3,
        expected: B256::ZERO,
    };
    let id = world.raise(raise).await;
    let guardian = &world.stranger;
    guardian.call(to, &Z::pauseCall {}).await.unwrap();
    let before = world.clock().await;
    world.pass(MAX_PAUSE - 60);
    assert_eq!(world.clock().await, before);
    let told = world.zk.expire(&world.prover, id).await;
    assert!(told.refusal().starts_with("IsPaused"));
    world.pass(MAX_PAUSE);
    // As if it had been ended when it ran out.
    let after = world.clock().await;
    assert!((MAX_PAUSE - 120..MAX_PAUSE).contains(&(after - before)));
    let told = guardian.call(to, &Z::pauseCall {}).await;
    assert!(told.refusal().starts_with("PauseRanOut"));
    world.zk.expire(&world.prover, id).await.unwrap();
    let second = world.zk.raise(&world.prover, &raise).await.unwrap();
    world
        .submit(second, &world.claim(3, 4), &at(&opening))
        .await
        .unwrap();
    (world.zk)
        .withdraw(&world.prover, world.prover.sender())
        .await
        .unwrap();
    // An owner that is there may, and gives the guardian its own back.
    world.owner_calls(&Z::pauseCall {}).await.unwrap();
    let paused = world.clock().await;
    assert!(paused >= after);
    world.pass(60);
    assert_eq!(world.clock().await, paused);
    world.owner_calls(&Z::unpauseCall {}).await.unwrap();
    guardian.call(to, &Z::pauseCall {}).await.unwrap();
    world.pass(2 * MAX_PAUSE);
    world.owner_calls(&Z::unpauseCall {}).await.unwrap();
    guardian.call(to, &Z::pauseCall {}).await.unwrap();
}

/// Games with false claims about block 3, each another one.
struct FalseGames<'a> {
    world: &'a World,
    right: Opening,
}

impl<'a> FalseGames<'a> {
    async fn new(world: &'a World) -> Self {
        let (right, _) = world.opening(3).await;
        Self { world, right }
    }

    fn opening(&self, state: u8) -> Opening {
        Opening {
            stateRoot: B256::repeat_byte(state),
            ..self.right.clone()
        }
    }

    async fn make(&self, sender: &Submitter, state: u8) -> u64 {
        let root = output_root(&self.opening(state));
        self.world.game(sender, root, 3).await
    }

    async fn accuse(&self, game: u64, state: u8) -> Result<(), SubmitError> {
        let (zk, prover, header) = (&self.world.zk, &self.world.prover, self.world.header(3));
        let (kind, opening) = (Accused::GameClaim, self.opening(state));
        let sent = zk.accuse_directly(prover, kind, game, &opening, &header, &[]);
        sent.await.map(drop)
    }
}

const fn schedule(game_type: u32, proposer: Address) -> Z::scheduleGamesCall {
    Z::scheduleGamesCall {
        next: Games {
            gameType: game_type,
            proposer,
        },
    }
}

/// The rollup proposes by games of another type from now on, or another account does.
#[tokio::test]
async fn the_games_that_are_the_rollups_own_change_after_the_delay() {
    let world = World::new().await;
    let games = FalseGames::new(&world).await;
    let accuse = async |sender: &Submitter, state: u8| {
        let game = games.make(sender, state).await;
        games.accuse(game, state).await
    };
    let nobody = world.owner_calls(&schedule(GAME_TYPE, Address::ZERO)).await;
    assert!(nobody.refusal().starts_with("ZeroAddress"));
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    let (stranger, prover) = (world.stranger.sender(), world.prover.sender());
    // What is announced is replaced by what is announced later.
    for next in [prover, stranger] {
        let next = schedule(GAME_TYPE, next);
        world.owner_calls(&next).await.unwrap();
    }
    world.pass(WINDOW - 600);
    let told = accuse(&world.stranger, 1).await.refusal();
    assert!(told.starts_with("NotPublished"), "{told}");
    accuse(&proposer, 2).await.unwrap();
    assert_eq!(world.convictions().await, 1);
    // The one is not the rollup's proposer any more, the other is.
    world.pass(1200);
    for (other, state) in [(&proposer, 3), (&world.prover, 7)] {
        let told = accuse(other, state).await.refusal();
        assert!(told.starts_with("NotPublished"), "{told}");
    }
    accuse(&world.stranger, 4).await.unwrap();
    assert_eq!(world.convictions().await, 2);
    // Games of another type.
    let next = schedule(GAME_TYPE + 1, stranger);
    world.owner_calls(&next).await.unwrap();
    accuse(&world.stranger, 5).await.unwrap();
    assert_eq!(world.convictions().await, 3);
    world.pass(WINDOW);
    let told = accuse(&world.stranger, 6).await.refusal();
    assert!(told.starts_with("OtherGameType"), "{told}");
}

/// What the rollup's proposer has claimed is convicted after any change, and what somebody claimed before who is its proposer
/// now; what somebody claims who is it no more is not.
#[tokio::test]
async fn no_false_game_escapes_around_a_change_of_games() {
    let world = World::new().await;
    let games = FalseGames::new(&world).await;
    let proposer = submitter(&world.devnet, &PROPOSER).await;
    let next = &world.stranger;
    let oldest = games.make(&proposer, 1).await;
    let change = schedule(GAME_TYPE, next.sender());
    world.owner_calls(&change).await.unwrap();

    // Accused while it is nobody's: that convicts nobody, and hides nothing.
    let early = games.make(next, 2).await;
    let bonded = world
        .raise(Raise::GameClaim {
            index: early,
            expected: B256::ZERO,
        })
        .await;
    (world.zk)
        .convict_directly(next, bonded, &games.opening(2), &world.header(3), &[])
        .await
        .unwrap();
    assert_eq!(world.status(bonded).await.0, Status::Proved);
    let told = games.accuse(early, 2).await.refusal();
    assert!(told.starts_with("NotPublished"), "{told}");
    assert_eq!(world.convictions().await, 0);

    world.pass(WINDOW - 600);
    let late = games.make(&proposer, 3).await;
    world.pass(1200);
    for (game, state) in [(early, 2), (late, 3)] {
        games.accuse(game, state).await.unwrap();
        let told = games.accuse(game, state).await.refusal();
        assert!(told.starts_with("AlreadyConvicted"), "{told}");
    }
    assert_eq!(world.convictions().await, 2);
    let after = games.make(&proposer, 4).await;

    // A change of the type and of the proposer. A pause does not put it off, since nothing escapes by it.
    let change = schedule(GAME_TYPE + 1, world.prover.sender());
    world.owner_calls(&change).await.unwrap();
    let second = games.make(next, 5).await;
    world.owner_calls(&Z::pauseCall {}).await.unwrap();
    world.pass(WINDOW + 600);
    let too_late = games.make(next, 6).await;
    let told = games.accuse(too_late, 6).await.refusal();
    assert!(told.starts_with("OtherGameType"), "{told}");
    let told = games.accuse(after, 4).await.refusal();
    assert!(told.starts_with("NotPublished"), "{told}");
    for (game, state) in [(oldest, 1), (second, 5)] {
        games.accuse(game, state).await.unwrap();
    }
    assert_eq!(world.convictions().await, 4);
}

#[tokio::test]
async fn nobody_else_may_do_what_the_owner_may() {
    let world = World::new().await;
    let to = world.zk.address();
    let added = NewProgram {
        program: OTHER,
        verifier: to,
        kind: ProgramKind::Block,
    };
    let someone = world.stranger.sender();
    let calls: Vec<Bytes> = vec![
        Z::scheduleProgramCall { added }.abi_encode().into(),
        Z::retireProgramCall {
            program: BLOCK_PROGRAM,
        }
        .abi_encode()
        .into(),
        Z::scheduleConfigCall {
            added: always(OTHER),
        }
        .abi_encode()
        .into(),
        Z::extendConfigCall {
            extended: always(CONFIG),
        }
        .abi_encode()
        .into(),
        Z::retireConfigCall { configHash: CONFIG }
            .abi_encode()
            .into(),
        Z::addToAllowlistCall { operator: someone }
            .abi_encode()
            .into(),
        Z::removeFromAllowlistCall { operator: someone }
            .abi_encode()
            .into(),
        Z::enableAllowlistCall {}.abi_encode().into(),
        Z::disableAllowlistCall {}.abi_encode().into(),
        Z::setGuardianCall { guardian: someone }.abi_encode().into(),
        Z::scheduleGamesCall {
            next: Games {
                gameType: GAME_TYPE,
                proposer: someone,
            },
        }
        .abi_encode()
        .into(),
        Z::unpauseCall {}.abi_encode().into(),
        Z::clearAlertCall { id: U256::ZERO }.abi_encode().into(),
        Z::setBondCall {
            bond: Default::default(),
        }
        .abi_encode()
        .into(),
        Z::setBeneficiaryCall {
            beneficiary: someone,
        }
        .abi_encode()
        .into(),
        Z::transferOwnershipCall { newOwner: someone }
            .abi_encode()
            .into(),
    ];
    for call in calls {
        let told = world.stranger.send_to(to, call.clone()).await.refusal();
        assert!(told.starts_with("OwnableUnauthorizedAccount"), "{told}");
    }
}

#[tokio::test]
async fn the_allowlist_says_who_may_raise_alerts() {
    let world = World::with(OptimismFork::Isthmus, |config| {
        config.is_allowlist_enabled = true;
    })
    .await;
    let raise = Raise::BlockHash {
        hash: OTHER,
        number: 7,
        expected: B256::ZERO,
    };
    let told = world.zk.raise(&world.alerter, &raise).await;
    assert!(told.refusal().starts_with("NotInAllowlist"));
    let operator = world.alerter.sender();
    let add = Z::addToAllowlistCall { operator };
    let remove = Z::removeFromAllowlistCall { operator };
    assert!(
        world
            .owner_calls(&remove)
            .await
            .refusal()
            .starts_with("NotAdded")
    );
    world.owner_calls(&add).await.unwrap();
    assert!(
        world
            .owner_calls(&add)
            .await
            .refusal()
            .starts_with("AlreadyAdded")
    );
    world.raise(raise).await;
    world.owner_calls(&remove).await.unwrap();
    assert!(
        world
            .owner_calls(&Z::enableAllowlistCall {})
            .await
            .refusal()
            .starts_with("AlreadyEnabled")
    );
    world
        .owner_calls(&Z::disableAllowlistCall {})
        .await
        .unwrap();
    assert!(
        world
            .owner_calls(&Z::disableAllowlistCall {})
            .await
            .refusal()
            .starts_with("AlreadyDisabled")
    );
    world.zk.raise(&world.stranger, &raise).await.unwrap();
}

#[tokio::test]
async fn a_conviction_that_is_dealt_with_is_cleared_and_stays_proved() {
    let world = World::new().await;
    world.propose(1);
    let (opening, _) = world.opening(1).await;
    let raise = Raise::OracleOutput {
        index: 0,
        expected: B256::ZERO,
    };
    let id = world.raise(raise).await;
    let clear = Z::clearAlertCall { id };
    assert!(
        world
            .owner_calls(&clear)
            .await
            .refusal()
            .starts_with("NotOpen")
    );
    world
        .submit(id, &world.claim(1, 4), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.convictions().await, 1);
    world.owner_calls(&clear).await.unwrap();
    assert_eq!(world.convictions().await, 0);
    assert_eq!(world.status(id).await.0, Status::Proved);
    let root = output_root(&opening);
    let posted_at = world.posted_at(0).await;
    let conviction = (world.zk)
        .conviction(L2_OUTPUT_ORACLE, 0, posted_at, root)
        .await;
    assert_eq!(conviction.unwrap(), Conviction::Cleared);
    assert!(
        world
            .owner_calls(&clear)
            .await
            .refusal()
            .starts_with("NotOpen")
    );
    // The same again is no new conviction.
    let second = world.zk.raise(&world.stranger, &raise).await.unwrap();
    world
        .zk
        .settle(
            &world.stranger,
            second,
            CONFIG,
            ProgramKind::Block,
            &at(&opening),
        )
        .await
        .unwrap();
    assert_eq!(world.convictions().await, 0);
}

/// The challenger takes a false output away, and the proposer puts it there again.
#[tokio::test]
async fn a_false_output_that_is_posted_again_is_convicted_again() {
    let world = World::new().await;
    world.propose(1);
    let (opening, _) = world.opening(1).await;
    let claim = world.claim(1, 4);
    let accuse = || Z::accuseCall {
        kind: Accused::OracleOutput,
        index: U256::ZERO,
        program: BLOCK_PROGRAM,
        claim: claim.clone(),
        proof: world.proof(&world.prover, &claim),
        path: at(&opening),
    };
    let to = world.zk.address();
    world.prover.call(to, &accuse()).await.unwrap();
    let clear = Z::clearAlertCall { id: U256::ZERO };
    world.owner_calls(&clear).await.unwrap();
    let first = world.posted_at(0).await;
    // Cleared, and still there: it is the same that was dealt with.
    let told = world.prover.call(to, &accuse()).await;
    assert!(told.refusal().starts_with("AlreadyConvicted"));
    let delete = deleteL2OutputsCall {
        l2OutputIndex: U256::ZERO,
    };
    let deleted = world.owner.call(L2_OUTPUT_ORACLE, &delete).await;
    deleted.unwrap();
    // An alert from before is about what is gone.
    let told = world.prover.call(to, &accuse()).await;
    assert!(told.refusal().starts_with("InvalidIndex"));
    assert_eq!(world.convictions().await, 0);
    world.pass(12);
    world.post_root(output_root(&opening), 1).await;
    world.prover.call(to, &accuse()).await.unwrap();
    assert_eq!(world.convictions().await, 1);
    let told = world.prover.call(to, &accuse()).await;
    assert!(told.refusal().starts_with("AlreadyConvicted"));
    // Each posting has its own standing.
    let root = output_root(&opening);
    let conviction = async |posted_at| {
        let conviction = (world.zk).conviction(L2_OUTPUT_ORACLE, 0, posted_at, root);
        conviction.await.unwrap()
    };
    let second = world.posted_at(0).await;
    assert!(second > first);
    assert_eq!(conviction(first).await, Conviction::Cleared);
    assert_eq!(conviction(second).await, Conviction::Standing);
    let again = Z::clearAlertCall { id: U256::from(1) };
    world.owner_calls(&again).await.unwrap();
    assert_eq!(world.convictions().await, 0);
}

#[tokio::test]
async fn a_service_manager_that_cannot_work_is_not_deployed() {
    let world = World::new().await;
    type Change = fn(&mut ZkConfig);
    let deploy = |change: Change| {
        let mut config = world.config.clone();
        change(&mut config);
        let owner = &world.owner;
        async move { ZkServiceManager::deploy(owner, &config).await.refusal() }
    };
    let cases: [(Change, &str); 13] = [
        (|config| config.rollup = 0, "ZeroValue"),
        (|config| config.owner = Address::ZERO, "OwnableInvalidOwner"),
        (|config| config.guardian = Address::ZERO, "ZeroAddress"),
        (|config| config.beneficiary = Address::ZERO, "ZeroAddress"),
        (
            |config| config.proving_window = std::time::Duration::ZERO,
            "ZeroValue",
        ),
        (|config| config.delay /= 2, "DelayTooShort"),
        (|config| config.delay *= 13, "DelayTooLong"),
        // Anybody could convict the rollup, by a game of its own.
        (|config| config.proposer = None, "ZeroAddress"),
        (
            |config| config.times.as_mut().unwrap().first_timestamp = 0,
            "ZeroValue",
        ),
        (
            |config| config.oracle = Some(Address::repeat_byte(5)),
            "NotAContract",
        ),
        (
            |config| config.programs[0].verifier = Address::repeat_byte(5),
            "NotAContract",
        ),
        (
            |config| config.configs[0] = ZkRules::without_horizon(B256::ZERO),
            "ZeroValue",
        ),
        // Nobody says by leaving it out that rules hold for ever.
        (
            |config| config.configs[0] = ZkRules::up_to(CONFIG, 0),
            "ZeroValue",
        ),
    ];
    for (change, name) in cases {
        let told = deploy(change).await;
        assert!(told.starts_with(name), "{told}");
    }
}

#[tokio::test]
async fn an_owner_that_leaves_leaves_nobody_who_can_stop_it() {
    let world = World::with(OptimismFork::Isthmus, |config| {
        config.guardian = mach_devnet::DEV_ACCOUNTS[3].address;
    })
    .await;
    let to = world.zk.address();
    let told = world.stranger.call(to, &Z::renounceOwnershipCall {}).await;
    assert!(told.refusal().starts_with("OwnableUnauthorizedAccount"));
    // Paused it would be paused for ever, with the bonds in it.
    world.stranger.call(to, &Z::pauseCall {}).await.unwrap();
    let told = world.owner_calls(&Z::renounceOwnershipCall {}).await;
    assert!(told.refusal().starts_with("IsPaused"));
    world.pass(60);
    world.owner_calls(&Z::unpauseCall {}).await.unwrap();
    world
        .owner_calls(&Z::renounceOwnershipCall {})
        .await
        .unwrap();
    let told = world.stranger.call(to, &Z::pauseCall {}).await;
    assert!(told.refusal().starts_with("NotGuardian"));
    let told = world.owner_calls(&Z::pauseCall {}).await;
    assert!(told.refusal().starts_with("NotGuardian"));
    // It works on without.
    let (opening, _) = world.opening(3).await;
    let raise = Raise::OutputRoot {
        root: output_root(&opening),
        number: 3,
        expected: B256::ZERO,
    };
    let id = world.raise(raise).await;
    world
        .submit(id, &world.claim(3, 4), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.status(id).await.0, Status::Proved);
}

#[tokio::test]
async fn ownership_passes_when_it_is_accepted() {
    let world = World::new().await;
    let to = world.zk.address();
    let heir = Z::transferOwnershipCall {
        newOwner: world.prover.sender(),
    };
    world.owner_calls(&heir).await.unwrap();
    let told = world.stranger.call(to, &Z::acceptOwnershipCall {}).await;
    assert!(told.refusal().starts_with("OwnableUnauthorizedAccount"));
    let set = Z::setGuardianCall {
        guardian: world.prover.sender(),
    };
    world.owner_calls(&set).await.unwrap();
    world
        .prover
        .call(to, &Z::acceptOwnershipCall {})
        .await
        .unwrap();
    let told = world.owner_calls(&set).await;
    assert!(told.refusal().starts_with("OwnableUnauthorizedAccount"));
    let told = world.owner_calls(&Z::pauseCall {}).await;
    assert!(told.refusal().starts_with("NotGuardian"));
    world.prover.call(to, &set).await.unwrap();
}

/// EIP-7825: the estimate fits, the estimate and its margin would not.
#[tokio::test]
async fn the_service_manager_is_deployed_however_large_the_margin() {
    let world = World::new().await;
    let wallet = EthereumWallet::from(mach_devnet::DEV_ACCOUNTS[4].signer());
    let policy = mach_contracts_bindings::SubmitPolicy {
        gas_margin: 400,
        ..POLICY
    };
    let deployer = Submitter::connect(world.l1(), wallet, policy)
        .await
        .unwrap();
    ZkServiceManager::deploy(&deployer, &world.config)
        .await
        .unwrap();
    let block = world.l1().get_block(alloy_eips::BlockId::latest()).await;
    let used = block.unwrap().unwrap().header.gas_used;
    println!("deployment: {used} gas");
    assert!(used < 1 << 24 && used * 5 > 1 << 24, "{used}");
}
