//! From the alert to the end.

use std::{path::Path, sync::Arc, sync::atomic::Ordering::SeqCst, time::Duration};

use alloy_primitives::B256;
use async_trait::async_trait;
use mach_core::{Alert, AlertKind, ports::AlertSink};
use mach_node::{
    store::{MemoryStore, RedbStore, Store, Table},
    zk::{
        AlertState, Case, EvidenceMissing, EvidenceSource, Stage, ZkConfig, ZkContract, ZkError,
        ZkMode, check_backend, program_of,
    },
};
use mach_prove::{
    BackendName, Native, Program, Progress, Proof, ProofBackend, ProofRequest, ProveError, Worth,
};
use mach_verify::{Evidence, EvidenceFolder};
use tokio_util::sync::CancellationToken;

use super::{
    Backend, Contract, Deaths, DigestBackend, accusation, case, config, is_shown, open, settle,
    until,
};

#[tokio::test]
async fn a_wrong_block_is_raised_proved_and_submitted_once() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        config(),
    )
    .await;
    for lie in ["state-root", "gas-used"] {
        let alert = case(folder.path(), lie);
        for _ in 0..3 {
            zk.raise(&alert).await.unwrap();
        }
    }
    let stages = settle(&zk).await;
    assert!(
        matches!(&stages[..], [Stage::Done { .. }, Stage::Done { .. }]),
        "{stages:?}"
    );
    assert_eq!(contract.counts(), (2, 2, 0));
    assert_eq!(backend.proved.load(SeqCst), 2);
    assert_eq!(zk.status().in_stage("done"), 2);
}

/// A block that nothing on L1 leads to is shown by its hash; what is published later is accused with the
/// same proof.
#[tokio::test]
async fn what_is_published_later_is_accused_with_the_proof_that_there_is() {
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
    assert_eq!(contract.counts(), (1, 1, 0));
    contract.publish(true);
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1, 1));
    assert_eq!(backend.proved.load(SeqCst), 1);

    // Nothing is waited for without end.
    contract.publish(false);
    let short = ZkConfig {
        published_within: Duration::ZERO,
        ..config()
    };
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        folder.path(),
        short,
    )
    .await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (2, 2, 1));
}

/// The process dies after each call has had its effect and before it is answered. The next one goes
/// on from the store.
#[tokio::test]
async fn a_restart_in_the_middle_goes_on_and_does_nothing_twice() {
    let deaths = [
        (Deaths::after(1), Deaths::default(), (1, 0, 0), 0),
        (Deaths::default(), Deaths::after(1), (1, 0, 0), 1),
        (Deaths::after(2), Deaths::default(), (1, 1, 0), 1),
    ];
    for (of_contract, of_backend, before, proved) in deaths {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let alert = case(folder.path(), "minted-balance");
        let contract = Contract::new(of_contract);
        let backend = Backend::new(of_backend);
        dies(&file, &contract, &backend, folder.path(), &alert).await;
        assert_eq!(contract.counts(), before);
        assert_eq!(backend.proved.load(SeqCst), proved);

        let store = reopened(&file).await;
        let zk = open(store, &contract, &backend, folder.path(), config()).await;
        // The verifier may find the block once more.
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        assert_eq!(contract.counts(), (1, 1, 0));
    }
}

/// What is accused is decided once: between the death of the process and the next one the output root
/// of the block comes to stand on L1.
#[tokio::test]
async fn a_restart_does_not_choose_anew_what_is_accused() {
    for (calls, before) in [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1))] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let alert = case(folder.path(), "minted-balance");
        let contract = Contract::unpublished(Deaths::after(calls));
        contract.publish(false);
        let backend = Backend::new(Deaths::default());
        if calls == 3 {
            let publisher = Arc::clone(&contract);
            tokio::spawn(async move {
                while publisher.counts().1 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                publisher.publish(true);
            });
        }
        dies(&file, &contract, &backend, folder.path(), &alert).await;
        assert_eq!(contract.counts(), before);
        contract.publish(true);
        let store = reopened(&file).await;
        let zk = open(store, &contract, &backend, folder.path(), config()).await;
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        // One bond for the block, and one accusation with a proof.
        assert_eq!(contract.counts(), (1, 1, 1));
        let alerts = contract.alerts.lock().unwrap();
        assert!(
            alerts
                .values()
                .all(|(_, state)| *state == AlertState::Proved)
        );
        assert_eq!(alerts.len(), 2);
    }
}

/// A process that works on `alert` until it dies.
async fn dies(
    file: &Path,
    contract: &Arc<Contract>,
    backend: &Arc<Backend>,
    folder: &Path,
    alert: &Alert,
) {
    let store = RedbStore::open(file).unwrap();
    let zk = open(store, contract, backend, folder, config()).await;
    zk.raise(alert).await.unwrap();
    tokio::select! {
        () = zk.run(CancellationToken::new()) => panic!("it ended"),
        () = contract.deaths.died.notified() => {}
        () = backend.deaths.died.notified() => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it did not die"),
    }
}

