//! Derivation over ports.

use alloy_op_hardforks::OpHardfork;
use mach_core::{Fault, ports::SourceError};
use mach_verify::derive::{DeriveError, Driver, DriverError, Finding};

use super::{
    encode::{data, frames, transaction},
    two_epochs,
    world::{L1, World},
};

fn driver(world: &World) -> Driver<L1, L1, L1> {
    let source = L1(world.clone());
    Driver::new(
        world.rollup.clone(),
        &world.l2[0],
        source.clone(),
        source.clone(),
        source,
    )
    .unwrap()
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
    let source = L1(world.clone());
    let error = Driver::new(rollup, &world.l2[0], source.clone(), source.clone(), source);
    assert!(matches!(
        error,
        Err(DriverError::Source(SourceError::WrongChain {
            expected: 5,
            actual: 1
        }))
    ));
}
