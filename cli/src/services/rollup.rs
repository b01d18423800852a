//! One rollup, from its nodes to its verdicts.

mod build;
mod settled;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use alloy_primitives::ChainId;
use eyre::{OptionExt, WrapErr};
use mach_core::{
    L2Block,
    ports::{AlertSink, L2Source},
};
use mach_node::{
    VerifiedBlocks, Verifier, VerifierConfig, VerifierStatus, finality::VerifiedView,
    metrics::Metrics, node_api::ServiceState, store::RedbStore,
};
use mach_verify::ChainSpec;
use tokio::sync::watch;
use tracing::warn;

use super::lifecycle::Lifecycle;
use crate::{
    config::{Rollup, Start},
    nodes::Node,
    spec::Specs,
};

pub(super) use build::Parts;

/// Between two tries to reach the nodes of a rollup.
const RETRY: Duration = Duration::from_secs(5);
/// A head that was not seen for so long is not known.
const STALE: Duration = Duration::from_secs(60);

/// A rollup that is verified, for others to look at.
#[derive(Clone)]
pub(super) struct Watched {
    rollup: ChainId,
    max_lag: u64,
    stale: Duration,
    status: Arc<OnceLock<watch::Receiver<VerifierStatus>>>,
    /// Nothing is verified any more.
    failed: Arc<OnceLock<()>>,
}

impl Watched {
    pub(super) fn status(&self) -> VerifierStatus {
        (self.status.get()).map_or_else(VerifierStatus::default, |status| status.borrow().clone())
    }

    /// How far it is, for the dashboard.
    pub(super) fn verified(&self) -> VerifiedView {
        VerifiedView::new(self.rollup, &self.status())
    }

    /// Whether the rollup is verified up to its head.
    pub(super) fn state(&self) -> ServiceState {
        let status = self.status();
        let Some(seen) = status.head_at else {
            return match self.failed.get() {
                Some(()) => ServiceState::Down,
                None => ServiceState::Initializing,
            };
        };
        let is_stale = Instant::now().duration_since(seen) > self.stale;
        if self.failed.get().is_some() || status.broken.is_some() || is_stale {
            ServiceState::Down
        } else if status.lag().is_none_or(|lag| lag > self.max_lag) {
            ServiceState::Initializing
        } else {
            ServiceState::Up
        }
    }
}

/// Verifies every rollup of the configuration. `sink` gives where the outcomes of one go, and `ready`
/// is told when its nodes are there.
///
/// Errors: a rollup that is not configured well enough to begin.
pub(super) fn start<K: AlertSink + 'static>(
    rollups: &[Rollup],
    store: &RedbStore,
    life: &mut Lifecycle,
    metrics: &Metrics,
    sink: impl Fn(&Rollup) -> K,
    ready: impl Fn(&Rollup, &Parts) + Clone + Send + Sync + 'static,
) -> eyre::Result<Vec<Watched>> {
    eyre::ensure!(!rollups.is_empty(), "no [[rollup]] is configured");
    let mut all = Vec::new();
    for rollup in rollups {
        let key = || format!("rollup {}", rollup.chain_id);
        eyre::ensure!(!rollup.rpc.is_empty(), "{}: rpc is not set", key());
        let (specs, spec) = Specs::of_rollup(rollup).wrap_err_with(key)?;
        if let Some(wrong) = rollup.cannot_derive() {
            eyre::bail!("{}: {wrong}", key());
        }
        let watched = Watched {
            rollup: rollup.chain_id,
            max_lag: rollup.max_lag,
            stale: STALE.max(rollup.poll_interval.0 * 10),
            status: Arc::default(),
            failed: Arc::default(),
        };
        let looked_at = watched.clone();
        metrics.watch_verifier(rollup.chain_id, move || looked_at.status());
        let work = Work {
            rollup: rollup.clone(),
            specs,
            spec,
            store: store.clone(),
            watched: watched.clone(),
        };
        let (shutdown, sink, ready) = (life.shutdown.clone(), sink(rollup), ready.clone());
        life.work.spawn(async move {
            let failed = Arc::clone(&work.watched.failed);
            let begun = tokio::select! {
                begun = work.begin() => begun,
                () = shutdown.cancelled() => return Ok(()),
            };
            let outcome = match begun {
                Ok((parts, from)) => {
                    ready(&work.rollup, &parts);
                    work.verify(parts, from, sink, shutdown.clone()).await
                }
                Err(error) => Err(error),
            };
            if outcome.is_err() {
                let _ = failed.set(());
            }
            outcome.wrap_err_with(|| format!("rollup {}", work.rollup.chain_id))
        });
        all.push(watched);
    }
    Ok(all)
}

