//! `mach-cli verifier run`.

use alloy_provider::{Provider, RootProvider};
use async_trait::async_trait;
use mach_contracts_bindings::http_provider;
use mach_core::{
    Alert,
    ports::{AlertSink, SinkError},
};
use mach_node::{metrics::Metrics, store::RedbStore, zk::ZkMode};
use serde_json::{Value, json};
use tracing::error;

use super::{
    health::{self, Probe},
    lifecycle::{Lifecycle, open_store},
    rollup, zk,
};
use crate::{config::Config, outcome::Outcome};

pub(super) async fn run(config: &Config) -> eyre::Result<Outcome> {
    let store = open_store(config, "verifier").await?;
    let mut life = Lifecycle::new()?;
    let metrics = Metrics::new()?;
    metrics.install();
    let operator = config.verifier.operator.as_ref();
    let operator = operator
        .map(|url| http_provider(url.0.clone()))
        .transpose()?;
    let zk = zk::start(config, &store, &mut life, &metrics).await?;
    let rollups = rollup::start(
        &config.rollups,
        &store,
        &mut life,
        &metrics,
        |rollup| Told {
            operator: operator.clone(),
            zk: (zk.as_ref()).and_then(|zk| zk.of(rollup.chain_id)),
        },
        |_, _| {},
    )?;
    let probe = Probe::store(&mut life, store);
    let mut services = vec![
        health::process("keeps what it found: the store takes rows", vec![probe]),
        health::verifiers(rollups.clone()),
    ];
    services.extend(zk.as_ref().map(zk::Zk::service));
    metrics.watch_services(services.clone());
    if let Some(address) = config.verifier.node_api {
        let name = config.verifier.name.as_ref();
        let name = name.unwrap_or(&config.operator.name);
        let api = health::node_api(name, services, rollups);
        life.serve("node API", api, address).await?;
    }
    if let Some(address) = config.metrics.verifier {
        life.serve("metrics", metrics.router(), address).await?;
    }
    life.run().await
}

/// Code of an operator whose alert stands already.
const FINISHED: i64 = 2;

/// A verifier without a BLS key says what it finds in its log, to an operator if it has one, and to a
/// contract that believes proofs.
struct Told {
    operator: Option<RootProvider>,
    zk: Option<ZkMode<RedbStore>>,
}

#[async_trait]
impl AlertSink for Told {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        error!(
            rollup = alert.rollup_chain_id,
            block = %alert.block,
            kind = ?alert.kind,
            rule = alert.rule,
            claimed = %alert.claimed,
            computed = %alert.computed,
            "invalid block"
        );
        if let Some(zk) = &self.zk {
            zk.raise(alert).await?;
        }
        let Some(operator) = &self.operator else {
            return Ok(());
        };
        let params = json!([{
            "invalid_output_root": alert.claimed,
            "expect_output_root": alert.computed,
            "l2_block_number": alert.block.number,
        }]);
        let answer: Result<Value, _> = operator
            .raw_request("alert_blockMismatch".into(), params)
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.as_error_resp().is_some_and(|it| it.code == FINISHED) => Ok(()),
            // Its node may be the one that is behind.
            Err(error) => Err(SinkError::Backend(error.into())),
        }
    }
}
