//! ZK mode, beside the verifiers of the same process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{ChainId, U256};
use alloy_provider::Provider;
use eyre::{OptionExt, WrapErr, ensure, eyre};
use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
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
    config::{self, Config, Rollup},
    l1,
    spec::Specs,
};

/// Between two looks at L1.
const TEND_INTERVAL: Duration = Duration::from_secs(12);
/// Between two times that bonds are collected, of which the first is at the start.
const COLLECT_INTERVAL: Duration = Duration::from_secs(3600);
/// How long any of this may take at a time.
const CARE_WITHIN: Duration = Duration::from_secs(120);

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
    let l1 = l1::L1::connect(&url.0).await?;
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
    let mut cares = vec![tending(Arc::clone(&submitter))];
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
        cares.push(looking(Arc::clone(&contract), mode));
        cares.push(collecting(contract));
    }

    let shutdown = life.shutdown.clone();
    life.helpers.spawn(async move {
        tokio::select! {
            () = look_after(cares) => {}
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

/// Something to do again and again.
struct Care {
    /// What is to be said when it is not done.
    not_done: String,
    every: Duration,
    act: Box<dyn Fn() -> BoxFuture<'static, eyre::Result<()>> + Send + Sync>,
}

impl Care {
    fn new<F>(
        not_done: impl Into<String>,
        every: Duration,
        act: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = eyre::Result<()>> + Send + 'static,
    {
        Self {
            not_done: not_done.into(),
            every,
            act: Box::new(move || act().boxed()),
        }
    }

    /// What fails, or does not end in its time, is told and done again.
    async fn take(self) {
        loop {
            let done = tokio::time::timeout(CARE_WITHIN, (self.act)()).await;
            let late = || eyre!("it has not ended in {} seconds", CARE_WITHIN.as_secs());
            if let Err(error) = done.unwrap_or_else(|_| Err(late())) {
                warn!("{}: {error:#}", self.not_done);
            }
            tokio::time::sleep(self.every).await;
        }
    }
}

/// Takes care of each by itself, so that none waits for another's node.
async fn look_after(cares: Vec<Care>) {
    join_all(cares.into_iter().map(Care::take)).await;
}

fn tending(submitter: Arc<Submitter>) -> Care {
    Care::new(
        "transactions are not looked after",
        TEND_INTERVAL,
        move || {
            let submitter = Arc::clone(&submitter);
            async move { Ok(submitter.tend().await.map(drop)?) }
        },
    )
}

fn looking(contract: Arc<L1ZkContract>, mode: ZkMode<RedbStore>) -> Care {
    let not_done = format!(
        "what is proposed on L1 for rollup {} is not looked at",
        contract.rollup()
    );
    Care::new(not_done, TEND_INTERVAL, move || {
        let (contract, mode) = (Arc::clone(&contract), mode.clone());
        async move { Ok(contract.look(&mode).await?) }
    })
}

fn collecting(contract: Arc<L1ZkContract>) -> Care {
    let rollup = contract.rollup();
    let not_done = format!("bonds about rollup {rollup} are not paid out yet");
    Care::new(not_done, COLLECT_INTERVAL, move || {
        let contract = Arc::clone(&contract);
        async move {
            let amount = contract.collect().await?;
            if !amount.is_zero() {
                info!(%rollup, wei = %amount, "bonds are paid out");
            }
            Ok(())
        }
    })
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
    let (_, spec) = Specs::of_rollup(rollup)?;
    let config_hash = spec.hash();
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// A node that does not answer, of one rollup, and one that fails.
    #[tokio::test(start_paused = true)]
    async fn no_care_waits_for_another_and_none_for_ever() {
        let counts = [const { AtomicUsize::new(0) }; 3].map(Arc::new);
        let [hung, failed, done] = counts.clone();
        let every = Duration::from_secs(12);
        let cares = vec![
            Care::new("hung", every, move || {
                hung.fetch_add(1, SeqCst);
                std::future::pending()
            }),
            Care::new("failed", every, move || {
                failed.fetch_add(1, SeqCst);
                std::future::ready(Err(eyre!("L1 is away")))
            }),
            Care::new("done", every, move || {
                done.fetch_add(1, SeqCst);
                std::future::ready(Ok(()))
            }),
        ];
        let hour = Duration::from_secs(3590);
        let ended = tokio::time::timeout(hour, look_after(cares)).await;
        assert!(ended.is_err());
        let counts = counts.map(|count| count.load(SeqCst));
        // At once, and then every 12 seconds; or every 132, since it is left after 120.
        assert_eq!(counts, [28, 300, 300]);
    }
}
