//! Each defect of the original's ZK service manager that COMPAT 8.2 numbers, and that it is not here.

use super::*;

fn block_hash(number: u64) -> Raise {
    Raise::BlockHash {
        hash: B256::from(U256::from(number)),
        number,
        expected: B256::ZERO,
    }
}

/// There a disproved alert that was not the last could never be deleted: the call panicked.
#[tokio::test]
async fn defect_41_an_alert_in_the_middle_is_refuted_and_the_others_stay() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in [5, 3, 1] {
        let hash = world.block(number).hash();
        ids.push(
            world
                .raise(Raise::BlockHash {
                    hash,
                    number,
                    expected: B256::ZERO,
                })
                .await,
        );
    }
    let right = world.claim(3, 0);
    world
        .submit(ids[1], &right, &Path::default())
        .await
        .unwrap();
    let statuses = [Status::Raised, Status::Refuted, Status::Raised];
    for (id, expected) in ids.iter().zip(statuses) {
        assert_eq!(world.status(*id).await.0, expected);
    }
    let numbers = world.zk.alerts(U256::ZERO, 10).await.unwrap();
    let numbers: Vec<u64> = numbers.iter().map(|alert| alert.blockNumber.to()).collect();
    assert_eq!(numbers, [5, 3, 1]);
}

/// There clearing several alerts reverted, skipped some, and marked proved ones as unproved.
#[tokio::test]
async fn defect_42_clearing_one_conviction_leaves_every_other_alert_as_it_is() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        world.propose(number);
    }
    for number in 1..=3 {
        let index = number - 1;
        let raise = Raise::OracleOutput {
            index,
            expected: B256::ZERO,
        };
        let id = world.raise(raise).await;
        let (opening, _) = world.opening(number).await;
        world
            .submit(id, &world.claim(number, 4), &at(&opening))
            .await
            .unwrap();
        ids.push(id);
    }
    let open = world.raise(block_hash(9)).await;
    for id in [ids[1], ids[0]] {
        world.owner_calls(&Z::clearAlertCall { id }).await.unwrap();
    }
    for id in ids {
        assert_eq!(world.status(id).await.0, Status::Proved);
    }
    assert_eq!(world.status(open).await.0, Status::Raised);
    assert_eq!(world.convictions().await, 1);
}

/// There each alert had to be about an earlier block than the one before, so that a bogus alert about a low
/// block kept everybody from alerting.
#[tokio::test]
async fn defect_43_a_bogus_alert_about_a_low_block_is_in_nobodys_way() {
    let world = World::new().await;
    for number in [1, 7, 3, 7, 1_000_000, 2] {
        world
            .zk
            .raise(&world.stranger, &block_hash(number))
            .await
            .unwrap();
    }
    world.propose(1);
    let id = world
        .raise(Raise::OracleOutput {
            index: 0,
            expected: B256::ZERO,
        })
        .await;
    let (opening, _) = world.opening(1).await;
    world
        .submit(id, &world.claim(1, 4), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.status(id).await.0, Status::Proved);
}

/// There the newest output could not be alerted, and the first one was no checkpoint.
#[tokio::test]
async fn defect_44_the_first_and_the_newest_output_are_alerted() {
    let world = World::new().await;
    for number in 1..=3 {
        world.propose(number);
    }
    for (index, number) in [(2, 3), (0, 1)] {
        let raise = Raise::OracleOutput {
            index,
            expected: B256::ZERO,
        };
        let id = world.raise(raise).await;
        assert_eq!(world.alert(id).await.blockNumber, U256::from(number));
        let (opening, _) = world.opening(number).await;
        world
            .submit(id, &world.claim(number, 4), &at(&opening))
            .await
            .unwrap();
    }
    // The newest output's block may also be accused by what the sequencer tells.
    world.raise(block_hash(3)).await;
    let beyond = Raise::OracleOutput {
        index: 3,
        expected: B256::ZERO,
    };
    let told = world.zk.raise(&world.alerter, &beyond).await;
    assert!(told.refusal().starts_with("InvalidIndex"));
}

