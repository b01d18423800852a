//! The services of a stack, in one process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use alloy_provider::Provider;
use mach_contracts_bindings::{CallError, ContractConfirmer, ContractRegistry, TermsError};
use mach_core::ports::{BlockValidator, L2Head, L2Source, SignatureAggregator, SourceError};
use mach_node::{
    Aggregator, AggregatorConfig, MemoryGuard, Operator, OperatorConfig, ProviderHead, RetryPolicy,
    TermsPolicy, Verifier, VerifierConfig, VerifierStatus,
    http::{HttpConfig, HttpLimits, HttpServer, ServeError},
    rpc::{RemoteAggregator, RemoteError, serve_aggregator},
    store::MemoryStore,
};
use mach_verify::{
    EvidenceFolder, EvidenceValidator, PendingEvidence, WitnessMemory,
    derive::{DerivationValidator, Driver, DriverError},
    follow::{FollowLimits, FollowValidator, Follower},
    op::OpL1Validator,
    source::{OpNode, ProposalValidator, RpcSource},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::chain::{Chain, Ethereum};

use super::{
    Event, Stack, StackError,
    actors::AGGREGATOR,
    deploy::{quorums, submitter},
    event::{Judge, Told},
};

/// Time between two looks at the head of the rollup; a look costs microseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What the operators of a stack do beyond alerts.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// First rollup block that is verified.
    pub start: u64,
    /// Every how many blocks a valid block is attested; `None` attests nothing.
    pub attest_every: Option<NonZeroU64>,
    /// Which blocks are verified. Safe and final ones are derived from L1 as well, so that what is
    /// attested is [`Assurance::Derived`](mach_core::Assurance::Derived).
    pub head: L2Head,
    /// Folder for a bundle of every invalid block; `None` keeps none.
    pub evidence: Option<PathBuf>,
}

impl Default for ServiceConfig {
    /// From block 1, every block as soon as it is there, all attested, no evidence kept.
    fn default() -> Self {
        Self {
            start: 1,
            head: L2Head::Unsafe,
            attest_every: Some(NonZeroU64::MIN),
            evidence: None,
        }
    }
}

/// Aggregator and operators, each operator with a verifier of its own, until this is dropped.
///
/// They reach the rollup and L1 in the process, and the aggregator over HTTP on the loopback.
#[derive(Debug)]
pub struct Services {
    server: HttpServer,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    status: Vec<tokio::sync::watch::Receiver<VerifierStatus>>,
    bundles: Vec<PendingEvidence>,
}

