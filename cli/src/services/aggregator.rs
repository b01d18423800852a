//! `mach-cli aggregator run`.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use alloy_network::{Ethereum, EthereumWallet, NetworkWallet};
use eyre::{OptionExt, WrapErr};
use mach_contracts_bindings::{
    ContractConfirmer, FileLog, LogError, SubmitError, SubmitPolicy, Submitter, Web3Signer,
};
use mach_node::{
    Aggregator, AggregatorConfig, InstanceConfig, Retention, ToL1, grpc,
    http::{HttpConfig, TlsConfig},
    metrics::Metrics,
    node_api::Service,
    rpc::aggregator_router,
    store::{PostgresStore, Store},
};
use tracing::{info, warn};

use super::{
    api,
    chain::Chain,
    health::{self, Probe},
    legacy,
    lifecycle::{Lifecycle, open_store},
};
use crate::{
    config::{self, Config},
    l1,
    outcome::Outcome,
};

/// Between two looks at what was sent to L1.
const TEND_INTERVAL: Duration = Duration::from_secs(12);

pub(super) async fn run(config: &Config) -> eyre::Result<Outcome> {
    let settings = &config.aggregator;
    eyre::ensure!(!config.rollups.is_empty(), "no [[rollup]] is configured");
    let store = store(config).await?;
    let metrics = Metrics::new()?;
    metrics.install();
    let chain = Chain::connect(&config.l1).await?;
    let mut life = Lifecycle::new()?;

    let confirmer = Arc::new(confirmer(config, &chain).await?);
    let aggregator_config = AggregatorConfig {
        reference_margin: settings.reference_margin,
        max_rounds: settings.max_rounds,
        round_lifetime: settings.round_lifetime.0,
        confirm: match (
            settings.confirm_every,
            NonZeroU64::new(settings.confirm_every),
        ) {
            (1, _) => ToL1::All,
            (_, Some(blocks)) => ToL1::AlertsAndEvery(blocks),
            (_, None) => ToL1::Alerts,
        },
        retention: Retention {
            rounds: settings.keep_rounds,
            certificates: settings.keep_certificates,
        },
        instance: settings
            .postgres
            .as_ref()
            .map(|_| InstanceConfig::default()),
        ..AggregatorConfig::new(
            chain.deployment.domain(),
            config.rollups.iter().map(|rollup| rollup.chain_id),
            chain.terms.quorums.clone(),
            chain.terms.thresholds.clone(),
        )
    };
    let aggregator: Aggregator = Aggregator::new(
        store.clone(),
        chain.registry(&config.store.folder).await?,
        chain.head.clone(),
        Arc::clone(&confirmer),
        aggregator_config,
    );
    let mut listen = HttpConfig::new(settings.listen);
    if let (Some(certificates), Some(key)) = (&settings.tls_certificate, &settings.tls_key) {
        listen = listen.with_tls(TlsConfig {
            certificates: certificates.clone(),
            key: key.clone(),
        });
    }
    // JSON-RPC and gRPC at one address.
    let router = aggregator_router(aggregator.clone())
        .merge(grpc::aggregator_router(aggregator.clone()))
        .merge(grpc::rounds_router(aggregator.clone()));
    life.serve_with("aggregator", router, listen).await?;
    legacy::aggregator(config, &chain, &mut life).await?;
    if let Some(address) = config.api.listen {
        let router = api::start(config, &chain, store.clone(), &aggregator, &mut life).await?;
        life.serve("finality API", router, address).await?;
    }

    let (shutdown, running) = (life.shutdown.clone(), aggregator.clone());
    life.work.spawn(async move {
        running.run(shutdown).await;
        Ok(())
    });
    let shutdown = life.shutdown.clone();
    life.helpers.spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(TEND_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            if let Some(submitter) = confirmer.submitter()
                && let Err(error) = submitter.tend().await
            {
                warn!(
                    "transactions are not looked after: {:#}",
                    eyre::Report::new(error)
                );
            }
        }
    });
    let rounds = aggregator.clone();
    #[expect(clippy::cast_precision_loss, reason = "bounded by max_rounds")]
    metrics.watch(move || rounds_in_memory(rounds.open_rounds() as f64));
    let probes = vec![
        Probe::l1(&mut life, chain.head.clone()),
        Probe::store(&mut life, store),
    ];
    let services = vec![Service {
        id: "ServiceAggregator",
        name: "Aggregator",
        ..health::process(
            "collects signatures: L1 answers, the store takes rows",
            probes,
        )
    }];
    metrics.watch_services(services);
    if let Some(address) = config.metrics.aggregator {
        life.serve("metrics", metrics.router(), address).await?;
    }
    life.run().await
}

