//! ZK mode: a wrong block is shown to a contract with a proof, and nobody needs a quorum.
//!
//! `Alert → Case → what to accuse → alert on L1 → Proof → submitted → settled`. A case is durable before the
//! verifier goes on, and each of its steps is durable before the next one: a process that dies anywhere
//! goes on where it was, and does nothing twice, since it asks the contract first.
//!
//! A wrong output root takes no proof: what it is the hash of is kept, and once it stands on L1 the EVM sees
//! that the header which it names contradicts it.
//!
//! A block that nothing on L1 leads to yet is accused by its hash, which warns everybody and convicts
//! nobody; once an output root or a dispute game leads to it, that is accused too, with the same proof,
//! and the rollup is convicted.

mod case;
mod clock;
mod config;
mod contract;
mod ending;
mod evidence;
mod pace;
mod port;
mod rows;
mod status;
mod step;
mod target;

use std::{
    collections::{BTreeMap, HashMap, HashSet, btree_map::Entry},
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use async_trait::async_trait;
use futures::{StreamExt, stream::FuturesUnordered};
use mach_core::{
    Alert, AlertKind, Domain, Statement,
    ports::{AlertSink, BoxError, SinkError},
};
use mach_prove::{Context, ProofBackend};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::{
    clock::Clock,
    pace::Pace,
    rows::{Kept, Rows, resumed},
    step::{NO_CASE, Step, chain},
};
use crate::store::Store;

pub use case::{Basis, Case, Stage, Trouble};
pub use config::{ZkConfig, ZkError, check_backend, program_of};
pub use contract::{L1ZkContract, RollupChain};
pub use evidence::{EvidenceMissing, EvidenceSource};
pub use port::{Accusation, AlertState, ZkContract, ZkContractError};
pub(crate) use rows::record;
pub use status::ZkStatus;
pub use target::{Descent, Proposal, Source, Target};

/// Most cases that are worked on at a time; proving is done for one.
const MAX_AT_WORK: usize = 16;
/// Of these, most that are about output roots: a node of the rollup may answer them with silence.
const MAX_OUTPUTS_AT_WORK: usize = 8;
/// Most cases about blocks that are open: each costs a bond and a proof.
const MAX_OPEN: usize = 1024;
/// Cases that cost neither bond nor proof.
const OUTPUT: AlertKind = AlertKind::InvalidOutputProposal;
/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(100);
/// Between two looks at what need not be kept any more.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// Shows wrong blocks to a contract, with proofs. Clones share it.
///
/// Only an alert comes in, and an alert comes of a verdict; and of its evidence the guest program
/// has to give a journal in this process before anything is raised. So nothing that is not known
/// is ever accused, and no bond is put up for what cannot be proved, or whose proof would not count.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct ZkMode<S>(Arc<Inner<S>>);

struct Inner<S> {
    rows: Rows<S>,
    contract: Arc<dyn ZkContract>,
    backend: Arc<dyn ProofBackend>,
    evidence: Arc<dyn EvidenceSource>,
    config: ZkConfig,
    clock: Clock,
    context: Context,
    domain: Domain,
    cases: Mutex<BTreeMap<B256, Held>>,
    /// Held while a row and its case are changed, so that they stay the same.
    writing: tokio::sync::Mutex<()>,
    /// Cases whose alert is on its way to L1.
    raising: Mutex<HashSet<B256>>,
    queued: Notify,
    proving: Semaphore,
}

/// A case, and what a new process need not know of it.
struct Held {
    case: Case,
    pace: Pace,
    /// Whether its output root, or one above its block, was proposed since it was looked where they stand.
    again: bool,
}

impl From<Case> for Held {
    fn from(case: Case) -> Self {
        // An earlier process may have seen that, and not come to it.
        let again = case.basis.is_some() && matches!(case.stage, Stage::Convicted { .. });
        Self {
            case,
            pace: Pace::default(),
            again,
        }
    }
}

impl<S: Store> ZkMode<S> {
    /// ZK mode on `contract`, with the cases that an earlier process left in `store`. Those that it gave
    /// up for a reason that people may have mended are tried once more.
    ///
    /// Errors: [`ZkError`]; among them a backend whose proofs no contract takes.
    pub async fn open(
        store: S,
        contract: Arc<dyn ZkContract>,
        backend: Arc<dyn ProofBackend>,
        evidence: Arc<dyn EvidenceSource>,
        config: ZkConfig,
    ) -> Result<Self, ZkError> {
        if !config.allow_development {
            check_backend(&*backend).await?;
        }
        let context = contract.context();
        let domain = Domain {
            l1_chain_id: context
                .l1_chain_id
                .try_into()
                .map_err(|_| ZkError::ChainId)?,
            service_manager: context.service_manager,
        };
        let rows = Rows::new(store, &domain);
        let mut cases = rows.load().await?;
        let again = cases
            .values_mut()
            .filter_map(|it| resumed(it).then_some(()));
        let again = again.count();
        let open = cases.values().filter(|case| case.stage.is_open()).count();
        if open > 0 {
            info!(cases = open, again, "cases of an earlier run go on");
        }
        let held = |(digest, case)| (digest, Held::from(case));
        Ok(Self(Arc::new(Inner {
            rows,
            contract,
            backend,
            evidence,
            config,
            clock: Clock::start(),
            context,
            domain,
            cases: Mutex::new(cases.into_iter().map(held).collect()),
            writing: tokio::sync::Mutex::default(),
            raising: Mutex::default(),
            queued: Notify::new(),
            proving: Semaphore::new(1),
        })))
    }

    /// All cases, the oldest first.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<_> = (self.0.cases().values())
            .map(|held| held.case.clone())
            .collect();
        cases.sort_by_key(|case| (case.found_at, case.alert.block.number));
        cases
    }

    /// How the cases are, for those who watch.
    pub fn status(&self) -> ZkStatus {
        let escalate_after = self.0.config.escalate_after.as_secs();
        let cases = self.0.cases();
        ZkStatus::of(
            cases.values().map(|it| &it.case),
            escalate_after,
            self.0.clock.now(),
        )
    }

    /// The same as [`AlertSink::raise`] of a wrong output root that stands on L1: no lie of an op-node crowds it out.
    pub(super) async fn raise_posted(&self, alert: &Alert) -> Result<(), SinkError> {
        self.0.put(alert, true).await
    }

    /// Takes up the cases of wrong blocks of these heights that are over, where something leads to one that is not convicted:
    /// it was proposed again.
    ///
    /// Errors: [`ZkContractError`]; it is not known whether something does.
    pub(super) async fn take_up(
        &self,
        heights: RangeInclusive<u64>,
    ) -> Result<(), ZkContractError> {
        self.0.take_up(heights).await
    }

    /// Works on the cases until `shutdown`. A prover at work is stopped then, and goes on with the
    /// next process as far as it can.
    pub async fn run(&self, shutdown: CancellationToken) {
        let working = async {
            let mut at_work = FuturesUnordered::new();
            let mut taken = HashMap::new();
            loop {
                while at_work.len() < MAX_AT_WORK
                    && let Some((digest, kind)) = self.0.next(&taken)
                {
                    taken.insert(digest, kind);
                    at_work.push(self.0.work(digest));
                }
                tokio::select! {
                    Some(digest) = at_work.next() => { taken.remove(&digest); }
                    () = self.0.queued.notified() => {}
                    () = tokio::time::sleep(TICK) => {}
                }
            }
        };
        // Beside the cases, and not in between: it waits for what one of them may be writing.
        let pruning = async {
            loop {
                self.0.prune().await;
                tokio::time::sleep(PRUNE_INTERVAL).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = working => {}
            () = pruning => {}
        }
    }
}

#[async_trait]
impl<S: Store> AlertSink for ZkMode<S> {
    /// Makes a case of it, durable; of what neither a proof nor the EVM shows there is none.
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        if matches!(
            alert.kind,
            AlertKind::InvalidBlock | AlertKind::InvalidOutputProposal
        ) {
            return self.0.put(alert, false).await;
        }
        info!(block = %alert.block, rule = alert.rule, reason = NO_CASE, "no case for a proof");
        Ok(())
    }
}

