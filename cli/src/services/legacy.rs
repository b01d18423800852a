//! The original's interfaces, where they are asked for.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use eyre::{OptionExt, WrapErr};
use mach_contracts_bindings::{ContractAlerts, Probe};
use mach_core::{
    BlockRef,
    legacy::LegacyAlert,
    ports::{AlertSink, BlockValidator},
};
use mach_node::{
    legacy::{
        AlertAnswer, AlertRefusal, Deployment, DigestRule, LegacyAlerts, LegacyConfig, Recheck,
        TaskAggregator, VirtualHosts, aggregator_grpc, aggregator_rpc,
    },
    store::Store,
};
use tracing::info;

use super::{account::submitter, chain::Chain, lifecycle::Lifecycle};
use crate::{
    config::{Config, Rollup},
    l1,
    nodes::Node,
};

/// What verifiers of the original say, looked at by the verifiers of this process. A rollup is there
/// as soon as its nodes are.
#[derive(Clone, Default)]
pub(super) struct Rechecks(Arc<RwLock<BTreeMap<String, Arc<Recheck>>>>);

impl Rechecks {
    pub(super) fn add(
        &self,
        rollup: &Rollup,
        source: Arc<dyn Node>,
        validator: Arc<dyn BlockValidator>,
        sink: impl AlertSink + 'static,
    ) {
        let name = rollup.avs_name();
        let recheck = Recheck::new().with_rollup(&*name, source, validator, sink);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name, Arc::new(recheck));
    }

    fn find(&self, avs: &str) -> Option<Arc<Recheck>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(avs).cloned()
    }
}

#[async_trait]
impl LegacyAlerts for Rechecks {
    async fn alert(&self, avs: &str, alert: &LegacyAlert) -> Result<AlertAnswer, AlertRefusal> {
        match self.find(avs) {
            Some(recheck) => recheck.alert(avs, alert).await,
            None => Err(AlertRefusal::Refused(
                "its rollup is not verified here".into(),
            )),
        }
    }

    async fn alive(&self, avs: &str, block: BlockRef) {
        info!(avs, %block, "verifier lives");
    }
}

/// The original's aggregator beside ours. It pays with an account of its own, the alert confirmer of
/// the service manager.
pub(super) async fn aggregator(
    config: &Config,
    chain: &Chain,
    store: Arc<dyn Store>,
    life: &mut Lifecycle,
) -> eyre::Result<()> {
    let settings = &config.aggregator;
    let (rpc, grpc) = (settings.legacy_listen, settings.legacy_grpc_listen);
    if rpc.is_none() && grpc.is_none() {
        return Ok(());
    }
    let [rollup] = config.rollups.as_slice() else {
        eyre::bail!("aggregator.legacy_listen: the original's aggregator is about one rollup");
    };
    let key = settings.legacy_ecdsa_key.as_ref();
    let key = key.ok_or_eyre("aggregator.legacy_ecdsa_key is not set: the alert confirmer's")?;
    let password_file = settings.legacy_ecdsa_password_file.as_deref();
    let wallet = l1::ecdsa_with(key, password_file)?.into();
    let (folder, l1_chain_id) = (&config.store.folder, chain.deployment.l1_chain_id);
    let submitter = submitter(folder, l1_chain_id, &chain.provider, wallet).await?;
    let manager = chain.deployment.service_manager;
    let probe = Probe::read(chain.provider.clone(), manager).await?;
    let digest = if probe.generation.has_rollups() {
        DigestRule::V2(rollup.chain_id)
    } else {
        DigestRule::V1
    };
    let retriever = chain.deployment.operator_state_retriever;
    let deployment = Deployment {
        layer1_chain_id: u32::try_from(chain.deployment.l1_chain_id).wrap_err("chain id of L1")?,
        layer2_chain_id: u32::try_from(rollup.chain_id).wrap_err("chain id of the rollup")?,
        operator_state_retriever: retriever,
        registry_coordinator: chain.deployment.registry_coordinator,
    };
    let tasks = TaskAggregator::new(
        store,
        chain.registry(&config.store.folder).await?,
        chain.head.clone(),
        ContractAlerts::new(submitter, &probe, retriever, rollup.chain_id),
        LegacyConfig {
            reference_margin: settings.reference_margin,
            ..LegacyConfig::new(
                deployment,
                digest,
                chain.terms.quorums.clone(),
                chain.terms.thresholds.clone(),
            )
        },
    );
    let (shutdown, running) = (life.shutdown.clone(), tasks.clone());
    life.helpers
        .spawn(async move { running.run(shutdown).await });
    let tasks = Arc::new(tasks);
    if let Some(address) = rpc {
        let hosts: VirtualHosts = settings.legacy_hosts.iter().collect();
        let router = aggregator_rpc(tasks.clone(), hosts, &settings.legacy_origins);
        life.serve("the original's aggregator", router, address)
            .await?;
    }
    if let Some(address) = grpc {
        life.serve(
            "the original's aggregator over gRPC",
            aggregator_grpc(tasks),
            address,
        )
        .await?;
    }
    Ok(())
}