/// A file, or the database that other aggregators use too.
async fn store(config: &Config) -> eyre::Result<Arc<dyn Store>> {
    let Some(url) = &config.aggregator.postgres else {
        return Ok(Arc::new(open_store(config, "aggregator").await?));
    };
    eyre::ensure!(
        url.0.password().is_none(),
        "aggregator.postgres: its password comes from PGPASSWORD or ~/.pgpass"
    );
    let folder = &config.store.folder;
    std::fs::create_dir_all(folder).wrap_err_with(|| folder.display().to_string())?;
    let store = PostgresStore::connect(url.0.as_str()).await;
    Ok(Arc::new(
        store.wrap_err_with(|| format!("aggregator.postgres {url}"))?,
    ))
}

/// What brings certificates to L1, with what an earlier process had sent.
async fn confirmer(config: &Config, chain: &Chain) -> eyre::Result<ContractConfirmer> {
    let settings = &config.aggregator;
    let (manager, retriever) = (
        chain.deployment.service_manager,
        chain.deployment.operator_state_retriever,
    );
    if settings.dry_run {
        warn!("certificates are tried against the contract and not sent");
        let confirmer = ContractConfirmer::dry_run(chain.provider.clone(), manager, retriever);
        return Ok(confirmer.await?);
    }
    let submitter = submitter(config, chain, wallet(settings).await?).await?;
    Ok(ContractConfirmer::connect(submitter, manager, retriever).await?)
}

/// The account that pays, in its file or with a remote signer.
async fn wallet(settings: &config::Aggregator) -> eyre::Result<EthereumWallet> {
    let password_file = settings.ecdsa_password_file.as_deref();
    match (&settings.ecdsa_key, &settings.web3signer) {
        (Some(key), None) => Ok(l1::ecdsa_with(key, password_file)?.into()),
        (None, Some(url)) => {
            let address = settings.address;
            let address = address.ok_or_eyre("aggregator.address is not set")?;
            let signer = Web3Signer::connect(url.0.clone(), address).await;
            Ok(EthereumWallet::new(signer.wrap_err_with(|| {
                format!("aggregator.web3signer {url}")
            })?))
        }
        (None, None) => Err(eyre::eyre!(
            "aggregator.ecdsa_key is not set: an account that pays, or dry_run"
        )),
        (Some(_), Some(_)) => Err(eyre::eyre!(
            "aggregator.ecdsa_key and aggregator.web3signer exclude each other"
        )),
    }
}

/// Sends the transactions of an account, those that an earlier process had sent among them.
pub(super) async fn submitter(
    config: &Config,
    chain: &Chain,
    wallet: EthereumWallet,
) -> eyre::Result<Submitter> {
    let account = NetworkWallet::<Ethereum>::default_signer_address(&wallet);
    let path = config.store.folder.join(format!(
        "transactions-{}-{account}.jsonl",
        chain.deployment.l1_chain_id
    ));
    let log = FileLog::open(&path).map_err(|error| match error {
        LogError::InUse(_) => eyre::eyre!(
            "another process sends transactions of {account}: {}",
            path.display()
        ),
        error => eyre::Report::new(error).wrap_err(path.display().to_string()),
    })?;
    let submitter = Submitter::resume(chain.provider.clone(), wallet, SubmitPolicy::default(), log);
    let submitter = submitter.await.map_err(|error| match error {
        SubmitError::Log(error) => eyre::Report::new(error).wrap_err(path.display().to_string()),
        error => error.into(),
    })?;
    info!(%account, "certificates are sent by");
    Ok(submitter)
}

fn rounds_in_memory(count: f64) {
    mach_node::metrics::set_rounds(count);
}
