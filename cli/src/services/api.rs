//! Finality for applications, beside the aggregator whose rounds it tells of.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mach_contracts_bindings::ServiceManager;
use mach_core::{
    Alert,
    ports::{BoxError, L2Source},
};
use mach_node::{
    Aggregator, dashboard,
    finality::{FeedConfig, FinalityConfig, FinalityIndex, StandingAlerts, router},
    store::Store,
};
use mach_verify::source::{RpcOptions, RpcSource};
use tracing::warn;

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
    store: Arc<dyn Store>,
    aggregator: &Aggregator,
    life: &mut Lifecycle,
) -> eyre::Result<axum::Router> {
    let rollups = config.rollups.iter().map(|rollup| rollup.chain_id);
    let settings = FinalityConfig::new(chain.deployment.domain(), rollups);
    let index = FinalityIndex::open(store, settings).await?;
    let (told, telling) = (index.clone(), aggregator.clone());
    let shutdown = life.shutdown.clone();
    life.helpers
        .spawn(async move { told.listen(&telling, shutdown).await });
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
    let api = router(index, Some(Arc::new(move || rounds.rounds())));
    Ok(dashboard::router().merge(api))
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

struct OnL1(ServiceManager);

#[async_trait]
impl StandingAlerts for OnL1 {
    async fn is_standing(&self, alert: &Alert) -> Result<bool, BoxError> {
        Ok(self.0.stands(&alert.clone().into()).await?)
    }
}
