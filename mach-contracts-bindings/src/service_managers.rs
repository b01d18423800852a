//! Which service manager watches which rollup.

use alloy_primitives::{Address, ChainId, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolConstructor;

use crate::{
    Artifact, CallError, SubmitError, Submitter, abi::IMachServiceManagerRegistry as R, call::call,
};

/// A `MachServiceManagerRegistry`.
#[derive(Clone, Debug)]
pub struct ServiceManagers {
    provider: DynProvider,
    address: Address,
}

/// What the registry of service managers knows of a rollup.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollupStatus {
    /// No service manager is registered for it.
    Unknown,
    /// Its service manager has no active alert.
    Clear,
    /// Its service manager has an active alert.
    Alerted,
    /// Its service manager does not answer.
    Unreadable,
}

impl ServiceManagers {
    /// The registry at `address` of the chain behind `provider`.
    pub fn new(provider: impl Provider + 'static, address: Address) -> Self {
        Self {
            provider: provider.erased(),
            address,
        }
    }

    /// Deploys a registry in which nothing is registered.
    pub async fn deploy(submitter: &Submitter, owner: Address) -> Result<Self, SubmitError> {
        let code = Artifact::MachServiceManagerRegistry.bytecode();
        let code = [code.as_ref(), &R::constructorCall { owner }.abi_encode()].concat();
        let (address, _) = submitter.deploy(code.into()).await?;
        Ok(Self::new(submitter.provider().clone(), address))
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Enters the service manager of a rollup that has none. `submitter` must be the owner.
    pub async fn register(
        &self,
        submitter: &Submitter,
        rollup: ChainId,
        service_manager: Address,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = R::registerServiceManagerCall {
            rollupChainId: U256::from(rollup),
            serviceManager: service_manager,
        };
        submitter.call(self.address, &call).await
    }

    /// Puts `next` in the place of `current`. `submitter` must be the owner.
    pub async fn replace(
        &self,
        submitter: &Submitter,
        rollup: ChainId,
        current: Address,
        next: Address,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = R::replaceServiceManagerCall {
            rollupChainId: U256::from(rollup),
            current,
            next,
        };
        submitter.call(self.address, &call).await
    }

    /// Removes the service manager of a rollup. `submitter` must be the owner.
    pub async fn deregister(
        &self,
        submitter: &Submitter,
        rollup: ChainId,
        service_manager: Address,
    ) -> Result<TransactionReceipt, SubmitError> {
        let call = R::deregisterServiceManagerCall {
            rollupChainId: U256::from(rollup),
            serviceManager: service_manager,
        };
        submitter.call(self.address, &call).await
    }

    /// What is known of a rollup at the head of L1.
    pub async fn status(&self, rollup: ChainId) -> Result<RollupStatus, CallError> {
        let request = R::statusCall {
            rollupChainId: U256::from(rollup),
        };
        Ok(match call(&self.provider, self.address, &request).await? {
            0 => RollupStatus::Unknown,
            1 => RollupStatus::Clear,
            2 => RollupStatus::Alerted,
            _ => RollupStatus::Unreadable,
        })
    }

    /// Who watches a rollup.
    pub async fn service_manager(&self, rollup: ChainId) -> Result<Option<Address>, CallError> {
        let request = R::serviceManagersCall {
            rollupChainId: U256::from(rollup),
        };
        let address = call(&self.provider, self.address, &request).await?;
        Ok((!address.is_zero()).then_some(address))
    }
}
