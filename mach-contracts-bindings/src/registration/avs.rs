//! What an AVS is, as its chain describes it.

use alloy_primitives::{Address, B256, ChainId, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_sol_types::SolCall;
use mach_core::{G1Bytes, QuorumNumbers};

use super::{
    M2Registration, OperatorSetRegistration, Registration, RegistrationError,
    digest::{key_digest, versioned_key_digest},
};
use crate::{
    CallError,
    abi::{
        IAllocationManager, IMachServiceManager, IRegistryCoordinator,
        ISlashingRegistryCoordinator as ISlashing, IStakeRegistry,
    },
    call::{call, probe},
};

/// Which AVS is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The registry coordinator.
    pub coordinator: Address,
    /// The service manager that the coordinator must belong to, if it is known.
    pub service_manager: Option<Address>,
    /// The chain that the node must be on, if it is known.
    pub l1_chain_id: Option<ChainId>,
}

/// One of EigenLayer's ways to register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum World {
    /// Operators call the coordinator, with a signed consent for the AVSDirectory.
    M2,
    /// Operators call the AllocationManager, which tells the coordinator.
    OperatorSets,
}

/// An AVS: its contracts and the worlds that its quorums are in.
#[derive(Clone, Debug)]
pub struct Avs {
    provider: DynProvider,
    l1_chain_id: ChainId,
    coordinator: Address,
    service_manager: Address,
    avs_directory: Option<Address>,
    allocation_manager: Option<Address>,
    delegation_manager: Option<Address>,
    apk_registry: Address,
    stake_registry: Address,
    index_registry: Address,
    /// Bit `n` is set if quorum `n` is of M2.
    m2_quorums: U256,
    m2_closed: bool,
}

impl Target {
    /// The AVS of `coordinator`, wherever that is.
    pub const fn new(coordinator: Address) -> Self {
        Self {
            coordinator,
            service_manager: None,
            l1_chain_id: None,
        }
    }
}

impl Avs {
    /// Asks the chain what `target` is.
    ///
    /// Errors: [`RegistrationError`] if it is not what the caller expects, or nothing that is known.
    pub async fn connect(
        provider: impl Provider + 'static,
        target: &Target,
    ) -> Result<Self, RegistrationError> {
        let provider = provider.erased();
        let coordinator = target.coordinator;
        let actual = provider.get_chain_id().await.map_err(CallError::from)?;
        if let Some(expected) = target.l1_chain_id.filter(|expected| *expected != actual) {
            return Err(RegistrationError::WrongChain { expected, actual });
        }
        require_code(&provider, "registry coordinator", coordinator).await?;

        let ask = Ask {
            provider: &provider,
            coordinator,
        };
        let m2 = ask
            .probe(&IRegistryCoordinator::serviceManagerCall {})
            .await?;
        let slashing = ask.probe(&ISlashing::avsCall {}).await?;
        let service_manager = m2
            .or(slashing)
            .ok_or(RegistrationError::NotACoordinator(coordinator))?;
        if let Some(expected) = target.service_manager
            && expected != service_manager
        {
            return Err(RegistrationError::WrongServiceManager {
                expected,
                actual: service_manager,
            });
        }
        let allocation_manager = match slashing {
            Some(avs) => {
                let manager = ask.known(&ISlashing::allocationManagerCall {}).await?;
                let upgraded = m2.is_some();
                require_registrar(&provider, manager, avs, coordinator, upgraded).await?
            }
            None => None,
        };
        // Before the slashing release every quorum is of M2. A coordinator that was upgraded keeps those
        // that it had; a new one has none and knows no service manager of M2.
        let m2_quorums = match (m2, allocation_manager) {
            (_, None) => U256::MAX,
            (None, Some(_)) => U256::ZERO,
            (Some(_), Some(_)) => ask
                .probe(&ISlashing::m2QuorumBitmapCall {})
                .await?
                .unwrap_or(U256::ZERO),
        };
        let m2_closed = ask.probe(&ISlashing::isM2QuorumRegistrationDisabledCall {});
        let m2_closed = m2_closed.await?.unwrap_or(false);
        let apk_registry = ask.known(&IRegistryCoordinator::blsApkRegistryCall {});
        let apk_registry = apk_registry.await?;
        let stake_registry = ask.known(&IRegistryCoordinator::stakeRegistryCall {});
        let stake_registry = stake_registry.await?;
        let index_registry = ask.known(&IRegistryCoordinator::indexRegistryCall {});
        let index_registry = index_registry.await?;

        let request = IMachServiceManager::avsDirectoryCall {};
        let avs_directory = probe(&provider, service_manager, &request).await?;
        let request = IStakeRegistry::delegationCall {};
        let delegation_manager = probe(&provider, stake_registry, &request).await?;
        Ok(Self {
            l1_chain_id: actual,
            coordinator,
            service_manager,
            avs_directory: avs_directory.filter(|directory| !directory.is_zero()),
            allocation_manager,
            // A registry without EigenLayer names itself or nobody.
            delegation_manager: delegation_manager
                .filter(|manager| !manager.is_zero() && *manager != coordinator),
            apk_registry,
            stake_registry,
            index_registry,
            m2_quorums,
            m2_closed,
            provider,
        })
    }

