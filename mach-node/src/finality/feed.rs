//! What keeps the index up to date: an aggregator, the rollup's node, and the alerts on L1.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alloy_primitives::{BlockNumber, ChainId};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    Alert, Bn254, Confirmation,
    ports::{BoxError, L2Head, L2Source, SourceError},
};
use tokio::{sync::broadcast::error::RecvError, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{AlertView, FinalityError, FinalityIndex, QuorumShare, Seen, StakeShare};
use crate::{Aggregator, RoundEvent, RoundState, aggregator::Untold, settling::Settling};

/// Blocks that are asked for between two looks at the head.
const MAX_STEP: u64 = 1024;
/// How often the aggregator's store is asked for what was not told.
const CATCH_UP_EVERY: Duration = Duration::from_secs(1);

/// How a rollup's node is followed.
#[derive(Clone, Copy, Debug)]
pub struct FeedConfig {
    /// Time between two looks.
    pub poll_interval: Duration,
    /// Blocks below the head that an empty index begins with.
    pub lookback: u64,
}

impl Default for FeedConfig {
    /// Every half second, from 256 blocks below the head on.
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(500),
            lookback: 256,
        }
    }
}

/// Knows which alerts stand on L1.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait StandingAlerts: Send + Sync {
    /// The alerts against a rollup that stand, whoever raised them.
    async fn standing(&self, rollup: ChainId) -> Result<Standing, BoxError>;
}

/// The alerts against a rollup that stand at one block of L1.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Height of the block, the newest one as far as the node knows.
    pub l1_block: BlockNumber,
    /// The alerts, and since when they stand.
    pub alerts: Vec<(Alert, Confirmation)>,
    /// Whether there are no others.
    pub is_complete: bool,
}