impl<S: Store> Inner<S> {
    fn cases(&self) -> MutexGuard<'_, BTreeMap<B256, Held>> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to a case, unless it was forgotten.
    fn held<T>(&self, digest: &B256, act: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.cases().get_mut(digest).map(act)
    }

    fn raising(&self) -> MutexGuard<'_, HashSet<B256>> {
        self.raising.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open case that has been due for longest, and that nobody works on: those whose nodes are slow leave a turn to
    /// the others.
    fn next(&self, taken: &HashMap<B256, AlertKind>) -> Option<(B256, AlertKind)> {
        let (cases, now) = (self.cases(), Instant::now());
        let outputs = taken.values().filter(|kind| **kind == OUTPUT).count();
        let due = cases.iter().filter(|(digest, Held { case, pace, .. })| {
            let has_turn = case.alert.kind != OUTPUT || outputs < MAX_OUTPUTS_AT_WORK;
            case.stage.is_open() && pace.is_due(now) && has_turn && !taken.contains_key(*digest)
        });
        due.min_by_key(|(_, held)| (held.pace.due(), held.case.found_at))
            .map(|(digest, held)| (*digest, held.case.alert.kind))
    }

    /// Makes a case of it, unless there is one.
    async fn put(&self, alert: &Alert, is_posted: bool) -> Result<(), SinkError> {
        let digest = Statement::from(alert.clone()).digest(&self.domain);
        let writing = self.writing.lock().await;
        let known = self.held(&digest, |held| {
            // The same root may be proposed again, which takes another conviction.
            held.again |= alert.kind == OUTPUT;
            held.case.clone()
        });
        let case = match known {
            Some(known) if alert.kind != OUTPUT || known.stage.is_open() => {
                if known.is_posted || !is_posted {
                    return Ok(());
                }
                Case { is_posted, ..known }
            }
            _ => self.new_case(alert, is_posted)?,
        };
        let written = self.rows.write(&digest, &case, &Kept::default()).await;
        written.map_err(|error| SinkError::Backend(Box::new(error)))?;
        info!(block = %alert.block, rule = alert.rule, is_posted, "a case for a proof");
        self.insert(digest, case);
        self.held(&digest, |held| held.pace = Pace::due_now());
        drop(writing);
        self.crowd_out().await;
        self.queued.notify_one();
        Ok(())
    }