struct Work {
    rollup: Rollup,
    specs: Specs,
    spec: ChainSpec,
    store: RedbStore,
    watched: Watched,
}

/// Where a run begins.
struct From {
    /// Blocks that an earlier process has verified, the newest last.
    trusted: Vec<L2Block>,
    /// The first block, where none are.
    first: u64,
}

impl Work {
    /// The nodes as soon as they are there, where to begin, and what judges the blocks from there on.
    ///
    /// Errors: they are those of another chain, or what was verified is not theirs.
    async fn begin(&self) -> eyre::Result<(Parts, From)> {
        let nodes = self.nodes().await?;
        let source = Arc::clone(&nodes.source);
        let from = self.from(&source).await?;
        // Behind the oldest, so that a short reorganisation is still derived.
        let behind = match from.trusted.first() {
            Some(block) => Some(block.clone()),
            None if self.rollup.derive => Some(self.behind(&source, from.first).await),
            None => None,
        };
        Ok((self.parts(&nodes, behind.as_ref()).await?, from))
    }

    fn verified(&self) -> VerifiedBlocks<RedbStore> {
        let start = match self.rollup.start {
            Start::Latest => None,
            Start::At(number) => Some(number),
        };
        VerifiedBlocks::new(self.store.clone(), self.rollup.chain_id, start)
    }

    /// Behind what an earlier process has verified; else where the configuration says.
    async fn from(&self, source: &Arc<dyn Node>) -> eyre::Result<From> {
        let rollup = &self.rollup;
        let trusted = loop {
            match self.verified().resume(source).await {
                Ok(trusted) => break trusted,
                Err(error) if error.is_transient() => {
                    warn!(rollup = rollup.chain_id, "{:#}", eyre::Report::new(error));
                }
                Err(error) => {
                    let advice = "set another `start` for the rollup";
                    return Err(eyre::Report::new(error).wrap_err(advice));
                }
            }
            tokio::time::sleep(RETRY).await;
        };
        let first = match rollup.start {
            _ if !trusted.is_empty() => 0,
            Start::At(number) => number,
            Start::Latest => loop {
                match source.head(rollup.head.into()).await {
                    Ok(head) => break head.number,
                    Err(error) => {
                        warn!(rollup = rollup.chain_id, "{:#}", eyre::Report::new(error));
                    }
                }
                tokio::time::sleep(RETRY).await;
            },
        };
        Ok(From { trusted, first })
    }

    /// The block before `first`, which derivation trusts.
    async fn behind(&self, source: &Arc<dyn Node>, first: u64) -> L2Block {
        loop {
            match source.block(first.saturating_sub(1)).await {
                Ok(block) => return block,
                Err(error) => {
                    let rollup = self.rollup.chain_id;
                    warn!(rollup, "{:#}", eyre::Report::new(error));
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Judges block after block, until the end.
    async fn verify(
        &self,
        parts: Parts,
        from: From,
        sink: impl AlertSink,
        shutdown: tokio_util::sync::CancellationToken,
    ) -> eyre::Result<()> {
        let rollup = &self.rollup;
        let config = VerifierConfig {
            head: rollup.head.into(),
            poll_interval: rollup.poll_interval.0,
            ..VerifierConfig::new(from.first)
        };
        let verifier =
            Verifier::new(parts.source, parts.validator, sink, config).behind(from.trusted);
        let status = verifier.status();
        (self.watched.status.set(status.clone()).ok()).ok_or_eyre("started twice")?;
        let run = async move {
            verifier.run(shutdown).await;
            // The last look at its status comes with its end.
            drop(verifier);
        };
        let verified = self.verified();
        tokio::join!(run, verified.keep(status));
        parts.bundles.finished().await;
        Ok(())
    }
}
