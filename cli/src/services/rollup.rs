//! One rollup, from its nodes to its verdicts.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use eyre::{OptionExt, WrapErr};
use mach_core::ports::{AlertSink, BlockValidator, L2Source};
use mach_node::{
    VerifiedBlocks, Verifier, VerifierConfig, VerifierStatus, metrics::Metrics,
    node_api::ServiceState, store::RedbStore,
};
use mach_verify::{
    Accuser, ChainSpec, EvidenceFolder, EvidenceValidator, WitnessMemory,
    follow::{FollowLimits, FollowValidator, Follower},
    op::{OpL1Validator, Rollup as RollupRules, Settlement},
    source::{OpNode, ProposalValidator},
};
use tokio::sync::watch;
use tracing::{info, warn};
use url::Url;

use super::lifecycle::Lifecycle;
use crate::{
    against_l1::{connect_l1, l1_rules},
    args::ChainArgs,
    config::{Endpoint, Rollup, Start},
    nodes::{Node, Nodes, RpcArgs},
    spec::Specs,
};

/// Between two tries to reach the nodes of a rollup.
const RETRY: Duration = Duration::from_secs(5);
/// A head that was not seen for so long is not known.
const STALE: Duration = Duration::from_secs(60);

/// A rollup that is verified, for others to look at.
#[derive(Clone)]
pub(super) struct Watched {
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
        let specs = Specs::load(&ChainArgs {
            genesis: rollup.genesis.clone(),
            rollup_config: rollup.rollup_config.clone(),
        })
        .wrap_err_with(key)?;
        let spec = specs.of(rollup.chain_id).wrap_err_with(key)?.clone();
        let watched = Watched {
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
            let verified = tokio::select! {
                connected = work.connect() => connected,
                () = shutdown.cancelled() => return Ok(()),
            };
            let outcome = match verified {
                Ok(parts) => {
                    ready(&work.rollup, &parts);
                    work.verify(parts, sink, shutdown.clone()).await
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

/// What a verifier is made of.
pub(super) struct Parts {
    pub(super) source: Arc<dyn Node>,
    pub(super) validator: Arc<dyn BlockValidator>,
    bundles: mach_verify::PendingEvidence,
}

impl Work {
    /// The nodes, as soon as they are there.
    ///
    /// Errors: they are those of another chain.
    async fn connect(&self) -> eyre::Result<Parts> {
        let rpc = self.rpc(&self.rollup.rpc);
        let mut is_told = false;
        let nodes = loop {
            let error = match Nodes::connect(&rpc, &self.specs).await {
                Ok(nodes) => break nodes,
                Err(error) => error,
            };
            if !is_told {
                warn!(
                    rollup = self.rollup.chain_id,
                    "no node yet, tried again: {error:#}"
                );
                is_told = true;
            }
            tokio::time::sleep(RETRY).await;
        };
        eyre::ensure!(
            nodes.chain_id() == self.rollup.chain_id,
            "{} is on chain {}",
            nodes.name,
            nodes.chain_id()
        );
        let source = Arc::clone(&nodes.source);
        let witnesses = Arc::new(WitnessMemory::new(Arc::clone(&source)));
        let follower = Arc::new(Follower::new(self.spec.clone(), FollowLimits::default()));
        let following = FollowValidator::new(Arc::clone(&follower), Arc::clone(&witnesses));
        let (validator, accuser) = self.against_l1(following, &source).await?;
        let validator: Arc<dyn BlockValidator> = match &self.rollup.op_node {
            Some(node) => Arc::new(ProposalValidator::new(
                validator,
                OpNode::connect(node.0.clone())?,
            )),
            None => validator,
        };
        let folder = EvidenceFolder::new(&self.rollup.evidence);
        let kept = EvidenceValidator::new(self.spec.clone(), validator, witnesses, folder);
        let bundles = kept.pending();
        let kept = kept.with_follower(follower);
        let validator: Arc<dyn BlockValidator> = match accuser {
            Some(accuser) => Arc::new(kept.with_l1(accuser)),
            None => Arc::new(kept),
        };
        info!(
            rollup = self.rollup.chain_id,
            nodes = nodes.name,
            "verifies"
        );
        Ok(Parts {
            source,
            validator,
            bundles,
        })
    }

    async fn against_l1(
        &self,
        following: FollowValidator<Arc<WitnessMemory<Arc<dyn Node>>>>,
        source: &Arc<dyn Node>,
    ) -> eyre::Result<(Arc<dyn BlockValidator>, Option<Arc<dyn Accuser>>)> {
        let rollup = &self.rollup;
        if rollup.l1.is_empty() {
            return Ok((Arc::new(following), None));
        }
        let config = self.specs.rollup_of(rollup.chain_id)?;
        let rules = l1_rules(
            &self.specs,
            rollup.l1_genesis.as_deref(),
            config.l1_chain_id,
        )?;
        let urls: Vec<Url> = rollup.l1.iter().map(|it| it.0.clone()).collect();
        let rpc = self.rpc(&rollup.l1);
        let l1 = loop {
            match connect_l1(&urls, &rpc, config.l1_chain_id).await {
                Ok(l1) => break l1,
                Err(error) => warn!(
                    rollup = rollup.chain_id,
                    "no L1 yet, tried again: {error:#}"
                ),
            }
            tokio::time::sleep(RETRY).await;
        };
        let settlement = rollup
            .l1_depth
            .map_or(Settlement::Finalized, Settlement::Depth);
        let rollup = RollupRules::new(config, self.spec.clone(), rules);
        let validator = OpL1Validator::new(following, rollup, l1, Arc::clone(source));
        let validator = Arc::new(validator.with_settlement(settlement));
        Ok((Arc::clone(&validator) as _, Some(validator)))
    }

    fn rpc(&self, endpoints: &[Endpoint]) -> RpcArgs {
        let urls = endpoints.iter().map(|it| it.0.clone()).collect();
        let mut args = RpcArgs::of(urls, self.rollup.rpc_rate);
        args.witness = self.rollup.witness;
        args.agree = self.rollup.agree;
        args
    }

    /// Goes on behind what an earlier process has verified, until the end.
    async fn verify(
        &self,
        parts: Parts,
        sink: impl AlertSink,
        shutdown: tokio_util::sync::CancellationToken,
    ) -> eyre::Result<()> {
        let rollup = &self.rollup;
        let start = match rollup.start {
            Start::Latest => None,
            Start::At(number) => Some(number),
        };
        let verified = VerifiedBlocks::new(self.store.clone(), rollup.chain_id, start);
        let trusted = loop {
            match verified.resume(&parts.source).await {
                Ok(trusted) => break trusted,
                Err(error) if error.is_transient() => {
                    warn!(rollup = rollup.chain_id, "{:#}", eyre::Report::new(error));
                }
                Err(error) => {
                    let advice = "set another `start` for the rollup";
                    return Err(eyre::Report::new(error).wrap_err(advice));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        };
        let first = match start {
            _ if !trusted.is_empty() => 0,
            Some(number) => number,
            None => loop {
                match parts.source.head(rollup.head.into()).await {
                    Ok(head) => break head.number,
                    Err(error) => {
                        warn!(rollup = rollup.chain_id, "{:#}", eyre::Report::new(error));
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = shutdown.cancelled() => return Ok(()),
                }
            },
        };
        let config = VerifierConfig {
            head: rollup.head.into(),
            poll_interval: rollup.poll_interval.0,
            ..VerifierConfig::new(first)
        };
        let verifier = Verifier::new(parts.source, parts.validator, sink, config).behind(trusted);
        let status = verifier.status();
        (self.watched.status.set(status.clone()).ok()).ok_or_eyre("started twice")?;
        let run = async move {
            verifier.run(shutdown).await;
            // The last look at its status comes with its end.
            drop(verifier);
        };
        tokio::join!(run, verified.keep(status));
        parts.bundles.finished().await;
        Ok(())
    }
}
