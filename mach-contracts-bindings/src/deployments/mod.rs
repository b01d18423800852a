//! Where the contracts of a deployment are.

mod error;
mod file;
mod known;
mod resolve;

use alloy_primitives::{Address, ChainId};
use mach_core::Domain;

pub use error::DeploymentError;
pub use file::DeploymentFile;
pub use known::{EigenLayer, KnownDeployment, Status};

/// Addresses of deployed contracts: read from a chain by [`DeploymentFile::resolve`], or fresh from
/// [`deploy`](crate::deploy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// EIP-155 id of the chain.
    pub l1_chain_id: ChainId,
    /// No event of the deployment is in an older block; 0 if nothing better is known.
    pub l1_block: u64,
    /// The service manager's proxy.
    pub service_manager: Address,
    /// Where operators register.
    pub registry_coordinator: Address,
    /// The reads that clients need.
    pub operator_state_retriever: Address,
    /// Stakes of the operators; the coordinator itself for `MachRegistry`.
    pub stake_registry: Address,
    /// Keys of the operators; the coordinator itself for `MachRegistry`.
    pub apk_registry: Address,
    /// Numbering of the operators; the coordinator itself for `MachRegistry`.
    pub index_registry: Address,
    /// The code behind the service manager's proxy, if it is one.
    pub service_manager_implementation: Option<Address>,
    /// Admin of the service manager's proxy, if it is one.
    pub proxy_admin: Option<Address>,
    /// The code behind the coordinator's proxy, if it is one.
    pub registry_coordinator_implementation: Option<Address>,
    /// Who may pause, if the service manager can be paused.
    pub pauser_registry: Option<Address>,
}

impl Deployment {
    /// Where signatures for this deployment count.
    pub const fn domain(&self) -> Domain {
        Domain {
            l1_chain_id: self.l1_chain_id,
            service_manager: self.service_manager,
        }
    }
}
