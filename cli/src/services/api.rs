//! Finality for applications, beside the aggregator whose rounds it tells of.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mach_contracts_bindings::ServiceManager;
use mach_core::{
    Alert, Statement,
    ports::{BoxError, L2Source},
};
use mach_node::{
    Aggregator, QuorumView, RoundEvent, RoundView,
    finality::{
        FeedConfig, FinalityConfig, FinalityIndex, QuorumShare, RoundState, RoundSummary,
        StakeShare, StandingAlerts, router,
    },
    store::RedbStore,
};
use mach_verify::source::{RpcOptions, RpcSource};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tracing::{info, warn};

use super::{chain::Chain, lifecycle::Lifecycle};
use crate::config::{Config, Rollup};

/// Between two tries to reach the node of a rollup.
const RETRY: Duration = Duration::from_secs(5);
/// Between two looks at alerts on L1.
const ALERTS: Duration = Duration::from_secs(4);

/// The API, fed by the aggregator, by the nodes of the rollups, and by L1.
pub(super) async fn start(
    config: &Config,
    chain: &Chain,
    store: RedbStore,
    aggregator: &Aggregator,
    life: &mut Lifecycle,
) -> eyre::Result<axum::Router> {
    let rollups = config.rollups.iter().map(|rollup| rollup.chain_id);
    let settings = FinalityConfig::new(chain.deployment.domain(), rollups);
    let index = FinalityIndex::open(store, settings).await?;
    let (events, told) = (aggregator.events(), index.clone());
    life.helpers
        .spawn(async move { listen(&told, events).await });
    for rollup in config.rollups.iter().filter(|it| !it.rpc.is_empty()) {
        let (index, rollup) = (index.clone(), rollup.clone());
        let shutdown = life.shutdown.clone();
        life.helpers.spawn(async move {
            let Some(source) = shutdown.run_until_cancelled(connect(&rollup)).await else {
                return;
            };
            let feed = FeedConfig {
                poll_interval: rollup.poll_interval.0,
                ..FeedConfig::default()
            };
            index.follow(source, feed, shutdown).await;
        });
    }
    let manager = ServiceManager::connect(chain.provider.clone(), chain.deployment.service_manager);
    let (watched, manager, shutdown) = (index.clone(), manager.await?, life.shutdown.clone());
    life.helpers
        .spawn(async move { watched.watch_alerts(OnL1(manager), ALERTS, shutdown).await });
    let rounds = aggregator.clone();
    let rounds = move || rounds.rounds().iter().map(summary).collect();
    Ok(router(index, Some(Arc::new(rounds))))
}

async fn connect(rollup: &Rollup) -> RpcSource {
    let options = RpcOptions {
        requests_per_second: rollup.rpc_rate,
        ..RpcOptions::default()
    };
    loop {
        for endpoint in &rollup.rpc {
            match RpcSource::connect_with(endpoint.0.clone(), &options).await {
                Ok(source) if L2Source::chain_id(&source) == rollup.chain_id => return source,
                Ok(source) => warn!(
                    rollup = rollup.chain_id, %endpoint,
                    "is on chain {}", L2Source::chain_id(&source)
                ),
                Err(error) => {
                    let error = eyre::Report::new(error);
                    warn!(rollup = rollup.chain_id, %endpoint, "not reached: {error:#}");
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Tells the index what happens to the rounds, until there are none any more.
async fn listen(index: &FinalityIndex, mut events: Receiver<RoundEvent>) {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            // Certificates that were missed come again with their confirmation or the next start.
            Err(RecvError::Lagged(count)) => {
                info!(count, "events of rounds were missed");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let taken = match event {
            RoundEvent::Opened(view) | RoundEvent::Signed(view) => {
                index.signed(view.digest, &view.statement, share(&view));
                Ok(())
            }
            RoundEvent::Certified { certificate, .. } => index.certified(&certificate).await,
            RoundEvent::Confirmed { confirmation, .. } => index.confirmed(&confirmation).await,
            RoundEvent::Expired { digest } => {
                index.expired(digest);
                Ok(())
            }
        };
        if let Err(error) = taken {
            warn!(
                "the finality index does not take it: {:#}",
                eyre::Report::new(error)
            );
        }
    }
}

fn share(view: &RoundView) -> StakeShare {
    let percent = |it: &QuorumView| {
        let (signed, total) = (it.signed.weight(), it.total.weight());
        let percent = (signed.saturating_mul(100)).checked_div(total);
        u8::try_from(percent.unwrap_or_default()).unwrap_or(100)
    };
    let quorums = view.quorums.iter().map(|it| QuorumShare {
        quorum: it.quorum,
        signed: it.signed,
        total: it.total,
        threshold: it.threshold.value(),
    });
    StakeShare {
        percent: view.quorums.iter().map(percent).min().unwrap_or_default(),
        quorums: quorums.collect(),
    }
}

fn summary(view: &RoundView) -> RoundSummary {
    RoundSummary {
        digest: view.digest,
        rollup: view.statement.rollup_chain_id(),
        block: view.statement.block(),
        is_alert: matches!(view.statement, Statement::Alert(_)),
        reference_block: view.reference_block,
        stake: share(view),
        signers: view.signers.clone(),
        absent: view.absent.clone(),
        state: match view.state {
            mach_node::RoundState::Collecting => RoundState::Collecting,
            mach_node::RoundState::Certified => RoundState::Certified,
            mach_node::RoundState::Confirmed(_) => RoundState::Confirmed,
        },
    }
}

struct OnL1(ServiceManager);

#[async_trait]
impl StandingAlerts for OnL1 {
    async fn is_standing(&self, alert: &Alert) -> Result<bool, BoxError> {
        Ok(self.0.stands(&alert.clone().into()).await?)
    }
}
