//! Blocks of nodes that serve no witnesses, verified from their proofs.

use mach_core::{Assurance, Verdict, ports::L2Source};
use mach_devnet::{Devnet, DevnetConfig, Lie};
use mach_verify::{
    source::{RpcSource, WitnessSource},
    verify_block,
};

use crate::nodes::Without;

/// What hosted endpoints do not serve.
const DEBUG: &[&str] = &[
    "debug_getRawHeader",
    "debug_getRawBlock",
    "debug_getRawReceipts",
    "debug_executionWitness",
];

#[tokio::test]
async fn a_rollup_without_witnesses_is_verified_from_its_proofs() {
    let config = DevnetConfig::default();
    let spec = config.l2_spec();
    let devnet: Devnet = config.build().unwrap();
    let l2 = devnet.l2();
    let node = Without::new(l2.transport(), DEBUG);
    let source = RpcSource::new(node.client(), l2.chain_id()).with_proofs(spec.clone());
    let own = RpcSource::new(l2.client(), l2.chain_id());
    for number in 1..=12 {
        assert_eq!(devnet.sequencer().produce().unwrap(), number);
        let before = node.round_trips();
        let block = source.block(number).await.unwrap();
        assert_eq!(block, own.block(number).await.unwrap());
        let witness = source.witness(&block).await.unwrap();
        let round_trips = node.round_trips() - before;
        let verdict = verify_block(&spec, &block, &witness).unwrap();
        assert!(
            matches!(verdict, Verdict::Valid(it) if it.assurance == Assurance::Executed),
            "{number}"
        );
        // The first time it is found out what the node does not serve.
        assert!(round_trips <= 12, "{number}: {round_trips} round trips");

        // Nothing is in it that the node's own would not have.
        let own = own.witness(&block).await.unwrap();
        assert!(
            witness.state.iter().all(|it| own.state.contains(it)),
            "{number}"
        );
        assert!(
            witness.codes.iter().all(|it| own.codes.contains(it)),
            "{number}"
        );
    }
    assert!(source.gathers_witnesses());
}

#[tokio::test]
async fn a_lie_is_named_from_proofs_too() {
    for lie in [Lie::StateRoot, Lie::GasUsed, Lie::ReceiptsRoot] {
        let config = DevnetConfig::default();
        let spec = config.l2_spec();
        let devnet = config.build().unwrap();
        let l2 = devnet.l2();
        let node = Without::new(l2.transport(), DEBUG);
        let source = RpcSource::new(node.client(), l2.chain_id()).with_proofs_only(spec.clone());
        devnet.sequencer().produce().unwrap();
        devnet.sequencer().lie_next(lie);
        let number = devnet.sequencer().produce().unwrap();
        let block = source.block(number).await.unwrap();
        let witness = source.witness(&block).await.unwrap();
        let verdict = verify_block(&spec, &block, &witness).unwrap();
        assert_eq!(
            verdict.fault().map(|it| it.name()),
            Some(lie.fault()),
            "{lie}"
        );
    }
}

/// Proofs after the block are those of a lying header's state, which is the parent's: what removals
/// need is then searched for, or the block is undecided. It is never taken for valid.
#[tokio::test]
async fn proofs_of_an_invented_state_accuse_nobody_else() {
    let config = DevnetConfig::default();
    let spec = config.l2_spec();
    let devnet = config.build().unwrap();
    let l2 = devnet.l2();
    let node = Without::new(l2.transport(), DEBUG);
    let source = RpcSource::new(node.client(), l2.chain_id()).with_proofs_only(spec.clone());
    devnet.sequencer().lie_next(Lie::StateRoot);
    devnet.sequencer().produce().unwrap();
    for _ in 0..4 {
        // Honest on top of the lie.
        let number = devnet.sequencer().produce().unwrap();
        let block = source.block(number).await.unwrap();
        if let Ok(witness) = source.witness(&block).await {
            let verdict = verify_block(&spec, &block, &witness);
            assert!(!matches!(verdict, Ok(Verdict::Invalid(_))), "{verdict:?}");
        }
    }
}
