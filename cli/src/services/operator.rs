//! `mach-cli operator run`.

use std::{sync::Arc, time::Duration};

use eyre::{OptionExt, WrapErr};
use mach_bls::{LocalSigner, ValidKey};
use mach_contracts_bindings::{ContractRegistry, ServiceManager};
use mach_core::{
    QuorumNumbers, Threshold,
    ports::{OperatorRegistry, SignatureAggregator, StatementSigner},
};
use mach_node::{
    L1Head, Operator, OperatorConfig, Outbox, OutboxConfig, RetryPolicy, StoredGuard, TermsPolicy,
    legacy::{LegacyAvs, LegacyNode, verifier_router},
    metrics::{self, Metrics},
    node_api::Service,
    rpc::RemoteAggregator,
    signers::{CerberusConfig, CerberusSigner},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use zeroize::Zeroizing;

use super::{
    chain::Chain,
    health::{self, Probe},
    legacy::Rechecks,
    lifecycle::{Lifecycle, open_store},
    rollup,
};
use crate::{config::Config, l1, outcome::Outcome};

/// Between two looks at the stake of the operator.
const STAKE_INTERVAL: Duration = Duration::from_secs(300);

pub(super) async fn run(config: &Config) -> eyre::Result<Outcome> {
    let settings = &config.operator;
    eyre::ensure!(
        !settings.aggregators.is_empty(),
        "operator.aggregators is not set"
    );
    let store = open_store(config, "operator").await?;
    let metrics = Metrics::new()?;
    metrics.install();
    let chain = Chain::connect(&config.l1).await?;
    let registry = Arc::new(chain.registry(&config.store.folder).await?);
    let signer = signer(config, &chain, &registry).await?;
    let mut life = Lifecycle::new()?;

    let mut aggregators: Vec<Arc<dyn SignatureAggregator>> = Vec::new();
    for endpoint in &settings.aggregators {
        let aggregator = RemoteAggregator::new(endpoint.0.as_str());
        let aggregator = aggregator.wrap_err_with(|| endpoint.to_string())?;
        aggregators.push(Arc::new(aggregator));
    }
    let least = chain.terms.thresholds.iter().min().copied();
    let least = match settings.least_threshold {
        Some(percent) => Some(Threshold::percent(percent).wrap_err("operator.least_threshold")?),
        None => least,
    };
    let contract_age = chain.terms.max_reference_block_age.into();
    let operator_config = OperatorConfig {
        domain: chain.deployment.domain(),
        attest_every: None,
        terms: TermsPolicy {
            quorums: chain.terms.quorums.clone(),
            least_threshold: least.ok_or_eyre("the service manager asks for no quorum")?,
            max_age: settings.max_reference_age.unwrap_or(contract_age),
        },
        retry: RetryPolicy::default(),
    };
    let operator_id = signer.operator();
    info!(operator = %operator_id, "operator");
    let operator = Operator::new(
        signer,
        StoredGuard::new(store.clone()),
        aggregators,
        chain.head.clone(),
        operator_config,
    );
    let outbox_config = OutboxConfig {
        resend_for: settings.resend_for.0,
        ..OutboxConfig::default()
    };
    let (manager, provider) = (chain.deployment.service_manager, chain.provider.clone());
    let on_l1 = Arc::new(ServiceManager::connect(provider, manager).await?);
    let outbox = Outbox::open(store.clone(), operator, Some(on_l1), outbox_config).await?;
    let rechecks = Rechecks::default();
    let (speaking, looked_at) = (outbox.clone(), rechecks.clone());
    let rollups = rollup::start(
        &config.rollups,
        &store,
        &mut life,
        &metrics,
        |rollup| outbox.sink(rollup.attest_every),
        move |rollup, parts| {
            let (source, validator) = (parts.source.clone(), parts.validator.clone());
            looked_at.add(rollup, source, validator, speaking.sink(None));
        },
    )?;
    if let Some(address) = settings.verifier_listen {
        let avs = config.rollups.iter().map(|rollup| LegacyAvs {
            name: rollup.avs_name(),
            contract: chain.deployment.service_manager,
            operator: operator_id,
            address: settings.address.unwrap_or_default(),
            config: None,
        });
        let node = LegacyNode {
            name: settings.name.clone(),
            avs: avs.collect(),
        };
        let router = verifier_router(node, Arc::new(rechecks));
        life.serve("verifier API", router, address).await?;
    }

    let sending = (outbox.clone(), life.shutdown.clone());
    life.helpers
        .spawn(async move { sending.0.run(sending.1).await });
    let counted = outbox.clone();
    metrics.watch_outbox(move || counted.status());
    let stakes = Stakes {
        registry,
        head: chain.head.clone(),
        quorums: chain.terms.quorums.clone(),
    };
    let shutdown = life.shutdown.clone();
    life.helpers
        .spawn(async move { stakes.watch(operator_id, shutdown).await });

    let probes = vec![
        Probe::l1(&mut life, chain.head.clone()),
        Probe::store(&mut life, store),
    ];
    let reached = Probe::endpoints(&mut life, settings.aggregators.clone());
    let services = vec![
        health::process(
            "signs what it verified: L1 answers, the store takes rows",
            probes,
        ),
        Service {
            id: "ServiceOperatorAggregator",
            name: "Aggregator",
            description: "an aggregator is reached",
            is_vital: false,
            state: Arc::new(move || reached.state()),
        },
        health::verifiers(rollups.clone()),
    ];
    metrics.watch_services(services.clone());
    if let Some(address) = settings.node_api {
        let api = health::node_api(&settings.name, services, rollups);
        life.serve("node API", api, address).await?;
    }
    if let Some(address) = config.metrics.operator {
        life.serve("metrics", metrics.router(), address).await?;
    }
    life.run().await
}

/// The key in its file, or with a remote signer.
async fn signer(
    config: &Config,
    chain: &Chain,
    registry: &ContractRegistry,
) -> eyre::Result<Box<dyn StatementSigner>> {
    let settings = &config.operator;
    let password_file = settings.bls_password_file.as_deref();
    let Some(url) = &settings.cerberus else {
        let path = settings.bls_key.as_ref();
        let path = path.ok_or_eyre("operator.bls_key is not set")?;
        let key = l1::bls_with(path, password_file)?;
        return Ok(Box::new(LocalSigner::new(key)));
    };
    let address = settings.address.ok_or_eyre("operator.address is not set")?;
    let head = chain.head.block_number().await;
    let head = head.map_err(|error| eyre::eyre!("{error}"))?;
    let reference_block = u32::try_from(head.saturating_sub(1))?;
    let set = registry
        .operator_set(&chain.terms.quorums, reference_block)
        .await?;
    let mut operators = set.operators();
    let found = operators.find(|(_, operator)| operator.address == address);
    let (_, operator) = found.ok_or_else(|| eyre::eyre!("{address} is not registered"))?;
    let key = ValidKey::from_registry(&operator.key_g1, &operator.key_g2)?;
    let text = |name| std::env::var(name).ok().map(Zeroizing::new);
    let password = match password_file {
        Some(path) => {
            let read =
                std::fs::read_to_string(path).wrap_err_with(|| path.display().to_string())?;
            Some(Zeroizing::new(
                read.trim_end_matches(['\r', '\n']).to_owned(),
            ))
        }
        None => text("OPERATOR_BLS_KEY_PASSWORD"),
    };
    let authority = settings.cerberus_authority.as_ref();
    let signer = CerberusSigner::new(CerberusConfig {
        url: url.0.to_string(),
        key,
        password,
        api_key: text("CERBERUS_API_KEY"),
        authority: authority.map(std::fs::read).transpose()?,
    })?;
    Ok(Box::new(signer))
}

/// Looks at the operator's stake.
struct Stakes {
    registry: Arc<dyn OperatorRegistry>,
    head: Arc<mach_node::ProviderHead>,
    quorums: QuorumNumbers,
}

impl Stakes {
    async fn watch(&self, operator: mach_core::OperatorId, shutdown: CancellationToken) {
        loop {
            if let Err(error) = self.look(operator).await {
                debug!("the stake is not known: {error:#}");
            }
            tokio::select! {
                () = tokio::time::sleep(STAKE_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn look(&self, operator: mach_core::OperatorId) -> eyre::Result<()> {
        let head = self.head.block_number().await;
        let head = head.map_err(|error| eyre::eyre!("{error}"))?;
        let reference_block = u32::try_from(head.saturating_sub(1))?;
        let set = self
            .registry
            .operator_set(&self.quorums, reference_block)
            .await?;
        for quorum in self.quorums.as_bytes() {
            let stake = set.stake(*quorum, &operator);
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::set_stake(*quorum, stake.map_or(0, |stake| stake.weight()) as f64);
        }
        Ok(())
    }
}