    fn insert(&self, digest: B256, case: Case) {
        match self.cases().entry(digest) {
            Entry::Occupied(mut known) => known.get_mut().case = case,
            Entry::Vacant(new) => {
                new.insert(case.into());
            }
        }
    }

    fn new_case(&self, alert: &Alert, is_posted: bool) -> Result<Case, SinkError> {
        let cases = self.cases();
        let open = cases
            .values()
            .filter(|it| it.case.stage.is_open() && it.case.alert.kind != OUTPUT);
        if alert.kind != OUTPUT && open.count() >= MAX_OPEN {
            return Err(SinkError::Backend("too many cases are open".into()));
        }
        Ok(Case {
            alert: alert.clone(),
            found_at: Clock::date(),
            is_posted,
            basis: None,
            stage: Stage::Found,
            trouble: None,
            ended_at: None,
        })
    }

    /// Does one step of a case; answers which case it was.
    async fn work(&self, digest: B256) -> B256 {
        let case = self.held(&digest, |held| held.case.clone());
        let Some(case) = case else { return digest };
        let _raising = Raising {
            all: &self.raising,
            digest,
        };
        match self.step(&digest, &case).await {
            Step::Next { stage, basis, kept } => {
                let basis = basis.map_or_else(|| case.basis.clone(), |basis| Some(*basis));
                let next = Case {
                    basis,
                    ..self.at(&case, stage)
                };
                self.goes_on(digest, next, &kept).await;
            }
            Step::Back(stage, reason) => {
                let mut failed = self.failed(&case, &chain(&*reason), Failure::Outside);
                // What L1 took back is over once it is there again.
                if let (true, Some(trouble)) = (case.stage.is_proved(), &mut failed.trouble) {
                    stage.name().clone_into(&mut trouble.stage);
                }
                let next = Case {
                    trouble: failed.trouble,
                    ..self.at(&case, stage)
                };
                self.keep(digest, next, &Kept::default()).await;
                self.wait(digest);
            }
            Step::Later(reason) => {
                let failed = self.failed(&case, &chain(&*reason), Failure::Outside);
                self.troubled(digest, failed).await;
            }
            Step::Prover(error) => {
                let failed = self.failed(&case, &chain(&error), Failure::Prover);
                self.troubled(digest, failed).await;
            }
            Step::Hung => {
                let (block, seconds) = (case.alert.block, self.config.proof_within.as_secs());
                error!(%block, seconds, "the prover has given no proof in its time, and is stopped");
                let reason = format!("the prover has given no proof in {seconds} seconds");
                let failed = self.failed(&case, &reason, Failure::Hang);
                self.troubled(digest, failed).await;
            }
            Step::Wait => self.wait(digest),
            Step::Busy => {
                self.held(&digest, |held| held.pace.soon(&self.config));
            }
            Step::Never {
                reason,
                is_mendable,
            } => self.give_up(digest, &case, reason, is_mendable).await,
        }
        digest
    }

