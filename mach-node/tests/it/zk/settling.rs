//! L1 may take back what it has decided.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use mach_core::ports::AlertSink;
use mach_node::{
    store::{MemoryStore, Store, Table},
    zk::{AlertState, Case, Stage, ZkConfig},
};

use super::{Backend, Contract, Deaths, case, config, is_shown, open, settle, until};

const fn is_convicted(case: &Case) -> bool {
    matches!(case.stage, Stage::Convicted { .. })
}

/// The proof is kept until L1 is final, and handed in again where a reorganisation took it away.
#[tokio::test]
async fn a_proof_that_l1_has_taken_back_is_handed_in_again() {
    for state in [Some(AlertState::Raised), Some(AlertState::Expired), None] {
        let folder = tempfile::tempdir().unwrap();
        let contract = Contract::new(Deaths::default());
        contract.is_unsettled.store(true, SeqCst);
        let backend = Backend::new(Deaths::default());
        let store = Arc::new(MemoryStore::new());
        let zk = open(
            Arc::clone(&store),
            &contract,
            &backend,
            folder.path(),
            config(),
        )
        .await;
        zk.raise(&case(folder.path(), "state-root")).await.unwrap();
        until(&zk, is_convicted).await;
        assert_eq!(contract.counts(), (1, 1, 0));
        // The case, its proof and its way.
        let rows = async || store.scan(Table::Zk, &[], None, 9).await.unwrap().len();
        assert_eq!(rows().await, 3);

        // A reorganisation takes the proof back, or the alert too.
        {
            let mut alerts = contract.alerts.lock().unwrap();
            let (id, (target, _)) = alerts.pop_first().unwrap();
            if let Some(state) = state {
                alerts.insert(id, (target, state));
            }
        }
        let is_there = || {
            let alerts = contract.alerts.lock().unwrap();
            alerts.values().any(|(_, it)| *it == AlertState::Proved)
        };
        until(&zk, |case| is_convicted(case) && is_there()).await;
        // With the proof that there is, which costs no second bond.
        let again = if state.is_some() {
            (1, 2, 0)
        } else {
            (1, 1, 1)
        };
        assert_eq!(contract.counts(), again);
        assert_eq!(backend.proved.load(SeqCst), 1);

        contract.is_unsettled.store(false, SeqCst);
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        assert_eq!(contract.counts(), again);
        // The proof convicts what is proposed again.
        assert_eq!(rows().await, 2);
        assert_eq!(zk.cases()[0].trouble, None);
    }
}

/// Waiting for L1 to be final is nothing that people have to look at, and outlives the process.
#[tokio::test]
async fn a_case_that_waits_for_l1_goes_on_with_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.is_unsettled.store(true, SeqCst);
    let backend = Backend::new(Deaths::default());
    let store = Arc::new(MemoryStore::new());
    let loud = ZkConfig {
        escalate_after: Duration::ZERO,
        ..config()
    };
    let open = async || {
        let store = Arc::clone(&store);
        open(store, &contract, &backend, folder.path(), loud).await
    };
    let zk = open().await;
    zk.raise(&case(folder.path(), "state-root")).await.unwrap();
    until(&zk, is_convicted).await;
    let status = zk.status();
    assert_eq!((status.stuck, status.in_stage("convicted")), (0, 1));
    drop(zk);
    contract.is_unsettled.store(false, SeqCst);
    let stages = settle(&open().await).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1, 0));
}

/// A block that was shown, and that nothing leads to yet, is shown again where L1 has taken it back.
#[tokio::test]
async fn a_block_that_was_shown_is_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::unpublished(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        config(),
    )
    .await;
    zk.raise(&case(folder.path(), "state-root")).await.unwrap();
    until(&zk, is_shown).await;
    {
        let mut alerts = contract.alerts.lock().unwrap();
        let (_, state) = alerts.values_mut().next().unwrap();
        *state = AlertState::Raised;
    }
    until(&zk, |case| is_shown(case) && contract.counts() == (1, 2, 0)).await;
    assert_eq!(backend.proved.load(SeqCst), 1);
}
