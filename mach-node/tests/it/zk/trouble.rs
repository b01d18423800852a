//! What passes is waited for, what does not is told, and nothing is tried without end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use mach_core::{Alert, ports::AlertSink};
use mach_node::{
    node_api::ServiceState,
    store::{Change, Expected, MemoryStore, Store, Table, Written},
    zk::{Case, EvidenceMissing, EvidenceSource, Stage, ZkConfig, ZkMode},
};
use mach_verify::{Evidence, EvidenceFolder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Backend, Contract, Deaths, case, config, is_shown, open, outputs::output, settle, until,
};
use crate::writes::{Failing, WrittenBy};

#[tokio::test]
async fn what_does_not_get_through_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.failures.store(7, SeqCst);
    let backend = Backend::new(Deaths::default());
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        config(),
    )
    .await;
    zk.raise(&case(folder.path(), "receipts-root"))
        .await
        .unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1, 0));
    assert_eq!(zk.cases()[0].trouble, None);
}

/// A pause, a bond that changed, a program that is not active yet: before the bond is paid, and after.
#[tokio::test]
async fn what_the_contract_refuses_for_now_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.inactive.store(3, SeqCst);
    contract.refusals.store(usize::MAX, SeqCst);
    let backend = Backend::new(Deaths::default());
    let loud = ZkConfig {
        escalate_after: Duration::ZERO,
        ..config()
    };
    let zk = open(MemoryStore::new(), &contract, &backend, folder.path(), loud).await;
    assert_eq!(zk.status().state(), ServiceState::Up);
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let is_waiting = |it: &mach_node::zk::Case| {
        let tries = it.trouble.as_ref().map_or(0, |it| it.tries);
        matches!(it.stage, Stage::Chosen { .. }) && tries > 5
    };
    until(&zk, is_waiting).await;
    let trouble = zk.cases()[0].trouble.clone().unwrap();
    assert!(trouble.reason.contains("IsPaused()"), "{trouble:?}");
    assert_eq!(contract.counts(), (0, 0, 0));
    assert_eq!(
        (zk.status().stuck, zk.status().state()),
        (1, ServiceState::Down)
    );

    contract.refusals.store(0, SeqCst);
    let is_bonded =
        |it: &mach_node::zk::Case| !matches!(it.stage, Stage::Found | Stage::Chosen { .. });
    until(&zk, is_bonded).await;
    contract.refusals.store(3, SeqCst);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1, 0));
    assert_eq!(
        (zk.status().stuck, zk.status().state()),
        (0, ServiceState::Up)
    );
}

/// No bond is paid while no proof would count.
#[tokio::test]
async fn nothing_is_raised_while_the_program_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.inactive.store(usize::MAX, SeqCst);
    let backend = Backend::new(Deaths::default());
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        config(),
    )
    .await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let is_waiting = |it: &mach_node::zk::Case| it.trouble.as_ref().is_some_and(|it| it.tries > 5);
    until(&zk, is_waiting).await;
    assert_eq!(contract.counts(), (0, 0, 0));
}

#[tokio::test]
async fn what_the_contract_refuses_for_good_is_given_up_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.refuse(true);
    let backend = Backend::new(Deaths::default());
    let store = Arc::new(MemoryStore::new());
    let open = async || {
        let store = Arc::clone(&store);
        open(store, &contract, &backend, folder.path(), config()).await
    };
    let zk = open().await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let stages = settle(&zk).await;
    let [Stage::GivenUp { reason, .. }] = &stages[..] else {
        panic!("{stages:?}")
    };
    assert!(reason.contains("NothingWrong()"), "{reason}");
    assert_eq!(contract.counts(), (0, 0, 0));
    assert_eq!(backend.proved.load(SeqCst), 0);

    contract.refuse(false);
    let stages = settle(&open().await).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1, 0));
}

