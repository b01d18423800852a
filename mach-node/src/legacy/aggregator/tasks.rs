//! Tasks, their signatures, and what becomes of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::{B256, TxHash};
use async_trait::async_trait;
use backon::Retryable;
use mach_bls::{OperatorKeys, Signature};
use mach_core::{
    G1Bytes, OperatorId, QuorumNumbers, Round, Threshold,
    legacy::AlertCertificate,
    ports::{AlertConfirmer, BoxError, ConfirmError, OperatorRegistry},
};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{AlertTask, Deployment, DigestRule, InitAnswer, InitOperator, LegacyTasks, TaskError};
use crate::{L1Head, RetryPolicy};

/// What a [`TaskAggregator`] serves, on which terms, within which limits.
#[derive(Clone, Debug)]
pub struct LegacyConfig {
    /// What operators have to be configured with.
    pub deployment: Deployment,
    /// What they sign.
    pub digest: DigestRule,
    /// Quorums that have to sign.
    pub quorums: QuorumNumbers,
    /// Threshold of each quorum, in the same order.
    pub thresholds: Vec<Threshold>,
    /// L1 blocks that the reference block lies behind the head, at least one.
    pub reference_margin: u32,
    /// How long signatures of a task are taken.
    pub task_lifetime: Duration,
    /// Most tasks at a time. At the limit, a new one takes the place of one that is over, finished, or
    /// that no operator has signed.
    pub max_tasks: usize,
    /// For L1 when it does not answer.
    pub retry: RetryPolicy,
}

impl LegacyConfig {
    /// Tasks of 20 minutes as the original has them, at most 1,024 of them, one L1 block behind the
    /// head.
    pub fn new(
        deployment: Deployment,
        digest: DigestRule,
        quorums: QuorumNumbers,
        thresholds: Vec<Threshold>,
    ) -> Self {
        Self {
            deployment,
            digest,
            quorums,
            thresholds,
            reference_margin: 1,
            task_lifetime: Duration::from_secs(1200),
            max_tasks: 1024,
            retry: RetryPolicy::default(),
        }
    }
}

/// An aggregator for operators of the original, and for service managers that know V1 or V2 digests
/// only. Clones share their tasks.
///
/// There is one task for a message hash, however many operators ask at once. Each signature is checked
/// by itself before it counts. Whoever reaches the endpoint can open tasks, which costs it nothing and
/// takes nobody's place; only operators' signatures bring anything to L1. Tasks are in memory: what is
/// forgotten at a restart is opened again, and an alert that stands is known to the contract.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct TaskAggregator(Arc<Shared>);

struct Shared {
    config: LegacyConfig,
    registry: Box<dyn OperatorRegistry>,
    l1: Arc<dyn L1Head>,
    confirmer: Box<dyn AlertConfirmer>,
    tasks: Mutex<Tasks>,
    /// Keys of the newest operator set. Held while a task is opened, so that each hash has one.
    keys: tokio::sync::Mutex<Option<Arc<OperatorKeys>>>,
}

#[derive(Default)]
struct Tasks {
    by_hash: HashMap<B256, Arc<Task>>,
    next_index: u32,
}

struct Task {
    alert_hash: B256,
    index: u32,
    round: Round,
    keys: Arc<OperatorKeys>,
    opened: Instant,
    phase: Mutex<Phase>,
}

enum Phase {
    Collecting(BTreeMap<OperatorId, Signature>),
    /// On the way to L1.
    Confirming,
    Finished(TxHash),
}

impl TaskAggregator {
    /// An aggregator without tasks. Says in the log what it weakens.
    pub fn new(
        registry: impl OperatorRegistry + 'static,
        l1: Arc<dyn L1Head>,
        confirmer: impl AlertConfirmer + 'static,
        config: LegacyConfig,
    ) -> Self {
        warn!(
            digest = ?config.digest,
            "serving operators of the original MACH AVS: their signatures bind neither a contract nor \
             an L1 chain and name no block, and their requests are not authenticated"
        );
        Self(Arc::new(Shared {
            config,
            registry: Box::new(registry),
            l1,
            confirmer: Box::new(confirmer),
            tasks: Mutex::default(),
            keys: tokio::sync::Mutex::new(None),
        }))
    }

