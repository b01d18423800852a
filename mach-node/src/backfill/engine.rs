//! The loop from units to reports.

use std::{
    any::Any,
    io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{B256, BlockNumber, ChainId};
use backon::Retryable;
use mach_core::{
    BlockOutcome, BlockReport, Fault, L2Block, UnitReport, Verdict,
    ports::{Claim, Completion, Lease, QueueError, Release, SourceError, ValidateError, WorkQueue},
};
use tokio::{
    sync::{Mutex, Notify, Semaphore, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Judge, JudgeError, Judged};
use crate::{RetryPolicy, verifier::with_causes};

/// Longest record of a block, in bytes of JSON, that is handed to a queue which keeps no longer
/// reports than messages are.
const MAX_BLOCK_RECORD_BYTES: usize = 3 * 1024;

/// Bytes that stay of a long value.
const MAX_VALUE_BYTES: usize = 256;

/// Most units that a process takes at a time, whatever it was told.
const MAX_LANES: usize = 4096;

/// Stack of a job: while it waits for a sender it may judge another block.
const STACK_BYTES: usize = 16 << 20;

/// How a [`Backfill`] shares out what its machine has.
#[derive(Clone, Debug)]
pub struct BackfillConfig {
    /// Blocks that are judged at a time: one a core.
    pub jobs: NonZeroUsize,
    /// Blocks that are fetched, or wait for a core, beside those.
    pub fetches: NonZeroUsize,
    /// For blocks that cannot be had or judged yet, and for a queue that does not answer.
    pub retry: RetryPolicy,
    /// Blocks in a row that the source does not give, or that L1 says nothing of, after all retries,
    /// before the run stops: it is the source then, and not the blocks.
    pub misses: NonZeroUsize,
    /// Time between two looks at a queue all of whose units others hold.
    pub idle: Duration,
    /// Name of this worker in what it reports.
    pub worker: String,
}

impl Default for BackfillConfig {
    /// All cores, twice as many fetches and two more.
    fn default() -> Self {
        let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self::with_jobs(jobs)
    }
}

impl BackfillConfig {
    /// This many blocks at a time, twice as many fetches and two more.
    pub fn with_jobs(jobs: NonZeroUsize) -> Self {
        Self {
            jobs,
            fetches: jobs.saturating_mul(TWO).saturating_add(2),
            retry: RetryPolicy::default(),
            misses: EIGHT,
            idle: Duration::from_secs(1),
            worker: "local".to_owned(),
        }
    }

    /// Most blocks that are in memory at a time, each with what its execution needs.
    pub const fn blocks_in_memory(&self) -> usize {
        self.jobs.get().saturating_add(self.fetches.get())
    }
}

const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
const EIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// What a [`Backfill`] did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackfillStatus {
    /// Blocks that are valid.
    pub valid: u64,
    /// Blocks that are invalid.
    pub invalid: u64,
    /// Blocks without a verdict, after all retries.
    pub undecided: u64,
    /// Gas of all these blocks.
    pub gas_used: u64,
    /// Units whose report counted.
    pub units: u64,
    /// Units that others had finished first.
    pub duplicates: u64,
}

impl BackfillStatus {
    /// Blocks that were looked at.
    pub const fn blocks(&self) -> u64 {
        self.valid + self.invalid + self.undecided
    }
}

/// Takes units from a queue until none is left, and has their blocks judged on all cores.
///
/// Fetching and computing overlap: of [`BackfillConfig::blocks_in_memory`] blocks that are in work,
/// as many are judged as there are jobs, and the others are fetched meanwhile. Memory is bounded by
/// that number of blocks with their witnesses. Twice as many units are taken, so that there is work
/// while the queue makes claims and reports durable.
///
/// A block that cannot be judged is tried again within bounds, then reported as undecided.
#[derive(Debug)]
pub struct Backfill<Q, J> {
    queue: Q,
    judge: Arc<J>,
    config: BackfillConfig,
    /// A thread for each job. What is fetched waits for them, so that none of them is idle between
    /// two blocks; the senders of a block are recovered on them, too.
    jobs: rayon::ThreadPool,
    /// Units that are worked on: one block of each is in memory.
    room: Semaphore,
    /// Held by who sleeps because there was nothing to take, so that the others do not ask either.
    rest: Mutex<()>,
    /// Units that this process holds, and a word to who sleeps when they have become none: if nobody
    /// else holds one either, all is done.
    held: AtomicUsize,
    none_held: Notify,
    /// Blocks in a row that a source did not answer for.
    missed: AtomicUsize,
    status: watch::Sender<BackfillStatus>,
}

impl<Q: WorkQueue + 'static, J: Judge> Backfill<Q, J> {
    /// A backfill that has not started.
    ///
    /// Errors: if the threads cannot be started.
    pub fn new(queue: Q, judge: J, config: BackfillConfig) -> io::Result<Self> {
        let jobs = rayon::ThreadPoolBuilder::new()
            .num_threads(config.jobs.get())
            .thread_name(|index| format!("mach-job-{index}"))
            .stack_size(STACK_BYTES)
            .build()
            .map_err(io::Error::other)?;
        let room = config.blocks_in_memory().min(Semaphore::MAX_PERMITS);
        Ok(Self {
            queue,
            judge: Arc::new(judge),
            jobs,
            room: Semaphore::new(room),
            rest: Mutex::new(()),
            held: AtomicUsize::new(0),
            none_held: Notify::new(),
            config,
            missed: AtomicUsize::new(0),
            status: watch::Sender::default(),
        })
    }

    /// Follows what this backfill does.
    pub fn status(&self) -> watch::Receiver<BackfillStatus> {
        self.status.subscribe()
    }

    /// Works until every unit is done or until `shutdown`, when what is in work is given back.
    ///
    /// Errors: [`BackfillError`]; what was done is kept, and a later run goes on from there.
    pub async fn run(self: &Arc<Self>, shutdown: &CancellationToken) -> Result<(), BackfillError> {
        let plan = self.asked(|| self.queue.planned()).await?;
        let plan = plan.ok_or(QueueError::NoPlan)?;
        if plan.chain_id() != self.judge.chain_id() {
            return Err(BackfillError::OtherChain {
                queue: plan.chain_id(),
                judge: self.judge.chain_id(),
            });
        }
        if let (Some(queue), Some(judge)) = (plan.rules(), self.judge.rules())
            && queue != judge
        {
            return Err(BackfillError::OtherRules { queue, judge });
        }
        let stop = shutdown.child_token();
        let heartbeat = (plan.lease() / 3).max(Duration::from_millis(1));
        let mut lanes = JoinSet::new();
        let count = self.config.blocks_in_memory().saturating_mul(2);
        for _ in 0..count.min(MAX_LANES) {
            let (this, stop) = (Arc::clone(self), stop.clone());
            lanes.spawn(async move { this.lane(heartbeat, &stop).await });
        }
        let mut outcome = Ok(());
        while let Some(lane) = lanes.join_next().await {
            let lane = lane.unwrap_or_else(|error| Err(BackfillError::Lane(Box::new(error))));
            // The first error is the reason; those after it follow from stopping.
            if outcome.is_ok() && lane.is_err() {
                stop.cancel();
                outcome = lane;
            }
        }
        outcome
    }

    /// One unit after another.
    async fn lane(
        &self,
        heartbeat: Duration,
        stop: &CancellationToken,
    ) -> Result<(), BackfillError> {
        while !stop.is_cancelled() {
            drop(self.rest.lock().await);
            // Hears what is said from here on.
            let none_held = self.none_held.notified();
            match self.asked(|| self.queue.claim()).await? {
                Claim::Unit(lease) => {
                    self.held.fetch_add(1, Ordering::SeqCst);
                    let worked = self.unit(&lease, heartbeat, stop).await;
                    if self.held.fetch_sub(1, Ordering::SeqCst) == 1 {
                        self.none_held.notify_waiters();
                    }
                    worked?;
                }
                Claim::Done => return Ok(()),
                Claim::Wait => {
                    let _rest = self.rest.lock().await;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = none_held => {}
                        () = tokio::time::sleep(self.config.idle) => {}
                    }
                }
            }
        }
        Ok(())
    }

    async fn unit(
        &self,
        lease: &Lease,
        heartbeat: Duration,
        stop: &CancellationToken,
    ) -> Result<(), BackfillError> {
        debug!(unit = ?lease.unit, attempt = lease.attempt, "taken");
        let worked = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            blocks = self.blocks(lease) => Some(blocks),
            () = self.keep(lease, heartbeat) => None,
        };
        match worked {
            Some(Ok(blocks)) => {
                let report = UnitReport {
                    unit: lease.unit,
                    worker: self.config.worker.clone(),
                    blocks,
                };
                let handed_in = self.hand_in(lease, report).await;
                if handed_in.is_err() {
                    self.give_back(lease).await;
                }
                handed_in
            }
            other => {
                self.give_back(lease).await;
                other.map_or(Ok(()), |error| error.map(drop))
            }
        }
    }

    async fn give_back(&self, lease: &Lease) {
        if let Err(error) = self.queue.release(lease, &Release::Interrupted).await {
            // Its lease runs out.
            debug!(error = &error as &dyn std::error::Error, "not given back");
        }
    }

    /// Extends the lease, for ever.
    async fn keep(&self, lease: &Lease, heartbeat: Duration) {
        loop {
            tokio::time::sleep(heartbeat).await;
            if let Err(error) = self.queue.extend(lease).await {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "a lease was not extended"
                );
            }
        }
    }

    async fn blocks(&self, lease: &Lease) -> Result<Vec<BlockReport>, BackfillError> {
        // Nobody closes the semaphore.
        let _room = self.room.acquire().await.ok();
        let mut blocks = Vec::new();
        for number in lease.unit.blocks() {
            blocks.push(self.block(number).await?);
        }
        Ok(blocks)
    }

    /// Brings one block to what is reported of it.
    ///
    /// Errors: [`BackfillError::SourceAway`].
    async fn block(&self, number: BlockNumber) -> Result<BlockReport, BackfillError> {
        let attempt = || self.attempt(number);
        let attempted = attempt
            .retry(self.config.retry.backoff())
            .when(|missed: &Missed| missed.error.is_transient())
            .notify(|missed, delay| {
                debug!(number, ?delay, error = %with_causes(&missed.error), "trying again");
            })
            .await;
        let is_away = matches!(&attempted, Err(missed) if missed.is_of_source());
        if is_away {
            let missed = self.missed.fetch_add(1, Ordering::Relaxed) + 1;
            if missed >= self.config.misses.get() {
                let reason = attempted.err().map(|missed| with_causes(&missed.error));
                return Err(BackfillError::SourceAway {
                    number,
                    missed,
                    reason: reason.unwrap_or_default(),
                });
            }
        } else {
            self.missed.store(0, Ordering::Relaxed);
        }
        let report = match attempted {
            Ok((block, verdict, computing)) => BlockReport::decided(&block, verdict, computing),
            Err(missed) => {
                let reason = with_causes(&missed.error);
                warn!(number, reason, "no verdict");
                BlockReport::undecided(number, missed.block.as_ref(), &reason)
            }
        };
        self.record(&report);
        Ok(report)
    }

    async fn attempt(&self, number: BlockNumber) -> Result<(L2Block, Verdict, Duration), Missed> {
        let fetched = self
            .judge
            .fetch(number)
            .await
            .map_err(|error| Missed { block: None, error })?;
        let judge = Arc::clone(&self.judge);
        let (sender, judged) = oneshot::channel();
        self.jobs.spawn(move || {
            // A panic is no verdict, and ends no thread.
            let judged = catch_unwind(AssertUnwindSafe(|| judge.judge(number, fetched)));
            let _ = sender.send(judged);
        });
        let judged = judged.await.map_err(|error| error.to_string());
        let judged = judged.and_then(|judged| judged.map_err(|panic| said(panic.as_ref())));
        let Judged {
            block,
            result,
            computing,
        } = judged.map_err(|error| Missed {
            block: None,
            error: internal(number, error),
        })?;
        match (block, result) {
            (Some(block), Ok(verdict)) if block.number() == number => {
                Ok((block, verdict, computing))
            }
            (_, Ok(_)) => Err(Missed {
                block: None,
                error: internal(number, "the verdict is of another block"),
            }),
            (block, Err(error)) => Err(Missed {
                block: block.filter(|block| block.number() == number),
                error,
            }),
        }
    }

    async fn hand_in(&self, lease: &Lease, report: UnitReport) -> Result<(), BackfillError> {
        let mut completed = self.asked(|| self.queue.complete(lease, &report)).await;
        if let Err(QueueError::TooLarge { bytes, most }) = completed {
            warn!(unit = ?lease.unit, bytes, most, "what was found is too long for the queue");
            let report = shortened(report.clone());
            completed = self.asked(|| self.queue.complete(lease, &report)).await;
        }
        let completion = completed?;
        self.status.send_modify(|status| match completion {
            Completion::Counted => status.units += 1,
            Completion::Duplicate => status.duplicates += 1,
        });
        Ok(())
    }

    fn record(&self, report: &BlockReport) {
        if let BlockOutcome::Invalid(fault) = &report.outcome {
            info!(number = report.number, %fault, "invalid block");
        }
        self.status.send_modify(|status| {
            match report.outcome {
                BlockOutcome::Valid { .. } => status.valid += 1,
                BlockOutcome::Invalid(_) => status.invalid += 1,
                _ => status.undecided += 1,
            }
            let gas_used = report.published.map_or(0, |block| block.gas_used);
            status.gas_used = status.gas_used.saturating_add(gas_used);
        });
    }

    /// Asks the queue until it answers, within bounds.
    async fn asked<T, F>(&self, ask: impl FnMut() -> F) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, QueueError>>,
    {
        ask.retry(self.config.retry.backoff())
            .when(QueueError::is_transient)
            .await
    }
}