    /// Makes a step durable.
    async fn goes_on(&self, digest: B256, next: Case, kept: &Kept) {
        let (block, stage) = (next.alert.block, next.stage.name());
        let is_further = next.trouble.is_none();
        if !self.keep(digest, next, kept).await {
            // What the step was to look for is looked for once more.
            self.held(&digest, |held| held.again = true);
            self.wait(digest);
            return;
        }
        info!(%block, stage, "the case goes on");
        self.crowd_out().await;
        if is_further {
            self.held(&digest, |held| held.pace = Pace::default());
        } else {
            // It was here before, and came back.
            self.wait(digest);
        }
    }

    /// The case in another stage; what troubled it is over if that is further than it was.
    fn at(&self, case: &Case, stage: Stage) -> Case {
        let is_further = |trouble: &Trouble| stage.rank() > case::rank(&trouble.stage);
        let trouble = case.trouble.clone().filter(|it| !is_further(it));
        Case {
            ended_at: (!stage.is_open()).then(Clock::date),
            stage,
            trouble,
            ..case.clone()
        }
    }

    /// The case with one more failure.
    fn failed(&self, case: &Case, reason: &str, failure: Failure) -> Case {
        let mut trouble = case.trouble.clone().unwrap_or_else(|| Trouble {
            since: self.clock.now(),
            tries: 0,
            prover: 0,
            hangs: 0,
            stage: case.stage.name().to_owned(),
            reason: String::new(),
        });
        trouble.tries = trouble.tries.saturating_add(1);
        let count = |is_it: bool, before: u32| before.saturating_add(is_it.into());
        trouble.prover = count(failure == Failure::Prover, trouble.prover);
        trouble.hangs = count(failure == Failure::Hang, trouble.hangs);
        reason.clone_into(&mut trouble.reason);
        Case {
            trouble: Some(trouble),
            ..case.clone()
        }
    }

    /// A step that did not succeed: told, and tried again unless it was for too long.
    async fn troubled(&self, digest: B256, case: Case) {
        let Some(trouble) = &case.trouble else { return };
        let age = self.clock.since(trouble.since).as_secs();
        let is_over = self.clock.since_here(trouble.since) >= self.config.give_up_after
            || trouble.prover >= self.config.prover_tries.max(1)
            || trouble.hangs >= self.config.prover_hangs.max(1);
        if is_over {
            let reason = format!("{} tries: {}", trouble.tries, trouble.reason);
            return self.give_up(digest, &case, reason, true).await;
        }
        let (block, stage) = (case.alert.block, case.stage.name());
        let (tries, reason) = (trouble.tries, trouble.reason.clone());
        let is_loud = age >= self.config.escalate_after.as_secs()
            && self.held(&digest, |held| held.pace.escalates(age)) == Some(true);
        if is_loud {
            error!(%block, stage, tries, seconds = age, reason, "the case is stuck: somebody has to look");
        } else {
            warn!(%block, stage, tries, reason, "to be tried again");
        }
        // What it is tried for does not depend on this row.
        self.keep(digest, case, &Kept::default()).await;
        self.wait(digest);
    }

    async fn give_up(&self, digest: B256, case: &Case, reason: String, is_mendable: bool) {
        error!(block = %case.alert.block, stage = case.stage.name(), reason, is_mendable, "the case is given up");
        let resume = is_mendable.then(|| Box::new(case.stage.clone()));
        let next = Case {
            trouble: None,
            ..self.at(case, Stage::GivenUp { reason, resume })
        };
        if !self.keep(digest, next, &Kept::default()).await {
            self.wait(digest);
        }
    }

