//! The loop from published blocks to verdicts.

use std::{collections::VecDeque, time::Duration};

use alloy_primitives::{B256, BlockNumber};
use backon::Retryable;
use futures::{SinkExt, StreamExt, channel::mpsc, future, stream::FuturesUnordered};
use mach_core::{
    Alert, BlockRef, Fault, L2Block, Statement, StatementError, Verdict,
    ports::{AlertSink, BlockValidator, L2Head, L2Source, SinkError, SourceError, ValidateError},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::RetryPolicy;

/// Most outcomes that are on their way to the sink at a time.
pub const MAX_DELIVERIES: usize = 64;

/// How long a verifier that shuts down waits for its sink.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Where a [`Verifier`] begins and how it paces itself.
#[derive(Clone, Copy, Debug)]
pub struct VerifierConfig {
    /// First block.
    pub start: BlockNumber,
    /// Which head is followed.
    pub head: L2Head,
    /// Time between two looks at the head.
    pub poll_interval: Duration,
    /// For blocks that are not there yet or cannot be judged yet, and for outcomes that do not get
    /// through.
    pub retry: RetryPolicy,
    /// Most undecided blocks that the status names; older ones are only counted.
    pub max_undecided: usize,
}

impl VerifierConfig {
    /// Follows the unsafe head from `start`, looking every second.
    pub fn new(start: BlockNumber) -> Self {
        Self {
            start,
            head: L2Head::Unsafe,
            poll_interval: Duration::from_secs(1),
            retry: RetryPolicy::default(),
            max_undecided: 1024,
        }
    }
}

/// How far a [`Verifier`] is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifierStatus {
    /// The block that is looked at next.
    pub next: BlockNumber,
    /// The last block with a verdict.
    pub last: Option<BlockRef>,
    /// Blocks that are valid.
    pub valid: u64,
    /// Blocks that are invalid.
    pub invalid: u64,
    /// Blocks without a verdict, after all retries.
    pub undecided_count: u64,
    /// The last of these blocks, each with the reason. They accuse nobody.
    pub undecided: VecDeque<Undecided>,
    /// Valid blocks that were not attested, since an ancestor of theirs was not found valid.
    pub unlinked: u64,
    /// Outcomes that the sink did not take, after all retries.
    pub undelivered: u64,
}

/// A block without a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Height of the block.
    pub number: BlockNumber,
    /// Why there is no verdict, with its causes.
    pub reason: String,
}

/// Takes blocks from a source, has them validated, and hands the outcome to a sink.
///
/// A block that cannot be judged is tried again within bounds, then recorded as undecided and left
/// behind; no alert ever follows from it.
///
/// A verdict speaks of a block on its parent. To attest it is to vouch for its ancestors too, so a
/// valid block is handed on only if it follows the valid block before it, back to the first block,
/// whose parent is trusted. After a block that is invalid or undecided nothing is attested until a
/// verifier is started on a block that is trusted again; alerts go on.
#[derive(Debug)]
pub struct Verifier<S, V, K> {
    source: S,
    validator: V,
    sink: K,
    config: VerifierConfig,
    status: watch::Sender<VerifierStatus>,
}

impl<S: L2Source, V: BlockValidator, K: AlertSink> Verifier<S, V, K> {
    /// A verifier that has not started.
    pub fn new(source: S, validator: V, sink: K, config: VerifierConfig) -> Self {
        let status = VerifierStatus {
            next: config.start,
            ..Default::default()
        };
        Self {
            source,
            validator,
            sink,
            config,
            status: watch::Sender::new(status),
        }
    }

    /// Follows what this verifier does.
    pub fn status(&self) -> watch::Receiver<VerifierStatus> {
        self.status.subscribe()
    }

