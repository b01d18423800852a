//! Tasks, their signatures, and what becomes of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use async_trait::async_trait;
use backon::Retryable;
use mach_bls::OperatorKeys;
use mach_core::{
    G1Bytes, OperatorId, QuorumNumbers, Round, Threshold,
    ports::{AlertConfirmer, BoxError, ConfirmError, OperatorRegistry},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    AlertTask, Deployment, DigestRule, InitAnswer, InitOperator, LegacyTasks, TaskError,
    open::{Signatures, Task},
    rows::{StoredTask, TaskRows},
};
use crate::{
    L1Head, RetryPolicy,
    aggregator::KeyRing,
    l1_head::RecentHead,
    store::{Store, StoreError},
};

/// How often [`TaskAggregator::run`] looks at all tasks.
const TEND_EVERY: Duration = Duration::from_secs(30);
/// How often a task is opened anew when another instance is faster.
const MAX_TRIES: u32 = 8;

/// What a [`TaskAggregator`] serves, on which terms, within which limits.
#[derive(Clone, Debug)]
pub struct LegacyConfig {
    /// What operators have to be configured with.
    pub deployment: Deployment,
    /// What they sign.
    pub digest: DigestRule,
    /// Quorums that have to sign. A task keeps those that it was opened with, and its thresholds.
    pub quorums: QuorumNumbers,
    /// Threshold of each quorum, in the same order.
    pub thresholds: Vec<Threshold>,
    /// L1 blocks that the reference block lies behind the head, at least one.
    pub reference_margin: u32,
    /// How long signatures of a task are taken while the process runs.
    pub task_lifetime: Duration,
    /// How long that is from one process to the next: until L1 is this number of blocks past the
    /// reference block.
    pub task_blocks: u32,
    /// Most tasks at a time. At the limit, a new one takes the place of one that is over, finished, or
    /// that no operator has signed.
    pub max_tasks: usize,
    /// For L1 when it does not answer.
    pub retry: RetryPolicy,
}

impl LegacyConfig {
    /// Tasks of 20 minutes as the original has them, or 100 L1 blocks, at most 1,024 of them, one L1 block
    /// behind the head.
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
            task_blocks: 100,
            max_tasks: 1024,
            retry: RetryPolicy::default(),
        }
    }
}

/// An aggregator for operators of the original, and for service managers that know V1 or V2 digests
/// only. Clones share their tasks.
///
/// There is one task for a message hash, however many operators ask at once. Each signature is checked
/// by itself and durable before it counts, and so is the number of a task before anybody is told of it: no
/// two tasks have the same one. Whoever reaches the endpoint can open tasks, which takes the place of none that
/// an operator has signed, at whichever instance on the store; only operators' signatures bring anything to L1.
/// After a restart a task that somebody asks for is there by itself, and [`Self::run`] goes on with those that
/// have enough signatures until L1 has their alerts or they are over.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds ports")]
pub struct TaskAggregator(Arc<Shared>);

struct Shared {
    config: LegacyConfig,
    registry: Box<dyn OperatorRegistry>,
    head: RecentHead,
    confirmer: Box<dyn AlertConfirmer>,
    keys: KeyRing,
    rows: TaskRows,
    /// Those of the rows that were asked for.
    tasks: Mutex<HashMap<B256, Arc<Task>>>,
    /// Held while a task comes or goes, so that each hash has one.
    changing: tokio::sync::Mutex<()>,
}