impl Stack {
    /// Starts the services, and gives what happens in them.
    ///
    /// Errors: [`ServicesError`].
    pub async fn start_services(
        &self,
        config: ServiceConfig,
    ) -> Result<(Services, mpsc::UnboundedReceiver<Event>), ServicesError> {
        let (events, receiver) = mpsc::unbounded_channel();
        // Rounds refer to a block behind the head: this one makes the last registration count.
        // An L1 that mines on its own may refuse, and gets there by itself.
        let mined: Result<serde_json::Value, _> =
            self.l1().raw_request("evm_mine".into(), ()).await;
        if let Err(error) = mined {
            tracing::debug!(%error, "L1 mines on its own");
        }
        let deployment = self.deployment();
        let terms = self.service_manager().await?.terms().await?;

        let registry = ContractRegistry::connect(
            self.l1().clone(),
            deployment.registry_coordinator,
            deployment.operator_state_retriever,
            deployment.l1_block,
        )
        .await?;
        let confirmer = ContractConfirmer::connect(
            submitter(self.l1(), &AGGREGATOR)
                .await
                .map_err(StackError::from)?,
            deployment.service_manager,
            deployment.operator_state_retriever,
        )
        .await?;
        let l1 = Arc::new(ProviderHead::new(self.l1().clone()));
        let aggregator = Aggregator::new(
            MemoryStore::new(),
            registry,
            l1.clone(),
            Told::new(confirmer, events.clone()),
            AggregatorConfig::new(
                self.domain(),
                [self.devnet().l2().chain_id()],
                terms.quorums.clone(),
                terms.thresholds.clone(),
            ),
        );
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // All operators have the same address here.
        let limits = HttpLimits {
            rate: None,
            ..HttpLimits::default()
        };
        let listening = HttpConfig::new(loopback).with_limits(limits);
        let server = serve_aggregator(aggregator.clone(), listening).await?;

        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let ending = shutdown.clone();
        tasks.spawn(async move { aggregator.run(ending).await });
        let mut status = Vec::new();
        let mut bundles = Vec::new();
        let least = terms.thresholds.iter().min().copied();
        for member in self.operators() {
            let signer = member.signer().map_err(StackError::from)?;
            let remote = Told::new(RemoteAggregator::new(&server.url())?, events.clone());
            let aggregators: Vec<Arc<dyn SignatureAggregator>> = vec![Arc::new(remote)];
            let config_of_operator = OperatorConfig {
                domain: self.domain(),
                attest_every: config.attest_every,
                terms: TermsPolicy {
                    quorums: quorums().map_err(StackError::from)?,
                    least_threshold: least.ok_or(ServicesError::NoTerms)?,
                    max_age: terms.max_reference_block_age.into(),
                },
                retry: RetryPolicy::default(),
            };
            let operator = Operator::new(
                signer,
                MemoryGuard::new(),
                aggregators,
                l1.clone(),
                config_of_operator,
            );
            let source = RpcSource::new(self.devnet().l2().client(), self.devnet().l2().chain_id());
            let spec = self.devnet().l2().role().spec().clone();
            let witnesses = Arc::new(WitnessMemory::new(source.clone()));
            let follower = Arc::new(Follower::new(spec.clone(), FollowLimits::default()));
            let against_l1 = Arc::new(OpL1Validator::new(
                FollowValidator::new(follower.clone(), witnesses.clone()),
                self.devnet().rollup().clone(),
                self.devnet().l1().clone(),
                source.clone(),
            ));
            let derived = match config.head {
                L2Head::Unsafe => None,
                L2Head::Safe | L2Head::Finalized => {
                    let driver = self.driver(&source, config.start).await?;
                    let derived = DerivationValidator::new(against_l1.clone(), driver);
                    Some(Arc::new(derived))
                }
            };
            let validator: Arc<dyn BlockValidator> = match &derived {
                Some(derived) => derived.clone(),
                None => against_l1.clone(),
            };
            let op_node = OpNode::new(self.devnet().l2().client());
            let validator = ProposalValidator::new(validator, op_node);
            let validator: Arc<dyn BlockValidator> = match &config.evidence {
                Some(path) => {
                    let folder = EvidenceFolder::new(path);
                    let kept = EvidenceValidator::new(spec, validator, witnesses, folder);
                    bundles.push(kept.pending());
                    let kept = kept.with_l1(against_l1).with_follower(follower);
                    Arc::new(match derived {
                        Some(derived) => kept.with_derivation(derived),
                        None => kept,
                    })
                }
                None => Arc::new(validator),
            };
            let judge = Judge {
                validator,
                operator: member.operator.id(),
            };
            let pace = VerifierConfig {
                head: config.head,
                poll_interval: POLL_INTERVAL,
                ..VerifierConfig::new(config.start)
            };
            let verifier = Verifier::new(source, Told::new(judge, events.clone()), operator, pace);
            status.push(verifier.status());
            let shutdown = shutdown.clone();
            tasks.spawn(async move { verifier.run(shutdown).await });
        }
        Ok((
            Services {
                server,
                shutdown,
                tasks,
                status,
                bundles,
            },
            receiver,
        ))
    }
}

impl Stack {
    /// Derivation behind the parent of block `first`.
    async fn driver(
        &self,
        rollup: &RpcSource,
        first: u64,
    ) -> Result<Driver<Chain<Ethereum>, Chain<Ethereum>, RpcSource>, ServicesError> {
        let devnet = self.devnet();
        let start = rollup.block(first.saturating_sub(1)).await?;
        let (l1, blobs) = (devnet.l1().clone(), devnet.l1().clone());
        Ok(Driver::new(
            devnet.rollup().clone(),
            &start,
            l1,
            blobs,
            rollup.clone(),
        )?)
    }
}

impl Services {
    /// URL of the aggregator's JSON-RPC.
    pub fn aggregator_url(&self) -> String {
        self.server.url()
    }

    /// How far each operator's verifier is, in the order of the operators.
    pub fn status(&self) -> impl Iterator<Item = VerifierStatus> + '_ {
        self.status.iter().map(|status| status.borrow().clone())
    }

    /// Stops every verifier; outcomes that wait for the aggregator get a moment, and
    /// bundles that are being made are finished.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
        for bundles in &self.bundles {
            bundles.finished().await;
        }
    }
}

/// Why the services did not start.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The service manager asks for no quorum.
    #[error("the service manager has no terms")]
    NoTerms,
    /// The terms of the service manager could not be read.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// A contract did not answer.
    #[error("a contract did not answer")]
    Call(#[from] CallError),
    /// The aggregator could not be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The aggregator could not be reached.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The rollup did not answer.
    #[error("the rollup did not answer")]
    Source(#[from] SourceError),
    /// Derivation did not start.
    #[error(transparent)]
    Derive(#[from] DriverError),
    /// A part of the stack is not usable.
    #[error(transparent)]
    Stack(#[from] StackError),
}