    /// Writes a case. Without that nothing of it counts, except that it failed.
    async fn keep(&self, digest: B256, mut case: Case, kept: &Kept) -> bool {
        let _writing = self.writing.lock().await;
        let is_again = self.held(&digest, |held| held.again) == Some(true);
        if is_again && matches!(case.stage, Stage::Done { .. }) {
            // Proposed once more in the last moment: that is looked at before it is over.
            return false;
        }
        let known = self.held(&digest, |held| held.case.clone());
        // It may have been seen there since this step began.
        case.is_posted |= known.as_ref().is_some_and(|it| it.is_posted);
        let written = self.rows.write(&digest, &case, kept).await;
        if let Err(error) = &written {
            let error: &dyn std::error::Error = error;
            warn!(block = %case.alert.block, error, "the step is not kept");
            if known.as_ref().is_none_or(|it| it.stage != case.stage) {
                if let Some(known) = known {
                    let failed = self.failed(&known, &chain(error), Failure::Outside);
                    self.insert(digest, failed);
                }
                return false;
            }
        }
        self.insert(digest, case);
        written.is_ok()
    }

    fn wait(&self, digest: B256) {
        self.held(&digest, |held| held.pace.later(&self.config));
    }

    /// Forgets the oldest wrong output roots of those that wait, if they are too many.
    async fn crowd_out(&self) {
        let _writing = self.writing.lock().await;
        for stage in [Stage::Found, Stage::Opened] {
            while let Some((digest, alert)) = self.first_of_too_many(&stage) {
                let removed = self.rows.remove(&digest).await;
                if let Err(error) = &removed {
                    let error = error as &dyn std::error::Error;
                    warn!(%digest, error, "a wrong output root is kept, though there are too many");
                    return;
                }
                self.cases().remove(&digest);
                let (block, claimed, stage) = (alert.block, alert.claimed, stage.name());
                warn!(%block, %claimed, stage, "too many wrong output roots wait: one is forgotten");
            }
        }
    }

    /// The oldest. One that was seen on L1 goes only where all were: it is not looked at there again.
    fn first_of_too_many(&self, stage: &Stage) -> Option<(B256, Alert)> {
        let cases = self.cases();
        let waiting = || {
            let all = cases.iter().map(|(digest, held)| (digest, &held.case));
            all.filter(|(_, case)| case.alert.kind == OUTPUT && case.stage == *stage)
        };
        if waiting().count() <= self.config.max_outputs {
            return None;
        }
        let first = waiting()
            .min_by_key(|(_, case)| (case.is_posted, case.found_at, case.alert.block.number));
        first.map(|(digest, case)| (*digest, case.alert.clone()))
    }

    /// Forgets cases that ended long ago, and the oldest of too many: output roots first, since more of these come for less.
    async fn prune(&self) {
        let oldest = self.clock.before(self.config.keep_ended);
        let mut ended: Vec<(bool, u64, B256)> = {
            let cases = self.cases();
            let ended = cases.iter().filter_map(|(digest, Held { case, .. })| {
                Some((case.alert.kind != OUTPUT, case.ended_at?, *digest))
            });
            ended.collect()
        };
        ended.sort_unstable();
        let too_many = ended.len().saturating_sub(self.config.max_ended);
        let old = ended
            .into_iter()
            .enumerate()
            .filter(|(index, (_, at, _))| *index < too_many || *at <= oldest);
        for (_, (_, at, digest)) in old {
            let _writing = self.writing.lock().await;
            // It may have begun anew.
            if self.held(&digest, |held| held.case.ended_at) != Some(Some(at)) {
                continue;
            }
            match self.rows.remove(&digest).await {
                Ok(()) => {
                    self.cases().remove(&digest);
                    debug!(%digest, "an ended case is forgotten");
                }
                Err(error) => {
                    let error: BoxError = Box::new(error);
                    warn!(
                        error = &*error as &dyn std::error::Error,
                        "an ended case is kept"
                    );
                }
            }
        }
    }
}

/// A case that may be raising its alert; it is not once this is dropped.
struct Raising<'a> {
    all: &'a Mutex<HashSet<B256>>,
    digest: B256,
}

impl Drop for Raising<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.digest);
    }
}

/// Who did not do it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// L1, the rollup, the evidence or the store.
    Outside,
    Prover,
    /// The prover, in all the time that it had.
    Hang,
}