/// The file is free once what the first process had in hand is dropped.
async fn reopened(file: &Path) -> RedbStore {
    for _ in 0..500 {
        if let Ok(store) = RedbStore::open(file) {
            return store;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store stays in use");
}

#[tokio::test]
async fn an_alert_that_is_proved_needs_no_proof_and_all_others_do() {
    for (state, proofs) in [
        (AlertState::Proved, 0),
        // A proof convicts all the same.
        (AlertState::Expired, 1),
        (AlertState::Refuted, 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let contract = Contract::new(Deaths::default());
        let backend = Backend::new(Deaths::default());
        let alert = case(folder.path(), "state-root");
        let accusation = accusation(&*contract, folder.path(), &alert).await;
        let (target, _) = contract.choose(&accusation).await.unwrap();
        contract.put(target, state);
        let zk = open(
            MemoryStore::new(),
            &contract,
            &backend,
            folder.path(),
            config(),
        )
        .await;
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        assert_eq!(contract.counts(), (0, proofs, 0));
        assert_eq!(backend.proved.load(SeqCst), proofs);
    }
}

/// Evidence that is not there, that says something else, or that no guest has a statement about.
#[tokio::test]
async fn what_cannot_be_proved_is_not_raised() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let known = case(folder.path(), "state-root");

    /// Gives the same evidence for every alert.
    struct Other(Evidence);
    #[async_trait]
    impl EvidenceSource for Other {
        async fn evidence(&self, _alert: &Alert) -> Result<Evidence, EvidenceMissing> {
            Ok(self.0.clone())
        }
    }
    let evidence = EvidenceFolder::new(folder.path())
        .evidence(&known)
        .await
        .unwrap();
    let (to, by) = (Arc::clone(&contract) as _, Arc::clone(&backend) as _);
    let other = Arc::new(Other(evidence));
    let zk = ZkMode::open(MemoryStore::new(), to, by, other, config())
        .await
        .unwrap();
    let lies: [fn(&mut Alert); 4] = [
        |alert| alert.rule = 6,
        |alert| alert.claimed = B256::ZERO,
        |alert| alert.computed = B256::ZERO,
        |alert| alert.block.hash = B256::ZERO,
    ];
    for lie in lies {
        let mut alert = known.clone();
        lie(&mut alert);
        zk.raise(&alert).await.unwrap();
    }
    let stages = settle(&zk).await;
    assert_eq!(stages.len(), 4);
    assert!(
        stages
            .iter()
            .all(|it| matches!(it, Stage::GivenUp { resume: None, .. })),
        "{stages:?}"
    );

    // Nothing in the folder, and no time to wait for it.
    let config = ZkConfig {
        evidence_within: Duration::ZERO,
        ..config()
    };
    let empty = folder.path().join("none");
    let zk = open(MemoryStore::new(), &contract, &backend, &empty, config).await;
    zk.raise(&known).await.unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::GivenUp { .. }]), "{stages:?}");

    // About this no guest has a statement, whatever the evidence.
    let here = folder.path();
    let zk = open(
        MemoryStore::new(),
        &contract,
        &backend,
        here,
        super::config(),
    )
    .await;
    let unprovable = Alert {
        kind: AlertKind::NotDerivable,
        rule: 165,
        ..known
    };
    zk.raise(&unprovable).await.unwrap();
    assert!(zk.cases().is_empty(), "{:?}", zk.cases());
    assert_eq!(contract.counts(), (0, 0, 0));
    assert_eq!(backend.proved.load(SeqCst), 0);
}

#[tokio::test]
async fn a_backend_whose_proofs_no_contract_takes_is_refused_in_earnest() {
    let refused = async |backend: Arc<dyn ProofBackend>| {
        let contract = Contract::new(Deaths::default());
        let config = ZkConfig {
            allow_development: false,
            ..config()
        };
        let evidence = Arc::new(EvidenceFolder::new("none"));
        let zk = ZkMode::open(MemoryStore::new(), contract, backend, evidence, config).await;
        zk.err()
    };
    let native = refused(Arc::new(Native)).await;
    assert!(matches!(native, Some(ZkError::NotAProof(_))), "{native:?}");
    // Genuine, and of another form than the EVM verifies.
    let local = refused(Arc::new(DigestBackend(Worth::Proof))).await;
    assert!(matches!(local, Some(ZkError::NotForL1(_))), "{local:?}");
    assert!(
        local
            .unwrap()
            .to_string()
            .contains("wraps them for the EVM")
    );
    assert!(
        refused(Arc::new(DigestBackend(Worth::OnChain)))
            .await
            .is_none()
    );
}

