//! Blocks that the devnet makes: traffic, deposits and changes of the configuration at random.

use mach_core::{Verdict, ports::L1Source};
use mach_devnet::OptimismFork;
use mach_verify::{
    source::{RpcSource, WitnessSource},
    verify_block,
};
use tokio::task::JoinSet;

use super::{Fixture, cross_check, header, transactions, witness};
use crate::op::{self, Random};

/// Changes of one chain's blocks.
#[derive(Default)]
struct Counts {
    named: usize,
    damaged: usize,
    errors: usize,
}

async fn sweep(fork: OptimismFork, blocks: u64, seed: u64) -> Counts {
    let devnet = op::make_devnet(fork, blocks, &mut Random(seed));
    let node = RpcSource::new(devnet.l2().client(), devnet.l2().role().spec().chain_id());
    let mut counts = Counts::default();
    for number in 1..=blocks {
        let block = devnet.l2().l2_block(number).unwrap();
        let witness = devnet.l2().witness(&block).await.unwrap();
        let it = Fixture {
            name: format!("{fork:?} {number}"),
            spec: devnet.rollup().l2.clone(),
            block,
            witness,
        };
        let verdict = verify_block(&it.spec, &it.block, &it.witness);
        assert!(
            matches!(verdict, Ok(Verdict::Valid(_))),
            "{}: {verdict:?}",
            it.name
        );
        counts.named += header::check(&it) + transactions::check(&it);
        let (changes, errors) = witness::check(&it);
        counts.damaged += changes;
        counts.errors += errors;
        let receipts = node.receipts(&it.block.header).await.unwrap();
        let (named, refused) = cross_check::check(&it, &receipts);
        counts.named += named;
        counts.damaged += refused;
        counts.errors += refused;
    }
    counts
}

/// `MACH_DEVNET_BLOCKS` says how many blocks there are, of all forks together.
#[tokio::test(flavor = "multi_thread")]
async fn changed_blocks_of_the_devnet_are_named_and_damaged_inputs_accuse_nobody() {
    let blocks = op::devnet_blocks();
    let mut sweeps = JoinSet::new();
    for (seed, fork) in (100..).zip(op::DEVNET_FORKS) {
        sweeps.spawn(sweep(fork, blocks / op::DEVNET_FORKS.len() as u64, seed));
    }
    let mut all = Counts::default();
    while let Some(counts) = sweeps.join_next().await {
        let counts = counts.unwrap();
        all.named += counts.named;
        all.damaged += counts.damaged;
        all.errors += counts.errors;
    }
    eprintln!(
        "{blocks} blocks valid; {} changes named; {} inputs damaged, {} of them undecided",
        all.named, all.damaged, all.errors
    );
    assert!(all.named as u64 >= 20 * blocks);
    assert!(2 * all.errors > all.damaged);
}