/// There the allowlist was off behind a proxy although declared on, nobody could pause, and anybody could
/// initialize the implementation.
#[tokio::test]
async fn defect_45_what_is_set_up_holds_from_the_first_block_on() {
    let world = World::with(OptimismFork::Isthmus, |config| {
        config.is_allowlist_enabled = true;
        config.guardian = mach_devnet::DEV_ACCOUNTS[3].address;
    })
    .await;
    let told = world.zk.raise(&world.alerter, &block_hash(3)).await;
    assert!(told.refusal().starts_with("NotInAllowlist"));
    world
        .stranger
        .call(world.zk.address(), &Z::pauseCall {})
        .await
        .unwrap();
    // No function of that kind is there: there is no proxy, and nothing to initialize.
    let json: serde_json::Value =
        serde_json::from_str(mach_contracts_bindings::Artifact::MachZkServiceManager.json())
            .unwrap();
    let names = json["abi"].as_array().unwrap().iter();
    assert!(!names.clone().any(|entry| entry["name"] == "initialize"));
    assert!(names.clone().any(|entry| entry["name"] == "submitProve"));
}

/// There the header hash of the journal was not looked at, the wrong root was the alerter's word, and a prover
/// could put itself in the alerter's place.
#[tokio::test]
async fn defect_46_the_header_is_bound_and_the_alerter_stays_the_alerter() {
    let world = World::new().await;
    let (opening, _) = world.opening(3).await;
    let root = output_root(&opening);
    let raise = Raise::OutputRoot {
        root,
        number: 3,
        expected: B256::repeat_byte(0xee),
    };
    let id = world.raise(raise).await;
    // A proof about another header of the same height.
    let mut other = world.claim(3, 4);
    other.blockHash = B256::repeat_byte(0x33);
    let told = world.submit(id, &other, &at(&opening)).await;
    assert!(told.refusal().starts_with("NoVerdict"));
    // The computed root is not the alerter's: the alert is right all the same, and its own.
    let claim = Claim {
        outputRoot: B256::repeat_byte(0xdd),
        ..world.claim(3, 4)
    };
    world.submit(id, &claim, &at(&opening)).await.unwrap();
    let alert = world.alert(id).await;
    assert_eq!(alert.status, Status::Proved);
    assert_eq!(alert.submitter, world.alerter.sender());
    assert_eq!(alert.expected, B256::repeat_byte(0xee));
    // A root that names no header that anybody shows convicts nobody.
    let bogus = Raise::OutputRoot {
        root: B256::repeat_byte(0x55),
        number: 3,
        expected: root,
    };
    let bogus = world.raise(bogus).await;
    let told = world.submit(bogus, &claim, &at(&opening)).await;
    assert!(told.refusal().starts_with("OpeningMismatch"));
}

/// There only the `L2OutputOracle` was known, and the verifier's interface was that of early 2024.
#[tokio::test]
async fn defect_47_dispute_games_are_alerted_and_adapters_speak_todays_interface() {
    let world = World::new().await;
    world.propose(1);
    let id = world
        .raise(Raise::GameClaim {
            index: 0,
            expected: B256::ZERO,
        })
        .await;
    let alert = world.alert(id).await;
    assert_eq!(alert.kind, Accused::GameClaim);
    assert_eq!(Some(alert.source), world.game_at(0).await);
    assert!(alert.published);
    let (opening, _) = world.opening(1).await;
    assert_eq!(alert.accused, output_root(&opening));
    world
        .submit(id, &world.claim(1, 4), &at(&opening))
        .await
        .unwrap();
    assert_eq!(world.convictions().await, 1);
    // Source: COMPAT 1.7 has today's selector.
    sol! {
        function verify(bytes seal, bytes32 imageId, bytes32 journalDigest) external view;
    }
    assert_eq!(verifyCall::SELECTOR, [0xab, 0x75, 0x0e, 0x75]);
}