    /// The way to join and leave `quorums`.
    ///
    /// Errors: [`RegistrationError::MixedQuorums`] if there is not one for all of them;
    /// [`RegistrationError::NotACoordinator`] if the AVS does not name an AVSDirectory and needs one.
    pub fn registration(
        &self,
        quorums: &QuorumNumbers,
    ) -> Result<Box<dyn Registration>, RegistrationError> {
        let (m2, sets): (Vec<_>, Vec<_>) = quorums
            .iter()
            .partition(|quorum| self.m2_quorums.bit(usize::from(*quorum)));
        let none = RegistrationError::NotACoordinator(self.coordinator);
        match (m2.is_empty(), sets.is_empty()) {
            (false, false) => Err(RegistrationError::MixedQuorums { m2, sets }),
            (false, true) => Ok(Box::new(M2Registration::new(
                self.clone(),
                self.avs_directory.ok_or(none)?,
            ))),
            (true, _) => Ok(Box::new(OperatorSetRegistration::new(
                self.clone(),
                self.allocation_manager.ok_or(none)?,
            ))),
        }
    }

    /// EIP-155 id of the chain.
    pub const fn l1_chain_id(&self) -> ChainId {
        self.l1_chain_id
    }

    /// The registry coordinator.
    pub const fn coordinator(&self) -> Address {
        self.coordinator
    }

    /// The service manager, by whose address EigenLayer knows the AVS, as the node names it.
    pub const fn service_manager(&self) -> Address {
        self.service_manager
    }

    /// EigenLayer's DelegationManager; `None` in a registry of its own.
    pub const fn delegation_manager(&self) -> Option<Address> {
        self.delegation_manager
    }

    /// EigenLayer's AVSDirectory, if the service manager names one.
    pub const fn avs_directory(&self) -> Option<Address> {
        self.avs_directory
    }

    /// EigenLayer's AllocationManager, since slashing.
    pub const fn allocation_manager(&self) -> Option<Address> {
        self.allocation_manager
    }

    /// Keys of the operators.
    pub const fn apk_registry(&self) -> Address {
        self.apk_registry
    }

    /// Stakes of the operators.
    pub const fn stake_registry(&self) -> Address {
        self.stake_registry
    }

    /// Numbers of the operators.
    pub const fn index_registry(&self) -> Address {
        self.index_registry
    }

    /// Whether the coordinator takes no more operators into M2 quorums.
    pub(super) const fn m2_closed(&self) -> bool {
        self.m2_closed
    }

    pub(super) const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Asks the coordinator.
    pub(super) async fn ask<C: SolCall>(&self, request: &C) -> Result<C::Return, CallError> {
        call(&self.provider, self.coordinator, request).await
    }

    /// Asks the coordinator for something that not all of them have.
    pub(super) async fn probe<C: SolCall>(
        &self,
        request: &C,
    ) -> Result<Option<C::Return>, CallError> {
        probe(&self.provider, self.coordinator, request).await
    }

    pub(super) async fn key_digest(&self, operator: Address) -> Result<B256, RegistrationError> {
        let usual = key_digest(operator, self.coordinator, self.l1_chain_id);
        let request = ISlashing::calculatePubkeyRegistrationMessageHashCall { operator };
        match self.probe(&request).await? {
            // Coordinators of M2 give the point only, see `key_point`.
            None => return Ok(usual),
            Some(digest) if digest == usual => return Ok(usual),
            Some(digest) => {
                let domain = self.probe(&ISlashing::eip712DomainCall {}).await?;
                if let Some(domain) = domain {
                    let (chain, at) = (self.l1_chain_id, self.coordinator);
                    let other = versioned_key_digest(operator, at, chain, domain.version);
                    if other == digest {
                        return Ok(other);
                    }
                }
            }
        }
        Err(RegistrationError::ForeignDomain {
            role: "registry coordinator",
            address: self.coordinator,
        })
    }

    pub(super) async fn key_point(&self, operator: Address) -> Result<G1Bytes, CallError> {
        let request = IRegistryCoordinator::pubkeyRegistrationMessageHashCall { operator };
        Ok(self.ask(&request).await?.into())
    }
}

struct Ask<'a> {
    provider: &'a DynProvider,
    coordinator: Address,
}

impl Ask<'_> {
    async fn probe<C: SolCall>(&self, request: &C) -> Result<Option<C::Return>, CallError> {
        probe(self.provider, self.coordinator, request).await
    }

    /// What every coordinator has.
    async fn known<C: SolCall>(&self, request: &C) -> Result<C::Return, RegistrationError> {
        let answer = self.probe(request).await?;
        answer.ok_or(RegistrationError::NotACoordinator(self.coordinator))
    }
}

/// The AllocationManager, if it takes operators for the AVS at all: a coordinator that was upgraded and did
/// not move to operator sets is still of M2.
async fn require_registrar(
    provider: &DynProvider,
    manager: Address,
    avs: Address,
    coordinator: Address,
    upgraded: bool,
) -> Result<Option<Address>, RegistrationError> {
    let request = IAllocationManager::getAVSRegistrarCall { avs };
    let Some(registrar) = probe(provider, manager, &request).await? else {
        return Err(RegistrationError::NoCode {
            role: "AllocationManager",
            address: manager,
        });
    };
    if registrar == coordinator {
        return Ok(Some(manager));
    }
    // The AVS itself, until it names another.
    if registrar == avs && upgraded {
        return Ok(None);
    }
    Err(RegistrationError::NotTheRegistrar {
        avs,
        registrar,
        coordinator,
    })
}

pub(crate) async fn require_code(
    provider: &DynProvider,
    role: &'static str,
    address: Address,
) -> Result<(), RegistrationError> {
    let code = provider.get_code_at(address).await;
    if code.map_err(CallError::from)?.is_empty() {
        return Err(RegistrationError::NoCode { role, address });
    }
    Ok(())
}
