//! What keeps the index up to date: an aggregator, the rollup's node, and the alerts on L1.

use std::{sync::Arc, time::Duration};

use alloy_primitives::ChainId;
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{
    Alert, Confirmation,
    ports::{BoxError, L2Head, L2Source, SourceError},
};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{AlertView, FinalityError, FinalityIndex, QuorumShare, Seen, StakeShare};
use crate::{Aggregator, RoundEvent, RoundState};

/// Blocks that are asked for between two looks at the head.
const MAX_STEP: u64 = 1024;

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
    /// Whether an alert that was confirmed has not been withdrawn.
    async fn is_standing(&self, alert: &Alert) -> Result<bool, BoxError>;

    /// The alerts against a rollup that stand, whoever raised them, and where they do.
    async fn standing(&self, rollup: ChainId) -> Result<Vec<(Alert, Confirmation)>, BoxError>;
}

impl FinalityIndex {
    /// Feeds the index with what an aggregator does, until `shutdown`.
    pub async fn listen(&self, aggregator: &Aggregator, shutdown: CancellationToken) {
        let listening = async {
            let mut events = aggregator.events();
            self.catch_up(aggregator).await;
            loop {
                match events.recv().await {
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
    /// taken in, and those that were withdrawn are resolved.
    pub async fn watch_alerts(
        &self,
        l1: impl StandingAlerts,
        poll_interval: Duration,
        shutdown: CancellationToken,
    ) {
        let watching = async {
            loop {
                tokio::time::sleep(poll_interval).await;
                if let Err(error) = self.look_at_alerts(&l1).await {
                    warn!(
                        error = &*error as &dyn std::error::Error,
                        "it is not known whether alerts stand on L1"
                    );
                }
            }
        };
        shutdown.run_until_cancelled(watching).await;
    }

    async fn look_at_alerts(&self, l1: &impl StandingAlerts) -> Result<(), BoxError> {
        for rollup in &self.config().rollups {
            for (alert, confirmation) in l1.standing(*rollup).await? {
                self.found(&alert, &confirmation).await?;
            }
            for alert in self.alerts(*rollup)? {
                // What L1 has not had it cannot withdraw.
                if alert.confirmation.is_none() {
                    continue;
                }
                match (l1.is_standing(&statement(&alert)).await?, alert.is_resolved) {
                    (false, false) => self.resolved(alert.digest).await?,
                    (true, true) => self.reopened(alert.digest).await?,
                    _ => {}
                }
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

const fn statement(alert: &AlertView) -> Alert {
    Alert {
        kind: alert.kind,
        rollup_chain_id: alert.rollup,
        block: alert.block,
        rule: alert.rule,
        claimed: alert.claimed,
        computed: alert.computed,
    }
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
