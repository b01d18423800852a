use alloy_consensus::Header;
use alloy_primitives::B256;
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{Alert, ports::BoxError};
use mach_prove::{Context, Journal, Proof};

/// The contract that believes proofs.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait ZkContract: Send + Sync {
    /// Where a proof has to count for this contract to take it from our account.
    fn context(&self) -> Context;

    /// Id of the alert about this, if it was raised.
    ///
    /// Errors: [`ZkContractError`].
    async fn find(&self, accusation: &Accusation) -> Result<Option<B256>, ZkContractError>;

    /// Raises it, and says under which id. It is on L1 when this returns.
    ///
    /// Errors: [`ZkContractError`]; the alert may or may not be raised.
    async fn raise(&self, accusation: &Accusation) -> Result<B256, ZkContractError>;

    /// What became of an alert.
    ///
    /// Errors: [`ZkContractError`].
    async fn state(&self, id: B256) -> Result<AlertState, ZkContractError>;

    /// Hands the proof of an alert in. It is on L1 when this returns.
    ///
    /// Errors: [`ZkContractError`]; the proof may or may not be there.
    async fn submit(
        &self,
        id: B256,
        accusation: &Accusation,
        proof: &Proof,
    ) -> Result<(), ZkContractError>;
}

/// What is shown to the contract.
#[derive(Clone, Debug)]
pub struct Accusation {
    /// What was found.
    pub alert: Alert,
    /// What is proved, or will be.
    pub journal: Journal,
    /// The accused header.
    pub header: Header,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// It waits for a proof.
    Raised,
    /// A proof convicts the block.
    Proved,
    /// A proof says that the block is right.
    Refuted,
    /// Nobody has proved it in time: the bond is lost, and a proof still convicts the block.
    Expired,
}

/// Why the contract did not do it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ZkContractError {
    /// It never will: the call reverts.
    #[error("the contract refuses")]
    Refused(#[source] BoxError),
    /// L1 did not answer, or the transaction was not included.
    #[error("the contract is not reached")]
    Backend(#[source] BoxError),
}

impl ZkContractError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when the port can no longer be a trait object.
    #[expect(dead_code, reason = "compiling it is the test")]
    struct DynCompatible(Box<dyn ZkContract>);
}