/// The failures of a prover are counted over restarts, and end.
#[tokio::test]
async fn a_prover_that_fails_is_not_tried_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    backend.failures.store(usize::MAX, SeqCst);
    let store = Arc::new(MemoryStore::new());
    let open = async |prover_tries| {
        let config = ZkConfig {
            prover_tries,
            ..config()
        };
        let store = Arc::clone(&store);
        open(store, &contract, &backend, folder.path(), config).await
    };
    let zk = open(1_000_000).await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let has_failed =
        |it: &mach_node::zk::Case| it.trouble.as_ref().is_some_and(|it| it.prover >= 4);
    until(&zk, has_failed).await;
    let tried = usize::MAX - backend.failures.load(SeqCst);

    let zk = open(u32::try_from(tried).unwrap() + 2).await;
    let stages = settle(&zk).await;
    let [Stage::GivenUp { reason, resume }] = &stages[..] else {
        panic!("{stages:?}")
    };
    assert!(reason.contains("out of memory"), "{reason}");
    assert!(matches!(resume.as_deref(), Some(Stage::Raised { .. })));
    assert_eq!(usize::MAX - backend.failures.load(SeqCst), tried + 2);
    assert_eq!(zk.status().in_stage("given_up"), 1);

    // Mended, and started again: no second bond.
    backend.failures.store(0, SeqCst);
    let stages = settle(&open(9).await).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1, 0));
}

/// The time in which evidence has to come ends when the bond is paid.
#[tokio::test]
async fn evidence_that_is_away_once_a_bond_is_paid_is_waited_for() {
    /// Answers for what is accused, and not for some time afterwards.
    struct Away {
        folder: EvidenceFolder,
        asked: AtomicUsize,
    }
    #[async_trait]
    impl EvidenceSource for Away {
        async fn evidence(&self, alert: &Alert) -> Result<Evidence, EvidenceMissing> {
            match self.asked.fetch_add(1, SeqCst) {
                1..5 => Err(EvidenceMissing::NotYet),
                _ => self.folder.evidence(alert).await,
            }
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let evidence = Arc::new(Away {
        folder: EvidenceFolder::new(folder.path()),
        asked: AtomicUsize::new(0),
    });
    let config = ZkConfig {
        evidence_within: Duration::ZERO,
        ..config()
    };
    let (to, by) = (Arc::clone(&contract) as _, Arc::clone(&backend) as _);
    let zk = ZkMode::open(
        MemoryStore::new(),
        to,
        by,
        Arc::clone(&evidence) as _,
        config,
    )
    .await
    .unwrap();
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(evidence.asked.load(SeqCst), 6);
}

/// L1 is reorganised, and the number of the alert is nobody's, or another's.
#[tokio::test]
async fn an_alert_that_is_not_where_it_was_is_looked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    backend.failures.store(usize::MAX, SeqCst);
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        config(),
    )
    .await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    until(&zk, |it| matches!(it.stage, Stage::Raised { .. })).await;
    {
        let mut alerts = contract.alerts.lock().unwrap();
        let (id, (target, state)) = alerts.pop_first().unwrap();
        let mach_node::zk::Target::Published(mut proposal) = target else {
            panic!("{target:?}")
        };
        proposal.root = Default::default();
        let other = mach_node::zk::Target::Published(proposal);
        alerts.insert(id, (other, state));
        alerts.insert(alloy_primitives::B256::repeat_byte(9), (target, state));
    }
    backend.failures.store(0, SeqCst);
    let stages = settle(&zk).await;
    let [Stage::Done { id }] = &stages[..] else {
        panic!("{stages:?}")
    };
    assert_eq!(*id, alloy_primitives::B256::repeat_byte(9));
    assert_eq!(contract.counts(), (1, 1, 0));
}

/// A full disk stops a case, and ends none.
#[tokio::test]
async fn a_store_that_takes_no_rows_for_a_time_ends_no_case() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let store = Arc::new(WrittenBy::<Failing>::default());
    let zk = open(
        Arc::clone(&store),
        &contract,
        &backend,
        folder.path(),
        config(),
    )
    .await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    store.refused.store(4, SeqCst);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(store.refused.load(SeqCst), 0);
    assert_eq!(contract.counts(), (1, 1, 0));
}

