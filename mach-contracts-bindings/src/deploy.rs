//! Puts mach's contracts on a chain.

use alloy_primitives::{Address, Bytes, ChainId, TxKind, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::{TransactionInput, TransactionRequest};
use alloy_sol_types::{SolCall, SolConstructor};
use mach_core::Stake;

use crate::{
    Artifact, Deployment, DeploymentError, DeploymentFile, EigenLayer, SubmitError, Submitter,
    abi::{
        self, IMachRegistry, IMachServiceManager, IPauserRegistry, ITransparentUpgradeableProxy,
    },
    call::{answer, call},
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
    /// Quorums of the registry, in the order of their numbers; an existing one has its own.
    pub quorums: Vec<Quorum>,
    /// Where operators register.
    pub registry: RegistryChoice,
}

/// Where the operators of a service manager register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistryChoice {
    /// A `MachRegistry` of its own, which needs no EigenLayer.
    #[default]
    StandAlone,
    /// A registry coordinator that is there already: EigenLayer's, of either world, or another
    /// `MachRegistry`. Its own service manager goes on deciding who may register; the new one counts the
    /// stake of those who did.
    Existing(Address),
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
            registry: RegistryChoice::StandAlone,
        }
    }
}

/// Deploys a service manager, and a registry unless there is one, from the account of `submitter`.
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
    if let RegistryChoice::Existing(coordinator) = config.registry {
        return deploy_over(submitter, config, coordinator).await;
    }
    let provider = submitter.provider();
    let nonce = provider
        .get_transaction_count(submitter.sender())
        .await
        .map_err(SubmitError::from)?;
    let expected = submitter.sender().create(nonce.saturating_add(4));

    let (pauser_registry, l1_block) = deploy_pausers(submitter, config).await?;
    let (operator_state_retriever, _) = submitter
        .deploy(Artifact::OperatorStateRetriever.bytecode())
        .await?;
    let (registry, _) = submitter.deploy(registry(config, expected)).await?;
    let roles = Roles {
        avs_directory: registry,
        registry_coordinator: registry,
        stake_registry: registry,
        pauser_registry,
    };
    let (service_manager, implementation) =
        deploy_service_manager(submitter, config, roles).await?;
    if service_manager != expected {
        return Err(DeployError::Displaced {
            expected,
            actual: service_manager,
        });
    }
    Ok(Deployment {
        l1_chain_id: submitter.chain_id(),
        l1_block,
        service_manager,
        registry_coordinator: registry,
        operator_state_retriever,
        stake_registry: registry,
        apk_registry: registry,
        index_registry: registry,
        service_manager_implementation: Some(implementation),
        proxy_admin: Some(admin_of(service_manager)),
        registry_coordinator_implementation: None,
        pauser_registry: Some(pauser_registry),
    })
}

/// A service manager over a coordinator that is there already.
async fn deploy_over(
    submitter: &Submitter,
    config: &DeployConfig,
    coordinator: Address,
) -> Result<Deployment, DeployError> {
    // Everything about the coordinator is asked for before anything is sent.
    let (found, avs_directory) = existing(submitter.provider(), coordinator).await?;

    let (pauser_registry, _) = deploy_pausers(submitter, config).await?;
    let (operator_state_retriever, _) = submitter
        .deploy(Artifact::OperatorStateRetriever.bytecode())
        .await?;
    let roles = Roles {
        avs_directory,
        registry_coordinator: coordinator,
        stake_registry: found.stake_registry,
        pauser_registry,
    };
    let (service_manager, implementation) =
        deploy_service_manager(submitter, config, roles).await?;
    Ok(Deployment {
        service_manager,
        operator_state_retriever,
        service_manager_implementation: Some(implementation),
        proxy_admin: Some(admin_of(service_manager)),
        pauser_registry: Some(pauser_registry),
        // Not the block of these contracts: operators may have registered long before.
        ..found
    })
}

/// The contracts around a coordinator that is there, and the directory where its operators consent.
async fn existing(
    provider: &DynProvider,
    coordinator: Address,
) -> Result<(Deployment, Address), DeployError> {
    // The coordinator stands in for the retriever, of which only the code is looked at.
    let found = DeploymentFile::new(coordinator, coordinator)
        .resolve(provider.clone())
        .await?;
    let directory = IMachServiceManager::avsDirectoryCall {};
    let directory = answer(provider, found.service_manager, &directory)
        .await
        .map_err(SubmitError::from)?;
    let known = || EigenLayer::on(found.l1_chain_id).map(|core| core.avs_directory);
    let directory = directory
        .or_else(known)
        .ok_or(DeployError::NoAvsDirectory(coordinator))?;
    Ok((found, directory))
}

