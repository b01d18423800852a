//! Finality for applications, beside the aggregator whose rounds it tells of.

use std::{sync::Arc, time::Duration};

use alloy_primitives::ChainId;
use async_trait::async_trait;
use mach_contracts_bindings::Probe;
use mach_core::{Confirmation, ports::BoxError};
use mach_node::{
    Aggregator, SETTLE_ALERTS, dashboard,
    finality::{
        Beside, EvidenceFolders, FeedConfig, FinalityConfig, FinalityIndex, Rounds, Standing,
        StandingAlerts, Verifiers, router_with, rpc_module,
    },
    http::{JsonRpcLimits, json_rpc},
    store::Store,
};
use mach_verify::source::{Quorum, RpcOptions, RpcSource};
use tracing::warn;
use url::Url;

use super::{chain::Chain, lifecycle::Lifecycle};
use crate::{
    config::{Config, Rollup},
    nodes::{more_than_half, reach},
};

/// Between two tries to reach the node of a rollup.
const RETRY: Duration = Duration::from_secs(5);
/// Between two looks at alerts on L1.
const ALERTS: Duration = Duration::from_secs(4);
/// Most of them that are read.
const MAX_ALERTS: u64 = 1_025;
/// What JSON-RPC puts up with: questions are short, rounds with many operators are not.
const CALLS: JsonRpcLimits = JsonRpcLimits {
    request: 1 << 20,
    response: 64 << 20,
    batch: 16,
};
/// Between two looks at what other instances did.
const OTHERS: Duration = Duration::from_millis(500);

/// The API, fed by the aggregator, by the nodes of the rollups, and by L1.
pub(super) async fn start(
    config: &Config,
    chain: &Chain,
    store: Arc<dyn Store>,
    aggregator: &Aggregator,
    life: &mut Lifecycle,
) -> eyre::Result<axum::Router> {
    let rollups = config.rollups.iter().map(|rollup| rollup.chain_id);
    let mut settings = FinalityConfig::new(chain.deployment.domain(), rollups);
    if let Some(blocks) = config.api.keep_blocks {
        settings.retain = blocks.get();
    }
    settings.shared = config.aggregator.postgres.as_ref().map(|_| OTHERS);
    let index = FinalityIndex::open(store, settings).await?;
    let (told, telling) = (index.clone(), aggregator.clone());
    let shutdown = life.shutdown.clone();
    life.helpers
        .spawn(async move { told.listen(&telling, shutdown).await });
    for rollup in config.rollups.iter().filter(|it| !it.rpc.is_empty()) {
        let (index, rollup) = (index.clone(), rollup.clone());
        let shutdown = life.shutdown.clone();
        life.helpers.spawn(async move {
            let Some(nodes) = shutdown.run_until_cancelled(connect(&rollup)).await else {
                return;
            };
            let feed = FeedConfig {
                poll_interval: rollup.poll_interval.0,
                ..FeedConfig::default()
            };
            index.follow(nodes, feed, shutdown).await;
        });
    }
    let (provider, address) = (chain.provider.clone(), chain.deployment.service_manager);
    let on_l1 = OnL1(Probe::read(provider, address).await?);
    let (watched, shutdown) = (index.clone(), life.shutdown.clone());
    let settle = config.api.settle_alerts.unwrap_or(SETTLE_ALERTS);
    life.helpers
        .spawn(async move { watched.watch_alerts(on_l1, ALERTS, settle, shutdown).await });
    let (shared, shutdown) = (index.clone(), life.shutdown.clone());
    life.helpers
        .spawn(async move { shared.watch_others(shutdown).await });
    let verifiers = Verifiers::new(verifiers(config)?)?;
    let (asked, shutdown) = (verifiers.clone(), life.shutdown.clone());
    life.helpers
        .spawn(async move { asked.watch(shutdown).await });
    let (rounds, leads) = (aggregator.clone(), aggregator.clone());
    let evidence = config.rollups.iter();
    let evidence = evidence.map(|rollup| (rollup.chain_id, rollup.evidence.clone()));
    let rounds = Rounds::new(move || rounds.rounds());
    let calls = json_rpc(rpc_module(index.clone(), Some(rounds.clone())), CALLS);
    let beside = Beside {
        rounds: Some(rounds),
        leads: Some(Arc::new(move || leads.leads())),
        evidence: EvidenceFolders::new(evidence),
        verifiers: Some(verifiers),
    };
    let api = router_with(index, beside);
    Ok(dashboard::router().merge(calls).merge(api))
}

