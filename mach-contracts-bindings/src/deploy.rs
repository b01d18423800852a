//! Puts mach's contracts on a chain.

use alloy_primitives::{Address, Bytes, ChainId, U256};
use alloy_provider::Provider;
use alloy_sol_types::{SolCall, SolConstructor};
use mach_core::Stake;

use crate::{
    Artifact, Deployment, SubmitError, Submitter,
    abi::{
        self, IMachRegistry, IMachServiceManager, IPauserRegistry, ITransparentUpgradeableProxy,
    },
    call::call,
    convert::stake_to_u96,
};

/// Who holds which role, and what is served.
#[derive(Clone, Debug)]
pub struct DeployConfig {
    /// Owner of the service manager and of the registry.
    pub owner: Address,
    /// Owner of the proxy's admin, who may upgrade the service manager.
    pub upgrader: Address,
    /// Who may send V2 alerts.
    pub alert_confirmer: Address,
    /// Who says which operators may register.
    pub whitelister: Address,
    /// Who may pause.
    pub pausers: Vec<Address>,
    /// Who may unpause.
    pub unpauser: Address,
    /// Rollups that statements may be about.
    pub rollup_chain_ids: Vec<ChainId>,
    /// Quorums of the registry, in the order of their numbers.
    pub quorums: Vec<Quorum>,
}

/// Bounds of a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Least stake of a member, not zero.
    pub minimum_stake: Stake,
    /// Most members.
    pub max_operators: u32,
}

impl DeployConfig {
    /// `owner` holds every role, and there is one quorum with room for 200 operators.
    pub fn new(owner: Address, rollup_chain_ids: impl Into<Vec<ChainId>>) -> Self {
        Self {
            owner,
            upgrader: owner,
            alert_confirmer: owner,
            whitelister: owner,
            pausers: vec![owner],
            unpauser: owner,
            rollup_chain_ids: rollup_chain_ids.into(),
            quorums: vec![Quorum {
                minimum_stake: Stake::new(1).unwrap_or(Stake::MAX),
                max_operators: 200,
            }],
        }
    }
}

/// Deploys registry and service manager, from the account of `submitter`.
///
/// The service manager is initialised in the transaction that creates its proxy, so that nobody
/// else can be first. The account must send nothing else meanwhile: the registry is made for the
/// address that the proxy is going to have.
///
/// Errors: [`DeployError`]; contracts that were deployed so far stay and are of no use.
pub async fn deploy(
    submitter: &Submitter,
    config: &DeployConfig,
) -> Result<Deployment, DeployError> {
    let provider = submitter.provider();
    let nonce = provider
        .get_transaction_count(submitter.sender())
        .await
        .map_err(SubmitError::from)?;
    let expected = submitter.sender().create(nonce.saturating_add(4));

    let pausers = IPauserRegistry::constructorCall {
        pausers: config.pausers.clone(),
        unpauser: config.unpauser,
    };
    let (pauser_registry, first) = submitter
        .deploy(creation(Artifact::PauserRegistry, &pausers))
        .await?;
    let (operator_state_retriever, _) = submitter
        .deploy(Artifact::OperatorStateRetriever.bytecode())
        .await?;
    let registry = IMachRegistry::constructorCall {
        owner: config.owner,
        serviceManager: expected,
        quorums: config.quorums.iter().map(abi::QuorumParams::from).collect(),
    };
    let (registry, _) = submitter
        .deploy(creation(Artifact::MachRegistry, &registry))
        .await?;

    let implementation = IMachServiceManager::constructorCall {
        avsDirectory: registry,
        registryCoordinator: registry,
        stakeRegistry: registry,
    };
    let (implementation, _) = submitter
        .deploy(creation(Artifact::MachServiceManager, &implementation))
        .await?;
    let proxy = ITransparentUpgradeableProxy::constructorCall {
        logic: implementation,
        initialOwner: config.upgrader,
        data: initialization(config, pauser_registry),
    };
    let (service_manager, _) = submitter
        .deploy(creation(Artifact::TransparentUpgradeableProxy, &proxy))
        .await?;
    if service_manager != expected {
        return Err(DeployError::Displaced {
            expected,
            actual: service_manager,
        });
    }
    // The answer of the proxy, not of its implementation: it is initialised.
    let owner = call(
        provider,
        service_manager,
        &IMachServiceManager::ownerCall {},
    )
    .await
    .map_err(SubmitError::from)?;
    if owner != config.owner {
        return Err(DeployError::NotInitialized(service_manager));
    }
    Ok(Deployment {
        l1_chain_id: submitter.chain_id(),
        l1_block: first.block_number.unwrap_or_default(),
        service_manager,
        registry_coordinator: registry,
        operator_state_retriever,
        stake_registry: registry,
        apk_registry: registry,
        index_registry: registry,
        service_manager_implementation: Some(implementation),
        // The proxy's constructor deploys its admin, as its first contract.
        proxy_admin: Some(service_manager.create(1)),
        registry_coordinator_implementation: None,
        pauser_registry: Some(pauser_registry),
    })
}

/// Lets operators register: puts them on the allowlist and sets their stake in the quorums of the
/// registry. `submitter` must be its owner and the whitelister.
pub async fn admit(
    submitter: &Submitter,
    deployment: &Deployment,
    operators: &[Admission],
) -> Result<(), SubmitError> {
    let allow = IMachServiceManager::allowOperatorsCall {
        operators: operators.iter().map(|operator| operator.address).collect(),
    };
    submitter.call(deployment.service_manager, &allow).await?;
    let weights = operators
        .iter()
        .flat_map(|operator| {
            operator.stakes.iter().map(|(quorum, stake)| abi::Weight {
                operator: operator.address,
                quorumNumber: *quorum,
                weight: stake_to_u96(*stake),
            })
        })
        .collect();
    let weights = IMachRegistry::setWeightsCall { weights };
    submitter
        .call(deployment.registry_coordinator, &weights)
        .await?;
    Ok(())
}

/// An operator that may register with a [`Deployment`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Account of the operator.
    pub address: Address,
    /// Quorums with the operator's stake in each.
    pub stakes: Vec<(u8, Stake)>,
}

impl From<&Quorum> for abi::QuorumParams {
    fn from(quorum: &Quorum) -> Self {
        Self {
            minimumStake: stake_to_u96(quorum.minimum_stake),
            maxOperatorCount: quorum.max_operators,
        }
    }
}

fn initialization(config: &DeployConfig, pauser_registry: Address) -> Bytes {
    let call = IMachServiceManager::initializeCall {
        pauserRegistry: pauser_registry,
        initialPausedStatus: U256::ZERO,
        initialOwner: config.owner,
        alertConfirmer: config.alert_confirmer,
        whitelister: config.whitelister,
        rollupChainIDs: config
            .rollup_chain_ids
            .iter()
            .map(|id| U256::from(*id))
            .collect(),
    };
    call.abi_encode().into()
}

fn creation(artifact: Artifact, arguments: &impl SolConstructor) -> Bytes {
    [artifact.bytecode().as_ref(), &arguments.abi_encode()]
        .concat()
        .into()
}

/// Why there is no deployment.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The account sent something else meanwhile.
    #[error("the service manager is at {actual}, the registry was made for {expected}")]
    Displaced {
        /// Address that the registry knows.
        expected: Address,
        /// Address of the proxy.
        actual: Address,
    },
    /// The proxy does not answer as it was told to.
    #[error("the service manager at {0} is not initialised")]
    NotInitialized(Address),
    /// A transaction did not succeed.
    #[error("a contract was not deployed")]
    Submit(#[from] SubmitError),
}