    /// Verifies block after block until `shutdown`. Outcomes are delivered beside that, so that a
    /// sink that does not answer holds up no verdict before [`MAX_DELIVERIES`] wait for it.
    ///
    /// At `shutdown` the block in work is left, and what waits for the sink gets
    /// [`SHUTDOWN_GRACE`].
    pub async fn run(&self, shutdown: CancellationToken) {
        let (outcomes, waiting) = mpsc::channel(0);
        let deliver = self.deliver_all(waiting);
        tokio::pin!(deliver);
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = future::join(self.follow(outcomes), &mut deliver) => return,
        }
        if tokio::time::timeout(SHUTDOWN_GRACE, deliver).await.is_err() {
            warn!("stopped with outcomes that were not delivered");
        }
    }

    /// Brings one block to its outcome and delivers it. `None` if it stays undecided.
    pub async fn verify(&self, number: BlockNumber) -> Option<Verdict> {
        match self.decide(number).await {
            Ok((block, verdict)) => {
                self.deliver(&block, &verdict).await;
                Some(verdict)
            }
            Err(error) => {
                self.record_undecided(number, &error);
                None
            }
        }
    }

    /// Delivers what comes until nothing more can come, some outcomes at a time.
    async fn deliver_all(&self, mut waiting: mpsc::Receiver<(L2Block, Verdict)>) {
        let mut deliveries = FuturesUnordered::new();
        loop {
            tokio::select! {
                outcome = waiting.next(), if deliveries.len() < MAX_DELIVERIES => match outcome {
                    Some((block, verdict)) => deliveries.push(async move {
                        self.deliver(&block, &verdict).await;
                    }),
                    None => break,
                },
                Some(()) = deliveries.next() => {}
            }
        }
        while deliveries.next().await.is_some() {}
    }

    /// Gives outcomes in the order of the blocks, for ever.
    async fn follow(&self, mut outcomes: mpsc::Sender<(L2Block, Verdict)>) {
        let mut next = self.config.start;
        let mut last_valid = None;
        loop {
            match self.source.head(self.config.head).await {
                Ok(head) => {
                    while next <= head.number {
                        match self.decide(next).await {
                            Ok((block, verdict)) => {
                                if self.is_to_be_told(&block, &verdict, &mut last_valid)
                                    && outcomes.send((block, verdict)).await.is_err()
                                {
                                    return;
                                }
                            }
                            // The head went back: the block is not undecided, it is not there.
                            Err(NoVerdict::Source(SourceError::NotYet(_)))
                                if !self.is_published(next).await =>
                            {
                                break;
                            }
                            Err(error) => self.record_undecided(next, &error),
                        }
                        let Some(following) = next.checked_add(1) else {
                            return;
                        };
                        next = following;
                        self.status.send_modify(|status| status.next = next);
                    }
                }
                Err(error) => warn!(
                    error = &error as &dyn std::error::Error,
                    "the head is not known"
                ),
            }
            tokio::time::sleep(self.config.poll_interval).await;
        }
    }

    /// Whether the sink is to hear of the outcome: of every fault, and of a block that follows
    /// `last_valid`, which it becomes then.
    fn is_to_be_told(
        &self,
        block: &L2Block,
        verdict: &Verdict,
        last_valid: &mut Option<B256>,
    ) -> bool {
        let is_linked =
            block.number() == self.config.start || *last_valid == Some(block.header.parent_hash);
        let is_valid = match verdict {
            Verdict::Valid(summary) => summary.assurance.is_proven(),
            // A wrong proposal says nothing against its block.
            Verdict::Invalid(fault) => matches!(fault, Fault::OutputRoot(_)),
        };
        if is_linked && is_valid {
            *last_valid = Some(block.hash());
        }
        let is_told = is_linked || matches!(verdict, Verdict::Invalid(_));
        if !is_told {
            let block = block.reference();
            self.status.send_modify(|status| {
                status.unlinked += 1;
                if status.unlinked == 1 {
                    warn!(%block, "not attested, an ancestor was not found valid");
                }
            });
        }
        is_told
    }

    /// The verdict on one block, which is recorded.
    async fn decide(&self, number: BlockNumber) -> Result<(L2Block, Verdict), NoVerdict> {
        let judge = || self.judge(number);
        let notify = |error: &NoVerdict, delay: Duration| {
            debug!(
                number,
                ?delay,
                error = error as &dyn std::error::Error,
                "trying again"
            );
        };
        let (block, verdict) = judge
            .retry(self.config.retry.backoff())
            .when(NoVerdict::is_transient)
            .notify(notify)
            .await?;
        self.record(&block, &verdict);
        Ok((block, verdict))
    }

    async fn is_published(&self, number: BlockNumber) -> bool {
        let head = self.source.head(self.config.head).await;
        head.is_ok_and(|head| number <= head.number)
    }

    async fn judge(&self, number: BlockNumber) -> Result<(L2Block, Verdict), NoVerdict> {
        let block = self.source.block(number).await?;
        let verdict = self.validator.validate(&block).await?;
        Ok((block, verdict))
    }

    async fn deliver(&self, block: &L2Block, verdict: &Verdict) {
        let statement = match Statement::new(block, verdict) {
            Ok(statement) => statement,
            Err(error @ StatementError::Unproven(_)) => {
                debug!(%error, "nothing to say");
                return;
            }
            Err(error) => {
                warn!(%error, "nothing to say");
                return;
            }
        };
        let deliver = || async {
            match &statement {
                Statement::Alert(alert) => self.sink.raise(alert).await,
                Statement::Attestation(attestation) => self.sink.attest(attestation).await,
            }
        };
        let delivered = deliver
            .retry(self.config.retry.backoff())
            .when(SinkError::is_transient)
            .await;
        if let Err(error) = delivered {
            self.status.send_modify(|status| status.undelivered += 1);
            error!(
                block = %block.reference(),
                error = &error as &dyn std::error::Error,
                "the outcome was not delivered"
            );
        }
    }

    fn record(&self, block: &L2Block, verdict: &Verdict) {
        match verdict {
            Verdict::Valid(_) => debug!(block = %block.reference(), "valid"),
            Verdict::Invalid(fault) => {
                let alert = Alert::new(block, fault);
                info!(block = %block.reference(), %fault, kind = ?alert.kind, "invalid block");
            }
        }
        self.status.send_modify(|status| {
            status.last = Some(block.reference());
            match verdict {
                Verdict::Valid(_) => status.valid += 1,
                Verdict::Invalid(_) => status.invalid += 1,
            }
        });
    }

    fn record_undecided(&self, number: BlockNumber, error: &NoVerdict) {
        warn!(
            number,
            error = error as &dyn std::error::Error,
            "no verdict"
        );
        self.status.send_modify(|status| {
            status.undecided_count += 1;
            if status.undecided.len() >= self.config.max_undecided {
                status.undecided.pop_front();
            }
            status.undecided.push_back(Undecided {
                number,
                reason: with_causes(error),
            });
        });
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum NoVerdict {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Validate(#[from] ValidateError),
}

impl NoVerdict {
    const fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Validate(error) => error.is_transient(),
        }
    }
}

/// The error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
