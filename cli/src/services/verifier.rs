//! `mach-cli verifier run`.

use async_trait::async_trait;
use mach_core::{
    Alert,
    ports::{AlertSink, SinkError},
};
use mach_node::metrics::Metrics;
use tracing::error;

use super::{
    health::{self, Probe},
    lifecycle::{Lifecycle, open_store},
    rollup,
};
use crate::{config::Config, outcome::Outcome};

pub(super) async fn run(config: &Config) -> eyre::Result<Outcome> {
    let store = open_store(config, "verifier").await?;
    let mut life = Lifecycle::new()?;
    let metrics = Metrics::new()?;
    metrics.install();
    let rollups = rollup::start(&config.rollups, &store, &mut life, &metrics, |_| Told)?;
    let probe = Probe::store(&mut life, store);
    let services = vec![
        health::process("keeps what it found: the store takes rows", vec![probe]),
        health::verifiers(rollups),
    ];
    metrics.watch_services(services.clone());
    if let Some(address) = config.verifier.node_api {
        let api = health::node_api(&config.operator.name, services);
        life.serve("node API", api.router(), address).await?;
    }
    if let Some(address) = config.metrics.verifier {
        life.serve("metrics", metrics.router(), address).await?;
    }
    life.run().await
}

/// A verifier without a key says what it finds in its log; the evidence is kept.
struct Told;

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
        Ok(())
    }
}
