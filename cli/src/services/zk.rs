//! ZK mode, beside the verifiers of the same process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{ChainId, U256};
use alloy_provider::Provider;
use eyre::{OptionExt, WrapErr, ensure, eyre};
use mach_contracts_bindings::{Submitter, http_provider, zk::ZkServiceManager};
use mach_node::{
    metrics::{self, Metrics},
    node_api::Service,
    store::RedbStore,
    zk::{L1ZkContract, RollupChain, ZkContract, ZkMode, ZkStatus, check_backend, program_of},
};
use mach_prove::{BackendName, Native, ProcessBackend, Program, ProofBackend};
use mach_verify::EvidenceFolder;
use tracing::{info, warn};

use super::{
    account::{Account, submitter},
    lifecycle::Lifecycle,
};
use crate::{
    args::ChainArgs,
    config::{self, Config, Rollup},
    l1,
    spec::Specs,
};

/// Between two looks at L1.
const TEND_INTERVAL: Duration = Duration::from_secs(12);
/// Of these looks, those at which bonds are collected: at the start, and every hour.
const COLLECT_TICKS: u32 = 300;

/// ZK mode at work.
#[derive(Clone)]
pub(super) struct Zk {
    /// By the rollup that the contract of each is about.
    modes: BTreeMap<ChainId, ZkMode<RedbStore>>,
}

impl Zk {
    /// What the alerts about a rollup go to.
    pub(super) fn of(&self, rollup: ChainId) -> Option<ZkMode<RedbStore>> {
        self.modes.get(&rollup).cloned()
    }

    /// As a service of the node API.
    pub(super) fn service(&self) -> Service {
        let zk = self.clone();
        Service {
            id: "ServiceZkMode",
            name: "ZK mode",
            description: "shows wrong blocks to a contract, with proofs: no case is stuck",
            is_vital: false,
            state: Arc::new(move || zk.status().state()),
        }
    }

    fn status(&self) -> ZkStatus {
        self.modes.values().map(ZkMode::status).sum()
    }
}

/// Starts it, if contracts for it are configured: one for a rollup.
///
/// Errors: it is not configured well enough to begin, or its proofs would be of no use.
pub(super) async fn start(
    config: &Config,
    store: &RedbStore,
    life: &mut Lifecycle,
    metrics: &Metrics,
) -> eyre::Result<Option<Zk>> {
    let settings = &config.zk;
    if settings.service_manager.is_empty() {
        return Ok(None);
    }
    let backend = backend(settings)?;
    // Before L1 is asked for anything.
    check_backend(&*backend).await.wrap_err("zk.backend")?;
    if let Some(wrong) = settings.wrong() {
        eyre::bail!("{wrong}");
    }
    let url = config.l1.rpc.as_ref().ok_or_eyre("l1.rpc is not set")?;
    let l1 = l1::L1::connect(&url.0).await.wrap_err("l1.rpc")?;
    let provider = metrics::counted(&l1.provider).await;
    let account = Account {
        section: "zk",
        key: settings.ecdsa_key.as_deref(),
        password_file: settings.ecdsa_password_file.as_deref(),
        web3signer: settings.web3signer.as_ref(),
        address: settings.address,
    };
    let folder = &config.store.folder;
    let wallet = account.wallet().await?;
    let submitter = Arc::new(submitter(folder, l1.chain_id, &provider, wallet).await?);
    let mut zk = Zk {
        modes: BTreeMap::new(),
    };
    let mut watched = Vec::new();
    for manager in &settings.service_manager {
        let client = ZkServiceManager::new(provider.clone(), *manager);
        let contract = L1ZkContract::connect(client, Arc::clone(&submitter)).await;
        let contract = contract
            .map_err(|error| l1.told(&error))
            .wrap_err_with(|| {
                format!("zk.service_manager: {manager} is no MachZkServiceManager that can be read")
            })?;
        let about = contract.rollup();
        let rollup = (config.rollups.iter()).find(|it| about == U256::from(it.chain_id));
        let rollup = rollup.ok_or_else(|| {
            eyre!("zk.service_manager is about rollup {about}, which is none of [[rollup]]")
        })?;
        ensure!(
            !zk.modes.contains_key(&rollup.chain_id),
            "zk.service_manager: two of them are about rollup {about}"
        );
        let contract = Arc::new(of_rollup(contract, rollup, settings)?);
        warn_of_what_does_not_count(&contract, &*backend, rollup).await?;
        let mode = ZkMode::open(
            store.clone(),
            Arc::clone(&contract) as _,
            Arc::clone(&backend),
            Arc::new(EvidenceFolder::new(&rollup.evidence)),
            settings.config(),
        )
        .await?;
        info!(
            rollup = rollup.chain_id,
            service_manager = %contract.context().service_manager,
            account = %contract.context().prover,
            "ZK mode"
        );
        let (running, shutdown) = (mode.clone(), life.shutdown.clone());
        life.helpers
            .spawn(async move { running.run(shutdown).await });
        zk.modes.insert(rollup.chain_id, mode.clone());
        watched.push((contract, mode));
    }

    let shutdown = life.shutdown.clone();
    life.helpers.spawn(async move {
        tokio::select! {
            () = look_after(&submitter, &watched) => {}
            () = shutdown.cancelled() => {}
        }
    });
    let counted = zk.clone();
    metrics.watch(move || counted.status().record());
    Ok(Some(zk))
}