/// Node APIs of those who verify: what is named, or what the same file has.
fn verifiers(config: &Config) -> eyre::Result<Vec<Url>> {
    if !config.api.verifiers.is_empty() {
        let named = config.api.verifiers.iter();
        return Ok(named.map(|endpoint| endpoint.0.clone()).collect());
    }
    let of_file = [config.operator.node_api, config.verifier.node_api];
    let of_file = of_file.into_iter().flatten();
    let urls = of_file.map(|address| Url::parse(&format!("http://{address}")));
    Ok(urls.collect::<Result<_, _>>()?)
}

/// The nodes of a rollup, as soon as they are there.
async fn connect(rollup: &Rollup) -> Quorum<RpcSource> {
    loop {
        match nodes(rollup).await {
            Ok(nodes) => return nodes,
            Err(error) => warn!(
                rollup = rollup.chain_id,
                "no node yet, tried again: {error:#}"
            ),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// As verifiers ask them, without the rules of the rollup: nothing is executed.
async fn nodes(rollup: &Rollup) -> eyre::Result<Quorum<RpcSource>> {
    let urls: Vec<_> = rollup.rpc.iter().map(|it| it.0.clone()).collect();
    let options = RpcOptions {
        requests_per_second: rollup.rpc_rate,
        ..RpcOptions::default()
    };
    let needed = rollup.agree.unwrap_or_else(|| more_than_half(urls.len()));
    let (chain_id, endpoints) = reach(&urls, &options, needed).await?;
    eyre::ensure!(chain_id == rollup.chain_id, "they are on chain {chain_id}");
    Ok(Quorum::new(needed, endpoints)?)
}

struct OnL1(Probe);

#[async_trait]
impl StandingAlerts for OnL1 {
    async fn standing(&self, rollup: ChainId) -> Result<Standing, BoxError> {
        let standing = self.0.standing(rollup, MAX_ALERTS).await?;
        let is_complete = (standing.alerts.len() as u64) < MAX_ALERTS;
        // Of alerts of the original's generations L1 keeps the hash alone, which names no block.
        let named = standing.alerts.into_iter().filter_map(|active| {
            let confirmation = Confirmation {
                digest: active.message_hash,
                transaction: None,
                l1_block: active.submitted_at?,
                gas_used: None,
            };
            Some((active.alert?, confirmation))
        });
        Ok(Standing {
            l1_block: standing.l1_block.number,
            alerts: named.collect(),
            is_complete,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};

    use mach_core::ports::L2Source;
    use mach_devnet::{Devnet, Lie};

    fn rollup(rest: &str) -> Rollup {
        let chain_id = mach_devnet::DevnetConfig::default().l2_spec().chain_id();
        toml::from_str(&format!("chain_id = {chain_id}\n{rest}")).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn blocks_are_what_enough_nodes_say_and_one_may_go() {
        let (devnet, liar) = (Devnet::new().unwrap(), Devnet::new().unwrap());
        liar.sequencer().lie_next(Lie::GasUsed);
        for devnet in [&devnet, &liar] {
            devnet.sequencer().produce().unwrap();
        }
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let (first, second) = (devnet.serve(any, any).await, devnet.serve(any, any).await);
        let (first, second) = (first.unwrap(), second.unwrap());
        let lying = liar.serve(any, any).await.unwrap();
        let [lie, one, two] = [&lying, &first, &second].map(|it| it.l2.http_url());
        let honest = RpcSource::connect(one.parse().unwrap()).await.unwrap();
        let expected = L2Source::block(&honest, 1).await.unwrap().hash();

        let all = rollup(&format!("rpc = [{lie:?}, {one:?}, {two:?}]"));
        let nodes = connect(&all).await;
        let block = L2Source::block(&nodes, 1).await.unwrap();
        assert_eq!(block.hash(), expected);

        let any_of_two = rollup(&format!("rpc = [{one:?}, {two:?}]\nagree = 1"));
        let nodes = connect(&any_of_two).await;
        drop(first);
        let block = L2Source::block(&nodes, 1).await.unwrap();
        assert_eq!(block.hash(), expected);
    }
}