    /// Brings what enough operators signed to L1, again while the task lives.
    async fn confirm(&self, task: Arc<Task>, signatures: BTreeMap<OperatorId, Signature>) {
        let certificate = task.certificate(&self.0.config.digest, &signatures);
        let outcome = (|| self.0.confirmer.confirm_alert(&certificate))
            .retry(self.0.config.retry.backoff())
            .when(ConfirmError::is_transient)
            .await;
        let phase = match outcome {
            Ok(confirmation) => {
                info!(alert = %task.alert_hash, task = task.index, "alert confirmed");
                Phase::Finished(confirmation.transaction.unwrap_or_default())
            }
            Err(error) => {
                error!(
                    alert = %task.alert_hash,
                    error = &error as &dyn std::error::Error,
                    "the alert was not confirmed"
                );
                // The next signature tries again.
                Phase::Collecting(signatures)
            }
        };
        *task.phase() = phase;
    }
}

impl Shared {
    /// The task of a hash that is not over.
    fn find(&self, alert_hash: &B256) -> Option<Arc<Task>> {
        let tasks = lock(&self.tasks);
        let task = tasks.by_hash.get(alert_hash)?;
        (!task.is_over(self.config.task_lifetime)).then(|| Arc::clone(task))
    }

    async fn open(&self, alert_hash: B256) -> Result<Arc<Task>, BoxError> {
        let mut newest = self.keys.lock().await;
        if let Some(task) = self.find(&alert_hash) {
            return Ok(task);
        }
        let head = self.l1.block_number().await?;
        let margin = u64::from(self.config.reference_margin.max(1));
        let reference_block = u32::try_from(head.saturating_sub(margin))?;
        let (quorums, thresholds) = (self.config.quorums.clone(), self.config.thresholds.clone());
        let round = Round::new(quorums, thresholds, reference_block)?;
        let known = newest.as_ref();
        let keys = match known.filter(|keys| keys.reference_block() == reference_block) {
            Some(keys) => Arc::clone(keys),
            None => {
                let set = self
                    .registry
                    .operator_set(&self.config.quorums, reference_block);
                let (set, earlier) = (set.await?, newest.clone());
                let proved = tokio::task::spawn_blocking(move || match earlier {
                    Some(earlier) => earlier.next(&set),
                    None => OperatorKeys::new(&set),
                });
                Arc::new(proved.await??)
            }
        };
        *newest = Some(Arc::clone(&keys));
        let mut tasks = lock(&self.tasks);
        tasks.make_room(self.config.max_tasks, self.config.task_lifetime)?;
        let index = tasks.next_index;
        tasks.next_index = index.wrapping_add(1);
        let task = Arc::new(Task {
            alert_hash,
            index,
            round,
            keys,
            opened: Instant::now(),
            phase: Mutex::new(Phase::Collecting(BTreeMap::new())),
        });
        tasks.by_hash.insert(alert_hash, Arc::clone(&task));
        info!(alert = %alert_hash, task = index, reference_block, "task opened");
        Ok(task)
    }
}

impl Tasks {
    /// Errors: if every task is one that operators have signed and that is not over.
    fn make_room(&mut self, limit: usize, lifetime: Duration) -> Result<(), BoxError> {
        if self.by_hash.len() < limit {
            return Ok(());
        }
        self.by_hash.retain(|_, task| !task.is_over(lifetime));
        if self.by_hash.len() < limit {
            return Ok(());
        }
        let idle = self.by_hash.values().filter(|task| task.makes_room());
        let oldest = idle.min_by_key(|task| task.opened);
        let Some(hash) = oldest.map(|task| task.alert_hash) else {
            return Err(format!("the limit of {limit} tasks is reached").into());
        };
        self.by_hash.remove(&hash);
        Ok(())
    }
}

impl Task {
    fn info(&self) -> AlertTask {
        let thresholds = self.round.terms().map(|(_, threshold)| threshold.value());
        AlertTask {
            alert_hash: self.alert_hash,
            quorum_numbers: self.round.quorums().as_bytes().to_vec(),
            quorum_threshold_percentages: thresholds.collect(),
            task_index: self.index,
            reference_block_number: self.round.reference_block().into(),
        }
    }

    /// Whether it ended without having reached its thresholds.
    fn is_over(&self, lifetime: Duration) -> bool {
        self.opened.elapsed() >= lifetime && matches!(*self.phase(), Phase::Collecting(_))
    }

    fn makes_room(&self) -> bool {
        match &*self.phase() {
            Phase::Collecting(signatures) => signatures.is_empty(),
            Phase::Confirming => false,
            Phase::Finished(_) => true,
        }
    }