/// A prover that has started and answers nothing holds nobody up for ever.
#[tokio::test(start_paused = true)]
async fn a_prover_that_never_answers_lets_zk_mode_not_start() {
    struct Mute;
    #[async_trait]
    impl ProofBackend for Mute {
        fn name(&self) -> BackendName {
            BackendName::Risc0
        }

        async fn worth(&self) -> Result<Worth, ProveError> {
            std::future::pending().await
        }

        async fn program_id(&self, _program: Program) -> Result<B256, ProveError> {
            std::future::pending().await
        }

        async fn prove(
            &self,
            _request: &ProofRequest,
            _progress: &(dyn Fn(Progress) + Send + Sync),
        ) -> Result<Proof, ProveError> {
            std::future::pending().await
        }

        async fn verify(&self, _proof: &Proof) -> Result<(), ProveError> {
            std::future::pending().await
        }
    }
    let worth = check_backend(&Mute).await;
    assert!(matches!(worth, Err(ZkError::Prover(_))), "{worth:?}");
    let program = program_of(&Mute, Program::Block).await.unwrap_err();
    let words = "has not answered in 300 seconds";
    assert!(format!("{program:?}").contains(words), "{program:?}");
}

/// Of what has ended the newest is kept, however long it may be kept.
#[tokio::test]
async fn no_more_ended_cases_are_kept_than_are_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let store = Arc::new(MemoryStore::new());
    let one = ZkConfig {
        max_ended: 1,
        ..config()
    };
    let zk = open(Arc::clone(&store), &contract, &backend, folder.path(), one).await;
    let first = case(folder.path(), "state-root");
    zk.raise(&first).await.unwrap();
    settle(&zk).await;
    // Ends are told apart by seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let second = case(folder.path(), "gas-used");
    zk.raise(&second).await.unwrap();
    settle(&zk).await;
    assert_eq!(zk.cases().len(), 2);
    // What is open is not among them.
    let open_case = Alert {
        rule: 6,
        ..first.clone()
    };
    zk.raise(&open_case).await.unwrap();
    let zk = open(Arc::clone(&store), &contract, &backend, folder.path(), one).await;
    let shutdown = CancellationToken::new();
    let forgotten = async {
        while zk.cases().len() > 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        shutdown.cancel();
    };
    tokio::join!(zk.run(shutdown.clone()), forgotten);
    let left: Vec<Alert> = zk.cases().into_iter().map(|it| it.alert).collect();
    assert!(left.contains(&second) && !left.contains(&first), "{left:?}");
}

/// Nobody knows what the root is the hash of, and then somebody does.
#[tokio::test]
async fn an_output_root_that_is_opened_late_is_convicted() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.unopened.store(5, SeqCst);
    let backend = Backend::new(Deaths::default());
    let hurried = ZkConfig {
        evidence_within: Duration::ZERO,
        ..config()
    };
    let store = MemoryStore::new();
    let zk = open(store, &contract, &backend, folder.path(), hurried).await;
    let alert = Alert {
        kind: AlertKind::InvalidOutputProposal,
        rule: 128,
        ..case(folder.path(), "state-root")
    };
    zk.raise(&alert).await.unwrap();
    let is_told = |case: &Case| case.trouble.as_ref().is_some_and(|it| it.tries > 2);
    until(&zk, is_told).await;
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (0, 0, 0));
}

#[tokio::test]
async fn an_ended_case_is_forgotten_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    let backend = Backend::new(Deaths::default());
    let alert = case(folder.path(), "state-root");
    let store = Arc::new(MemoryStore::new());
    let zk = open(
        Arc::clone(&store),
        &contract,
        &backend,
        folder.path(),
        config(),
    )
    .await;
    zk.raise(&alert).await.unwrap();
    settle(&zk).await;
    // Of what has ended nothing but the case and its proof is kept.
    let rows = async || store.scan(Table::Zk, &[], None, 9).await.unwrap().len();
    assert_eq!(rows().await, 2);

    let at_once = ZkConfig {
        keep_ended: Duration::ZERO,
        ..config()
    };
    let zk = open(
        Arc::clone(&store),
        &contract,
        &backend,
        folder.path(),
        at_once,
    )
    .await;
    assert_eq!(zk.cases().len(), 1);
    let shutdown = CancellationToken::new();
    let forgotten = async {
        while !zk.cases().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        shutdown.cancel();
    };
    tokio::join!(zk.run(shutdown.clone()), forgotten);
    assert_eq!(rows().await, 0);
    // Found once more, it is known to the contract.
    zk.raise(&alert).await.unwrap();
    settle(&zk).await;
    assert_eq!(contract.counts(), (1, 1, 0));
}
