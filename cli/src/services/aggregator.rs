//! `mach-cli aggregator run`.

use std::{collections::VecDeque, num::NonZeroU64, sync::Arc, time::Duration};

use alloy_primitives::Bytes;
use async_trait::async_trait;
use eyre::WrapErr;
use mach_contracts_bindings::{ContractConfirmer, DryRun};
use mach_core::{
    Certificate, Confirmation, Statement,
    ports::{ConfirmError, L1Standing, StatementConfirmer, StatementReader},
};
use mach_node::{
    Aggregator, AggregatorConfig, InstanceConfig, Retention, RoundEvent, ToL1, grpc,
    http::{HttpConfig, HttpLimits, Rate, TlsConfig},
    metrics::Metrics,
    node_api::Service,
    rpc::aggregator_router,
    store::{PostgresStore, Store},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    account::{Account, submitter},
    api,
    chain::Chain,
    health::{self, Probe},
    legacy,
    lifecycle::{Lifecycle, open_store},
};
use crate::{
    config::{Aggregator as Settings, Config},
    outcome::Outcome,
};

/// Between two looks at what was sent to L1.
const TEND_INTERVAL: Duration = Duration::from_secs(12);
/// Statements that a dry run remembers.
const TRIED: usize = 1024;

pub(super) async fn run(config: &Config) -> eyre::Result<Outcome> {
    let settings = &config.aggregator;
    eyre::ensure!(!config.rollups.is_empty(), "no [[rollup]] is configured");
    let store = store(config).await?;
    let metrics = Metrics::new()?;
    metrics.install();
    let chain = Chain::connect(&config.l1).await?;
    let mut life = Lifecycle::new()?;

    let l1 = ToContracts::connect(config, &chain).await?;
    let to_l1 = match NonZeroU64::new(settings.confirm_every) {
        None => ToL1::Alerts,
        Some(NonZeroU64::MIN) => ToL1::All,
        Some(blocks) => ToL1::AlertsAndEvery(blocks),
    };
    let aggregator_config = AggregatorConfig {
        reference_margin: settings.reference_margin,
        max_rounds: settings.max_rounds,
        round_lifetime: settings.round_lifetime.0,
        confirm: match l1 {
            ToContracts::Sends(_) => to_l1,
            ToContracts::Tries(_) => ToL1::Nothing,
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
        l1.confirmer(),
        aggregator_config,
    );
    let mut listen = HttpConfig::new(settings.listen).with_limits(limits(settings));
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
    legacy::aggregator(config, &chain, store.clone(), &mut life).await?;
    if let Some(address) = config.api.listen {
        let router = api::start(config, &chain, store.clone(), &aggregator, &mut life).await?;
        let listen = HttpConfig::new(address).with_limits(limits(settings));
        life.serve_with("finality API", router, listen).await?;
    }

    let (shutdown, running) = (life.shutdown.clone(), aggregator.clone());
    life.work.spawn(async move {
        running.run(shutdown).await;
        Ok(())
    });
    let shutdown = life.shutdown.clone();
    match l1 {
        ToContracts::Sends(confirmer) => {
            (life.helpers).spawn(async move { tend(&confirmer, &shutdown).await });
        }
        ToContracts::Tries(dry_run) => {
            let events = aggregator.events();
            (life.helpers).spawn(async move { try_out(&dry_run, to_l1, events, &shutdown).await });
        }
    }
    let rounds = aggregator.clone();
    #[expect(clippy::cast_precision_loss, reason = "bounded by max_rounds")]
    metrics.watch(move || rounds_in_memory(rounds.rounds_in_memory() as f64));
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

/// How many may come, and how often: those of operators, and those of applications.
fn limits(settings: &Settings) -> HttpLimits {
    let rate = settings.requests_per_second;
    HttpLimits {
        connections: settings.connections,
        connections_per_address: settings.connections_per_address,
        rate: Rate::new(rate, rate.saturating_mul(4)),
        ..HttpLimits::default()
    }
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

/// What becomes of certificates.
enum ToContracts {
    /// They are brought to L1.
    Sends(Arc<ContractConfirmer>),
    /// A dry run: it is tried what would become of them.
    Tries(Arc<DryRun>),
}

impl ToContracts {
    /// With what an earlier process had sent.
    async fn connect(config: &Config, chain: &Chain) -> eyre::Result<Self> {
        let settings = &config.aggregator;
        let (manager, retriever) = (
            chain.deployment.service_manager,
            chain.deployment.operator_state_retriever,
        );
        if settings.dry_run {
            warn!("certificates are tried against the contract and not sent");
            let dry_run = DryRun::connect(chain.provider.clone(), manager, retriever);
            return Ok(Self::Tries(Arc::new(dry_run.await?)));
        }
        eyre::ensure!(
            settings.ecdsa_key.is_some() || settings.web3signer.is_some(),
            "aggregator.ecdsa_key is not set: an account that pays, or aggregator.web3signer, or dry_run"
        );
        let account = Account {
            section: "aggregator",
            key: settings.ecdsa_key.as_deref(),
            password_file: settings.ecdsa_password_file.as_deref(),
            web3signer: settings.web3signer.as_ref(),
            address: settings.address,
        };
        let (folder, wallet) = (&config.store.folder, account.wallet().await?);
        let l1_chain_id = chain.deployment.l1_chain_id;
        let submitter = submitter(folder, l1_chain_id, &chain.provider, wallet).await?;
        info!(account = %submitter.sender(), "certificates are sent by");
        let confirmer = ContractConfirmer::connect(submitter, manager, retriever);
        Ok(Self::Sends(Arc::new(confirmer.await?)))
    }

    fn confirmer(&self) -> Arc<dyn StatementConfirmer> {
        match self {
            Self::Sends(confirmer) => Arc::<ContractConfirmer>::clone(confirmer),
            Self::Tries(dry_run) => Arc::new(Nothing(Arc::clone(dry_run))),
        }
    }
}

/// Where nothing is brought to L1, for which nobody asks with [`ToL1::Nothing`].
struct Nothing(Arc<DryRun>);

#[async_trait]
impl StatementReader for Nothing {
    async fn standing(&self, statement: &Statement) -> Result<L1Standing, ConfirmError> {
        self.0.standing(statement).await
    }
}

#[async_trait]
impl StatementConfirmer for Nothing {
    async fn confirm(&self, _: &Certificate) -> Result<Confirmation, ConfirmError> {
        Err(ConfirmError::Reverted {
            reason: "a dry run sends nothing".to_owned(),
            data: Bytes::new(),
        })
    }
}

/// Looks after what was sent, until `shutdown`.
async fn tend(confirmer: &ContractConfirmer, shutdown: &CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TEND_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = confirmer.submitter().tend().await {
            warn!(
                "transactions are not looked after: {:#}",
                eyre::Report::new(error)
            );
        }
    }
}

/// Tries certificates against the contract, the first of each statement, until `shutdown`.
async fn try_out(
    dry_run: &DryRun,
    to_l1: ToL1,
    mut events: Receiver<RoundEvent>,
    shutdown: &CancellationToken,
) {
    let mut tried = VecDeque::new();
    while let Some(event) = shutdown.run_until_cancelled(events.recv()).await {
        let certificate = match event {
            Ok(RoundEvent::Certified { certificate, .. }) => certificate,
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let digest = certificate.digest();
        if !to_l1.takes(&certificate.statement) || tried.contains(&digest) {
            continue;
        }
        if tried.len() >= TRIED {
            tried.pop_front();
        }
        tried.push_back(digest);
        match dry_run.try_out(&certificate).await {
            Ok(()) => info!(%digest, "the contract would take the certificate"),
            Err(error) => {
                let error = eyre::Report::new(error);
                warn!(%digest, "the contract would not take the certificate: {error:#}");
            }
        }
    }
}

fn rounds_in_memory(count: f64) {
    mach_node::metrics::set_rounds(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_is_how_many_may_come() {
        assert_eq!(limits(&Settings::default()), HttpLimits::default());
        let behind_a_proxy = Settings {
            connections: 20_000,
            connections_per_address: 15_000,
            requests_per_second: 0,
            ..Settings::default()
        };
        let limits = limits(&behind_a_proxy);
        assert_eq!(limits.connections, 20_000);
        assert_eq!(limits.connections_per_address, 15_000);
        assert_eq!(limits.rate, None);
    }
}
