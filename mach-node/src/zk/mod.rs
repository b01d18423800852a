//! ZK mode: a wrong block is shown to a contract with a proof, and nobody needs a quorum.
//!
//! `Alert → Case → alert on L1 → Proof → submitted`. A case is durable before the verifier goes on,
//! and each of its steps is durable before the next one: a process that dies anywhere goes on where
//! it was, and does nothing twice, since it asks the contract first.

mod case;
mod contract;
mod evidence;
mod port;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use futures::{StreamExt, stream::FuturesUnordered};
use mach_core::{
    Alert, Domain, Statement,
    ports::{AlertSink, SinkError},
};
use mach_prove::{Context, Progress, Proof, ProofBackend, ProofRequest, Worth};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::store::{Change, Expected, Store, StoreError, Table, Written, domain_key};

pub use case::{Case, Stage};
pub use contract::L1ZkContract;
pub use evidence::{EvidenceMissing, EvidenceSource};
pub use port::{Accusation, AlertState, ZkContract, ZkContractError};

/// Most cases that are worked on at a time; proving is done for one.
const MAX_AT_WORK: usize = 16;
/// Most cases that are open: each costs a bond and a proof.
const MAX_OPEN: usize = 1024;
/// Rows that are read at a time.
const PAGE: usize = 256;
/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(100);
/// Where the proof of a case is kept: behind its key.
const PROOF: u8 = 1;

/// How often something is tried again, and whether it is in earnest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZkConfig {
    /// Shortest and longest wait before a step is tried again; it doubles in between.
    pub delays: (Duration, Duration),
    /// How long the evidence of an alert is waited for: it is made beside the verdict.
    pub evidence_within: Duration,
    /// Whether a backend that proves nothing may be used, for development. An alert is bonded, and
    /// no contract takes what is not a proof.
    pub allow_development: bool,
}

impl Default for ZkConfig {
    /// From one second to five minutes, an hour for the evidence, and in earnest.
    fn default() -> Self {
        Self {
            delays: (Duration::from_secs(1), Duration::from_secs(300)),
            evidence_within: Duration::from_secs(3600),
            allow_development: false,
        }
    }
}

/// Shows wrong blocks to a contract, with proofs. Clones share it.
///
/// Only an alert comes in, and an alert comes of a verdict; and of its evidence the guest program
/// has to give a journal in this process before anything is raised. So nothing that is not known
/// is ever accused, and no bond is put up for what cannot be proved.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct ZkMode<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    contract: Arc<dyn ZkContract>,
    backend: Arc<dyn ProofBackend>,
    evidence: Arc<dyn EvidenceSource>,
    config: ZkConfig,
    context: Context,
    domain: Domain,
    cases: Mutex<BTreeMap<B256, Case>>,
    queued: Notify,
    proving: Semaphore,
}

/// Why ZK mode does not start.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ZkError {
    /// The backend is for development.
    #[error("the backend proves nothing, and every alert would lose its bond")]
    NotAProof,
    /// The contract's L1 chain has a larger id than chains have.
    #[error("the L1 chain id is too large")]
    ChainId,
    /// The store does not serve.
    #[error("the store of the cases")]
    Store(#[from] StoreError),
}

