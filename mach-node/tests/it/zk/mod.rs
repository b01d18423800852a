//! ZK mode: with a contract in memory and the backend that proves nothing, and with the genuine contract.

mod bonds;
mod cases;
mod l1;
mod outputs;
mod settling;
mod trouble;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use mach_core::{Alert, Verdict};
use mach_devnet::OptimismFork;
use mach_node::{
    store::Store,
    zk::{
        Accusation, AlertState, Case, Descent, EvidenceSource, Proposal, Source, Stage, Target,
        ZkConfig, ZkContract, ZkContractError, ZkMode,
    },
};
use mach_prove::{
    BackendName, Context, Native, Program, Progress, Proof, ProofBackend, ProofRequest, ProveError,
    Worth,
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
        if take(&self.left) == Some(1) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// Takes one of what is left.
fn take(left: &AtomicUsize) -> Option<usize> {
    left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .ok()
}

/// A contract that counts what it is asked to do.
#[derive(Default)]
struct Contract {
    alerts: Mutex<BTreeMap<B256, (Target, AlertState)>>,
    /// Whether something on L1 leads to each block.
    is_published: Mutex<bool>,
    raised: AtomicUsize,
    submitted: AtomicUsize,
    accused: AtomicUsize,
    /// Answers that are an error first, of any call.
    failures: AtomicUsize,
    /// The same of what is sent, for a reason that passes.
    refusals: AtomicUsize,
    /// How often nothing counts that would be proved.
    inactive: AtomicUsize,
    /// How often nobody says what a wrong output root is the hash of.
    unopened: AtomicUsize,
    /// What is sent is refused for good.
    refuses: Mutex<bool>,
    deaths: Deaths,
    /// What an alert costs, in wei.
    bond: AtomicUsize,
    /// Alerts that wait for a proof, and most of them at a time.
    waiting: Mutex<(usize, usize)>,
    /// Blocks in the order in which they were accused.
    order: Mutex<Vec<u64>>,
    /// Whether L1 is not final yet.
    is_unsettled: AtomicBool,
    /// Whether no wrong output root stands on L1.
    is_unproposed: AtomicBool,
    /// Whether nobody answers who is asked what one is the hash of.
    is_mute: AtomicBool,
    /// Whether they take their time.
    is_slow: AtomicBool,
    /// Heights of those that they were asked about.
    asked: Mutex<BTreeSet<u64>>,
}

impl Contract {
    fn new(deaths: Deaths) -> Arc<Self> {
        let this = Self::unpublished(deaths);
        this.publish(true);
        this
    }

    /// Nothing on L1 leads to any block.
    fn unpublished(deaths: Deaths) -> Arc<Self> {
        Arc::new(Self {
            deaths,
            ..Self::default()
        })
    }

    fn publish(&self, is_published: bool) {
        *self.is_published.lock().unwrap() = is_published;
    }

    fn refuse(&self, refuses: bool) {
        *self.refuses.lock().unwrap() = refuses;
    }

    fn called(&self) -> Result<(), ZkContractError> {
        match take(&self.failures) {
            Some(_) => Err(ZkContractError::Backend("L1 is away".into())),
            None => Ok(()),
        }
    }

    fn sent(&self) -> Result<(), ZkContractError> {
        self.called()?;
        if take(&self.refusals).is_some() {
            return Err(ZkContractError::NotNow("IsPaused()".into()));
        }
        if *self.refuses.lock().unwrap() {
            return Err(ZkContractError::Refused("NothingWrong()".into()));
        }
        Ok(())
    }

    fn put(&self, target: Target, state: AlertState) -> B256 {
        let mut alerts = self.alerts.lock().unwrap();
        let id = B256::from(U256::from(alerts.len()));
        alerts.insert(id, (target, state));
        id
    }

    /// Alerts that were raised, proofs that were handed in, and accusations with a proof.
    fn counts(&self) -> (usize, usize, usize) {
        let count = |it: &AtomicUsize| it.load(SeqCst);
        (
            count(&self.raised),
            count(&self.submitted),
            count(&self.accused),
        )
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

    async fn admit(
        &self,
        program: Program,
        _program_id: B256,
        config_hash: B256,
    ) -> Result<(), ZkContractError> {
        self.called()?;
        assert_eq!(program, Program::Block);
        assert_eq!(config_hash, OptimismFork::Jovian.spec(901).hash());
        match take(&self.inactive) {
            Some(_) => Err(ZkContractError::NotNow("ProgramNotActive()".into())),
            None => Ok(()),
        }
    }

    async fn choose(&self, accusation: &Accusation) -> Result<(Target, Descent), ZkContractError> {
        self.called()?;
        let Accusation {
            alert,
            journal,
            header,
        } = accusation;
        assert_eq!(alert.block.hash, journal.block_hash);
        assert_eq!(header.hash_slow(), journal.block_hash);
        let (number, expected) = (journal.block_number, journal.output_root);
        if !*self.is_published.lock().unwrap() {
            let target = Target::Block {
                hash: journal.block_hash,
                number,
                expected,
            };
            return Ok((target, Descent::default()));
        }
        let proposal = Proposal {
            source: Source::Oracle(Address::repeat_byte(0xcc)),
            index: number,
            posted_at: 0,
            // As if it were the root.
            root: journal.block_hash,
            number,
            expected,
        };
        let descent = Descent {
            block_hash: journal.block_hash,
            ..Descent::default()
        };
        Ok((Target::Published(proposal), descent))
    }

    async fn unconvicted(
        &self,
        accusation: &Accusation,
    ) -> Result<Option<(Target, Descent)>, ZkContractError> {
        let (target, descent) = self.choose(accusation).await?;
        let proved = (target, AlertState::Proved);
        let is_convicted = self.alerts.lock().unwrap().values().any(|it| *it == proved);
        Ok((target.is_published() && !is_convicted).then_some((target, descent)))
    }

    async fn open(&self, alert: &Alert) -> Result<Option<Descent>, ZkContractError> {
        self.called()?;
        self.asked.lock().unwrap().insert(alert.block.number);
        if self.is_slow.load(SeqCst) {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        if self.is_mute.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(match take(&self.unopened) {
            Some(_) => None,
            None => Some(Descent::default()),
        })
    }

    async fn convict(
        &self,
        alert: &Alert,
        _opened: &Descent,
    ) -> Result<Option<(B256, Target)>, ZkContractError> {
        self.called()?;
        if self.is_unproposed.load(SeqCst) {
            return Ok(None);
        }
        let target = Target::Published(Proposal {
            source: Source::Oracle(Address::repeat_byte(0xcc)),
            index: alert.block.number,
            posted_at: 0,
            root: alert.claimed,
            number: alert.block.number,
            expected: alert.computed,
        });
        let id = self.put(target, AlertState::Proved);
        Ok(Some((id, target)))
    }

    async fn find(&self, target: &Target) -> Result<Option<B256>, ZkContractError> {
        self.called()?;
        let alerts = self.alerts.lock().unwrap();
        let found = alerts.iter().find(|(_, (it, _))| it == target);
        Ok(found.map(|(id, _)| *id))
    }

    async fn raise(&self, target: &Target, most: U256) -> Result<B256, ZkContractError> {
        self.sent()?;
        let bond = self.bond.load(SeqCst);
        if U256::from(bond) > most {
            let reason = format!("{bond} wei are more than {most}");
            return Err(ZkContractError::NotNow(reason.into()));
        }
        let (Target::Block { number, .. } | Target::Published(Proposal { number, .. })) = *target;
        self.order.lock().unwrap().push(number);
        {
            let (waiting, most) = &mut *self.waiting.lock().unwrap();
            *waiting += 1;
            *most = (*waiting).max(*most);
        }
        // Others may come in between, as on L1.
        tokio::task::yield_now().await;
        let id = self.put(*target, AlertState::Raised);
        self.raised.fetch_add(1, SeqCst);
        self.deaths.answer().await;
        Ok(id)
    }

    async fn state(&self, id: B256, target: &Target) -> Result<AlertState, ZkContractError> {
        self.called()?;
        Ok(match self.alerts.lock().unwrap().get(&id) {
            Some((it, state)) if it == target => *state,
            _ => AlertState::Missing,
        })
    }

    async fn is_settled(&self, id: B256, target: &Target) -> Result<bool, ZkContractError> {
        let is_proved = self.state(id, target).await? == AlertState::Proved;
        Ok(is_proved && !self.is_unsettled.load(SeqCst))
    }

    async fn submit(
        &self,
        id: B256,
        target: &Target,
        descent: &Descent,
        proof: &Proof,
    ) -> Result<(), ZkContractError> {
        self.sent()?;
        assert_eq!(proof.journal.context(), self.context());
        if target.is_published() {
            assert_eq!(descent.block_hash, proof.journal.block_hash);
        }
        let proved = (*target, AlertState::Proved);
        let known = self.alerts.lock().unwrap().insert(id, proved);
        assert_eq!(known.unwrap().0, *target);
        {
            let (waiting, _) = &mut *self.waiting.lock().unwrap();
            *waiting = waiting.saturating_sub(1);
        }
        self.submitted.fetch_add(1, SeqCst);
        self.deaths.answer().await;
        Ok(())
    }

    async fn accuse(
        &self,
        target: &Target,
        descent: &Descent,
        proof: &Proof,
    ) -> Result<B256, ZkContractError> {
        self.sent()?;
        assert!(target.is_published());
        assert_eq!(descent.block_hash, proof.journal.block_hash);
        if !*self.is_published.lock().unwrap() {
            return Err(ZkContractError::Gone("InvalidIndex()".into()));
        }
        let id = self.put(*target, AlertState::Proved);
        self.accused.fetch_add(1, SeqCst);
        self.deaths.answer().await;
        Ok(id)
    }
}

/// The native backend, counted.
#[derive(Default)]
struct Backend {
    proved: AtomicUsize,
    /// How often it fails first.
    failures: AtomicUsize,
    /// How often it says nothing first, until it is stopped.
    hangs: AtomicUsize,
    /// How often it was stopped.
    stopped: Arc<AtomicUsize>,
    deaths: Deaths,
}

/// Counts when it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Backend {
    fn new(deaths: Deaths) -> Arc<Self> {
        Arc::new(Self {
            deaths,
            ..Self::default()
        })
    }
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
        if take(&self.failures).is_some() {
            return Err(ProveError::Backend("out of memory".into()));
        }
        if take(&self.hangs).is_some() {
            let _stopped = Counted(Arc::clone(&self.stopped));
            std::future::pending::<()>().await;
        }
        let proof = Native.prove(request, progress).await?;
        self.proved.fetch_add(1, SeqCst);
        self.deaths.answer().await;
        Ok(proof)
    }

    async fn verify(&self, proof: &Proof) -> Result<(), ProveError> {
        Native.verify(proof).await
    }
}

/// Proofs that are worth what they are said to be, and are made of a journal's digest.
struct DigestBackend(Worth);

const PROGRAM: B256 = B256::repeat_byte(0xb1);

#[async_trait]
impl ProofBackend for DigestBackend {
    fn name(&self) -> BackendName {
        BackendName::OpenVm
    }

    async fn worth(&self) -> Result<Worth, ProveError> {
        Ok(self.0)
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

fn config() -> ZkConfig {
    ZkConfig {
        delays: (Duration::from_millis(1), Duration::from_millis(10)),
        allow_development: true,
        ..ZkConfig::default()
    }
}

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

/// What is shown to a contract of an alert whose evidence lies in a folder.
async fn accusation(contract: &impl ZkContract, folder: &Path, alert: &Alert) -> Accusation {
    let evidence = EvidenceFolder::new(folder).evidence(alert).await.unwrap();
    let request = ProofRequest::from_evidence(contract.context(), &evidence).unwrap();
    Accusation {
        alert: alert.clone(),
        journal: *request.journal(),
        header: evidence.block().header.inner().clone(),
    }
}

async fn open<S: Store>(
    store: S,
    contract: &Arc<Contract>,
    backend: &Arc<Backend>,
    folder: &Path,
    config: ZkConfig,
) -> ZkMode<S> {
    let (contract, backend) = (Arc::clone(contract) as _, Arc::clone(backend) as _);
    let evidence = Arc::new(EvidenceFolder::new(folder));
    ZkMode::open(store, contract, backend, evidence, config)
        .await
        .unwrap()
}

/// Works until every case is as `is_enough` says.
async fn until<S: Store>(zk: &ZkMode<S>, is_enough: impl Fn(&Case) -> bool) -> Vec<Stage> {
    let shutdown = CancellationToken::new();
    let settled = async {
        while !zk.cases().iter().all(&is_enough) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        shutdown.cancel();
    };
    let both = async { tokio::join!(zk.run(shutdown.clone()), settled) };
    let done = tokio::time::timeout(Duration::from_secs(180), both).await;
    let cases = zk.cases();
    assert!(done.is_ok(), "{cases:?}");
    cases.into_iter().map(|case| case.stage).collect()
}

/// Works until no case is open.
async fn settle<S: Store>(zk: &ZkMode<S>) -> Vec<Stage> {
    until(zk, |case| !case.stage.is_open()).await
}

const fn is_shown(case: &Case) -> bool {
    matches!(case.stage, Stage::Shown { .. })
}
