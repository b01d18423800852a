//! `mach-cli verifier run`.

use std::sync::Arc;

use alloy_provider::{Provider, RootProvider};
use async_trait::async_trait;
use futures::future::join_all;
use mach_contracts_bindings::http_provider;
use mach_core::{
    Alert,
    ports::{AlertSink, SinkError},
};
use mach_node::metrics::Metrics;
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
        .transpose()?
        .map(|node| Arc::new(Operator(node)) as Arc<dyn AlertSink>);
    let zk = zk::start(config, &store, &mut life, &metrics).await?;
    let rollups = rollup::start(
        &config.rollups,
        &store,
        &mut life,
        &metrics,
        |rollup| {
            let zk = zk.as_ref().and_then(|zk| zk.of(rollup.chain_id));
            let zk = zk.map(|zk| Arc::new(zk) as Arc<dyn AlertSink>);
            Told(operator.clone().into_iter().chain(zk).collect())
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
/// contract that believes proofs. Each of them hears of it, whatever becomes of it at the others.
struct Told(Vec<Arc<dyn AlertSink>>);

#[async_trait]
impl AlertSink for Told {
    /// Errors: as of the sinks, and first of all one after which a later try may succeed.
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
        let told = join_all(self.0.iter().map(|sink| sink.raise(alert))).await;
        let failures = told.into_iter().filter_map(Result::err);
        failures
            .max_by_key(SinkError::is_transient)
            .map_or(Ok(()), Err)
    }
}

/// An operator, by the call of the original.
struct Operator(RootProvider);

#[async_trait]
impl AlertSink for Operator {
    async fn raise(&self, alert: &Alert) -> Result<(), SinkError> {
        let params = json!([{
            "invalid_output_root": alert.claimed,
            "expect_output_root": alert.computed,
            "l2_block_number": alert.block.number,
        }]);
        let answer: Result<Value, _> = (self.0)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use alloy_primitives::B256;
    use mach_core::{AlertKind, BlockRef};

    use super::*;

    /// Counts, and does not take it.
    struct Failing {
        heard: AtomicUsize,
        error: Option<fn() -> SinkError>,
    }

    impl Failing {
        fn with(error: Option<fn() -> SinkError>) -> Arc<Self> {
            let heard = AtomicUsize::new(0);
            Arc::new(Self { heard, error })
        }
    }

    #[async_trait]
    impl AlertSink for Failing {
        async fn raise(&self, _alert: &Alert) -> Result<(), SinkError> {
            self.heard.fetch_add(1, SeqCst);
            self.error.map_or(Ok(()), |error| Err(error()))
        }
    }

    fn alert() -> Alert {
        Alert {
            kind: AlertKind::InvalidBlock,
            rollup_chain_id: 901,
            block: BlockRef {
                number: 3,
                hash: B256::repeat_byte(3),
            },
            rule: 4,
            claimed: B256::repeat_byte(1),
            computed: B256::repeat_byte(2),
        }
    }

    /// Neither ZK mode nor the operator is kept from it by the other, and what failed is tried again.
    #[tokio::test]
    async fn whatever_one_sink_says_the_others_hear_of_it() {
        let backend: fn() -> SinkError = || SinkError::Backend("full".into());
        let refused: fn() -> SinkError = || SinkError::Refused("no".into());
        for (errors, is_transient) in [
            ([None, None], None),
            ([Some(backend), None], Some(true)),
            ([None, Some(backend)], Some(true)),
            ([Some(backend), Some(refused)], Some(true)),
            ([Some(refused), Some(backend)], Some(true)),
            ([Some(refused), None], Some(false)),
        ] {
            let sinks = errors.map(Failing::with);
            let told = Told(sinks.iter().map(|it| Arc::clone(it) as _).collect());
            let failure = told.raise(&alert()).await.err();
            assert_eq!(failure.map(|error| error.is_transient()), is_transient);
            assert!(sinks.iter().all(|sink| sink.heard.load(SeqCst) == 1));
        }
    }

    #[tokio::test]
    async fn a_sink_that_does_not_answer_keeps_no_other_from_hearing_of_it() {
        struct Mute;
        #[async_trait]
        impl AlertSink for Mute {
            async fn raise(&self, _alert: &Alert) -> Result<(), SinkError> {
                std::future::pending().await
            }
        }
        let other = Failing::with(None);
        let told = Told(vec![Arc::new(Mute), Arc::clone(&other) as _]);
        let alert = alert();
        let raised = tokio::time::timeout(std::time::Duration::from_millis(50), told.raise(&alert));
        assert!(raised.await.is_err());
        assert_eq!(other.heard.load(SeqCst), 1);
    }
}
