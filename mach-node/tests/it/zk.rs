//! ZK mode, with a contract in memory and the backend that proves nothing.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use mach_core::{Alert, AlertKind, Verdict, ports::AlertSink};
use mach_devnet::OptimismFork;
use mach_node::{
    store::{MemoryStore, RedbStore, Store},
    zk::{
        AlertState, EvidenceMissing, EvidenceSource, Stage, ZkConfig, ZkContract, ZkContractError,
        ZkError, ZkMode,
    },
};
use mach_prove::{
    BackendName, Context, Journal, Native, Program, Progress, Proof, ProofBackend, ProofRequest,
    ProveError,
};
use mach_verify::{Evidence, EvidenceFolder, source::RecordedBlock, verify_block};
use tokio_util::sync::CancellationToken;

/// A call that has had its effect, and whose answer never comes: the process dies there.
#[derive(Default)]
struct Deaths {
    /// Calls until then; none from 0 on.
    left: AtomicUsize,
    died: tokio::sync::Notify,
}

impl Deaths {
    fn after(calls: usize) -> Self {
        let left = AtomicUsize::new(calls);
        Self {
            left,
            ..Default::default()
        }
    }

    async fn answer(&self) {
        if self
            .left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            == Ok(1)
        {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// A contract that counts what it is asked to do.
struct Contract {
    alerts: Mutex<BTreeMap<B256, AlertState>>,
    raised: AtomicUsize,
    submitted: AtomicUsize,
    /// Answers that are an error first.
    failures: AtomicUsize,
    refuses: bool,
    deaths: Deaths,
}

impl Contract {
    fn new(deaths: Deaths) -> Self {
        Self {
            alerts: Mutex::default(),
            raised: AtomicUsize::new(0),
            submitted: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            refuses: false,
            deaths,
        }
    }

    async fn called(&self) -> Result<(), ZkContractError> {
        let failing = self
            .failures
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        match failing {
            Ok(_) => Err(ZkContractError::Backend("L1 is away".into())),
            Err(_) if self.refuses => Err(ZkContractError::Refused("NotAllowed()".into())),
            Err(_) => Ok(()),
        }
    }

    /// As a contract makes it of what the alert is about.
    fn id(journal: &Journal) -> B256 {
        let about = Journal {
            prover: Address::ZERO,
            ..*journal
        };
        about.digest()
    }

    fn counts(&self) -> (usize, usize) {
        (self.raised.load(SeqCst), self.submitted.load(SeqCst))
    }
}

#[async_trait]
impl ZkContract for Contract {
    fn context(&self) -> Context {
        Context {
            l1_chain_id: U256::from(900),
            service_manager: Address::repeat_byte(0xaa),
            prover: Address::repeat_byte(0xbb),
        }
    }

    async fn find(
        &self,
        _alert: &Alert,
        journal: &Journal,
    ) -> Result<Option<B256>, ZkContractError> {
        self.called().await?;
        let id = Self::id(journal);
        Ok(self.alerts.lock().unwrap().contains_key(&id).then_some(id))
    }

    async fn raise(&self, alert: &Alert, journal: &Journal) -> Result<B256, ZkContractError> {
        self.called().await?;
        assert_eq!(alert.block.hash, journal.block_hash);
        let id = Self::id(journal);
        self.raised.fetch_add(1, SeqCst);
        self.alerts.lock().unwrap().insert(id, AlertState::Raised);
        self.deaths.answer().await;
        Ok(id)
    }

    async fn state(&self, id: B256) -> Result<AlertState, ZkContractError> {
        self.called().await?;
        Ok(self.alerts.lock().unwrap()[&id])
    }

    async fn submit(&self, id: B256, proof: &Proof) -> Result<(), ZkContractError> {
        self.called().await?;
        assert_eq!(proof.journal.context(), self.context());
        assert_eq!(Self::id(&proof.journal), id);
        self.submitted.fetch_add(1, SeqCst);
        self.alerts.lock().unwrap().insert(id, AlertState::Proved);
        self.deaths.answer().await;
        Ok(())
    }
}

/// The native backend, counted.
struct Backend {
    proved: AtomicUsize,
    deaths: Deaths,
}

#[async_trait]
impl ProofBackend for Backend {
    fn name(&self) -> BackendName {
        BackendName::Native
    }

    async fn program_id(&self, program: Program) -> Result<B256, ProveError> {
        Native.program_id(program).await
    }

    async fn prove(
        &self,
        request: &ProofRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Proof, ProveError> {
        let proof = Native.prove(request, progress).await?;
        self.proved.fetch_add(1, SeqCst);
        self.deaths.answer().await;
        Ok(proof)
    }

    async fn verify(&self, proof: &Proof) -> Result<(), ProveError> {
        Native.verify(proof).await
    }
}

const CONFIG: ZkConfig = ZkConfig {
    delays: (Duration::from_millis(1), Duration::from_millis(10)),
    evidence_within: Duration::from_secs(3600),
    allow_development: true,
};

/// Evidence against a block that the devnet lied about, in a folder, and its alert.
fn case(folder: &Path, lie: &str) -> Alert {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mach-verify/testdata");
    let recorded = RecordedBlock::read(testdata.join(format!("lie-{lie}.json.gz"))).unwrap();
    let spec = OptimismFork::Jovian.spec(recorded.block.chain_id);
    let verdict = verify_block(&spec, &recorded.block, &recorded.witness).unwrap();
    let Verdict::Invalid(fault) = verdict else {
        panic!("{verdict:?}")
    };
    let alert = Alert::new(&recorded.block, &fault);
    let evidence = Evidence::new(spec, recorded, fault).unwrap();
    EvidenceFolder::new(folder).keep(&evidence).unwrap();
    alert
}

fn backend(deaths: Deaths) -> Arc<Backend> {
    Arc::new(Backend {
        proved: AtomicUsize::new(0),
        deaths,
    })
}

async fn open<S: Store>(
    store: S,
    contract: &Arc<Contract>,
    backend: &Arc<Backend>,
    folder: &Path,
) -> ZkMode<S> {
    let (contract, backend) = (Arc::clone(contract) as _, Arc::clone(backend) as _);
    let evidence = Arc::new(EvidenceFolder::new(folder));
    ZkMode::open(store, contract, backend, evidence, CONFIG)
        .await
        .unwrap()
}

/// Works until no case is open.
async fn settle<S: Store>(zk: &ZkMode<S>) -> Vec<Stage> {
    let shutdown = CancellationToken::new();
    let settled = async {
        while zk.cases().iter().any(|case| case.stage.is_open()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        shutdown.cancel();
    };
    let both = async { tokio::join!(zk.run(shutdown.clone()), settled) };
    tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .unwrap();
    zk.cases().into_iter().map(|case| case.stage).collect()
}

#[tokio::test]
async fn a_wrong_block_is_raised_proved_and_submitted_once() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Arc::new(Contract::new(Deaths::default()));
    let backend = backend(Deaths::default());
    let zk = open(MemoryStore::new(), &contract, &backend, folder.path()).await;
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
    assert_eq!(contract.counts(), (2, 2));
    assert_eq!(backend.proved.load(SeqCst), 2);
}

/// The process dies after each call has had its effect and before it is answered. The next one goes
/// on from the store.
#[tokio::test]
async fn a_restart_in_the_middle_goes_on_and_does_nothing_twice() {
    let deaths = [
        (Deaths::after(1), Deaths::default(), (1, 0), 0),
        (Deaths::default(), Deaths::after(1), (1, 0), 1),
        (Deaths::after(2), Deaths::default(), (1, 1), 1),
    ];
    for (of_contract, of_backend, before, proved) in deaths {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let alert = case(folder.path(), "minted-balance");
        let contract = Arc::new(Contract::new(of_contract));
        let backend = backend(of_backend);
        {
            let store = RedbStore::open(&file).unwrap();
            let zk = open(store, &contract, &backend, folder.path()).await;
            zk.raise(&alert).await.unwrap();
            tokio::select! {
                () = zk.run(CancellationToken::new()) => panic!("it ended"),
                () = contract.deaths.died.notified() => {}
                () = backend.deaths.died.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it did not die"),
            }
        }
        assert_eq!(contract.counts(), before);
        assert_eq!(backend.proved.load(SeqCst), proved);

        let store = reopened(&file).await;
        let zk = open(store, &contract, &backend, folder.path()).await;
        // The verifier may find the block once more.
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
        assert_eq!(contract.counts(), (1, 1));
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
async fn what_does_not_get_through_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Contract::new(Deaths::default());
    contract.failures.store(7, SeqCst);
    let contract = Arc::new(contract);
    let backend = backend(Deaths::default());
    let zk = open(MemoryStore::new(), &contract, &backend, folder.path()).await;
    zk.raise(&case(folder.path(), "receipts-root"))
        .await
        .unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::Done { .. }]), "{stages:?}");
    assert_eq!(contract.counts(), (1, 1));
}

#[tokio::test]
async fn what_the_contract_refuses_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Arc::new(Contract {
        refuses: true,
        ..Contract::new(Deaths::default())
    });
    let backend = backend(Deaths::default());
    let zk = open(MemoryStore::new(), &contract, &backend, folder.path()).await;
    zk.raise(&case(folder.path(), "gas-used")).await.unwrap();
    let stages = settle(&zk).await;
    let [Stage::GivenUp { reason }] = &stages[..] else {
        panic!("{stages:?}")
    };
    assert!(reason.contains("NotAllowed()"), "{reason}");
    assert_eq!(
        (contract.counts(), backend.proved.load(SeqCst)),
        ((0, 0), 0)
    );
}

#[tokio::test]
async fn an_alert_that_is_over_needs_no_proof() {
    for (state, proved) in [
        (AlertState::Proved, true),
        (AlertState::Refuted, false),
        (AlertState::Expired, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let contract = Arc::new(Contract::new(Deaths::default()));
        let backend = backend(Deaths::default());
        let alert = case(folder.path(), "state-root");
        let evidence = EvidenceFolder::new(folder.path())
            .evidence(&alert)
            .await
            .unwrap();
        let request = ProofRequest::from_evidence(contract.context(), &evidence).unwrap();
        let id = Contract::id(request.journal());
        contract.alerts.lock().unwrap().insert(id, state);
        let zk = open(MemoryStore::new(), &contract, &backend, folder.path()).await;
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        assert_eq!(
            matches!(&stages[..], [Stage::Done { .. }]),
            proved,
            "{stages:?}"
        );
        assert_eq!(
            (contract.counts(), backend.proved.load(SeqCst)),
            ((0, 0), 0)
        );
    }
}

/// Evidence that is not there, that says something else, or that no guest has a statement about.
#[tokio::test]
async fn what_cannot_be_proved_is_not_raised() {
    let folder = tempfile::tempdir().unwrap();
    let contract = Arc::new(Contract::new(Deaths::default()));
    let backend = backend(Deaths::default());
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
    let zk = ZkMode::open(MemoryStore::new(), to, by, other, CONFIG)
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
        stages.iter().all(|it| matches!(it, Stage::GivenUp { .. })),
        "{stages:?}"
    );

    // Nothing in the folder, and no time to wait for it.
    let config = ZkConfig {
        evidence_within: Duration::ZERO,
        ..CONFIG
    };
    let (to, by) = (Arc::clone(&contract) as _, Arc::clone(&backend) as _);
    let empty = Arc::new(EvidenceFolder::new(folder.path().join("none")));
    let zk = ZkMode::open(MemoryStore::new(), to, by, empty, config)
        .await
        .unwrap();
    let unprovable = Alert {
        kind: AlertKind::NotDerivable,
        rule: 165,
        ..known
    };
    zk.raise(&unprovable).await.unwrap();
    let stages = settle(&zk).await;
    assert!(matches!(&stages[..], [Stage::GivenUp { .. }]), "{stages:?}");
    assert_eq!(
        (contract.counts(), backend.proved.load(SeqCst)),
        ((0, 0), 0)
    );
}

#[tokio::test]
async fn a_backend_that_proves_nothing_is_refused_in_earnest() {
    let contract = Arc::new(Contract::new(Deaths::default()));
    let config = ZkConfig {
        allow_development: false,
        ..CONFIG
    };
    let evidence = Arc::new(EvidenceFolder::new("none"));
    let zk = ZkMode::open(
        MemoryStore::new(),
        contract,
        Arc::new(Native),
        evidence,
        config,
    )
    .await;
    assert!(matches!(zk.err(), Some(ZkError::NotAProof)));
}