impl<S: Store> ZkMode<S> {
    /// ZK mode on `contract`, with the cases that an earlier process left in `store`.
    ///
    /// Errors: [`ZkError`].
    pub async fn open(
        store: S,
        contract: Arc<dyn ZkContract>,
        backend: Arc<dyn ProofBackend>,
        evidence: Arc<dyn EvidenceSource>,
        config: ZkConfig,
    ) -> Result<Self, ZkError> {
        if backend.name().worth() == Worth::NotAProof && !config.allow_development {
            return Err(ZkError::NotAProof);
        }
        let context = contract.context();
        let domain = Domain {
            l1_chain_id: context
                .l1_chain_id
                .try_into()
                .map_err(|_| ZkError::ChainId)?,
            service_manager: context.service_manager,
        };
        let mut cases = BTreeMap::new();
        let (prefix, mut after) = (domain_key(&domain), None::<Vec<u8>>);
        loop {
            let rows = store
                .scan(Table::Zk, &prefix, after.as_deref(), PAGE)
                .await?;
            for (key, value) in &rows {
                let damaged = || StoreError::damaged(Table::Zk, key);
                let (digest, rest) = (key.get(prefix.len()..))
                    .and_then(|rest| rest.split_first_chunk::<32>())
                    .ok_or_else(damaged)?;
                if rest.is_empty() {
                    let case: Case = serde_json::from_slice(value).map_err(|_| damaged())?;
                    cases.insert(B256::new(*digest), case);
                }
            }
            match rows.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => break,
            }
        }
        let open = cases.values().filter(|case| case.stage.is_open()).count();
        if open > 0 {
            info!(cases = open, "cases of an earlier run go on");
        }
        Ok(Self(Arc::new(Inner {
            store,
            contract,
            backend,
            evidence,
            config,
            context,
            domain,
            cases: Mutex::new(cases),
            queued: Notify::new(),
            proving: Semaphore::new(1),
        })))
    }

    /// All cases, the oldest first.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<_> = self.0.cases().values().cloned().collect();
        cases.sort_by_key(|case| (case.found_at, case.alert.block.number));
        cases
    }

    /// Works on the cases until `shutdown`. A prover at work is stopped then, and goes on with the
    /// next process as far as it can.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut at_work = FuturesUnordered::new();
        let mut taken = HashSet::new();
        loop {
            while at_work.len() < MAX_AT_WORK
                && let Some(digest) = self.0.next(&taken)
            {
                taken.insert(digest);
                at_work.push(self.0.work(digest));
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(digest) = at_work.next() => { taken.remove(&digest); }
                () = self.0.queued.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

#[async_trait]
impl<S: Store> AlertSink for ZkMode<S> {
    /// Makes a case of it, durable.
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        self.0.put(alert).await
    }
}

/// What comes of a step.
enum Step {
    Next(Stage, Option<Box<Proof>>),
    Later(mach_core::ports::BoxError),
    Never(String),
}

impl<S: Store> Inner<S> {
    fn cases(&self) -> MutexGuard<'_, BTreeMap<B256, Case>> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest open case that nobody works on.
    fn next(&self, taken: &HashSet<B256>) -> Option<B256> {
        let cases = self.cases();
        let open = cases
            .iter()
            .filter(|(digest, case)| case.stage.is_open() && !taken.contains(*digest));
        open.min_by_key(|(_, case)| case.found_at)
            .map(|(digest, _)| *digest)
    }

    async fn put(&self, alert: &Alert) -> Result<(), SinkError> {
        let digest = Statement::from(alert.clone()).digest(&self.domain);
        {
            let cases = self.cases();
            if cases.contains_key(&digest) {
                return Ok(());
            }
            if cases.values().filter(|case| case.stage.is_open()).count() >= MAX_OPEN {
                return Err(SinkError::Backend("too many cases are open".into()));
            }
        }
        let case = Case {
            alert: alert.clone(),
            found_at: now(),
            stage: Stage::Found,
        };
        let written = self.write(&digest, &case, None).await;
        written.map_err(|error| SinkError::Backend(Box::new(error)))?;
        info!(block = %alert.block, rule = alert.rule, "a case for a proof");
        self.cases().entry(digest).or_insert(case);
        self.queued.notify_one();
        Ok(())
    }

    /// Takes a case to its end; answers which one.
    async fn work(&self, digest: B256) -> B256 {
        let (mut delay, longest) = self.config.delays;
        let case = self.cases().get(&digest).cloned();
        let Some(mut case) = case else { return digest };
        while case.stage.is_open() {
            let step = self.step(&digest, &case).await;
            let (stage, proof) = match step {
                Step::Next(stage, proof) => (stage, proof),
                Step::Never(reason) => {
                    error!(block = %case.alert.block, %reason, "the case is given up");
                    (Stage::GivenUp { reason }, None)
                }
                Step::Later(reason) => {
                    warn!(
                        block = %case.alert.block, stage = case.stage.name(),
                        error = &*reason as &dyn std::error::Error, "to be tried again"
                    );
                    tokio::time::sleep(delay).await;
                    delay = delay.saturating_mul(2).min(longest);
                    continue;
                }
            };
            let next = Case {
                stage,
                ..case.clone()
            };
            if let Err(error) = self.write(&digest, &next, proof.as_deref()).await {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "the step is not kept"
                );
                tokio::time::sleep(delay).await;
                continue;
            }
            info!(block = %next.alert.block, stage = next.stage.name(), "the case goes on");
            case = next;
            self.cases().insert(digest, case.clone());
            delay = self.config.delays.0;
        }
        digest
    }

    async fn step(&self, digest: &B256, case: &Case) -> Step {
        match &case.stage {
            Stage::Found => match self.request(case).await {
                Ok((request, header)) => self.raise(case, &request, header).await,
                Err(step) => step,
            },
            Stage::Raised { id, header } => match self.request(case).await {
                Ok((request, _)) => self.prove(*id, header, &request).await,
                Err(step) => step,
            },
            // What was proved needs nothing any more but to be handed in.
            Stage::Proved { id, header } => self.submit(digest, case, *id, header).await,
            _ => Step::Never("there is nothing to do".to_owned()),
        }
    }

    /// What is to be proved. The guest has to say the very fault of the alert.
    async fn request(&self, case: &Case) -> Result<(ProofRequest, Header), Step> {
        let evidence = match self.evidence.evidence(&case.alert).await {
            Ok(evidence) => evidence,
            Err(error) => {
                let age = now().saturating_sub(case.found_at);
                let is_late = age >= self.config.evidence_within.as_secs();
                return Err(match error.is_transient() && !is_late {
                    true => Step::Later(Box::new(error)),
                    false => Step::Never(error.to_string()),
                });
            }
        };
        let context = self.context;
        let header = evidence.block().header.inner().clone();
        let request = tokio::task::spawn_blocking(move || {
            ProofRequest::from_evidence(context, &evidence).map_err(|error| chain(&error))
        });
        let request = match request.await {
            Ok(Ok(request)) => request,
            Ok(Err(reason)) => return Err(Step::Never(reason)),
            Err(error) => return Err(Step::Later(Box::new(error))),
        };
        let (journal, alert) = (request.journal(), &case.alert);
        let is_same = journal.block_hash == alert.block.hash
            && journal.fault == alert.rule
            && journal.claimed == alert.claimed
            && journal.computed == alert.computed;
        if is_same {
            Ok((request, header))
        } else {
            Err(Step::Never(
                "the evidence says something else than the alert".to_owned(),
            ))
        }
    }

    async fn raise(&self, case: &Case, request: &ProofRequest, header: Header) -> Step {
        let accusation = Accusation {
            alert: case.alert.clone(),
            journal: *request.journal(),
            header,
        };
        let raised = async {
            // It may be there: of an earlier process, or of somebody else.
            match self.contract.find(&accusation).await? {
                Some(id) => Ok(id),
                None => self.contract.raise(&accusation).await,
            }
        };
        match raised.await {
            Ok(id) => {
                let header = alloy_rlp::encode(&accusation.header).into();
                Step::Next(Stage::Raised { id, header }, None)
            }
            Err(error) => failed(error),
        }
    }

    async fn prove(&self, id: B256, header: &Bytes, request: &ProofRequest) -> Step {
        if let Some(step) = self.over(id).await {
            return step;
        }
        let Ok(_turn) = self.proving.acquire().await else {
            return Step::Later("nothing is proved any more".into());
        };
        let hear = |progress| {
            if let Progress::Segment { done, total } = progress {
                debug!(done, total, "proving");
            }
        };
        match self.backend.prove(request, &hear).await {
            Ok(proof) if proof.journal == *request.journal() => {
                let header = header.clone();
                Step::Next(Stage::Proved { id, header }, Some(Box::new(proof)))
            }
            Ok(_) => Step::Never("the prover proved something else".to_owned()),
            Err(error) if error.is_transient() => Step::Later(Box::new(error)),
            Err(error) => Step::Never(chain(&error)),
        }
    }

    async fn submit(&self, digest: &B256, case: &Case, id: B256, header: &Bytes) -> Step {
        if let Some(step) = self.over(id).await {
            return step;
        }
        let row = self.store.get(Table::Zk, &self.proof_key(digest)).await;
        let proof = match row.map(|row| row.as_deref().map(Proof::parse)) {
            Ok(Some(Ok(proof))) => proof,
            // Made again, or found again by the prover.
            Ok(_) => {
                let header = header.clone();
                return Step::Next(Stage::Raised { id, header }, None);
            }
            Err(error) => return Step::Later(Box::new(error)),
        };
        let Ok(header) = alloy_rlp::decode_exact(header) else {
            return Step::Never("the header that was kept is damaged".to_owned());
        };
        let accusation = Accusation {
            alert: case.alert.clone(),
            journal: proof.journal,
            header,
        };
        match self.contract.submit(id, &accusation, &proof).await {
            Ok(()) => Step::Next(Stage::Done { id }, None),
            Err(error) => failed(error),
        }
    }

    /// What there is to do about an alert that is not open any more.
    async fn over(&self, id: B256) -> Option<Step> {
        match self.contract.state(id).await {
            // The bond of an expired one is lost; the proof convicts all the same.
            Ok(AlertState::Raised | AlertState::Expired) => None,
            Ok(AlertState::Proved) => Some(Step::Next(Stage::Done { id }, None)),
            Ok(AlertState::Refuted) => Some(Step::Never(
                "the alert was refuted: one of the two proofs is of other rules".to_owned(),
            )),
            Err(error) => Some(failed(error)),
        }
    }

    /// Makes a case durable, with its proof; one that is over needs no proof any more.
    async fn write(
        &self,
        digest: &B256,
        case: &Case,
        proof: Option<&Proof>,
    ) -> Result<(), StoreError> {
        let value = serde_json::to_vec(case).map_err(StoreError::backend)?;
        let change = |key, value| Change {
            table: Table::Zk,
            key,
            expected: Expected::Anything,
            value,
        };
        let mut changes = vec![change(self.key(digest), Some(value))];
        if let Some(proof) = proof {
            changes.push(change(self.proof_key(digest), Some(proof.to_json())));
        } else if !case.stage.is_open() {
            changes.push(change(self.proof_key(digest), None));
        }
        match self.store.write(changes).await? {
            Written::Applied => Ok(()),
            Written::Conflict { .. } => Err(StoreError::backend("the store has changed")),
        }
    }

    fn key(&self, digest: &B256) -> Vec<u8> {
        [domain_key(&self.domain).as_slice(), digest.as_slice()].concat()
    }

    fn proof_key(&self, digest: &B256) -> Vec<u8> {
        let mut key = self.key(digest);
        key.push(PROOF);
        key
    }
}

fn failed(error: ZkContractError) -> Step {
    if error.is_transient() {
        Step::Later(Box::new(error))
    } else {
        Step::Never(chain(&error))
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What a row is about.
pub(crate) fn record(key: &[u8]) -> Option<String> {
    let digest: [u8; 32] = key.get(28..60)?.try_into().ok()?;
    let what = if key.len() > 60 {
        "proof of"
    } else {
        "the case of"
    };
    Some(format!("{what} alert {}", B256::from(digest)))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