/// A wrong output root is proposed again before its conviction is final, and the disk is full when that is looked for.
#[tokio::test]
async fn a_full_disk_hides_nothing_that_is_proposed_again() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.is_unsettled.store(true, SeqCst);
    let backend = Backend::new(Deaths::default());
    let store = Arc::new(WrittenBy::<Failing>::default());
    let (on, here) = (Arc::clone(&store), folder.path());
    let zk = open(on, &contract, &backend, here, config()).await;
    let alert = output(1);
    zk.raise(&alert).await.unwrap();
    until(&zk, |it| matches!(it.stage, Stage::Convicted { .. })).await;
    zk.raise(&alert).await.unwrap();
    store.refused.store(1, SeqCst);
    contract.is_unsettled.store(false, SeqCst);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(store.refused.load(SeqCst), 0);
    // Looked for once more where it stands.
    assert_eq!(contract.alerts.lock().unwrap().len(), 2);
}

/// L1 takes back a conviction with the output that it was of, and the evidence was cleared away.
#[tokio::test]
async fn a_proof_that_is_kept_needs_no_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.is_unsettled.store(true, SeqCst);
    let backend = Backend::new(Deaths::default());
    let hurried = ZkConfig {
        evidence_within: Duration::ZERO,
        ..config()
    };
    let store = MemoryStore::new();
    let zk = open(store, &contract, &backend, folder.path(), hurried).await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    until(&zk, |it| matches!(it.stage, Stage::Convicted { .. })).await;
    std::fs::remove_dir_all(folder.path()).unwrap();
    contract.publish(false);
    contract.alerts.lock().unwrap().clear();
    until(&zk, |it| is_shown(it) || !it.stage.is_open()).await;
    // One bond more, for the block itself, and no other proof.
    assert_eq!(contract.counts(), (2, 2, 0));

    contract.publish(true);
    contract.is_unsettled.store(false, SeqCst);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (2, 2, 1));
    assert_eq!(backend.proved.load(SeqCst), 1);
}

/// Hours pass with no tick of the system's clock.
#[tokio::test(start_paused = true)]
async fn a_case_is_given_up_by_the_time_that_passes_and_not_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.unopened.store(usize::MAX, SeqCst);
    let backend = Backend::new(Deaths::default());
    let config = ZkConfig {
        delays: ZkConfig::default().delays,
        evidence_within: Duration::from_secs(60),
        give_up_after: Duration::from_secs(3_600),
        ..config()
    };
    let store = MemoryStore::new();
    let zk = open(store, &contract, &backend, folder.path(), config).await;
    let began = Instant::now();
    zk.raise(&output(1)).await.unwrap();
    let shutdown = CancellationToken::new();
    let given_up = async {
        while zk.status().in_stage("given_up") == 0 {
            assert!(began.elapsed() < config.give_up_after * 2);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        shutdown.cancel();
    };
    tokio::join!(zk.run(shutdown.clone()), given_up);
    let least = config.evidence_within + config.give_up_after;
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

/// The system's clock was far behind in an earlier process, or is far ahead now.
#[tokio::test]
async fn a_case_is_not_given_up_for_what_an_earlier_process_says_of_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.failures.store(usize::MAX, SeqCst);
    let backend = Backend::new(Deaths::default());
    let store = Arc::new(MemoryStore::new());
    let open = async || {
        let store = Arc::clone(&store);
        open(store, &contract, &backend, folder.path(), config()).await
    };
    let zk = open().await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    until(&zk, |it| it.trouble.is_some()).await;
    drop(zk);
    let rows = store.scan(Table::Zk, &[], None, 9).await.unwrap();
    let [(key, value)] = rows.as_slice() else {
        panic!("{} rows", rows.len())
    };
    let mut row: serde_json::Value = serde_json::from_slice(value).unwrap();
    row["foundAt"] = 1.into();
    row["trouble"]["since"] = 1.into();
    let change = Change {
        table: Table::Zk,
        key: key.clone(),
        expected: Expected::Anything,
        value: Some(serde_json::to_vec(&row).unwrap()),
    };
    assert_eq!(store.write(vec![change]).await.unwrap(), Written::Applied);

    let zk = open().await;
    let again = |it: &Case| it.trouble.as_ref().is_none_or(|it| it.tries > 9);
    until(&zk, again).await;
    contract.failures.store(0, SeqCst);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
}