/// Gas of what [`deploy`] would put on the chain from the account `deployer`, in its order. Nothing is
/// sent.
///
/// `None` for a contract whose constructor calls one that is not there yet: the proxy, and the service
/// manager unless its coordinator is there.
///
/// Errors: [`DeployError`]; a coordinator that cannot be used is found out here as well.
pub async fn estimate_deployment(
    provider: &DynProvider,
    deployer: Address,
    config: &DeployConfig,
) -> Result<Vec<(Artifact, Option<u64>)>, DeployError> {
    let pausers = IPauserRegistry::constructorCall {
        pausers: config.pausers.clone(),
        unpauser: config.unpauser,
    };
    let retriever = Artifact::OperatorStateRetriever;
    let mut creations = vec![
        (
            Artifact::PauserRegistry,
            creation(Artifact::PauserRegistry, &pausers),
        ),
        (retriever, retriever.bytecode()),
    ];
    // What calls a contract that is yet to come cannot be tried.
    let mut later = vec![Artifact::TransparentUpgradeableProxy];
    match config.registry {
        RegistryChoice::Existing(coordinator) => {
            let (found, avs_directory) = existing(provider, coordinator).await?;
            let implementation = IMachServiceManager::constructorCall {
                avsDirectory: avs_directory,
                registryCoordinator: coordinator,
                stakeRegistry: found.stake_registry,
            };
            let artifact = Artifact::MachServiceManager;
            creations.push((artifact, creation(artifact, &implementation)));
        }
        RegistryChoice::StandAlone => {
            let artifact = Artifact::MachRegistry;
            creations.push((artifact, registry(config, deployer)));
            later.insert(0, Artifact::MachServiceManager);
        }
    }
    let mut estimates = Vec::with_capacity(creations.len() + later.len());
    for (artifact, code) in creations {
        let request = TransactionRequest {
            from: Some(deployer),
            to: Some(TxKind::Create),
            input: TransactionInput::both(code),
            ..Default::default()
        };
        let gas = provider.estimate_gas(request).await;
        estimates.push((artifact, Some(gas.map_err(SubmitError::simulated)?)));
    }
    estimates.extend(later.into_iter().map(|artifact| (artifact, None)));
    Ok(estimates)
}

/// What a service manager is made for.
#[derive(Clone, Copy)]
struct Roles {
    avs_directory: Address,
    registry_coordinator: Address,
    stake_registry: Address,
    pauser_registry: Address,
}

/// The list of pausers, and the block that it is in.
async fn deploy_pausers(
    submitter: &Submitter,
    config: &DeployConfig,
) -> Result<(Address, u64), DeployError> {
    let pausers = IPauserRegistry::constructorCall {
        pausers: config.pausers.clone(),
        unpauser: config.unpauser,
    };
    let (address, receipt) = submitter
        .deploy(creation(Artifact::PauserRegistry, &pausers))
        .await?;
    Ok((address, receipt.block_number.unwrap_or_default()))
}

/// The proxy, initialised in its constructor, and the code behind it.
async fn deploy_service_manager(
    submitter: &Submitter,
    config: &DeployConfig,
    roles: Roles,
) -> Result<(Address, Address), DeployError> {
    let implementation = IMachServiceManager::constructorCall {
        avsDirectory: roles.avs_directory,
        registryCoordinator: roles.registry_coordinator,
        stakeRegistry: roles.stake_registry,
    };
    let (implementation, _) = submitter
        .deploy(creation(Artifact::MachServiceManager, &implementation))
        .await?;
    let proxy = ITransparentUpgradeableProxy::constructorCall {
        logic: implementation,
        initialOwner: config.upgrader,
        data: initialization(config, roles.pauser_registry),
    };
    let (service_manager, _) = submitter
        .deploy(creation(Artifact::TransparentUpgradeableProxy, &proxy))
        .await?;
    // The answer of the proxy, not of its implementation: it is initialised.
    let owner = IMachServiceManager::ownerCall {};
    let owner = call(submitter.provider(), service_manager, &owner)
        .await
        .map_err(SubmitError::from)?;
    if owner != config.owner {
        return Err(DeployError::NotInitialized(service_manager));
    }
    Ok((service_manager, implementation))
}

/// The proxy's constructor deploys its admin, as its first contract.
fn admin_of(proxy: Address) -> Address {
    proxy.create(1)
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

fn registry(config: &DeployConfig, service_manager: Address) -> Bytes {
    let arguments = IMachRegistry::constructorCall {
        owner: config.owner,
        serviceManager: service_manager,
        quorums: config.quorums.iter().map(abi::QuorumParams::from).collect(),
    };
    creation(Artifact::MachRegistry, &arguments)
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
    /// The coordinator that there is cannot be used.
    #[error("no service manager can be put over the coordinator")]
    Coordinator(#[from] DeploymentError),
    /// Nothing says where the coordinator's operators consent.
    #[error(
        "the service manager of coordinator {0} names no AVSDirectory, and none is known on this chain"
    )]
    NoAvsDirectory(Address),
    /// A transaction did not succeed.
    #[error("a contract was not deployed")]
    Submit(#[from] SubmitError),
}
