//! A follower says what `verify_block` says, and needs less for it.

use std::{num::NonZeroUsize, sync::Arc};

use alloy_primitives::{Address, Bytes, keccak256, map::B256Set};
use mach_core::{L2Block, Verdict};
use mach_devnet::{Devnet, DevnetConfig, Lie, Mining, UserDeposit};
use mach_verify::{
    ChainSpec, ExecuteError, Witness,
    follow::{FollowLimits, Follower},
    source::{RecordedBlock, WitnessSource},
    verify_block,
};

use crate::{data, devnet::recorded};

const THREADS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// The eight consecutive blocks of OP Mainnet.
fn consecutive() -> Option<Vec<(L2Block, Witness)>> {
    let folder = data("blocks")?;
    let read = |number| {
        let file = folder.join(format!("op-10-{number}.json.gz"));
        let RecordedBlock { block, witness, .. } = RecordedBlock::read(file).unwrap();
        (block, witness)
    };
    Some((109_279_675..=109_279_682).map(read).collect())
}

/// What a verdict is, to the byte; errors by their words.
fn told(verdict: &Result<Verdict, ExecuteError>) -> String {
    match verdict {
        Ok(verdict) => serde_json::to_string(verdict).unwrap(),
        Err(error) => format!("{error:?}"),
    }
}

fn follower(spec: &ChainSpec) -> Arc<Follower> {
    Arc::new(Follower::new(spec.clone(), FollowLimits::default()))
}

#[test]
fn real_blocks_get_the_same_verdicts_in_any_order() {
    let Some(blocks) = consecutive() else { return };
    let spec = ChainSpec::op_mainnet();
    let forward = follower(&spec);
    let jumping = follower(&spec);
    let pipeline = follower(&spec);
    // Everything is evicted after each block.
    let forgetful = Follower::new(
        spec.clone(),
        FollowLimits {
            node_bytes: 0,
            code_bytes: 0,
            state_bytes: 0,
            headers: 0,
        },
    );
    let mut expected = Vec::new();
    for (block, witness) in &blocks {
        let alone = told(&verify_block(&spec, block, witness));
        for follower in [&*forward, &forgetful] {
            assert_eq!(
                told(&follower.verify_block(block.clone(), witness.clone())),
                alone
            );
        }
        expected.push(alone);
    }
    for at in [3, 0, 7, 4, 5, 1, 2, 6, 6, 0] {
        let (block, witness) = blocks[at].clone();
        assert_eq!(told(&jumping.verify_block(block, witness)), expected[at]);
    }
    let verdicts: Vec<_> = pipeline
        .verify_all(blocks.clone(), THREADS)
        .unwrap()
        .collect();
    for ((block, verdict), (expected, original)) in
        verdicts.iter().zip(expected.iter().zip(&blocks))
    {
        assert_eq!((block, &told(verdict)), (&original.0, expected));
    }
    assert_eq!(verdicts.len(), 8);
    let size = forgetful.size();
    assert_eq!((size.nodes, size.node_bytes, size.codes), (0, 0, 0));
}

/// Bytes of witnesses that a follower does not need: nodes and codes that blocks before have
/// brought or made.
#[test]
fn a_witness_may_leave_out_what_is_known() {
    let Some(blocks) = consecutive() else { return };
    let spec = ChainSpec::op_mainnet();
    let complete = follower(&spec);
    let partial = follower(&spec);
    let mut small = Vec::new();
    let mut seen = B256Set::default();
    for (at, (block, witness)) in blocks.iter().enumerate() {
        let verdict = told(&verify_block(&spec, block, witness));
        let mut less = witness.clone();
        if at > 0 {
            // The header of the parent, codes and nodes that came before.
            less.headers.clear();
            let is_new = |it: &Bytes| !seen.contains(&keccak256(it));
            less.codes.retain(is_new);
            less.state.retain(is_new);
            assert!(less.size() < witness.size());
        }
        let items = witness.state.iter().chain(&witness.codes);
        seen.extend(items.map(keccak256));
        small.push((block.clone(), less.clone()));
        assert_eq!(
            told(&partial.verify_block(block.clone(), less.clone())),
            verdict
        );
        // What was left out is found again, for whoever knows nothing.
        let whole = partial.complete(block, &less).unwrap();
        // A little more than has to be: what is looked for in vain otherwise.
        assert!(whole.state.len() * 99 <= witness.state.len() * 100);
        assert_eq!(whole.codes.len(), witness.codes.len());
        assert_eq!(whole.headers.len(), 1);
        assert_eq!(told(&verify_block(&spec, block, &whole)), verdict);
        complete
            .verify_block(block.clone(), witness.clone())
            .unwrap()
            .fault();
    }
    // On several threads, where a block may come before what it relies on.
    let verdicts = follower(&spec).verify_all(small, THREADS).unwrap();
    for ((block, witness), (_, verdict)) in blocks.iter().zip(verdicts) {
        assert_eq!(told(&verdict), told(&verify_block(&spec, block, witness)));
    }
    // Once more, of a chain that is known: nothing is needed.
    for (block, witness) in &blocks[1..] {
        let verdict = told(&verify_block(&spec, block, witness));
        assert_eq!(
            told(&complete.verify_block(block.clone(), Witness::default())),
            verdict
        );
    }
}