impl FinalityIndex {
    /// Feeds the index with what an aggregator does, until `shutdown`, and with what it did while nobody
    /// listened.
    pub async fn listen(&self, aggregator: &Aggregator, shutdown: CancellationToken) {
        let listening = async {
            let mut events = aggregator.events();
            let mut ticks = tokio::time::interval(CATCH_UP_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.catch_up(aggregator).await;
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    _ = ticks.tick() => {
                        if let Err(error) = self.take_untold(aggregator).await {
                            not_taken(&error);
                        }
                        continue;
                    }
                };
                match event {
                    Ok(event) => self.take(event).await,
                    Err(RecvError::Lagged(missed)) => {
                        warn!(missed, "events of the aggregator were missed");
                        self.catch_up(aggregator).await;
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        };
        shutdown.run_until_cancelled(listening).await;
    }

    /// Takes the certificates and confirmations that the aggregator's store has and the index may not:
    /// a process may have ended between the two, and another instance may have led.
    async fn take_untold(&self, aggregator: &Aggregator) -> Result<(), FinalityError> {
        let mut after = None;
        while aggregator.leads() {
            let page = aggregator.untold(after).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.digest);
            for untold in &page {
                match self.take_certified(untold).await {
                    Ok(()) => {}
                    Err(error @ FinalityError::Store(_)) => return Err(error),
                    // It is not for this index, and will not be.
                    Err(error) => not_taken(&error),
                }
            }
            aggregator.told(&page).await?;
        }
        Ok(())
    }

    async fn take_certified(&self, untold: &Untold<Bn254>) -> Result<(), FinalityError> {
        if let Some(certificate) = &untold.certificate {
            self.certified(certificate).await?;
        }
        if let Some(confirmation) = &untold.confirmation {
            self.confirmed(confirmation).await?;
        }
        if let Some(l1_block) = untold.withdrawn {
            self.withdrawn(untold.digest, l1_block).await?;
        }
        match untold.is_lost {
            true => self.unconfirmed(untold.digest).await,
            false => Ok(()),
        }
    }

    /// Takes what the newest rounds have come to.
    async fn catch_up(&self, aggregator: &Aggregator) {
        // The oldest first, as it happened.
        for view in aggregator.rounds().into_iter().rev() {
            match aggregator.certificate(view.digest).await {
                Ok(None) => self.take(RoundEvent::Signed(view)).await,
                Ok(Some(certificate)) => {
                    let (digest, state) = (view.digest, view.state);
                    let certificate = Arc::new(certificate);
                    self.take(RoundEvent::Certified { view, certificate }).await;
                    if let RoundState::Confirmed(confirmation) = state {
                        let confirmed = RoundEvent::Confirmed {
                            digest,
                            confirmation,
                        };
                        self.take(confirmed).await;
                    }
                }
                Err(error) => not_taken(&error.into()),
            }
        }
    }

    async fn take(&self, event: RoundEvent) {
        let taken = match event {
            RoundEvent::Opened(view) | RoundEvent::Signed(view) => {
                let quorums = view.quorums.iter().map(|quorum| QuorumShare {
                    quorum: quorum.quorum,
                    signed: quorum.signed,
                    total: quorum.total,
                    threshold: quorum.threshold.value(),
                });
                self.signed(view.digest, &view.statement, StakeShare::of(quorums));
                Ok(())
            }
            RoundEvent::Certified { certificate, .. } => self.certified(&certificate).await,
            RoundEvent::Confirmed { confirmation, .. } => self.confirmed(&confirmation).await,
            RoundEvent::Lost { digest } => self.unconfirmed(digest).await,
            RoundEvent::Withdrawn { digest, l1_block } => self.withdrawn(digest, l1_block).await,
            RoundEvent::Expired { digest } => {
                self.expired(digest);
                Ok(())
            }
        };
        if let Err(error) = taken {
            not_taken(&error);
        }
    }

    /// Feeds the index with the chain of a rollup's node, until `shutdown`.
    ///
    /// Errors of the node are tried again for ever.
    pub async fn follow(
        &self,
        source: impl L2Source,
        config: FeedConfig,
        shutdown: CancellationToken,
    ) {
        let following = async {
            loop {
                match self.step(&source, config).await {
                    Ok(true) => {}
                    Ok(false) => tokio::time::sleep(config.poll_interval).await,
                    Err(error) => {
                        warn!(
                            rollup = source.chain_id(),
                            error = &error as &dyn std::error::Error,
                            "the chain of the rollup's node is not read"
                        );
                        tokio::time::sleep(config.poll_interval).await;
                    }
                }
            }
        };
        shutdown.run_until_cancelled(following).await;
    }

    /// Takes blocks up to the head of `source`. Answers whether there is more to take at once.
    pub(super) async fn step(
        &self,
        source: &impl L2Source,
        config: FeedConfig,
    ) -> Result<bool, FeedError> {
        let rollup = source.chain_id();
        let head = source.head(L2Head::Unsafe).await?;
        let mut known = self.heads(rollup)?.seen;
        if known.is_some_and(|it| head.number.saturating_sub(it.number) > self.config().retain) {
            debug!(rollup, head = %head, "too far behind, starting anew");
            self.restart(rollup).await?;
            known = None;
        }
        let mut number = match known {
            Some(known) if known == head => return Ok(false),
            Some(known) => head.number.min(known.number + 1),
            None => head.number.saturating_sub(config.lookback),
        };
        for _ in 0..MAX_STEP {
            if number > head.number {
                return Ok(false);
            }
            let block = source.block(number).await?;
            match self.seen(&block).await? {
                // The node has replaced blocks: down to one that is known.
                Seen::Unlinked => number = number.saturating_sub(1),
                Seen::Known | Seen::Taken => number += 1,
            }
        }
        Ok(true)
    }

    /// Looks again and again which alerts stand on L1, until `shutdown`: those that others raised are
    /// taken in, and those that have been gone for `settle` L1 blocks are resolved
    /// ([`SETTLE_ALERTS`](crate::SETTLE_ALERTS) for most). A height of L1 that was never reached, or is
    /// not any more, counts for nothing after a few looks.
    pub async fn watch_alerts(
        &self,
        l1: impl StandingAlerts,
        poll_interval: Duration,
        settle: u64,
        shutdown: CancellationToken,
    ) {
        let watching = async {
            let rollups = self.config().rollups.iter();
            let mut rollups: Vec<_> = rollups.map(|it| (*it, Settling::new(settle))).collect();
            loop {
                tokio::time::sleep(poll_interval).await;
                for (rollup, settling) in &mut rollups {
                    let look = self.look_at_alerts(&l1, *rollup, settling);
                    if let Err(error) = look.await {
                        warn!(
                            rollup,
                            error = &*error as &dyn std::error::Error,
                            "it is not known whether alerts stand on L1"
                        );
                    }
                }
            }
        };
        shutdown.run_until_cancelled(watching).await;
    }

    async fn look_at_alerts(
        &self,
        l1: &impl StandingAlerts,
        rollup: ChainId,
        settling: &mut Settling,
    ) -> Result<(), BoxError> {
        let standing = l1.standing(rollup).await?;
        let is_current = settling.look(standing.l1_block);
        let known = self.alerts(rollup)?;
        let mut standing_now = BTreeSet::new();
        for (alert, confirmation) in &standing.alerts {
            let digest = confirmation.digest;
            // What lags may not know yet that an alert was withdrawn.
            let is_resolved = |it: &AlertView| it.digest == digest && it.is_resolved;
            if !is_current && known.iter().any(is_resolved) {
                continue;
            }
            standing_now.insert(digest);
            settling.stands(&digest);
            self.found(alert, confirmation).await?;
        }
        if !is_current {
            let (l1_block, newest) = (standing.l1_block, settling.newest());
            debug!(rollup, l1_block, newest, "L1 is behind");
        }
        if !is_current || !standing.is_complete {
            return Ok(());
        }
        for alert in known {
            let digest = alert.digest;
            // What L1 has not had it cannot withdraw.
            let Some(confirmation) = alert.confirmation.filter(|_| !alert.is_resolved) else {
                continue;
            };
            if standing_now.contains(&digest) || standing.l1_block < confirmation.l1_block {
                continue;
            }
            if settling.is_gone(digest, standing.l1_block) {
                self.resolved(digest).await?;
            }
        }
        Ok(())
    }
}

fn not_taken(error: &FinalityError) {
    error!(
        error = error as &dyn std::error::Error,
        "what the aggregator did is not in the index"
    );
}

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    /// The node did not answer, or not with a block.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The index did not take it.
    #[error(transparent)]
    Index(#[from] FinalityError),
}
