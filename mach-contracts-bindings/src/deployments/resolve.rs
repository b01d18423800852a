use alloy_primitives::{Address, B256, ChainId, U256, b256};
use alloy_provider::{DynProvider, Provider};
use alloy_sol_types::SolCall;
use alloy_transport::TransportError;

use super::{Deployment, DeploymentError, DeploymentFile};
use crate::{
    CallError,
    abi::{IMachServiceManager as I, IRegistryCoordinator as C},
    call::{answer, call, has_code},
};

/// Slots of the implementation and of the admin in a proxy.
///
/// Source: EIP-1967.
const IMPLEMENTATION: B256 =
    b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
const ADMIN: B256 = b256!("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");

mod slashing {
    alloy_sol_types::sol! {
        // The coordinator of the slashing middleware calls the service manager so.
        function avs() external view returns (address);
    }
}

impl DeploymentFile {
    /// The deployment as it is on the chain behind `provider`: what the file leaves out is asked for,
    /// what it says is compared.
    ///
    /// Errors: [`DeploymentError`].
    pub async fn resolve(
        &self,
        provider: impl Provider + 'static,
    ) -> Result<Deployment, DeploymentError> {
        let provider = provider.erased();
        let chain_id = provider.get_chain_id().await?;
        if let Some(expected) = self.l1_chain_id.filter(|expected| *expected != chain_id) {
            return Err(DeploymentError::WrongChain {
                expected,
                actual: chain_id,
            });
        }
        let chain = Chain { provider, chain_id };
        let coordinator = self.registry_coordinator;
        chain.contract("registryCoordinator", coordinator).await?;
        chain
            .contract("operatorStateRetriever", self.operator_state_retriever)
            .await?;

        let own = chain.service_manager(coordinator).await?;
        let service_manager = match self.service_manager {
            // A coordinator has one service manager of its own, and others may count its stake.
            Some(other) if other != own => {
                let believes = I::registryCoordinatorCall {};
                let believes = answer(&chain.provider, other, &believes).await?;
                // A registry names itself, and is no service manager.
                if believes != Some(coordinator) || other == coordinator {
                    return Err(DeploymentError::Mismatch {
                        key: "machServiceManager",
                        claimed: other,
                        actual: own,
                    });
                }
                other
            }
            _ => own,
        };
        chain
            .contract("machServiceManager", service_manager)
            .await?;
        let stakes = chain.ask(coordinator, C::stakeRegistryCall {}).await?;
        agree("stakeRegistry", self.stake_registry, stakes)?;
        let keys = chain.ask(coordinator, C::blsApkRegistryCall {}).await?;
        agree("apkRegistry", self.apk_registry, keys)?;
        let index = chain.ask(coordinator, C::indexRegistryCall {}).await?;
        agree("indexRegistry", self.index_registry, index)?;

        let pausers = I::pauserRegistryCall {};
        let pausers = answer(&chain.provider, service_manager, &pausers).await;
        Ok(Deployment {
            l1_chain_id: chain_id,
            l1_block: self.l1_block.unwrap_or_default(),
            service_manager,
            registry_coordinator: coordinator,
            operator_state_retriever: self.operator_state_retriever,
            stake_registry: stakes,
            apk_registry: keys,
            index_registry: index,
            service_manager_implementation: chain.slot(service_manager, IMPLEMENTATION).await?,
            proxy_admin: chain.slot(service_manager, ADMIN).await?,
            registry_coordinator_implementation: chain.slot(coordinator, IMPLEMENTATION).await?,
            pauser_registry: pausers?.filter(|address| !address.is_zero()),
        })
    }
}

fn agree(
    key: &'static str,
    claimed: Option<Address>,
    actual: Address,
) -> Result<(), DeploymentError> {
    match claimed {
        Some(claimed) if claimed != actual => Err(DeploymentError::Mismatch {
            key,
            claimed,
            actual,
        }),
        _ => Ok(()),
    }
}

struct Chain {
    provider: DynProvider,
    chain_id: ChainId,
}

impl Chain {
    async fn contract(&self, key: &'static str, address: Address) -> Result<(), DeploymentError> {
        if has_code(&self.provider, address).await? {
            return Ok(());
        }
        Err(DeploymentError::NoCode {
            key,
            address,
            chain_id: self.chain_id,
        })
    }

    async fn service_manager(&self, coordinator: Address) -> Result<Address, DeploymentError> {
        let asked = self.ask(coordinator, C::serviceManagerCall {}).await;
        match asked {
            Err(DeploymentError::NotACoordinator { .. }) => {
                let avs = answer(&self.provider, coordinator, &slashing::avsCall {}).await?;
                // The first answer says better what is missing.
                avs.map_or(asked, Ok)
            }
            _ => asked,
        }
    }

    /// One of the coordinator's addresses.
    async fn ask<C: SolCall<Return = Address>>(
        &self,
        coordinator: Address,
        request: C,
    ) -> Result<Address, DeploymentError> {
        call(&self.provider, coordinator, &request)
            .await
            .map_err(|error| match error {
                CallError::Transport(error) => error.into(),
                source => DeploymentError::NotACoordinator {
                    address: coordinator,
                    source: Box::new(source),
                },
            })
    }

    async fn slot(&self, proxy: Address, slot: B256) -> Result<Option<Address>, TransportError> {
        let word = self
            .provider
            .get_storage_at(proxy, U256::from_be_bytes(slot.0))
            .await?;
        let address = Address::from_word(word.into());
        Ok((!address.is_zero()).then_some(address))
    }
}