/// The contract with the nodes of its rollup.
fn of_rollup(
    contract: L1ZkContract,
    rollup: &Rollup,
    settings: &config::Zk,
) -> eyre::Result<L1ZkContract> {
    let mut nodes = Vec::new();
    for endpoint in &rollup.rpc {
        nodes.push(http_provider(endpoint.0.clone())?.erased());
    }
    let op_nodes = (rollup.op_node.as_ref())
        .map(|node| http_provider(node.0.clone()))
        .transpose()?;
    let op_nodes = op_nodes.map(|node| node.erased());
    Ok(contract
        .with_chain(RollupChain::new(nodes).with_op_nodes(op_nodes))
        .with_settlement(settings.settlement()))
}

/// Looks after what was sent and what is proposed, and has the bonds paid out that come back.
async fn look_after(submitter: &Submitter, watched: &[(Arc<L1ZkContract>, ZkMode<RedbStore>)]) {
    for tick in 0_u32.. {
        if let Err(error) = submitter.tend().await {
            let error = eyre::Report::new(error);
            warn!("transactions are not looked after: {error:#}");
        }
        for (contract, mode) in watched {
            let rollup = contract.rollup();
            if let Err(error) = contract.look(mode).await {
                let error = eyre::Report::new(error);
                warn!(%rollup, "what is proposed on L1 is not looked at: {error:#}");
            }
            if !tick.is_multiple_of(COLLECT_TICKS) {
                continue;
            }
            match contract.collect().await {
                Ok(amount) if amount.is_zero() => {}
                Ok(amount) => info!(%rollup, wei = %amount, "bonds are paid out"),
                Err(error) => {
                    let error = eyre::Report::new(error);
                    warn!(%rollup, "bonds are not paid out yet: {error:#}");
                }
            }
        }
        tokio::time::sleep(TEND_INTERVAL).await;
    }
}

fn backend(settings: &config::Zk) -> eyre::Result<Arc<dyn ProofBackend>> {
    let name = settings.backend.ok_or_eyre("zk.backend is not set")?;
    if name == BackendName::Native {
        return Ok(Arc::new(Native));
    }
    // A prover works in another folder than this one, maybe.
    let folder = std::path::absolute(&settings.folder)?;
    let mut backend = ProcessBackend::new(name, folder);
    if let Some(prover) = &settings.prover {
        backend = backend.with_prover(prover);
    }
    if let Some(limit) = settings.prover_memory {
        backend = backend.with_memory_limit(limit.0);
    }
    Ok(Arc::new(backend))
}

/// What the owner of the contract has yet to do; a case waits for it.
async fn warn_of_what_does_not_count(
    contract: &L1ZkContract,
    backend: &dyn ProofBackend,
    rollup: &Rollup,
) -> eyre::Result<()> {
    let specs = Specs::load(&ChainArgs {
        genesis: rollup.genesis.clone(),
        rollup_config: rollup.rollup_config.clone(),
    })?;
    let config_hash = specs.of(rollup.chain_id)?.hash();
    let program_id = program_of(backend, Program::Block).await?;
    if let Err(error) = contract
        .admit(Program::Block, program_id, config_hash)
        .await
    {
        let error = eyre::Report::new(error);
        warn!("no proof counts yet, and no alert is raised before one does: {error:#}");
    }
    Ok(())
}
