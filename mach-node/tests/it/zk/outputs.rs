//! Wrong output roots without end: an op-node that lies claims one for every block.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use alloy_primitives::{B256, U256};
use async_trait::async_trait;
use mach_core::{Alert, AlertKind, BlockRef, ports::AlertSink};
use mach_node::{
    store::{Change, MemoryStore, Store, StoreError, Table, Written},
    zk::{Case, Stage, ZkConfig, ZkMode},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Backend, Contract, Deaths, case, config, open, settle, until};
use crate::writes::{Writes, WrittenBy};

/// Most of them that wait in one stage here.
const MOST: u64 = 32;

pub(super) fn output(number: u64) -> Alert {
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

#[test]
fn there_is_room_for_1024_output_roots() {
    assert_eq!(ZkConfig::default().max_outputs, 1_024);
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
        let few = ZkConfig {
            max_outputs: 32,
            ..config()
        };
        let zk = opened(&contract, folder.path(), few).await;
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

/// Half of those at work are of slow nodes, and twice as many are due again as soon as the others had their turn.
#[tokio::test(start_paused = true)]
async fn output_roots_that_are_tried_again_and_again_leave_a_turn_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.unopened.store(usize::MAX, SeqCst);
    contract.is_slow.store(true, SeqCst);
    let zk = opened(&contract, folder.path(), config()).await;
    let numbers = 1..=24;
    for number in numbers.clone() {
        zk.raise(&output(number)).await.unwrap();
    }
    let all: BTreeSet<u64> = numbers.collect();
    until(&zk, |_| *contract.asked.lock().unwrap() == all).await;
}

/// What is forgotten is not gone before somebody says so.
#[derive(Default)]
struct Slow {
    is_on: AtomicBool,
    forgetting: Notify,
    go_on: Notify,
    forgotten: Notify,
}

#[async_trait]
impl Writes for Slow {
    async fn write(
        &self,
        store: &MemoryStore,
        changes: Vec<Change>,
    ) -> Result<Written, StoreError> {
        let forgets = changes.iter().all(|it| it.value.is_none());
        if forgets && self.is_on.load(SeqCst) {
            self.forgetting.notify_one();
            self.go_on.notified().await;
            self.forgotten.notify_one();
        }
        store.write(changes).await
    }
}

/// It is proposed again in the very moment in which its case, which is over, is forgotten.
#[tokio::test]
async fn an_output_root_that_is_found_while_it_is_forgotten_is_a_case() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let store = Arc::new(WrittenBy::<Slow>::default());
    let open = async |max_ended| {
        let config = ZkConfig {
            max_ended,
            ..config()
        };
        let store = Arc::clone(&store);
        open(store, &contract, &backend, folder.path(), config).await
    };
    let zk = open(1).await;
    zk.raise(&output(1)).await.unwrap();
    settle(&zk).await;

    let zk = open(0).await;
    store.is_on.store(true, SeqCst);
    let shutdown = CancellationToken::new();
    let again = async {
        store.forgetting.notified().await;
        let go_on = async { store.go_on.notify_one() };
        let alert = output(1);
        let (raised, ()) = futures::join!(zk.raise(&alert), go_on);
        raised.unwrap();
        store.forgotten.notified().await;
        shutdown.cancel();
    };
    let both = async { tokio::join!(zk.run(shutdown.clone()), again) };
    let done = tokio::time::timeout(Duration::from_secs(60), both).await;
    assert!(done.is_ok(), "{:?}", zk.cases());
    assert_eq!(zk.cases().len(), 1);
    let rows = store.scan(Table::Zk, &[], None, 9).await.unwrap();
    assert!(!rows.is_empty());
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
