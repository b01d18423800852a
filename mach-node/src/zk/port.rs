use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use async_trait::async_trait;
use auto_impl::auto_impl;
use mach_core::{Alert, ports::BoxError};
use mach_prove::{Context, Journal, Program, Proof};

use super::{Descent, Target};

/// The contract that believes proofs.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait ZkContract: Send + Sync {
    /// Where a proof has to count for this contract to take it from our account.
    fn context(&self) -> Context;

    /// Finds out whether a proof counts now that the code `program_id` of `program` gives under the
    /// configuration with this hash.
    ///
    /// Errors: [`ZkContractError::NotNow`] if it does not.
    async fn admit(
        &self,
        program: Program,
        program_id: B256,
        config_hash: B256,
    ) -> Result<(), ZkContractError>;

    /// What there is to accuse: the first output root on L1 that leads to the block, and how it does, or
    /// the block itself if there is none.
    ///
    /// Errors: [`ZkContractError`]; it is not known whether there is one.
    async fn choose(&self, accusation: &Accusation) -> Result<(Target, Descent), ZkContractError>;

    /// The first output root on L1 that leads to the block and is not convicted, and how it does; `None` if there is none.
    ///
    /// Errors: [`ZkContractError`]; it is not known whether there is one.
    async fn unconvicted(
        &self,
        accusation: &Accusation,
    ) -> Result<Option<(Target, Descent)>, ZkContractError>;

    /// What a wrong output root, which a node of the rollup claims, is the hash of, and the header that it
    /// names, which contradicts it; `None` if nobody says.
    ///
    /// Errors: [`ZkContractError`], [`ZkContractError::Refused`] if nothing contradicts it.
    async fn open(&self, alert: &Alert) -> Result<Option<Descent>, ZkContractError>;

    /// Convicts an output root that stands on L1 and contradicts the header that it names, without a proof
    /// and without a bond. Says under which id, and what it is; `None` if it does not stand there.
    ///
    /// Errors: [`ZkContractError`]; it may or may not be there.
    async fn convict(
        &self,
        alert: &Alert,
        opened: &Descent,
    ) -> Result<Option<(B256, Target)>, ZkContractError>;

    /// Id of the alert about this very thing, if it was raised.
    ///
    /// Errors: [`ZkContractError`].
    async fn find(&self, target: &Target) -> Result<Option<B256>, ZkContractError>;

    /// Raises it for a bond of at most `most` wei, and says under which id. It is on L1 when this
    /// returns. Raising the same again has the effect of raising it once.
    ///
    /// Errors: [`ZkContractError`], [`ZkContractError::NotNow`] if the bond is higher; the alert may or
    /// may not be raised.
    async fn raise(&self, target: &Target, most: U256) -> Result<B256, ZkContractError>;

    /// What became of the alert with this id, as L1 says now.
    ///
    /// Errors: [`ZkContractError`].
    async fn state(&self, id: B256, target: &Target) -> Result<AlertState, ZkContractError>;

    /// Whether L1 does not take it back that the alert with this id is about this and proved.
    ///
    /// Errors: [`ZkContractError`].
    async fn is_settled(&self, id: B256, target: &Target) -> Result<bool, ZkContractError>;

    /// Hands the proof of an alert in. It is on L1 when this returns.
    ///
    /// Errors: [`ZkContractError`]; the proof may or may not be there.
    async fn submit(
        &self,
        id: B256,
        target: &Target,
        descent: &Descent,
        proof: &Proof,
    ) -> Result<(), ZkContractError>;

    /// Raises an alert about something published and proves it at once, which costs no bond. Says under
    /// which id.
    ///
    /// Errors: [`ZkContractError`]; it may or may not be there.
    async fn accuse(
        &self,
        target: &Target,
        descent: &Descent,
        proof: &Proof,
    ) -> Result<B256, ZkContractError>;
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
    /// A proof convicts what it is about.
    Proved,
    /// Something says that what it is about is right. A proof may still convict it.
    Refuted,
    /// Nobody has proved it in time: the bond is lost, and a proof still convicts the block.
    Expired,
    /// There is none with this id that is about this: L1 was reorganised, or its node is behind.
    Missing,
}

/// Why the contract did not do it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ZkContractError {
    /// It never will.
    #[error("the contract refuses")]
    Refused(#[source] BoxError),
    /// What was to be accused stands there no more.
    #[error("what was to be accused is not there")]
    Gone(#[source] BoxError),
    /// It does not do so now, for a reason that passes: it is paused, the account is not allowed or has
    /// too little, the program or the configuration does not count yet.
    #[error("the contract does not take it now")]
    NotNow(#[source] BoxError),
    /// L1 or the rollup did not answer, or the transaction was not included.
    #[error("the contract is not reached")]
    Backend(#[source] BoxError),
}

impl ZkContractError {
    /// Whether the same may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_) | Self::NotNow(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when the port can no longer be a trait object.
    #[expect(dead_code, reason = "compiling it is the test")]
    struct DynCompatible(Box<dyn ZkContract>);
}