/// `BLOCKHASH` reaches further than the parent.
#[test]
fn a_completed_witness_has_the_headers_that_are_read() {
    let (spec, record) = recorded("osaka");
    let follower = follower(&spec);
    let RecordedBlock { block, witness, .. } = record;
    let verdict = follower.verify_block(block.clone(), witness.clone());
    // The follower has the parent's header; others come with the witness.
    let mut less = witness;
    less.state.clear();
    less.codes.clear();
    less.headers
        .retain(|header| keccak256(header) != block.header.parent_hash);
    let whole = follower.complete(&block, &less).unwrap();
    assert_eq!(told(&verify_block(&spec, &block, &whole)), told(&verdict));
    assert!(whole.headers.len() > 1);
    // Nobody has them.
    less.headers.clear();
    let whole = follower.complete(&block, &less);
    assert!(whole.is_err_and(|error| error.is_transient()));
}

/// Whatever is missing or damaged: an error, or the verdict of the whole. And nothing stays behind.
#[test]
fn a_damaged_witness_neither_accuses_nor_poisons() {
    let Some(blocks) = consecutive() else { return };
    let spec = ChainSpec::op_mainnet();
    let follower = follower(&spec);
    let mut undecided = 0;
    for (round, (block, witness)) in blocks.iter().enumerate() {
        let verdict = told(&verify_block(&spec, block, witness));
        for step in [2, 3, 7, 50] {
            let mut damaged = witness.clone();
            let items = damaged.state.iter_mut().chain(&mut damaged.codes);
            for item in items.skip(round % step).step_by(step) {
                let mut bytes = item.to_vec();
                let at = bytes.len() * 2 / 3;
                bytes[at] ^= 0x10;
                *item = bytes.into();
            }
            match follower.verify_block(block.clone(), damaged) {
                Ok(said) => assert_eq!(told(&Ok(said)), verdict),
                Err(error) => {
                    assert!(error.is_transient(), "{error:?}");
                    undecided += 1;
                }
            }
        }
        let whole = follower.verify_block(block.clone(), witness.clone());
        assert_eq!(told(&whole), verdict);
    }
    assert!(
        undecided >= 8,
        "{undecided} of 32 damaged witnesses were noticed"
    );
}

fn devnet() -> Devnet {
    let config = DevnetConfig {
        l1_mining: Mining::Manual,
        ..Default::default()
    };
    config.build().unwrap()
}

async fn newest(devnet: &Devnet) -> (L2Block, Witness) {
    let l2 = devnet.l2();
    let block = l2.l2_block(l2.head()).unwrap();
    let witness = l2.witness(&block).await.unwrap();
    (block, witness)
}

/// Every lie, in between honest blocks, with whole witnesses and with empty ones.
#[tokio::test]
async fn lies_get_the_same_verdict_and_leave_no_trace() {
    const LIES: [Lie; 6] = [
        Lie::StateRoot,
        Lie::ReceiptsRoot,
        Lie::GasUsed,
        Lie::DroppedTransaction,
        Lie::AlteredTransaction,
        Lie::MintedBalance,
    ];
    let devnet = devnet();
    let spec = devnet.l2().role().spec().clone();
    let follower = follower(&spec);
    let mut faults = 0;
    for round in 0..36_usize {
        let lie = LIES[(round / 3) % LIES.len()];
        if round % 3 == 1 {
            devnet.sequencer().lie_next(lie);
        }
        let deposit = UserDeposit::ether(Address::with_last_byte(round as u8), round as u128);
        devnet.sequencer().deposit(deposit).unwrap();
        devnet.sequencer().produce().unwrap();
        let (block, witness) = newest(&devnet).await;
        let alone = verify_block(&spec, &block, &witness);
        faults += usize::from(
            alone
                .as_ref()
                .is_ok_and(|verdict| verdict.fault().is_some()),
        );
        let alone = told(&alone);
        // Without a witness there is the same verdict or none.
        match follower.verify_block(block.clone(), Witness::default()) {
            Ok(verdict) => assert_eq!(told(&Ok(verdict)), alone),
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
        let followed = follower.verify_block(block, witness);
        assert_eq!(told(&followed), alone, "round {round}, {lie}");
    }
    assert_eq!(faults, 12);
}

/// After a reorg both branches are verified on states that are retained, without any witness.
#[tokio::test]
async fn a_reorg_needs_nothing_again() {
    let devnet = devnet();
    let spec = devnet.l2().role().spec().clone();
    let follower = follower(&spec);
    let mut known = Vec::new();
    for _ in 0..8 {
        devnet.sequencer().produce().unwrap();
        let (block, witness) = newest(&devnet).await;
        let verdict = follower.verify_block(block.clone(), witness).unwrap();
        assert_eq!(verdict.fault(), None);
        known.push(block);
    }
    // The other branch: its first block is executed on the state after block 3.
    devnet.l2().rewind(3).unwrap();
    let deposit = UserDeposit::ether(Address::repeat_byte(0x77), 7);
    devnet.sequencer().deposit(deposit).unwrap();
    for number in 4..7 {
        devnet.sequencer().produce().unwrap();
        let (block, mut witness) = newest(&devnet).await;
        assert_ne!(block, known[number - 1]);
        witness.headers.clear();
        let verdict = follower.verify_block(block.clone(), witness).unwrap();
        assert_eq!(verdict.fault(), None);
    }
    // And back.
    for block in &known {
        if block.number() > 1 {
            let verdict = follower
                .verify_block(block.clone(), Witness::default())
                .unwrap();
            assert_eq!(verdict.summary().unwrap().block, block.reference());
        }
    }
    // What is final rules the shorter branch out.
    let size = follower.size();
    assert_eq!(follower.finalize(known[6].hash()), 3);
    assert_eq!(follower.size().headers, size.headers - 3);
    assert!(follower.header(&known[0].hash()).is_some());
}