impl TaskAggregator {
    /// An aggregator with the tasks of `store`. Says in the log what it weakens.
    pub fn new(
        store: impl Store + 'static,
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
            rows: TaskRows::new(Arc::new(store), &config.deployment),
            config,
            registry: Box::new(registry),
            head: RecentHead::new(l1),
            confirmer: Box::new(confirmer),
            keys: KeyRing::new(),
            tasks: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }))
    }

    /// Goes on with what an earlier process or another instance left and with what L1 has not taken yet, and removes
    /// what is over, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let tending = async {
            loop {
                ticks.tick().await;
                if let Err(error) = self.resume().await {
                    warn!(error = &*error, "not every task goes on");
                }
                if let Err(error) = self.0.sweep().await {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "tasks that are over are kept");
                }
            }
        };
        let _: Option<std::convert::Infallible> = shutdown.run_until_cancelled(tending).await;
    }

    /// Takes the tasks of the store, and brings those to L1 that have enough signatures: of an earlier process, of
    /// another instance, or of this one if L1 has not taken them.
    async fn resume(&self) -> Result<(), BoxError> {
        let (mut after, mut failure) = (None, None);
        loop {
            let hashes = self.0.rows.hashes(after).await?;
            let Some(last) = hashes.last().copied() else {
                return failure.map_or(Ok(()), Err);
            };
            for hash in hashes {
                if let Err(error) = self.resume_one(&hash).await {
                    failure = Some(error);
                }
            }
            after = Some(last);
        }
    }

    async fn resume_one(&self, alert_hash: &B256) -> Result<(), BoxError> {
        let Some(task) = self.0.find(alert_hash).await? else {
            // What is over leaves the store.
            let _turn = self.0.changing.lock().await;
            self.0.restore(alert_hash).await?;
            return Ok(());
        };
        let stored = self.0.rows.task(alert_hash).await?;
        let Some(stored) = stored.filter(|stored| stored.index == task.index) else {
            // Another instance has removed it, or opened it anew.
            self.0.changed(&task);
            return Ok(());
        };
        if let Some(transaction) = stored.finished {
            task.finished(transaction);
        } else if stored.is_signed {
            task.signed();
            self.count(&task).await?;
        }
        Ok(())
    }

    /// Counts the signatures of a task, and brings its alert to L1 if they are enough.
    async fn count(&self, task: &Arc<Task>) -> Result<(), BoxError> {
        let keys = self.0.keys(task).await?;
        let stored = (self.0.rows).signatures(&task.alert_hash, task.index);
        let (stored, digest, counting) = (stored.await?, self.0.digest(task), Arc::clone(task));
        let proving = Arc::clone(&keys);
        let counted =
            tokio::task::spawn_blocking(move || counting.count(&proving, digest, &stored));
        if let Some(signatures) = counted.await? {
            let (this, task) = (self.clone(), Arc::clone(task));
            tokio::spawn(async move { this.confirm(&task, &keys, signatures).await });
        }
        Ok(())
    }

    /// Brings what enough operators signed to L1. If L1 does not take it, [`Self::run`] and the next signature try
    /// again while the task lives.
    async fn confirm(&self, task: &Task, keys: &OperatorKeys, signatures: Signatures) {
        let certificate = task.certificate(keys, &self.0.config.digest, &signatures);
        let outcome = (|| self.0.confirmer.confirm_alert(&certificate))
            .retry(self.0.config.retry.backoff())
            .when(ConfirmError::is_transient)
            .await;
        let (alert, index) = (task.alert_hash, task.index);
        match outcome {
            Ok(confirmation) => {
                info!(%alert, task = index, "alert confirmed");
                let transaction = confirmation.transaction.unwrap_or_default();
                task.finished(transaction);
                let kept = self.0.rows.finish(&alert, index, transaction).await;
                if let Err(error) = kept {
                    // The next process brings it to L1 once more, and finds it there.
                    let error = &error as &dyn std::error::Error;
                    warn!(%alert, error, "it is not kept that the alert was confirmed");
                }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                error!(%alert, error, "the alert was not confirmed");
                task.refused(signatures);
            }
        }
    }
}

impl Shared {
    /// The task of a hash that is not over, from memory or from the store. Waits for nobody who opens tasks.
    async fn find(&self, alert_hash: &B256) -> Result<Option<Arc<Task>>, BoxError> {
        let found = lock(&self.tasks).get(alert_hash).cloned();
        if let Some(task) = found {
            return Ok((!task.is_over(self.config.task_lifetime)).then_some(task));
        }
        match self.rows.task(alert_hash).await? {
            Some(stored) if !self.is_old(&stored).await? => {
                let mut tasks = lock(&self.tasks);
                let task = tasks.entry(*alert_hash);
                let task = task.or_insert_with(|| Arc::new(Task::new(*alert_hash, stored)));
                Ok(Some(Arc::clone(task)))
            }
            _ => Ok(None),
        }
    }

