//! Rules that nobody said anything of for later blocks judge none of them.

use super::*;

/// A world whose configuration is known to hold up to block 3.
async fn up_to_three() -> World {
    World::with(OptimismFork::Isthmus, |config| {
        config.configs = vec![ZkRules::up_to(CONFIG, 3)];
    })
    .await
}

impl World {
    async fn convict(&self, number: u64) -> Result<(), SubmitError> {
        let raise = Raise::BlockHash {
            hash: self.block(number).hash(),
            number,
            expected: B256::ZERO,
        };
        let id = self.raise(raise).await;
        let claim = self.claim(number, 4);
        self.submit(id, &claim, &Path::default()).await
    }

    async fn extend(&self, last_block: u64) -> Result<(), SubmitError> {
        let extended = NewConfig {
            configHash: CONFIG,
            lastBlock: last_block,
        };
        self.owner_calls(&Z::extendConfigCall { extended }).await
    }

    async fn horizon(&self) -> u64 {
        self.zk.horizon(CONFIG).await.unwrap()
    }
}

/// Behind a fork that the rules do not know, blocks are right that are wrong by them.
#[tokio::test]
async fn a_block_that_the_rules_may_not_know_is_not_judged_by_them() {
    let world = up_to_three().await;
    assert_eq!(world.horizon().await, 3);
    world.convict(3).await.unwrap();
    let told = world.convict(4).await.refusal();
    assert!(told.starts_with("BeyondHorizon"), "{told}");
    // By no kind of program, for or against it, with an alert or without.
    let right = world.claim(5, 0);
    let output = Claim {
        fault: 128,
        claimed: B256::repeat_byte(1),
        computed: B256::repeat_byte(2),
        ..world.claim(5, 0)
    };
    for (program, claim) in [(BLOCK_PROGRAM, right), (OUTPUT_PROGRAM, output)] {
        let proof = world.proof(&world.prover, &claim);
        let sent = (world.zk).record_proof(&world.prover, program, &claim, &proof);
        let told = sent.await.refusal();
        assert!(told.starts_with("BeyondHorizon"), "{told}");
    }
    assert_eq!(world.convictions().await, 0);
}

#[tokio::test]
async fn a_horizon_is_moved_on_after_the_delay() {
    let world = up_to_three().await;
    let told = world.extend(2).await.refusal();
    assert!(told.starts_with("NoExtension"), "{told}");
    world.extend(4).await.unwrap();
    world.pass(WINDOW - 60);
    assert_eq!(world.horizon().await, 3);
    let told = world.convict(4).await.refusal();
    assert!(told.starts_with("BeyondHorizon"), "{told}");
    world.pass(60);
    assert_eq!(world.horizon().await, 4);
    world.convict(4).await.unwrap();
    // What is announced later begins anew, and what counts stays.
    world.extend(5).await.unwrap();
    world.pass(WINDOW - 60);
    world.extend(u64::MAX).await.unwrap();
    world.pass(60);
    assert_eq!(world.horizon().await, 4);
    // It may be taken back before it counts, and not behind what counts.
    let told = world.extend(3).await.refusal();
    assert!(told.starts_with("NoExtension"), "{told}");
    world.extend(4).await.unwrap();
    world.pass(WINDOW);
    assert_eq!(world.horizon().await, 4);
    let told = world.convict(5).await.refusal();
    assert!(told.starts_with("BeyondHorizon"), "{told}");
    // An owner may say that the rules hold for ever.
    world.extend(u64::MAX).await.unwrap();
    world.pass(WINDOW);
    world.convict(5).await.unwrap();
}

#[tokio::test]
async fn while_it_is_paused_no_horizon_moves_on() {
    let world = up_to_three().await;
    world.extend(5).await.unwrap();
    world.owner_calls(&Z::pauseCall {}).await.unwrap();
    world.pass(2 * WINDOW);
    assert_eq!(world.horizon().await, 3);
    world.owner_calls(&Z::unpauseCall {}).await.unwrap();
    assert_eq!(world.horizon().await, 3);
    world.pass(WINDOW);
    assert_eq!(world.horizon().await, 5);
}

#[tokio::test]
async fn what_is_retired_has_no_horizon_to_move_and_comes_back_with_another() {
    let world = up_to_three().await;
    let retire = Z::retireConfigCall { configHash: CONFIG };
    world.owner_calls(&retire).await.unwrap();
    let told = world.extend(5).await.refusal();
    assert!(told.starts_with("ConfigNotActive"), "{told}");
    world.pass(WINDOW);
    let back = |last_block| Z::scheduleConfigCall {
        added: NewConfig::from(&ZkRules::up_to(CONFIG, last_block)),
    };
    let told = world.owner_calls(&back(0)).await.refusal();
    assert!(told.starts_with("ZeroValue"), "{told}");
    // A fork has come nearer meanwhile.
    world.owner_calls(&back(2)).await.unwrap();
    world.pass(WINDOW);
    assert_eq!(world.horizon().await, 2);
    let told = world.convict(3).await.refusal();
    assert!(told.starts_with("BeyondHorizon"), "{told}");
    world.convict(2).await.unwrap();
}
