//! The loop from published blocks to verdicts.

mod delivery;
mod follow;
mod status;

use std::time::Duration;

use alloy_primitives::BlockNumber;
use backon::{BackoffBuilder, ExponentialBackoff};
use futures::{channel::mpsc, future};
use mach_core::{
    Alert, L2Block, Verdict,
    ports::{AlertSink, BlockValidator, L2Source, SourceError, ValidateError},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use status::{Reorg, Undecided, VerifierConfig, VerifierStatus};

/// Most outcomes that are on their way to the sink at a time.
pub const MAX_DELIVERIES: usize = 64;

/// How long a verifier that shuts down waits for its sink.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Takes blocks from a source, has them validated, and hands the outcome to a sink.
///
/// A block that cannot be judged is tried again within bounds, then recorded as undecided and left
/// behind; no alert ever follows from it.
///
/// A verdict speaks of a block on its parent. To attest it is to vouch for its ancestors too, so a
/// valid block is handed on only if it follows the valid block before it, back to the first block,
/// whose parent is trusted. After a block that is invalid or undecided nothing is attested on its
/// branch; alerts go on.
///
/// When the source goes to another branch, the verifier goes back to the last block that both
/// share and verifies the new branch from there, under the same rule. What was said of the other
/// branch stays said: a sink never takes it back. A reorg of blocks that the source had called
/// final, or of those before the first block, is an error of the source or the rollup that accuses
/// nobody: [`VerifierStatus::broken`] tells of it, and nothing is attested any more.
#[derive(Debug)]
pub struct Verifier<S, V, K> {
    source: S,
    validator: V,
    sink: K,
    config: VerifierConfig,
    /// Blocks that the first one follows, the oldest first.
    trusted: Vec<L2Block>,
    status: watch::Sender<VerifierStatus>,
}

/// What was found about a block, on its way to the sink.
struct Outcome {
    block: L2Block,
    verdict: Verdict,
    /// Whether it is valid, and so are its ancestors down to the first block.
    may_be_built_on: bool,
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
            trusted: Vec::new(),
            status: watch::Sender::new(status),
        }
    }

    /// Begins behind the last of `trusted`: blocks of one branch, the oldest first, that were
    /// verified before. What comes next has to follow them. If there are none this changes nothing.
    #[must_use]
    pub fn behind(mut self, trusted: Vec<L2Block>) -> Self {
        if let Some(last) = trusted.last() {
            let (next, verified) = (last.number().saturating_add(1), last.reference());
            self.config.start = next;
            self.status.send_modify(|status| {
                status.next = next;
                status.verified = Some(verified);
            });
            self.trusted = trusted;
        }
        self
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

    /// One block, judged by itself, again if that may help.
    async fn decide(&self, number: BlockNumber) -> Result<(L2Block, Verdict), NoVerdict> {
        let mut retries = self.config.retry.backoff().build();
        loop {
            match self.judge(number).await {
                Ok((block, verdict)) => {
                    self.record(&block, &verdict);
                    return Ok((block, verdict));
                }
                Err(error) => wait(&mut retries, number, error).await?,
            }
        }
    }

    async fn judge(&self, number: BlockNumber) -> Result<(L2Block, Verdict), NoVerdict> {
        let block = self.source.block(number).await?;
        let verdict = self.validator.validate(&block).await?;
        Ok((block, verdict))
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

/// Waits for the next try. Gives the error back if there is none, or if it would not help.
async fn wait(
    retries: &mut ExponentialBackoff,
    number: BlockNumber,
    error: NoVerdict,
) -> Result<(), NoVerdict> {
    let Some(delay) = retries.next().filter(|_| error.is_transient()) else {
        return Err(error);
    };
    debug!(
        number,
        ?delay,
        error = &error as &dyn std::error::Error,
        "trying again"
    );
    tokio::time::sleep(delay).await;
    Ok(())
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum NoVerdict {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Validate(#[from] ValidateError),
    #[error("the source does not give the parent of block {0}")]
    Unlinked(BlockNumber),
}

impl NoVerdict {
    const fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Validate(error) => error.is_transient(),
            Self::Unlinked(_) => true,
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
