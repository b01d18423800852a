//! What bonds cost, and how many are locked.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use alloy_primitives::U256;
use mach_core::ports::AlertSink;
use mach_node::{
    node_api::ServiceState,
    store::MemoryStore,
    zk::{Case, Stage, ZkConfig},
};

use super::{Backend, Contract, Deaths, case, config, open, settle, until};

const LIES: [&str; 5] = [
    "state-root",
    "gas-used",
    "receipts-root",
    "minted-balance",
    "dropped-transaction",
];

/// One is proved at a time: the bonds of all others would lie locked, and expire.
#[tokio::test]
async fn few_bonds_are_locked_and_the_oldest_cases_come_first() {
    for (max_bonded, most) in [(0, 1), (1, 1), (2, 2), (9, LIES.len())] {
        let folder = tempfile::tempdir().unwrap();
        let contract = Contract::new(Deaths::default());
        let backend = Backend::new(Deaths::default());
        let config = ZkConfig {
            max_bonded,
            ..config()
        };
        let store = MemoryStore::new();
        let zk = open(store, &contract, &backend, folder.path(), config).await;
        let mut numbers = Vec::new();
        for lie in LIES {
            let alert = case(folder.path(), lie);
            numbers.push(alert.block.number);
            zk.raise(&alert).await.unwrap();
        }
        let stages = settle(&zk).await;
        assert!(
            stages.iter().all(|it| matches!(it, Stage::Done { .. })),
            "{stages:?}"
        );
        assert_eq!(contract.counts(), (LIES.len(), LIES.len(), 0));
        let (waiting, at_once) = *contract.waiting.lock().unwrap();
        assert_eq!(waiting, 0);
        assert!(at_once <= most, "{max_bonded}: {at_once} bonds at a time");
        if most == 1 {
            // Found in one second or two, and then by height.
            let order = contract.order.lock().unwrap().clone();
            let oldest: Vec<u64> = zk.cases().iter().map(|it| it.alert.block.number).collect();
            assert_eq!(order, oldest);
        }
    }
}

/// With a prover that does not work, no more bonds are paid than are to be locked.
#[tokio::test]
async fn a_prover_that_does_not_work_locks_few_bonds() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    backend.failures.store(usize::MAX, SeqCst);
    let config = ZkConfig {
        max_bonded: 2,
        prover_tries: u32::MAX,
        ..config()
    };
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        config,
    )
    .await;
    for lie in LIES {
        zk.raise(&case(folder.path(), lie)).await.unwrap();
    }
    let has_tried = |case: &Case| match &case.stage {
        Stage::Raised { .. } => case.trouble.as_ref().is_some_and(|it| it.prover > 3),
        stage => matches!(stage, Stage::Chosen { .. }),
    };
    until(&zk, has_tried).await;
    assert_eq!(contract.counts(), (2, 0, 0));
    backend.failures.store(0, SeqCst);
    settle(&zk).await;
    assert_eq!(contract.counts(), (LIES.len(), LIES.len(), 0));
}

/// The owner of the contract sets the bond, and the account pays no more than it was told.
#[tokio::test]
async fn a_bond_that_is_too_high_is_not_paid_and_told_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    contract.bond.store(1_001, SeqCst);
    let config = ZkConfig {
        max_bond: U256::from(1_000),
        escalate_after: Duration::ZERO,
        ..config()
    };
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        config,
    )
    .await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let is_refused = |case: &Case| {
        let trouble = case.trouble.as_ref();
        trouble.is_some_and(|it| it.tries > 3 && it.reason.contains("1001 wei are more than 1000"))
    };
    until(&zk, is_refused).await;
    assert_eq!(contract.counts(), (0, 0, 0));
    assert_eq!(zk.status().state(), ServiceState::Down);
    contract.bond.store(1_000, SeqCst);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1, 0));
}

/// A prover that says nothing any more is stopped, the others have their turn, and it is not asked for
/// ever.
#[tokio::test]
async fn a_prover_that_hangs_is_stopped_and_freezes_no_other_case() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    backend.hangs.store(1, SeqCst);
    let hurried = ZkConfig {
        proof_within: Duration::from_secs(1),
        ..config()
    };
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        hurried,
    )
    .await;
    for lie in ["state-root", "gas-used"] {
        zk.raise(&case(folder.path(), lie)).await.unwrap();
    }
    let stages = settle(&zk).await;
    assert!(
        stages.iter().all(|it| matches!(it, Stage::Done { .. })),
        "{stages:?}"
    );
    assert_eq!(backend.stopped.load(SeqCst), 1);
    assert_eq!(backend.proved.load(SeqCst), 2);

    backend.hangs.store(usize::MAX, SeqCst);
    let hurried = ZkConfig {
        proof_within: Duration::from_millis(20),
        ..hurried
    };
    let store = Arc::new(MemoryStore::new());
    let (to, by) = (&contract, &backend);
    let zk = open(Arc::clone(&store), to, by, folder.path(), hurried).await;
    zk.raise(&case(folder.path(), "receipts-root"))
        .await
        .unwrap();
    let stages = settle(&zk).await;
    let [Stage::GivenUp { reason, resume }] = &stages[..] else {
        panic!("{stages:?}")
    };
    assert!(reason.contains("no proof in"), "{reason}");
    assert!(matches!(resume.as_deref(), Some(Stage::Raised { .. })));
    assert_eq!(backend.stopped.load(SeqCst), 1 + 3);
}