/// An attempt without a verdict.
struct Missed {
    block: Option<L2Block>,
    error: JudgeError,
}

impl Missed {
    /// Whether it is a source that did not answer: that of the blocks, or L1.
    fn is_of_source(&self) -> bool {
        let error = match &self.error {
            JudgeError::Source(error) => Some(error),
            JudgeError::Validate(ValidateError::Incomplete { source, .. }) => source.downcast_ref(),
            _ => None,
        };
        error.is_some_and(SourceError::is_transient)
    }
}

fn internal(
    block: BlockNumber,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> JudgeError {
    let source = source.into();
    JudgeError::Validate(ValidateError::Internal { block, source })
}

/// What somebody said who panicked.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = (panic.downcast_ref::<String>().map(String::as_str))
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "judging it panicked: {}",
        text.unwrap_or("it did not say why")
    )
}

/// The report with less of what is long: whoever publishes an absurd header must neither keep the rest
/// of a unit from being reported, nor make its own block look undecided. The bundle of the block
/// has all of it.
fn shortened(mut report: UnitReport) -> UnitReport {
    let size =
        |outcome: &BlockOutcome| serde_json::to_vec(outcome).map_or(usize::MAX, |json| json.len());
    for block in &mut report.blocks {
        let bytes = size(&block.outcome);
        if bytes <= MAX_BLOCK_RECORD_BYTES {
            continue;
        }
        if let BlockOutcome::Invalid(
            Fault::ExtraData(values) | Fault::L1Attributes { values, .. },
        ) = &mut block.outcome
        {
            values.claimed.truncate(MAX_VALUE_BYTES);
            values.computed.truncate(MAX_VALUE_BYTES);
        }
        if size(&block.outcome) > MAX_BLOCK_RECORD_BYTES {
            block.outcome = BlockOutcome::Undecided(format!(
                "the verdict takes {bytes} bytes, which this queue does not keep: verify block {} alone",
                block.number
            ));
        }
    }
    report
}

/// Why a backfill stopped.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The queue does not do what it is asked for.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The queue shares out blocks of another chain.
    #[error("the queue holds blocks of chain {queue}, the source those of chain {judge}")]
    OtherChain {
        /// Chain of the queue.
        queue: ChainId,
        /// Chain of the source.
        judge: ChainId,
    },
    /// The queue asks for other rules.
    #[error("the queue asks for verdicts by rules {queue}, the rules here are {judge}")]
    OtherRules {
        /// Hash of the rules of the queue.
        queue: B256,
        /// Hash of the rules that blocks would be judged by.
        judge: B256,
    },
    /// A source gives nothing any more: that of the blocks, or L1.
    #[error(
        "the sources did not answer for {missed} blocks in a row, the last of them {number}: {reason}"
    )]
    SourceAway {
        /// The last of these blocks.
        number: BlockNumber,
        /// How many.
        missed: usize,
        /// Why.
        reason: String,
    },
    /// A part of the backfill itself broke.
    #[error("a worker of this process broke")]
    Lane(#[source] Box<dyn std::error::Error + Send + Sync>),
}
