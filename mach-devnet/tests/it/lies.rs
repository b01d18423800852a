//! Each lie, and what a verifier says of it.

use alloy_network::AnyNetwork;
use alloy_primitives::{B256, keccak256};
use alloy_provider::Provider;
use mach_core::{Fault, Mismatch, Verdict};
use mach_devnet::{Check, Devnet, DevnetConfig, Lie, OptimismFork};
use mach_verify::verify_output_proposal;

use super::verify;

const FORKS: [OptimismFork; 2] = [OptimismFork::Isthmus, OptimismFork::Jovian];

/// Lies that a block and its witness, or a proposal, betray.
fn told_by_execution() -> impl Iterator<Item = Lie> {
    let betrayed = |lie: &Lie| matches!(lie.check(), Check::Execution | Check::Proposal);
    Lie::ALL.into_iter().filter(betrayed)
}

fn devnet(l2_fork: OptimismFork) -> Devnet {
    DevnetConfig {
        l2_fork,
        ..Default::default()
    }
    .build()
    .unwrap()
}

async fn fault(devnet: &Devnet, number: u64) -> Option<Fault> {
    let verdict = verify(devnet.l2(), devnet.l2().role().spec(), number)
        .await
        .unwrap();
    match verdict {
        Verdict::Invalid(fault) => Some(fault),
        Verdict::Valid(summary) => {
            let claimed = devnet.l2().claimed_output_root(number).unwrap().unwrap();
            verify_output_proposal(&summary, claimed)
        }
    }
}

#[tokio::test]
async fn each_lie_has_its_fault_and_no_other_block_has_one() {
    for fork in FORKS {
        for lie in told_by_execution() {
            let devnet = devnet(fork);
            for _ in 0..4 {
                devnet.sequencer().produce().unwrap();
            }
            devnet.sequencer().lie_next(lie);
            let lying = devnet.sequencer().produce().unwrap();
            for _ in 0..3 {
                devnet.sequencer().produce().unwrap();
            }
            for number in 1..=devnet.l2().head() {
                let fault = fault(&devnet, number).await;
                let name = fault.as_ref().map(Fault::name);
                let expected = (number == lying).then_some(lie.fault());
                assert_eq!(name, expected, "{fork:?}, {lie}, block {number}: {fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_fault_names_what_was_claimed_and_what_is_right() {
    // An honest twin knows what the lying one should have said.
    let honest = devnet(OptimismFork::Jovian);
    honest.sequencer().produce().unwrap();
    let right = honest.l2().l2_block(1).unwrap().header;
    let lie = async |lie| {
        let lying = devnet(OptimismFork::Jovian);
        lying.sequencer().lie_next(lie);
        lying.sequencer().produce().unwrap();
        let header = lying.l2().l2_block(1).unwrap().header;
        (header, fault(&lying, 1).await.unwrap())
    };
    for kind in [Lie::StateRoot, Lie::MintedBalance] {
        let (wrong, found) = lie(kind).await;
        let (claimed, computed) = (wrong.state_root, right.state_root);
        assert_eq!(found, Fault::StateRoot(Mismatch { claimed, computed }));
    }
    let (wrong, found) = lie(Lie::ReceiptsRoot).await;
    let (claimed, computed) = (wrong.receipts_root, right.receipts_root);
    assert_eq!(found, Fault::ReceiptsRoot(Mismatch { claimed, computed }));
    let (_, found) = lie(Lie::GasUsed).await;
    let (claimed, computed) = (right.gas_used + 21_000, right.gas_used);
    assert_eq!(found, Fault::GasUsed(Mismatch { claimed, computed }));
    let (_, found) = lie(Lie::OutputRoot).await;
    let computed = honest.l2().claimed_output_root(1).unwrap().unwrap();
    // The storage root of other withdrawals, in an opening that is right otherwise.
    let withdrawals = keccak256(right.withdrawals_root.unwrap());
    let opening = [B256::ZERO, right.state_root, withdrawals, right.seal()];
    let claimed = keccak256(opening.concat());
    assert_eq!(found, Fault::OutputRoot(Mismatch { claimed, computed }));
}

#[tokio::test]
async fn a_lie_about_a_transaction_waits_for_one() {
    let devnet = devnet(OptimismFork::Jovian);
    devnet.sequencer().lie_next(Lie::AlteredTransaction);
    assert_eq!(
        fault(&devnet, devnet.sequencer().produce_quiet().unwrap()).await,
        None
    );
    let lying = devnet.sequencer().produce().unwrap();
    let Some(Fault::Transaction { index, hash, .. }) = fault(&devnet, lying).await else {
        panic!("no fault")
    };
    let block = devnet.l2().l2_block(lying).unwrap();
    assert_eq!(index, block.transactions.len() as u64 - 1);
    assert_eq!(hash, keccak256(block.transactions.last().unwrap()));
}

#[tokio::test]
async fn the_rpc_shows_the_lie_like_any_block() {
    let devnet = devnet(OptimismFork::Jovian);
    for lie in told_by_execution() {
        devnet.sequencer().lie_next(lie);
        let number = devnet.sequencer().produce().unwrap();
        let provider = devnet.l2().provider::<AnyNetwork>();
        let block = provider.get_block(number.into()).await.unwrap().unwrap();
        assert_eq!(block.header.hash, devnet.l2().block_hash(number).unwrap());
        let output: serde_json::Value = provider
            .raw_request("optimism_outputAtBlock".into(), (format!("{number:#x}"),))
            .await
            .unwrap();
        assert_eq!(output["blockRef"]["hash"], format!("{}", block.header.hash));
        let claimed: B256 = serde_json::from_value(output["outputRoot"].clone()).unwrap();
        assert_eq!(
            devnet.l2().claimed_output_root(number).unwrap(),
            Some(claimed)
        );
    }
}

#[tokio::test]
async fn a_rewind_takes_the_lie_back() {
    let devnet = devnet(OptimismFork::Jovian);
    for lie in told_by_execution() {
        devnet.sequencer().lie_next(lie);
        let number = devnet.sequencer().produce().unwrap();
        assert!(fault(&devnet, number).await.is_some());
        devnet.l2().rewind(number - 1).unwrap();
        assert_eq!(devnet.sequencer().produce_quiet().unwrap(), number);
        assert_eq!(fault(&devnet, number).await, None, "{lie}");
    }
}
