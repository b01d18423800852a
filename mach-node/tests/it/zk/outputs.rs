//! Wrong output roots without end: an op-node that lies claims one for every block.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use alloy_primitives::{B256, U256};
use mach_core::{Alert, AlertKind, BlockRef, ports::AlertSink};
use mach_node::{
    store::MemoryStore,
    zk::{Case, Stage, ZkConfig, ZkMode},
};

use super::{Backend, Contract, Deaths, case, config, open, settle, until};

/// Most of them that wait in one stage.
const MOST: u64 = 1024;

fn output(number: u64) -> Alert {
    Alert {
        kind: AlertKind::InvalidOutputProposal,
        rollup_chain_id: 901,
        block: BlockRef {
            number,
            hash: B256::repeat_byte(1),
        },
        rule: 128,
        claimed: B256::from(U256::from(number)),
        computed: B256::repeat_byte(2),
    }
}

fn is_output(case: &Case) -> bool {
    case.alert.kind == AlertKind::InvalidOutputProposal
}

const fn is_done(case: &Case) -> bool {
    matches!(case.stage, Stage::Done { .. })
}

async fn opened(contract: &Arc<Contract>, folder: &Path, config: ZkConfig) -> ZkMode<MemoryStore> {
    let backend = Backend::new(Deaths::default());
    open(MemoryStore::new(), contract, &backend, folder, config).await
}

/// They wait for weeks, for a node that opens them or for L1: the oldest make room, and no block waits for that.
#[tokio::test]
async fn output_roots_without_end_crowd_out_no_block() {
    for is_opened in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let contract = Contract::new(Deaths::default());
        let unopened = if is_opened { 0 } else { usize::MAX };
        contract.unopened.store(unopened, SeqCst);
        contract.is_unproposed.store(true, SeqCst);
        // So many, who answer at once, would leave no moment for anything else.
        let slow = ZkConfig {
            delays: (Duration::from_secs(5), Duration::from_secs(60)),
            ..config()
        };
        let zk = opened(&contract, folder.path(), slow).await;
        let waits = |case: &Case| matches!(case.stage, Stage::Opened) == is_opened;
        for numbers in [1..=MOST, MOST + 1..=MOST + 10] {
            for number in numbers {
                zk.raise(&output(number)).await.unwrap();
            }
            until(&zk, waits).await;
        }
        zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
        until(&zk, |case| is_output(case) || is_done(case)).await;
        let cases = zk.cases();
        let mut waiting: Vec<u64> = (cases.iter().filter(|case| is_output(case)))
            .map(|case| case.alert.block.number)
            .collect();
        waiting.sort_unstable();
        assert_eq!(waiting, (11..=MOST + 10).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_about_output_roots_stops_no_block() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.is_mute.store(true, SeqCst);
    let zk = opened(&contract, folder.path(), config()).await;
    for number in 1..=40 {
        zk.raise(&output(number)).await.unwrap();
    }
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    until(&zk, |case| is_output(case) || is_done(case)).await;
}

#[tokio::test]
async fn ended_output_roots_push_out_no_ended_block() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let few = ZkConfig {
        max_ended: 1,
        ..config()
    };
    let zk = opened(&contract, folder.path(), few).await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    for number in 1..=8 {
        zk.raise(&output(number)).await.unwrap();
    }
    settle(&zk).await;
    // What need not be kept is forgotten when it begins.
    settle(&zk).await;
    let kinds: Vec<AlertKind> = zk.cases().iter().map(|case| case.alert.kind).collect();
    assert_eq!(kinds, [AlertKind::InvalidBlock]);
}
