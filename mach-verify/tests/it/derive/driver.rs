//! Derivation over ports.

use alloy_op_hardforks::OpHardfork;
use mach_core::{
    Fault,
    ports::{L1Head, SourceError},
};
use mach_verify::derive::{DeriveError, Driver, DriverError, Finding};

use super::{
    encode::{data, frames, transaction},
    two_epochs,
    world::{L1, World},
};

fn driver(world: &World) -> Driver<L1, L1, L1> {
    driver_of(&L1::new(world.clone()))
}

fn driver_of(source: &L1) -> Driver<L1, L1, L1> {
    let world = source.world();
    Driver::new(
        world.rollup.clone(),
        &world.l2[0],
        source.clone(),
        source.clone(),
        source.clone(),
    )
    .unwrap()
}

/// A driver behind block 7.
async fn at_seven(source: &L1) -> Driver<L1, L1, L1> {
    let mut driver = driver_of(source);
    for number in 1..=7 {
        let (block, finding) = driver.next().await.unwrap();
        assert_eq!(block.number(), number);
        assert!(matches!(finding, Finding::Derived(_)));
    }
    driver
}

#[tokio::test]
async fn the_chain_is_followed_as_far_as_it_is_posted() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=9);
    world.post_blobs(&[data(&frames(1, &channel, 1_000_000))]);
    let mut driver = driver(&world);
    for number in 1..=9 {
        let (block, finding) = driver.next().await.unwrap();
        assert_eq!(block, world.l2[number]);
        assert!(matches!(finding, Finding::Derived(_)));
    }
    let error = driver.next().await.unwrap_err();
    assert!(error.is_not_yet() && error.is_transient(), "{error:?}");

    let mut without = world.clone();
    without.blobs.clear();
    let error = self::driver(&without).next().await.unwrap_err();
    assert!(matches!(
        error,
        DriverError::Source(SourceError::NotHeld(102))
    ));
}

#[tokio::test]
async fn a_block_that_was_not_posted_is_a_fault() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(8);
    world.sequence(1, vec![transaction(80)]);
    let mut driver = driver(&world);
    for _ in 1..8 {
        assert!(matches!(
            driver.next().await.unwrap().1,
            Finding::Derived(_)
        ));
    }
    // And stays one.
    for _ in 0..2 {
        let (block, finding) = driver.next().await.unwrap();
        assert_eq!(block.number(), 8);
        assert!(matches!(
            finding,
            Finding::NotDerivable(Fault::BatchTransactions { index: 2, .. })
        ));
    }
}

/// The sequencer may have published the block that replaces a batch, or may have left the
/// transactions out: only who executes the batch knows.
#[tokio::test]
async fn a_block_that_may_replace_a_batch_is_no_fault() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(8);
    world.sequence(1, vec![]);
    let mut driver = driver(&world);
    for _ in 1..8 {
        let _ = driver.next().await.unwrap();
    }
    for _ in 0..2 {
        let error = driver.next().await.unwrap_err();
        assert!(matches!(
            error,
            DriverError::Derive(DeriveError::Replaced(8))
        ));
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn sources_of_other_chains_are_refused() {
    let world = two_epochs(OpHardfork::Jovian);
    let mut rollup = world.rollup.clone();
    rollup.config.l1_chain_id = 5;
    let source = L1::new(world.clone());
    let error = Driver::new(rollup, &world.l2[0], source.clone(), source.clone(), source);
    assert!(matches!(
        error,
        Err(DriverError::Source(SourceError::WrongChain {
            expected: 5,
            actual: 1
        }))
    ));
}

/// What is said of one block says nothing of another one at its height.
#[tokio::test]
async fn a_wrong_block_is_not_held_against_the_right_one() {
    for fork in [OpHardfork::Fjord, OpHardfork::Jovian] {
        // The batch of block 8 has transactions, or none.
        for is_empty in [false, true] {
            let mut world = two_epochs(fork);
            if is_empty {
                world.l2.truncate(8);
                world.sequence(1, vec![]);
            }
            let last = world.l2.len() - 1;
            let channel = world.span(1..=last);
            world.post(&[data(&frames(1, &channel, 1_000_000))]);
            let honest = world.l2[8].clone();
            world.l2.truncate(8);
            world.sequence(1, vec![transaction(90)]);
            let wrong = world.l2.pop().unwrap();
            world.sequence(1, vec![transaction(91), transaction(92)]);
            let other = world.l2.pop().unwrap();
            let empty = {
                world.sequence(1, vec![]);
                world.l2.pop().unwrap()
            };

            let source = L1::new(world);
            let mut driver = at_seven(&source).await;
            for block in [&wrong, &other, &wrong] {
                let finding = driver.check(block).await;
                let is_accused = matches!(
                    finding,
                    Ok(Finding::NotDerivable(Fault::BatchTransactions { .. }))
                );
                // Before Holocene another batch may still come.
                let is_open = matches!(&finding, Err(error) if error.is_not_yet());
                let waits = fork == OpHardfork::Fjord && !is_empty;
                assert_eq!((is_accused, is_open), (!waits, waits), "{fork:?}");
            }
            if fork == OpHardfork::Jovian && !is_empty {
                let error = driver.check(&empty).await.unwrap_err();
                assert!(matches!(
                    error,
                    DriverError::Derive(DeriveError::Replaced(8))
                ));
            }
            // The source exchanges its block for the right one.
            source.world().l2.push(honest.clone());
            let (block, finding) = driver.next().await.unwrap();
            assert_eq!(block, honest);
            assert!(matches!(finding, Finding::Derived(_)), "{fork:?}");
        }
    }
}

/// L1 may still decide otherwise, or has done so.
#[tokio::test]
async fn only_a_final_l1_accuses() {
    let mut world = two_epochs(OpHardfork::Jovian);
    let channel = world.span(1..=12);
    world.post(&[data(&frames(1, &channel, 1_000_000))]);
    world.l2.truncate(8);
    world.sequence(1, vec![transaction(80)]);
    world.finalized = Some(101);
    let source = L1::new(world.clone());
    let mut driver = driver_of(&source).with_head(L1Head::Latest);
    for _ in 1..8 {
        assert!(matches!(
            driver.next().await.unwrap().1,
            Finding::Derived(_)
        ));
    }
    let inclusion = world.l1[2].reference();
    for _ in 0..2 {
        let error = driver.next().await.unwrap_err();
        assert!(matches!(
            error,
            DriverError::Derive(DeriveError::Unsettled(block)) if block == inclusion
        ));
        assert!(error.is_transient() && !error.is_not_yet());
    }

    // What becomes final is another block.
    source.world().l1.pop();
    source.world().post(&[vec![1]]);
    source.world().finalized = Some(102);
    let replaced = source.world().l1[2].reference();
    let error = driver.next().await.unwrap_err();
    assert!(matches!(
        error,
        DriverError::Derive(DeriveError::L1Replaced { block, inclusion: before })
            if block == replaced && before == inclusion
    ));

    // Or it is the one that was read.
    *source.world() = World {
        finalized: Some(102),
        ..world
    };
    let (block, finding) = driver.next().await.unwrap();
    assert_eq!(block.number(), 8);
    assert!(matches!(finding, Finding::NotDerivable(_)));
}
