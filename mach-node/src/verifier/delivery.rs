//! The way of outcomes to the sink.

use std::collections::BTreeMap;

use backon::Retryable;
use futures::{StreamExt, channel::mpsc, stream::FuturesUnordered};
use mach_core::{
    BlockRef, L2Block, Statement, StatementError, Verdict,
    ports::{AlertSink, BlockValidator, L2Source, SinkError},
};
use tracing::{debug, error, warn};

use super::{MAX_DELIVERIES, Outcome, Verifier};

/// Which outcomes are delivered, in the order in which they were found.
#[derive(Default)]
struct Order {
    /// Outcomes that were found.
    found: u64,
    /// All before this one are delivered.
    first: u64,
    /// Later ones, with the block that they let the next run begin behind.
    later: BTreeMap<u64, Option<BlockRef>>,
}

impl Order {
    /// Gives the blocks up to which everything is delivered now.
    fn delivered(&mut self, number: u64, block: Option<BlockRef>) -> Vec<BlockRef> {
        self.later.insert(number, block);
        let mut blocks = Vec::new();
        while let Some(block) = self.later.remove(&self.first) {
            self.first += 1;
            blocks.extend(block);
        }
        blocks
    }
}

impl<S: L2Source, V: BlockValidator, K: AlertSink> Verifier<S, V, K> {
    /// Delivers what comes until nothing more can come, some outcomes at a time.
    pub(super) async fn deliver_all(&self, mut waiting: mpsc::Receiver<Outcome>) {
        let mut deliveries = FuturesUnordered::new();
        let mut order = Order::default();
        let mut is_open = true;
        while is_open || !deliveries.is_empty() {
            tokio::select! {
                outcome = waiting.next(), if is_open && deliveries.len() < MAX_DELIVERIES => {
                    let Some(outcome) = outcome else {
                        is_open = false;
                        continue;
                    };
                    let number = order.found;
                    order.found += 1;
                    deliveries.push(async move {
                        let is_done = self.deliver(&outcome.block, &outcome.verdict).await;
                        let block = outcome.block.reference();
                        (number, is_done, Some(block).filter(|_| outcome.may_be_built_on))
                    });
                }
                Some((number, is_done, block)) = deliveries.next(), if !deliveries.is_empty() => {
                    // What was not taken is found again by the next run: nothing behind it counts.
                    if is_done {
                        let blocks = order.delivered(number, block);
                        self.status.send_if_modified(|status| {
                            let is_changed = !blocks.is_empty();
                            blocks.into_iter().for_each(|block| status.delivered(block));
                            is_changed
                        });
                    }
                }
            }
        }
    }

    /// Answers whether the outcome is off our hands: taken, or refused for good.
    pub(super) async fn deliver(&self, block: &L2Block, verdict: &Verdict) -> bool {
        let statement = match Statement::new(block, verdict) {
            Ok(statement) => statement,
            Err(error @ StatementError::Unproven(_)) => {
                debug!(%error, "nothing to say");
                return true;
            }
            Err(error) => {
                warn!(%error, "nothing to say");
                return true;
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
            return !error.is_transient();
        }
        true
    }
}