    /// The task in memory that is not over.
    fn known(&self, alert_hash: &B256) -> Option<Arc<Task>> {
        let tasks = lock(&self.tasks);
        let task = tasks.get(alert_hash)?;
        (!task.is_over(self.config.task_lifetime)).then(|| Arc::clone(task))
    }

    /// The task of a hash, if there is one; one that is over is removed. For who changes tasks.
    async fn restore(&self, alert_hash: &B256) -> Result<Option<Arc<Task>>, BoxError> {
        if let Some(task) = self.known(alert_hash) {
            return Ok(Some(task));
        }
        let over = lock(&self.tasks).get(alert_hash).cloned();
        if let Some(task) = over {
            self.forget(&task).await?;
        }
        let Some(stored) = self.rows.task(alert_hash).await? else {
            return Ok(None);
        };
        if self.is_old(&stored).await? {
            self.rows.remove(alert_hash, stored.index, false).await?;
            return Ok(None);
        }
        Ok(Some(self.keep(*alert_hash, stored)))
    }

    /// Whether the time of a task of an earlier process is over. Its terms may be other ones than those of now.
    async fn is_old(&self, stored: &StoredTask) -> Result<bool, BoxError> {
        if stored.finished.is_some() {
            return Ok(false);
        }
        let head = self.head.block_number().await?;
        let age = head.saturating_sub(stored.round.reference_block().into());
        Ok(age > u64::from(self.config.task_blocks))
    }

    fn keep(&self, alert_hash: B256, stored: StoredTask) -> Arc<Task> {
        let task = Arc::new(Task::new(alert_hash, stored));
        lock(&self.tasks).insert(alert_hash, Arc::clone(&task));
        task
    }

    async fn open(&self, alert_hash: B256) -> Result<Arc<Task>, BoxError> {
        // Who waits for L1 holds up nobody.
        let (round, keys) = self.terms().await?;
        let _turn = self.changing.lock().await;
        for _ in 0..MAX_TRIES {
            if let Some(task) = self.restore(&alert_hash).await? {
                return Ok(task);
            }
            self.make_room().await?;
            let Some(stored) = self.rows.add(&alert_hash, &round).await? else {
                continue;
            };
            let (task, reference_block) = (stored.index, round.reference_block());
            info!(alert = %alert_hash, task, reference_block, "task opened");
            let task = self.keep(alert_hash, stored);
            // Nobody else has set it.
            let _ = task.keys.set(keys);
            return Ok(task);
        }
        Err("other instances open tasks all the time".into())
    }

    /// The terms of a task that is opened now, and the keys of its operators.
    async fn terms(&self) -> Result<(Round, Arc<OperatorKeys>), BoxError> {
        let head = self.head.block_number().await?;
        let margin = u64::from(self.config.reference_margin.max(1));
        let reference_block = u32::try_from(head.saturating_sub(margin))?;
        let (quorums, thresholds) = (self.config.quorums.clone(), self.config.thresholds.clone());
        let round = Round::new(quorums, thresholds, reference_block)?;
        let keys = self.keys_of(&round).await?;
        Ok((round, keys))
    }

    /// Errors: if every task is one that operators have signed and that is not over.
    async fn make_room(&self) -> Result<(), BoxError> {
        let limit = self.config.max_tasks.max(1);
        if lock(&self.tasks).len() < limit {
            return Ok(());
        }
        self.forget_over().await?;
        loop {
            let idle = {
                let tasks = lock(&self.tasks);
                if tasks.len() < limit {
                    return Ok(());
                }
                let idle = tasks.values().filter(|task| task.makes_room());
                idle.min_by_key(|task| task.opened).map(Arc::clone)
            };
            let Some(idle) = idle else {
                return Err(format!("the limit of {limit} tasks is reached").into());
            };
            self.forget(&idle).await?;
        }
    }

