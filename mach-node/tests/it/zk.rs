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

use alloy_network::EthereumWallet;
use alloy_primitives::Bytes;
use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use mach_contracts_bindings::{
    SubmitPolicy, Submitter,
    zk::{
        ZkConfig as OnL1, ZkProgram, ZkServiceManager,
        abi::{Accused, ProgramKind, Status},
    },
};
use mach_core::{Alert, AlertKind, Verdict, ports::AlertSink};
use mach_devnet::{
    DEV_ACCOUNTS, Devnet, DevnetConfig, L2_OUTPUT_ORACLE, Lie, OptimismFork, UserDeposit,
};
use mach_node::{
    store::{MemoryStore, RedbStore, Store},
    zk::{
        Accusation, AlertState, EvidenceMissing, EvidenceSource, L1ZkContract, Stage, ZkConfig,
        ZkContract, ZkContractError, ZkError, ZkMode,
    },
};
use mach_prove::{
    BackendName, Context, Journal, Native, Program, Progress, Proof, ProofBackend, ProofRequest,
    ProveError,
};
use mach_verify::{Evidence, EvidenceFolder, Witness, source::RecordedBlock, verify_block};
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

    async fn find(&self, accusation: &Accusation) -> Result<Option<B256>, ZkContractError> {
        self.called().await?;
        let id = Self::id(&accusation.journal);
        Ok(self.alerts.lock().unwrap().contains_key(&id).then_some(id))
    }

    async fn raise(&self, accusation: &Accusation) -> Result<B256, ZkContractError> {
        self.called().await?;
        let Accusation {
            alert,
            journal,
            header,
        } = accusation;
        assert_eq!(alert.block.hash, journal.block_hash);
        assert_eq!(header.hash_slow(), journal.block_hash);
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

    async fn submit(
        &self,
        id: B256,
        accusation: &Accusation,
        proof: &Proof,
    ) -> Result<(), ZkContractError> {
        self.called().await?;
        assert_eq!(accusation.header.hash_slow(), proof.journal.block_hash);
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
    for (state, proofs) in [
        (AlertState::Proved, Some(0)),
        // A proof convicts all the same.
        (AlertState::Expired, Some(1)),
        (AlertState::Refuted, None),
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
        let is_done = matches!(&stages[..], [Stage::Done { .. }]);
        assert_eq!(is_done, proofs.is_some(), "{state:?}: {stages:?}");
        let proofs = proofs.unwrap_or(0);
        assert_eq!(contract.counts(), (0, proofs));
        assert_eq!(backend.proved.load(SeqCst), proofs);
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

const PROGRAM: B256 = B256::repeat_byte(0xb1);

/// Deploys a contract that takes a proof whose first word is the digest of the journal: what the
/// contract rebuilds has to be, word for word, what the guest made.
const VERIFIER: [u8; 24] = [
    // deploy what follows
    0x60, 0x0f, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, //
    // stop if the first word of the proof is the digest, else revert
    0x60, 0x24, 0x35, 0x60, 0x84, 0x35, 0x14, 0x60, 0x0d, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00,
];

/// Proofs for that verifier.
struct DigestBackend;

#[async_trait]
impl ProofBackend for DigestBackend {
    fn name(&self) -> BackendName {
        BackendName::OpenVm
    }

    async fn program_id(&self, _program: Program) -> Result<B256, ProveError> {
        Ok(PROGRAM)
    }

    async fn prove(
        &self,
        request: &ProofRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Proof, ProveError> {
        Ok(Proof {
            backend: BackendName::OpenVm,
            program_id: PROGRAM,
            proof: request.journal().digest().into(),
            ..Native.prove(request, progress).await?
        })
    }

    async fn verify(&self, _proof: &Proof) -> Result<(), ProveError> {
        Ok(())
    }
}

/// The sequencer lies in block 3; the bundle lies in the folder.
async fn lying_devnet(folder: &Path) -> (Devnet, Alert) {
    let config = DevnetConfig {
        l2_fork: OptimismFork::Isthmus,
        output_interval: 1,
        ..DevnetConfig::default()
    };
    let devnet = config.build().unwrap();
    for _ in 0..2 {
        devnet.sequencer().produce().unwrap();
    }
    let deposit = UserDeposit::ether(Address::repeat_byte(0xd0), 5);
    devnet.sequencer().deposit(deposit).unwrap();
    devnet.l1().mine().unwrap();
    devnet.sequencer().lie_next(Lie::MintedBalance);
    let number = devnet.sequencer().produce().unwrap();
    let l2 = devnet.l2();
    let block = l2.l2_block(number).unwrap();
    let tag = format!("{number:#x}");
    let witness: Witness = (l2.client().request("debug_executionWitness", (tag,)))
        .await
        .unwrap();
    let spec = OptimismFork::Isthmus.spec(block.chain_id);
    let verdict = verify_block(&spec, &block, &witness).unwrap();
    let fault = verdict.fault().unwrap().clone();
    let alert = Alert::new(&block, &fault);
    let recorded = RecordedBlock {
        block,
        witness,
        source: None,
    };
    let evidence = Evidence::new(spec, recorded, fault).unwrap();
    EvidenceFolder::new(folder).keep(&evidence).unwrap();
    // The oracle takes no outputs from the future.
    devnet.l1().increase_time(3600);
    devnet.l1().mine().unwrap();
    (devnet, alert)
}

/// The genuine contract: a block that nobody published is convicted by its hash, and one whose output
/// is in the oracle convicts the rollup.
#[tokio::test]
async fn the_contract_on_l1_convicts_the_block() {
    let policy = SubmitPolicy {
        poll_interval: Duration::from_millis(1),
        confirmations: 0,
        ..SubmitPolicy::default()
    };
    for is_published in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (devnet, alert) = lying_devnet(folder.path()).await;
        if is_published {
            for number in 1..=alert.block.number {
                devnet.proposer().propose(number).unwrap();
            }
        }
        let wallet = EthereumWallet::from(DEV_ACCOUNTS[0].signer());
        let submitter = Submitter::connect(devnet.l1().provider(), wallet, policy)
            .await
            .unwrap();
        let (verifier, _) = submitter
            .deploy(Bytes::copy_from_slice(&VERIFIER))
            .await
            .unwrap();
        let rollup = devnet.l2().chain_id();
        let config = OnL1 {
            oracle: Some(L2_OUTPUT_ORACLE),
            bond: 1_000_000_007,
            configs: vec![OptimismFork::Isthmus.spec(rollup).hash()],
            programs: vec![ZkProgram {
                id: PROGRAM,
                verifier,
                kind: ProgramKind::Block,
            }],
            ..OnL1::new(rollup, submitter.sender())
        };
        let manager = ZkServiceManager::deploy(&submitter, &config).await.unwrap();
        let contract = L1ZkContract::new(manager.clone(), submitter, Some(L2_OUTPUT_ORACLE));
        let evidence = Arc::new(EvidenceFolder::new(folder.path()));
        let config = ZkConfig {
            allow_development: false,
            ..CONFIG
        };
        let contract = Arc::new(contract);
        let (to, by) = (Arc::clone(&contract) as _, Arc::new(DigestBackend));
        let zk = ZkMode::open(MemoryStore::new(), to, by, evidence, config)
            .await
            .unwrap();
        zk.raise(&alert).await.unwrap();
        let stages = settle(&zk).await;
        let [Stage::Done { id }] = &stages[..] else {
            panic!("{stages:?}")
        };

        let raised = manager.alert(U256::from_be_bytes(id.0)).await.unwrap();
        assert_eq!(raised.status, Status::Proved);
        assert_eq!(raised.blockNumber, U256::from(alert.block.number));
        let kind = if is_published {
            Accused::OracleOutput
        } else {
            Accused::BlockHash
        };
        assert_eq!(raised.kind, kind);
        let convictions = manager.convictions(rollup).await.unwrap();
        assert_eq!(convictions, U256::from(u8::from(is_published)));

        // Another process with an empty store finds the alert, and that it is proved.
        let evidence = Arc::new(EvidenceFolder::new(folder.path()));
        let (to, by) = (contract as _, Arc::new(DigestBackend));
        let again = ZkMode::open(MemoryStore::new(), to, by, evidence, config)
            .await
            .unwrap();
        again.raise(&alert).await.unwrap();
        assert_eq!(settle(&again).await, stages);
        assert_eq!(manager.alert_count().await.unwrap(), U256::from(1));

        // A wrong output root is not for a proof of execution.
        let output = Alert {
            kind: AlertKind::InvalidOutputProposal,
            rule: 128,
            ..alert
        };
        again.raise(&output).await.unwrap();
        assert_eq!(manager.alert_count().await.unwrap(), U256::from(1));
    }
}