    /// Checks a signature.
    fn prove(
        &self,
        digest: B256,
        operator: OperatorId,
        signature: &G1Bytes,
    ) -> Result<Signature, TaskError> {
        let key = self.keys.key(&operator).ok_or(TaskError::NotInQuorum {
            task: self.index,
            operator,
        })?;
        let signature = Signature::from_bytes(signature)
            .map_err(|error| TaskError::Malformed(Box::new(error)))?;
        key.verify(digest, &signature)
            .map_err(|_| TaskError::WrongSignature)?;
        Ok(signature)
    }

    /// Counts a signature that was checked. Gives all if they are enough, once.
    fn count(
        &self,
        operator: OperatorId,
        signature: Signature,
    ) -> Result<Option<BTreeMap<OperatorId, Signature>>, TaskError> {
        let mut phase = self.phase();
        let Phase::Collecting(signatures) = &mut *phase else {
            return Err(self.closed(&phase));
        };
        signatures.insert(operator, signature);
        let quorums = self.keys.aggregate(signatures).quorums;
        let is_met = (self.round.terms().zip(&quorums))
            .all(|((_, threshold), tally)| threshold.is_met(tally.signed, tally.total));
        if !is_met {
            return Ok(None);
        }
        let signatures = std::mem::take(signatures);
        *phase = Phase::Confirming;
        Ok(Some(signatures))
    }

    fn certificate(
        &self,
        digest: &DigestRule,
        signatures: &BTreeMap<OperatorId, Signature>,
    ) -> AlertCertificate {
        let aggregate = self.keys.aggregate(signatures);
        AlertCertificate {
            message_hash: self.alert_hash,
            rollup_chain_id: match digest {
                DigestRule::V1 => None,
                DigestRule::V2(rollup) => Some(*rollup),
            },
            round: self.round.clone(),
            non_signers: aggregate.non_signers,
            quorums: aggregate.quorums,
            apk_g2: aggregate.apk_g2,
            sigma: aggregate.sigma,
        }
    }

    /// Why a task in this phase takes no signatures.
    const fn closed(&self, phase: &Phase) -> TaskError {
        match phase {
            Phase::Finished(transaction) => TaskError::AlreadyFinished {
                alert_hash: self.alert_hash,
                transaction: *transaction,
            },
            Phase::Collecting(_) | Phase::Confirming => TaskError::NotOpen(self.index),
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        lock(&self.phase)
    }
}

#[async_trait]
impl LegacyTasks for TaskAggregator {
    async fn init_operator(&self, operator: InitOperator) -> InitAnswer {
        let answer = self.0.config.deployment.compare(&operator.deployment);
        info!(
            operator = %operator.operator, address = %operator.address, ok = answer.ok,
            "operator introduced itself"
        );
        answer
    }

    async fn create_task(&self, alert_hash: B256) -> Result<AlertTask, TaskError> {
        let task = match self.0.find(&alert_hash) {
            Some(task) => task,
            None => {
                let opened = self.0.open(alert_hash).await;
                opened.map_err(TaskError::NotOpened)?
            }
        };
        let phase = task.phase();
        match &*phase {
            Phase::Finished(_) => Err(task.closed(&phase)),
            Phase::Collecting(_) | Phase::Confirming => Ok(task.info()),
        }
    }

    async fn submit(
        &self,
        task: AlertTask,
        signature: G1Bytes,
        operator: OperatorId,
    ) -> Result<(), TaskError> {
        let found = self.0.find(&task.alert_hash);
        let found = found.filter(|found| found.index == task.task_index);
        let task = found.ok_or(TaskError::NotFound)?;
        {
            let phase = task.phase();
            if !matches!(*phase, Phase::Collecting(_)) {
                return Err(task.closed(&phase));
            }
        }
        let reference_block = task.round.reference_block();
        let digest = (self.0.config.digest).digest(task.alert_hash, reference_block);
        let counting = Arc::clone(&task);
        let counted = tokio::task::spawn_blocking(move || {
            let signature = counting.prove(digest, operator, &signature)?;
            counting.count(operator, signature)
        });
        let counted = counted.await;
        let enough = counted.map_err(|error| TaskError::NotOpened(error.into()))??;
        info!(%operator, task = task.index, "signature taken");
        if let Some(signatures) = enough {
            let this = self.clone();
            tokio::spawn(async move { this.confirm(task, signatures).await });
        }
        Ok(())
    }
}

/// Nothing can panic between two writes, so what a lock guards is never half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