    /// Removes what is over.
    async fn sweep(&self) -> Result<(), StoreError> {
        let _turn = self.changing.lock().await;
        self.forget_over().await
    }

    /// For who changes tasks.
    async fn forget_over(&self) -> Result<(), StoreError> {
        let lifetime = self.config.task_lifetime;
        let over: Vec<_> = {
            let tasks = lock(&self.tasks);
            let over = tasks.values().filter(|task| task.is_over(lifetime));
            over.map(Arc::clone).collect()
        };
        let mut outcome = Ok(());
        for task in over {
            // What is left is tried again.
            if let Err(error) = self.forget(&task).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Forgets a task that is over or finished; any other one only if nobody has signed it, here or elsewhere. For
    /// who changes tasks.
    async fn forget(&self, task: &Arc<Task>) -> Result<(), StoreError> {
        let is_junk = !task.is_finished() && !task.is_over(self.config.task_lifetime);
        let removed = (self.rows).remove(&task.alert_hash, task.index, is_junk);
        if removed.await? {
            self.changed(task);
        } else {
            task.signed();
        }
        Ok(())
    }

    /// Takes that the row of a task is another one, or gone: who asks reads it again.
    fn changed(&self, task: &Arc<Task>) {
        let mut tasks = lock(&self.tasks);
        if tasks
            .get(&task.alert_hash)
            .is_some_and(|it| Arc::ptr_eq(it, task))
        {
            tasks.remove(&task.alert_hash);
        }
    }

    /// Keys of a task's operators.
    async fn keys(&self, task: &Task) -> Result<Arc<OperatorKeys>, BoxError> {
        let keys = task.keys.get_or_try_init(|| self.keys_of(&task.round));
        Ok(Arc::clone(keys.await?))
    }

    async fn keys_of(&self, round: &Round) -> Result<Arc<OperatorKeys>, BoxError> {
        let (reference_block, quorums) = (round.reference_block(), round.quorums());
        let keys = self.keys.at(reference_block, quorums, &*self.registry);
        Ok(keys.await?)
    }

    fn digest(&self, task: &Task) -> B256 {
        let reference_block = task.round.reference_block();
        (self.config.digest).digest(task.alert_hash, reference_block)
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
        let found = self.0.find(&alert_hash).await;
        let task = match found.map_err(TaskError::NotOpened)? {
            Some(task) => task,
            None => {
                let opened = self.0.open(alert_hash).await;
                opened.map_err(TaskError::NotOpened)?
            }
        };
        task.info()
    }

    async fn submit(
        &self,
        task: AlertTask,
        signature: G1Bytes,
        operator: OperatorId,
    ) -> Result<(), TaskError> {
        let unkept = |error: BoxError| {
            warn!(%operator, error = &*error, "a signature cannot be kept");
            TaskError::NotKept(error)
        };
        let found = self.0.find(&task.alert_hash).await.map_err(unkept)?;
        let found = found.filter(|found| found.index == task.task_index);
        let task = found.ok_or(TaskError::NotFound)?;
        let is_known = task.has(&operator)?;
        let keys = self.0.keys(&task).await.map_err(unkept)?;
        let (digest, proving) = (self.0.digest(&task), Arc::clone(&task));
        let proved =
            tokio::task::spawn_blocking(move || proving.prove(&keys, digest, operator, &signature));
        let proved = proved.await.map_err(|error| unkept(error.into()))??;
        if !is_known {
            let signed = (self.0.rows).sign(&task.alert_hash, task.index, operator, &signature);
            if !signed.await.map_err(|error| unkept(error.into()))? {
                self.0.changed(&task);
                return Err(TaskError::NotFound);
            }
            task.insert(operator, proved)?;
        }
        info!(%operator, task = task.index, "signature taken");
        self.count(&task).await.map_err(unkept)
    }
}

/// Nothing can panic between two writes, so what a lock guards is never half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
