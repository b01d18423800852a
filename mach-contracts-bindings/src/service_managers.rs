//! Which service manager watches which rollup.

use alloy_primitives::{Address, ChainId, U256};
use alloy_provider::{DynProvider, Provider};

use crate::{CallError, abi::IMachServiceManagerRegistry as R, call::call};

/// Reads of a `MachServiceManagerRegistry`.
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
